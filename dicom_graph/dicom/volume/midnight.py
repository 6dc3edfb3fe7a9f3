"""Times that pass midnight while their date stays as it was, or is not there at all."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from dicom_graph.dicom.volume.planes import Plane

_DAY = 86_400.0
_TIMES = ("acquired", "content")


def across_midnight(positions: list[list[Plane]]) -> list[list[Plane]]:
    """The planes of each position, with the times before midnight a day earlier.

    Of times within a day that have a gap of half a day or more, those after the gap are taken for
    the evening before, unless InstanceNumber says at any position that they came later.
    """
    for name in _TIMES:
        evening = _evening(positions, name)
        if evening is not None:
            positions = [[_a_day_earlier(p, name, evening) for p in planes] for planes in positions]
    return positions


def _evening(positions: Sequence[Sequence[Plane]], name: str) -> float | None:
    """The first time that belongs to the day before; None where there is none."""
    found = {getattr(plane.labels, name) for planes in positions for plane in planes}
    if None in found or len(found) < 2:
        return None
    times = sorted(found)
    gap, start = max((later - earlier, later) for earlier, later in pairwise(times))
    if gap < _DAY / 2 or times[-1] - times[0] >= _DAY:
        return None
    return start if all(_may_be_earlier(planes, name, start) for planes in positions) else None


def _may_be_earlier(planes: Sequence[Plane], name: str, start: float) -> bool:
    numbers: tuple[list[tuple[int, int]], list[tuple[int, int]]] = ([], [])
    for plane in planes:
        if plane.labels.instance is not None:
            numbers[getattr(plane.labels, name) >= start].append(plane.labels.instance)
    after, before = numbers
    return not after or not before or max(before) < min(after)


def _a_day_earlier(plane: Plane, name: str, evening: float) -> Plane:
    time = getattr(plane.labels, name)
    if time < evening:
        return plane
    return replace(plane, labels=replace(plane.labels, **{name: time - _DAY}))
