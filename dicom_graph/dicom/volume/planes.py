"""Planes: the slices that a file holds, each with its place in the patient and what tells it apart.

A file gives one plane (a classic image), one for each frame (enhanced images of every class by
their functional groups, RT Dose by GridFrameOffsetVector, reconstructed NM by its detector), or one
for each tile of a mosaic. Only headers are read.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_graph.dicom.errors import CorruptPixelsError, VolumeError
from dicom_graph.dicom.functional_groups import FunctionalGroups
from dicom_graph.dicom.parsing.byte_source import INFLATED_LIMIT
from dicom_graph.dicom.parsing.through_pydicom import quiet_pydicom
from dicom_graph.dicom.pixels.arrays import PIXEL_TAGS, PixelDescription, PixelLayout
from dicom_graph.dicom.pixels.image_file import (
    HeaderOfImage,
    ImageFile,
    as_pixel_errors_of,
    open_image,
)
from dicom_graph.dicom.pixels.modality_lut import Transform
from dicom_graph.dicom.pixels.padding import Padding
from dicom_graph.dicom.pixels.raw_frames import RawFrame, raw_frames
from dicom_graph.dicom.volume.ge import is_reversed_volume
from dicom_graph.dicom.volume.header_values import number
from dicom_graph.dicom.volume.labels import LABEL_TAGS, Labels, frame_labels
from dicom_graph.dicom.volume.mosaic import Mosaic, is_mosaic, read_mosaic
from dicom_graph.dicom.volume.stored_header import StoredHeader, data_set_of

Vector: TypeAlias = NDArray[np.float64]

_KEYWORDS = (
    "SOPInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "ImagePositionPatient",
    "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing", "SliceThickness",
    "SpacingBetweenSlices", "GridFrameOffsetVector", "TotalPixelMatrixColumns", "SliceVector",
    "DetectorInformationSequence", "SegmentationType",
)  # fmt: skip
_REVERSED = "GE acquired it with the phase encoding reversed and wrote it upside down: it is turned"
HEADER_TAGS = PIXEL_TAGS | LABEL_TAGS | frozenset(int(Tag(keyword)) for keyword in _KEYWORDS)
"""The elements of the top level of a header that planes are made of."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was when its header was read, and what all its planes share.

    `origin`: what it was opened by, a path or a `FileState`.
    """

    path: str
    origin: str | os.PathLike[str]
    size: int
    modified_ns: int
    sop_instance_uid: str
    series_uid: str
    frame_of_reference_uid: str
    samples: int
    stored_dtype: str
    value_bits: int
    photometric_interpretation: str
    is_inverted: bool


@dataclass(frozen=True, slots=True, eq=False)
class Plane:
    """One slice: where its pixels are, and where they lie in the patient.

    `frame` counts from 0; `tile` is the first row and column of a mosaic's tile. `position` and
    `orientation` are those of PS3.3 C.7.6.2: the centre of the first voxel in mm, and the
    directions along a row and down a column, in the patient's LPS+ system; None where the header
    has none that can be used. `spacing`: mm between rows, and between columns. `thickness`: mm to
    the next slice, as far as one header can tell; `stated_step`: SpacingBetweenSlices. `raw`: set
    where the file holds the values as they are. `is_upside_down`: its last row belongs where the
    header says the first is. `padding`: the values that mean nothing. `note`:
    what is doubtful about it.
    """

    file: SourceFile
    frame: int
    rows: int
    columns: int
    transform: Transform
    labels: Labels
    dtype: np.dtype[Any]
    tile: tuple[int, int] | None = None
    position: Vector | None = None
    orientation: Vector | None = None
    spacing: tuple[float, float] | None = None
    thickness: float | None = None
    stated_step: float | None = None
    raw: RawFrame | None = None
    is_upside_down: bool = False
    padding: Padding | None = None
    note: str | None = None

    @property
    def normal(self) -> Vector:
        """The unit normal of the plane; of a plane without orientation, (0, 0, 1)."""
        if self.orientation is None:
            return np.array([0.0, 0.0, 1.0])
        normal = np.cross(self.orientation[:3], self.orientation[3:])
        return np.asarray(normal / np.linalg.norm(normal))


def read_planes(path: str | os.PathLike[str], *, stored: bool = False) -> list[Plane]:
    """The planes of a file, in the order of its frames.

    `stored`: their values are as they are stored, without slope, intercept, tables or palette; so
    are those of a label map (C.8.20.2.3), whose values are the numbers of segments.

    Raises PixelError; NoPixelDataError where the file is no image.
    """
    with quiet_pydicom(), open_image(path, HEADER_TAGS) as image:
        status = image.status()
        origin = _Origin(path, status.st_size, status.st_mtime_ns)
        return _planes_of(image, origin, stored=stored, has_file=True)


def planes_of_header(stored: StoredHeader) -> list[Plane]:
    """The same of a header alone, without what only its file can tell; none of its values can be
    read. Raises PixelError.
    """
    with quiet_pydicom(), as_pixel_errors_of(stored.uid):
        image = HeaderOfImage(data_set_of(stored))
        return _planes_of(image, _Origin(stored.uid, stored.size, 0), stored=False, has_file=False)


class _Origin(NamedTuple):
    path: str | os.PathLike[str]
    size: int
    modified_ns: int


def _planes_of(image: ImageFile, origin: _Origin, *, stored: bool, has_file: bool) -> list[Plane]:
    image.require_pixels()
    is_label_map = image.header.get("SegmentationType") == "LABELMAP"
    layout = PixelLayout(image, rescaled=not stored and not is_label_map)
    header, groups = image.header, FunctionalGroups(image.header)
    description = layout.description(None)
    if "TotalPixelMatrixColumns" in header:
        raise VolumeError("the frames are tiles of a slide, which make no volume")
    raw = raw_frames(image, layout.format, description) if has_file else None
    if raw is None:
        is_inflated = has_file and image.value_start is None
        _check_frame_count(image, description, INFLATED_LIMIT if is_inflated else origin.size)
    file = _source_file(origin, header, description, is_inverted=layout.is_inverted)
    places = _places(header, groups, description.frames)
    is_reversed = is_reversed_volume(header)
    planes = [
        Plane(
            file=file,
            frame=frame,
            rows=description.rows,
            columns=description.columns,
            transform=layout.transform(frame),
            labels=frame_labels(header, groups, frame),
            dtype=np.dtype(description.dtype),
            position=_vector(place.position, 3),
            orientation=_orientation(place.orientation),
            spacing=_spacing(place.spacing),
            thickness=_thickness(place.step) or _thickness(place.thickness),
            stated_step=_thickness(place.step),
            raw=None if raw is None else raw[frame],
            is_upside_down=is_reversed,
            note=_REVERSED if is_reversed else None,
            padding=layout.padding(frame),
        )
        for frame, place in enumerate(places)
    ]
    if len(planes) == 1 and is_mosaic(header):
        return _tiles(planes[0], read_mosaic(header))
    return planes


def _source_file(
    origin: _Origin, header: Dataset, description: PixelDescription, *, is_inverted: bool
) -> SourceFile:
    return SourceFile(
        os.fspath(origin.path),
        origin.path,
        origin.size,
        origin.modified_ns,
        str(header.get("SOPInstanceUID") or ""),
        str(header.get("SeriesInstanceUID") or ""),
        str(header.get("FrameOfReferenceUID") or ""),
        description.samples,
        description.stored_dtype,
        description.value_bits,
        description.photometric_interpretation,
        is_inverted,
    )


@dataclass(frozen=True, slots=True)
class _Place:
    """What a header says of a frame's place, unchecked."""

    position: Any
    orientation: Any
    spacing: Any
    thickness: Any
    step: Any


def _places(header: Dataset, groups: FunctionalGroups, n_frames: int) -> list[_Place]:
    if groups.n_frames or "SharedFunctionalGroupsSequence" in header:
        return [_enhanced_place(header, groups, frame) for frame in range(n_frames)]
    place = _classic_place(header)
    if n_frames == 1:
        return [place]
    offsets = _frame_offsets(header, n_frames)
    if "DetectorInformationSequence" in header:
        place = _nuclear_place(header, place)
    corner, axes = _vector(place.position, 3), _orientation(place.orientation)
    if offsets is None or corner is None or axes is None:
        return [replace(place, position=None)] * n_frames
    normal = np.cross(axes[:3], axes[3:])
    return [replace(place, position=corner + offset * normal) for offset in offsets]


def _classic_place(header: Dataset) -> _Place:
    spacing = header.get("PixelSpacing") or header.get("ImagerPixelSpacing")
    return _Place(
        header.get("ImagePositionPatient"),
        header.get("ImageOrientationPatient"),
        spacing,
        header.get("SliceThickness"),
        header.get("SpacingBetweenSlices"),
    )


def _enhanced_place(header: Dataset, groups: FunctionalGroups, frame: int) -> _Place:
    classic = _classic_place(header)
    value: Callable[[str, str], Any] = lambda group, word: groups.value(frame, group, word)  # noqa: E731
    measures = "PixelMeasuresSequence"
    return _Place(
        value("PlanePositionSequence", "ImagePositionPatient") or classic.position,
        value("PlaneOrientationSequence", "ImageOrientationPatient") or classic.orientation,
        value(measures, "PixelSpacing") or classic.spacing,
        value(measures, "SliceThickness") or classic.thickness,
        value(measures, "SpacingBetweenSlices") or classic.step,
    )


def _nuclear_place(header: Dataset, classic: _Place) -> _Place:
    detectors = header.DetectorInformationSequence
    first = detectors[0] if detectors else Dataset()
    return replace(
        classic,
        position=first.get("ImagePositionPatient") or classic.position,
        orientation=first.get("ImageOrientationPatient") or classic.orientation,
    )


def _frame_offsets(header: Dataset, n_frames: int) -> list[float] | None:
    """How far along the normal each frame lies from the first, in mm."""
    grid = header.get("GridFrameOffsetVector")
    if grid is not None and len(grid) == n_frames:
        # Some give the z of each frame, where the first is not 0 (PS3.3 C.8.8.3.2).
        return [float(offset) - float(grid[0]) for offset in grid]
    slices, step = header.get("SliceVector"), header.get("SpacingBetweenSlices")
    if isinstance(slices, int):
        slices = [slices]
    if slices and step and len(slices) == n_frames:
        return [(int(index) - 1) * float(step) for index in slices]
    return None


def _tiles(plane: Plane, mosaic: Mosaic | None) -> list[Plane]:
    if mosaic is None or plane.position is None or plane.orientation is None:
        return [replace(plane, note="a mosaic whose header does not tell how to take it apart")]
    spacing = plane.spacing or (1.0, 1.0)
    rows, columns = plane.rows // mosaic.down, plane.columns // mosaic.across
    if mosaic.positions is not None:
        times = mosaic.acquired or (None,) * mosaic.n_tiles
        timed = [_at(plane, time) for time in times]
        return [
            _tile(timed[index], mosaic, index, (rows, columns), position)
            for index, position in enumerate(mosaic.positions)
        ]
    across = plane.orientation[:3] * spacing[1] * (plane.columns - columns) / 2
    down = plane.orientation[3:] * spacing[0] * (plane.rows - rows) / 2
    normal = plane.normal if mosaic.normal is None else mosaic.normal
    step = normal * (plane.thickness or 1.0)
    note = None if plane.thickness else "no distance between slices: 1 mm is assumed"
    first = plane.position + across + down
    return [
        replace(_tile(plane, mosaic, index, (rows, columns), first + index * step), note=note)
        for index in range(mosaic.n_tiles)
    ]


def _at(plane: Plane, time: float | None) -> Plane:
    return plane if time is None else replace(plane, labels=replace(plane.labels, acquired=time))


def _tile(
    plane: Plane, mosaic: Mosaic, index: int, size: tuple[int, int], position: Vector
) -> Plane:
    rows, columns = size
    corner = (index // mosaic.across * rows, index % mosaic.across * columns)
    return replace(plane, rows=rows, columns=columns, tile=corner, position=position)


def _check_frame_count(image: ImageFile, description: PixelDescription, size: int) -> None:
    """Before each frame gets a plane: the file must be able to hold as many as its header says.

    `size`: of the file, or what it may be inflated to.
    """
    # An encoded frame takes 8 bytes or more; an inflated data set is bounded already.
    bits = 64
    if image.is_native:
        allocated = int(image.header.get("BitsAllocated") or 1)
        bits = description.rows * description.columns * allocated
    if description.frames * bits > 8 * size:
        raise CorruptPixelsError(
            f"the header says {description.frames} frames, which the file is too short for"
        )


def _vector(value: Any, length: int) -> Vector | None:
    if value is None:
        return None
    try:
        vector = np.array([float(each) for each in value])
    except (TypeError, ValueError):
        return None
    return vector if len(vector) == length and np.isfinite(vector).all() else None


def _orientation(value: Any) -> Vector | None:
    """The two directions, as unit vectors; None where they span no plane."""
    vector = _vector(value, 6)
    if vector is None:
        return None
    lengths = np.linalg.norm(vector.reshape(2, 3), axis=1)
    if (lengths < 0.5).any():
        return None
    unit = (vector.reshape(2, 3) / lengths[:, None]).ravel()
    return unit if np.linalg.norm(np.cross(unit[:3], unit[3:])) > 0.1 else None


def _spacing(value: Any) -> tuple[float, float] | None:
    vector = _vector(value, 2)
    if vector is None or not (vector > 0).all():
        return None
    return float(vector[0]), float(vector[1])


def _thickness(value: Any) -> float | None:
    thickness = number(value)
    return abs(thickness) or None if thickness is not None else None
