"""How large a document is, and what its operations may cost.

Fragments are measured once, however often they are spread: a document of a few lines that would
be a million fields when written out is as quickly measured as any other.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLArgument,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_composite_type,
)

from dicom_graph.graph.limits.arguments import COUNTS, ArgumentSizes, literal_as_json
from dicom_graph.graph.limits.weights import (
    CONDITION,
    FIELD,
    FREE_FIELDS,
    NAMED,
    RELATED,
    SMALL,
    VALUE,
    WEIGHTS,
)

DEFAULT_PAGE_SIZE = 25
"""Of a list whose size is not asked for."""
_PAGE_ARGUMENTS = ("first", "last", "ids")
_NAMES = frozenset({"keywords", "tags"})
_OF_PAGES = ("Connection", "Edge")
_AUDIT = ("auditEntries",)
_LISTS_OF_THE_SERVER = ("AuditEntryConnection", "ImportJobConnection")
"""What is not of the archive: counting it is never turned off."""
_WITH_COUNTS = ("Patient", "PatientStudyEdge", "Study", "Series")
_ENOUGH = 10**18
_NO_ARGUMENTS = ArgumentSizes()


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a document. `depth`, `directives` and `selections`: the most at one place of it."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    selections: int = 0
    has_introspection: bool = False
    has_counts: bool = False

    def beside(self, other: "Figures") -> "Figures":
        """Both, in one selection."""
        return Figures(
            max(self.depth, other.depth),
            max(self.aliases, other.aliases),
            max(self.directives, other.directives),
            max(self.selections, other.selections),
            self.has_introspection or other.has_introspection,
            self.has_counts or other.has_counts,
        )

    def below(self, node: FieldNode, type_: GraphQLNamedType | None) -> "Figures":
        """These, under a field of a type."""
        is_free = node.name.value.startswith("__")
        return Figures(
            1 if is_free else self.depth + 1,
            self.aliases,
            max(self.directives, len(node.directives or ())),
            self.selections,
            self.has_introspection or node.name.value in ("__schema", "__type"),
            self.has_counts or _is_count(node.name.value, type_.name if type_ else ""),
        )


def _is_count(field: str, type_name: str) -> bool:
    if field == "totalCount":
        return type_name not in _LISTS_OF_THE_SERVER
    return field in COUNTS and type_name in _WITH_COUNTS


@dataclass(frozen=True, slots=True)
class _Part:
    """What a field leads to: what it weighs itself, and `size` times `each` and what is below it.

    A size that is a text is that of a variable, else `default`. `given`: the field's arguments.
    `is_of_list`: it belongs to a list as a whole, not to each object of its page.
    """

    size: float | str
    default: float
    each: float = 0
    own: float = 0
    given: ArgumentSizes = _NO_ARGUMENTS
    parts: "_Parts" = ()
    is_of_list: bool = False


_Parts = tuple["_Part | str", ...]
"""What a selection leads to; a text is the name of a fragment that leads to something."""


@dataclass(slots=True)
class Measured:
    """A document's figures, and what its operations lead to."""

    figures: Figures = field(default_factory=Figures)
    _operations: dict[str | None, _Parts] = field(default_factory=dict)
    _defaults: dict[str | None, dict[str, Any]] = field(default_factory=dict)
    _fragments: dict[str, _Parts] = field(default_factory=dict)

    def cost(self, operation: str | None, variables: Mapping[str, Any]) -> int:
        """What an operation may cost: the objects that its pages may hold together, and what else
        `graph.limits.weights` has. Raises NestedTooDeeply.
        """
        values = self._values(operation, variables)

        def cost(part: _Part, below: float) -> float:
            given = part.given
            own = CONDITION * given.conditions(values) + VALUE * given.values(values)
            return part.own + own + _size(part, values) * (part.each + below)

        return math.ceil(round(self._total(operation, cost), 6))

    def conditions(self, operation: str | None, variables: Mapping[str, Any]) -> int:
        """How many conditions the filters, searches and orders of an operation hold together.

        Raises NestedTooDeeply.
        """
        values = self._values(operation, variables)
        return int(
            self._total(operation, lambda part, below: part.given.conditions(values) + below)
        )

    def has_counts(self, operation: str | None, variables: Mapping[str, Any]) -> bool:
        """Whether the document counts what belongs to objects, or an operation's filters, orders
        or aggregates do. Raises NestedTooDeeply.
        """
        values = self._values(operation, variables)
        counted = self._total(
            operation, lambda part, below: part.given.names_counts(values) + below
        )
        return self.figures.has_counts or counted > 0

    def _values(self, operation: str | None, variables: Mapping[str, Any]) -> Mapping[str, Any]:
        return self._defaults.get(self._name(operation), {}) | dict(variables)

    def _name(self, operation: str | None) -> str | None:
        is_known = operation in self._operations
        return operation if is_known else next(iter(self._operations), None)

    def _total(self, operation: str | None, figure: Callable[[_Part, float], float]) -> float:
        """The sum of a figure over all parts; `figure` is given that of what is below a part."""
        known: dict[str, tuple[float, float]] = {}

        def total(parts: _Parts) -> tuple[float, float]:
            """Of what each object of a page has, and of what the page's list has."""
            each = once = 0.0
            for part in parts:
                of_each, of_list = of(part)
                each, once = min(each + of_each, _ENOUGH), min(once + of_list, _ENOUGH)
            return each, once

        def of(part: _Part | str) -> tuple[float, float]:
            if isinstance(part, str):
                if part not in known:
                    known[part] = 0, 0
                    known[part] = total(self._fragments.get(part, ()))
                return known[part]
            each, once = total(part.parts)
            whole = figure(part, each) + once
            return (0, whole) if part.is_of_list else (whole, 0)

        return sum(total(self._operations.get(self._name(operation), ())))


def _size(part: _Part, values: Mapping[str, Any]) -> float:
    size = values.get(part.size) if isinstance(part.size, str) else part.size
    if isinstance(size, list):
        return len(size)
    return max(size, 0) if isinstance(size, int | float) else part.default


def measure(schema: GraphQLSchema, document: DocumentNode) -> Measured:
    """Measure a document, which need not be valid. Raises NestedTooDeeply."""
    walk = _Walk(schema, document)
    measured = Measured(_fragments=walk.parts)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            name = node.name.value if node.name else None
            figures, parts = walk.selection(node.selection_set, _root(schema, node))
            measured.figures = measured.figures.beside(figures)
            measured._operations[name] = parts
            measured._defaults[name] = {
                variable.variable.name.value: _default_value(variable.default_value)
                for variable in node.variable_definitions or ()
            }
    measured.figures = replace(measured.figures, aliases=walk.aliases)
    return measured


def _root(schema: GraphQLSchema, node: OperationDefinitionNode) -> GraphQLNamedType | None:
    return schema.get_root_type(node.operation)


class _Walk:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.parts: dict[str, _Parts] = {}
        self.aliases = 0
        self._schema = schema
        self._figures: dict[str, Figures] = {}
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }

    def selection(
        self, node: SelectionSetNode | None, type_: GraphQLNamedType | None
    ) -> tuple[Figures, _Parts]:
        selections: Iterable[SelectionNode] = node.selections if node else ()
        figures = Figures(selections=len(tuple(selections)))
        parts: list[_Part | str] = []
        n_plain = 0
        for selection in selections:
            if isinstance(selection, FieldNode):
                n_plain += selection.selection_set is None
                found, below = self._field(selection, type_)
            elif isinstance(selection, FragmentSpreadNode):
                name = selection.name.value
                found, below = self._fragment(name), (name,)
            else:
                assert isinstance(selection, InlineFragmentNode)
                found, below = self.selection(
                    selection.selection_set, self._type(selection.type_condition, type_)
                )
            directives = Figures(directives=len(selection.directives or ()))
            figures = figures.beside(found).beside(directives)
            parts.extend(below)
        if n_plain > FREE_FIELDS:
            parts.append(_Part(1, 1, own=FIELD * (n_plain - FREE_FIELDS)))
        return figures, tuple(parts)

    def _field(self, node: FieldNode, type_: GraphQLNamedType | None) -> tuple[Figures, _Parts]:
        self.aliases += node.alias is not None
        definition = getattr(type_, "fields", {}).get(node.name.value)
        inner = get_named_type(definition.type) if definition is not None else None
        figures, parts = self.selection(node.selection_set, inner)
        part = _part(node, type_, definition, parts)
        return figures.below(node, type_), parts if part is None else (part,)

    def _fragment(self, name: str) -> Figures:
        if name not in self._figures:
            # Also what a fragment that contains itself finds; validation refuses it.
            self._figures[name] = Figures()
            node = self._fragments.get(name)
            if node is not None:
                type_ = self._type(node.type_condition, None)
                self._figures[name], self.parts[name] = self.selection(node.selection_set, type_)
        return self._figures[name]

    def _type(self, condition: Any, otherwise: GraphQLNamedType | None) -> GraphQLNamedType | None:
        """The type of a fragment; None where it is none that has fields, which is not valid."""
        if not condition:
            return otherwise
        named = self._schema.get_type(condition.name.value)
        return named if is_composite_type(named) else None


def _part(
    node: FieldNode,
    type_: GraphQLNamedType | None,
    definition: GraphQLField | None,
    parts: _Parts,
) -> _Part | None:
    """What a field leads to; None where that is nothing but `parts`, and its arguments too."""
    if definition is None or type_ is None:
        return None
    given = ArgumentSizes.of(node.arguments or (), of_archive=node.name.value not in _AUDIT)
    size, default = _page_size(node, definition)
    name = f"{type_.name}.{node.name.value}"
    if default is not None:
        is_of_list = node.name.value == "groups" and type_.name.endswith("Connection")
        own = WEIGHTS[name].own if name in SMALL and name in WEIGHTS else 0
        return _Part(size, default, SMALL.get(name, 1), own, given, parts, is_of_list)
    weight = WEIGHTS.get(name)
    if weight is None and _is_entity(definition) and not type_.name.endswith(_OF_PAGES):
        weight = RELATED
    if weight is not None:
        n_named = _count_named(node)
        own = RELATED.own + NAMED * n_named if n_named else weight.own
        size = min(n_named or weight.size, weight.size)
        return _Part(size, size, own=min(own, weight.own), given=given, parts=parts)
    return _Part(1, 1, given=given, parts=parts) if given.arguments else None


def _count_named(node: FieldNode) -> int:
    """How many elements are asked for by name; 0 for all."""
    return sum(
        len(argument.value.values)
        for argument in node.arguments or ()
        if argument.name.value in _NAMES and isinstance(argument.value, ListValueNode)
    )


def _is_entity(definition: GraphQLField) -> bool:
    """Whether a field leads to objects that have an id."""
    type_ = get_named_type(definition.type)
    interfaces = getattr(type_, "interfaces", ())
    return type_.name == "Node" or any(interface.name == "Node" for interface in interfaces)


def _page_size(node: FieldNode, definition: GraphQLField) -> tuple[float | str, float | None]:
    """The size of a field's page, and that of a page whose size is not known; None for no page."""
    known = [name for name in _PAGE_ARGUMENTS if name in definition.args]
    if not known:
        return 0, None
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    default = _default(definition.args[known[0]])
    for name in known:
        size = _plain(given.get(name))
        if isinstance(given.get(name), VariableNode) or size is not None:
            return size if isinstance(size, int | str) else default, default
    return default, default


def _default(argument: GraphQLArgument) -> int:
    default = argument.default_value
    return default if isinstance(default, int) else DEFAULT_PAGE_SIZE


def _default_value(value: ValueNode | None) -> Any:
    """The value of a variable that is not given; a whole number as such."""
    return int(value.value) if isinstance(value, IntValueNode) else literal_as_json(value)


def _plain(value: ValueNode | None) -> Any:
    """The number of a value, the length of a list, the name of a variable; None for others."""
    if isinstance(value, IntValueNode):
        return int(value.value)
    if isinstance(value, ListValueNode):
        return len(value.values)
    return value.name.value if isinstance(value, VariableNode) else None
