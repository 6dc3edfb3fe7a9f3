"""Pictures of volumes: one slice across any axis, or many slices on one sheet, as PNG.

Anatomical axes follow the radiological convention: the patient's right is at the left of axial and
coronal pictures, anterior at the top of axial ones and at the left of sagittal ones, superior at
the top of coronal and sagittal ones. They show the voxel axis nearest to the anatomical one;
nothing is resampled. Voxels are shown in their true proportions.
"""

import math
from enum import StrEnum
from typing import Any

import numpy as np
from nibabel.orientations import io_orientation
from numpy.typing import NDArray
from PIL import Image

from dicom_graph.dicom.errors import FrameRangeError, RenderingError
from dicom_graph.dicom.parsing.through_pydicom import quiet_pydicom
from dicom_graph.dicom.pixels.arrays import PIXEL_TAGS, PixelLayout
from dicom_graph.dicom.pixels.image_file import open_image
from dicom_graph.dicom.pixels.rendering import (
    MAX_SIDE,
    colours_to_8_bits,
    encode_png,
    fit,
    grey_to_8_bits,
)
from dicom_graph.dicom.pixels.voi import Voi, default_window
from dicom_graph.dicom.volume.geometry import VolumeGeometry
from dicom_graph.dicom.volume.reading import check_slice, iter_slices, read_slice

Array = NDArray[Any]
MAX_TILES = 400
"""The most slices that a sheet shows."""


class PreviewAxis(StrEnum):
    """What a picture is across: an anatomical axis, or an axis of the array.

    Index 0 is the first slice from the left (sagittal), the back (coronal) or the feet (axial), as
    the axes of RAS+ grow; of I, J and K the first column, row or slice. K shows a slice as it was
    acquired; I has the rows from left to right, J the columns, and both the slices downwards.
    """

    SAGITTAL = "sagittal"
    CORONAL = "coronal"
    AXIAL = "axial"
    I = "i"  # noqa: E741
    J = "j"
    K = "k"


_ANATOMICAL = {PreviewAxis.SAGITTAL: 0, PreviewAxis.CORONAL: 1, PreviewAxis.AXIAL: 2}
_VOXEL = {PreviewAxis.I: 0, PreviewAxis.J: 1, PreviewAxis.K: 2}


def preview(
    geometry: VolumeGeometry,
    axis: PreviewAxis = PreviewAxis.K,
    index: int | None = None,
    *,
    volume: int = 0,
    window: Voi | None = None,
    size: int | None = None,
) -> bytes:
    """The picture across `axis` at `index` (the middle, if not given) as PNG.

    `volume` is the index on the fourth axis. The window is the given one, else that of the
    header of the middle slice, else the 1st to 99th percentile of the picture without padding.
    `size` is the longer side in pixels. Only the slices that are cut are decoded, one at a time:
    all of them, unless the picture is a slice. Raises FrameRangeError, RenderingError and
    PixelError.
    """
    check_slice(geometry, 0, volume)
    across = _voxel_axis(geometry, axis)
    length = geometry.shape[across]
    index = length // 2 if index is None else index
    if not 0 <= index < length:
        raise FrameRangeError(f"no index {index} across {axis}: there are {length}, from 0")
    if axis in _ANATOMICAL and _runs_backwards(geometry, across):
        index = length - 1 - index
    picture = _cut(geometry, across, index, volume)
    vertical, horizontal = _drawn_axes(across)
    if axis in _ANATOMICAL:
        picture, vertical, horizontal = _radiological(geometry, axis, picture, vertical, horizontal)
    aspect = geometry.spacing[vertical] / geometry.spacing[horizontal]
    chosen = window or header_window(geometry) or _percentiles(picture, geometry)
    return encode_png(fit(_to_8_bits(picture, chosen, geometry), aspect, size))


def sheet(
    geometry: VolumeGeometry,
    *,
    n_tiles: int = 25,
    volume: int = 0,
    window: Voi | None = None,
    size: int = 1024,
) -> bytes:
    """Up to `n_tiles` slices as acquired, evenly chosen, row by row on one sheet, as PNG.

    The window is one for all: the given one, else the header's of the middle slice, else the 1st
    to 99th percentile of the slices shown. `size` is the longer side of the sheet, about. Raises
    RenderingError and PixelError.
    """
    if not 1 <= n_tiles <= MAX_TILES or not 1 <= size <= MAX_SIDE:
        raise RenderingError(
            f"a sheet has 1 to {MAX_TILES} slices and 1 to {MAX_SIDE} pixels a side"
        )
    check_slice(geometry, 0, volume)
    length = geometry.shape[2]
    count = min(n_tiles, length)
    chosen = sorted({round(place) for place in np.linspace(0, length - 1, count)})
    slices = [read_slice(geometry, index, volume) for index in chosen]
    shown = window or header_window(geometry) or _percentiles(np.stack(slices), geometry)
    per_row = math.isqrt(len(slices) - 1) + 1
    n_rows = -(-len(slices) // per_row)
    tile = max(1, size // max(per_row, n_rows))
    aspect = geometry.spacing[1] / geometry.spacing[0]
    tiles = [fit(_to_8_bits(values, shown, geometry), aspect, tile) for values in slices]
    width, height = tiles[0].size
    picture = Image.new(tiles[0].mode, (per_row * width, n_rows * height))
    for number, each in enumerate(tiles):
        picture.paste(each, (number % per_row * width, number // per_row * height))
    return encode_png(picture)


def header_window(geometry: VolumeGeometry) -> Voi | None:
    """The first VOI LUT or window in the header of the middle slice. Raises PixelError."""
    plane = geometry.grid[0][geometry.shape[2] // 2]
    with quiet_pydicom(), open_image(plane.file.origin, PIXEL_TAGS) as image:
        vois = PixelLayout(image, rescaled=True).vois(plane.frame)
    return vois[0] if vois else None


def _percentiles(values: Array, geometry: VolumeGeometry) -> Voi | None:
    if geometry.has_colours:
        return None
    planes = (plane for planes in geometry.grid for plane in planes)
    paddings = {plane.padding for plane in planes if plane.padding is not None}
    return default_window(values, sorted(paddings))


def _to_8_bits(picture: Array, window: Voi | None, geometry: VolumeGeometry) -> NDArray[np.uint8]:
    if geometry.has_colours or window is None:
        return colours_to_8_bits(picture, geometry.grid[0][0].file.value_bits)
    grey = grey_to_8_bits(picture, window)
    return 255 - grey if geometry.grid[0][0].file.is_inverted else grey


def _voxel_axis(geometry: VolumeGeometry, axis: PreviewAxis) -> int:
    if axis in _VOXEL:
        return _VOXEL[axis]
    return int(np.flatnonzero(_orientations(geometry)[:, 0] == _ANATOMICAL[axis])[0])


def _orientations(geometry: VolumeGeometry) -> NDArray[np.float64]:
    """For each voxel axis the nearest axis of RAS+, and 1 or -1 for its direction."""
    return np.asarray(io_orientation(geometry.affine))


def _runs_backwards(geometry: VolumeGeometry, voxel_axis: int) -> bool:
    return bool(_orientations(geometry)[voxel_axis, 1] < 0)


def _drawn_axes(across: int) -> tuple[int, int]:
    """The voxel axes that run down and to the right of a cut."""
    return {0: (2, 1), 1: (2, 0), 2: (1, 0)}[across]


def _cut(geometry: VolumeGeometry, across: int, index: int, volume: int) -> Array:
    if across == 2:
        return read_slice(geometry, index, volume)
    lines = (
        values[:, index] if across == 0 else values[index]
        for values in iter_slices(geometry, volume)
    )
    return np.stack([line.copy() for line in lines])


def _radiological(
    geometry: VolumeGeometry, axis: PreviewAxis, picture: Array, vertical: int, horizontal: int
) -> tuple[Array, int, int]:
    """The picture turned, with the voxel axes that then run down and to the right."""
    orientations = _orientations(geometry)
    upright = 1 if axis is PreviewAxis.AXIAL else 2
    if orientations[vertical, 0] != upright:
        picture = picture.swapaxes(0, 1)
        vertical, horizontal = horizontal, vertical
    # Down is to the back or the feet, rightwards is to the left or the back: all against RAS+.
    if orientations[vertical, 1] > 0:
        picture = picture[::-1]
    if orientations[horizontal, 1] > 0:
        picture = picture[:, ::-1]
    return picture, vertical, horizontal
