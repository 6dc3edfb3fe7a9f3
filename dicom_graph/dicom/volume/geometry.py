"""The geometry of a volume, from headers alone: shape, type, spacing, affine, and what is doubtful.

Looked at before this was written: highdicom 0.28 (`get_volume_from_series`, `Image.get_volume`)
makes 3-D volumes of regularly spaced, perpendicular slices and refuses all others: time series,
mosaics, gantry tilt, missing or uneven slices, several stacks, with None or an error and no reason.
nibabel's wrappers read one mosaic or one enhanced image, whose frames they order by index, not by
position; they have no series of classic images. dicom2nifti is a converter whose geometry is not
apart from its files. So the arithmetic of PS3.3 C.7.6.2.1.1 is here; orientation codes and NIfTI
are nibabel's.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from nibabel.orientations import aff2axcodes
from numpy.typing import NDArray

from dicom_graph.dicom.volume.fourth_axis import FourthAxis, Grid
from dicom_graph.dicom.volume.planes import Plane, Vector
from dicom_graph.dicom.volume.stacks import Stack

_EVEN_SHARE = 0.01
_EVEN_MM = 0.01
_MULTIPLE = 0.05
_STRAIGHT_MM = 0.1
_TILT_DEGREES = 0.25
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, eq=False)
class VolumeGeometry:
    """A volume before its pixels are decoded.

    `shape`: (columns, rows, slices), then the length of `fourth_axis` where there is one, then 3
    where the volume has colours. So voxel (i, j, k) is column i and row j of slice k, as in NIfTI.
    `spacing`: mm along i, j and k (along k the distance of two slices' first voxels).
    `affine`: 4 × 4, from (i, j, k, 1) to (x, y, z, 1) in mm, RAS+ as in NIfTI: x grows to the
    patient's right, y to the front, z to the head. It is DICOM's LPS+ with x and y negated. Columns
    and rows are not flipped, and k grows along the slice normal, so its determinant is positive.
    Gantry tilt is in it as a shear.
    `orientation`: where i, j and k grow to, of R or L, A or P, S or I.
    `has_positions`: False where the headers have no position, and the affine only the spacing.
    `slice_offsets`: mm along the normal from the first slice, as the headers have it.
    `grid`: the planes, [t][k]. `label`: what kind of image it is, for people.
    `warnings`: what is doubtful, in sentences for people.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    spacing: tuple[float, float, float]
    affine: NDArray[np.float64]
    orientation: str
    has_positions: bool
    fourth_axis: FourthAxis | None
    slice_offsets: tuple[float, ...]
    photometric_interpretation: str
    label: str
    warnings: tuple[str, ...]
    grid: Grid

    @property
    def axes(self) -> tuple[str, ...]:
        """The name of each axis of `shape`: column, row, slice, then time, echo, …, colour."""
        fourth = () if self.fourth_axis is None else (str(self.fourth_axis.name),)
        colour = ("colour",) if self.has_colours else ()
        return ("column", "row", "slice", *fourth, *colour)

    @property
    def has_colours(self) -> bool:
        """Whether the last axis of `shape` is that of red, green and blue."""
        return len(self.shape) > (3 if self.fourth_axis is None else 4)

    @property
    def nbytes(self) -> int:
        """The size of the array."""
        return int(np.prod(self.shape, dtype=object)) * self.dtype.itemsize

    @property
    def n_volumes(self) -> int:
        """The length of the fourth axis; 1 where there is none."""
        return len(self.grid)


def make_geometry(stack: Stack) -> VolumeGeometry:
    """The geometry of a stack."""
    first_volume = stack.grid[0]
    first = first_volume[0]
    warnings = list(stack.warnings)
    step, offsets = _step(first_volume, stack.has_positions, warnings)
    if first.spacing is None:
        warnings.append("no pixel spacing: 1 mm is assumed")
    affine = _affine(first, step)
    planes = [plane for volume in stack.grid for plane in volume]
    fourth = () if stack.axis is None else (len(stack.grid),)
    colours = () if first.file.samples == 1 else (first.file.samples,)
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    return VolumeGeometry(
        shape=(first.columns, first.rows, len(first_volume), *fourth, *colours),
        dtype=np.result_type(*{plane.dtype for plane in planes}),
        spacing=(float(spacing[0]), float(spacing[1]), float(spacing[2])),
        affine=affine,
        orientation="".join(aff2axcodes(affine)),
        has_positions=stack.has_positions,
        fourth_axis=stack.axis,
        slice_offsets=tuple(map(float, offsets)),
        photometric_interpretation=first.file.photometric_interpretation,
        label=_label(first),
        warnings=tuple(warnings),
        grid=stack.grid,
    )


def _affine(first: Plane, step: Vector) -> NDArray[np.float64]:
    between_rows, between_columns = first.spacing or (1.0, 1.0)
    axes = np.array([1.0, 0, 0, 0, 1, 0]) if first.orientation is None else first.orientation
    affine = np.eye(4)
    affine[:3, 0] = axes[:3] * between_columns
    affine[:3, 1] = axes[3:] * between_rows
    affine[:3, 2] = step
    affine[:3, 3] = 0.0 if first.position is None else first.position
    return np.asarray(_LPS_TO_RAS @ affine)


def _step(
    planes: list[Plane], has_positions: bool, warnings: list[str]
) -> tuple[Vector, NDArray[np.float64]]:
    """From one slice to the next, in mm of LPS+; and each slice's offset along the normal."""
    first, normal, n_slices = planes[0], planes[0].normal, len(planes)
    nominal = normal * (first.thickness or 1.0)
    if not has_positions or n_slices == 1:
        if first.thickness is None:
            warnings.append("no distance between slices: 1 mm is assumed")
        return nominal, np.arange(n_slices, dtype=np.float64) * (first.thickness or 1.0)
    corners = np.array([plane.position for plane in planes])
    offsets: NDArray[np.float64] = np.asarray((corners - corners[0]) @ normal, np.float64)
    mean_step = (corners[-1] - corners[0]) / (n_slices - 1)
    length = _step_length(offsets, warnings)
    stated = first.stated_step
    if stated is not None and abs(stated - length) > max(_EVEN_SHARE * length, _EVEN_MM):
        warnings.append(
            f"SpacingBetweenSlices is {stated:.4g} mm, but the positions are {length:.4g} mm apart"
        )
    _look_for_bends(corners, offsets, warnings)
    _look_for_tilt(mean_step, normal, warnings)
    return mean_step * (length / float(mean_step @ normal)), offsets


def _step_length(offsets: NDArray[np.float64], warnings: list[str]) -> float:
    """Along the normal, in mm: the mean of even gaps, the smallest where slices are missing."""
    gaps = np.diff(offsets)
    mean = float(gaps.mean())
    if np.abs(gaps - mean).max() <= max(_EVEN_SHARE * mean, _EVEN_MM):
        return mean
    smallest = float(gaps.min())
    single = gaps[gaps < 1.5 * smallest]
    length = float(single.mean())
    multiples = gaps / length
    if np.abs(multiples - np.round(multiples)).max() <= _MULTIPLE:
        missing = int(np.round(multiples).sum()) - len(gaps)
        first_gap = int(np.argmax(multiples > 1.5))
        warnings.append(
            f"{missing} slices are missing, the first after slice {first_gap}: they are left out, "
            f"the spacing is that of the others ({length:.4g} mm), and beyond the gap the affine "
            "does not hold"
        )
        return length
    warnings.append(
        f"the slices are spaced unevenly, from {smallest:.4g} to {float(gaps.max()):.4g} mm: the "
        f"spacing is their mean ({mean:.4g} mm), and the affine holds for the first and the last"
    )
    return mean


def _look_for_bends(
    corners: NDArray[np.float64], offsets: NDArray[np.float64], warnings: list[str]
) -> None:
    shares = offsets / offsets[-1]
    line = corners[0] + shares[:, None] * (corners[-1] - corners[0])
    farthest = float(np.linalg.norm(corners - line, axis=1).max())
    if farthest > _STRAIGHT_MM:
        warnings.append(f"the slices do not lie on a line: some are {farthest:.2f} mm beside it")


def _look_for_tilt(step: Vector, normal: Vector, warnings: list[str]) -> None:
    cosine = abs(float(step @ normal)) / float(np.linalg.norm(step))
    degrees = float(np.degrees(np.arccos(min(cosine, 1.0))))
    if degrees > _TILT_DEGREES:
        warnings.append(
            f"the slices are stacked at {degrees:.1f}° to their normal (gantry tilt): the affine "
            "has this as a shear, the voxels are as acquired"
        )


def _label(plane: Plane) -> str:
    parts = ["\\".join(plane.labels.kind)]
    if plane.labels.segment is not None:
        parts.append(f"segment {plane.labels.segment}")
    if plane.labels.echo_time is not None:
        parts.append(f"TE {plane.labels.echo_time:g} ms")
    return ", ".join(filter(None, parts))
