"""Image files with pixels that the tests make."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from tests.support.make import make_data_set, save

AXIAL = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]


def make_image(
    path: Path, array: Any, syntax: str = ExplicitVRLittleEndian, **elements: Any
) -> Path:
    """An image file of (rows, columns), (frames, rows, columns) or, uint8, (rows, columns, 3)."""
    array = np.asarray(array)
    is_colour = array.ndim == 3 and array.shape[-1] == 3 and array.dtype == np.uint8
    shape = array.shape[:2] if is_colour or array.ndim == 2 else array.shape[1:]
    bits = 8 * array.dtype.itemsize
    defaults = {
        "Rows": shape[0],
        "Columns": shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": bits - 1,
        "PixelRepresentation": int(array.dtype.kind == "i"),
        "SamplesPerPixel": 3 if is_colour else 1,
        "PhotometricInterpretation": "RGB" if is_colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if is_colour else None,
        "NumberOfFrames": len(array) if array.ndim == 3 and not is_colour else None,
    }
    data_set = make_data_set(**(defaults | elements))
    raw = array.tobytes()
    data_set.PixelData = raw + bytes(len(raw) % 2)
    data_set["PixelData"].VR = "OW" if bits > 8 else "OB"
    return save(data_set, path, syntax)


def make_slices(
    folder: Path,
    positions: Iterable[Any],
    *,
    each: Callable[[int], dict[str, Any]] = lambda index: {},
    size: tuple[int, int] = (2, 3),
    **elements: Any,
) -> list[Path]:
    """A series of slices, each filled with its index; a position is a number (z) or three."""
    shared = {
        "SeriesInstanceUID": generate_uid(),
        "ImageOrientationPatient": AXIAL,
        "PixelSpacing": [2.0, 1.5],
        "SliceThickness": 3.0,
    } | elements
    paths = []
    for index, position in enumerate(positions):
        corner = [10.0, 20.0, position] if isinstance(position, (int, float)) else position
        own = {"InstanceNumber": index + 1, "ImagePositionPatient": list(corner)} | each(index)
        array = np.full(size, index, np.uint16)
        paths.append(make_image(folder / f"{index:04}.dcm", array, **(shared | own)))
    return paths
