"""The JSON beside a volume: what is known of it by BIDS' names, and what BIDS requires."""

import json
from collections.abc import Mapping, Sequence
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
_ASL = (
    "aslcontext.tsv", "ArterialSpinLabelingType", "PostLabelingDelay", "BackgroundSuppression",
    "M0Type", "TotalAcquiredPairs", "RepetitionTimePreparation",
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
    ("perf", "m0scan"): ("RepetitionTimePreparation", "IntendedFor"),
    ("pet", "pet"): _PET,
}  # fmt: skip
"""What BIDS' schema requires of a datatype and suffix; `bval and bvec` and `aslcontext.tsv` are
files of their own.
"""
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
    if "EffectiveEchoSpacing" in known:
        known.add("TotalReadoutTime")
    if volume.acquisition.b_values is not None and volume.acquisition.b_vectors is not None:
        known.add("bval and bvec")
    missing = [name for name in dict.fromkeys(required) if name not in known]
    has_fourth = len(volume.summary.shape) > 3 and not is_one_of_many
    if suffix in _THREE_AXES and has_fourth:
        missing.append("a volume of three axes")
    return missing
