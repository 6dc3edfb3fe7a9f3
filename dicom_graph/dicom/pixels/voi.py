"""Values of interest: which grey values a picture shows, as the header says it (PS3.3 C.11.2).

Windows and look-up tables apply to what stored values mean, after the modality transform. Both map
to 0…1 here; pydicom's `apply_voi_lut` maps to the range of the input, which a picture cannot use.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from dicom_graph.dicom.errors import RenderingError
from dicom_graph.dicom.functional_groups import FunctionalGroups, readable
from dicom_graph.dicom.pixels.lookup_table import Lookup, read_lookup
from dicom_graph.dicom.pixels.padding import Padding

VOI_TAGS = frozenset({0x00281050, 0x00281051, 0x00281055, 0x00281056, 0x00283010})
"""WindowCenter, WindowWidth, their explanation, VOILUTFunction, VOILUTSequence."""


class WindowFunction(StrEnum):
    """VOILUTFunction (0028,1056), as C.11.2.1.2 and C.11.2.1.3 define them."""

    LINEAR = "LINEAR"
    LINEAR_EXACT = "LINEAR_EXACT"
    SIGMOID = "SIGMOID"


@dataclass(frozen=True, slots=True)
class Window:
    """A window: its centre and width, in the unit of the values.

    Raises RenderingError for a width that its function cannot have: LINEAR needs 1 or more, the
    others more than 0.
    """

    center: float
    width: float
    function: WindowFunction = WindowFunction.LINEAR
    explanation: str | None = None

    def __post_init__(self) -> None:
        least = 1.0 if self.function is WindowFunction.LINEAR else 0.0
        usable = self.width >= least and self.width > 0
        if not (usable and np.isfinite(self.width) and np.isfinite(self.center)):
            bound = "1 or more" if least else "more than 0"
            raise RenderingError(
                f"a {self.function} window needs a finite centre and a width of {bound}, "
                f"not {self.center:g} and {self.width:g}"
            )

    def __call__(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """The values in the window as 0 to 1."""
        x = values.astype(np.float64)
        if self.function is WindowFunction.SIGMOID:
            # Beyond 500 a float64 is at its end, and exp would overflow.
            exponent = np.clip(-4.0 * (x - self.center) / self.width, -500.0, 500.0)
            return np.asarray(1.0 / (1.0 + np.exp(exponent)))
        if self.function is WindowFunction.LINEAR_EXACT:
            y = (x - self.center) / self.width + 0.5
        elif self.width == 1:
            return (x > self.center - 0.5).astype(np.float64)
        else:
            y = (x - (self.center - 0.5)) / (self.width - 1.0) + 0.5
        return np.asarray(np.clip(y, 0.0, 1.0))


Voi: TypeAlias = Window | Lookup


def apply_voi(values: NDArray[Any], voi: Voi) -> NDArray[np.float64]:
    """The values as 0 (black, before any inversion) to 1."""
    if isinstance(voi, Lookup):
        return np.asarray(voi(values) / float((1 << voi.bits) - 1)).clip(0.0, 1.0)
    return voi(values)


def frame_vois(header: Dataset, groups: FunctionalGroups, frame: int) -> tuple[Voi, ...]:
    """What the header offers for a frame, tables before windows; those without sense left out.

    Raises CorruptPixelsError.
    """
    source = groups.item(frame, "FrameVOILUTSequence") or header
    is_little = header.original_encoding[1] is not False
    tables = readable(source, "VOILUTSequence") or ()
    return (*(read_lookup(item, is_little_endian=is_little) for item in tables), *_windows(source))


def default_window(values: NDArray[Any], paddings: Iterable[Padding] = ()) -> Window:
    """From the 1st to the 99th percentile of the finite values that are no padding; where these
    meet, from end to end.

    Where all values are the same, they are the middle grey.
    """
    shown = values if values.dtype.kind in "iub" else values[np.isfinite(values)]
    for low, high in paddings:
        inside = shown[(shown < low) | (shown > high)]
        shown = inside if inside.size else shown
    if not shown.size:
        return Window(0.0, 1.0, WindowFunction.LINEAR_EXACT)
    low, high = (float(end) for end in np.percentile(shown, (1, 99)))
    if low == high:
        low, high = float(shown.min()), float(shown.max())
    return Window((low + high) / 2, (high - low) or 1.0, WindowFunction.LINEAR_EXACT)


def _windows(source: Dataset) -> list[Window]:
    function = str(readable(source, "VOILUTFunction") or "LINEAR")
    known = function in WindowFunction.__members__
    explanations = _listed(readable(source, "WindowCenterWidthExplanation"))
    windows = []
    pairs = zip(
        _listed(readable(source, "WindowCenter")),
        _listed(readable(source, "WindowWidth")),
        strict=False,
    )
    for index, (center, width) in enumerate(pairs):
        explanation = str(explanations[index]) if index < len(explanations) else None
        try:
            windows.append(
                Window(
                    float(center),
                    float(width),
                    WindowFunction(function) if known else WindowFunction.LINEAR,
                    explanation,
                )
            )
        except (RenderingError, TypeError, ValueError):
            continue
    return windows


def _listed(value: Any) -> Sequence[Any]:
    if value is None:
        return ()
    return (value,) if isinstance(value, (str, int, float)) else tuple(value)
