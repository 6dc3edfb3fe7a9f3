"""The arguments of lists, without reading a document again for each operation.

Most lists are asked with numbers and texts, as literals or variables: these are their own values.
Whatever else is given goes the way of graphql-core and Strawberry.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from graphql import IntValueNode, NullValueNode, StringValueNode, ValueNode, VariableNode
from graphql.execution.values import VariableValues, get_argument_values
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types.arguments import convert_arguments

from dicom_graph.graph.connection import Connection
from dicom_graph.graph.context import Context
from dicom_graph.graph.execution.selection import Selected, Source

_PLAIN = frozenset({"first", "last", "offset", "after", "before", "search"})


class ReadsArguments(NamedTuple):
    """How the arguments of a list are read: `resolve` is the function that takes them.

    `given` are literals, `variables` the names of variables, by the arguments' names; where not
    `is_plain`, there are others.
    """

    resolve: Any
    defined: Any
    given: dict[str, Any]
    variables: tuple[tuple[str, str], ...]
    is_plain: bool


class _Asking(NamedTuple):
    """In the place of Strawberry's Info, of which the lists take nothing else."""

    context: Context


async def list_of(
    field: Selected,
    source: Any,
    context: Context,
    variables: VariableValues,
    document: Source,
) -> Connection[Any]:
    """The list that a field is, of an object. Raises BadInput, or what a wrong argument does."""
    reads = field.arguments
    if reads is None:
        reads = field.arguments = _reads_arguments(field)
    if reads.is_plain:
        arguments = _plain_arguments(reads, variables.coerced)
    else:
        details = field.details[0]
        assert field.field is not None
        given = get_argument_values(
            field.field, details.node, variables, details.fragment_variable_values,
            document.hide_suggestions,
        )  # fmt: skip
        schema = document.schema._strawberry_schema  # type: ignore[attr-defined]
        arguments = convert_arguments(
            given, reads.defined.arguments, schema.schema_converter.scalar_registry, schema.config
        )
    asking = _Asking(context)
    found: Connection[Any]
    if source is None:
        found = await reads.resolve(info=asking, **arguments)
    else:
        found = await reads.resolve(source, info=asking, **arguments)
    return found


def _plain_arguments(reads: ReadsArguments, variables: Mapping[str, Any]) -> dict[str, Any]:
    if not reads.variables:
        return reads.given
    arguments = dict(reads.given)
    for name, variable in reads.variables:
        if variable in variables:
            arguments[name] = variables[variable]
    return arguments


def _reads_arguments(field: Selected) -> ReadsArguments:
    assert field.field is not None
    defined = field.field.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
    resolve = defined.base_resolver.wrapped_func
    given: dict[str, Any] = {}
    variables: list[tuple[str, str]] = []
    details = field.details[0]
    is_plain = details.fragment_variable_values is None
    for argument in details.node.arguments or ():
        name = argument.name.value
        value = argument.value
        if name not in _PLAIN:
            is_plain = False
        elif isinstance(value, VariableNode):
            variables.append((name, value.name.value))
        elif isinstance(value, IntValueNode | StringValueNode | NullValueNode):
            given[name] = _literal(value)
        else:
            is_plain = False
    return ReadsArguments(resolve, defined, given, tuple(variables), is_plain)


def _literal(value: ValueNode) -> Any:
    if isinstance(value, IntValueNode):
        return int(value.value)
    return value.value if isinstance(value, StringValueNode) else None
