"""A fast walk over explicit VR little endian data sets (PS3.5 7.1.2, A.2).

It takes only what it fully understands; for anything else it raises `NeedsPydicom`, and pydicom
reads the file. What it gives is the same as pydicom's, which a test compares over every file.
"""

from struct import Struct

from pydicom.charset import python_encoding

from dicom_graph.dicom.dictionary import PIXEL_DATA_TAGS, is_private_creator
from dicom_graph.dicom.elements.character_sets import resolve_character_set
from dicom_graph.dicom.elements.contents import Element, Item
from dicom_graph.dicom.elements.interning import Context, Interner
from dicom_graph.dicom.elements.values import BYTES_VRS

_LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SV", b"UC", b"UR", b"UT", b"UV"}
_SHORT = {
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN",
    b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
}  # fmt: skip
_KIND = {vr: (8, vr.decode()) for vr in _SHORT} | {vr: (12, vr.decode()) for vr in _LONG}
_ELEMENT = Struct("<HH2sH").unpack_from
_LENGTH = Struct("<L").unpack_from
_ITEM = Struct("<HHL").unpack_from

_UNDEFINED = 0xFFFFFFFF
SPECIFIC_CHARACTER_SET = 0x00080005
_FIRST_ITEM_TAG = 0xFFFE0000
_ITEM_DELIMITER = 0xFFFEE00D
_MAX_DEPTH = 64
_LARGE = 4 << 20
_REMEMBERED = 4096


class NeedsPydicom(Exception):
    """This data set needs pydicom."""


class NeedMore(Exception):
    """The buffer ends before the data set does."""


class LargeValue(Exception):
    """Bytes too many to hold: the caller reads them piece by piece, and goes on after them."""

    def __init__(self, tag: int, vr: str, start: int, length: int, data_set: "DataSet") -> None:
        super().__init__(tag)
        self.tag = tag
        self.vr = vr
        self.start = start
        self.length = length
        self.data_set = data_set


class DataSet:
    """One data set being walked: its elements so far, its character set, its private blocks.

    `starts`: where each element begins.
    """

    __slots__ = ("blocks", "context", "elements", "encodings", "interner", "starts")

    def __init__(self, interner: Interner, encodings: list[str]) -> None:
        self.interner = interner
        self.encodings = encodings
        self.context: Context = interner.context(encodings, "")
        self.blocks: dict[int, Context] = {}
        self.elements: list[Element] = []
        self.starts: list[int] = []

    def context_of(self, tag: int) -> Context:
        """What decides the meaning of an element: for a private one, with its creator."""
        block = self.blocks.get(tag >> 8) if tag >> 16 & 1 else None
        return block if block is not None else self.context

    def creator_of(self, tag: int) -> str:
        """The private creator of an element, empty for a standard one."""
        return self.context_of(tag).creator

    def rest(self) -> "DataSet":
        """The same data set, for the elements that follow."""
        rest = DataSet(self.interner, self.encodings)
        rest.blocks = self.blocks
        return rest

    def fork(self) -> "DataSet":
        """An empty data set of the same character set and private blocks."""
        fork = DataSet(self.interner, self.encodings)
        fork.blocks = self.blocks.copy()
        return fork

    def use_character_set(self, element: Element) -> None:
        names = list(element.texts)
        # pydicom knows some misspelled names, and refuses others.
        is_clean = element.definition.vr == "CS" and element.packed is None
        if not is_clean or not python_encoding.keys() >= set(names):
            raise NeedsPydicom
        self.encodings = resolve_character_set(names)[0]
        self.context = self.interner.context(self.encodings, "")

    def reserve_block(self, element: Element) -> None:
        if element.vm != 1 or element.definition.vr not in ("LO", "SH"):
            raise NeedsPydicom
        tag = element.tag
        block = (tag & 0xFFFF0000 | (tag & 0xFF) << 8) >> 8
        self.blocks[block] = self.interner.context(self.encodings, element.text or "")


def continue_walk(
    buffer: bytes,
    position: int,
    end: int,
    data_set: DataSet,
    last: int = -1,
    *,
    until: int | None = None,
) -> int:
    """Fill `data_set`, which ends at `end`, from `position`; returns the position after it, which
    is where its pixel data begin if it has any. `last` is the tag before.

    With `until` only the elements that begin before it. Raises NeedsPydicom where pydicom has to
    read it, NeedMore where `buffer` is cut, LargeValue at bytes over 4 MiB.
    """
    return _walk(buffer, position, end, data_set, False, 0, last, end if until is None else until)


def _walk(
    buffer: bytes,
    position: int,
    end: int,
    data_set: DataSet,
    delimited: bool,
    depth: int,
    last: int,
    until: int,
) -> int:
    append = data_set.elements.append
    start_at = data_set.starts.append
    context = data_set.context
    known = context.known
    block = -1
    while position < until:
        if position + 8 > end:
            raise NeedMore
        group, number, code, length = _ELEMENT(buffer, position)
        tag = group << 16 | number
        kind = _KIND.get(code)
        if kind is None:
            # pydicom takes a delimiter whose length looks like a VR for longer.
            if delimited and tag == _ITEM_DELIMITER and code == b"\0\0":
                return position + 8
            if code != b"SQ":
                raise NeedsPydicom
            value_start = 12
        else:
            value_start = kind[0]
        if not last < tag < _FIRST_ITEM_TAG or group < 8:
            raise NeedsPydicom
        last = tag
        if tag in PIXEL_DATA_TAGS:
            if depth == 0:
                return position
            position = _skip(buffer, position, end, value_start, length)
            continue
        if value_start == 12:
            if length:
                # It is reserved; or it is the length itself, in a layout that the VR does not have.
                raise NeedsPydicom
            if position + 12 > end:
                raise NeedMore
            (length,) = _LENGTH(buffer, position + 8)
        if group & 1:
            if number >= 0x1000:
                if tag >> 8 != block:
                    block = tag >> 8
                    context = data_set.blocks.get(block) or data_set.context
                    known = context.known
            elif block != -1:
                block, context = -1, data_set.context
                known = context.known
        elif block != -1:
            block, context = -1, data_set.context
            known = context.known
        start_at(position)
        if kind is None:
            position = _sequence(buffer, position, end, length, data_set, context, depth)
            continue
        if length == _UNDEFINED:
            raise NeedsPydicom
        stop = position + value_start + length
        if length > _LARGE and depth == 0 and kind[1] in BYTES_VRS:
            raise LargeValue(tag, kind[1], position + value_start, length, data_set)
        if stop > end:
            raise NeedMore
        chunk = buffer[position:stop]
        element = known.get(chunk)
        if element is None:
            element = context.learn(chunk, tag, kind[1], value_start)
        append(element)
        position = stop
        if tag == SPECIFIC_CHARACTER_SET:
            data_set.use_character_set(element)
            context = data_set.context
            known = context.known
        elif group & 1 and is_private_creator(tag):
            data_set.reserve_block(element)
    if delimited:
        raise NeedMore
    return position


def _skip(buffer: bytes, position: int, end: int, value_start: int, length: int) -> int:
    if value_start == 12:
        if position + 12 > end:
            raise NeedMore
        (length,) = _LENGTH(buffer, position + 8)
    if length == _UNDEFINED:
        raise NeedsPydicom
    if position + value_start + length > end:
        raise NeedMore
    return position + value_start + length


def _sequence(
    buffer: bytes,
    start: int,
    end: int,
    length: int,
    parent: DataSet,
    context: Context,
    depth: int,
) -> int:
    """Append the sequence element at `start` to `parent`; returns the position after it."""
    if depth >= _MAX_DEPTH:
        raise NeedsPydicom
    position = start + 12
    if length != _UNDEFINED:
        stop = position + length
        if stop > end:
            raise NeedMore
        chunk = buffer[start:stop]
        element = context.known.get(chunk) or context.older.get(chunk)
        if element is None:
            items = _items(buffer, position, stop, parent, False, depth)[0]
            element = _make(buffer, start, items, parent, context)
            if length <= _REMEMBERED:
                context.remember(chunk, element)
    else:
        items, stop = _items(buffer, position, end, parent, True, depth)
        element = _make(buffer, start, items, parent, context)
    parent.elements.append(element)
    return stop


def _make(
    buffer: bytes, start: int, items: tuple[Item, ...], parent: DataSet, context: Context
) -> Element:
    group, number = _ITEM(buffer, start)[:2]
    return parent.interner.sequence(group << 16 | number, context.creator, items)


def _items(
    buffer: bytes, position: int, end: int, parent: DataSet, delimited: bool, depth: int
) -> tuple[tuple[Item, ...], int]:
    items: list[Item] = []
    while position < end:
        if position + 8 > end:
            raise NeedMore
        group, number, length = _ITEM(buffer, position)
        position += 8
        if delimited and group == 0xFFFE and number == 0xE0DD:
            return tuple(items), position
        if group != 0xFFFE or number != 0xE000:
            raise NeedsPydicom
        item = DataSet(parent.interner, parent.encodings)
        if length == _UNDEFINED:
            position = _walk(buffer, position, end, item, True, depth + 1, -1, end)
        else:
            stop = position + length
            if stop > end:
                raise NeedMore
            position = _walk(buffer, position, stop, item, False, depth + 1, -1, stop)
        items.append(tuple(item.elements))
    if delimited:
        raise NeedMore
    return tuple(items), position
