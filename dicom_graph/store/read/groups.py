"""The groups of a list: its objects by what some keys of theirs are, in one statement.

A key is a column, a count, or the values of an element; each as it is, in buckets of a width, or by
a part of a date or time. What an object does not have is a group as well. An object whose lists or
elements have several values may be in several groups, and is counted once in each.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Float,
    FromClause,
    Integer,
    Select,
    String,
    Time,
    and_,
    case,
    cast,
    distinct,
    func,
    literal,
    null,
    select,
    true,
)

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.store.formats import column_of
from dicom_graph.store.read.compare import compare
from dicom_graph.store.read.conditions import HasElement, Test
from dicom_graph.store.read.facets import element_values, value_column
from dicom_graph.store.read.filters import Filters
from dicom_graph.store.read.orders import order_key
from dicom_graph.store.read.relations import ENTITY_TABLES, RELATIONS, Parent
from dicom_graph.store.sql.dialect import FilterError, parent_table
from dicom_graph.store.sql.types import Text, UtcDateTime

Part = Literal["YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "HOUR"]
Where = Callable[[Filters, FromClause], Sequence[ColumnElement[bool]]]
_EXACT, _INT = Float(53), Integer()


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What a list is grouped by: a field by `name`, or the element at the end of a `path`.

    `each`: by every member of a list, not by the whole list. `width`: of buckets of numbers, the
    first of which begins at `start`; `bins`: how many there are in all, if that is known. `part`:
    of a date or time.
    """

    name: str | None = None
    path: tuple[HasElement, ...] = ()
    each: bool = False
    width: float | None = None
    start: float = 0.0
    bins: int | None = None
    part: Part | None = None

    @property
    def is_bucketed(self) -> bool:
        """Whether its values are put together."""
        return self.width is not None or self.part is not None


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """A page of groups. `having`: tests of how many objects a group has; `order`: of `count` and
    `key`, each with whether it descends.
    """

    keys: tuple[GroupKey, ...]
    having: tuple[Test, ...] = ()
    order: tuple[tuple[str, bool], ...] = (("count", True),)
    first: int = 100
    offset: int = 0


class GroupRow(NamedTuple):
    """A group: its keys as the database has them, and how many objects it has."""

    keys: tuple[Any, ...]
    n_objects: int


class GroupPage(NamedTuple):
    """A page of groups, and how many there are in all. `columns`: of each key that is an element,
    the column that its values have.
    """

    rows: list[GroupRow]
    total: int = 0
    columns: tuple[str | None, ...] = ()


@dataclass(frozen=True, slots=True)
class Grouped:
    """A list that is grouped: all of an entity, or those of parents through a relation."""

    filters: Filters
    entity: str
    relation: str | None
    parents: Sequence[Parent | None]
    where: Where

    def page(self, request: GroupRequest) -> Select[Any]:
        """Rows of parent, patient, number of groups, count, and keys."""
        rows = self._rows(request.keys)
        keys = [rows.c[f"key_{n}"] for n in range(len(request.keys))]
        sorts = [func.min(rows.c[f"sort_{n}"]).label(f"sort_{n}") for n in range(len(keys))]
        count = func.count(distinct(rows.c.owner)).label("n")
        conditions = [compare(self.filters.sqlite, count, test) for test in request.having]
        grouped = (
            select(rows.c.parent, rows.c.patient, count, *keys, *sorts)
            .group_by(rows.c.parent, rows.c.patient, *keys)
            .having(and_(true(), *conditions))
            .subquery("grouped")
        )
        of_parent = [grouped.c.parent, grouped.c.patient]
        number = func.row_number().over(
            partition_by=of_parent, order_by=_order(grouped, request, len(keys))
        )
        total = func.count().over(partition_by=of_parent).label("total")
        ranked = select(grouped, number.label("place"), total).subquery("ranked")
        place = ranked.c.place
        return (
            select(
                ranked.c.parent, ranked.c.patient, ranked.c.total, ranked.c.n,
                *(ranked.c[f"key_{n}"] for n in range(len(keys))),
            )
            .where(
                (place > request.offset) & (place <= request.offset + request.first) | (place == 1)
            )
            .order_by(place)
            .add_columns(place)
        )  # fmt: skip

    def columns(self, keys: Sequence[GroupKey]) -> tuple[str | None, ...]:
        """The column of the values of each key that is an element."""
        definitions = self.filters.definitions
        return tuple(value_column(definitions, key.path) if key.path else None for key in keys)

    def statistics(self, keys: Sequence[GroupKey], of: GroupKey) -> Select[Any]:
        """Rows of parent, patient, what is known of a value in each group, and keys."""
        rows = self._rows(keys, of)
        names = [rows.c[f"key_{n}"] for n in range(len(keys))]
        value = rows.c.value
        is_number = not isinstance(value.type, Date | Time | DateTime | UtcDateTime | String)
        return select(
            rows.c.parent, rows.c.patient, func.count(value), func.min(value), func.max(value),
            func.avg(value) if is_number else null(), func.sum(value) if is_number else null(),
            func.count(distinct(value)), *names,
        ).group_by(rows.c.parent, rows.c.patient, *names)  # fmt: skip

    def bounds(self, key: GroupKey) -> Select[Any]:
        """The least and the greatest number of a key, over the whole list."""
        rows = self._rows([replace(key, bins=None, each=True)])
        _require_number(rows.c.key_0)
        return select(func.min(rows.c.key_0), func.max(rows.c.key_0))

    def _rows(self, keys: Sequence[GroupKey], of: GroupKey | None = None) -> FromClause:
        """A row for each object and combination of its keys."""
        table: FromClause = ENTITY_TABLES[self.entity]
        source: FromClause = table
        filters = self.filters
        parent: list[ColumnElement[Any]] = [null(), null()]
        if self.relation is not None:
            parents = [parent for parent in self.parents if parent is not None]
            given = parent_table(filters.sqlite, parents)
            relation = RELATIONS[self.relation]
            source = given.join(table, relation.condition(table, given))
            parent = [given.c.id, given.c.patient_id]
        columns = [parent[0].label("parent"), parent[1].label("patient"), table.c.id.label("owner")]
        for n, key in enumerate(keys):
            source, value, sort = _key(filters, self.entity, table, source, key, f"values_{n}")
            columns += [value.label(f"key_{n}"), sort.label(f"sort_{n}")]
        if of is not None:
            source, value, _ = _key(filters, self.entity, table, source, of, "measured")
            columns.append(value.label("value"))
        listed = select(*columns).select_from(source).where(*self.where(filters, table))
        if of is not None and any(key.each or key.path for key in (*keys, of)):
            listed = listed.distinct()
        return listed.subquery("listed")


def is_of_page(row: Any, request: GroupRequest) -> bool:
    """Whether a row is of the page, and not only there to tell how many groups there are."""
    place: int = row.place
    return request.offset < place <= request.offset + request.first


def _order(grouped: FromClause, request: GroupRequest, n_keys: int) -> list[ColumnElement[Any]]:
    found: list[ColumnElement[Any]] = []
    asked = [*request.order, ("key", False)]
    for by, descending in asked:
        names = ["n"] if by == "count" else [
            name for n in range(n_keys) for name in (f"sort_{n}", f"key_{n}")
        ]  # fmt: skip
        for name in names:
            column = grouped.c[name]
            found.append(column.desc().nulls_last() if descending else column.asc().nulls_first())
    return found


def _key(
    filters: Filters, entity: str, table: FromClause, source: FromClause, key: GroupKey, name: str
) -> tuple[FromClause, ColumnElement[Any], ColumnElement[Any]]:
    """The join with what a key needs, its value, and what it is sorted by."""
    if key.path:
        is_list = not key.each and not key.is_bucketed
        values = element_values(filters, entity, key.path, whole=is_list, name=name)
        source = source.outerjoin(values, values.c.holder == table.c.id)
        value: ColumnElement[Any] = values.c.value
        sort: ColumnElement[Any] = values.c.sort
    else:
        assert key.name is not None
        source, value = _of_field(filters, entity, table, source, key, name)
        sort = value
    if key.width is not None:
        _require_number(value)
        value = sort = _bucket(cast(value, _EXACT), key)
    elif key.part is not None:
        value = sort = _part(filters.sqlite, value, key.part)
    return source, value, sort


def _of_field(
    filters: Filters, entity: str, table: FromClause, source: FromClause, key: GroupKey, name: str
) -> tuple[FromClause, ColumnElement[Any]]:
    assert key.name is not None
    if key.name in table.c and isinstance(table.c[key.name].type, JSON):
        column = column_of(table, key.name)
        if not key.each:
            return source, cast(column, Text)
        is_number = DESCRIBED[entity].by_name[key.name].type == list[float]
        if filters.sqlite:
            members = func.json_each(column).table_valued("value", name=name)
            return source.outerjoin(members, true()), members.c.value
        items = func.jsonb_array_elements_text(column).table_valued("value", name=name)
        value: ColumnElement[Any] = items.c.value
        return source.outerjoin(items, true()), cast(value, _EXACT) if is_number else value
    return source, order_key(filters.sqlite, entity, table, key.name)


def _require_number(value: ColumnElement[Any]) -> None:
    if not isinstance(value.type, Float | Integer):
        raise FilterError("`width` and `bins` are of numbers, and this is none")


def _bucket(value: ColumnElement[Any], key: GroupKey) -> ColumnElement[Any]:
    """The number of a value's bucket, from its bounds as Python computes them: no value lies
    outside of the bounds that are told.
    """
    start, width = literal(key.start, _EXACT), literal(key.width, _EXACT)
    # SQLAlchemy's floor on SQLite is Python's, which takes no NULL; one beside is mended below.
    near = cast(cast((value - start) / width, BigInteger), _EXACT)
    lower = case(
        (value < start + near * width, near - 1),
        (value >= start + (near + 1) * width, near + 1),
        else_=near,
    )
    if key.bins is None:
        return lower
    last = literal(float(key.bins - 1), _EXACT)
    return case((lower > last, last), (lower < 0, literal(0.0, _EXACT)), else_=lower)


_SQLITE_PARTS: dict[Part, Callable[[Any], ColumnElement[Any]]] = {
    "YEAR": lambda day: func.strftime("%Y-01-01", day),
    "MONTH": lambda day: func.strftime("%Y-%m-01", day),
    "WEEK": lambda day: func.date(day, "-6 days", "weekday 1"),
    "DAY": lambda day: func.date(day),
}


def _part(sqlite: bool, value: ColumnElement[Any], part: Part) -> ColumnElement[Any]:
    """The beginning of the part that a date or time lies in, in ISO 8601."""
    type_ = value.type
    if isinstance(type_, Time):
        if part != "HOUR":
            raise FilterError(f"a time of day has no {part}: group it by HOUR")
        if sqlite:
            return func.strftime("%H:00:00", value, type_=Text)
        return func.to_char(func.date_trunc("hour", value), "HH24:00:00", type_=Text)
    is_moment = isinstance(type_, DateTime | UtcDateTime)
    if not is_moment and not isinstance(type_, Date):
        raise FilterError("`part` is of dates and times, and this is neither")
    if sqlite and isinstance(type_, UtcDateTime):
        value = func.datetime(cast(value, _INT) / literal(1_000_000, _INT), "unixepoch", type_=Text)
    if part == "HOUR":
        if not is_moment:
            raise FilterError("a date has no HOUR")
        if sqlite:
            return func.strftime("%Y-%m-%dT%H:00:00", value, type_=Text)
        return func.to_char(_in_utc(value), 'YYYY-MM-DD"T"HH24:00:00', type_=Text)
    if sqlite:
        if part == "QUARTER":
            month = cast(func.strftime("%m", value), _INT)
            first = (month - 1) // 3 * 3 + 1
            return func.strftime("%Y-", value, type_=Text) + func.printf("%02d-01", first)
        return cast(_SQLITE_PARTS[part](value), Text)
    moment = _in_utc(value) if is_moment else value
    return func.to_char(func.date_trunc(part.lower(), moment), "YYYY-MM-DD", type_=Text)


def _in_utc(value: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.timezone("UTC", value) if isinstance(value.type, UtcDateTime) else value
