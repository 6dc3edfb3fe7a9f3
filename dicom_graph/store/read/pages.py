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
    Column,
    ColumnElement,
    Date,
    DateTime,
    Float,
    Integer,
    Select,
    String,
    Time,
    and_,
    bindparam,
    false,
    or_,
)

from dicom_graph.store.read.conditions import HasElement
from dicom_graph.store.sql.types import UtcDateTime


class CursorError(ValueError):
    """A cursor that this list did not give."""


class Order(NamedTuple):
    """Something to sort by: a name that `orders.order_key` knows, or an element by its path.

    The name of an element only tells it from others.
    """

    name: str
    descending: bool = False
    path: tuple[HasElement, ...] = ()


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

    @property
    def has_elements(self) -> bool:
        """Whether the values of elements are among what the list is sorted by."""
        return any(order.path for order in self.order)

    @property
    def signature(self) -> str:
        """The order in short: a cursor is good for one order only."""
        return ",".join("-" * order.descending + order.name for order in self.order)

    def cursor(self, row: Any) -> str:
        """The cursor of a row of this list."""
        values = [_plain(row._mapping[key_name(place)]) for place in range(len(self.order))]
        text = json.dumps([self.signature, *values], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode()


@dataclass(frozen=True, slots=True)
class Page:
    """Rows in order, and whether there are more on either side."""

    rows: Sequence[Any]
    has_next: bool
    has_previous: bool


_SIZE, _OFFSET, _AFTER, _BEFORE = "page_size", "page_offset", "after_", "before_"
"""The parameters of a page's statement; the last two begin the names of those of a cursor."""

Keys = Sequence[ColumnElement[Any]]
"""The expressions that a list is sorted by, in the order of its request."""


def key_name(place: int) -> str:
    """The name of the column that holds the key at a place of the order."""
    return f"key_{place}"


class PageForm(NamedTuple):
    """What of a request makes its statement another one, and the parameters that do not."""

    form: tuple[Any, ...]
    parameters: dict[str, Any]


def page_form(keys: Keys, request: PageRequest) -> PageForm:
    """The form of a page's statement. Raises CursorError for a malformed cursor."""
    parameters: dict[str, Any] = {_SIZE: request.size + 1}
    if request.offset:
        parameters[_OFFSET] = request.offset
    nulls: list[tuple[bool, ...] | None] = []
    for name, cursor in ((_AFTER, request.after), (_BEFORE, request.before)):
        if cursor is None:
            nulls.append(None)
            continue
        values = position_of_cursor(keys, request, cursor)
        nulls.append(tuple(value is None for value in values))
        parameters |= {f"{name}{at}": v for at, v in enumerate(values) if v is not None}
    form = (request.order, request.backwards, bool(request.offset), *nulls)
    return PageForm(form, parameters)


def page_statement(statement: Select[Any], keys: Keys, request: PageRequest) -> Select[Any]:
    """The statement narrowed and ordered to the page, with one row more to tell whether it ends.

    Its keys are added as columns; its parameters are those of `page_form`. Raises CursorError for a
    malformed cursor.
    """
    if request.after is not None:
        statement = statement.where(_beyond(keys, request, request.after, after=True))
    if request.before is not None:
        statement = statement.where(_beyond(keys, request, request.before, after=False))
    columns = labelled(keys)
    offset = bindparam(_OFFSET, request.offset, Integer) if request.offset else None
    return (
        statement.add_columns(*columns)
        .order_by(*order_by(keys, request, columns))
        .limit(bindparam(_SIZE, request.size + 1, Integer))
        .offset(offset)
    )


def page_of_ids(
    ids: Select[Any],
    statement: Select[Any],
    key: ColumnElement[int],
    keys: Keys,
    request: PageRequest,
) -> Select[Any]:
    """The same page with the columns of a statement, which are read for its rows alone.

    `ids`: a `page_statement` of ids. `key`: the id of the statement's rows.
    """
    chosen = ids.subquery("chosen")
    names = [chosen.c[key_name(place)] for place in range(len(keys))]
    joined = statement.join(chosen, chosen.c.id == key).add_columns(*names)
    return joined.order_by(*order_by(keys, request, names))


def labelled(keys: Keys) -> list[ColumnElement[Any]]:
    """The keys as columns of a page's rows."""
    return [key.label(key_name(place)) for place, key in enumerate(keys)]


def order_by(
    keys: Keys, request: PageRequest, columns: Keys | None = None
) -> list[ColumnElement[Any]]:
    """The order in which the page's rows are read (the reverse of the list's for `last`).

    `columns`: the keys by their names in the statement.
    """
    return [
        (_descending if order.descending != request.backwards else _ascending)(
            column, _nullable(key)
        )
        for order, key, column in zip(request.order, keys, columns or keys, strict=True)
    ]


def make_page(rows: Sequence[Any], request: PageRequest) -> Page:
    """The page of rows read by `page_statement`, or of rows like them."""
    has_more = len(rows) > request.size
    kept = list(rows[: request.size])
    if request.backwards:
        return Page(kept[::-1], request.before is not None, has_more)
    return Page(kept, has_more, request.after is not None or request.offset > 0)


def _ascending(key: ColumnElement[Any], nullable: bool) -> ColumnElement[Any]:
    return key.asc().nulls_first() if nullable else key.asc()


def _descending(key: ColumnElement[Any], nullable: bool) -> ColumnElement[Any]:
    return key.desc().nulls_last() if nullable else key.desc()


def _nullable(column: ColumnElement[Any]) -> bool:
    return bool(getattr(column, "nullable", True))


def _beyond(keys: Keys, request: PageRequest, cursor: str, *, after: bool) -> ColumnElement[bool]:
    """Rows strictly behind (or before) the cursor's in the list's order."""
    values = [
        None if value is None else bindparam(f"{_AFTER if after else _BEFORE}{at}", value, key.type)
        for at, (key, value) in enumerate(
            zip(keys, position_of_cursor(keys, request, cursor), strict=True)
        )
    ]
    alternatives: list[ColumnElement[bool]] = []
    equal: list[ColumnElement[bool]] = []
    for key, order, value in zip(keys, request.order, values, strict=True):
        larger = after != order.descending
        alternatives.append(and_(*equal, _larger(key, value) if larger else _less(key, value)))
        equal.append(key.is_(None) if value is None else key == value)
    return and_(or_(*alternatives), *_range(keys[0], request.order[0], values[0], after=after))


def _range(
    key: ColumnElement[Any], order: Order, value: Any, *, after: bool
) -> list[ColumnElement[bool]]:
    """What `_beyond` says of the first key: an index can begin there, which no OR tells it."""
    larger = after != order.descending
    if value is None or not isinstance(key, Column) or (_nullable(key) and not larger):
        return []
    return [key >= value if larger else key <= value]


def _larger(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    return column.is_not(None) if value is None else column > value


def _less(column: ColumnElement[Any], value: Any) -> ColumnElement[bool]:
    if value is None:
        return false()
    less = column < value
    return or_(less, column.is_(None)) if _nullable(column) else less


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date | dt.time) else value


def position_of_cursor(keys: Keys, request: PageRequest, cursor: str) -> list[Any]:
    """The values of the keys that a cursor holds. Raises CursorError."""
    try:
        content = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
        signature, *values = content if isinstance(content, list) else [None]
        if signature != request.signature or len(values) != len(keys):
            raise ValueError
        return [
            None if value is None and _nullable(key) else _typed(key, value)
            for key, value in zip(keys, values, strict=True)
        ]
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise CursorError(
            "the cursor is not one that this list gave in this order; start again without it"
        ) from None


def _typed(column: ColumnElement[Any], value: Any) -> Any:
    kind = column.type
    if isinstance(kind, UtcDateTime | DateTime):
        moment = dt.datetime.fromisoformat(value)
        if isinstance(kind, UtcDateTime) != (moment.tzinfo is not None):
            raise ValueError
        return moment
    if isinstance(kind, Date):
        return dt.date.fromisoformat(value)
    if isinstance(kind, Time):
        time = dt.time.fromisoformat(value)
        if time.tzinfo is not None:
            raise ValueError
        return time
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
    if isinstance(value, int) and abs(value) >= 2**63:
        raise ValueError
    # A lone surrogate cannot be encoded; PostgreSQL's text refuses NUL.
    if isinstance(value, str) and b"\x00" in value.encode():
        raise ValueError
    return value
