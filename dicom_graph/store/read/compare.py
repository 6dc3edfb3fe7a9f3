"""Operators as SQL, the same answer on both databases."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, func, literal, true

from dicom_graph.store.read.conditions import Test
from dicom_graph.store.sql.functions import fold_case, matches_regex, position_of
from dicom_graph.store.sql.json_arrays import array_count, array_items, array_length
from dicom_graph.store.sql.types import Json


def compare(sqlite: bool, column: ColumnElement[Any], test: Test) -> ColumnElement[bool]:
    """The test on a column. Raises FilterError."""
    operator, value = test.operator, test.value
    if operator == "is_null":
        return column.is_(None) if value else column.is_not(None)
    if operator == "regex":
        return matches_regex(sqlite, column, value)
    if operator == "ne":
        return column.is_distinct_from(value)
    if operator == "eq" and isinstance(value, tuple):
        return column == literal(list(value), Json)
    if operator in ("exactly", "contains_all", "contains_any", "any", "length"):
        return _list(sqlite, column, test)
    if operator == "iin":
        return fold_case(column).in_([fold_case(literal(each)) for each in value])
    if operator in _FOLDED:
        return _FOLDED[operator](fold_case(column), fold_case(literal(value)))
    return _PLAIN[operator](column, value)


def passes_null(test: Test) -> bool:
    """Whether a missing value passes the test."""
    return test.operator == "ne" or (test.operator == "is_null" and bool(test.value))


def _list(sqlite: bool, column: ColumnElement[Any], test: Test) -> ColumnElement[bool]:
    if test.operator == "length":
        # What is missing has no length, so no condition on it holds, not even `ne`.
        length = compare(sqlite, array_length(sqlite, column), test.value)
        return and_(column.is_not(None), length)
    if test.operator == "any":
        return array_items(
            sqlite,
            column,
            lambda item: and_(true(), *(compare(sqlite, item, part) for part in test.value)),
            number=True,
        )
    wanted = tuple(dict.fromkeys(test.value))
    if test.operator == "contains_any":
        return array_items(sqlite, column, lambda item: item.in_(wanted))
    everything = and_(column.is_not(None), array_count(sqlite, column, wanted) == len(wanted))
    if test.operator == "contains_all":
        return everything
    other = array_items(sqlite, column, lambda item: item.not_in(wanted))
    return and_(everything, ~other)


def _contains(column: ColumnElement[Any], value: Any) -> Any:
    return position_of(value, column) > 0


def _starts_with(column: ColumnElement[Any], value: Any) -> Any:
    return func.substr(column, 1, func.length(value)) == value


def _ends_with(column: ColumnElement[Any], value: str) -> Any:
    if not value:
        return column.is_not(None)
    start = func.length(column) - len(value) + 1
    return and_(start > 0, func.substr(column, start) == value)


_PLAIN: dict[str, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]] = {
    "eq": lambda column, value: column == value,
    "in": lambda column, value: column.in_(value),
    "gt": lambda column, value: column > value,
    "gte": lambda column, value: column >= value,
    "lt": lambda column, value: column < value,
    "lte": lambda column, value: column <= value,
    "between": lambda column, value: column.between(*value),
    "contains": _contains,
    "starts_with": _starts_with,
    "ends_with": _ends_with,
}
_FOLDED: dict[str, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]] = {
    "ieq": lambda column, value: column == value,
    "icontains": _contains,
    "word": _contains,
    "istarts_with": _starts_with,
}
