"""Padding: stored values that fill up the rectangle, and mean nothing (PS3.3 C.7.5.1.1.2).

"The pixel padding value is explicitly described in order to prevent display applications from
taking it into account when determining the dynamic range of an image": so it is left out where a
window is made from the values. dcmtk does not leave it out.
"""

from typing import TypeAlias

import numpy as np
from pydicom.dataset import Dataset

from dicom_graph.dicom.functional_groups import readable
from dicom_graph.dicom.pixels.frame_format import FrameFormat
from dicom_graph.dicom.pixels.lookup_table import Lookup
from dicom_graph.dicom.pixels.modality_lut import Transform, apply_transform

PADDING_TAGS = frozenset(range(0x00280120, 0x00280126))
"""PixelPaddingValue and PixelPaddingRangeLimit, also the ones of float pixel data."""
Padding: TypeAlias = tuple[float, float]
"""The lowest and the highest value that is padding."""
_KINDS = {"u": "Pixel", "i": "Pixel", "f4": "FloatPixel", "f8": "DoubleFloatPixel"}
_WHOLE_RANGE = 1 << 16


def stored_padding(header: Dataset, layout: FrameFormat) -> Padding | None:
    """The stored values that are padding; None where the header names none.

    Integers are taken as the bits that they are: US and SS are mixed up in many files.
    """
    name = layout.dtype.str[1:] if layout.is_float else layout.dtype.kind
    first = readable(header, f"{_KINDS[name]}PaddingValue")
    if first is None:
        return None
    limit = readable(header, f"{_KINDS[name]}PaddingRangeLimit")
    try:
        ends = [_sample(each, layout) for each in (first, first if limit is None else limit)]
    except (TypeError, ValueError):
        return None
    # Of MONOCHROME1 the limit is the lower end.
    return min(ends), max(ends)


def padding_after(
    padding: Padding, transform: Transform, layout: FrameFormat, dtype: "np.dtype[np.generic]"
) -> Padding:
    """What padding becomes when stored values become what they mean, of type `dtype`."""
    low, high = padding
    stored = np.array([low, high], layout.dtype)
    if isinstance(transform, Lookup) and high - low < _WHOLE_RANGE:
        stored = np.arange(int(low), int(high) + 1)
    values = apply_transform(stored, transform, dtype)
    return float(values.min()), float(values.max())


def _sample(value: float, layout: FrameFormat) -> float:
    if layout.is_float:
        return float(value)
    bits = int(value) & ((1 << layout.stored) - 1)
    return bits - (1 << layout.stored) if layout.is_signed and bits >> (layout.stored - 1) else bits
