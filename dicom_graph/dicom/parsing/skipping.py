"""Skipping the elements of a data set that nobody wants, quickly."""

from collections.abc import Container
from struct import Struct

from dicom_graph.dicom.parsing.byte_source import FileBytes
from dicom_graph.dicom.parsing.element_head import HEADS_OF_16_BITS, HEADS_OF_32_BITS

_HEAD = Struct("<HH2sH").unpack_from
_LENGTH = Struct("<L").unpack_from
_UNDEFINED = 0xFFFFFFFF
_FIRST_TAG, _LAST_TAG = 0x00080000, 0x7FE00000
"""File meta information before and pixel data after are left to the walk."""


def skip_unwanted(source: FileBytes, wanted: Container[int]) -> int:
    """Pass over elements of explicit VR little endian (PS3.5 7.1.2) that are not in `wanted`;
    returns how many.

    It stops at the first that is wanted, is empty, or is not plainly what the standard says: what
    is passed over is what `element_head` reads the same way.
    """
    window, start = source.window()
    last, place, count = len(window) - 12, start, 0
    left = source.size - source.position
    while place <= last:
        group, number, code, length = _HEAD(window, place)
        tag = group << 16 | number
        if tag in wanted or not _FIRST_TAG <= tag < _LAST_TAG:
            break
        if code in HEADS_OF_16_BITS and length:
            size = 8 + length
        elif code in HEADS_OF_32_BITS and not length:
            (length,) = _LENGTH(window, place + 8)
            size = 12 + length
        else:
            break
        if length == _UNDEFINED or place - start + size > left:
            break
        place += size
        count += 1
    source.skip(place - start)
    return count
