"""Frames that a file holds as they are: uncompressed grey, read with no further look at the header.

Other frames are for `ImageFile.frame`. A test holds both to the same values.
"""

from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels.arrays import PixelDescription
from dicom_graph.dicom.pixels.frame_format import FrameFormat
from dicom_graph.dicom.pixels.image_file import ImageFile


@dataclass(frozen=True, slots=True)
class RawFrame:
    """Where in its file a frame begins, its type with the byte order, its unused bits.

    `bits_above` and `bits_below`: of a cell those beyond the sample, and those under it.
    """

    offset: int
    dtype: str
    rows: int
    columns: int
    bits_above: int
    bits_below: int

    def read(self, file: BinaryIO) -> NDArray[Any]:
        """The stored values, (rows, columns). Raises CorruptPixelsError where the file ends."""
        dtype = np.dtype(self.dtype)
        length = self.rows * self.columns * dtype.itemsize
        file.seek(self.offset)
        data = file.read(length)
        if len(data) < length:
            raise CorruptPixelsError(f"the file ends {length - len(data)} bytes early in a frame")
        values = np.frombuffer(data, dtype).reshape(self.rows, self.columns)
        if self.bits_above or self.bits_below:
            values = values.astype(dtype.newbyteorder("="))
            values <<= self.bits_above
            values >>= self.bits_above + self.bits_below
        return values


def raw_frames(
    image: ImageFile, layout: FrameFormat, description: PixelDescription
) -> list[RawFrame] | None:
    """Where the file holds each of its frames as it is; None where it holds them otherwise."""
    start = image.value_start
    stored = np.dtype(description.stored_dtype)
    if start is None or not image.is_native or description.samples != 1 or layout.allocated < 8:
        return None
    # Bytes of a big endian OW lie in pairs, the other way round.
    if image.has_big_pixels and stored.itemsize == 1:
        return None
    length = description.rows * description.columns * stored.itemsize
    if image.value_length < length * description.frames:
        return None
    unused = layout.allocated - 1 - layout.high, layout.bits_below
    dtype = stored.newbyteorder(">" if image.has_big_pixels else "<").str
    size = description.rows, description.columns
    starts = range(start, start + length * description.frames, length)
    return [RawFrame(offset, dtype, *size, *unused) for offset in starts]
