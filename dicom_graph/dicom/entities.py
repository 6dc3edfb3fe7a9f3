"""The patient, study, series and image that a header speaks of, field by field.

The fields are those of PS3.3's Patient, General Study, General Series, General Equipment and MR
Image modules; each takes the element of the keyword named beside it.
"""

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypeVar

from pydicom.datadict import tag_for_keyword

from dicom_graph.dicom.csa import (
    CSA_CREATOR,
    CSA_GROUP,
    CSA_IMAGE_HEADER,
    CsaError,
    parse_csa,
)
from dicom_graph.dicom.csa_paths import CsaPathError, csa_value
from dicom_graph.dicom.elements import Changes, Element, Item
from dicom_graph.dicom.names import split_name
from dicom_graph.dicom.packing import unpack
from dicom_graph.dicom.sequence_type import (
    SequenceTypeInputs,
    phase_encoding_direction,
    sequence_type,
)

T = TypeVar("T")
Elements = Mapping[int, Element]


@dataclass(frozen=True, slots=True)
class PatientFields:
    """PatientID (0010,0020) is the identity; the name parts are PatientName's (PS3.5 6.2.1)."""

    uid: str
    name: str | None
    name_prefix: str | None
    given_name: str | None
    middle_name: str | None
    family_name: str | None
    name_suffix: str | None
    sex: str | None
    date_of_birth: dt.date | None


@dataclass(frozen=True, slots=True)
class StudyFields:
    """StudyInstanceUID (0020,000D) is the identity."""

    uid: str
    description: str | None
    date: dt.date | None
    time: dt.time | None


@dataclass(frozen=True, slots=True)
class SeriesFields:
    """SeriesInstanceUID (0020,000E) is the identity. Times in ms, lengths in mm, field in T."""

    uid: str
    number: int | None
    description: str | None
    date: dt.date | None
    time: dt.time | None
    modality: str | None
    body_part_examined: str | None
    patient_position: str | None
    protocol_name: str | None
    manufacturer: str | None
    manufacturer_model_name: str | None
    device_serial_number: str | None
    institution_name: str | None
    operators_name: str | None
    magnetic_field_strength: float | None
    echo_time: float | None
    echo_train_length: int | None
    inversion_time: float | None
    repetition_time: float | None
    flip_angle: float | None
    slice_thickness: float | None
    pixel_spacing: list[float] | None
    scanning_sequence: list[str] | None
    sequence_variant: list[str] | None
    sequence_name: str | None
    pulse_sequence_name: str | None
    mr_acquisition_type: str | None
    sequence_type: str | None


@dataclass(frozen=True, slots=True)
class ImageFields:
    """SOPInstanceUID (0008,0018) is the identity."""

    uid: str
    number: int | None
    date: dt.date | None
    time: dt.time | None
    sop_class_uid: str | None
    number_of_frames: int | None
    rows: int | None
    columns: int | None


@dataclass(frozen=True, slots=True)
class Entities:
    """What one header belongs to; None where it does not say (never a made-up identity)."""

    patient: PatientFields | None
    study: StudyFields | None
    series: SeriesFields | None
    image: ImageFields


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise KeyError(keyword)
    return tag


def _text(element: Element | None) -> str | None:
    return (element.text or None) if element is not None else None


def _joined(element: Element | None) -> str | None:
    return "\\".join(element.texts) or None if element is not None else None


def _number(element: Element | None) -> float | None:
    return element.values[0].number if element is not None and element.values else None


def _integer(element: Element | None) -> int | None:
    number = _number(element)
    if number is None or not number.is_integer() or not -(2**31) <= number < 2**31:
        return None
    return int(number)


def _date(element: Element | None) -> dt.date | None:
    return element.values[0].date if element is not None and element.values else None


def _time(element: Element | None) -> dt.time | None:
    return element.values[0].time if element is not None and element.values else None


def _texts(element: Element | None) -> list[str] | None:
    return list(element.texts) or None if element is not None else None


def _numbers(element: Element | None) -> list[float] | None:
    """All values as numbers; None where one of them is none."""
    values = element.values if element is not None else ()
    numbers = [value.number for value in values if value.number is not None]
    return numbers if numbers and len(numbers) == len(values) else None


def _sex(element: Element | None) -> str | None:
    text = _text(element)
    return text if text in ("M", "F", "O") else None


Read = Callable[[Element | None], Any]
_STUDY: dict[str, tuple[int, Read]] = {
    "uid": (_tag("StudyInstanceUID"), _joined),
    "description": (_tag("StudyDescription"), _text),
    "date": (_tag("StudyDate"), _date),
    "time": (_tag("StudyTime"), _time),
}
_SERIES: dict[str, tuple[int, Read]] = {
    "uid": (_tag("SeriesInstanceUID"), _joined),
    "number": (_tag("SeriesNumber"), _integer),
    "description": (_tag("SeriesDescription"), _text),
    "date": (_tag("SeriesDate"), _date),
    "time": (_tag("SeriesTime"), _time),
    "modality": (_tag("Modality"), _text),
    "body_part_examined": (_tag("BodyPartExamined"), _text),
    "patient_position": (_tag("PatientPosition"), _text),
    "protocol_name": (_tag("ProtocolName"), _text),
    "manufacturer": (_tag("Manufacturer"), _text),
    "manufacturer_model_name": (_tag("ManufacturerModelName"), _text),
    "device_serial_number": (_tag("DeviceSerialNumber"), _text),
    "institution_name": (_tag("InstitutionName"), _text),
    "operators_name": (_tag("OperatorsName"), _joined),
    "magnetic_field_strength": (_tag("MagneticFieldStrength"), _number),
    "echo_time": (_tag("EchoTime"), _number),
    "echo_train_length": (_tag("EchoTrainLength"), _integer),
    "inversion_time": (_tag("InversionTime"), _number),
    "repetition_time": (_tag("RepetitionTime"), _number),
    "flip_angle": (_tag("FlipAngle"), _number),
    "slice_thickness": (_tag("SliceThickness"), _number),
    "pixel_spacing": (_tag("PixelSpacing"), _numbers),
    "scanning_sequence": (_tag("ScanningSequence"), _texts),
    "sequence_variant": (_tag("SequenceVariant"), _texts),
    "sequence_name": (_tag("SequenceName"), _text),
    "mr_acquisition_type": (_tag("MRAcquisitionType"), _text),
}
_IMAGE: dict[str, tuple[int, Read]] = {
    "uid": (_tag("SOPInstanceUID"), _joined),
    "number": (_tag("InstanceNumber"), _integer),
    "date": (_tag("InstanceCreationDate"), _date),
    "time": (_tag("InstanceCreationTime"), _time),
    "sop_class_uid": (_tag("SOPClassUID"), _text),
    "number_of_frames": (_tag("NumberOfFrames"), _integer),
    "rows": (_tag("Rows"), _integer),
    "columns": (_tag("Columns"), _integer),
}
_PATIENT_ID, _PATIENT_NAME = _tag("PatientID"), _tag("PatientName")
_PATIENT_SEX, _BIRTH_DATE = _tag("PatientSex"), _tag("PatientBirthDate")
_PATIENT_TAGS = (_PATIENT_ID, _PATIENT_NAME, _PATIENT_SEX, _BIRTH_DATE)
_PULSE_SEQUENCE_NAME = _tag("PulseSequenceName")
_GE_PULSE_SEQUENCE = 0x0019009C
_MODALITY, _IMAGE_TYPE = _tag("Modality"), _tag("ImageType")
_SCANNING_SEQUENCE, _SEQUENCE_VARIANT = _tag("ScanningSequence"), _tag("SequenceVariant")
_SCAN_OPTIONS = _tag("ScanOptions")
_IN_PLANE_PHASE_ENCODING = _tag("InPlanePhaseEncodingDirection")
_CSA_IMAGE_HEADER = CSA_GROUP << 16 | CSA_IMAGE_HEADER
_STUDY_TAGS = tuple(tag for tag, _ in _STUDY.values())
_SERIES_TAGS = (
    *(tag for tag, _ in _SERIES.values()), _PULSE_SEQUENCE_NAME, _IMAGE_TYPE, _SCAN_OPTIONS,
    _IN_PLANE_PHASE_ENCODING,
)  # fmt: skip
_OWNER_TAGS = frozenset((*_PATIENT_TAGS, *_STUDY_TAGS, *_SERIES_TAGS))
_IMAGE_PLACES = {tag: place for place, (tag, _) in enumerate(_IMAGE.values())}
_IMAGE_READERS = [read for _, read in _IMAGE.values()]
_image_values: Callable[[ImageFields], tuple[Any, ...]] = attrgetter(*_IMAGE)


class EntityReader:
    """Entities of headers; equal elements give the same object without reading them again."""

    def __init__(self) -> None:
        self._last: tuple[Item, Entities] | None = None
        self._patients: dict[tuple[Element | None, ...], PatientFields | None] = {}
        self._studies: dict[tuple[Element | None, ...], StudyFields | None] = {}
        self._series: dict[tuple[Element | None, ...], SeriesFields | None] = {}

    def read(self, elements: Item, changes: Changes | None = None) -> Entities:
        """The entities of a header. The image's uid must be there (`read_instance` checks).

        `changes`: what differs from another header. Of the one read last, the rest still holds.
        """
        entities = None
        if changes is not None and self._last is not None and changes.since is self._last[0]:
            entities = _changed(self._last[1], changes)
        if entities is None:
            entities = self._read(elements)
        self._last = elements, entities
        return entities

    def _read(self, elements: Item) -> Entities:
        by_tag = {element.tag: element for element in elements}
        return Entities(
            _remembered(self._patients, by_tag, _PATIENT_TAGS, _patient),
            _remembered(self._studies, by_tag, _STUDY_TAGS, _study),
            _remembered(self._series, by_tag, _SERIES_TAGS, _series),
            ImageFields(**_fields(by_tag, _IMAGE)),
        )


def _changed(entities: Entities, changes: Changes) -> Entities | None:
    """The entities after a change of the image's own elements; None where others changed."""
    image = list(_image_values(entities.image))
    for element in changes.went:
        if element.tag in _OWNER_TAGS:
            return None
        if element.tag in _IMAGE_PLACES:
            image[_IMAGE_PLACES[element.tag]] = None
    for element in changes.came:
        if element.tag in _OWNER_TAGS:
            return None
        if element.tag in _IMAGE_PLACES:
            place = _IMAGE_PLACES[element.tag]
            image[place] = _IMAGE_READERS[place](element)
    return Entities(entities.patient, entities.study, entities.series, ImageFields(*image))


def _remembered(
    known: dict[tuple[Element | None, ...], T],
    by_tag: Elements,
    tags: tuple[int, ...],
    make: Callable[[Elements], T],
) -> T:
    key = tuple(map(by_tag.get, tags))
    try:
        return known[key]
    except KeyError:
        if len(known) > 10_000:
            known.clear()
        fields = known[key] = make(by_tag)
        return fields


def _fields(by_tag: Elements, readers: dict[str, tuple[int, Read]]) -> dict[str, Any]:
    return {name: read(by_tag.get(tag)) for name, (tag, read) in readers.items()}


def _patient(by_tag: Elements) -> PatientFields | None:
    uid = _joined(by_tag.get(_PATIENT_ID))
    if uid is None:
        return None
    name = _text(by_tag.get(_PATIENT_NAME))
    parts = split_name(name or "")[0]
    return PatientFields(
        uid=uid,
        name=name,
        name_prefix=parts.prefix,
        given_name=parts.given,
        middle_name=parts.middle,
        family_name=parts.family,
        name_suffix=parts.suffix,
        sex=_sex(by_tag.get(_PATIENT_SEX)),
        date_of_birth=_date(by_tag.get(_BIRTH_DATE)),
    )


def _study(by_tag: Elements) -> StudyFields | None:
    fields = _fields(by_tag, _STUDY)
    return StudyFields(**fields) if fields["uid"] else None


def _series(by_tag: Elements) -> SeriesFields | None:
    fields = _fields(by_tag, _SERIES)
    if not fields["uid"]:
        return None
    kind = sequence_type(_sequence_type_inputs(by_tag))
    return SeriesFields(
        **fields,
        pulse_sequence_name=_pulse_sequence_name(by_tag),
        sequence_type=kind.value if kind else None,
    )


def _sequence_type_inputs(by_tag: Elements) -> SequenceTypeInputs:
    def codes(tag: int) -> tuple[str, ...]:
        element = by_tag.get(tag)
        return tuple(filter(None, element.texts)) if element is not None else ()

    return SequenceTypeInputs(
        modality=_text(by_tag.get(_MODALITY)),
        scanning_sequence=codes(_SCANNING_SEQUENCE),
        sequence_variant=codes(_SEQUENCE_VARIANT),
        image_type=codes(_IMAGE_TYPE),
        scan_options=codes(_SCAN_OPTIONS),
        phase_encoding_direction=_phase_encoding_direction(by_tag),
    )


def _phase_encoding_direction(by_tag: Elements) -> str | None:
    """From InPlanePhaseEncodingDirection and the sign in a Siemens CSA image header."""
    in_plane = _text(by_tag.get(_IN_PLANE_PHASE_ENCODING))
    if in_plane is None:
        return None
    csa = _private(by_tag, CSA_CREATOR, _CSA_IMAGE_HEADER)
    if csa is None or csa.packed is None:
        return None
    try:
        positive = csa_value(
            parse_csa(unpack(csa.packed, csa.length)), "PhaseEncodingDirectionPositive"
        )
    except (CsaError, CsaPathError):
        return None
    return phase_encoding_direction(in_plane, positive if isinstance(positive, int) else None)


def _pulse_sequence_name(by_tag: Elements) -> str | None:
    of_ge = _private(by_tag, "GEMS_ACQU_01", _GE_PULSE_SEQUENCE)
    return _text(of_ge if of_ge is not None else by_tag.get(_PULSE_SEQUENCE_NAME))


def _private(by_tag: Elements, creator: str, tag: int) -> Element | None:
    """The private element of a creator in whichever block; `tag` has 00 for it."""
    for element in by_tag.values():
        if element.definition.tag == tag and element.definition.private_creator == creator:
            return element
    return None
