"""How much one request may ask for."""

from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from dicom_graph.graph.measure import Measured

INTROSPECTION_OFF = "introspection is turned off on this server"


@dataclass(frozen=True, slots=True)
class Limits:
    """The largest figures of an operation, and how many seconds it may take.

    `documents`: the only ones that are executed; None for any. `introspection`: whether the
    schema may be asked for.
    """

    depth: int = 25
    aliases: int = 100
    tokens: int = 5000
    directives: int = 5
    selections: int = 200
    cost: int = 1_000_000
    seconds: float = 30
    introspection: bool = True
    documents: frozenset[str] | None = None

    def refusal(
        self, measured: Measured, operation: str | None, variables: dict[str, Any] | None
    ) -> "TooMuch | None":
        """What is too much in an operation of a document, the first there is; None if nothing."""
        figures = measured.figures
        if figures.has_introspection and not self.introspection:
            return TooMuch(INTROSPECTION_OFF, "INTROSPECTION_OFF")
        for name, figure, limit, what in (
            ("DEPTH", figures.depth, self.depth, "the operation is {} levels deep"),
            ("ALIASES", figures.aliases, self.aliases, "the operation has {} aliases"),
            ("DIRECTIVES", figures.directives, self.directives, "a field has {} directives"),
            ("SELECTIONS", figures.selections, self.selections, "an object is asked {} fields"),
        ):
            if figure > limit:
                return TooMuch.of(name, figure, limit, what)
        cost = measured.cost(operation, variables or {})
        if cost > self.cost:
            what = "the pages of the operation may hold {} objects together"
            return TooMuch.of("COST", cost, self.cost, what)
        return None


class TooMuch(GraphQLError):
    """An operation that asks for more than is allowed; the message has the figure and the limit."""

    def __init__(self, message: str, code: str, **extensions: int) -> None:
        super().__init__(message, extensions={"code": code, **extensions})

    @classmethod
    def of(cls, name: str, figure: int, limit: int, what: str) -> "TooMuch":
        """The error of a limit."""
        message = f"{what.format(f'{figure:,}')}; at most {limit:,} are allowed"
        return cls(f"{message} (DICOM_GRAPH_MAX_{name})", f"MAX_{name}", figure=figure, limit=limit)
