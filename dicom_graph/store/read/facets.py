"""The distinct values of a field or an element, with the number of entities that have each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    cast,
    distinct,
    func,
    select,
    union_all,
)
from sqlalchemy.types import JSON

from dicom_graph.store.read.compare import FilterError
from dicom_graph.store.read.conditions import Condition, HasElement
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.filters import Filters
from dicom_graph.store.read.holders import is_wanted
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.tables import (
    DataElement,
    DataElementValue,
    ElementSetMember,
    Header,
    HeaderElement,
    Image,
    Series,
)
from dicom_graph.store.types import Text

_NUMBER_VRS = frozenset({"AS", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})


class FacetValue(NamedTuple):
    """A value, None where it is missing, and how many entities have it."""

    value: Any
    n_entities: int


def field_facet(
    filters: Filters, entity: str, name: str, wanted: Condition | None, limit: int
) -> Select[Any]:
    """Values of a column, the most frequent first; a list is one value, as JSON text."""
    table = ENTITY_TABLES[entity]
    column: ColumnElement[Any] = table.c[name]
    if isinstance(column.type, JSON):
        column = cast(column, Text)
    narrowed = [] if wanted is None else [filters.where(entity, table, wanted)]
    count = func.count()
    return (
        select(column, count)
        .select_from(table)
        .where(*narrowed)
        .group_by(column)
        .order_by(count.desc(), column)
        .limit(limit)
    )


def element_facet(
    filters: Filters,
    entity: str,
    path: Sequence[HasElement],
    wanted: Condition | None,
    limit: int,
) -> Select[Any]:
    """Values of the element at the end of a path of names, the most frequent first.

    Raises FilterError for elements whose values are neither text nor number.
    """
    leaves = _named(filters.definitions, path[-1])
    column = _value_column(leaves)
    holders = _holders(filters.definitions, leaves, path[:-1])
    table, owner, joined = _owners(entity, holders)
    narrowed = [] if wanted is None else [filters.where(entity, table, wanted)]
    count = func.count(distinct(owner))
    return (
        select(column, count)
        .select_from(joined.join(DataElementValue, DataElementValue.element_id == holders.c.leaf))
        .where(
            DataElementValue.definition_id.in_([leaf.id for leaf in leaves]),
            column.is_not(None),
            *narrowed,
        )
        .group_by(column)
        .order_by(count.desc(), column)
        .limit(limit)
    )


def _named(definitions: Mapping[int, DefinitionRow], name: HasElement) -> list[DefinitionRow]:
    return [definition for definition in definitions.values() if is_wanted(name, definition)]


def _value_column(leaves: Sequence[DefinitionRow]) -> ColumnElement[Any]:
    kinds = {definition.vr in _NUMBER_VRS for definition in leaves}
    if kinds == {True}:
        return DataElementValue.number.expression
    if any(definition.vr == "SQ" for definition in leaves):
        raise FilterError("a sequence has no values: name an element inside it")
    return DataElementValue.text.expression


def _holders(
    definitions: Mapping[int, DefinitionRow],
    leaves: Sequence[DefinitionRow],
    path: Sequence[HasElement],
) -> FromClause:
    """Which images hold which elements, through the sequences of the path: `(leaf, image_id)`."""
    found = (
        select(DataElementValue.element_id.label("leaf"), DataElementValue.element_id.label("at"))
        .where(DataElementValue.definition_id.in_([leaf.id for leaf in leaves]))
        .distinct()
        .cte("leaves")
    )
    for place, step in enumerate(reversed(path)):
        ids = [definition.id for definition in _named(definitions, step)]
        above = (
            select(found.c.leaf, Header.element_id.label("at"))
            .join(HeaderElement, HeaderElement.element_id == found.c.at)
            .join(Header, Header.id == HeaderElement.header_id)
            .join(DataElement, DataElement.id == Header.element_id)
            .where(DataElement.definition_id.in_(ids))
        )
        if step.index is not None:
            above = above.where(Header.index == step.index)
        found = above.distinct().cte(f"step_{place}")
    own = (
        select(found.c.leaf, Header.image_id)
        .join(HeaderElement, HeaderElement.element_id == found.c.at)
        .join(Header, Header.id == HeaderElement.header_id)
        .where(Header.image_id.is_not(None))
    )
    shared = (
        select(found.c.leaf, Header.image_id)
        .join(ElementSetMember, ElementSetMember.element_id == found.c.at)
        .join(Header, Header.shared_set_id == ElementSetMember.set_id)
    )
    return union_all(own, shared).subquery("holders")


def _owners(entity: str, holders: FromClause) -> tuple[FromClause, ColumnElement[Any], FromClause]:
    """The entity's table, the entity of a holder, and the join that leads there."""
    table = ENTITY_TABLES[entity]
    if entity == "image":
        return table, table.c.id, holders.join(table, table.c.id == holders.c.image_id)
    images = holders.join(Image, Image.id == holders.c.image_id)
    if entity == "series":
        return table, table.c.id, images.join(table, table.c.id == Image.series_id)
    owner = Series.study_id if entity == "study" else Series.patient_id
    series = images.join(Series, Series.id == Image.series_id)
    return table, table.c.id, series.join(table, table.c.id == owner)
