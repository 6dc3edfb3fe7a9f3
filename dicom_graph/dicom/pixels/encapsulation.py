"""The frames of encapsulated pixel data (PS3.5 A.4): fragments, and the tables of their offsets.

pydicom's `get_frame` believes the tables: one that lies gives another frame, or bytes from anywhere
in the file. Here they are held against the fragments, which are what is there.
"""

import os
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

from dicom_graph.dicom.errors import CorruptPixelsError

Table: TypeAlias = NDArray[np.unsignedinteger[Any]]
Fragments: TypeAlias = Sequence[int]
_ITEM = b"\xfe\xff\x00\xe0"
_DELIMITER = b"\xfe\xff\xdd\xe0"
_HEADER = 8
_MAX_FRAGMENTS = 1 << 22
_FEW = 4_096
_STREAM_STARTS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\x00\x00\x00\x0c")


class EncapsulatedFrames:
    """The frames of the pixel data whose value begins at `start` of an open file.

    `extended`: the values of ExtendedOffsetTable and ExtendedOffsetTableLengths, where there are
    any. Raises CorruptPixelsError where there is no offset table item, which is never absent.
    """

    def __init__(
        self, file: BinaryIO, start: int, n_frames: int, extended: tuple[bytes, bytes] | None
    ) -> None:
        self._file = file
        self._size = os.fstat(file.fileno()).st_size
        self._n_frames = n_frames
        length = self._item_length(start)
        if length is None:
            raise CorruptPixelsError("the encapsulated pixel data does not begin with an item")
        self._first = start + _HEADER + length
        self._table = self._read_table(start, length, extended)
        self._fragments: Fragments | None = None
        self._starts: Fragments | None = None

    def frame(self, index: int) -> bytes:
        """The bytes of a frame, its fragments joined. Raises CorruptPixelsError.

        A table of the offsets of few frames is held against all fragments, that of many against
        those of the frame, so that a slide's tile is found without reading the slide.
        """
        fragments = None
        if self._n_frames > _FEW and self._table is not None:
            fragments = self._by_table(self._table, index)
        if fragments is None:
            fragments = self._of_frame(index)
        return b"".join(self._content(start, index) for start in fragments)

    def _by_table(self, table: Table, index: int) -> list[int] | None:
        """The fragments from one place of the table to the next; None where it leads astray."""
        start = self._first + int(table[index])
        is_last = index + 1 == self._n_frames
        end = self._size if is_last else self._first + int(table[index + 1])
        found = []
        try:
            while start < end and (length := self._item_length(start)) is not None:
                found.append(start)
                start += _HEADER + length
        except CorruptPixelsError:
            return None
        return found if found and (is_last or start == end) else None

    def _of_frame(self, index: int) -> list[int]:
        """Where the fragments of a frame begin, after a look at all of them."""
        if self._fragments is None:
            self._fragments = self._scan()
        if self._starts is None:
            self._starts = self._frame_starts(self._fragments)
        first = bisect_left(self._fragments, self._starts[index])
        last = len(self._fragments)
        if index + 1 < self._n_frames:
            last = bisect_left(self._fragments, self._starts[index + 1])
        return list(self._fragments[first:last])

    def _frame_starts(self, fragments: Fragments) -> Fragments:
        """The first fragment of each frame."""
        if self._n_frames == 1 and fragments:
            return fragments[:1]
        if len(fragments) == self._n_frames:
            # A frame has a fragment at least, so whatever a table says, each is a frame.
            return fragments
        if len(fragments) < self._n_frames:
            raise CorruptPixelsError(
                f"the header says {self._n_frames} frames, the pixel data has "
                f"{len(fragments)} fragments"
            )
        if self._table is not None:
            starts = [self._first + int(offset) for offset in self._table]
            if starts[0] != fragments[0] or not set(starts) <= set(fragments):
                raise CorruptPixelsError("the offset table does not lead to the fragments")
            return starts
        starts = [start for start in fragments if self._begins_stream(start)]
        if len(starts) != self._n_frames or starts[0] != fragments[0]:
            raise CorruptPixelsError(
                f"the header says {self._n_frames} frames: which of the {len(fragments)} "
                "fragments make them cannot be told"
            )
        return starts

    def _begins_stream(self, start: int) -> bool:
        self._file.seek(start + _HEADER)
        return self._file.read(4).startswith(_STREAM_STARTS)

    def _scan(self) -> Fragments:
        """Where each fragment begins, up to the delimiter or the end of the file."""
        fragments = array("Q")
        position = self._first
        while (length := self._item_length(position)) is not None:
            fragments.append(position)
            if len(fragments) > _MAX_FRAGMENTS:
                raise CorruptPixelsError(f"the pixel data has over {_MAX_FRAGMENTS} fragments")
            position += _HEADER + length
        return fragments

    def _content(self, start: int, index: int) -> bytes:
        length = self._item_length(start)
        # Before reading: room for all that is asked for is made first, and a length may lie.
        if length is None or start + _HEADER + length > self._size:
            raise CorruptPixelsError(f"the file ends early, within frame {index}")
        return self._file.read(length)

    def _item_length(self, position: int) -> int | None:
        """The length of the item there; None at the delimiter and at the end of the file."""
        if position + _HEADER > self._size:
            return None
        self._file.seek(position)
        header = self._file.read(_HEADER)
        if len(header) < _HEADER or header.startswith(_DELIMITER):
            return None
        length = int.from_bytes(header[4:], "little")
        if not header.startswith(_ITEM) or length == 0xFFFFFFFF:
            raise CorruptPixelsError("the encapsulated pixel data is no sequence of fragments")
        return length

    def _read_table(
        self, start: int, length: int, extended: tuple[bytes, bytes] | None
    ) -> Table | None:
        """The offsets of the frames; None without a table that can be one.

        It has an offset for each frame, beginning with 0, each beyond the one before.
        """
        table = None
        if extended and len(extended[0]) == len(extended[1]) == 8 * self._n_frames:
            table = np.frombuffer(extended[0], "<u8")
        elif length == 4 * self._n_frames and start + _HEADER + length <= self._size:
            self._file.seek(start + _HEADER)
            table = np.frombuffer(self._file.read(length), "<u4")
        if table is None or table[0] != 0 or not (table[1:] > table[:-1]).all():
            return None
        return table
