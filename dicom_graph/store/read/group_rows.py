"""Rows of the statements of `groups`, as what they mean."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Date, Float, Integer, Time

from dicom_graph.store.read.group_requests import Bounds, GroupKey, GroupRequest, GroupRow
from dicom_graph.store.sql.types import Text


def group_row(row: Any, keys: Sequence[GroupKey]) -> GroupRow:
    """The group of a row of `Grouped.page`."""
    end = 5 + len(keys)
    found = iter(row[end:])
    bounds: list[Bounds | None] = []
    for key in keys:
        of_key = Bounds(*(next(found) for _ in Bounds._fields)) if key.bins is not None else None
        bounds.append(None if of_key is None or of_key.least is None else of_key)
    return GroupRow(tuple(row[5:end]), row.n, tuple(bounds))


def measured(value: Any, type_: Any) -> Any:
    """A value of `Grouped.figures` as its type has it."""
    if value is None or isinstance(type_, Text.__class__):
        return value
    if isinstance(type_, Integer):
        return int(value)
    if isinstance(type_, Float):
        return float(value)
    if isinstance(value, int):
        return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=value)
    if isinstance(type_, Date):
        return dt.date.fromisoformat(value)
    if isinstance(type_, Time):
        return dt.time.fromisoformat(value)
    found = dt.datetime.fromisoformat(value)
    return found if found.tzinfo is None else found.astimezone(dt.UTC)


def is_of_page(row: Any, request: GroupRequest) -> bool:
    """Whether a row is of the page, and not only there to tell how many groups there are."""
    place: int = row.place
    return request.offset < place <= request.offset + request.first
