"""What tells apart two planes at the same position: time, echo, b value, phase, kind of image."""

import math
from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from dicom_graph.dicom.functional_groups import FunctionalGroups
from dicom_graph.dicom.volume.ge import ge_direction, ge_group_delay, is_reversed_volume
from dicom_graph.dicom.volume.header_values import integer, number, private_tags, private_value
from dicom_graph.dicom.volume.moments import acquired, seconds_of

_PRIVATE = (
    (0x0019, 0x0A), (0x0019, 0x0C), (0x2001, 0x03), (0x0043, 0x39), (0x0029, 0x10),
    (0x0065, 0x09), (0x0065, 0x50), (0x0065, 0x51), (0x0019, 0x9C), (0x0019, 0xB3), (0x0019, 0xBB),
    (0x0019, 0xBC), (0x0019, 0xBD), (0x0043, 0x7C),
)  # fmt: skip
_KEYWORDS = (
    "ImageType", "ComplexImageComponent", "InstanceNumber", "TemporalPositionIdentifier",
    "AcquisitionNumber", "TriggerTime", "CardiacNumberOfImages", "EchoTime", "DiffusionBValue",
    "InversionTime", "FlipAngle", "RepetitionTime", "FrameTime", "ContentDate", "ContentTime",
    "AcquisitionDateTime", "AcquisitionDate", "AcquisitionTime", "SeriesDate", "StudyDate",
)  # fmt: skip
LABEL_TAGS = frozenset(int(Tag(keyword)) for keyword in _KEYWORDS) | private_tags(_PRIVATE)
"""The elements that labels and mosaics are read from."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Of one frame; None is unknown. Times of MR in ms, points in time in s, b values in s/mm².

    `kind`: ImageType or FrameType, ComplexImageComponent, and REVERSED_PHASE for a volume that GE
    acquired so. `n_phases`: of the heart's cycle. `repetition_time`:
    with the pause that GE may make after each volume.
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
        kind=(*_kind(header, groups, frame), *_reversed(header)),
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
        acquired=acquired(header, groups, frame),
        content=seconds_of(header.get("ContentDate"), header.get("ContentTime")),
        instance=None if instance is None else (instance, frame),
        repetition_time=_between_volumes(header, number(value(timing, "RepetitionTime"))),
        frame_time=number(header.get("FrameTime")),
    )


def _between_volumes(header: Dataset, repetition: float | None) -> float | None:
    return None if repetition is None else repetition + 1000 * ge_group_delay(header)


REVERSED_PHASE = "REVERSED_PHASE"
_FRAME_TYPES = ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence", "PETFrameTypeSequence",
                "XAXRFFrameCharacteristicsSequence")  # fmt: skip


def _kind(header: Dataset, groups: FunctionalGroups, frame: int) -> tuple[str, ...]:
    for group in _FRAME_TYPES:
        item = groups.item(frame, group)
        if item is not None:
            return (*_texts(item.get("FrameType")), *_texts(item.get("ComplexImageComponent")))
    component = _texts(header.get("ComplexImageComponent"))
    return (*_texts(header.get("ImageType")), *component)


def _reversed(header: Dataset) -> tuple[str, ...]:
    return (REVERSED_PHASE,) if is_reversed_volume(header) else ()


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
    return None if found is None else _of_shell(found % _GE_B_OFFSET, ge_direction(header))


def _of_shell(highest: float, direction: tuple[float, float, float] | None) -> float:
    """GE tells the highest b value, and lower ones by gradients that are shorter: b goes with the
    square of their length. Rounded to 5, as dcm2niix does.
    """
    length = math.hypot(*direction) if direction is not None else 0.0
    if not highest or not 0.03 < length < 0.97:
        return highest
    return max(5.0, 5.0 * math.floor((highest * length**2 + 2.5) / 5))
