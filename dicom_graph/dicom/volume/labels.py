"""What tells apart two planes at the same position: time, echo, b value, phase, kind of image."""

import datetime as dt
import math
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.valuerep import DT

from dicom_graph.dicom.functional_groups import FunctionalGroups

_BLOCKS = range(0x10, 0x20)
"""The private blocks that are looked into (PS3.5 7.8.1 allows more; vendors use the first few)."""
_PRIVATE = (
    (0x0019, 0x0A), (0x0019, 0x0C), (0x2001, 0x03), (0x0043, 0x39), (0x0029, 0x10),
    (0x0065, 0x09), (0x0065, 0x50), (0x0065, 0x51),
)  # fmt: skip
_KEYWORDS = (
    "ImageType", "ComplexImageComponent", "InstanceNumber", "TemporalPositionIdentifier",
    "AcquisitionNumber", "TriggerTime", "CardiacNumberOfImages", "EchoTime", "DiffusionBValue",
    "InversionTime", "FlipAngle", "RepetitionTime", "FrameTime", "ContentDate", "ContentTime",
    "AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime", "SeriesDate", "StudyDate",
)  # fmt: skip
LABEL_TAGS = (
    frozenset(int(Tag(keyword)) for keyword in _KEYWORDS)
    | frozenset(group << 16 | block for group, _ in _PRIVATE for block in _BLOCKS)
    | frozenset(
        group << 16 | block << 8 | element for group, element in _PRIVATE for block in _BLOCKS
    )
)
"""The elements that labels and mosaics are read from."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Of one frame; None is unknown. Times of MR in ms, points in time in s, b values in s/mm².

    `kind`: ImageType or FrameType, and ComplexImageComponent. `n_phases`: of the heart's cycle.
    """

    kind: tuple[str, ...] = ()
    stack_id: str | None = None
    segment: int | None = None
    echo_time: float | None = None
    b_value: float | None = None
    inversion_time: float | None = None
    flip_angle: float | None = None
    trigger_time: float | None = None
    n_phases: int | None = None
    temporal_position: int | None = None
    acquisition: int | None = None
    acquired: float | None = None
    content: float | None = None
    instance: tuple[int, int] | None = None
    repetition_time: float | None = None
    frame_time: float | None = None


def frame_labels(header: Dataset, groups: FunctionalGroups, frame: int) -> Labels:
    """The labels of a frame: its functional groups', else the image's."""

    def value(group: str, keyword: str, classic: str | None = None) -> Any:
        own = groups.value(frame, group, keyword)
        return header.get(classic or keyword) if own is None else own

    content = "FrameContentSequence"
    instance = integer(header.get("InstanceNumber"))
    position = value(content, "TemporalPositionIndex", "TemporalPositionIdentifier")
    acquisition = value(content, "FrameAcquisitionNumber", "AcquisitionNumber")
    timing = "MRTimingAndRelatedParametersSequence"
    trigger = value(
        "CardiacSynchronizationSequence", "NominalCardiacTriggerDelayTime", "TriggerTime"
    )
    return Labels(
        kind=_kind(header, groups, frame),
        stack_id=_text(value(content, "StackID")),
        segment=integer(value("SegmentIdentificationSequence", "ReferencedSegmentNumber")),
        echo_time=number(value("MREchoSequence", "EffectiveEchoTime", "EchoTime")),
        b_value=_b_value(header, groups, frame),
        inversion_time=number(value("MRModifierSequence", "InversionTimes", "InversionTime")),
        flip_angle=number(value(timing, "FlipAngle")),
        trigger_time=number(trigger),
        n_phases=_n_phases(header, groups, frame),
        temporal_position=integer(position),
        acquisition=integer(acquisition),
        acquired=_acquired(header, groups, frame),
        content=_seconds(header.get("ContentDate"), header.get("ContentTime")),
        instance=None if instance is None else (instance, frame),
        repetition_time=number(value(timing, "RepetitionTime")),
        frame_time=number(header.get("FrameTime")),
    )


def number(value: Any) -> float | None:
    """The first value as a finite number, or None."""
    if value is not None and not isinstance(value, (str, bytes)) and hasattr(value, "__len__"):
        value = value[0] if len(value) else None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def integer(value: Any) -> int | None:
    """The first value as a whole number, or None."""
    found = number(value)
    return None if found is None else int(found)


_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence",
                "XAXRFFrameCharacteristicsSequence")  # fmt: skip


def _kind(header: Dataset, groups: FunctionalGroups, frame: int) -> tuple[str, ...]:
    for group in _FRAME_TYPES:
        item = groups.item(frame, group)
        if item is not None:
            return (*_texts(item.get("FrameType")), *_texts(item.get("ComplexImageComponent")))
    component = _texts(header.get("ComplexImageComponent"))
    return (*_texts(header.get("ImageType")), *component)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _texts(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(map(str, value))


def _n_phases(header: Dataset, groups: FunctionalGroups, frame: int) -> int | None:
    if groups.item(frame, "CardiacSynchronizationSequence") is not None:
        return 2
    return integer(header.get("CardiacNumberOfImages"))


_GE_B_OFFSET = 1_000_000_000


def _b_value(header: Dataset, groups: FunctionalGroups, frame: int) -> float | None:
    """The standard's element, else that of Siemens, Philips, UIH or GE; s/mm²."""
    own = groups.value(frame, "MRDiffusionSequence", "DiffusionBValue")
    if own is not None or "DiffusionBValue" in header:
        return number(own if own is not None else header.DiffusionBValue)
    for group, creator, element in (
        (0x0019, "SIEMENS MR HEADER", 0x0C),
        (0x2001, "Philips Imaging DD 001", 0x03),
        (0x0065, "Image Private Header", 0x09),
    ):
        found = number(private_value(header, group, creator, element))
        if found is not None:
            return found
    # GE adds 10⁹ to mark that further b values are in use.
    found = number(private_value(header, 0x0043, "GEMS_PARM_01", 0x39))
    return None if found is None else found % _GE_B_OFFSET


def private_value(header: Dataset, group: int, creator: str, element: int) -> Any:
    """The value of a private element, or None; numbers of unknown VR are read as text."""
    value = private_element(header, group, creator, element)
    if isinstance(value, bytes):
        return value.decode("latin-1").strip("\0 ").split("\\")[0]
    return value


def private_element(header: Dataset, group: int, creator: str, element: int) -> Any:
    """The value of a private element as pydicom has it, or None."""
    for block in _BLOCKS:
        if (group << 16 | block) not in header:
            continue
        try:
            if str(header[group << 16 | block].value).strip() == creator:
                return header[group << 16 | block << 8 | element].value
        except Exception:
            # pydicom decodes on access, and raises what it likes for what it cannot.
            return None
    return None


def _acquired(header: Dataset, groups: FunctionalGroups, frame: int) -> float | None:
    for keyword in ("FrameReferenceDateTime", "FrameAcquisitionDateTime"):
        own = groups.value(frame, "FrameContentSequence", keyword)
        if own:
            return _seconds_of(str(own))
    if header.get("AcquisitionDateTime"):
        return _seconds_of(str(header.AcquisitionDateTime))
    date = header.get("AcquisitionDate") or header.get("SeriesDate") or header.get("StudyDate")
    return _seconds(date, header.get("AcquisitionTime"))


def _seconds(date: Any, time: Any) -> float | None:
    """Of a time without a date, those of the day."""
    return _seconds_of(f"{date or '19700101'}{time}") if time else None


def _seconds_of(text: str) -> float | None:
    try:
        moment = DT(text)
    except (TypeError, ValueError):
        return None
    if moment is None or not isinstance(moment, dt.datetime):
        return None
    zoned = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return zoned.timestamp()
