"""How large a document is, and how many objects its pages may hold.

Fragments are measured once, however often they are spread: a document of a few lines that would
be a million fields when written out is as quickly measured as any other.
"""

from collections.abc import Iterable, Mapping
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

DEFAULT_PAGE_SIZE = 25
"""Of a list whose size is not asked for."""
_PAGE_ARGUMENTS = ("first", "last", "ids")
_ENOUGH = 10**18


@dataclass(frozen=True, slots=True)
class Figures:
    """Of a document. `depth`, `directives` and `selections`: the most at one place of it."""

    depth: int = 0
    aliases: int = 0
    directives: int = 0
    selections: int = 0
    has_introspection: bool = False

    def beside(self, other: "Figures") -> "Figures":
        """Both, in one selection."""
        return Figures(
            max(self.depth, other.depth),
            max(self.aliases, other.aliases),
            max(self.directives, other.directives),
            max(self.selections, other.selections),
            self.has_introspection or other.has_introspection,
        )

    def below(self, node: FieldNode) -> "Figures":
        """These, under a field."""
        is_free = node.name.value.startswith("__")
        return Figures(
            1 if is_free else self.depth + 1,
            self.aliases,
            max(self.directives, len(node.directives or ())),
            self.selections,
            self.has_introspection or node.name.value in ("__schema", "__type"),
        )


@dataclass(frozen=True, slots=True)
class _Page:
    """A list of at most `size` objects, and the lists in each. A text is a variable's name."""

    size: "int | str"
    default: int
    lists: "tuple[_Page | str, ...]"


_Lists = tuple["_Page | str", ...]
"""The lists of a selection; a text is the name of a fragment that has some."""


@dataclass(slots=True)
class Measured:
    """A document's figures, and the pages in it."""

    figures: Figures = field(default_factory=Figures)
    _operations: dict[str | None, _Lists] = field(default_factory=dict)
    _defaults: dict[str | None, dict[str, Any]] = field(default_factory=dict)
    _fragments: dict[str, _Lists] = field(default_factory=dict)

    def cost(self, operation: str | None, variables: Mapping[str, Any]) -> int:
        """How many objects the pages of an operation may hold together."""
        name = operation if operation in self._operations else next(iter(self._operations), None)
        values = self._defaults.get(name, {}) | dict(variables)
        known: dict[str, int] = {}

        def total(lists: _Lists) -> int:
            return min(sum(map(cost, lists)), _ENOUGH)

        def cost(page: _Page | str) -> int:
            if isinstance(page, str):
                if page not in known:
                    known[page] = 0
                    known[page] = total(self._fragments.get(page, ()))
                return known[page]
            return _size(page, values) * (1 + total(page.lists))

        return total(self._operations.get(name, ()))


def _size(page: _Page, values: Mapping[str, Any]) -> int:
    size = values.get(page.size) if isinstance(page.size, str) else page.size
    if isinstance(size, list):
        return len(size)
    return max(size, 0) if isinstance(size, int) else page.default


def measure(schema: GraphQLSchema, document: DocumentNode) -> Measured:
    """Measure a document, which need not be valid."""
    walk = _Walk(schema, document)
    measured = Measured(_fragments=walk.lists)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            name = node.name.value if node.name else None
            figures, lists = walk.selection(node.selection_set, _root(schema, node))
            measured.figures = measured.figures.beside(figures)
            measured._operations[name] = lists
            measured._defaults[name] = {
                variable.variable.name.value: _plain(variable.default_value)
                for variable in node.variable_definitions or ()
            }
    measured.figures = replace(measured.figures, aliases=walk.aliases)
    return measured


def _root(schema: GraphQLSchema, node: OperationDefinitionNode) -> GraphQLNamedType | None:
    return schema.get_root_type(node.operation)


class _Walk:
    def __init__(self, schema: GraphQLSchema, document: DocumentNode) -> None:
        self.lists: dict[str, _Lists] = {}
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
    ) -> tuple[Figures, _Lists]:
        selections: Iterable[SelectionNode] = node.selections if node else ()
        figures = Figures(selections=len(tuple(selections)))
        lists: list[_Page | str] = []
        for selection in selections:
            if isinstance(selection, FieldNode):
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
            lists.extend(below)
        return figures, tuple(lists)

    def _field(self, node: FieldNode, type_: GraphQLNamedType | None) -> tuple[Figures, _Lists]:
        self.aliases += node.alias is not None
        definition = getattr(type_, "fields", {}).get(node.name.value)
        inner = get_named_type(definition.type) if definition is not None else None
        figures, lists = self.selection(node.selection_set, inner)
        page = _page(node, definition, lists)
        return figures.below(node), lists if page is None else (page,)

    def _fragment(self, name: str) -> Figures:
        if name not in self._figures:
            # Also what a fragment that contains itself finds; validation refuses it.
            self._figures[name] = Figures()
            node = self._fragments.get(name)
            if node is not None:
                type_ = self._type(node.type_condition, None)
                self._figures[name], self.lists[name] = self.selection(node.selection_set, type_)
        return self._figures[name]

    def _type(self, condition: Any, otherwise: GraphQLNamedType | None) -> GraphQLNamedType | None:
        """The type of a fragment; None where it is none that has fields, which is not valid."""
        if not condition:
            return otherwise
        named = self._schema.get_type(condition.name.value)
        return named if is_composite_type(named) else None


def _page(node: FieldNode, definition: GraphQLField | None, lists: _Lists) -> _Page | None:
    """The list that a field gives a page of; None for any other field."""
    if definition is None:
        return None
    known = [name for name in _PAGE_ARGUMENTS if name in definition.args]
    if not known:
        return None
    given = {argument.name.value: argument.value for argument in node.arguments or ()}
    default = _default(definition.args[known[0]])
    for name in known:
        size = _plain(given.get(name))
        if isinstance(given.get(name), VariableNode) or size is not None:
            return _Page(size if isinstance(size, int | str) else default, default, lists)
    return _Page(default, default, lists)


def _default(argument: GraphQLArgument) -> int:
    default = argument.default_value
    return default if isinstance(default, int) else DEFAULT_PAGE_SIZE


def _plain(value: ValueNode | None) -> Any:
    """The number of a value, the length of a list, the name of a variable; None for others."""
    if isinstance(value, IntValueNode):
        return int(value.value)
    if isinstance(value, ListValueNode):
        return len(value.values)
    return value.name.value if isinstance(value, VariableNode) else None
