"""The distinct values of a field or an element, with the number of entities that have each."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Float,
    FromClause,
    Select,
    cast,
    distinct,
    func,
    select,
    true,
)
from sqlalchemy.types import JSON

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.store.formats import FORMAT_FIELDS, column_of
from dicom_graph.store.read.conditions import Condition, HasElement
from dicom_graph.store.read.element_values import (
    holders_of_path,
    is_held_once,
    owners_of,
    single_values,
    value_column,
)
from dicom_graph.store.read.filters import Filters
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.sql.types import Text
from dicom_graph.store.tables.columns import DATA_ELEMENT_VALUE

_EXACT = Float(53)


class FacetValue(NamedTuple):
    """A value, None where it is missing, and how many entities have it."""

    value: Any
    n_entities: int


def field_facet(
    filters: Filters, entity: str, name: str, wanted: Condition | None, limit: int, *, each: bool
) -> Select[Any]:
    """Values of a column, the most frequent first; a list is one value, as JSON text, or with
    `each` each of its members.
    """
    table = ENTITY_TABLES[entity]
    if each and isinstance(table.c[name].type, JSON):
        return _members(filters, entity, table, name, wanted, limit)
    narrowed = [] if wanted is None else [filters.where(entity, table, wanted)]
    rows: FromClause = table
    count: ColumnElement[int] = func.count()
    if name in FORMAT_FIELDS:
        # A few formats are looked up, not one for each image.
        formats = select(table.c.format_id, count.label("n_images")).where(*narrowed)
        rows, narrowed = formats.group_by(table.c.format_id).subquery(), []
        count = cast(func.sum(rows.c.n_images), BigInteger)
    value = column_of(rows, name)
    if isinstance(value.type, JSON):
        value = cast(value, Text)
    value = value.label("value")
    return (
        select(value, count)
        .select_from(rows)
        .where(*narrowed)
        .group_by(value)
        .order_by(count.desc(), value.asc().nulls_first())
        .limit(limit)
    )


def _members(
    filters: Filters,
    entity: str,
    table: FromClause,
    name: str,
    wanted: Condition | None,
    limit: int,
) -> Select[Any]:
    source, value = _with_members(filters, entity, table, name, "members")
    value = value.label("value")
    count = func.count(distinct(table.c.id))
    return (
        select(value, count)
        .select_from(source)
        .where(*([] if wanted is None else [filters.where(entity, table, wanted)]))
        .group_by(value)
        .order_by(count.desc(), value.asc().nulls_first())
        .limit(limit)
    )


def _with_members(
    filters: Filters, entity: str, source: FromClause, name: str, alias: str
) -> tuple[FromClause, ColumnElement[Any]]:
    """Rows with the members of an entity's list, NULL where it has none; and the member."""
    column = column_of(ENTITY_TABLES[entity], name)
    is_number = DESCRIBED[entity].by_name[name].type == list[float]
    if filters.sqlite:
        members = func.json_each(column).table_valued("value", name=alias)
        return source.outerjoin(members, true()), members.c.value
    items = func.jsonb_array_elements_text(column).table_valued("value", name=alias)
    value: ColumnElement[Any] = items.c.value
    return source.outerjoin(items, true()), cast(value, _EXACT) if is_number else value


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
    definitions, name = filters.definitions, path[-1]
    column = value_column(definitions, name)
    if column.key not in ("text", "number"):
        column = DATA_ELEMENT_VALUE.text
    values = single_values(definitions, name, column).subquery("leaf_values")
    holders = holders_of_path(definitions, path, column, images=entity == "image", label="held")
    joined, owner = owners_of(entity, holders)
    if wanted is not None:
        table = ENTITY_TABLES[entity].alias("counted")
        condition = filters.where(entity, table, wanted)
        joined = joined.join(table, (table.c.id == owner) & condition)
    # In sequences and private blocks an element may recur.
    is_once = entity == "image" and is_held_once(definitions, path)
    count = func.count() if is_once else func.count(distinct(owner))
    return (
        select(values.c.value, count)
        .select_from(joined.join(values, values.c.leaf == holders.c.leaf))
        .where(owner.is_not(None))
        .group_by(values.c.value)
        .order_by(count.desc(), values.c.value)
        .limit(limit)
    )
