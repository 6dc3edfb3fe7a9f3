"""From the planes of a series to stacks: parallel slices of one size, in the order of position.

The order is that of the position along the slice normal, never that of InstanceNumber, which
vendors count from either end, by time, or not at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from dicom_graph.dicom.volume.fourth_axis import (
    FourthAxis,
    Grid,
    Positions,
    arrange,
    split_repeated,
    time_axis,
)
from dicom_graph.dicom.volume.midnight import across_midnight
from dicom_graph.dicom.volume.planes import Plane

_SAME_DIRECTION = 1e-3
_SAME_SPACING = 1e-3
_SAME_POSITION_MM = 0.01
_SAME_PLACE_MM = 0.5
_Rough: TypeAlias = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Stack:
    """The planes of one volume: `grid[t][k]`, where k runs along the normal and t along `axis`.

    `has_positions`: whether the headers say where the planes lie.
    """

    grid: Grid
    axis: FourthAxis | None
    has_positions: bool
    warnings: tuple[str, ...]


def make_stacks(planes: Iterable[Plane]) -> list[Stack]:
    """All planes as stacks, the one of the most planes, then of the most pixels, first."""
    unique, n_doubles = _without_doubles(planes)
    groups = _parallel(unique)
    general = _general_warnings(groups, n_doubles)
    stacks = [stack for group in groups for stack in _stacks(group, general)]
    return sorted(stacks, key=_weight, reverse=True)


def _weight(stack: Stack) -> tuple[int, int]:
    n_planes = len(stack.grid) * len(stack.grid[0])
    return n_planes, n_planes * stack.grid[0][0].rows * stack.grid[0][0].columns


def _without_doubles(planes: Iterable[Plane]) -> tuple[list[Plane], int]:
    """Each plane of an image once, though the image may be in several files."""
    unique: dict[Any, Plane] = {}
    all_planes = list(planes)
    for plane in all_planes:
        image = plane.file.sop_instance_uid or plane.file.path
        unique.setdefault((image, plane.frame, plane.tile), plane)
    return list(unique.values()), len(all_planes) - len(unique)


def _parallel(planes: list[Plane]) -> list[list[Plane]]:
    """Planes of one orientation, size, spacing and colour together."""
    groups: dict[_Rough, list[list[Plane]]] = {}
    known: dict[Any, list[Plane]] = {}
    for plane in planes:
        rough = _rough_key(plane)
        exact = (rough, _bytes(plane.orientation), plane.spacing)
        if exact not in known:
            similar = groups.setdefault(rough, [])
            found = next((group for group in similar if _same_grid(group[0], plane)), None)
            if found is None:
                found = []
                similar.append(found)
            known[exact] = found
        known[exact].append(plane)
    return [group for similar in groups.values() for group in similar]


def _rough_key(plane: Plane) -> _Rough:
    file = plane.file
    colour = file.photometric_interpretation if file.samples > 1 else ""
    has_place = plane.position is not None and plane.orientation is not None
    return (
        plane.rows, plane.columns, file.samples, colour, has_place, file.series_uid,
        file.frame_of_reference_uid, plane.labels.stack_id, plane.labels.segment,
    )  # fmt: skip


def _bytes(vector: Any) -> bytes | None:
    return None if vector is None else vector.tobytes()


def _same_grid(first: Plane, second: Plane) -> bool:
    if (first.spacing is None) != (second.spacing is None):
        return False
    if first.spacing is not None and second.spacing is not None:
        differences = np.subtract(first.spacing, second.spacing)
        if np.abs(differences).max() > _SAME_SPACING * max(first.spacing):
            return False
    if first.orientation is None or second.orientation is None:
        return first.orientation is None and second.orientation is None
    return bool(np.abs(first.orientation - second.orientation).max() <= _SAME_DIRECTION)


def _general_warnings(groups: list[list[Plane]], n_doubles: int) -> tuple[str, ...]:
    warnings = []
    if n_doubles:
        warnings.append(f"{n_doubles} slices are there more than once; each was taken once")
    sizes = sorted({(group[0].columns, group[0].rows) for group in groups})
    if len(sizes) > 1:
        listed = ", ".join(f"{columns} × {rows}" for columns, rows in sizes)
        warnings.append(f"the series has images of {len(sizes)} sizes ({listed}), kept apart")
    directions = _directions(groups)
    if directions > 1:
        warnings.append(f"the series has slices of {directions} orientations, kept apart")
    placeless = sum(len(group) for group in groups if not _has_positions(group))
    if placeless and any(_has_positions(group) for group in groups):
        warnings.append(f"{placeless} images of the series have no position, kept apart")
    return tuple(warnings)


def _directions(groups: list[list[Plane]]) -> int:
    distinct: list[Any] = []
    for orientation in (group[0].orientation for group in groups):
        if orientation is None:
            continue
        if not any(np.abs(orientation - other).max() <= _SAME_DIRECTION for other in distinct):
            distinct.append(orientation)
    return len(distinct)


def _has_positions(planes: list[Plane]) -> bool:
    return planes[0].position is not None and planes[0].orientation is not None


def _stacks(planes: list[Plane], warnings: tuple[str, ...]) -> list[Stack]:
    if not _has_positions(planes):
        return [_placeless(part, warnings) for part in _pictures(planes)]
    positions = across_midnight(_by_position(planes))
    parts = split_repeated(positions)
    if parts is not None:
        return [stack for part in parts for stack in _stacks(part, warnings)]
    found = arrange(positions)
    own = (*found.warnings, *_notes(planes), *_place_warnings(positions))
    stack = Stack(found.grid, found.axis, True, (*warnings, *own))
    rest = _stacks(found.left_over, (*warnings, *found.warnings)) if found.left_over else []
    return [stack, *rest]


def _by_position(planes: list[Plane]) -> Positions:
    """The planes at each position along the normal, in ascending order."""
    normal = planes[0].normal
    offsets = [float(normal @ plane.position) for plane in planes if plane.position is not None]
    thickness = planes[0].thickness
    tolerance = min(_SAME_POSITION_MM, thickness / 10) if thickness else _SAME_POSITION_MM
    positions: Positions = []
    start = 0.0
    for index in np.argsort(offsets, kind="stable"):
        if not positions or offsets[index] - start > tolerance:
            positions.append([])
            start = offsets[index]
        positions[-1].append(planes[index])
    return positions


def _notes(planes: list[Plane]) -> list[str]:
    return sorted({plane.note for plane in planes if plane.note})


def _place_warnings(positions: Positions) -> list[str]:
    farthest = 0.0
    for planes in positions:
        corners = np.array([plane.position for plane in planes])
        farthest = max(farthest, float(np.ptp(corners, axis=0).max()))
    if farthest <= _SAME_PLACE_MM:
        return []
    return [f"slices of one position are shifted in their plane, by up to {farthest:.2f} mm"]


def _pictures(planes: list[Plane]) -> list[list[Plane]]:
    """Colour images without a place are pictures of their own, not slices of anything."""
    if planes[0].file.samples == 1:
        return [planes]
    by_file: dict[str, list[Plane]] = {}
    for plane in planes:
        by_file.setdefault(plane.file.path, []).append(plane)
    return list(by_file.values())


def _placeless(planes: list[Plane], warnings: tuple[str, ...]) -> Stack:
    """Frames of one file are points in time; images of several files are slices as numbered."""
    ordered = sorted(planes, key=lambda plane: plane.labels.instance or (0, plane.frame))
    warnings = (*warnings, *_notes(planes))
    told = "no position in the patient: the affine holds the spacing only"
    if len({plane.file.path for plane in planes}) == 1:
        axis = time_axis([plane.labels for plane in ordered]) if len(ordered) > 1 else None
        return Stack([[plane] for plane in ordered], axis, False, (*warnings, told))
    order = "slices are in the order of InstanceNumber"
    return Stack([ordered], None, False, (*warnings, told, order))
