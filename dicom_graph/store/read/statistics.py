"""What can be said of a field over a list: how many, least, greatest, mean, sum, distinct."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Date, DateTime, FromClause, Select, Time, func, null, select

from dicom_graph.store.read.filters import Filters
from dicom_graph.store.read.orders import order_key
from dicom_graph.store.read.relations import ENTITY_TABLES, RELATIONS, Parent
from dicom_graph.store.sql.many_values import parent_table
from dicom_graph.store.sql.types import UtcDateTime


@dataclass(frozen=True, slots=True)
class Statistics:
    """Of the values that are there; `average` and `total` of numbers only."""

    count: int = 0
    minimum: Any = None
    maximum: Any = None
    average: float | None = None
    total: float | None = None
    distinct: int = 0


def statistics_statement(
    filters: Filters,
    entity: str,
    relation: str | None,
    name: str,
    parents: Sequence[Parent | None],
    where: Callable[[Filters, FromClause], Sequence[ColumnElement[bool]]],
) -> Select[Any]:
    """One row for each parent (its id and patient first), or one for the whole list.

    `where` narrows the list.
    """
    table: FromClause = ENTITY_TABLES[entity]
    if relation is None:
        key = order_key(filters.sqlite, entity, table, name)
        rows = select(null().label("id"), null().label("patient_id"), key.label("value"))
        rows = rows.select_from(table)
    else:
        keys = parent_table(filters.sqlite, [parent for parent in parents if parent is not None])
        related = RELATIONS[relation].condition(table, keys)
        key = order_key(filters.sqlite, entity, table, name)
        rows = select(keys.c.id, keys.c.patient_id, key.label("value")).select_from(keys)
        rows = rows.join(table, related)
    values = rows.where(*where(filters, table)).subquery("listed")
    value = values.c.value
    is_number = not isinstance(key.type, Date | Time | DateTime | UtcDateTime)
    statement = select(
        values.c.id,
        values.c.patient_id,
        func.count(value),
        func.min(value),
        func.max(value),
        func.avg(value) if is_number else null(),
        func.sum(value) if is_number else null(),
        func.count(value.distinct()),
    )
    return statement.group_by(values.c.id, values.c.patient_id)
