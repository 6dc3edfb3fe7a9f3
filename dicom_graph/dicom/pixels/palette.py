"""Palettes: the colours that stored values stand for (PS3.3 C.7.6.3.1.5, C.7.6.3.1.6, C.7.9.2)."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels.lookup_table import Lookup

PALETTE_TAGS = frozenset((*range(0x00281101, 0x00281105), *range(0x00281201, 0x00281224)))
"""Descriptors and data of the palettes, segmented ones too."""
_COLOURS = ("Red", "Green", "Blue")
_WIDEST_INDEX = 2
_DISCRETE, _LINEAR, _INDIRECT = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """A table each of red, green and blue; `bits`: of an entry, 1 to 16."""

    tables: tuple[Lookup, Lookup, Lookup]
    bits: int

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the colours."""
        return np.dtype(np.uint8 if self.bits <= 8 else np.uint16)

    def __call__(self, indexes: NDArray[Any]) -> NDArray[Any]:
        """The colours of stored values, (rows, columns, 3).

        Values below the first entry have its colour, values beyond the last that one's.
        """
        if indexes.dtype.itemsize > _WIDEST_INDEX:
            return self._colours(indexes)
        # One look for each pixel, in a table of all values that there can be.
        count = 1 << (8 * indexes.dtype.itemsize)
        unsigned = indexes.view(f"u{indexes.dtype.itemsize}")
        every = np.arange(count, dtype=unsigned.dtype).view(indexes.dtype)
        return np.asarray(self._colours(every)[unsigned])

    def _colours(self, indexes: NDArray[Any]) -> NDArray[Any]:
        return np.stack([table(indexes) for table in self.tables], -1).astype(self.dtype)


def read_palette(header: Dataset, *, is_signed: bool, is_little_endian: bool = True) -> Palette:
    """The palette of an image; `is_signed`: whether its stored values are.

    Raises CorruptPixelsError where there is none, or it has no entries.
    """
    try:
        tables = [_table(header, colour, is_signed, is_little_endian) for colour in _COLOURS]
    except CorruptPixelsError:
        raise
    except Exception as error:
        raise CorruptPixelsError(f"the palette cannot be read: {error}") from error
    return Palette((tables[0], tables[1], tables[2]), max(table.bits for table in tables))


def _table(header: Dataset, colour: str, is_signed: bool, is_little_endian: bool) -> Lookup:
    descriptor = header.get(f"{colour}PaletteColorLookupTableDescriptor")
    if descriptor is None or len(descriptor) != 3:
        raise CorruptPixelsError("the palette has no descriptor that can be read")
    # The VR, US or SS, is that of the stored values, and is not always right.
    length, first, bits = (int(number) % 65_536 for number in descriptor)
    length = length or 65_536
    if is_signed and first >= 32_768:
        first -= 65_536
    if not 1 <= bits <= 16:
        raise CorruptPixelsError(f"the palette has entries of {bits} bits, not of 8 or 16")
    plain = header.get(f"{colour}PaletteColorLookupTableData")
    segmented = header.get(f"Segmented{colour}PaletteColorLookupTableData")
    if plain:
        entries, bits = _entries(plain, length, bits, is_little_endian)
        values = entries[:length]
    elif segmented:
        words = _numbers(segmented, bits <= 8, is_little_endian).tolist()
        values = np.asarray(_expanded(words, length, 1 if bits <= 8 else 2))
    else:
        raise CorruptPixelsError(f"the palette has no table of {colour.lower()}")
    kind = np.uint8 if bits <= 8 else np.uint16
    return Lookup(first, bits, values.astype(kind))


def _entries(data: Any, length: int, bits: int, is_little_endian: bool) -> tuple[NDArray[Any], int]:
    """The entries in the data of a table, and their bits.

    Entries of 8 bits lie two to a word, or, in old images, one to a word, which the length shows.
    """
    is_packed = len(data) < 2 * length if bits <= 8 else length <= len(data) <= length + 1
    is_packed = is_packed and isinstance(data, bytes)
    return _numbers(data, is_packed, is_little_endian), min(bits, 8) if is_packed else bits


def _numbers(data: Any, is_packed: bool, is_little_endian: bool) -> NDArray[Any]:
    """The words, or the bytes two to a word, the lower one first."""
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data)).astype(np.uint16)
    order: Literal["<", ">"] = "<" if is_little_endian else ">"
    even = data + bytes(len(data) % 2)
    words = np.frombuffer(even, np.dtype(np.uint16).newbyteorder(order))
    return words.astype("<u2").view(np.uint8) if is_packed else words.astype(np.uint16)


def _expanded(words: list[int], length: int, width: int) -> list[int]:
    """The entries that segments stand for, no more than `length` (C.7.9.2).

    `width`: of a word in bytes. An indirect segment repeats earlier ones, which may be linear and
    then begin where the table has got to, but not indirect.
    """
    values: list[int] = []
    position = 0
    while position + 1 < len(words) and len(values) < length:
        if words[position] != _INDIRECT:
            position = _segment(words, position, length, values)
            continue
        end = position + (4 if width == 2 else 6)
        count, *offset = words[position + 1 : end]
        start = sum(part << (8 * width * place) for place, part in enumerate(offset)) // width
        for _ in range(count):
            if len(values) < length:
                start = _segment(words, start, length, values)
        position = end
    if not values:
        raise CorruptPixelsError("the palette has no entries")
    return values


def _segment(words: list[int], position: int, length: int, values: list[int]) -> int:
    """Add the entries of a discrete or linear segment; returns the place after it."""
    if position + 2 >= len(words):
        raise CorruptPixelsError("a segment of the palette lies beyond its end")
    kind, count = words[position], words[position + 1]
    if not count:
        raise CorruptPixelsError("a segment of the palette has no entries")
    room = length - len(values)
    if kind == _DISCRETE:
        values += words[position + 2 : position + 2 + count][:room]
        return position + 2 + count
    if kind != _LINEAR or not values:
        raise CorruptPixelsError("a segment of the palette is of no kind that can be there")
    before, last = values[-1], words[position + 2]
    steps = np.arange(1, min(count, room) + 1)
    values += np.rint(before + (last - before) * steps / count).astype(int).tolist()
    return position + 3
