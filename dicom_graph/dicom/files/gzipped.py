"""DICOM files that gzip compresses as a whole (RFC 1952), as some public data sets keep them.

Their content is inflated piece by piece to a file that has no name, and is gone with the process.
"""

import os
import tempfile
import zlib
from typing import BinaryIO

from dicom_graph.dicom.errors import TruncatedFileError, UnreadableFileError
from dicom_graph.dicom.parsing.byte_source import MAX_INFLATED

MAGIC = b"\x1f\x8b\x08"
_AT_ONCE = 1 << 18
_FED = 1 << 13
"""Bytes given to zlib at a time: it copies all that lies behind each member."""
_BEGINNING = 512
_PLAUSIBLE, _RATIO = 1 << 28, 200
"""More than 256 MiB, and more than 200 times as much as is stored, no image is."""
_GZIP = 16 + zlib.MAX_WBITS


def is_gzipped(beginning: bytes) -> bool:
    """Whether a file that begins so is compressed by gzip."""
    return beginning[: len(MAGIC)] == MAGIC


def inflated_beginning(beginning: bytes) -> bytes:
    """The first bytes of what a file that begins so holds; fewer where it is not gzip after all."""
    try:
        return zlib.decompressobj(_GZIP).decompress(beginning, _BEGINNING)
    except zlib.error:
        return b""


def most_inflated(size: int) -> int:
    """How many bytes a gzip file of so many may hold: no bomb, which fills disks."""
    return min(MAX_INFLATED, max(_PLAUSIBLE, _RATIO * size))


def inflated(file: BinaryIO, max_bytes: int | None = None) -> BinaryIO:
    """What a gzip file holds, all its members one after the other, from the start; with the
    modification time of the file, so that it is told from what another version of it held.

    Raises UnreadableFileError where it is corrupt, cut short or holds more than `max_bytes`, by
    default `most_inflated`; OSError.
    """
    if max_bytes is None:
        max_bytes = most_inflated(os.fstat(file.fileno()).st_size)
    made = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        _inflate(file, made, max_bytes)
        made.flush()
        modified = os.fstat(file.fileno()).st_mtime_ns
        os.utime(made.fileno(), ns=(modified, modified))
        made.seek(0)
    except BaseException:
        made.close()
        raise
    return made


def _inflate(file: BinaryIO, made: BinaryIO, max_bytes: int) -> None:
    file.seek(0)
    inflater = zlib.decompressobj(_GZIP)
    pending = b""
    size = 0
    while True:
        if len(pending) < len(MAGIC):
            pending += file.read(_FED)
        if inflater.eof:
            # What lies behind the last member is passed over, as gzip itself does.
            if not is_gzipped(pending):
                return
            inflater = zlib.decompressobj(_GZIP)
        elif not pending:
            raise TruncatedFileError("the file ends inside its gzip compression")
        try:
            piece = inflater.decompress(pending, _AT_ONCE)
        except zlib.error as error:
            raise UnreadableFileError(f"its gzip compression is corrupt: {error}") from None
        size += len(piece)
        if size > max_bytes:
            raise UnreadableFileError(f"it holds more than {max_bytes >> 20} MiB when unpacked")
        made.write(piece)
        pending = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
