"""A key of a group as clients see it, and the filter of the objects that have it."""

import datetime as dt
import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import strawberry

from dicom_graph.dicom.dictionary import ANY_BLOCK, format_tag
from dicom_graph.errors import BadInput
from dicom_graph.graph.inputs.filter_fields import FilterField, filter_fields
from dicom_graph.graph.scalars import JSON
from dicom_graph.store.read.conditions import HasElement
from dicom_graph.store.read.element_values import MOST_VALUES
from dicom_graph.store.read.group_buckets import MOST_BUCKETS
from dicom_graph.store.read.group_requests import Bounds, GroupKey

_field = strawberry.field
_MIDNIGHT = "T00:00:00"
_UTC = "+00:00"
_MOST = 2**31
"""The integers of GraphQL are below."""


@strawberry.type(description="What the objects of a group have in common: one of its keys.")
class GroupKeyValue:
    value: JSON | None = _field(
        description="The value as filters take it; a list for a whole list, the beginning of a "
        "bucket; null where it is missing."
    )
    to: JSON | None = _field(
        description="The end of a bucket, which belongs to the next one, but for the last of "
        "`bins`; null of other keys."
    )


class KeyOf(NamedTuple):
    """A key of the groups of an entity. `column`: of an element, that of its values."""

    entity: str
    key: GroupKey
    column: str | None

    @property
    def field(self) -> FilterField | None:
        """The field of the filter, of a key that is a field."""
        return filter_fields(self.entity)[self.key.name] if self.key.name is not None else None

    def described(self, value: Any, bounds: Bounds | None) -> tuple[GroupKeyValue, Any]:
        """The key of a group, from what the database has, and its filter. Raises BadInput."""
        shown = self._shown(value, bounds)
        bins = self.key.bins
        is_last = shown.to is None or (
            bins is not None and bounds is not None and (value >= bins - 1 or bounds.width == 0)
        )
        return shown, self._clause(shown, is_last)

    def _shown(self, value: Any, bounds: Bounds | None) -> GroupKeyValue:
        key, to = self.key, None
        if value is None:
            return GroupKeyValue(value=None, to=None)
        if key.is_numeric:
            value, to = _bucket(key, value, bounds)
        elif key.part is not None:
            rest = _MIDNIGHT * (self._is_moment and key.part != "HOUR") + _UTC * self._is_instant
            end = _end(value, key.part)
            value, to = value + rest, end and end + rest
        elif key.csa is not None:
            value = _plain(json.loads(value))
        elif key.path and key.is_whole:
            value = self._whole(value)
        elif self.field is not None and self.field.is_list and key.is_whole:
            members = json.loads(value)
            value = [_plain(member) for member in members] if members is not None else None
        elif self.field is not None and self.field.choices is not None:
            value = self.field.choices(value).name
        elif self.field is not None and self.field.conditions is bool:
            value = bool(value)
        else:
            value = _plain(value)
        return GroupKeyValue(value=value, to=to)

    @property
    def _is_moment(self) -> bool:
        return self.column == "datetime" or self._is_instant

    @property
    def _is_instant(self) -> bool:
        return self.field is not None and self.field.is_moment

    def _whole(self, text: str) -> Any:
        members = json.loads(text)
        if not isinstance(members, list):
            raise BadInput(
                f"an element that the list is grouped by has more than {MOST_VALUES} values: "
                "group it by each of them, with `each: true`"
            )
        read = _READERS.get(self.column or "", _plain)
        values = [read(member) if member is not None else None for member in members]
        return values[0] if len(values) == 1 else values

    def _clause(self, shown: GroupKeyValue, is_last: bool) -> Any:
        # Whatever rounding makes of the greatest value, it lies in the last bucket.
        bounds = {"gte": shown.value} if is_last else {"gte": shown.value, "lt": shown.to}
        if self.key.csa is not None:
            return self._of_csa(self.key.csa, shown.value, bounds)
        if self.key.path:
            return self._of_element(shown.value, bounds)
        return self._of_field(shown.value, bounds)

    def _of_field(self, value: Any, bounds: dict[str, Any]) -> Any:
        field = self.field
        assert field is not None
        if field.related is not None:
            is_one = {field.name: {} if value is None else {"uid": {"eq": value}}}
            return {"not": is_one} if value is None else is_one
        if field.conditions in (bool, str):
            return {field.name: value}
        if value is None:
            return {field.name: {"isNull": True}}
        if self.key.is_bucketed:
            has = _whole_bounds(bounds) if field.is_integer else bounds
            return {field.name: {"any": has} if field.is_list else has}
        if field.is_list and self.key.each:
            has = {"containsAny": [value]} if field.is_text_list else {"any": {"eq": value}}
            return {field.name: has}
        return {field.name: {"eq": value}}

    def _of_element(self, value: Any, bounds: dict[str, Any]) -> Any:
        key, column = self.key, self.column or "text"
        if value is None:
            return {"not": self._of_header([_held(key.path, {column: {"isNull": False}})])}
        if key.is_bucketed:
            return self._of_header([_held(key.path, {column: bounds})])
        if key.each:
            return self._of_header([_held(key.path, {column: {"eq": value}})])
        members: list[Any] = value if isinstance(value, list) else [value]
        held = []
        for index, member in enumerate(members):
            is_member = {"isNull": True} if member is None else {"eq": member}
            where = {column: is_member, "index": index, "vm": {"eq": len(members)}}
            held.append(_held(key.path, where))
        return self._of_header(held)

    def _of_header(self, held: list[dict[str, Any]]) -> dict[str, Any]:
        has = {"element": held[0]} if len(held) == 1 else {"elements": held}
        return self._of_image({"header": has})

    def _of_csa(self, path: str, value: Any, bounds: dict[str, Any]) -> Any:
        if value is None:
            columns = ("number",) if self.key.is_numeric else ("number", "text")
            there = [{"csa": [{"path": path, name: {"isNull": False}}]} for name in columns]
            return {"not": self._of_image({"header": {"or": there}})}
        if self.key.is_numeric:
            test = {"number": bounds}
        else:
            test = {"text" if isinstance(value, str) else "number": {"eq": value}}
        return self._of_image({"header": {"csa": [{"path": path, **test}]}})

    def _of_image(self, header: dict[str, Any]) -> dict[str, Any]:
        return header if self.entity == "image" else {"anyImage": header}


def _bucket(key: GroupKey, number: float, bounds: Bounds | None) -> tuple[Any, Any]:
    """The bounds of a bucket. Raises BadInput where there are too many to tell them apart."""
    if key.width is not None:
        if abs(number) >= MOST_BUCKETS:
            raise BadInput(f"`width` is {key.width}: too small for the greatest of the numbers")
        return _tidy(number * key.width), _tidy((number + 1) * key.width)
    assert bounds is not None
    assert key.bins is not None
    ends = [bounds.least + n * bounds.width for n in (number, number + 1)]
    ends = [min(end, bounds.greatest) for end in ends]
    if number >= key.bins - 1 or bounds.width == 0:
        ends[1] = bounds.greatest
    return _tidy(ends[0]), _tidy(ends[1])


def _whole_bounds(bounds: dict[str, Any]) -> dict[str, Any]:
    """The same for whole numbers, as far as a filter takes them."""
    found = {name: math.ceil(bound) for name, bound in bounds.items()}
    if found["gte"] <= -_MOST:
        del found["gte"]
    if found.get("lt", 0) >= _MOST:
        del found["lt"]
    return found or {"isNull": False}


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return _tidy(value) if isinstance(value, float) else value


def _tidy(number: float) -> Any:
    return int(number) if number.is_integer() and abs(number) < MOST_BUCKETS else number


_READERS: dict[str, Any] = {
    "number": lambda number: _tidy(float(number)),
    "time": lambda text: dt.time.fromisoformat(text).isoformat(),
    "datetime": lambda text: dt.datetime.fromisoformat(text).isoformat(),
}
"""From what the databases write into JSON."""


def _end(start: str, part: str) -> str | None:
    """The beginning of the next part; None after the last hour of a day, and the last of days."""
    try:
        return _next(start, part)
    except (OverflowError, ValueError):
        return None


def _next(start: str, part: str) -> str:
    if part == "HOUR":
        if "T" in start:
            return (dt.datetime.fromisoformat(start) + dt.timedelta(hours=1)).isoformat()
        return dt.time(int(start[:2]) + 1).isoformat()
    day = dt.date.fromisoformat(start)
    if part in ("DAY", "WEEK"):
        return (day + dt.timedelta(days=1 if part == "DAY" else 7)).isoformat()
    months = day.year * 12 + day.month - 1 + {"YEAR": 12, "QUARTER": 3, "MONTH": 1}[part]
    return dt.date(months // 12, months % 12 + 1, 1).isoformat()


def _held(path: Sequence[HasElement], where: dict[str, Any]) -> dict[str, Any]:
    """The filter of an element at the end of a path."""
    named: dict[str, Any] = {"path": ".".join(map(_step, path))}
    if path[-1].private_creator is not None:
        named["privateCreator"] = path[-1].private_creator
    return {**named, **where}


def _step(name: HasElement) -> str:
    index = f"[{name.index}]" if name.index is not None else ""
    if name.keyword is not None:
        return name.keyword + index
    tag = name.tag or 0
    return format_tag(tag & ~ANY_BLOCK, any_block=bool(tag & ANY_BLOCK)) + index
