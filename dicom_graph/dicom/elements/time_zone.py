"""Timezone Offset From UTC (0008,0201): the zone of all DT values without an offset of their own.

It holds for the whole SOP instance (PS3.3 C.12.1), in items too; an item that has one itself, as
the former values of a Modified Attributes Sequence may, means its own values by it.

An element is stored once, by its content, and its moment is stored with it, so that a filter needs
no look at another element. So the offset is part of what tells an element from others, as the
character set is: equal bytes in two zones are two moments, and two elements.
"""

import datetime as dt
import re
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b
from operator import attrgetter
from typing import NamedTuple

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.dicom.elements.contents import (
    DIGEST_SIZE,
    Changes,
    Element,
    Item,
    make_sequence,
)
from dicom_graph.dicom.elements.revisions import TIMEZONE_OFFSET
from dicom_graph.dicom.elements.values import Value, is_local, parse_offset

_REMEMBERED = 10_000
_LONG_FRACTION = re.compile(r"\.[0-9]{7}")
_tag = attrgetter("tag")


class _Last(NamedTuple):
    """A header as it was read, its offset, and what it is by that."""

    read: Item
    offset: str
    meant: Item


class TimeZones:
    """Elements in the zones of their headers; the same element and zone give the same object."""

    def __init__(self) -> None:
        self._known: BoundedCache[tuple[bytes, str], Element] = BoundedCache(_REMEMBERED)
        self._last: _Last | None = None

    def of_items(self, items: tuple[Item, ...]) -> tuple[Item, ...]:
        """The items of a sequence, those that have an offset in their zone."""
        offsets = [_offset(item) for item in items]
        if not any(offsets):
            return items
        return tuple(
            self._item(item, offset) if offset else item
            for item, offset in zip(items, offsets, strict=True)
        )

    def of_header(self, read: Item, changes: Changes | None) -> tuple[Item, Changes | None]:
        """A header in its zone, and how it differs from the one before, if that is known."""
        last, self._last = self._last, None
        offset = _offset(read)
        if offset is None or not any(element.has_local_time for element in read):
            return read, changes
        meant = self._item(read, offset)
        self._last = _Last(read, offset, meant)
        if changes is None or last is None or last.offset != offset:
            return meant, None
        if changes.since is not last.read:
            return meant, None
        came, went = self._item(changes.came, offset), self._item(changes.went, offset)
        return meant, Changes(last.meant, came, went)

    def of_element(self, element: Element, offset: str) -> Element:
        """An element of a data set with this offset."""
        return self._element(element, offset) if element.has_local_time else element

    def _item(self, elements: Iterable[Element], offset: str) -> Item:
        return tuple(self.of_element(element, offset) for element in elements)

    def _element(self, element: Element, offset: str) -> Element:
        key = element.digest, offset
        known = self._known.get(key)
        if known is None:
            made = self._made(element, offset)
            known = self._known[key] = made
        return known

    def _made(self, element: Element, offset: str) -> Element:
        creator = element.definition.private_creator
        items = element.items
        digest, content = _in_zone(element.digest, offset), element.content
        if items is not None or any(map(_was_local, element.values)):
            content = _in_zone(content, offset)
        if items is not None:
            items = tuple(self._item(item, offset) for item in items)
            if element.warning is None:
                made = make_sequence(element.tag, creator, items)
                digest, content = made.digest, made.content
        return Element(
            element.tag,
            element.definition,
            digest,
            content=content,
            values=tuple(_in_utc(value, parse_offset(offset)) for value in element.values),
            vm=element.vm,
            packed=element.packed,
            sha256=element.sha256,
            length=element.length,
            warning=element.warning,
            items=items,
            has_local_time=False,
        )


def _was_local(value: Value) -> bool:
    """Whether it is a local time to all versions of the program, as `Element.content` is the same
    to all: the first ones read no long fractions.
    """
    return is_local(value) and _LONG_FRACTION.search(value.text or "") is None


def _in_zone(digest: bytes, offset: str) -> bytes:
    return blake2b(b"%s\x00%s" % (digest, offset.encode()), digest_size=DIGEST_SIZE).digest()


def _offset(elements: Item) -> str | None:
    """The valid offset among the elements, in the order of their tags."""
    if not elements or not elements[0].tag <= TIMEZONE_OFFSET <= elements[-1].tag:
        return None
    place = bisect_left(elements, TIMEZONE_OFFSET, key=_tag)
    return offset_of(elements[place])


def offset_of(element: Element) -> str | None:
    """The offset that an element says; None of any other element, and where it is not valid."""
    if element.tag != TIMEZONE_OFFSET or element.warning is not None or len(element.values) != 1:
        return None
    return element.text or None


def in_utc(element: Element) -> tuple[Value, ...]:
    """The values of an element of a header as it was read; moments of which that says the offset
    from UTC say so.
    """
    if element.definition.vr != "DT" or element.has_local_time:
        return element.values
    return tuple(
        value._replace(datetime=value.datetime.replace(tzinfo=dt.UTC)) if value.datetime else value
        for value in element.values
    )


def _in_utc(value: Value, offset: dt.timedelta) -> Value:
    if value.datetime is None or not is_local(value):
        return value
    try:
        return value._replace(datetime=value.datetime - offset)
    except OverflowError:
        return value._replace(datetime=None, warning="before year 1 or after 9999 in UTC")
