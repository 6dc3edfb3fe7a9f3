"""How much one request may ask for."""

from collections.abc import Sequence
from typing import Any

from graphql import GraphQLError

from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.limits.arguments import (
    MAX_NESTING,
    NestedTooDeeply,
    TooManyKeys,
    values,
)
from dicom_graph.graph.limits.cost import Measured
from dicom_graph.services import Limits
from dicom_graph.store.answer_budget import ResponseLimitExceeded

MAX_ERRORS = 1000
"""Of one answer; each takes some kilobytes."""
_SHOWN_ERRORS = 10
INTROSPECTION_OFF = "introspection is turned off on this server"

COUNTS_OFF = (
    "counts are turned off on this server (DICOM_GRAPH_COUNTS): ask without nPatients, nStudies, "
    "nSeries, nImages and totalCount, also in filters, orders and aggregates"
)


class OperationLimitExceeded(GraphQLError):
    """An operation that asks for more than is allowed; the message has the figure and the limit."""

    def __init__(self, message: str, code: ErrorCode, **extensions: int) -> None:
        super().__init__(message, extensions={"code": code, **extensions})

    @classmethod
    def of(
        cls, name: str, figure: int, limit: int, what: str, hint: str = ""
    ) -> "OperationLimitExceeded":
        """The error of a limit; `hint` says what to do."""
        message = f"{what.format(f'{figure:,}')}; at most {limit:,} are allowed"
        message += f" (DICOM_GRAPH_MAX_{name})" + (f": {hint}" if hint else "")
        return cls(message, ErrorCode[f"MAX_{name}"], figure=figure, limit=limit)


def too_many_conditions(figure: int, limit: int) -> OperationLimitExceeded:
    """The error of filters that hold too many conditions, wherever they come from."""
    return OperationLimitExceeded(
        f"the filters hold {figure:,} conditions together; at most {limit:,} are allowed "
        "(DICOM_GRAPH_MAX_CONDITIONS): `in` takes a list of values as one for each hundred",
        ErrorCode.BAD_FILTER,
    )


def limit_exceeded(
    limits: Limits, measured: Measured, operation: str | None, variables: dict[str, Any] | None
) -> OperationLimitExceeded | None:
    """What is too much in an operation of a document, the first there is; None if nothing."""
    figures = measured.figures
    if figures.has_introspection and not limits.introspection:
        return OperationLimitExceeded(INTROSPECTION_OFF, ErrorCode.INTROSPECTION_OFF)
    for name, figure, limit, what in (
        ("DEPTH", figures.depth, limits.depth, "the operation is {} levels deep"),
        ("ALIASES", figures.aliases, limits.aliases, "the operation has {} aliases"),
        ("DIRECTIVES", figures.directives, limits.directives, "a field has {} directives"),
        ("SELECTIONS", figures.selections, limits.selections, "an object is asked {} fields"),
    ):
        if figure > limit:
            return OperationLimitExceeded.of(name, figure, limit, what)
    try:
        return _value_limit_exceeded(limits, measured, operation, variables or {})
    except NestedTooDeeply:
        message = f"an input is nested too deeply: more than {MAX_NESTING} levels"
        return OperationLimitExceeded(message, ErrorCode.BAD_FILTER)
    except TooManyKeys as error:
        return OperationLimitExceeded(str(error), ErrorCode.BAD_INPUT)


def _value_limit_exceeded(
    limits: Limits, measured: Measured, operation: str | None, variables: dict[str, Any]
) -> OperationLimitExceeded | None:
    n_values = values(variables, limits.values)
    if n_values > limits.values:
        what = "the variables hold {} values or more"
        return OperationLimitExceeded.of(
            "VALUES", n_values, limits.values, what, "send them in parts"
        )
    if not limits.counts and measured.has_counts(operation, variables):
        return OperationLimitExceeded(COUNTS_OFF, ErrorCode.COUNTS_OFF)
    n_conditions = measured.conditions(operation, variables)
    if n_conditions > limits.conditions:
        return too_many_conditions(n_conditions, limits.conditions)
    cost = measured.cost(operation, variables)
    if cost > limits.cost:
        what = "the pages of the operation may hold {} objects together"
        return OperationLimitExceeded.of("COST", cost, limits.cost, what, "ask for smaller pages")
    return None


def document_limit_exceeded(limits: Limits, query: str) -> OperationLimitExceeded | None:
    """What is too much in a document that is not parsed yet; None if nothing."""
    # Of texts that are short enough in any case, none is encoded.
    if len(query) * 4 <= limits.document_bytes:
        return None
    size = len(query.encode("utf-8", "surrogatepass"))
    if size > limits.document_bytes:
        what, hint = "the document has {} bytes", "send values as variables"
        return OperationLimitExceeded.of("DOCUMENT_BYTES", size, limits.document_bytes, what, hint)
    return None


class TooManyErrors(ResponseLimitExceeded):
    """`errors`: the first of them."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__(
            ErrorCode.TOO_MANY_ERRORS,
            f"the answer has more than {MAX_ERRORS:,} errors, of which these are the first: ask "
            "for less at once, such as smaller pages",
        )
        self.errors = list(errors[:_SHOWN_ERRORS])
