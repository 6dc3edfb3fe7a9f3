"""Pages by keyset: a cursor holds the order's values of a row, so it stays right while an import
adds rows before or behind it.

NULL sorts as the smallest value on both databases.
"""

import base64
import binascii
import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Date,
    DateTime,
    Float,
    FromClause,
    Integer,
    Row,
    Select,
    String,
    Time,
    and_,
    false,
    or_,
)

from dicom_graph.store.types import UtcDateTime


class CursorError(ValueError):
    """A cursor that this list did not give."""


class Order(NamedTuple):
    """A column to sort by."""

    column: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Which part of an ordered list. `order` ends in the primary key. Cursors are opaque texts.

    From the front: `first`, `after`, `offset`; from the back: `last`, `before`.
    """

    order: tuple[Order, ...]
    first: int | None = None
    after: str | None = None
    last: int | None = None
    before: str | None = None
    offset: int = 0

    @property
    def size(self) -> int:
        """How many rows the page holds at most."""
        return self.first if self.first is not None else self.last or 0

    @property
    def backwards(self) -> bool:
        """Whether the page is taken from the end."""
        return self.first is None and self.last is not None

    def cursor(self, row: Row[Any]) -> str:
        """The cursor of a row of this list."""
        values = [_plain(row._mapping[order.column]) for order in self.order]
        text = json.dumps(values, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode()


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order, and whether there are more on either side."""

    rows: Sequence[Row[Any]]
    has_next: bool
    has_previous: bool


def page_statement(statement: Select[Any], table: FromClause, request: PageRequest) -> Select[Any]:
    """The statement narrowed and ordered to the page, with one row more to tell whether it ends.

    Raises CursorError for a malformed cursor.
    """
    if request.after is not None:
        statement = statement.where(_beyond(table, request.order, request.after, after=True))
    if request.before is not None:
        statement = statement.where(_beyond(table, request.order, request.before, after=False))
    return (
        statement.order_by(*order_by(table, request))
        .limit(request.size + 1)
        .offset(request.offset or None)
    )


def order_by(table: FromClause, request: PageRequest) -> list[ColumnElement[Any]]:
    """The order in which the page's rows are read (the reverse of the list's for `last`)."""
    return [
        _descending(table, order.column)
        if order.descending != request.backwards
        else _ascending(table, order.column)
        for order in request.order
    ]


def make_page(rows: Sequence[Row[Any]], request: PageRequest) -> Page:
    """The page of rows read by `page_statement`."""
    has_more = len(rows) > request.size
    kept = list(rows[: request.size])
    if request.backwards:
        return Page(kept[::-1], request.before is not None, has_more)
    return Page(kept, has_more, request.after is not None or request.offset > 0)


def _ascending(table: FromClause, column: str) -> ColumnElement[Any]:
    element = table.c[column]
    return element.asc().nulls_first() if _nullable(element) else element.asc()


def _descending(table: FromClause, column: str) -> ColumnElement[Any]:
    element = table.c[column]
    return element.desc().nulls_last() if _nullable(element) else element.desc()


def _nullable(column: ColumnElement[Any]) -> bool:
    return bool(getattr(column, "nullable", True))


def _beyond(
    table: FromClause, order: Sequence[Order], cursor: str, *, after: bool
) -> ColumnElement[bool]:
    """Rows strictly behind (or before) the cursor's in the list's order."""
    values = _decode(table, order, cursor)
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for (name, descending), value in zip(order, values, strict=True):
        column = table.c[name]
        larger = after != descending
        alternatives.append(
            and_(*equal, _larger(column, value) if larger else _less(column, value))
        )
        equal.append(column.is_(None) if value is None else column == value)
    return or_(*alternatives)


def _larger(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    return column.is_not(None) if value is None else column > value


def _less(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    if value is None:
        return false()
    return or_(column < value, column.is_(None)) if _nullable(column) else column < value


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def _decode(table: FromClause, order: Sequence[Order], cursor: str) -> list[Any]:
    try:
        values = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        if not isinstance(values, list) or len(values) != len(order):
            raise ValueError
        return [
            None
            if value is None and _nullable(table.c[o.column])
            else _typed(table.c[o.column], value)
            for o, value in zip(order, values, strict=True)
        ]
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise CursorError(
            "the cursor is not one that this list gave in this order; start again without it"
        ) from None


def _typed(column: ColumnElement[Any], value: Any) -> Any:
    kind = column.type
    if isinstance(kind, UtcDateTime | DateTime):
        return dt.datetime.fromisoformat(value)
    if isinstance(kind, Date):
        return dt.date.fromisoformat(value)
    if isinstance(kind, Time):
        return dt.time.fromisoformat(value)
    expected: tuple[type, ...] = (str,)
    if isinstance(kind, Boolean):
        expected = (bool,)
    elif isinstance(kind, Integer):
        expected = (int,)
    elif isinstance(kind, Float):
        expected = (int, float)
    elif not isinstance(kind, String):
        raise ValueError
    if not isinstance(value, expected) or isinstance(value, bool) != (expected == (bool,)):
        raise ValueError
    if (isinstance(value, int) and abs(value) >= 2**63) or value == "\x00":
        raise ValueError
    return value
