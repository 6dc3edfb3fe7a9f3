"""Frames that a file holds as they are: uncompressed grey, read with no further look at the header.

Other frames are for `ImageFile.frame`. A test holds both to the same values.
"""

from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.image_file import ImageFile
from dicom_graph.dicom.pixels import PixelDescription


@dataclass(frozen=True, slots=True)
class RawFrame:
    """Where in its file a frame begins, its type with the byte order, its unused high bits."""

    offset: int
    dtype: str
    rows: int
    columns: int
    unused_bits: int

    def read(self, file: BinaryIO) -> NDArray[Any]:
        """The stored values, (rows, columns). Raises CorruptPixelsError where the file ends."""
        dtype = np.dtype(self.dtype)
        length = self.rows * self.columns * dtype.itemsize
        file.seek(self.offset)
        data = file.read(length)
        if len(data) < length:
            raise CorruptPixelsError(f"the file ends {length - len(data)} bytes early in a frame")
        values = np.frombuffer(data, dtype).reshape(self.rows, self.columns)
        if self.unused_bits:
            values = values.astype(dtype.newbyteorder("="))
            values <<= self.unused_bits
            values >>= self.unused_bits
        return values


def raw_frames(image: ImageFile, description: PixelDescription) -> list[RawFrame] | None:
    """Where the file holds each of its frames as it is; None where it holds them otherwise."""
    start, syntax = image.value_start, image.syntax
    stored = np.dtype(description.stored_dtype)
    allocated = int(image.header.get("BitsAllocated") or 0)
    if start is None or syntax.is_encapsulated or description.samples != 1 or allocated < 8:
        return None
    # Bytes of a big endian OW lie in pairs, the other way round.
    if not syntax.is_little_endian and stored.itemsize == 1:
        return None
    length = description.rows * description.columns * stored.itemsize
    if image.value_length < length * description.frames:
        return None
    unused = 0 if stored.kind == "f" else 8 * stored.itemsize - description.bits_stored
    dtype = stored.newbyteorder("<" if syntax.is_little_endian else ">").str
    size = description.rows, description.columns
    starts = range(start, start + length * description.frames, length)
    return [RawFrame(offset, dtype, *size, unused) for offset in starts]
