"""Operations that are executed by a plan, which is kept with their document.

A query whose root asks for lists alone needs nothing of graphql-core but what it makes of the
document: the selections, in which `@skip` and `@include` are applied. So a plan is kept by the
values of the variables that these name, and what is known of its selections with it. Of a request
only the variables and the arguments are looked at, and then its lists are answered level by level.

What is no such query, and any that meets an error, is executed by graphql-core: it finds the same
errors, each with its path.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from graphql import (
    DocumentNode,
    FragmentDefinitionNode,
    GraphQLError,
    GraphQLObjectType,
    GraphQLSchema,
    NonNullTypeNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    TypeNode,
    VariableNode,
)
from graphql.execution.collect_fields import FragmentDetails, collect_fields
from graphql.execution.get_variable_signature import get_variable_signature
from graphql.execution.values import VariableValues, VariableValueSource, get_variable_values
from graphql.pyutils import Path
from strawberry.schema.schema_converter import GraphQLCoreConverter

from dicom_graph.access.policy import Need, need_of_field
from dicom_graph.graph.batch_marks import AllOf, mark_of
from dicom_graph.graph.execution.arguments import list_of
from dicom_graph.graph.execution.levels import Execution, Levels
from dicom_graph.graph.execution.selection import Selected, Source
from dicom_graph.graph.limits.prepared_documents import PreparedDocument
from dicom_graph.graph.permissions import require
from dicom_graph.graph.registry import ENTITIES

_KEPT_CHARACTERS = 262_144
"""Of the documents of all plans that are kept, one for each way to skip and include; a plan takes
about 100 bytes for each.
"""
_PLAIN: Mapping[str, Callable[[Any], bool]] = {
    "Int": lambda value: type(value) is int and -(2**31) <= value < 2**31,
    "Boolean": lambda value: type(value) is bool,
    "String": lambda value: type(value) is str,
}
"""Whether a value is one of a type as it is."""


class _Variable(NamedTuple):
    """A variable whose value is taken as it is where `is_plain` says so.

    `default` is what it has where it is not given, if `has_default`.
    """

    name: str
    signature: Any
    is_plain: Callable[[Any], bool]
    is_required: bool
    has_default: bool
    default: Any


class Root(NamedTuple):
    """What a query asks of its root: each field with its right, None for `__typename`."""

    type_name: str
    fields: list[tuple[Selected, Need | None]]
    source: Source


class PlanCache:
    """The plans that were used lately, as far as their documents are short together."""

    def __init__(self, max_characters: int = _KEPT_CHARACTERS) -> None:
        self._max = max_characters
        self._roots: OrderedDict[tuple[OperationPlans, tuple[Any, ...]], Root | None]
        self._roots = OrderedDict()
        self.n_characters = 0

    def get(
        self, plans: "OperationPlans", key: tuple[Any, ...], make: Callable[[], Root | None]
    ) -> Root | None:
        """A plan; made where it is not known. Raises what `make` does."""
        whole = (plans, key)
        if whole in self._roots:
            self._roots.move_to_end(whole)
            return self._roots[whole]
        made = make()
        if plans.n_characters <= self._max // 16:
            self._roots[whole] = made
            self.n_characters += plans.n_characters
            while self.n_characters > self._max:
                (oldest, _), _ = self._roots.popitem(last=False)
                self.n_characters -= oldest.n_characters
        return made


_CACHE = PlanCache()


class OperationPlans:
    """The plans of one query. `variables_of` and `root` look at a request."""

    def __init__(
        self,
        schema: GraphQLSchema,
        document: DocumentNode,
        operation: OperationDefinitionNode,
        n_characters: int,
    ) -> None:
        self.n_characters = n_characters
        self._schema = schema
        self._operation = operation
        self._definitions = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._fragments = {name: FragmentDetails(node) for name, node in self._definitions.items()}
        self._deciding = sorted(set(_deciding(operation, self._definitions)))
        self._plain = _plain_variables(schema, operation)

    def variables_of(self, given: Mapping[str, Any]) -> VariableValues | None:
        """The values of the variables; None where one is wrong."""
        if self._plain is not None:
            return self._plain_values(given)
        found = get_variable_values(
            self._schema, self._operation.variable_definitions or (), dict(given)
        )
        return None if isinstance(found, list) else found

    def _plain_values(self, given: Mapping[str, Any]) -> VariableValues | None:
        sources: dict[str, VariableValueSource] = {}
        values: dict[str, Any] = {}
        for variable in self._plain or ():
            name = variable.name
            if name not in given:
                if variable.has_default:
                    values[name] = variable.default
                elif variable.is_required:
                    return None
                sources[name] = VariableValueSource(variable.signature)
                continue
            value = given[name]
            if not (variable.is_plain(value) or (value is None and not variable.is_required)):
                return None
            values[name] = value
            sources[name] = VariableValueSource(variable.signature, value)
        return VariableValues(sources, values)

    def root(self, variables: VariableValues) -> Root | None:
        """What the query asks of the root; None where a plan does not do."""
        values = variables.coerced
        key = tuple(values.get(name) for name in self._deciding)
        try:
            return _CACHE.get(self, key, lambda: self._make_root(variables))
        except GraphQLError:  # One of them is null.
            return None

    def _deciding_alone(self, variables: VariableValues) -> VariableValues:
        """What is kept with a plan: of the others the next request has its own."""
        sources, values = variables
        return VariableValues(
            {name: sources[name] for name in self._deciding if name in sources},
            {name: values[name] for name in self._deciding if name in values},
        )

    def _make_root(self, variables: VariableValues) -> Root | None:
        type_ = self._schema.query_type
        assert type_ is not None
        source = Source(
            self._schema, self._operation, self._fragments, self._definitions,
            self._deciding_alone(variables),
        )  # fmt: skip
        collected = collect_fields(
            self._schema, self._fragments, variables, type_, self._operation
        ).grouped_field_set
        fields: list[tuple[Selected, Need | None]] = []
        for name, details in collected.items():
            if details[0].node.name.value == "__typename":
                fields.append((Selected(source, type_, name, details), None))
                continue
            if not _is_list(type_, details[0].node.name.value):
                return None
            selected = Selected(source, type_, name, details)
            fields.append((selected, need_of_field(type_.name, selected.name)))
        return Root(type_.name, fields, source)


def plans_of(
    schema: GraphQLSchema, prepared: PreparedDocument, name: str | None
) -> OperationPlans | None:
    """The plans of an operation of a valid document; None where there can be none."""
    if name not in prepared.plans:
        prepared.plans[name] = _make_plans(schema, prepared, name)
    found: OperationPlans | None = prepared.plans[name]
    return found


def _make_plans(
    schema: GraphQLSchema, prepared: PreparedDocument, name: str | None
) -> OperationPlans | None:
    document = prepared.document
    nodes = document.definitions if document is not None else ()
    operations = [
        node
        for node in nodes
        if isinstance(node, OperationDefinitionNode)
        and name in (None, node.name.value if node.name else None)
    ]
    if document is None or len(operations) != 1:
        return None
    (operation,) = operations
    if operation.operation is not OperationType.QUERY or operation.directives:
        return None
    fragments = [node for node in nodes if isinstance(node, FragmentDefinitionNode)]
    if any(fragment.variable_definitions for fragment in fragments):
        return None
    return OperationPlans(schema, document, operation, len(prepared.query))


async def execute_by_plan(root: Root, execution: Execution) -> dict[str, Any]:
    """The answer of a query, without errors. Raises whatever is in its way."""
    levels = Levels(execution)

    async def answer(selected: Selected, need: Need | None) -> Any:
        if need is None:
            return root.type_name
        require(execution.context, need, selected.name)
        found = await list_of(selected, None, execution.context, execution.variables, root.source)
        selection = selected.selection
        if selection.reads_page:
            needed = selection.page_columns(ENTITIES[found.listing.entity])
            found.page = await found.listing.page(needed)
        else:
            await found.listing.check()
        return await levels.root(selection, Path(None, selected.alias, root.type_name), found)

    if len(root.fields) == 1 or sum(need is not None for _, need in root.fields) <= 1:
        return {field.alias: await answer(field, need) for field, need in root.fields}
    tasks = [asyncio.ensure_future(answer(field, need)) for field, need in root.fields]
    try:
        answers = await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    return {field.alias: found for (field, _), found in zip(root.fields, answers, strict=True)}


def _is_list(type_: GraphQLObjectType, name: str) -> bool:
    """Whether a field of the root is a list of all entities of a kind."""
    field = type_.fields.get(name)
    defined = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF) if field else None
    if defined is None or defined.extensions or defined.permission_classes:
        return False
    resolver = defined.base_resolver
    return resolver is not None and isinstance(mark_of(resolver.wrapped_func), AllOf)


def _deciding(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Iterator[str]:
    """The variables that say what is skipped and included."""
    waiting: list[SelectionSetNode] = [
        operation.selection_set, *(node.selection_set for node in fragments.values())
    ]  # fmt: skip
    while waiting:
        for node in waiting.pop().selections:
            for directive in node.directives or ():
                for argument in directive.arguments or ():
                    if isinstance(argument.value, VariableNode):
                        yield argument.value.name.value
            below = getattr(node, "selection_set", None)
            if below is not None:
                waiting.append(below)


def _plain_variables(
    schema: GraphQLSchema, operation: OperationDefinitionNode
) -> list[_Variable] | None:
    """The variables of an operation; None where one is more than a number, a truth or a text."""
    found: list[_Variable] = []
    for node in operation.variable_definitions or ():
        type_: TypeNode = node.type
        is_required = isinstance(type_, NonNullTypeNode)
        if isinstance(type_, NonNullTypeNode):
            type_ = type_.type
        is_plain = _PLAIN.get(getattr(getattr(type_, "name", None), "value", ""))
        if is_plain is None:
            return None
        name, default = node.variable.name.value, None
        if node.default_value is not None:
            values = get_variable_values(schema, [node], {})
            if isinstance(values, list):
                return None
            default = values.coerced[name]
        signature = get_variable_signature(schema, node)
        has_default = node.default_value is not None
        found.append(_Variable(name, signature, is_plain, is_required, has_default, default))
    return found
