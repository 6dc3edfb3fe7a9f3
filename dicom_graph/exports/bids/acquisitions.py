"""Volumes that would have one name: those of other protocols get `acq`, repeats get `run`."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any

from dicom_graph.exports.bids.entities import label
from dicom_graph.exports.bids.planned_volume import PlannedVolume

_INVERSIONS = 2
_WITHIN = ("echo", "inv", "part")
"""What tells volumes of one acquisition apart."""


def with_inversions(planned: Sequence[PlannedVolume]) -> list[PlannedVolume]:
    """The volumes of MP2RAGE with their `inv`, by the two inversion times of a session."""
    found = list(planned)
    of_session: dict[Hashable, dict[int, float]] = defaultdict(dict)
    for place, each in enumerate(planned):
        time = None if each.volume is None else each.volume.acquisition.inversion_time
        if each.suffix == "MP2RAGE" and time is not None:
            of_session[each.entities["sub"], each.entities.get("ses")][place] = round(time, 3)
    for times in of_session.values():
        ordered = sorted(set(times.values()))
        if len(ordered) == _INVERSIONS:
            for place, time in times.items():
                found[place] = _with(found[place], inv=str(ordered.index(time) + 1))
    return found


def with_acquisitions(planned: Sequence[PlannedVolume]) -> list[PlannedVolume]:
    """Volumes of one name that were not acquired alike get an `acq`, if a short word tells them
    apart; and magnitudes beside a phase are named so.
    """
    found = list(planned)
    for places in _same(planned, _name_without_parts).values():
        signatures = {place: _signature(planned[place]) for place in places}
        if len(set(signatures.values())) > 1:
            words = _words([planned[place] for place in places], list(signatures.values()))
            for place, word in zip(places, words, strict=True):
                found[place] = _with(found[place], acq=word)
        if any(planned[place].entities.get("part") for place in places):
            for place in places:
                found[place] = _with(found[place], part=found[place].entities.get("part") or "mag")
    return found


def with_runs(planned: Sequence[PlannedVolume]) -> list[PlannedVolume]:
    """Volumes that still have one name are repeats: runs in the order in which they stand."""
    found = list(planned)
    for places in _same(planned, lambda each: each.name).values():
        if len(places) > 1:
            for number, place in enumerate(places, 1):
                found[place] = _with(found[place], run=str(number))
    return found


def _with(planned: PlannedVolume, **entities: str) -> PlannedVolume:
    given = {key: value for key, value in entities.items() if value}
    return replace(planned, entities={**planned.entities, **given})


def _same(
    planned: Sequence[PlannedVolume], key: Callable[[PlannedVolume], Hashable]
) -> dict[Hashable, list[int]]:
    """The places of those that are exported, by what they have in common."""
    found: dict[Hashable, list[int]] = defaultdict(list)
    for place, each in enumerate(planned):
        if each.included:
            found[key(each)].append(place)
    return found


def _name_without_parts(each: PlannedVolume) -> Hashable:
    entities = {key: value for key, value in each.entities.items() if key not in _WITHIN}
    return each.datatype, each.suffix, tuple(sorted(entities.items()))


def _signature(each: PlannedVolume) -> Hashable:
    """What is the same in repeats."""
    assert each.volume is not None
    acquisition, summary, row = each.volume.acquisition, each.volume.summary, each.series
    echo = None if each.entities.get("echo") else _rounded(acquisition.echo_time, 4)
    inversion = None if each.entities.get("inv") else _rounded(acquisition.inversion_time, 3)
    return (
        row.sequence_name, row.pulse_sequence_name, row.mr_acquisition_type, echo,
        inversion, _rounded(acquisition.flip_angle, 1),
        summary.shape[:3], summary.orientation,
        tuple(_rounded(size, 2) for size in summary.spacing),
    )  # fmt: skip


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _words(volumes: Sequence[PlannedVolume], signatures: Sequence[Hashable]) -> list[str]:
    """The shortest words that tell all signatures apart; empty ones where none do."""
    sources = (_plane, _sequence, _size, lambda each: _plane(each) + _size(each),
               lambda each: _sequence(each) + _plane(each) + _size(each))  # fmt: skip
    n_signatures = len(set(signatures))
    for source in sources:
        words = [source(each) for each in volumes]
        if len(set(words)) == n_signatures == len(set(zip(words, signatures, strict=True))):
            return words
    return [""] * len(volumes)


def _plane(each: PlannedVolume) -> str:
    """How the slices lie."""
    assert each.volume is not None
    across = each.volume.summary.orientation[2:3]
    return {"S": "ax", "I": "ax", "L": "sag", "R": "sag", "A": "cor", "P": "cor"}.get(across, "")


def _sequence(each: PlannedVolume) -> str:
    row: Any = each.series
    return label(row.sequence_name or row.pulse_sequence_name or "")[:20].lower()


def _size(each: PlannedVolume) -> str:
    """The size of a voxel, such as 1p0x1p0x3p0."""
    assert each.volume is not None
    return "x".join(f"{size:.1f}".replace(".", "p") for size in each.volume.summary.spacing)
