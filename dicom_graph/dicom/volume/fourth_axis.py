"""The fourth axis of a volume: planes that repeat at the same positions, put into order.

A grid is a list of volumes in their order, each a list of planes in the order of the positions.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import Any, TypeAlias

from dicom_graph.dicom.volume.labels import Labels
from dicom_graph.dicom.volume.planes import Plane

Grid: TypeAlias = list[list[Plane]]
Positions: TypeAlias = list[list[Plane]]
"""For each position, in order, its planes."""


class AxisName(StrEnum):
    """What the fourth axis of a volume runs over."""

    TIME = "time"
    PHASE = "phase"
    ECHO = "echo"
    B_VALUE = "b value"
    INVERSION_TIME = "inversion time"
    FLIP_ANGLE = "flip angle"
    UNKNOWN = "unknown"


UNITS = {
    AxisName.TIME: "s",
    AxisName.PHASE: "ms",
    AxisName.ECHO: "ms",
    AxisName.B_VALUE: "s/mm2",
    AxisName.INVERSION_TIME: "ms",
    AxisName.FLIP_ANGLE: "degree",
    AxisName.UNKNOWN: "",
}


Key: TypeAlias = Callable[[Labels], Any]


@dataclass(frozen=True, slots=True)
class FourthAxis:
    """What the fourth axis is, and its value at each index, in `unit`.

    Of time the values are seconds from the first. For TIME without any time in the headers, and for
    UNKNOWN, they are 0, 1, 2, … and the unit is empty.
    """

    name: AxisName
    values: tuple[float, ...]
    unit: str

    @property
    def step(self) -> float:
        """The mean distance between two values: of a time series, its repetition time in s."""
        if len(self.values) < 2:
            return 0.0
        return (self.values[-1] - self.values[0]) / (len(self.values) - 1)


@dataclass(frozen=True, slots=True)
class Arrangement:
    """A grid with its fourth axis, and the planes that found no place in it."""

    grid: Grid
    axis: FourthAxis | None
    left_over: list[Plane]
    warnings: tuple[str, ...] = ()


def split_repeated(positions: Positions) -> list[list[Plane]] | None:
    """Planes that are not of one volume though they lie in one place, apart; None where all are.

    Different kinds of image (magnitude and phase, a map and its source) are different volumes, and
    so are echoes when there is a further reason for repeating (time).
    """
    n_repeats = max(map(len, positions))
    for key in (_kind, _echo):
        groups = _groups(positions, key)
        is_only_difference = key is _echo and len(groups) == n_repeats
        if not 1 < len(groups) <= n_repeats or is_only_difference:
            continue
        if all(_covers(value, positions, key) for value in groups):
            return list(groups.values())
    return None


def arrange(positions: Positions) -> Arrangement:
    """The planes of each position (of one kind) as a grid.

    The first of these that tells all planes of each position apart gives the order: temporal
    position, acquisition number, trigger time, time of acquisition, of content, instance number.
    """
    if all(len(planes) == 1 for planes in positions):
        return Arrangement([[planes[0] for planes in positions]], None, [])
    varying = _varying_axis(positions)
    key, is_certain = _order(positions, varying)
    rows = [sorted(planes, key=lambda plane: key(plane.labels)) for planes in positions]
    grid, left_over = _complete(rows, key)
    warnings = [] if is_certain else ["planes at the same position cannot be told apart"]
    if left_over:
        warnings.append(
            f"{len(left_over)} slices belong to no complete volume; they are volumes of their own"
        )
    axis = _axis(grid, varying, is_certain) if len(grid) > 1 else None
    return Arrangement(grid, axis, left_over, tuple(warnings))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _kind(labels: Labels) -> tuple[str, ...]:
    return labels.kind


def _echo(labels: Labels) -> float | None:
    return _rounded(labels.echo_time)


_VARYING: tuple[tuple[AxisName, Key], ...] = (
    (AxisName.ECHO, _echo),
    (AxisName.B_VALUE, lambda labels: _rounded(labels.b_value)),
    (AxisName.PHASE, lambda labels: labels.trigger_time if (labels.n_phases or 0) > 1 else None),
    (AxisName.INVERSION_TIME, lambda labels: _rounded(labels.inversion_time)),
    (AxisName.FLIP_ANGLE, lambda labels: _rounded(labels.flip_angle)),
)
_ORDERS: tuple[Key, ...] = (
    lambda labels: labels.temporal_position,
    lambda labels: labels.acquisition,
    lambda labels: labels.trigger_time,
    lambda labels: labels.acquired,
    lambda labels: labels.content,
    lambda labels: labels.instance,
)


def _varying_axis(positions: Positions) -> tuple[AxisName, Key] | None:
    """The parameter that was changed from volume to volume, if any."""
    for name, key in _VARYING:
        values = [{key(plane.labels) for plane in planes} for planes in positions]
        if any(None in found for found in values) or min(map(len, values)) < 2:
            continue
        tells_all_apart = all(
            len(v) == len(planes) for v, planes in zip(values, positions, strict=True)
        )
        if tells_all_apart or name is AxisName.B_VALUE:
            return name, key
    return None


def _order(positions: Positions, varying: tuple[AxisName, Key] | None) -> tuple[Key, bool]:
    """What to sort by, and whether it tells all planes of each position apart."""
    candidates = list(_ORDERS)
    if varying is not None and varying[0] is not AxisName.B_VALUE:
        candidates.insert(0, varying[1])
    for key in candidates:
        if all(_distinct([key(plane.labels) for plane in planes]) for planes in positions):
            return key, True
    return (lambda labels: labels.instance or (0, 0)), False


def _distinct(values: Sequence[Any]) -> bool:
    return None not in values and len(set(values)) == len(values)


def _complete(rows: Positions, key: Key) -> tuple[Grid, list[Plane]]:
    """The volumes that have a plane at every position, and the planes of the others."""
    counts = [len(row) for row in rows]
    if min(counts) == max(counts):
        return _transposed(rows, counts[0]), []
    shared = Counter(key(plane.labels) for row in rows for plane in row)
    whole = {value for value, count in shared.items() if count == len(rows)}
    if len(whole) * 2 >= max(counts):
        kept = [[plane for plane in row if key(plane.labels) in whole] for row in rows]
        return _transposed(kept, len(whole)), _without(rows, kept)
    best = max(set(counts), key=lambda count: (count * sum(n >= count for n in counts), count))
    worth = best * sum(n >= best for n in counts)
    size = min(counts) if 2 * min(counts) * len(rows) >= worth else best
    kept = [row[:size] for row in rows if len(row) >= size]
    return _transposed(kept, size), _without(rows, kept)


def _transposed(rows: Positions, size: int) -> Grid:
    return [[row[index] for row in rows] for index in range(size)]


def _without(rows: Positions, kept: Positions) -> list[Plane]:
    taken = {id(plane) for row in kept for plane in row}
    return [plane for row in rows for plane in row if id(plane) not in taken]


def _axis(grid: Grid, varying: tuple[AxisName, Key] | None, is_certain: bool) -> FourthAxis:
    if varying is not None:
        name, key = varying
        values = tuple(float(key(volume[0].labels)) for volume in grid)
        return FourthAxis(name, values, UNITS[name])
    if not is_certain:
        return FourthAxis(AxisName.UNKNOWN, tuple(map(float, range(len(grid)))), "")
    return time_axis([volume[0].labels for volume in grid])


def time_axis(labels: Sequence[Labels]) -> FourthAxis:
    """Seconds from the first: by the times of acquisition where these rise, else by the TR."""
    times = [each.acquired for each in labels]
    known = [time for time in times if time is not None]
    if len(known) == len(times) and all(a < b for a, b in pairwise(known)):
        return FourthAxis(AxisName.TIME, tuple(time - known[0] for time in known), "s")
    step = labels[0].frame_time or labels[0].repetition_time
    values = tuple(index * (step / 1000 if step else 1.0) for index in range(len(labels)))
    return FourthAxis(AxisName.TIME, values, "s" if step else "")


def _groups(positions: Positions, key: Key) -> dict[Any, list[Plane]]:
    groups: defaultdict[Any, list[Plane]] = defaultdict(list)
    for planes in positions:
        for plane in planes:
            groups[key(plane.labels)].append(plane)
    return dict(groups)


def _covers(value: Any, positions: Positions, key: Key) -> bool:
    """Whether planes of this value lie at half of the positions or more."""
    found = sum(any(key(plane.labels) == value for plane in planes) for planes in positions)
    return 2 * found >= len(positions)
