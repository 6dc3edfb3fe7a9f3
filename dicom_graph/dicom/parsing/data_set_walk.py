"""A walk over a data set in any encoding (PS3.5 7.1, 7.5 and A), as the bytes come.

It takes what `explicit` leaves: implicit VR, big endian, deflated data sets, and what breaks rules
in ways that are met. Long values are given away in pieces.
"""

from collections.abc import Callable, Iterator
from itertools import chain

from dicom_graph.dicom.dictionary import (
    PIXEL_DATA_TAGS,
    element_label,
    format_tag,
    is_private,
)
from dicom_graph.dicom.errors import TruncatedFileError, UnreadableFileError
from dicom_graph.dicom.parsing.byte_source import ByteSource, FileBytes, skip, take
from dicom_graph.dicom.parsing.element_head import (
    Head,
    explicit_head,
    implicit_head,
    is_known_vr,
    tag_of,
)
from dicom_graph.dicom.parsing.fragments import fragments
from dicom_graph.dicom.parsing.raw_data_set import (
    LONGEST_KNOWN_UN,
    UNDEFINED,
    RawDataSet,
    RawElement,
)
from dicom_graph.dicom.parsing.skipping import skip_unwanted

_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_ORDERS = {
    b"\xfe\xff\x00\xe0": True, b"\xfe\xff\xdd\xe0": True,
    b"\xff\xfe\xe0\x00": False, b"\xff\xfe\xe0\xdd": False,
}  # fmt: skip
"""How a sequence may begin, and whether that is little endian."""
_MAX_DEPTH = 128
_MAX_NOTES = 100
MAX_HELD = 512 << 20
"""Bytes of memory that a header may take while it is read, about."""
_HELD_BY_ELEMENT, _HELD_BY_ITEM = 300, 500
_DECIDING = 0x00280103
"""No element with a greater tag decides what others mean."""
_ZEROS = bytes(8)
_AT_ONCE = 1 << 16

Chunks = Iterator[bytes]
Take = Callable[[RawDataSet, RawElement, Chunks], object]
"""Takes a long value in pieces; what it returns is kept as `taken`, and None says not to."""
Finish = Callable[[RawDataSet], tuple[object, int]]
"""Makes of an item what is kept of it; returns this, and about how many bytes it takes."""


class DataSetWalk:
    """One walk. `top`: the data set, as far as it was read. `notes`: what was left out, and where.

    Values of more than `longest` bytes go to `takes`, and items of the top level to `finishes`
    once what decides their meaning was read. `wanted`: of the top level only these tags. `held`:
    about how many bytes of memory the elements take. `has_pixels`: pixel data are elements
    as others, and do not end it.
    """

    def __init__(
        self,
        source: ByteSource,
        *,
        longest: int,
        takes: Take,
        finishes: Finish | None = None,
        wanted: frozenset[int] | None = None,
        has_pixels: bool = False,
    ) -> None:
        self.top = RawDataSet(True, True)
        self.notes: list[str] = []
        self.held = 0
        self._source = source
        self._longest = longest
        self._takes = takes
        self._finishes = finishes
        self._wanted = wanted
        self._left_out = frozenset() if has_pixels else PIXEL_DATA_TAGS
        self._most_held = MAX_HELD if not has_pixels else UNDEFINED << 1

    def read(self, is_implicit: bool, is_little: bool) -> RawDataSet:
        """The data set up to its pixel data, where the source is left, or to its end.

        Raises UnreadableFileError.
        """
        self.top = RawDataSet(is_implicit, is_little)
        self._read_commands()
        self._settle_encoding(self.top, None, is_sure=False)
        self._read_elements(self.top, None, 0)
        return self.top

    def _read_commands(self) -> None:
        """Elements of group 0000, which are implicit little endian (PS3.7 6.3.1)."""
        while True:
            head = self._source.peek(8)
            if len(head) < 8 or head[:2] != b"\0\0" or head == _ZEROS:
                return
            length = implicit_head(head, True).length
            if length > self._longest or not self._source.has(8 + length):
                return
            skip(self._source, 8)
            tag, start = tag_of(head, True), self._source.position
            raw = take(self._source, length)
            self.top.elements[tag] = RawElement(tag, None, length, start, True, raw)

    def _settle_encoding(self, data_set: RawDataSet, end: int | None, *, is_sure: bool) -> None:
        """Look at the first element: whole data sets are implicit that should not be, or explicit.

        `is_sure`: it is implicit unless the VR is one of the standard's.
        """
        head = self._source.peek(8)
        if len(head) < 8 or head == _ZEROS:
            return
        code, tag = head[4:6], tag_of(head, data_set.is_little)
        if is_sure:
            data_set.is_implicit = not is_known_vr(code)
        elif all(0x40 < byte < 0x5B for byte in code):
            data_set.is_implicit = False
        elif tag in PIXEL_DATA_TAGS:
            data_set.is_implicit = True
        elif not data_set.is_implicit and tag >> 16 != 0xFFFE:
            found = explicit_head(self._source, data_set.is_little, end)
            data_set.is_implicit = found.is_implicit

    def _read_elements(self, data_set: RawDataSet, end: int | None, depth: int) -> None:
        """Fill the data set; `end`: where it ends, None where a delimiter or the file ends it."""
        source = self._source
        while end is None or source.position < end:
            if depth == 0:
                self._pass_unwanted(data_set)
            head = source.peek(8)
            if len(head) < 8 or (end is not None and source.position + 8 > end):
                self._end_early(end, depth)
                return
            tag = tag_of(head, data_set.is_little)
            if head == _ZEROS:
                self._pass_zeros(end)
            elif tag == _ITEM_END:
                skip(source, 8)
                if depth:
                    return
                self._note("the end of no item: ignored")
            elif tag == _SEQUENCE_END:
                if depth and end is None:
                    # The item's own end is missing: this is that of its sequence.
                    return
                skip(source, 8)
                self._note("the end of no sequence: ignored")
            elif tag == _ITEM:
                raise UnreadableFileError(f"an item outside a sequence at byte {source.position}")
            elif tag in self._left_out and depth == 0:
                return
            else:
                self._read_element(data_set, tag, head, end, depth)
        if end is not None and source.position > end:
            raise UnreadableFileError(f"an element reaches beyond byte {end}, where its item ends")

    def _pass_unwanted(self, top: RawDataSet) -> None:
        source = self._source
        is_plain = top.is_little and not top.is_implicit
        if self._wanted is not None and is_plain and isinstance(source, FileBytes):
            self._hold(_HELD_BY_ELEMENT * skip_unwanted(source, self._wanted))

    def _end_early(self, end: int | None, depth: int) -> None:
        """Where fewer bytes are left than an element takes."""
        source = self._source
        if depth and end is None:
            raise TruncatedFileError("the file ends inside an element of undefined length")
        rest = take(source, 8 if end is None else end - source.position)
        if rest.strip(b"\0"):
            what = "the file" if end is None else "an item"
            kind = TruncatedFileError if end is None else UnreadableFileError
            raise kind(f"{what} ends at byte {source.position}, inside an element's header")
        if rest:
            self._note(f"{len(rest)} zero bytes after the last element: ignored")

    def _pass_zeros(self, end: int | None) -> None:
        """Zeros are no element: no data set has group 0000 (PS3.5 7.1). Some writers fill up."""
        source, start = self._source, self._source.position
        while end is None or source.position < end:
            window = source.peek(_AT_ONCE if end is None else min(_AT_ONCE, end - source.position))
            count = len(window) - len(window.lstrip(b"\0"))
            # What follows may begin with zeros itself.
            skip(source, count if count == len(window) else count // 8 * 8)
            if not window or count < len(window):
                break
        self._note(f"{source.position - start} zero bytes that are no element: ignored")

    def _note(self, text: str) -> None:
        if len(self.notes) < _MAX_NOTES:
            self.notes.append(f"before byte {self._source.position}: {text}")

    def _read_element(
        self, data_set: RawDataSet, tag: int, head: bytes, end: int | None, depth: int
    ) -> None:
        source, is_little = self._source, data_set.is_little
        if data_set.is_implicit:
            found = implicit_head(head, is_little)
        else:
            found = explicit_head(source, is_little, end)
        skip(source, found.n_bytes)
        element = _element(tag, found, source.position, is_little)
        self._hold(_HELD_BY_ELEMENT)
        self._require(data_set, element, end)
        is_wanted = tag not in self._left_out and (
            depth > 0 or self._wanted is None or tag in self._wanted
        )
        if tag >> 16 == 2:
            self._note(f"{format_tag(tag)} of the file meta information: ignored")
            is_wanted = False
        if not is_wanted and element.length != UNDEFINED:
            skip(source, element.length)
        elif self._is_sequence(data_set, element):
            self._read_sequence(data_set, element, depth)
        elif element.length == UNDEFINED:
            is_wanted &= self._read_fragments(data_set, element, is_wanted)
        elif element.length > self._longest:
            is_wanted = self._take(data_set, element, source.chunks(element.length))
        else:
            self._hold(element.length)
            element.raw = take(source, element.length)
        if element.length != UNDEFINED and source.position < element.start + element.length:
            raise self._cut(data_set, element)
        if is_wanted:
            if tag in data_set.elements:
                label = element_label(tag, data_set.creator_of(tag))
                self._note(f"{label} is there twice: the last one counts")
            data_set.elements[tag] = element

    def _hold(self, count: int) -> None:
        self.held += count
        if self.held > self._most_held:
            raise UnreadableFileError(
                f"the header takes more than {MAX_HELD >> 20} MiB of memory, pixel data aside"
            )

    def _require(self, data_set: RawDataSet, element: RawElement, end: int | None) -> None:
        """Raises UnreadableFileError for a value that cannot be all there."""
        if element.length == UNDEFINED:
            return
        if end is not None and element.start + element.length > end:
            label = element_label(element.tag, data_set.creator_of(element.tag))
            raise UnreadableFileError(f"{label} reaches beyond byte {end}, where its item ends")
        if not self._source.has(element.length):
            if isinstance(self._source, FileBytes):
                self._source.skip(element.length)
            raise self._cut(data_set, element)

    def _cut(self, data_set: RawDataSet, element: RawElement) -> TruncatedFileError:
        label = element_label(element.tag, data_set.creator_of(element.tag))
        return TruncatedFileError(
            f"the file ends at byte {self._source.position}, inside {label}, whose value needs "
            f"{element.length} bytes"
            if isinstance(self._source, FileBytes)
            else f"{label} claims {element.length} bytes, more than the deflated data set has"
        )

    def _is_sequence(self, data_set: RawDataSet, element: RawElement) -> bool:
        """Whether its value is items; where only its tag or VR says so, that is a problem."""
        vr, tag, length = element.vr, element.tag, element.length
        if vr not in ("SQ", "UN", None) or (vr == "SQ" and length in (0, UNDEFINED)):
            return vr == "SQ"
        has_items = self._source.peek(4) in _ORDERS
        if length == UNDEFINED and (vr == "UN" or data_set.known_vr(tag) in (None, "SQ")):
            return has_items
        if vr == "UN" and not is_private(tag) and length >= LONGEST_KNOWN_UN:
            return False
        if vr != "SQ" and data_set.known_vr(tag) != "SQ":
            return False
        if length and not has_items:
            element.vr = "UN"
            element.problem = "it is a sequence, but its value has no items"
            return False
        return True

    def _read_sequence(self, data_set: RawDataSet, element: RawElement, depth: int) -> None:
        if depth >= _MAX_DEPTH:
            raise UnreadableFileError(f"sequences are nested more than {_MAX_DEPTH} deep")
        source = self._source
        end = None if element.length == UNDEFINED else element.start + element.length
        element.items = []
        is_little = data_set.is_little
        if element.vr == "UN":
            is_little = _ORDERS.get(source.peek(4), True)
        while end is None or source.position < end:
            head = source.peek(8)
            if len(head) < 8 or (end is not None and source.position + 8 > end):
                self._end_early(end, depth + 1)
                return
            tag, length = tag_of(head, is_little), implicit_head(head, is_little).length
            if tag == _SEQUENCE_END:
                skip(source, 8 if end is None else end - source.position)
                return
            if head == _ZEROS and end is not None:
                self._pass_zeros(end)
            elif tag == _ITEM_END:
                skip(source, 8)
                self._note("the end of no item: ignored")
            elif tag == _ITEM:
                skip(source, 8)
                item = RawDataSet(data_set.is_implicit, is_little, data_set)
                self._read_item(item, element, length, end, depth)
            else:
                label = element_label(element.tag, data_set.creator_of(element.tag))
                raise UnreadableFileError(f"{label}: no item begins at byte {source.position}")

    def _read_item(
        self, item: RawDataSet, element: RawElement, length: int, end: int | None, depth: int
    ) -> None:
        held = self.held
        self._hold(_HELD_BY_ITEM)
        item_end = None if length == UNDEFINED else self._source.position + length
        if end is not None and item_end is not None and item_end > end:
            raise UnreadableFileError(
                f"an item of {format_tag(element.tag)} reaches beyond byte {end}, its end"
            )
        if element.vr == "UN":
            self._settle_encoding(item, item_end, is_sure=True)
        elif not item.is_implicit:
            self._settle_encoding(item, item_end, is_sure=False)
        self._read_elements(item, item_end, depth + 1)
        assert element.items is not None
        if self._finishes is None or depth or element.tag <= _DECIDING:
            element.items.append(item)
            return
        finished, size = self._finishes(item)
        element.items.append(finished)
        self.held = held
        self._hold(size)

    def _read_fragments(self, data_set: RawDataSet, element: RawElement, is_wanted: bool) -> bool:
        """Read a value that a delimiter ends, as compressed pixels; returns whether it is kept."""
        chunks = fragments(self._source, element.is_little)
        if not is_wanted:
            for _ in chunks:
                pass
            return False
        pieces, size = [], 0
        for chunk in chunks:
            pieces.append(chunk)
            size += len(chunk)
            if size > self._longest:
                return self._take(data_set, element, chain(pieces, chunks))
        self._hold(size)
        element.raw = b"".join(pieces)
        return True

    def _take(self, data_set: RawDataSet, element: RawElement, chunks: Chunks) -> bool:
        element.taken = self._takes(data_set, element, chunks)
        for _ in chunks:
            # What takes it may have seen enough.
            pass
        return element.taken is not None


def _element(tag: int, head: Head, start: int, is_little: bool) -> RawElement:
    if head.vr == "UN":
        # It came by a transfer syntax of implicit VR, and these are little endian (PS3.5 6.2.2).
        is_little = True
    return RawElement(tag, head.vr, head.length, start, is_little, problem=head.problem)
