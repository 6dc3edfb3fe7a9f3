"""Look-up tables of grey values: the Modality LUT and the VOI LUT (PS3.3 C.11.1.1.1)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_graph.dicom.errors import CorruptPixelsError


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """`values[0]` stands for `first` and all below it, the last value for all above.

    `bits`: the number of bits of the values, as the descriptor says it. Values are uint8 or uint16.
    """

    first: int
    bits: int
    values: NDArray[Any]
    explanation: str | None = None

    def __call__(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Returns the values of the table for these pixels, of any real type."""
        # Wide enough for the difference of any two 32-bit numbers.
        index = np.clip(pixels.astype(np.int64) - self.first, 0, len(self.values) - 1)
        return self.values[index]


def read_lookup(item: Dataset, *, is_little_endian: bool = True) -> Lookup:
    """The table of an item of a Modality or VOI LUT Sequence. Raises CorruptPixelsError."""
    try:
        length, first, bits = (int(number) for number in item.LUTDescriptor)
        values = _table(item.LUTData, length or 65_536, bits, is_little_endian)
    except CorruptPixelsError:
        raise
    except Exception as error:
        raise CorruptPixelsError(f"a look-up table cannot be read: {error}") from error
    if not len(values) or not 1 <= bits <= 16:
        raise CorruptPixelsError("a look-up table is empty, or not of 1 to 16 bits")
    # A length given as signed, or a first value that pydicom could not know to be signed.
    text = item.get("LUTExplanation") or item.get("ModalityLUTType")
    return Lookup(first, bits, values, str(text) if text else None)


def _table(data: Any, length: int, bits: int, is_little_endian: bool) -> NDArray[Any]:
    kind = np.uint8 if bits <= 8 else np.uint16
    if not isinstance(data, bytes):
        return np.atleast_1d(np.asarray(data)).astype(kind)[: length % 65_536 or 65_536]
    wide = np.dtype("<u2" if is_little_endian else ">u2")
    if len(data) < 2 * length and bits <= 8:
        # Two entries to a word.
        return np.frombuffer(data, np.uint8)[:length].copy()
    return np.frombuffer(data[: len(data) // 2 * 2], wide)[:length].astype(kind)
