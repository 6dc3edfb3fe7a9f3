"""Bytes of a file in the order in which a data set is read, few of them in memory at a time."""

import os
import zlib
from collections.abc import Iterator
from typing import Protocol

from dicom_graph.dicom.errors import TruncatedFileError, UnreadableFileError

CHUNK = 1 << 20
_WINDOW = 1 << 16
_INFLATED_AT_ONCE = 1 << 18
INFLATED_LIMIT = 128 << 20
"""Bytes that a deflated data set may inflate to where all of it is held in memory."""
MAX_INFLATED = 9 << 28
"""The same where it is not: 2.25 GiB, which takes some seconds."""


class ByteSource(Protocol):
    """What a data set is read from. `position`: of the next byte, from the start of the file, or
    of a deflated data set from its own start.
    """

    position: int

    def peek(self, count: int, offset: int = 0) -> bytes:
        """The next bytes, or those so far ahead, which stay where they are; fewer at the end, and
        none where that is too far ahead to be known.
        """

    def chunks(self, count: int) -> Iterator[bytes]:
        """The next bytes, at most a mebibyte at a time; fewer at the end."""

    def has(self, count: int) -> bool:
        """Whether there may be so many more bytes."""


def take(source: ByteSource, count: int) -> bytes:
    """The next bytes at once; fewer at the end."""
    return b"".join(source.chunks(count))


def skip(source: ByteSource, count: int) -> int:
    """Pass bytes over; returns how many there were."""
    if isinstance(source, FileBytes):
        return source.skip(count)
    return sum(map(len, source.chunks(count)))


class FileBytes:
    """A file that is open, by its descriptor; nothing else moves."""

    def __init__(self, descriptor: int, position: int = 0) -> None:
        self.position = position
        self.size = os.fstat(descriptor).st_size
        self._descriptor = descriptor
        self._window = b""
        self._start = 0

    def peek(self, count: int, offset: int = 0) -> bytes:
        start = self.position + offset
        place = start - self._start
        if place < 0 or place + count > len(self._window):
            if start >= self.size:
                return b""
            if offset:
                return os.pread(self._descriptor, count, start)
            self._window = os.pread(self._descriptor, max(count, _WINDOW), start)
            self._start, place = start, 0
        return self._window[place : place + count]

    def window(self) -> tuple[bytes, int]:
        """Bytes that are held, those of the position among them, and where it is in them."""
        self.peek(12)
        return self._window, self.position - self._start

    def chunks(self, count: int) -> Iterator[bytes]:
        while count > 0:
            size = min(count, CHUNK)
            offset = self.position - self._start
            if 0 <= offset < len(self._window):
                chunk = self._window[offset : offset + size]
            elif size <= _WINDOW:
                chunk = self.peek(size)
            else:
                chunk = os.pread(self._descriptor, size, self.position)
            if not chunk:
                return
            self.position += len(chunk)
            count -= len(chunk)
            yield chunk

    def skip(self, count: int) -> int:
        """Pass bytes over without reading them; returns how many there were."""
        passed = max(min(count, self.size - self.position), 0)
        self.position += passed
        return passed

    def has(self, count: int) -> bool:
        return self.position + count <= self.size


class InflatedBytes:
    """A data set that is deflated (PS3.5 A.5), from where it begins in the file.

    `has_zlib_header`: it is wrapped as RFC 1950 has it, which DICOM has not, and some writers do.
    Raises UnreadableFileError where it is corrupt, or inflates to more than `limit` bytes.
    """

    def __init__(self, descriptor: int, start: int, limit: int = MAX_INFLATED) -> None:
        self.position = 0
        self._limit = limit
        self._descriptor = descriptor
        self._place = start
        self.has_zlib_header = _is_zlib(os.pread(descriptor, 5, start))
        bits = zlib.MAX_WBITS if self.has_zlib_header else -zlib.MAX_WBITS
        self._inflater = zlib.decompressobj(bits)
        self._window = b""
        self._offset = 0

    def peek(self, count: int, offset: int = 0) -> bytes:
        if offset + count > CHUNK:
            return b""
        while len(self._window) - self._offset < offset + count and (more := self._inflate()):
            self._window, self._offset = self._window[self._offset :] + more, 0
        start = self._offset + offset
        return self._window[start : start + count]

    def chunks(self, count: int) -> Iterator[bytes]:
        while count > 0:
            if self._offset == len(self._window):
                self._window, self._offset = self._inflate(), 0
                if not self._window:
                    return
            chunk = self._window[self._offset : self._offset + count]
            self._offset += len(chunk)
            self.position += len(chunk)
            count -= len(chunk)
            yield chunk

    def has(self, count: int) -> bool:
        return self.position + count <= self._limit

    def _inflate(self) -> bytes:
        """More bytes; none at the end."""
        pending = self._inflater.unconsumed_tail
        while not self._inflater.eof:
            if not pending:
                pending = os.pread(self._descriptor, _WINDOW, self._place)
                self._place += len(pending)
            try:
                inflated = self._inflater.decompress(pending, _INFLATED_AT_ONCE)
            except zlib.error as error:
                raise UnreadableFileError(f"the deflated data set is corrupt: {error}") from None
            if self.position + len(self._window) + len(inflated) > self._limit:
                raise UnreadableFileError(f"the deflated data set exceeds {self._limit >> 20} MiB")
            if inflated:
                return inflated
            if not pending and not self._inflater.eof:
                raise TruncatedFileError("the file ends inside its deflated data set")
            pending = self._inflater.unconsumed_tail
        return b""


def _is_zlib(head: bytes) -> bool:
    """Whether bytes are a header of RFC 1950, and no beginning of a stream of RFC 1951.

    As that they would begin a stored block, whose length stands there twice, once inverted.
    """
    if len(head) < 5 or head[0] & 0xF != zlib.DEFLATED or int.from_bytes(head[:2], "big") % 31:
        return False
    length, inverted = (int.from_bytes(head[i : i + 2], "little") for i in (1, 3))
    return length ^ inverted != 0xFFFF
