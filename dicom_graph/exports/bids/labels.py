"""What a volume is in BIDS: the label of its series, made exact by what the volume is itself."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dicom_graph.dicom.mr.label import shows_perfusion
from dicom_graph.dicom.volume.acquisition import Acquisition
from dicom_graph.exports.bids.entities import SUFFIXES, label
from dicom_graph.exports.bids.label_words import harmless_words
from dicom_graph.imaging.worker import VolumeSummary

_PARTS = {
    "M": "mag", "MAGNITUDE": "mag", "P": "phase", "PHASE": "phase", "R": "real", "REAL": "real",
    "I": "imag", "IMAGINARY": "imag",
}  # fmt: skip
_MAPS = frozenset(("FIELD_MAP", "FIELD MAP", "B0 MAP", "B0"))
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "S": "I", "I": "S"}
_REST = re.compile(r"(?<![a-z])rest|rs_?fmri|resting", re.IGNORECASE)
_TASK = re.compile(r"task[-_]([0-9A-Za-z]+)")
_NO_AGENTS = frozenset(("", "0", "n", "na", "no", "none", "unknown", "without"))
_UNKNOWN_TASK = "unknown"
_DIRECTED = frozenset((("func", "bold"), ("func", "sbref"), ("dwi", "dwi"), ("dwi", "sbref"),
                       ("fmap", "epi")))  # fmt: skip
_SCANNER_MAPS = frozenset(("ADC", "FA", "colFA", "expADC", "trace", "S0map"))
_LEAST_B_VALUE = 50
"""In s/mm²: gradients that crush or localize are weaker."""
_MAGNITUDES = ("magnitude1", "magnitude2", "magnitude")


@dataclass(frozen=True, slots=True)
class VolumeLabel:
    """What one volume is. `is_derived`: computed from other images. `why_not`: why it has no name
    in BIDS.
    """

    datatype: str = ""
    suffix: str = ""
    confidence: str = ""
    evidence: tuple[str, ...] = ()
    entities: dict[str, str] = field(default_factory=dict)
    is_derived: bool = False
    why_not: str | None = None


def label_of(
    row: Any,
    summary: VolumeSummary,
    acquisition: Acquisition,
    echo: int | None,
    names: Sequence[str],
    agent: str | None = None,
) -> VolumeLabel:
    """The label of a volume of a series (row). `echo`: which of the echoes of the series it is,
    from 1, None where it has one. `names`: what must not be in a label, as parts of a name.
    `agent`: ContrastBolusAgent (0018,0010).
    """
    datatype, suffix = row.bids_datatype, row.bids_suffix
    confidence, evidence = row.bids_confidence or "", tuple(row.bids_evidence or ())
    if confidence != "high" and datatype in (None, "func") and _is_weighted(row, acquisition):
        datatype, suffix, confidence = "dwi", "dwi", "medium"
        evidence = ("the b values of its volumes",)
    elif (
        datatype is None
        and not shows_perfusion(agent, row.description, row.protocol_name)
        and _is_functional(row, summary, acquisition)
    ):
        datatype, suffix, confidence = "func", "bold", "low"
        evidence = ("the times of its volumes", "EchoTime")
    if datatype is None:
        return VolumeLabel(evidence=evidence, why_not=_unlabelled(row, evidence))
    if datatype == "discard":
        return VolumeLabel(datatype, suffix, confidence, evidence, why_not="it is only to plan by")
    is_derived = datatype == "derived" or suffix in _SCANNER_MAPS
    entities: dict[str, str] = {}
    if datatype == "derived":
        datatype = next((of for of, each in SUFFIXES if each == suffix), "derived")
        entities["rec"] = "derived"
    kinds = _kinds(summary)
    if datatype == "fmap":
        suffix = _field_map_suffix(suffix, kinds, echo)
    if (datatype, suffix) not in SUFFIXES:
        return VolumeLabel(datatype, suffix or "", confidence, evidence, {}, is_derived,
                           why_not=f"BIDS has no {suffix} that is written as NIfTI")  # fmt: skip
    rule = SUFFIXES[datatype, suffix]
    allowed = rule.required | rule.optional
    part = next((_PARTS[kind] for kind in kinds if kind in _PARTS), None)
    entities["part"] = "" if part in (None, "mag") else str(part)
    entities["echo"] = "" if echo is None else str(echo)
    entities["ce"] = _agent(agent, names)
    entities["task"] = _task(row, names) if datatype == "func" else ""
    if (datatype, suffix) in _DIRECTED:
        entities["dir"] = direction(summary, acquisition)
    kept = {key: value for key, value in entities.items() if value and key in allowed}
    return VolumeLabel(datatype, suffix, confidence, evidence, kept, is_derived)


def _kinds(summary: VolumeSummary) -> tuple[str, ...]:
    """The codes of its ImageType, also of such as M_FFE, the last first."""
    codes = summary.label.partition(",")[0].split("\\")
    return tuple(dict.fromkeys(c for code in reversed(codes) for c in (code, code.split("_")[0])))


def _is_functional(row: Any, summary: VolumeSummary, acquisition: Acquisition) -> bool:
    """Many volumes in time with the echo time and the flip angle of functional images."""
    is_series_of_times = len(summary.axes) > 3 and summary.axes[3] == "time"
    echo, angle = acquisition.echo_time or 0.0, acquisition.flip_angle
    return (
        row.modality == "MR"
        and is_series_of_times
        and 0.012 <= echo < 0.08
        and angle is not None
        and angle <= 90
    )


def _is_weighted(row: Any, acquisition: Acquisition) -> bool:
    """By diffusion, which a series may tell only behind its first volume."""
    return row.modality == "MR" and max(acquisition.b_values or (0,)) >= _LEAST_B_VALUE


def _unlabelled(row: Any, evidence: Iterable[str]) -> str:
    if row.modality != "MR":
        return f"images of modality {row.modality or 'unknown'} have no label"
    lacking = ", ".join(evidence)
    return f"nothing says what it is; it lacks {lacking}" if lacking else "nothing says what it is"


def _field_map_suffix(suffix: str, kinds: Sequence[str], echo: int | None) -> str:
    """Of the volumes of one series, which may be a map and its magnitude, or two echoes."""
    if suffix == "fieldmap" and not _MAPS & set(kinds):
        return "magnitude" if {"M", "MAGNITUDE"} & set(kinds) else suffix
    if suffix in _MAGNITUDES and _MAPS & set(kinds):
        return "fieldmap"
    if suffix in _MAGNITUDES and echo in (1, 2):
        return f"magnitude{echo}"
    if suffix in (*_MAGNITUDES, "phasediff") and echo in (1, 2) and {"P", "PHASE"} & set(kinds):
        return f"phase{echo}"
    return suffix


def direction(summary: VolumeSummary, acquisition: Acquisition) -> str:
    """From where to where the phase was encoded, such as AP; empty where that is not known."""
    told = acquisition.phase_encoding_direction
    if told is None or len(summary.orientation) < 2:
        return ""
    to = summary.orientation["ij".index(told[0])]
    letters = f"{_OPPOSITE[to]}{to}"
    return letters[::-1] if told.endswith("-") else letters


def _agent(text: str | None, names: Sequence[str]) -> str:
    words = label("".join(harmless_words(text or "", names)))[:20]
    return "" if words.casefold() in _NO_AGENTS else words


def _task(row: Any, names: Sequence[str]) -> str:
    """What the series is called, without what names somebody or is a date."""
    texts = [text for text in (row.description, row.protocol_name) if text]
    for text in texts:
        found = _TASK.search(text)
        if found and (said := label("".join(harmless_words(found[1], names)))):
            return said
    if any(_REST.search(text) for text in texts):
        return "rest"
    for text in texts:
        if kept := label("".join(harmless_words(_TASK.sub(" ", text), names))):
            return kept[:40]
    return _UNKNOWN_TASK
