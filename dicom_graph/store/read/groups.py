"""The groups of a list: its objects by what some keys of theirs are, in one statement.

A key is a column, a count, the values of an element or of a CSA header; each as it is, in buckets,
or by a part of a date or time. What an object does not have is a group as well. An object whose
lists or elements have several values may be in several groups, and is counted once in each.

Where an object has one value of each key, or one element of its header that has all, the objects
are counted before anything is known of values: there are few different ones.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    ColumnElement,
    CompoundSelect,
    Float,
    FromClause,
    Integer,
    Select,
    and_,
    case,
    cast,
    distinct,
    func,
    literal,
    null,
    select,
    true,
    type_coerce,
    union_all,
)
from sqlalchemy.types import NullType

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.store.formats import column_of
from dicom_graph.store.read.compare import compare
from dicom_graph.store.read.conditions import DiffersFromMajority, HasElement
from dicom_graph.store.read.csa_values import csa_values
from dicom_graph.store.read.element_values import (
    elements_of_images,
    holders_of_path,
    is_held_once,
    owners_of,
    single_values,
    value_column,
    whole_values,
)
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.filters import Filters
from dicom_graph.store.read.group_buckets import EXACT, bounds_of, in_bins, key_of
from dicom_graph.store.read.group_requests import PARENT, Bounds, GroupKey, GroupRequest
from dicom_graph.store.read.orders import order_key
from dicom_graph.store.read.relations import ENTITY_TABLES, RELATIONS, Parent
from dicom_graph.store.sql.many_values import parent_table, taken_for_many
from dicom_graph.store.sql.types import Text
from dicom_graph.store.tables.columns import HEADER

Where = Callable[[Filters, FromClause], Sequence[ColumnElement[bool]]]


@dataclass(slots=True)
class _Source:
    """A list of objects, joined with what its keys need so far. `header`: that of images."""

    table: FromClause
    joined: FromClause
    parent: list[ColumnElement[Any]]
    header: FromClause | None = None
    columns: list[ColumnElement[Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Grouped:
    """A list that is grouped: all of an entity, or those of parents through a relation."""

    filters: Filters
    entity: str
    relation: str | None
    parents: Sequence[Parent | None]
    where: Where

    def page(self, request: GroupRequest) -> Select[Any]:
        """Rows of the place, the parent, the patient, the number of groups, the count, the keys,
        and of each key in bins its bounds. See `group_row`.
        """
        keys = request.keys
        grouped = self._groups(keys, request)
        of_parent = [grouped.c[name] for name in PARENT]
        order = _order(grouped, request, len(keys))
        place = func.row_number().over(partition_by=of_parent, order_by=order).label("place")
        total = func.count().over(partition_by=of_parent).label("total")
        ranked = select(grouped, place, total).subquery("ranked")
        named = [*PARENT, "total", "n", *_names("key", keys)]
        named += [f"{what}_{n}" for n in in_bins(keys) for what in Bounds._fields]
        told = [ranked.c[name] for name in named]
        joined: FromClause = ranked
        if request.has_distinct:
            objects = self._n_objects(request)
            joined = ranked.join(objects, self._is_same_parent(ranked, objects))
            told.append(objects.c.n_objects)
        at = ranked.c.place
        is_of_page = (at > request.offset) & (at <= request.offset + request.first)
        # The first tells how many there are, also where the page is empty.
        return select(at, *told).select_from(joined).where(is_of_page | (at == 1)).order_by(at)

    def columns(self, keys: Sequence[GroupKey]) -> tuple[str | None, ...]:
        """The column of the values of each key that is an element."""
        return tuple(str(self._value_column(key).key) if key.path else None for key in keys)

    def figures(
        self, request: GroupRequest, values: Sequence[GroupKey]
    ) -> tuple[Select[Any] | CompoundSelect[Any], list[Any]]:
        """What is known of values in each group, in one statement, and the values' types.

        Rows of parent, patient, the six figures of `Statistics`, the keys of the group, and the
        place of the value.
        """
        parts, types = [], []
        for place, of in enumerate(values):
            found, type_ = self._statistics(request, of, place)
            parts.append(found.add_columns(literal(place).label("place")))
            types.append(type_)
        return parts[0] if len(parts) == 1 else union_all(*parts), types

    def differing(self, condition: DiffersFromMajority) -> Select[Any]:
        """The ids, as `owner`, of the objects that a condition is true of."""
        told = self._beside_majority(condition)
        if condition.is_tied:
            return select(told.c.owner).where(told.c.n_most > told.c.most)
        return select(told.c.owner).where(told.c.n < told.c.most, told.c.n_most == told.c.most)

    def tied(self, condition: DiffersFromMajority) -> Select[Any]:
        """How many groups have no majority, and how many different objects are of them."""
        told = self._beside_majority(condition)
        names = _names("key", condition.within)
        tied = select(told).where(told.c.n_most > told.c.most).cte("tied")
        groups = select(*([tied.c[name] for name in names] or [literal(1)])).select_from(tied)
        n_groups = select(func.count()).select_from(groups.distinct().subquery("tied_groups"))
        n_objects = select(func.count(distinct(tied.c.owner)))
        return select(n_groups.scalar_subquery(), n_objects.scalar_subquery())

    def _beside_majority(self, condition: DiffersFromMajority) -> FromClause:
        """A row for each object and combination of keys: how many have it (`n`), how many have the
        most frequent one of the group (`most`), and how many have one as frequent (`n_most`).
        """
        keys = condition.keys
        found = self._bucketed(self._each_owner(keys), keys)
        names = _names("key", keys)
        rows = select(found.c.owner, *(found.c[name] for name in names)).distinct().subquery("rows")
        within = names[: len(condition.within)]
        n = func.count().over(partition_by=[rows.c[name] for name in names]).label("n")
        counted = select(rows, n).subquery("counted_rows")
        partition = [counted.c[name] for name in within]
        most = func.max(counted.c.n).over(partition_by=partition).label("most")
        ranked = select(counted, most).subquery("ranked_rows")
        partition = [ranked.c[name] for name in within]
        is_most = case((ranked.c.n == ranked.c.most, 1), else_=0)
        n_most = func.sum(is_most).over(partition_by=partition).label("n_most")
        return select(ranked, n_most).subquery("told_rows")

    def _statistics(
        self, request: GroupRequest, of: GroupKey, place: int
    ) -> tuple[Select[Any], Any]:
        """Of each group and what of its objects is measured: how many have it, the least and the
        greatest, mean, sum, and how many different ones there are. Each of an object counts.
        """
        keys = (*request.keys, of)
        rows = self._bucketed(self._each_owner(keys), keys, f"_of_{place}")
        if not all(key.name is not None and self._is_single(key) for key in keys):
            told = [rows.c[name] for name in (*PARENT, "owner", *_names("key", keys))]
            rows = select(*told).distinct().subquery("measured")
        names = [rows.c[name] for name in _names("key", request.keys)]
        value = rows.c[f"key_{len(request.keys)}"]
        is_number = isinstance(value.type, Float | Integer)
        found = select(
            rows.c.parent, rows.c.patient,
            func.count(distinct(rows.c.owner)).filter(value.is_not(None)),
            self._as_written(func.min(value)), self._as_written(func.max(value)),
            cast(func.avg(value) if is_number else null(), EXACT),
            cast(func.sum(value) if is_number else null(), EXACT),
            func.count(distinct(value)), *names,
        ).group_by(rows.c.parent, rows.c.patient, *names)  # fmt: skip
        return found, value.type

    def _n_objects(self, request: GroupRequest) -> FromClause:
        """Of each list how many objects its groups hold together, each counted once."""
        keys = request.keys
        if not request.having:
            # Each is in a group.
            rows: FromClause = self._each_owner(()).cte()
            joined = rows
        else:
            rows = self._bucketed(self._each_owner(keys), keys, "again")
            groups = self._groups(keys, request, "again")
            names = [*PARENT, *_names("key", keys)]
            same = [rows.c[name].is_not_distinct_from(groups.c[name]) for name in names]
            joined = rows.join(groups, and_(*same))
        count = func.count(distinct(rows.c.owner)).label("n_objects")
        counted = select(rows.c.parent, rows.c.patient, count).select_from(joined)
        return counted.group_by(rows.c.parent, rows.c.patient).subquery("n_objects")

    def _as_written(self, value: Any) -> ColumnElement[Any]:
        """A value of any type as a statement for several gives it: see `measured`."""
        return type_coerce(value, NullType) if self.filters.sqlite else cast(value, Text)

    def _groups(
        self, keys: Sequence[GroupKey], request: GroupRequest, label: str = ""
    ) -> FromClause:
        """All groups with their counts, and what they are sorted by."""
        if all(map(self._is_single, keys)):
            rows = self._bucketed(self._counted(keys), keys, f"{label}_counted")
            count: ColumnElement[Any] = cast(func.sum(rows.c.n), BigInteger)
        else:
            rows = self._bucketed(self._each_owner(keys), keys, f"{label}_each")
            count = func.count(distinct(rows.c.owner))
        of_group = [rows.c[name] for name in (*PARENT, *_names("key", keys))]
        of_group += [rows.c[f"{what}_{n}"] for n in in_bins(keys) for what in Bounds._fields]
        sorts = [func.min(rows.c[name]).label(name) for name in _names("sort", keys)]
        conditions = [compare(self.filters.sqlite, count, test) for test in request.having]
        return (
            select(*of_group, count.label("n"), *sorts)
            .group_by(*of_group)
            .having(and_(true(), *conditions))
            .subquery(f"grouped{label}")
        )

    def _is_single(self, key: GroupKey) -> bool:
        """Whether an object has one value of a key, or one element with all values, at most."""
        if key.path:
            return self.entity == "image" and is_held_once(self.filters.definitions, key.path)
        return key.csa is None and not (self._is_list(key) and not key.is_whole)

    def _is_list(self, key: GroupKey) -> bool:
        column = ENTITY_TABLES[self.entity].c.get(key.name or "")
        return column is not None and isinstance(column.type, JSON)

    def _value_column(self, key: GroupKey) -> ColumnElement[Any]:
        return value_column(self.filters.definitions, key.path[-1], is_number=key.is_numeric)

    def _counted(self, keys: Sequence[GroupKey]) -> Select[Any]:
        """A row for each combination of values, with the number of objects that have it."""
        source = self._source()
        held = [self._held_column(source, key, n) for n, key in enumerate(keys)]
        parent, patient = source.parent
        columns = [parent.label("parent"), patient.label("patient")]
        columns += [column.label(f"held_{n}") for n, column in enumerate(held)]
        where = self.where(self.filters, source.table)
        objects = select(*columns).select_from(source.joined).where(*where).cte()
        counted = select(objects, func.count().label("n")).group_by(*objects.c).subquery("counted")
        joined: FromClause = counted
        found: list[ColumnElement[Any]] = [*counted.c]
        for n, key in enumerate(keys):
            value = sort = counted.c[f"held_{n}"]
            if key.path:
                values = self._values(key, f"values_{n}")
                joined = joined.outerjoin(values, values.c.leaf == value)
                value, sort = values.c.value, values.c.sort
            found += [value.label(f"value_{n}"), sort.label(f"sort_{n}")]
        return select(*found).select_from(joined)

    def _held_column(self, source: _Source, key: GroupKey, n: int) -> ColumnElement[Any]:
        if key.path:
            return self._join_element(source, key, f"element_{n}")
        return self._join_field(source, key, f"value_{n}")

    def _each_owner(self, keys: Sequence[GroupKey]) -> Select[Any]:
        """A row for each object and combination of values."""
        source = self._source()
        parent, patient = source.parent
        owner = source.table.c.id
        columns = [parent.label("parent"), patient.label("patient"), owner.label("owner")]
        for n, key in enumerate(keys):
            value, sort = self._join_values(source, key, f"values_{n}")
            columns += [value.label(f"value_{n}"), sort.label(f"sort_{n}")]
        where = self.where(self.filters, source.table)
        return select(*columns).select_from(source.joined).where(*where)

    def _join_values(
        self, source: _Source, key: GroupKey, label: str
    ) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
        """Join an object with each of its values of a key; returns them, and what sorts them."""
        if key.name is not None:
            value = self._join_field(source, key, label)
            return value, value
        if key.path and self._is_single(key):
            leaf = self._join_element(source, key, label)
            values = self._values(key, f"{label}_of_elements")
            source.joined = source.joined.outerjoin(values, values.c.leaf == leaf)
            return values.c.value, values.c.sort
        found = self._of_entity(key, label)
        values = taken_for_many(self.filters.sqlite, found, f"{label}_of_objects")
        source.joined = source.joined.outerjoin(values, values.c.holder == source.table.c.id)
        return values.c.value, values.c.sort

    def _of_entity(self, key: GroupKey, label: str) -> FromClause:
        """Which objects have which values: `holder`, `value` and `sort`."""
        sqlite, definitions = self.filters.sqlite, self.filters.definitions
        if key.csa is not None:
            return csa_values(sqlite, self.entity, key.csa, numbers=key.is_numeric, label=label)
        values = self._values(key, f"{label}_of_elements")
        is_image = self.entity == "image"
        column = self._value_column(key)
        holders = holders_of_path(definitions, key.path, column, images=is_image, label=label)
        joined, owner = owners_of(self.entity, holders)
        return (
            select(owner.label("holder"), values.c.value, values.c.sort)
            .select_from(joined.join(values, values.c.leaf == holders.c.leaf))
            .where(owner.is_not(None))
            .distinct()
            .subquery(f"{label}_held")
        )

    def _values(self, key: GroupKey, label: str) -> FromClause:
        """Elements and their values: `leaf`, `value` and `sort`."""
        sqlite, definitions = self.filters.sqlite, self.filters.definitions
        name, column = key.path[-1], self._value_column(key)
        found = (
            whole_values(sqlite, definitions, name, column)
            if key.is_whole
            else single_values(definitions, name, column)
        )
        return taken_for_many(sqlite, found.subquery(f"{label}_found"), label)

    def _join_element(self, source: _Source, key: GroupKey, label: str) -> ColumnElement[Any]:
        """Join images with the element of a key that their headers hold; returns its id."""
        if source.header is None:
            header = HEADER.id.table.alias("of_image")
            source.header = header
            of_image = header.c.image_id == source.table.c.id
            source.joined = source.joined.outerjoin(header, of_image)
        definitions, column = self.filters.definitions, self._value_column(key)
        sets, headers = (
            taken_for_many(self.filters.sqlite, held, f"{held.name}_of_key")
            for held in elements_of_images(definitions, key.path[-1], column, label)
        )
        held = source.header.c
        source.joined = source.joined.outerjoin(sets, sets.c.holder == held.shared_set_id)
        source.joined = source.joined.outerjoin(headers, headers.c.holder == held.id)
        return func.coalesce(headers.c.leaf, sets.c.leaf)

    def _join_field(self, source: _Source, key: GroupKey, label: str) -> ColumnElement[Any]:
        """The column of a field; with the members of a list, its own joined to it."""
        assert key.name is not None
        sqlite, table = self.filters.sqlite, source.table
        if key.holds is not None:
            holds = self.filters.where(self.entity, table, key.holds)
            return case((holds, 1), else_=0)
        if not self._is_list(key):
            value = order_key(sqlite, self.entity, table, key.name)
            # PostgreSQL knows no least truth value.
            return cast(value, Integer) if isinstance(value.type, Boolean) else value
        column = column_of(table, key.name)
        if key.is_whole:
            return cast(column, Text)
        members = func.json_each if sqlite else func.jsonb_array_elements_text
        items = members(column).table_valued("value", name=label)
        source.joined = source.joined.outerjoin(items, true())
        value = items.c.value
        return cast(value, EXACT) if _has_numbers(self.entity, key.name) else cast(value, Text)

    def _source(self) -> _Source:
        table: FromClause = ENTITY_TABLES[self.entity]
        if self.relation is None:
            return _Source(table, table, [null(), null()])
        given = parent_table(self.filters.sqlite, [p for p in self.parents if p is not None])
        relation = RELATIONS[self.relation]
        joined = given.join(table, relation.condition(table, given))
        return _Source(table, joined, [given.c.id, given.c.patient_id])

    def _bucketed(self, raw: Select[Any], keys: Sequence[GroupKey], label: str = "") -> FromClause:
        """The rows with their keys (`key_0`, …), and of keys in bins their bounds."""
        # Beside the statement, not within: SQLite's parser reads so many levels only, and a filter
        # may have some of its own.
        rows = raw.cte()
        joined: FromClause = rows
        bounds = None
        if in_bins(keys):
            bounds = bounds_of(rows, keys)
            joined = rows.outerjoin(bounds, self._is_same_parent(rows, bounds))
        values = {column.key for column in rows.c if column.key.startswith("value_")}
        columns = [
            column for column in rows.c if column.key not in values | {*_names("sort", keys)}
        ]
        for n, key in enumerate(keys):
            value = rows.c[f"value_{n}"]
            made = key_of(self.filters.sqlite, value, key, bounds, n)
            sort = made if key.is_bucketed else rows.c[f"sort_{n}"]
            columns += [made.label(f"key_{n}"), sort.label(f"sort_{n}")]
        if bounds is not None:
            columns += [column for column in bounds.c if column.key not in PARENT]
        found = select(*columns).select_from(joined)
        if "n" in rows.c and any(key.path and key.is_bucketed for key in keys):
            # Two values of an element may lie in one bucket.
            found = found.distinct()
        return found.subquery(f"keyed{label}")

    def _is_same_parent(self, rows: FromClause, other: FromClause) -> ColumnElement[bool]:
        if self.relation is None:
            return true()
        is_same_patient = rows.c.patient.is_not_distinct_from(other.c.patient)
        return (rows.c.parent == other.c.parent) & is_same_patient


def _names(what: str, keys: Sequence[GroupKey]) -> list[str]:
    return [f"{what}_{n}" for n in range(len(keys))]


def _has_numbers(entity: str, name: str) -> bool:
    """Whether a list has numbers."""
    attribute = DESCRIBED[entity].by_name.get(name) if entity in DESCRIBED else None
    return attribute is not None and attribute.type == list[float]


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


def filters_of(
    sqlite: bool,
    definitions: Mapping[int, DefinitionRow],
    common: frozenset[HasElement] = frozenset(),
) -> Filters:
    """What makes any condition into SQL, also those on the groups of all that there are."""
    return Filters(sqlite, definitions, common, _differing_from_majority)


def _differing_from_majority(
    filters: Filters, entity: str, condition: DiffersFromMajority
) -> Select[Any]:
    """The ids, as `owner`, of the objects of an entity that a condition is true of."""
    grouped = Grouped(filters, entity, None, [None], lambda narrowed, table: [])
    return grouped.differing(condition)
