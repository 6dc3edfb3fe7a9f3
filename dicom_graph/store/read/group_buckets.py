"""Numbers put into buckets, dates and times into their parts, as SQL."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Float,
    FromClause,
    Integer,
    Time,
    case,
    cast,
    func,
    literal,
    null,
    select,
)

from dicom_graph.store.read.group_requests import PARENT, Bounds, GroupKey, Part
from dicom_graph.store.sql.driver_errors import FilterError
from dicom_graph.store.sql.types import Text, UtcDateTime

EXACT = Float(53)
MOST_BUCKETS = 2.0**53
"""From here on not every whole number is a double, and buckets would run into each other."""
_INT = Integer()


def require_number(value: ColumnElement[Any]) -> None:
    """Raises FilterError for an expression that is no number."""
    if not isinstance(value.type, Float | Integer):
        raise FilterError("`width` and `bins` are of numbers, and this is none")


def bucket(value: ColumnElement[Any], width: float) -> ColumnElement[Any]:
    """The number of a value's bucket, of which number 0 begins at 0.

    It is found from the bounds as Python computes them: no value lies outside of the bounds that
    are told. From `MOST_BUCKETS` on it is no bucket's number.
    """
    return _bucket(cast(value, EXACT), literal(0.0, EXACT), literal(width, EXACT))


def bin_of(
    value: ColumnElement[Any], least: ColumnElement[Any], width: ColumnElement[Any], bins: int
) -> ColumnElement[Any]:
    """The number of a value's bucket, from 0 up to `bins` less one, where they begin at the least.

    The greatest value lies in the last.
    """
    found = _bucket(cast(value, EXACT), least, width)
    last = literal(float(bins - 1), EXACT)
    return case(
        (value.is_(None), cast(null(), EXACT)),
        (width == 0, literal(0.0, EXACT)),
        (found > last, last),
        (found < 0, literal(0.0, EXACT)),
        else_=found,
    )


def _bucket(
    value: ColumnElement[Any], start: ColumnElement[Any], width: ColumnElement[Any]
) -> ColumnElement[Any]:
    ratio = (value - start) / func.nullif(width, 0.0, type_=EXACT)
    # SQLAlchemy's floor on SQLite is Python's, which takes no NULL; one beside is mended below.
    near = cast(cast(ratio, BigInteger), EXACT)
    return case(
        (func.abs(ratio) >= MOST_BUCKETS, ratio),
        (value < start + near * width, near - 1),
        (value >= start + (near + 1) * width, near + 1),
        else_=near,
    )


_SQLITE_PARTS: dict[Part, Callable[[Any], ColumnElement[Any]]] = {
    "YEAR": lambda day: func.strftime("%Y-01-01", day),
    "MONTH": lambda day: func.strftime("%Y-%m-01", day),
    "WEEK": lambda day: func.date(day, "-6 days", "weekday 1"),
    "DAY": lambda day: func.date(day),
}


def part_of(sqlite: bool, value: ColumnElement[Any], part: Part) -> ColumnElement[Any]:
    """The beginning of the part that a date or time lies in, in ISO 8601; moments in UTC.

    Raises FilterError.
    """
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


def in_bins(keys: Sequence[GroupKey]) -> list[int]:
    """The places of the keys in bins."""
    return [n for n, key in enumerate(keys) if key.bins is not None]


def bounds_of(rows: FromClause, keys: Sequence[GroupKey]) -> FromClause:
    """Of each list the bounds of its keys in bins."""
    found: list[ColumnElement[Any]] = []
    for n in in_bins(keys):
        value = rows.c[f"value_{n}"]
        require_number(value)
        least, greatest = (cast(of(value), EXACT) for of in (func.min, func.max))
        bins = literal(float(keys[n].bins or 1), EXACT)
        # Each by itself: what lies between them may be more than a double holds.
        width = greatest / bins - least / bins
        made = zip(Bounds._fields, (least, greatest, width), strict=True)
        found += [column.label(f"{name}_{n}") for name, column in made]
    of_list = [rows.c[name] for name in PARENT]
    return select(*of_list, *found).group_by(*of_list).cte()


def key_of(
    sqlite: bool, value: ColumnElement[Any], key: GroupKey, bounds: FromClause | None, n: int
) -> ColumnElement[Any]:
    """The n-th key of a group, of a value: itself, its part, or the number of its bucket."""
    if key.part is not None:
        return part_of(sqlite, value, key.part)
    if key.width is not None:
        require_number(value)
        return bucket(value, key.width)
    if key.bins is not None and bounds is not None:
        return bin_of(value, bounds.c[f"least_{n}"], bounds.c[f"width_{n}"], key.bins)
    return value
