"""From stored values to what they mean: slope and intercept, or the Modality LUT (PS3.3 C.11.1).

A frame of an enhanced image has a slope and an intercept of its own (Pixel Value Transformation,
C.7.6.16.2.9). An RT Dose has DoseGridScaling (C.8.8.3), which is a slope.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_graph.dicom.functional_groups import FunctionalGroups
from dicom_graph.dicom.pixels.lookup_table import Lookup, read_lookup

MODALITY_TAGS = frozenset({0x00281052, 0x00281053, 0x00283000, 0x3004000E})
"""RescaleIntercept, RescaleSlope, ModalityLUTSequence, DoseGridScaling."""


@dataclass(frozen=True, slots=True)
class Rescale:
    """value = stored · slope + intercept."""

    slope: float = 1.0
    intercept: float = 0.0


Transform: TypeAlias = Rescale | Lookup
IDENTITY = Rescale()


def frame_transform(header: Dataset, groups: FunctionalGroups, frame: int) -> Transform:
    """How the stored values of a frame become what they mean. Raises CorruptPixelsError."""
    own = groups.item(frame, "PixelValueTransformationSequence")
    if own is not None:
        return _rescale(own.get("RescaleSlope"), own.get("RescaleIntercept"))
    tables = header.get("ModalityLUTSequence")
    if tables:
        return read_lookup(tables[0], is_little_endian=header.original_encoding[1] is not False)
    slope = header.get("RescaleSlope")
    if slope is None and header.get("DoseGridScaling"):
        slope = header.DoseGridScaling
    return _rescale(slope, header.get("RescaleIntercept"))


def value_dtype(
    stored: np.dtype[Any], bits_stored: int, transforms: Iterable[Transform]
) -> np.dtype[Any]:
    """The narrowest type for all that the transforms make of any value of `bits_stored` bits.

    Whole numbers stay whole numbers and exact. Where slope or intercept is a fraction: float32 for
    up to 16 bits stored, float64 above.
    """
    return np.result_type(*{_one_dtype(stored, bits_stored, each) for each in transforms})


def apply_transform(
    frame: NDArray[Any], transform: Transform, dtype: np.dtype[Any]
) -> NDArray[Any]:
    """The values that a frame of stored values means, as `dtype` (one of `value_dtype`)."""
    if isinstance(transform, Lookup):
        return transform(frame).astype(dtype, copy=False)
    if transform == IDENTITY:
        return frame.astype(dtype, copy=False)
    if dtype.kind in "iu":
        slope, intercept = int(transform.slope), int(transform.intercept)
        if slope == 1 and dtype.kind == "i":
            values = frame.astype(dtype)
            values += dtype.type(intercept)
            return values
        return (frame.astype(np.int64) * slope + intercept).astype(dtype)
    return (frame.astype(np.float64) * transform.slope + transform.intercept).astype(dtype)


def _rescale(slope: Any, intercept: Any) -> Rescale:
    # Zero is not allowed as a slope, yet it is met, and meant as none.
    return Rescale(_number(slope, 0.0) or 1.0, _number(intercept, 0.0))


def _number(value: Any, default: float) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return default
    return number if math.isfinite(number) else default


def _one_dtype(stored: np.dtype[Any], bits_stored: int, transform: Transform) -> np.dtype[Any]:
    if isinstance(transform, Lookup):
        return transform.values.dtype
    if transform == IDENTITY:
        return stored
    slope, intercept = transform.slope, transform.intercept
    if stored.kind == "f":
        return np.dtype(np.float64)
    lowest = -(1 << (bits_stored - 1)) if stored.kind == "i" else 0
    highest = lowest + (1 << bits_stored) - 1
    if slope.is_integer() and intercept.is_integer():
        ends = sorted(int(slope) * end + int(intercept) for end in (lowest, highest))
        for bits in (8, 16, 32, 64):
            if ends[0] >= 0 and ends[1] < 1 << bits:
                return np.dtype(f"u{bits // 8}")
            if -(1 << (bits - 1)) <= ends[0] and ends[1] < 1 << (bits - 1):
                return np.dtype(f"i{bits // 8}")
    return np.dtype(np.float32 if bits_stored <= 16 else np.float64)
