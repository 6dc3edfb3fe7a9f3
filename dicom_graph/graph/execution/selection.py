"""What an operation asks of the objects of a type, and what has to be read for it."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from graphql import GraphQLField, GraphQLObjectType, GraphQLOutputType, get_named_type
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.execution.values import get_argument_values

from dicom_graph.graph.execution.field_kinds import FromColumn, FromObject, kind_of
from dicom_graph.graph.registry import ENTITIES, Entity
from dicom_graph.graph.together import Counted, LeadsTo, Listed
from dicom_graph.store.formats import Columns

_OF_PAGE = frozenset({"nodes", "edges", "pageInfo"})


class Selected(NamedTuple):
    """A field that is asked for: `alias` is its name in the answer."""

    alias: str
    name: str
    details: FieldDetailsList


class Selection:
    """A type, and what is asked of its objects."""

    def __init__(
        self, executor: Executor[Any], type_: GraphQLOutputType, details: FieldDetailsList
    ) -> None:
        """What is below a field of that type."""
        named = get_named_type(type_)
        assert isinstance(named, GraphQLObjectType)
        self.type = named
        self._executor = executor
        self._fields: GroupedFieldSet = executor.collect_subfields(named, details).grouped_field_set

    def __iter__(self) -> Iterator[Selected]:
        for alias, details in self._fields.items():
            yield Selected(alias, details[0].node.name.value, details)

    def field(self, name: str) -> GraphQLField:
        """A field of the type."""
        field = self._executor.schema.get_field(self.type, name)
        assert field is not None
        return field

    def below(self, selected: Selected) -> "Selection":
        """What is asked below one of its fields."""
        return Selection(self._executor, self.field(selected.name).type, selected.details)

    def arguments(self, selected: Selected) -> dict[str, Any]:
        """The arguments of one of its fields."""
        field, node = self.field(selected.name), selected.details[0].node
        if not field.args and not node.arguments:
            return {}
        executor = self._executor
        return get_argument_values(
            field, node, executor.variable_values, selected.details[0].fragment_variable_values,
            executor.hide_suggestions,
        )  # fmt: skip


def reads_page(selection: Selection) -> bool:
    """Whether anything of a list's page is asked for, and not only what its whole is."""
    return not _OF_PAGE.isdisjoint(selected.name for selected in selection)


def needed_columns(entity: Entity, selection: Selection) -> Columns:
    """The columns of an entity that the selection of a list reads; None for all."""
    if entity.described is None:
        return None
    needed: set[str] = {"id"}
    for selected in selection:
        if selected.name == "nodes":
            nodes = [selection.below(selected)]
        elif selected.name == "edges":
            edges = selection.below(selected)
            if not _has_only(edges, ("cursor", "node")):
                return None
            nodes = [edges.below(each) for each in edges if each.name == "node"]
        else:
            continue
        for node in nodes:
            columns = _columns_of_nodes(entity, node)
            if columns is None:
                return None
            needed |= columns
    return frozenset(needed)


def _columns_of_nodes(entity: Entity, selection: Selection) -> set[str] | None:
    needed: set[str] = set()
    for selected in selection:
        if selected.name == "__typename":
            continue
        match kind_of(entity, selection.field(selected.name)):
            case FromColumn(column, _, _) | LeadsTo(_, column, _):
                needed.add(column)
            case Listed() | Counted():
                pass
            case _:
                return None
    return needed


def is_same_everywhere(entity: Entity, selection: Selection) -> bool:
    """Whether no error can have a path in it: then one answer is for all places of an object."""
    for selected in selection:
        if selected.name == "__typename":
            continue
        match kind_of(entity, selection.field(selected.name)):
            case FromColumn() | FromObject() | Counted():
                pass
            case LeadsTo(other, _, _):
                if not is_same_everywhere(ENTITIES[other], selection.below(selected)):
                    return False
            case _:
                return False
    return True


def _has_only(selection: Selection, names: Sequence[str]) -> bool:
    return {selected.name for selected in selection} <= {"__typename", *names}
