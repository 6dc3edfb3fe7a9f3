"""How the frames of an image are laid out, as its header says it (PS3.3 C.7.6.3, PS3.5 8.1.1)."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_graph.dicom.errors import CorruptPixelsError

_ALLOCATED = (1, 8, 16, 32, 64)
_FLOATS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}
_SUBSAMPLED = {"YBR_FULL_422": "YBR_FULL", "YBR_PARTIAL_422": "YBR_PARTIAL"}
"""Colours of which two pixels share a sample of each chroma, and what they are with all of them."""


@dataclass(frozen=True, slots=True)
class FrameFormat:
    """The layout of the frames of an image.

    `allocated`, `stored` and `high` are BitsAllocated, BitsStored and HighBit; `is_planar` is
    PlanarConfiguration 1.
    """

    frames: int
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    high: int
    is_signed: bool
    is_float: bool
    photometric: str
    is_planar: bool

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the stored values."""
        kind = "f" if self.is_float else "i" if self.is_signed else "u"
        return np.dtype(f"{kind}{max(self.allocated // 8, 1)}")

    @property
    def shape(self) -> tuple[int, ...]:
        """(rows, columns), or (rows, columns, samples) for colour."""
        size = (self.rows, self.columns)
        return size if self.samples == 1 else (*size, self.samples)

    @property
    def values(self) -> int:
        """The number of values of a frame."""
        return self.rows * self.columns * self.samples

    @property
    def native_bits(self) -> int:
        """The bits that a frame takes where it is not compressed."""
        bits = self.values * self.allocated
        return bits * 2 // 3 if self.photometric in _SUBSAMPLED and self.samples == 3 else bits

    def with_all_samples(self) -> "FrameFormat":
        """The same layout of colours that are not subsampled."""
        return replace(self, photometric=_SUBSAMPLED.get(self.photometric, self.photometric))

    @property
    def bits_below(self) -> int:
        """How many bits of a cell lie below the sample: HighBit tells where its highest bit is."""
        return self.high + 1 - self.stored

    def samples_of(self, cells: NDArray[Any]) -> NDArray[Any]:
        """The samples in pixel cells of `dtype`: bits that are not stored are taken away.

        They may hold overlays, or anything; signed samples are extended by their highest bit.
        """
        above, unused = self.allocated - 1 - self.high, self.allocated - self.stored
        if self.is_float or self.allocated == 1 or not unused:
            return cells
        if not cells.flags.writeable:
            cells = cells.copy()
        np.left_shift(cells, above, out=cells)
        np.right_shift(cells, unused, out=cells)
        return cells


def read_format(header: Dataset, keyword: str) -> FrameFormat:
    """The layout of the frames in the element `keyword`. Raises CorruptPixelsError."""
    is_float = keyword in _FLOATS
    rows, columns = (positive(header, word, default=0) for word in ("Rows", "Columns"))
    allocated = _FLOATS.get(keyword) or positive(header, "BitsAllocated", default=0)
    if allocated not in _ALLOCATED:
        raise CorruptPixelsError(f"BitsAllocated is {allocated}: 1, 8, 16, 32 and 64 can be read")
    stored = allocated
    if not is_float:
        stored = min(positive(header, "BitsStored", default=allocated), allocated)
    samples = positive(header, "SamplesPerPixel", default=1)
    if samples not in (1, 3) or (allocated == 1 and samples == 3):
        raise CorruptPixelsError(
            f"SamplesPerPixel is {samples}: 1 can be read, and 3 of whole bytes"
        )
    return FrameFormat(
        frames=positive(header, "NumberOfFrames", default=1),
        rows=rows,
        columns=columns,
        samples=samples,
        allocated=allocated,
        stored=stored,
        high=_high_bit(header, allocated, stored),
        is_signed=header.get("PixelRepresentation") == 1 and allocated > 1 and not is_float,
        is_float=is_float,
        photometric=str(header.get("PhotometricInterpretation") or "MONOCHROME2"),
        is_planar=header.get("PlanarConfiguration") == 1,
    )


def positive(header: Dataset, keyword: str, *, default: int) -> int:
    """A number above 0; the default where the header has none. Raises CorruptPixelsError."""
    try:
        value = int(header.get(keyword) or default)
    except Exception:
        value = -1
    if value <= 0:
        raise CorruptPixelsError(f"{keyword} is missing, or no number above 0")
    return value


def _high_bit(header: Dataset, allocated: int, stored: int) -> int:
    """HighBit; where it is missing or cannot be, the sample lies in the lowest bits.

    PS3.5 8.1.1 has an image of 12 bits stored in 16 with HighBit 15, whose lowest 4 bits are no
    data; dcmtk reads it so too. It refuses a HighBit that leaves no room for the bits stored.
    """
    try:
        high = int(header.get("HighBit") or 0)
    except Exception:
        high = 0
    return high if stored - 1 <= high < allocated else stored - 1
