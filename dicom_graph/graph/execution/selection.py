"""What is asked of the objects of a type, looked at once.

graphql-core collects the fields of a selection for each operation anew. Here a selection knows how
each of its fields is answered, which columns that needs, and the selections below; it holds for all
operations of a document that skip and include the same fields (see `plans`).
"""

from functools import cached_property
from typing import Any, NamedTuple

from graphql import (
    FragmentDefinitionNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLSchema,
    OperationDefinitionNode,
    get_named_type,
    is_non_null_type,
)
from graphql.execution.collect_fields import (
    FieldDetailsList,
    FragmentDetails,
    collect_subfields,
)
from graphql.execution.values import VariableValues

from dicom_graph.graph.batch_marks import Counted, LeadsTo, Listed
from dicom_graph.graph.execution.field_kinds import FromColumn, FromObject, Kind, kind_of
from dicom_graph.graph.registry import ENTITIES, Entity
from dicom_graph.store.formats import Columns
from dicom_graph.store.read.page_counts import count_name

_OF_PAGE = frozenset({"nodes", "edges", "pageInfo"})
_OF_LIST = frozenset({"totalCount", "aggregate", "groups"})


class Source(NamedTuple):
    """Where selections are collected from: a document, with the variables that decide what is
    skipped and included.
    """

    schema: GraphQLSchema
    operation: OperationDefinitionNode
    fragments: dict[str, FragmentDetails]
    definitions: dict[str, FragmentDefinitionNode]
    variables: VariableValues
    hide_suggestions: bool = False


class Selected:
    """A field of a selection: `alias` is its name in the answer.

    `field` is None for `__typename`.
    """

    def __init__(
        self, source: Source, parent: GraphQLObjectType, alias: str, details: FieldDetailsList
    ) -> None:
        self.alias = alias
        self.details = details
        self.name = details[0].node.name.value
        self.field: GraphQLField | None = (
            None if self.name == "__typename" else parent.fields[self.name]
        )
        self._source = source
        self._kind: tuple[Kind] | None = None
        self.arguments: Any = None
        """What `arguments` knows of them; None before that was asked."""

    def kind(self, entity: Entity) -> Kind:
        """How it is answered of an entity, whose type is always the same."""
        if self._kind is None:
            assert self.field is not None
            self._kind = (kind_of(entity, self.field),)
        return self._kind[0]

    @property
    def output(self) -> GraphQLOutputType:
        """The type of its values."""
        assert self.field is not None
        return self.field.type

    @cached_property
    def is_required(self) -> bool:
        """Whether it is never null."""
        return is_non_null_type(self.output)

    @cached_property
    def selection(self) -> "Selection":
        """What is asked of its objects."""
        type_ = get_named_type(self.output)
        assert isinstance(type_, GraphQLObjectType)
        return Selection(self._source, type_, self.details)


class Selection:
    """What is asked of the objects of a type."""

    def __init__(self, source: Source, type_: GraphQLObjectType, details: FieldDetailsList) -> None:
        self.type = type_
        self.fields: list[Selected] = [
            Selected(source, type_, alias, of_field)
            for alias, of_field in collect_subfields(
                source.schema, source.fragments, source.variables, source.operation, type_, details,
                source.hide_suggestions,
            ).grouped_field_set.items()
        ]  # fmt: skip
        self.aliases = [field.alias for field in self.fields]
        self.n_bytes = sum(map(len, self.aliases)) + 4 * len(self.aliases)
        """Of the names in an answer, about."""

    @cached_property
    def reads_page(self) -> bool:
        """Of a list: whether anything of its page is asked for, and not only what its whole is.

        Where nothing is asked that needs the list's conditions, the page shows what is wrong there.
        """
        names = {field.name for field in self.fields}
        return not names.isdisjoint(_OF_PAGE) or names.isdisjoint(_OF_LIST)

    @cached_property
    def repeated(self) -> frozenset[str]:
        """The fields that are asked for under several names."""
        names = [field.name for field in self.fields]
        return frozenset(name for name in names if names.count(name) > 1)

    @cached_property
    def _columns(self) -> dict[str, frozenset[str] | None]:
        return {}

    def page_columns(self, entity: Entity) -> Columns:
        """Of a list of entities: the columns that its page needs; None for all."""
        if entity.described is None:
            return None
        known = self._columns
        if entity.name not in known:
            known[entity.name] = self._page_columns(entity)
        return known[entity.name]

    def _page_columns(self, entity: Entity) -> Columns:
        needed: set[str] = {"id"}
        for field in self.fields:
            if field.name == "nodes":
                parts = [field.selection]
            elif field.name == "edges":
                edge = field.selection
                if not {each.name for each in edge.fields} <= {
                    "__typename",
                    "cursor",
                    "node",
                }:
                    return None
                parts = [each.selection for each in edge.fields if each.name == "node"]
            else:
                continue
            for part in parts:
                columns = part._row_columns(entity)
                if columns is None:
                    return None
                needed |= columns
        return frozenset(needed)

    def _row_columns(self, entity: Entity) -> set[str] | None:
        needed: set[str] = set()
        for field in self.fields:
            if field.field is None:
                continue
            match field.kind(entity):
                case FromColumn(column, _, _) | LeadsTo(_, column, _):
                    needed.add(column)
                case Counted(relation):
                    needed.add(count_name(relation))
                case Listed():
                    pass
                case _:
                    return None
        return needed

    @cached_property
    def _same(self) -> dict[str, bool]:
        return {}

    def is_same_everywhere(self, entity: Entity) -> bool:
        """Whether no error can have a path in it: then one answer is for all places."""
        known = self._same
        if entity.name not in known:
            known[entity.name] = all(_is_same_everywhere(entity, field) for field in self.fields)
        return known[entity.name]


def _is_same_everywhere(entity: Entity, field: Selected) -> bool:
    if field.field is None:
        return True
    match field.kind(entity):
        case FromColumn() | FromObject() | Counted():
            return True
        case LeadsTo(other, _, _):
            return field.selection.is_same_everywhere(ENTITIES[other])
    return False
