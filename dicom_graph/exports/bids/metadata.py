"""The JSON beside a volume: what is known of it by BIDS' names, and what BIDS requires."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from dicom_graph.dicom.sidecar import sidecar
from dicom_graph.dicom.volume.acquisition import Acquisition
from dicom_graph.imaging.worker import DescribedVolume

Metadata = dict[str, Any]
_OF_SERIES = {
    "Manufacturer": "manufacturer", "ManufacturersModelName": "manufacturer_model_name",
    "MRAcquisitionType": "mr_acquisition_type",
}  # fmt: skip
_CODES = {"ScanningSequence": "scanning_sequence", "SequenceVariant": "sequence_variant"}
ASL_CONTEXT = "aslcontext.tsv"
"""In the metadata of a plan a list of volume types, which goes into a table beside the volume."""
_ASL = (
    ASL_CONTEXT, "ArterialSpinLabelingType", "PostLabelingDelay", "BackgroundSuppression",
    "M0Type", "TotalAcquiredPairs", "RepetitionTimePreparation", "MRAcquisitionType",
    "MagneticFieldStrength", "EchoTime",
)  # fmt: skip
_PET = (
    "Manufacturer", "ManufacturersModelName", "TracerName", "TracerRadionuclide",
    "InjectedRadioactivity", "InjectedRadioactivityUnits", "InjectedMass", "InjectedMassUnits",
    "SpecificRadioactivity", "SpecificRadioactivityUnits", "ModeOfAdministration", "Units",
    "TimeZero", "ScanStart", "InjectionStart", "FrameTimesStart", "FrameDuration",
    "AcquisitionMode", "ImageDecayCorrected", "ImageDecayCorrectionTime", "ReconMethodName",
    "ReconMethodParameterLabels", "ReconFilterType", "AttenuationCorrection",
)  # fmt: skip
_B1 = ("FlipAngle", "RepetitionTimeExcitation")
REQUIRED: Mapping[tuple[str, str], Sequence[str]] = {
    ("func", "bold"): ("RepetitionTime", "TaskName"),
    ("dwi", "dwi"): ("bval and bvec",),
    ("fmap", "epi"): ("PhaseEncodingDirection", "TotalReadoutTime"),
    ("fmap", "phasediff"): ("EchoTime1", "EchoTime2"),
    ("fmap", "phase1"): ("EchoTime",),
    ("fmap", "phase2"): ("EchoTime",),
    ("fmap", "fieldmap"): ("Units",),
    ("fmap", "m0scan"): ("RepetitionTimePreparation",),
    ("fmap", "TB1DAM"): ("FlipAngle",),
    ("fmap", "TB1EPI"): ("EchoTime", "FlipAngle", "TotalReadoutTime", "MixingTime"),
    ("fmap", "TB1AFI"): ("RepetitionTimeExcitation",),
    ("fmap", "TB1SRGE"): (
        *_B1, "InversionTime", "RepetitionTimePreparation", "NumberShots",
    ),
    ("anat", "MEGRE"): ("EchoTime",),
    ("anat", "MESE"): ("EchoTime",),
    ("anat", "VFA"): (*_B1, "PulseSequenceType"),
    ("anat", "IRT1"): ("InversionTime",),
    ("anat", "MP2RAGE"): (
        *_B1, "InversionTime", "RepetitionTimePreparation", "NumberShots", "MagneticFieldStrength",
    ),
    ("anat", "MTR"): ("MTState",),
    ("anat", "MTS"): (*_B1, "MTState"),
    ("anat", "MPM"): (*_B1, "MTState"),
    ("perf", "asl"): _ASL,
    ("perf", "m0scan"): (
        "RepetitionTimePreparation", "IntendedFor", "MagneticFieldStrength", "EchoTime",
    ),
    ("pet", "pet"): _PET,
}  # fmt: skip
"""What BIDS' schema requires of a datatype and suffix; `bval and bvec` and `aslcontext.tsv` are
files of their own.
"""
_VOLUME_TYPES = ("control", "label", "m0scan", "deltam", "cbf", "noRF", "n/a")
_BOLUS = ("BolusCutOffDelayTime", "BolusCutOffTechnique")
_INFUSION = (
    "InfusionRadioactivity", "InfusionStart", "InfusionSpeed", "InfusionSpeedUnits",
    "InjectedVolume",
)  # fmt: skip
_FURTHER: Mapping[str, Sequence[tuple[str, Callable[[Any], bool], Sequence[str]]]] = {
    "asl": (
        ("M0Type", lambda said: said == "Estimate", ("M0Estimate",)),
        ("ArterialSpinLabelingType", lambda said: said in ("CASL", "PCASL"), ("LabelingDuration",)),
        ("ArterialSpinLabelingType", lambda said: said == "PASL", ("BolusCutOffFlag",)),
        ("BolusCutOffFlag", lambda said: said is True, _BOLUS),
        ("MRAcquisitionType", lambda said: said == "2D", ("SliceTiming",)),
    ),
    "pet": (
        ("ModeOfAdministration", lambda said: said == "bolus-infusion", _INFUSION),
        ("ReconMethodParameterLabels", lambda said: not _has_none(said),
         ("ReconMethodParameterValues", "ReconMethodParameterUnits")),
        ("ReconFilterType", lambda said: not _has_none(said), ("ReconFilterSize",)),
    ),
}  # fmt: skip
"""What a suffix requires, too, where a field says so."""
_OF_ENTITIES = {
    "echo": "EchoTime", "flip": "FlipAngle", "inv": "InversionTime", "mt": "MTState",
}  # fmt: skip
_THREE_AXES = frozenset(("T1w", "magnitude1", "magnitude2"))


def metadata_of(row: Any, acquisition: Acquisition, entities: Mapping[str, str]) -> Metadata:
    """What the headers of a volume of a series (row) tell, and what its entities say. Of texts
    those alone that the scanner writes.
    """
    found: Metadata = {"Modality": row.modality}
    found |= {name: getattr(row, column) for name, column in _OF_SERIES.items()}
    found |= {name: "_".join(getattr(row, column) or ()) for name, column in _CODES.items()}
    timing, repetition = acquisition.slice_timing, acquisition.repetition_time
    if timing is not None and repetition is not None and max(timing) > repetition:
        acquisition = replace(acquisition, slice_timing=None)
    found |= json.loads(sidecar(acquisition))
    if entities.get("task"):
        found["TaskName"] = entities["task"]
    if entities.get("part") == "phase":
        found["Units"] = "arbitrary"
    return {name: value for name, value in found.items() if value not in (None, "")}


def lacking(
    datatype: str,
    suffix: str,
    entities: Mapping[str, str],
    metadata: Mapping[str, Any],
    volume: DescribedVolume,
    *,
    is_one_of_many: bool,
) -> list[str]:
    """What BIDS requires of a volume, and is not known; `is_one_of_many`: of its fourth axis only
    one index is meant.
    """
    required = [*REQUIRED.get((datatype, suffix), ())]
    required += [name for key, name in _OF_ENTITIES.items() if entities.get(key)]
    known = {name for name, value in metadata.items() if value is not None}
    for name, holds, further in _FURTHER.get(suffix, ()):
        required += further if name in known and holds(metadata[name]) else ()
    if "EffectiveEchoSpacing" in known:
        known.add("TotalReadoutTime")
    if volume.acquisition.b_values is not None and volume.acquisition.b_vectors is not None:
        known.add("bval and bvec")
    missing = [name for name in dict.fromkeys(required) if name not in known]
    has_fourth = len(volume.summary.shape) > 3 and not is_one_of_many
    if suffix in _THREE_AXES and has_fourth:
        missing.append("a volume of three axes")
    if ASL_CONTEXT in known:
        n_volumes = volume.summary.shape[3] if has_fourth else 1
        missing += _wrong_context(metadata[ASL_CONTEXT], n_volumes)
    return missing


def missing_text(suffix: str, missing: Sequence[str]) -> str:
    """For people: what a volume lacks, and who can say it."""
    can_be_said = all(name.isidentifier() or name.startswith(ASL_CONTEXT) for name in missing)
    more = "; the column metadata can" if can_be_said else ""
    return f"BIDS requires {', '.join(missing)} of {suffix}, which the headers do not tell{more}"


def _wrong_context(said: Any, n_volumes: int) -> list[str]:
    types = said if isinstance(said, list) else []
    if len(types) == n_volumes and all(each in _VOLUME_TYPES for each in types):
        return []
    return [f"{ASL_CONTEXT} with a list of {n_volumes} of {', '.join(_VOLUME_TYPES)}"]


def _has_none(said: Any) -> bool:
    return said == "none" or (isinstance(said, list) and "none" in said)
