"""What lies in native pixel data beside its samples (PS3.5 8.1.1): old overlays, trailing bytes."""

from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels.frame_format import FrameFormat

_WORDS = (8, 16, 32, 64)
_FLOATS = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


def clear_unused_bits(data_set: Dataset) -> None:
    """Leave of native pixel data only what its samples are made of.

    Bits above the samples of signed values repeat their sign, as they should. Raises
    CorruptPixelsError where the header does not say where the samples lie.
    """
    for keyword, allocated in _FLOATS.items():
        if keyword in data_set:
            element = data_set[keyword]
            raw: bytes = element.value or b""
            element.value = raw[: _length(data_set, len(raw), allocated)]
    if "PixelData" not in data_set:
        return
    element = data_set["PixelData"]
    raw = element.value or b""
    allocated, stored, high, is_signed = _layout(data_set)
    raw = raw[: _length(data_set, len(raw), allocated)]
    order = "<" if data_set.original_encoding[1] is not False else ">"
    raw = _cleared(raw, allocated, stored, high, f"{order}{'i' if is_signed else 'u'}")
    element.value = raw + bytes(len(raw) % 2)


def samples_alone(raw: bytes, layout: FrameFormat) -> bytes:
    """The same of a native frame in little endian. Raises CorruptPixelsError."""
    kind = f"<{'i' if layout.is_signed else 'u'}"
    return _cleared(raw, layout.allocated, layout.stored, layout.high, kind)


def _cleared(raw: bytes, allocated: int, stored: int, high: int, kind: str) -> bytes:
    if stored == allocated:
        return raw
    if allocated not in _WORDS:
        raise CorruptPixelsError(f"BitsAllocated is {allocated}, and BitsStored {stored}")
    size = allocated // 8
    words = np.frombuffer(raw, "u1", len(raw) // size * size).view(f"{kind}{size}")
    above, below = allocated - 1 - high, high + 1 - stored
    return (((words << above) >> (above + below)) << below).astype(words.dtype).tobytes()


def _length(data_set: Dataset, given: int, allocated: int) -> int:
    """The bytes that all frames take; where colours share samples, two thirds of them."""
    numbers = [_number(data_set, word) for word in ("Rows", "Columns")]
    bits = allocated * _number(data_set, "NumberOfFrames", 1)
    for number in (*numbers, _number(data_set, "SamplesPerPixel", 1)):
        bits *= number
    # Some say so of colours that have all their samples.
    if "422" in str(data_set.get("PhotometricInterpretation", "")) and given < (bits + 7) // 8:
        bits = bits * 2 // 3
    # Bytes of a big endian OW lie in pairs, the other way round.
    pair = 2 if data_set.original_encoding[1] is False else 1
    return min(given, -(-bits // (8 * pair)) * pair)


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
