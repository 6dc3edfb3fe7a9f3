"""What a worker process does. All arguments and results are plain data.

A file is opened only as what it is said to be: see `opened_source`.

Volumes are known to the outside by summaries; a worker keeps the geometries that it read last.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dicom_graph.dicom.errors import FrameRangeError
from dicom_graph.dicom.files.stored_file import FileState
from dicom_graph.dicom.nifti import write_nifti, write_npy
from dicom_graph.dicom.pixels.arrays import (
    Path,
    PixelDescription,
    decoded_bytes,
    describe_pixels,
    iter_frames,
)
from dicom_graph.dicom.pixels.rendering import render_image
from dicom_graph.dicom.pixels.voi import Window
from dicom_graph.dicom.volume import VolumeGeometry, geometries_of_headers, read_geometries
from dicom_graph.dicom.volume.acquisition import Acquisition, read_acquisition
from dicom_graph.dicom.volume.pictures import MAX_TILES, PreviewAxis, preview, sheet
from dicom_graph.dicom.volume.stored_header import StoredHeader
from dicom_graph.error_codes import ErrorCode
from dicom_graph.imaging.errors import ImagingError

_KEPT_SERIES = 4
_geometries: OrderedDict[tuple[tuple[FileState, ...], bool], list[VolumeGeometry]] = OrderedDict()


class PixelStatistics(NamedTuple):
    """Of all finite values of all frames; None where there is none."""

    minimum: float | None
    maximum: float | None
    mean: float | None


@dataclass(frozen=True, slots=True)
class VolumeSummary:
    """A `VolumeGeometry` without its planes; `stack` is its place among those of its series."""

    stack: int
    shape: tuple[int, ...]
    dtype: str
    spacing: tuple[float, float, float]
    affine: tuple[tuple[float, ...], ...]
    axes: tuple[str, ...]
    orientation: str
    fourth_axis_values: tuple[float, ...] | None
    fourth_axis_unit: str | None
    label: str
    warnings: tuple[str, ...]
    nbytes: int


def describe_image(path: Path) -> PixelDescription:
    """What the header says of the pixels. Raises PixelError."""
    return describe_pixels(path)


def image_png(
    path: Path, frame: int, window: Window | None, size: int | None, max_bytes: int
) -> bytes:
    """A frame, counted from 1, as PNG. Raises PixelError and ImagingError."""
    _check_size(_frame_bytes(path, frame), max_bytes, "the frame")
    return render_image(path, frame - 1, window=window, size=size)


def write_image_npy(path: Path, target: str, stored: bool, max_bytes: int) -> None:
    """All frames as `.npy`, one in memory at a time. Raises PixelError and ImagingError."""
    description = describe_pixels(path, rescaled=not stored)
    _check_size(description.nbytes, max_bytes, "the image")
    dtype = np.dtype(description.dtype).newbyteorder("<")
    with open(target, "wb") as file:
        header = {
            "descr": np.lib.format.dtype_to_descr(dtype),
            "fortran_order": False,
            "shape": description.shape,
        }
        np.lib.format.write_array_header_1_0(file, header)
        for frame in iter_frames(path, rescaled=not stored):
            file.write(np.ascontiguousarray(frame, dtype).tobytes())


def image_statistics(path: Path, max_bytes: int) -> PixelStatistics:
    """Of the rescaled values of all frames. Raises PixelError and ImagingError."""
    _check_size(decoded_bytes(path, 0), max_bytes, "a frame")
    lows, highs, total, count = [], [], 0.0, 0
    for frame in iter_frames(path):
        values = frame if frame.dtype.kind in "iub" else frame[np.isfinite(frame)]
        if values.size:
            lows.append(values.min())
            highs.append(values.max())
            total += float(values.sum(dtype=np.float64))
            count += values.size
    if not count:
        return PixelStatistics(None, None, None)
    return PixelStatistics(float(min(lows)), float(max(highs)), total / count)


def summarise_volumes(files: Sequence[FileState]) -> list[VolumeSummary]:
    """The volumes of a series, the main one first. Raises PixelError."""
    return [summary_of(each, stack) for stack, each in enumerate(geometries(files))]


def summarise_headers(headers: Sequence[StoredHeader]) -> list[VolumeSummary]:
    """The same of headers of an index. Raises PixelError."""
    found = geometries_of_headers(headers)
    return [summary_of(each, stack) for stack, each in enumerate(found)]


class DescribedVolume(NamedTuple):
    """A volume, and how it was acquired."""

    summary: VolumeSummary
    acquisition: Acquisition


def describe_volumes(files: Sequence[FileState]) -> list[DescribedVolume]:
    """The volumes of a series, and how they were acquired. Raises PixelError."""
    return [
        DescribedVolume(summary_of(each, stack), read_acquisition(each))
        for stack, each in enumerate(geometries(files))
    ]


def read_acquisitions(files: Sequence[FileState]) -> list[Acquisition]:
    """How each volume of a series was acquired, the main one first. Raises PixelError."""
    return [read_acquisition(each) for each in geometries(files)]


def volume_acquisition(files: Sequence[FileState], stack: int | None) -> Acquisition:
    """How a volume was acquired. Raises PixelError and ImagingError."""
    return read_acquisition(chosen_stack(geometries(files), stack))


def write_volume(
    files: Sequence[FileState],
    stack: int | None,
    target: str,
    is_nifti: bool,
    stored: bool,
    max_bytes: int,
) -> None:
    """A volume as `.nii.gz` or `.npy`. Raises PixelError and ImagingError."""
    geometry = chosen_stack(geometries(files, stored=stored), stack)
    _check_size(geometry.nbytes, max_bytes, "the volume")
    with open(target, "wb") as file:
        if is_nifti:
            write_nifti(geometry, file, acquisition=read_acquisition(geometry, diffusion=False))
        else:
            write_npy(geometry, file)


def volume_preview(
    files: Sequence[FileState],
    stack: int,
    axis: PreviewAxis,
    index: int | None,
    volume: int,
    window: Window | None,
    size: int | None,
    max_bytes: int,
) -> bytes:
    """A picture across a volume as PNG. Raises PixelError and ImagingError."""
    geometry = chosen_stack(geometries(files), stack)
    _check_size(_slice_bytes(geometry), max_bytes, "a slice")
    return preview(geometry, axis, index, volume=volume, window=window, size=size)


def volume_sheet(
    files: Sequence[FileState],
    stack: int,
    n_tiles: int,
    volume: int,
    window: Window | None,
    size: int,
    max_bytes: int,
) -> bytes:
    """Many slices on one sheet as PNG. Raises PixelError and ImagingError."""
    geometry = chosen_stack(geometries(files), stack)
    n_shown = min(max(n_tiles, 1), geometry.shape[2], MAX_TILES)
    _check_size(_slice_bytes(geometry) * n_shown, max_bytes, "the slices of the sheet")
    return sheet(geometry, n_tiles=n_tiles, volume=volume, window=window, size=size)


def geometries(files: Sequence[FileState], *, stored: bool = False) -> list[VolumeGeometry]:
    """The volumes of the files, read once while the files stay the same. Raises PixelError.

    `stored`: of values as they are stored.
    """
    key = tuple(files), stored
    if key not in _geometries:
        _geometries[key] = read_geometries(files, stored=stored)
        if len(_geometries) > _KEPT_SERIES:
            _geometries.popitem(last=False)
    _geometries.move_to_end(key)
    return _geometries[key]


def chosen_stack(volumes: Sequence[VolumeGeometry], stack: int | None) -> VolumeGeometry:
    """The volume of that number; without one the only volume. Raises ImagingError."""
    if stack is None and len(volumes) > 1:
        listed = "; ".join(
            f"{number}: {' × '.join(map(str, each.shape))} {each.label}".rstrip()
            for number, each in enumerate(volumes)
        )
        raise ImagingError(
            f"the series makes {len(volumes)} volumes, choose one by `stack`: {listed}",
            ErrorCode.SEVERAL_STACKS,
        )
    if not 0 <= (stack or 0) < len(volumes):
        raise ImagingError(
            f"no stack {stack}: the series makes {len(volumes)}, counted from 0",
            ErrorCode.OUT_OF_RANGE,
        )
    return volumes[stack or 0]


def summary_of(geometry: VolumeGeometry, stack: int) -> VolumeSummary:
    """The summary of a geometry."""
    fourth = geometry.fourth_axis
    return VolumeSummary(
        stack=stack,
        shape=geometry.shape,
        dtype=geometry.dtype.name,
        spacing=geometry.spacing,
        affine=tuple(tuple(map(float, row)) for row in geometry.affine),
        axes=geometry.axes,
        orientation=geometry.orientation,
        fourth_axis_values=None if fourth is None else fourth.values,
        fourth_axis_unit=None if fourth is None else fourth.unit,
        label=geometry.label,
        warnings=geometry.warnings,
        nbytes=geometry.nbytes,
    )


def _frame_bytes(path: Path, frame: int) -> int:
    try:
        return decoded_bytes(path, frame - 1)
    except FrameRangeError:
        n_frames = describe_pixels(path).frames
        raise FrameRangeError(
            f"no frame {frame}: the image has {n_frames}, counted from 1"
        ) from None


def _slice_bytes(geometry: VolumeGeometry) -> int:
    samples = geometry.shape[-1] if geometry.has_colours else 1
    return geometry.shape[0] * geometry.shape[1] * samples * (geometry.dtype.itemsize + 8)


def _check_size(n_bytes: int, max_bytes: int, what: str) -> None:
    if n_bytes > max_bytes:
        raise ImagingError(
            f"{what} takes {n_bytes / 2**20:,.0f} MB of memory once decoded, more than the limit "
            f"of {max_bytes / 2**20:,.0f} MB for one answer",
            ErrorCode.TOO_LARGE,
        )
