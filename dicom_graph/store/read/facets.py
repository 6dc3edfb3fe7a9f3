"""The distinct values of a field or an element, with the number of entities that have each."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
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

from dicom_graph.store.formats import FORMAT_FIELDS, column_of
from dicom_graph.store.postings import postings
from dicom_graph.store.read.conditions import Condition, HasElement
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.filters import Filters
from dicom_graph.store.read.holders import in_block, is_wanted
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.sql.dialect import FilterError, join_in_order
from dicom_graph.store.sql.types import Text
from dicom_graph.store.tables.archive import ElementSetMember, HeaderElement
from dicom_graph.store.tables.columns import (
    DATA_ELEMENT,
    DATA_ELEMENT_VALUE,
    ELEMENT_SET,
    HEADER,
    IMAGE,
    SERIES,
)

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
    values = (
        select(DATA_ELEMENT_VALUE.element_id.label("leaf"), column.label("value"))
        .where(
            DATA_ELEMENT_VALUE.definition_id.in_([leaf.id for leaf in leaves]),
            column.is_not(None),
            *_in_block(path[-1]),
        )
        .distinct()
        .subquery("leaf_values")
    )
    holders = _holders(filters.definitions, leaves, path[:-1], images=entity == "image")
    joined, owner = _owners(filters, entity, holders, wanted)
    # A header holds a standard element once; in sequences and private blocks it may recur.
    is_once = entity == "image" and len(path) == 1 and not any(x.private_creator for x in leaves)
    count = func.count() if is_once else func.count(distinct(owner))
    return (
        select(values.c.value, count)
        .select_from(joined.join(values, values.c.leaf == holders.c.leaf))
        .where(owner.is_not(None))
        .group_by(values.c.value)
        .order_by(count.desc(), values.c.value)
        .limit(limit)
    )


def element_values(
    filters: Filters, entity: str, path: Sequence[HasElement], *, whole: bool, name: str
) -> FromClause:
    """Which entities hold which values of the element at the end of a path.

    Rows of `holder`, the entity's id, `value` and what it is sorted by, `sort`. `whole`: all values
    of an element in one, as a JSON array. Raises FilterError for what has no values.
    """
    leaves = _named(filters.definitions, path[-1])
    column = _typed_column(leaves)
    of_element = DATA_ELEMENT_VALUE.element_id
    shown = [
        DATA_ELEMENT_VALUE.definition_id.in_([leaf.id for leaf in leaves]), *_in_block(path[-1]),
    ]  # fmt: skip
    if whole:
        array = func.json_group_array if filters.sqlite else func.json_agg
        window: dict[str, Any] = {
            "partition_by": of_element, "order_by": DATA_ELEMENT_VALUE.index, "rows": (None, None),
        }  # fmt: skip
        rows = (
            select(
                of_element.label("leaf"),
                DATA_ELEMENT_VALUE.index.label("index"),
                cast(array(column).over(**window), Text).label("value"),
                func.count(column).over(**window).label("n"),
                column.label("sort"),
            )
            .where(*shown)
            .subquery()
        )
        is_there = (rows.c.index == 0) & (rows.c.n > 0)
        found = select(rows.c.leaf, rows.c.value, rows.c.sort).where(is_there)
    else:
        found = select(of_element.label("leaf"), column.label("value"), column.label("sort"))
        found = found.where(*shown, column.is_not(None))
    values = found.subquery(f"{name}_of_elements")
    holders = _holders(filters.definitions, leaves, path[:-1], images=entity == "image", name=name)
    joined, owner = _owners(filters, entity, holders, None)
    return (
        select(owner.label("holder"), values.c.value, values.c.sort)
        .select_from(joined.join(values, values.c.leaf == holders.c.leaf))
        .where(owner.is_not(None))
        .distinct()
        .subquery(name)
    )


def value_column(definitions: Mapping[int, DefinitionRow], path: Sequence[HasElement]) -> str:
    """The name of the column that has the values of an element."""
    return str(_typed_column(_named(definitions, path[-1])).key)


def _typed_column(leaves: Sequence[DefinitionRow]) -> ColumnElement[Any]:
    """The column of dates and times too, where all definitions have it."""
    vrs = {definition.vr for definition in leaves}
    if vrs == {"DA"}:
        return DATA_ELEMENT_VALUE.date
    if vrs == {"TM"}:
        return DATA_ELEMENT_VALUE.time
    return _value_column(leaves)


def _in_block(name: HasElement) -> list[ColumnElement[bool]]:
    """That a value's element lies in the block that the name's tag has."""
    block = in_block(name)
    element = select(DATA_ELEMENT.id).where(
        DATA_ELEMENT.id == DATA_ELEMENT_VALUE.element_id, *block
    )
    return [element.exists()] if block else []


def _named(definitions: Mapping[int, DefinitionRow], name: HasElement) -> list[DefinitionRow]:
    return [definition for definition in definitions.values() if is_wanted(name, definition)]


def _value_column(leaves: Sequence[DefinitionRow]) -> ColumnElement[Any]:
    kinds = {definition.vr in _NUMBER_VRS for definition in leaves}
    if kinds == {True}:
        return DATA_ELEMENT_VALUE.number
    if any(definition.vr == "SQ" for definition in leaves):
        raise FilterError("a sequence has no values: name an element inside it")
    return DATA_ELEMENT_VALUE.text


def _holders(
    definitions: Mapping[int, DefinitionRow],
    leaves: Sequence[DefinitionRow],
    path: Sequence[HasElement],
    *,
    images: bool,
    name: str = "holders",
) -> FromClause:
    """Which images (or series) hold which elements, through the sequences of the path.

    Returns `(leaf, holder)`: the id of an image, or of a series.
    """
    found = (
        select(
            DATA_ELEMENT_VALUE.element_id.label("leaf"), DATA_ELEMENT_VALUE.element_id.label("at")
        )
        .where(DATA_ELEMENT_VALUE.definition_id.in_([leaf.id for leaf in leaves]))
        .distinct()
        .cte(f"{name}_leaves")
    )
    for place, step in enumerate(reversed(path)):
        items = postings(HeaderElement).up_to(HEADER.id, found.c.at)
        ids = [definition.id for definition in _named(definitions, step)]
        above = (
            select(found.c.leaf, HEADER.element_id.label("at"))
            .select_from(join_in_order(items, DATA_ELEMENT.id, HEADER.element_id))
            .where(DATA_ELEMENT.definition_id.in_(ids), *in_block(step))
        )
        if step.index is not None:
            above = above.where(HEADER.index == step.index)
        found = above.distinct().cte(f"{name}_step_{place}")
    held, member = postings(HeaderElement), postings(ElementSetMember)
    headers = held.up_to(HEADER.id, found.c.at)
    if images:
        own = select(found.c.leaf, HEADER.image_id.label("holder")).select_from(headers)
        shared = select(found.c.leaf, HEADER.image_id.label("holder")).select_from(
            member.up_to(HEADER.shared_set_id, found.c.at)
        )
    else:
        of_images = join_in_order(headers, IMAGE.id, HEADER.image_id)
        own = select(found.c.leaf, IMAGE.series_id.label("holder")).select_from(of_images)
        # A set is of one series: no need to look at all headers that use it, one is enough.
        in_use = select(HEADER.id).where(HEADER.shared_set_id == ELEMENT_SET.id).exists()
        shared = (
            select(found.c.leaf, ELEMENT_SET.series_id.label("holder"))
            .select_from(member.up_to(ELEMENT_SET.id, found.c.at))
            .where(in_use)
        )
    return union_all(own.where(HEADER.image_id.is_not(None)), shared).subquery(f"{name}_holders")


def _owners(
    filters: Filters, entity: str, holders: FromClause, wanted: Condition | None
) -> tuple[FromClause, ColumnElement[Any]]:
    """The join from holders to the counted entities, and their id in it."""
    joined: FromClause = holders
    owner: ColumnElement[Any] = holders.c.holder
    if entity in ("study", "patient"):
        joined = holders.join(ENTITY_TABLES["series"], SERIES.id == holders.c.holder)
        owner = SERIES.study_id if entity == "study" else SERIES.patient_id
    if wanted is not None:
        table = ENTITY_TABLES[entity].alias("counted")
        condition = filters.where(entity, table, wanted)
        joined = joined.join(table, (table.c.id == owner) & condition)
    return joined, owner
