"""Groups of a list: their keys, their filters, and what is known of a value in each."""

import base64
import binascii
import datetime as dt
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import strawberry

from dicom_graph.dicom.dictionary import ANY_BLOCK, format_tag
from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.dicom.entities.attribute import Attribute
from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput
from dicom_graph.graph.aggregate import Aggregate
from dicom_graph.graph.computed import computed
from dicom_graph.graph.inputs.field_names import aggregate_field, camel_case
from dicom_graph.graph.inputs.groups import ElementKey, FieldName, value_key
from dicom_graph.graph.listing import Listing
from dicom_graph.graph.scalars import JSON
from dicom_graph.store.read import Statistics
from dicom_graph.store.read.conditions import HasElement
from dicom_graph.store.read.groups import GroupKey, GroupPage, GroupRequest, GroupRow
from dicom_graph.store.tables.archive import ROW_ATTRIBUTES

_field = strawberry.field
AggregateField = Annotated[
    FieldName | None, strawberry.argument(description="A numeric or date field, or a count.")
]
AggregateElement = Annotated[
    ElementKey | None, strawberry.argument(description="An element of the headers.")
]


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


@strawberry.type(description="Objects of a list that have the same keys.")
class Group:
    row: strawberry.Private[GroupRow]
    listing: strawberry.Private[Listing]
    request: strawberry.Private[GroupRequest]
    keys: list[GroupKeyValue] = _field(description="Its keys, in the order of `by`.")
    count: int = _field(description="How many objects it has.")
    filter: JSON = _field(
        description="The filter, as JSON, of just its objects among those of the list."
    )

    @computed("Statistics of a numeric or date field, a count or an element, over its objects.")
    async def aggregate(
        self, field: AggregateField = None, element: AggregateElement = None
    ) -> Aggregate:
        of = value_key(self.listing.entity, field, element)
        if of.name is not None:
            aggregate_field(self.listing.entity, camel_case(of.name))
        found = await self.listing.group_statistics(self.request.keys, of)
        statistics = found.get(self.row.keys)
        return Aggregate.of(statistics or Statistics())


@strawberry.type(description="Where a page lies among the groups.")
class GroupPageInfo:
    has_next_page: bool = _field(description="Whether more groups follow.")
    has_previous_page: bool = _field(description="Whether some precede.")
    end_cursor: str | None = _field(description="Give it as `after` to get the next page.")


@strawberry.type(description="A page of the groups of a list.")
class GroupConnection:
    nodes: list[Group] = _field(description="The groups, in order.")
    total_count: int = _field(description="How many groups there are in all.")
    page_info: GroupPageInfo = _field(description="Where the page lies among them.")


async def groups_of(listing: Listing, request: GroupRequest) -> GroupConnection:
    """The groups of a list. Raises BadInput."""
    keys = tuple([await _with_bounds(listing, key) for key in request.keys])
    request = replace(request, keys=keys)
    page: GroupPage = await listing.groups(request)
    end = request.offset + len(page.rows)
    return GroupConnection(
        nodes=[_group(listing, request, row, page.columns) for row in page.rows],
        total_count=page.total,
        page_info=GroupPageInfo(
            has_next_page=end < page.total,
            has_previous_page=bool(request.offset and page.total),
            end_cursor=_cursor(end) if page.rows else None,
        ),
    )


def offset_of(cursor: str | None) -> int:
    """How many groups a cursor has left behind. Raises BadInput."""
    if cursor is None:
        return 0
    try:
        kind, _, number = base64.b64decode(cursor, validate=True).decode().partition(":")
        if kind != "group" or not number.isascii() or not number.isdigit() or len(number) > 9:
            raise ValueError
    except (ValueError, binascii.Error):
        message = f"{cursor[:100]!r} is no cursor of groups"
        raise BadInput(message, ErrorCode.BAD_CURSOR) from None
    return int(number)


def _cursor(number: int) -> str:
    return base64.b64encode(f"group:{number}".encode()).decode()


async def _with_bounds(listing: Listing, key: GroupKey) -> GroupKey:
    """A key in so many buckets with their width; one bucket where all are the same."""
    if key.width is not None and not _is_number(listing, key):
        raise BadInput("`width` is of numbers")
    if key.bins is None:
        return key
    if not _is_number(listing, key):
        raise BadInput("`bins` are of numbers")
    least, greatest = await listing.bounds(key)
    if least is None or least == greatest:
        return replace(key, bins=1, width=1.0, start=float(least or 0))
    start = float(least)
    width = (float(greatest) - start) / key.bins
    return replace(key, start=start, width=width)


def _is_number(listing: Listing, key: GroupKey) -> bool:
    if key.name is None:
        return True
    attribute = _attribute(listing.entity, key)
    if attribute is None:
        return key.name.startswith("n_")
    return attribute.type in (int, float) or (attribute.type == list[float] and key.each)


def _group(
    listing: Listing, request: GroupRequest, row: GroupRow, columns: Sequence[str | None]
) -> Group:
    entity = listing.entity
    described = [_shown(entity, *pair) for pair in zip(request.keys, row.keys, strict=True)]
    clauses = [
        _clause(entity, key, shown)
        if column is None
        else _element_clause(entity, key, shown, column)
        for key, shown, column in zip(request.keys, described, columns, strict=True)
    ]
    return Group(
        row=row,
        listing=listing,
        request=request,
        keys=described,
        count=row.n_objects,
        filter=clauses[0] if len(clauses) == 1 else {"and": clauses},  # type: ignore[arg-type]
    )


def _attribute(entity: str, key: GroupKey) -> Attribute | None:
    """What is said of the field of a key; None where it is a count, or the entity has no files."""
    described = DESCRIBED.get(entity)
    return described.by_name.get(key.name or "") if described is not None else None


def _shown(entity: str, key: GroupKey, value: Any) -> GroupKeyValue:
    """A key as clients see it."""
    shown: Any
    if value is None:
        return GroupKeyValue(value=None, to=None)
    if key.width is not None:
        start, end = (_tidy(key.start + n * key.width) for n in (value, value + 1))
        return GroupKeyValue(value=start, to=end)
    if key.part is not None:
        midnight = "T00:00:00" * (key.name in _MOMENTS and key.part != "HOUR")
        end = _end(value, key.part)
        return GroupKeyValue(value=value + midnight, to=end and end + midnight)
    if key.path:
        members = value if key.each else json.loads(value)
        if isinstance(members, list):
            shown = [_plain(member) for member in members]
            shown = shown[0] if len(shown) == 1 else shown
            return GroupKeyValue(value=shown, to=None)
        return GroupKeyValue(value=_plain(members), to=None)
    attribute = _attribute(entity, key)
    if attribute is not None and attribute.choices is not None:
        shown = attribute.choices(value).name
        return GroupKeyValue(value=shown, to=None)
    if attribute is not None and attribute.type in (list[str], list[float]) and not key.each:
        found = json.loads(value)
        shown = found and [_plain(member) for member in found]
        return GroupKeyValue(value=shown, to=None)
    return GroupKeyValue(value=_plain(value), to=None)


def _plain(value: Any) -> Any:
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, float):
        return _tidy(value)
    return value


_MOMENTS = frozenset(attribute.name for attribute in ROW_ATTRIBUTES)


def _tidy(number: float) -> Any:
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def _end(start: str, part: str) -> Any:
    """The beginning of the next part; null after the last hour of a day."""
    if part == "HOUR":
        if "T" in start:
            return (dt.datetime.fromisoformat(start) + dt.timedelta(hours=1)).isoformat()
        hour = int(start[:2]) + 1
        return f"{hour:02d}:00:00" if hour < 24 else None
    day = dt.date.fromisoformat(start)
    if part in ("DAY", "WEEK"):
        return (day + dt.timedelta(days=1 if part == "DAY" else 7)).isoformat()
    months = day.year * 12 + day.month - 1 + {"YEAR": 12, "QUARTER": 3, "MONTH": 1}[part]
    return f"{months // 12:04d}-{months % 12 + 1:02d}-01"


def _clause(entity: str, key: GroupKey, shown: GroupKeyValue) -> Any:
    """The filter of the objects that have a key."""
    name = camel_case(key.name or "")
    attribute = _attribute(entity, key)
    is_list = attribute is not None and attribute.type in (list[str], list[float])
    is_integer = attribute is None or attribute.type is int
    value: Any = shown.value
    if value is None:
        return {name: {"isNull": True}}
    if key.is_bucketed:
        bounds = _bounds(key, shown, is_integer=is_integer and key.width is not None)
        return {name: {"any": bounds} if is_list else bounds}
    if is_list and key.each:
        is_text = attribute is not None and attribute.type == list[str]
        return {name: {"containsAny": [value]} if is_text else {"any": {"eq": value}}}
    return {name: {"eq": value}}


def _bounds(key: GroupKey, shown: GroupKeyValue, *, is_integer: bool) -> Any:
    value: Any = shown.value
    to: Any = shown.to
    is_last = (
        key.bins is not None
        and key.width is not None
        and isinstance(to, int | float)
        and to >= key.start + key.bins * key.width
    )
    if is_integer:
        value, to = math.ceil(value), math.ceil(to)
    # Whatever rounding makes of the greatest value, it lies in the last bucket.
    return {"gte": value} if to is None or is_last else {"gte": value, "lt": to}


def _element_clause(entity: str, key: GroupKey, shown: GroupKeyValue, column: str) -> Any:
    value: Any = shown.value
    if value is None:
        return {"not": _of_header(entity, [_held(key.path, {column: {"isNull": False}})])}
    if key.is_bucketed:
        bounds = _bounds(key, shown, is_integer=False)
        return _of_header(entity, [_held(key.path, {column: bounds})])
    if key.each:
        return _of_header(entity, [_held(key.path, {column: {"eq": value}})])
    members = value if isinstance(value, list) else [value]
    held = []
    for index, member in enumerate(members):
        is_member = {"isNull": True} if member is None else {"eq": member}
        where = {column: is_member, "index": index, "vm": {"eq": len(members)}}
        held.append(_held(key.path, where))
    return _of_header(entity, held)


def _held(path: Sequence[HasElement], where: dict[str, Any]) -> dict[str, Any]:
    """The filter of an element at the end of a path."""
    *steps, last = path
    named: dict[str, Any] = {"path": ".".join([*map(_step, steps), _step(last)])}
    if last.private_creator is not None:
        named["privateCreator"] = last.private_creator
    return {**named, **where}


def _step(name: HasElement) -> str:
    index = f"[{name.index}]" if name.index is not None else ""
    if name.keyword is not None:
        return name.keyword + index
    tag = name.tag or 0
    return format_tag(tag & ~ANY_BLOCK, any_block=bool(tag & ANY_BLOCK)) + index


def _of_header(entity: str, held: list[dict[str, Any]]) -> dict[str, Any]:
    header = {"header": {"element": held[0]} if len(held) == 1 else {"elements": held}}
    return header if entity == "image" else {"anyImage": header}
