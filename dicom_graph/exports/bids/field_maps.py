"""Which field map is for which images: B0FieldIdentifier, B0FieldSource and IntendedFor."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from dicom_graph.exports.bids.entities import label
from dicom_graph.exports.bids.metadata import Metadata
from dicom_graph.exports.bids.planned import Key, PlannedVolume, key_of

_MAPS = {
    "phasediff": "phase", "phase1": "phase", "phase2": "phase", "magnitude1": "phase",
    "magnitude2": "phase", "fieldmap": "fieldmap", "magnitude": "fieldmap", "epi": "pepolar",
}  # fmt: skip
_CORRECTED = frozenset((("func", "bold"), ("func", "cbv"), ("func", "sbref"), ("dwi", "dwi"),
                        ("dwi", "sbref"), ("perf", "asl")))  # fmt: skip
_PLACE = ("sub", "ses")


def field_map_metadata(planned: Sequence[PlannedVolume]) -> dict[Key, Metadata]:
    """What the sidecars of volumes say of field maps.

    An image is corrected by the last map of its session before it, else by the first after it. Maps
    of one kind, `acq` and `run` are one; images of both directions of phase encoding as well.
    """
    found: dict[Key, Metadata] = defaultdict(dict)
    for volumes in _by(planned, lambda each: tuple(each.entities.get(k) for k in _PLACE)):
        maps = [
            group
            for group in _by((v for v in volumes if v.datatype == "fmap"), _map_of)
            if _map_of(group[0]) is not None
        ]
        if not maps:
            continue
        maps.sort(key=lambda group: _when(group[0]))
        intended: dict[int, list[str]] = defaultdict(list)
        for each in sorted(volumes, key=_when):
            if (each.datatype, each.suffix) in _CORRECTED:
                before = [n for n, group in enumerate(maps) if _when(group[0]) <= _when(each)]
                number = before[-1] if before else 0
                found[key_of(each)]["B0FieldSource"] = _identifier(maps[number][0])
                intended[number].append(f"bids::{each.name}.nii.gz")
        for number, group in enumerate(maps):
            for each in group:
                found[key_of(each)]["B0FieldIdentifier"] = _identifier(group[0])
                if intended[number]:
                    found[key_of(each)]["IntendedFor"] = intended[number]
    return dict(found)


def _by(planned: Iterable[PlannedVolume], key: Any) -> list[list[PlannedVolume]]:
    groups: dict[Any, list[PlannedVolume]] = defaultdict(list)
    for each in planned:
        groups[key(each)].append(each)
    return list(groups.values())


def _map_of(each: PlannedVolume) -> tuple[str, str, str] | None:
    kind = _MAPS.get(each.suffix)
    if kind is None:
        return None
    return kind, each.entities.get("acq", ""), each.entities.get("run", "")


def _identifier(first: PlannedVolume) -> str:
    """It must tell maps apart within a subject."""
    told = _map_of(first)
    assert told is not None
    words = [told[0], first.entities.get("ses", ""), *told[1:]]
    return "_".join(label(word) for word in words if word)


def _when(each: PlannedVolume) -> tuple[bool, str, int]:
    moment = each.acquired
    return moment is None, "" if moment is None else moment.isoformat(), each.line
