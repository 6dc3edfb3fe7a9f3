"""Values of undefined length that are no sequences, such as compressed pixels (PS3.5 A.4)."""

from collections.abc import Iterator

from dicom_graph.dicom.errors import TruncatedFileError
from dicom_graph.dicom.parsing.byte_source import ByteSource, skip, take
from dicom_graph.dicom.parsing.element_head import implicit_head, tag_of
from dicom_graph.dicom.parsing.raw_data_set import UNDEFINED

_ITEM, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE0DD
_SEARCHED = 1 << 16
_NO_END = "the file ends inside an element of undefined length"


def fragments(source: ByteSource, is_little: bool) -> Iterator[bytes]:
    """The bytes up to the delimiter, which is passed: items of bytes with their heads, or others.

    Raises TruncatedFileError where there is no delimiter.
    """
    while len(head := source.peek(8)) == 8:
        tag, length = tag_of(head, is_little), implicit_head(head, is_little).length
        if tag == _SEQUENCE_END:
            skip(source, 8)
            return
        if tag != _ITEM or length == UNDEFINED:
            yield from _until_delimiter(source, is_little)
            return
        yield from source.chunks(8 + length)
    raise TruncatedFileError(_NO_END)


def _until_delimiter(source: ByteSource, is_little: bool) -> Iterator[bytes]:
    delimiter = _SEQUENCE_END.to_bytes(4, "big")
    if is_little:
        delimiter = delimiter[1::-1] + delimiter[:1:-1]
    while len(window := source.peek(_SEARCHED)) >= 8:
        place = window.find(delimiter)
        if place >= 0:
            yield take(source, place)
            skip(source, 8)
            return
        yield take(source, len(window) - 7)
    raise TruncatedFileError(_NO_END)
