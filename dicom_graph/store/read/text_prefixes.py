"""Tests on texts, worded so that indexes of the texts' beginnings can serve them."""

from typing import Any

from sqlalchemy import ColumnElement, Integer, func, literal

from dicom_graph.store.read.conditions import Test
from dicom_graph.store.tables.base import TEXT_KEY_LENGTH


def as_range(test: Test) -> tuple[Test, ...]:
    """Equality as a range: SQLite would put the text of `=` in place of the column everywhere, and
    not know the index's expression again.
    """
    if test.operator == "eq":
        return Test("gte", test.value), Test("lte", test.value)
    if test.operator == "in" and len(test.value) == 1:
        return Test("gte", test.value[0]), Test("lte", test.value[0])
    return (test,)


def of_beginning(column: ColumnElement[Any], test: Test) -> list[ColumnElement[bool]]:
    """What a test on a text says of its indexed beginning."""
    key = func.substr(column, literal(1, literal_execute=True, type_=Integer()),
                      literal(TEXT_KEY_LENGTH, literal_execute=True, type_=Integer()))  # fmt: skip
    if test.operator == "eq":
        return [key == test.value[:TEXT_KEY_LENGTH]]
    if test.operator == "in":
        return [key.in_([value[:TEXT_KEY_LENGTH] for value in test.value])]
    if test.operator == "starts_with" and test.value:
        start = test.value[:TEXT_KEY_LENGTH]
        return [key >= start, key < start + "\U0010ffff"]
    return []
