"""Where the data set of a file lies, and how it is encoded (PS3.10 7)."""

from struct import unpack
from typing import NamedTuple

from dicom_graph.dicom.parsing.byte_source import MAX_INFLATED, ByteSource, FileBytes, InflatedBytes
from dicom_graph.dicom.parsing.element_head import is_known_vr
from dicom_graph.dicom.parsing.file_meta import PREFIX_END, FileMeta, read_file_meta

PREFIX = b"DICM"
_LEAST_BIG_GROUP = 0x0400


class FileDataSet(NamedTuple):
    """A data set that is to be read: `source` is where it begins.

    `encoding`: whether VRs are implicit, and bytes in little endian order.
    """

    meta: FileMeta
    source: ByteSource
    encoding: tuple[bool, bool]


def open_data_set(descriptor: int, max_inflated: int = MAX_INFLATED) -> FileDataSet:
    """The data set of an open file, with or without a preamble and file meta information.

    `max_inflated`: bytes that a deflated data set may give.
    """
    source = FileBytes(descriptor)
    if source.peek(len(PREFIX), PREFIX_END - len(PREFIX)) == PREFIX:
        source.skip(PREFIX_END)
    meta = read_file_meta(source)
    if meta.is_deflated:
        return FileDataSet(meta, InflatedBytes(descriptor, meta.start, max_inflated), (False, True))
    return FileDataSet(meta, source, meta.encoding or _guessed(source))


def _guessed(source: FileBytes) -> tuple[bool, bool]:
    """The encoding of a data set whose first element must tell it."""
    head = source.peek(6)
    if len(head) < 6:
        return True, True
    group, _, code = unpack("<HH2s", head)
    if not is_known_vr(code):
        return True, True
    # Groups begin at 0008, which is 0800 in the other order.
    return False, group < _LEAST_BIG_GROUP
