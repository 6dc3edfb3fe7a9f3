"""Which field map is for which images: B0FieldIdentifier, B0FieldSource and IntendedFor."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from dicom_graph.exports.bids.entities import label
from dicom_graph.exports.bids.metadata import Metadata
from dicom_graph.exports.bids.planned_volume import Key, PlannedVolume, key_of

_MAPS = {
    "phasediff": "phase", "phase1": "phase", "phase2": "phase", "magnitude1": "phase",
    "magnitude2": "phase", "fieldmap": "fieldmap", "magnitude": "fieldmap", "epi": "pepolar",
}  # fmt: skip
_CORRECTED = frozenset((("func", "bold"), ("func", "cbv"), ("func", "sbref"), ("dwi", "dwi"),
                        ("dwi", "sbref"), ("perf", "asl")))  # fmt: skip
_PLACE = ("sub", "ses")
_WITHIN = ("dir", "part", "echo", "chunk")
"""What differs within one map of opposite phase encodings."""


def field_map_metadata(planned: Sequence[PlannedVolume]) -> dict[Key, Metadata]:
    """What the sidecars of volumes say of field maps.

    An image is corrected by the last map of its session before it, else by the first after it. Maps
    of one kind, `acq` and `run` are one; of images of opposite phase encoding those that follow
    each other. Such an image alone is a map together with the first that it corrects whose phase
    was encoded the other way.
    """
    found: dict[Key, Metadata] = defaultdict(dict)
    for volumes in _by(planned, lambda each: tuple(each.entities.get(k) for k in _PLACE)):
        ordered = sorted(volumes, key=_when)
        maps = sorted(_maps(ordered), key=lambda group: _when(group[0]))
        if not maps:
            continue
        intended: dict[int, list[PlannedVolume]] = defaultdict(list)
        for each in ordered:
            if (each.datatype, each.suffix) in _CORRECTED:
                before = [n for n, group in enumerate(maps) if _when(group[0]) <= _when(each)]
                intended[before[-1] if before else 0].append(each)
        identifiers = _identifiers(maps)
        for number, group in enumerate(maps):
            for each in intended[number]:
                found[key_of(each)]["B0FieldSource"] = identifiers[number]
            for each in (*group, *_opposite(group, intended[number])):
                found[key_of(each)]["B0FieldIdentifier"] = identifiers[number]
            if intended[number]:
                names = [f"bids::{each.name}.nii.gz" for each in intended[number]]
                for each in group:
                    found[key_of(each)]["IntendedFor"] = names
    return dict(found)


def _maps(volumes: Sequence[PlannedVolume]) -> list[list[PlannedVolume]]:
    """The volumes (of a session, by time) of each field map."""
    kinds = _by((v for v in volumes if v.datatype == "fmap" and v.suffix in _MAPS), _kind_of)
    found: list[list[PlannedVolume]] = []
    for group in kinds:
        of_runs = _by(group, lambda each: each.entities.get("run", ""))
        found += _pairs(group) if group[0].suffix == "epi" else of_runs
    return found


def _pairs(volumes: Sequence[PlannedVolume]) -> list[list[PlannedVolume]]:
    """Images of different directions that follow each other; with one that is there already the
    next map begins.
    """
    found: list[list[PlannedVolume]] = []
    held: set[tuple[str, ...]] = set()
    for each in volumes:
        what = tuple(each.entities.get(key, "") for key in _WITHIN)
        if not found or what in held:
            found.append([])
            held.clear()
        found[-1].append(each)
        held.add(what)
    return found


def _opposite(
    group: Sequence[PlannedVolume], intended: Iterable[PlannedVolume]
) -> list[PlannedVolume]:
    """What makes a map of images of one direction: the first image of the other way."""
    directions = {each.entities.get("dir", "") for each in group}
    if group[0].suffix != "epi" or len(directions) > 1:
        return []
    wanted = directions.pop()[::-1]
    return [each for each in intended if wanted and each.entities.get("dir") == wanted][:1]


def _by(planned: Iterable[PlannedVolume], key: Any) -> list[list[PlannedVolume]]:
    groups: dict[Any, list[PlannedVolume]] = defaultdict(list)
    for each in planned:
        groups[key(each)].append(each)
    return list(groups.values())


def _kind_of(each: PlannedVolume) -> tuple[str, str]:
    return _MAPS[each.suffix], each.entities.get("acq", "")


def _identifiers(maps: Sequence[Sequence[PlannedVolume]]) -> list[str]:
    """They must tell maps apart within a subject."""
    found: list[str] = []
    for group in maps:
        entities = group[0].entities
        words = (_MAPS[group[0].suffix], *(entities.get(key, "") for key in ("ses", "acq", "run")))
        told = "_".join(label(word) for word in words if word)
        n_same = sum(each == told or each.startswith(f"{told}_map") for each in found)
        found.append(f"{told}_map{n_same + 1}" if n_same else told)
    return found


def _when(each: PlannedVolume) -> tuple[bool, str, int]:
    moment = each.acquired
    return moment is None, "" if moment is None else moment.isoformat(), each.line
