"""Columns that are JSON arrays."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    cast,
    func,
    literal,
    select,
)
from sqlalchemy.sql.selectable import TableValuedAlias


def array_length(sqlite: bool, column: ColumnElement[Any]) -> ColumnElement[int]:
    """The length of a JSON array; NULL where there is none."""
    return func.json_array_length(column) if sqlite else func.jsonb_array_length(column)


def array_items(
    sqlite: bool,
    column: ColumnElement[Any],
    condition: Callable[[ColumnElement[Any]], ColumnElement[bool]],
    *,
    number: bool = False,
) -> ColumnElement[bool]:
    """Whether an item of a JSON array of texts (or numbers) fulfils the condition."""
    rows = _items(sqlite, column)
    item = cast(rows.c.value, Float(53)) if number and not sqlite else rows.c.value
    return select(literal(1)).select_from(rows).where(condition(item)).exists()


def array_count(
    sqlite: bool, column: ColumnElement[Any], among: Sequence[str]
) -> ColumnElement[int]:
    """How many of these texts a JSON array of texts holds."""
    rows = _items(sqlite, column)
    held = select(func.count(rows.c.value.distinct())).select_from(rows)
    return held.where(rows.c.value.in_(among)).scalar_subquery()


def _items(sqlite: bool, column: ColumnElement[Any]) -> TableValuedAlias:
    each = func.json_each if sqlite else func.jsonb_array_elements_text
    return each(column).table_valued("value", name="items")


def first_number(sqlite: bool, column: ColumnElement[Any]) -> ColumnElement[float]:
    """The first item of a JSON array of numbers."""
    item = func.json_extract(column, "$[0]") if sqlite else column.op("->>")(0)
    return cast(item, Float(53))
