"""Frames of native pixel data as arrays (PS3.5 8.1 and 8.2, Annex D)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels.frame_format import FrameFormat

Array = NDArray[Any]


def native_values(
    data: bytes, layout: FrameFormat, *, first_bit: int = 0, is_little_endian: bool = True
) -> Array:
    """The pixel cells of a frame, (rows, columns[, samples]), from its bytes.

    Cells of one bit follow each other without a gap, also from frame to frame, the lowest bit of a
    byte first: `first_bit` is where the frame begins in the first byte. Subsampled colours
    (YBR_FULL_422, YBR_PARTIAL_422) get their samples back. Raises CorruptPixelsError where there
    are too few bytes.
    """
    if 8 * len(data) < first_bit + layout.native_bits:
        raise CorruptPixelsError("the pixel data ends early, within a frame")
    if layout.allocated == 1:
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[first_bit : first_bit + layout.values].reshape(layout.shape)
    stored = layout.dtype.newbyteorder("<" if is_little_endian else ">")
    count = layout.native_bits // layout.allocated
    cells = np.frombuffer(data, stored, count).astype(layout.dtype)
    if count < layout.values:
        cells = _resampled(cells)
    if layout.samples > 1 and layout.is_planar:
        return np.moveaxis(cells.reshape(layout.samples, layout.rows, layout.columns), 0, 2)
    return cells.reshape(layout.shape)


def swapped_pairs(data: bytes) -> bytes:
    """Bytes of big endian words (OW) in the order of the bytes that they hold."""
    return np.frombuffer(data, ">u2").astype("<u2").tobytes()


def _resampled(cells: Array) -> Array:
    """Y1 Y2 Cb Cr become Y1 Cb Cr Y2 Cb Cr (PS3.3 C.7.6.3.1.2)."""
    pairs = cells.reshape(-1, 4)
    return pairs[:, (0, 2, 3, 1, 2, 3)].ravel()
