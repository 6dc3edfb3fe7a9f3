"""What lies in native pixel data beside its samples (PS3.5 8.1.1): old overlays, trailing bytes."""

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from dicom_graph.dicom.errors import CorruptPixelsError

_WORDS = (8, 16, 32)


def clear_unused_bits(data_set: Dataset) -> None:
    """Leave of native PixelData only what its samples are made of.

    Bits above the samples of signed values repeat their sign, as they should. Raises
    CorruptPixelsError where the header does not say where the samples lie.
    """
    if "PixelData" not in data_set:
        return
    element = data_set["PixelData"]
    raw: bytes = element.value or b""
    raw = raw[: _length(data_set, len(raw))]
    allocated, stored, high, is_signed = _layout(data_set)
    if stored < allocated and allocated in _WORDS:
        order = "<" if data_set.original_encoding[1] is not False else ">"
        kind = "i" if is_signed else "u"
        words = np.frombuffer(raw[: len(raw) // (allocated // 8) * (allocated // 8)], "u1")
        words = words.view(f"{order}{kind}{allocated // 8}")
        above, below = allocated - 1 - high, high + 1 - stored
        raw = (((words << above) >> (above + below)) << below).astype(words.dtype).tobytes()
    element.value = raw + bytes(len(raw) % 2)


def _length(data_set: Dataset, given: int) -> int:
    """The bytes that all frames take; all that are given where colours share samples."""
    if "422" in str(data_set.get("PhotometricInterpretation", "")):
        return given
    sizes = ("Rows", "Columns", "SamplesPerPixel", "BitsAllocated")
    numbers = [_number(data_set, keyword) for keyword in sizes]
    frames = _number(data_set, "NumberOfFrames", 1)
    bits = frames
    for number in numbers:
        bits *= number
    return min(given, (bits + 7) // 8)


def _layout(data_set: Dataset) -> tuple[int, int, int, bool]:
    """BitsAllocated, BitsStored, HighBit, and whether the samples are signed."""
    allocated = _number(data_set, "BitsAllocated")
    stored = _number(data_set, "BitsStored", allocated)
    high = _number(data_set, "HighBit", stored - 1)
    if not 0 < stored <= allocated:
        raise CorruptPixelsError("BitsStored contradicts BitsAllocated")
    if not stored <= high + 1 <= allocated:
        high = stored - 1
    return allocated, stored, high, _number(data_set, "PixelRepresentation", 0) == 1


def _number(data_set: Dataset, keyword: str, default: int | None = None) -> int:
    value: Any = data_set.get(keyword, default)
    if value is None:
        value = default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise CorruptPixelsError(f"the header has no {keyword}, or not one number") from None
