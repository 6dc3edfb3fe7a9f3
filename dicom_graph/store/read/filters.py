"""Conditions as SQL.

Filters on lists and elements go from the child up, as `id IN (SELECT parent …)`: the planners of
both databases start from whichever side is smaller, and nothing is read twice. The children are
written beside the statement (WITH), not into it, as SQLite's parser takes little nesting.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, and_, false, func, or_, select, true

from dicom_graph.store.formats import FORMAT_FIELDS, column_of, in_format
from dicom_graph.store.read.compare import compare
from dicom_graph.store.read.conditions import (
    And,
    Condition,
    Count,
    DiffersFromMajority,
    Field,
    FieldPair,
    HasCsa,
    HasElement,
    Not,
    Or,
    Related,
    Some,
)
from dicom_graph.store.read.csa import images_with_csa, items_with_csa
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.holders import ElementMatcher
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.tables.columns import IMAGE, SERIES


@dataclass(frozen=True, slots=True)
class Filters:
    """Makes conditions into SQL for one database; `groups.filters_of` gives it what it needs.

    `definitions` are all that it holds. `common`: conditions on elements of images that are looked
    up from the images down. `differing`: the ids of an entity that differ from the majority: groups
    are made of filters in their turn.
    """

    sqlite: bool
    definitions: Mapping[int, DefinitionRow]
    common: frozenset[HasElement]
    differing: "Callable[[Filters, str, DiffersFromMajority], Select[Any]]"

    def where(self, entity: str, table: FromClause, condition: Condition) -> ColumnElement[bool]:
        """The condition on an entity's table. Raises FilterError."""
        match condition:
            case And(parts):
                return and_(true(), *(self.where(entity, table, part) for part in parts))
            case Or(parts):
                return or_(false(), *(self.where(entity, table, part) for part in parts))
            case Not(part):
                return self.where(entity, table, part).is_not(true())
            case Field("is_private", test):
                # The lowest bit of the group tells (PS3.5 7.8).
                odd: ColumnElement[bool] = table.c.tag.op("/")(0x10000).op("%")(2) == int(
                    test.value
                )
                return odd
            case Field(name, test):
                if name in FORMAT_FIELDS:
                    return in_format(table, name, partial(compare, self.sqlite, test=test))
                return compare(self.sqlite, table.c[name], test)
            case Count(relation, test):
                count = COUNTED[relation](table).scalar_subquery()
                return compare(self.sqlite, count, test)
            case Some(relation, part):
                return self._some(relation, table, part)
            case Related(column, related, part):
                other = ENTITY_TABLES[related].alias()
                found = select(other.c.id).where(self.where(related, other, part)).cte()
                return table.c[column].in_(select(found.c.id))
            case HasElement():
                matcher = ElementMatcher(self.sqlite, self.definitions)
                if entity == "data_element_value":
                    return matcher.is_value(table, condition)
                if entity == "image" and condition in self.common:
                    return matcher.is_held(table.c.id, condition)
                return table.c.id.in_(_HOLDERS[entity](matcher, condition))
            case HasCsa() if entity == "header":
                return or_(
                    table.c.image_id.in_(images_with_csa(self.sqlite, condition)),
                    table.c.id.in_(items_with_csa(self.sqlite, condition)),
                )
            case HasCsa():
                return table.c.id.in_(images_with_csa(self.sqlite, condition))
            case FieldPair(name, operator, other):
                values = _value(entity, table, name), _value(entity, table, other)
                paired: ColumnElement[bool] = _PAIRED[operator](*values)
                return paired
            case DiffersFromMajority():
                found = self.differing(self, entity, condition).cte()
                return table.c.id.in_(select(found.c.owner))

    def _some(self, relation: str, table: FromClause, part: Condition) -> ColumnElement[bool]:
        child = relation.partition(".")[2]
        entity = ENTITY_OF_LIST[child]
        other = ENTITY_TABLES[entity].alias()
        found = select(other.c.id).where(self.where(entity, other, part)).cte()
        return table.c.id.in_(_PARENTS[relation](select(found.c.id)))


def _value(entity: str, table: FromClause, name: str) -> ColumnElement[Any]:
    """A column, or the length of a list."""
    relation = f"{entity}.{name[2:]}"
    if relation in COUNTED:
        return COUNTED[relation](table).scalar_subquery()
    return column_of(table, name)


_PAIRED: dict[str, Callable[[Any, Any], Any]] = {
    "eq": eq, "ne": ne, "gt": gt, "gte": ge, "lt": lt, "lte": le,
}  # fmt: skip
_HOLDERS: dict[str, Callable[[ElementMatcher, HasElement], Any]] = {
    "image": ElementMatcher.images,
    "data_element": ElementMatcher.elements,
    "header": ElementMatcher.headers,
}
ENTITY_OF_LIST = {
    "patients": "patient", "studies": "study", "series": "series", "images": "image",
}  # fmt: skip
Ids = Select[Any]


def _parents(owner: Any, column: Any) -> Callable[[Ids], Ids]:
    """From ids in a column of series to what owns those series."""
    return lambda ids: select(owner).where(column.in_(ids), owner.is_not(None))


def _through_images(owner: Any) -> Callable[[Ids], Ids]:
    """From ids of images to what owns their series."""

    def parents(ids: Ids) -> Ids:
        series = select(IMAGE.series_id).where(IMAGE.id.in_(ids))
        return select(owner).where(SERIES.id.in_(series), owner.is_not(None))

    return parents


_PARENTS: dict[str, Callable[[Ids], Ids]] = {
    "patient.studies": _parents(SERIES.patient_id, SERIES.study_id),
    "patient.series": _parents(SERIES.patient_id, SERIES.id),
    "patient.images": _through_images(SERIES.patient_id),
    "study.patients": _parents(SERIES.study_id, SERIES.patient_id),
    "study.series": _parents(SERIES.study_id, SERIES.id),
    "study.images": _through_images(SERIES.study_id),
    "series.images": lambda ids: select(IMAGE.series_id).where(IMAGE.id.in_(ids)),
}


Counting = Callable[[FromClause], Select[Any]]


def _count_series(key: str, distinct: str | None = None) -> Counting:
    def count(table: FromClause) -> Select[Any]:
        series = ENTITY_TABLES["series"].alias()
        what = func.count(series.c[distinct].distinct()) if distinct else func.count()
        return select(what).select_from(series).where(series.c[key] == table.c.id)

    return count


def _count_images(key: str | None) -> Counting:
    def count(table: FromClause) -> Select[Any]:
        image, series = ENTITY_TABLES["image"].alias(), ENTITY_TABLES["series"].alias()
        counted = select(func.count()).select_from(image)
        if key is None:
            return counted.where(image.c.series_id == table.c.id)
        owner = series.c[key]
        return counted.join(series, series.c.id == image.c.series_id).where(owner == table.c.id)

    return count


COUNTED: dict[str, Counting] = {
    "patient.studies": _count_series("patient_id", "study_id"),
    "patient.series": _count_series("patient_id"),
    "patient.images": _count_images("patient_id"),
    "study.patients": _count_series("study_id", "patient_id"),
    "study.series": _count_series("study_id"),
    "study.images": _count_images("study_id"),
    "series.images": _count_images(None),
}
"""The lengths of lists of each row of an entity's table, as correlated subqueries."""
