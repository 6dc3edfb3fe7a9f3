"""Volumes of a series: their geometry from headers, their voxels when asked for."""

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from dicom_graph.dicom.errors import (
    FileGoneError,
    FrameRangeError,
    NoPixelDataError,
    PixelError,
    VolumeError,
)
from dicom_graph.dicom.files.stored_file import opened_source
from dicom_graph.dicom.functional_groups import FUNCTIONAL_GROUP_TAGS
from dicom_graph.dicom.parsing.through_pydicom import quiet_pydicom
from dicom_graph.dicom.pixels.arrays import PIXEL_TAGS, PixelLayout
from dicom_graph.dicom.pixels.image_file import as_pixel_errors_of, open_image
from dicom_graph.dicom.pixels.modality_lut import apply_transform
from dicom_graph.dicom.volume.geometry import VolumeGeometry, make_geometry
from dicom_graph.dicom.volume.planes import Plane, SourceFile, planes_of_header, read_planes
from dicom_graph.dicom.volume.stacks import make_stacks
from dicom_graph.dicom.volume.stored_header import StoredHeader

Array = NDArray[Any]
_OPEN_FILES = 8
_DECODING_TAGS = PIXEL_TAGS - FUNCTIONAL_GROUP_TAGS


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """A decoded volume. `array` has the shape and the type of its geometry, rescaled values.

    Its memory is in Fortran order (but for colours), as NIfTI has it.
    """

    array: Array
    geometry: VolumeGeometry


def read_geometries(
    paths: Iterable[str | os.PathLike[str]], *, stored: bool = False
) -> list[VolumeGeometry]:
    """The volumes that the images of a series make, the main one first. Nothing is decoded.

    The main one has the most slices. `stored`: values are as they are stored. Files without pixel
    data are passed over. Raises VolumeError where none has any, and PixelError for a file that is
    gone, broken or of an unknown syntax.
    """
    planes: list[Plane] = []
    passed_over = 0
    for path in paths:
        try:
            planes.extend(read_planes(path, stored=stored))
        except NoPixelDataError:
            passed_over += 1
    if not planes:
        raise VolumeError(
            "no image has pixel data, so there is no volume" if passed_over else "no images"
        )
    return [make_geometry(stack) for stack in make_stacks(planes)]


def geometries_of_headers(headers: Iterable[StoredHeader]) -> list[VolumeGeometry]:
    """The same of headers that an index holds; no file is opened, and none can be decoded.

    Raises VolumeError and PixelError.
    """
    planes = [plane for header in headers for plane in planes_of_header(header)]
    if not planes:
        raise VolumeError("no images")
    return [make_geometry(stack) for stack in make_stacks(planes)]


def read_volume(geometry: VolumeGeometry) -> Volume:
    """Decode a volume. `geometry.nbytes` says beforehand how large it becomes. Raises PixelError.

    Each file is opened once.
    """
    columns, rows, n_slices = geometry.shape[:3]
    colours = geometry.shape[-1:] if geometry.has_colours else ()
    whole = np.empty((geometry.n_volumes, n_slices, rows, columns, *colours), geometry.dtype)
    with _Reader(geometry) as reader:
        for volume, index in sorted(np.ndindex(geometry.n_volumes, n_slices), key=reader.place):
            whole[volume, index] = reader.slice(volume, index)
    array = whole.transpose(3, 2, 1, 0, *range(4, whole.ndim))
    return Volume(array if geometry.fourth_axis is not None else array[:, :, :, 0], geometry)


def read_slice(geometry: VolumeGeometry, index: int, volume: int = 0) -> Array:
    """Slice k of a volume as it was acquired: (rows, columns[, samples]). Only it is decoded.

    `volume` is the index on the fourth axis. Raises FrameRangeError and PixelError.
    """
    check_slice(geometry, index, volume)
    with _Reader(geometry) as reader:
        return reader.slice(volume, index)


def iter_slices(geometry: VolumeGeometry, volume: int | None = None) -> Iterator[Array]:
    """All slices, or those of one volume, in the order of NIfTI: by k, then by the fourth axis.

    Each is (rows, columns[, samples]); no more than a few are in memory. Raises PixelError.
    """
    volumes = range(geometry.n_volumes) if volume is None else [volume]
    with _Reader(geometry) as reader:
        for number in volumes:
            for index in range(geometry.shape[2]):
                yield reader.slice(number, index)


def check_slice(geometry: VolumeGeometry, index: int, volume: int) -> None:
    """Raises FrameRangeError where the volume has no such slice."""
    if not 0 <= index < geometry.shape[2]:
        raise FrameRangeError(
            f"no slice {index}: the volume has {geometry.shape[2]}, counted from 0"
        )
    if not 0 <= volume < geometry.n_volumes:
        raise FrameRangeError(
            f"no index {volume} on the fourth axis: it has {geometry.n_volumes}, counted from 0"
        )


class _Reader:
    """Reads planes; keeps a few files open, and the last image that was cut into tiles."""

    def __init__(self, geometry: VolumeGeometry) -> None:
        self._geometry = geometry
        self._files: OrderedDict[str, tuple[ExitStack, BinaryIO | PixelLayout]] = OrderedDict()
        self._mosaic: tuple[str, Array] | None = None

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *error: Any) -> None:
        with ExitStack() as whole:
            for stack, _file in self._files.values():
                whole.push(stack)

    def place(self, at: tuple[int, ...]) -> tuple[str, int]:
        plane = self._geometry.grid[at[0]][at[1]]
        return plane.file.path, plane.frame

    def slice(self, volume: int, index: int) -> Array:
        plane = self._geometry.grid[volume][index]
        try:
            with as_pixel_errors_of(plane.file.path):
                values = self._values(plane)
        except PixelError as error:
            uid = plane.file.sop_instance_uid or "without a UID"
            named = type(error)(f"image {uid}: {error}")
            named.path = error.path
            raise named from error
        return values.astype(self._geometry.dtype, copy=False)

    def _values(self, plane: Plane) -> Array:
        if plane.tile is None:
            frame = self._frame(plane)
            return frame[::-1] if plane.is_upside_down else frame
        if self._mosaic is None or self._mosaic[0] != plane.file.path:
            self._mosaic = plane.file.path, self._frame(plane)
        row, column = plane.tile
        return self._mosaic[1][row : row + plane.rows, column : column + plane.columns]

    def _frame(self, plane: Plane) -> Array:
        opened = self._opened(plane)
        if isinstance(opened, PixelLayout):
            stored = next(opened.frames((plane.frame,)))[0]
        else:
            assert plane.raw is not None
            stored = plane.raw.read(opened)
        if plane.file.samples > 1:
            return stored
        return apply_transform(stored, plane.transform, plane.dtype)

    def _opened(self, plane: Plane) -> BinaryIO | PixelLayout:
        path = plane.file.path
        if path not in self._files:
            with ExitStack() as stack:
                opened = self._open(plane, stack)
                self._files[path] = stack.pop_all(), opened
            if len(self._files) > _OPEN_FILES:
                self._files.popitem(last=False)[1][0].close()
        self._files.move_to_end(path)
        return self._files[path][1]

    def _open(self, plane: Plane, stack: ExitStack) -> BinaryIO | PixelLayout:
        if plane.raw is not None:
            file = stack.enter_context(opened_source(plane.file.origin))
            _check_unchanged(plane.file, os.fstat(file.fileno()))
            return file
        image = stack.enter_context(open_image(plane.file.origin, _DECODING_TAGS))
        _check_unchanged(plane.file, image.status())
        with quiet_pydicom():
            # The plane has its transform already; colours of a palette are looked up here.
            return PixelLayout(image, rescaled=plane.file.samples > 1)


def _check_unchanged(source: SourceFile, status: os.stat_result) -> None:
    if (status.st_size, status.st_mtime_ns) != (source.size, source.modified_ns):
        raise FileGoneError("the file has changed since its header was read")
