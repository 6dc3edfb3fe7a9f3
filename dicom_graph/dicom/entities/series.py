"""The series that a header speaks of: the General Series (C.7.3.1), General Equipment (C.7.5.1) and
MR Image (C.8.3.1) modules of PS3.3.
"""

import datetime as dt
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any

from pydicom.datadict import tag_for_keyword

from dicom_graph.dicom.csa.header import (
    CSA_CREATOR,
    CSA_GROUP,
    CSA_IMAGE_HEADER,
    CsaError,
    parse_csa,
)
from dicom_graph.dicom.csa.paths import CsaPathError, csa_value
from dicom_graph.dicom.elements.contents import private_element
from dicom_graph.dicom.elements.packing import unpack
from dicom_graph.dicom.entities import checks, study_age, values
from dicom_graph.dicom.entities.attribute import UNITS, Attribute, describe
from dicom_graph.dicom.frame_elements import PER_FRAME, SHARED, Elements, Frames, has_frames
from dicom_graph.dicom.mr import (
    Confidence,
    Facts,
    acquisition_contrast,
    bids_label,
    complex_component,
)
from dicom_graph.dicom.sequence_type import (
    SequenceType,
    SequenceTypeInputs,
    phase_encoding_direction,
    sequence_type,
)


def _text(keyword: str, group: str = "", frames: tuple[str, ...] | None = None) -> Attribute:
    """A text that people write."""
    return Attribute(keyword, search=True, edit=checks.text(keyword), group=group, frames=frames)


def _code(keyword: str, about: str, *, search: bool = False) -> Attribute:
    """A code string (CS)."""
    return Attribute(keyword, about, search=search, edit=checks.code(keyword))


def _codes(keyword: str, group: str = "") -> Attribute:
    """Code strings, as many as there are."""
    return Attribute(keyword, "codes", edit=checks.codes(keyword), group=group, frames=())


def _quantity(keyword: str, unit: str, group: str = "", frames: tuple[str, ...] = ()) -> Attribute:
    """A measured number, 0 or greater."""
    return Attribute(keyword, unit=unit, edit=checks.not_negative, group=group, frames=frames)


def _of_frames(keyword: str, unit: str) -> Attribute:
    """All that the frames have of a number."""
    about = f"{keyword} of all frames, in {UNITS.get(unit, unit)}, each value once, the least first"
    return Attribute(about=about, unit=unit, derived=True, shown=True)


def _inferred(about: str, choices: type[Enum] | None = None) -> Attribute:
    """What a header says of a series in several elements together."""
    return Attribute(about=about, derived=True, shown=True, choices=choices, group="Purpose")


_TIMING = "MRTimingAndRelatedParametersSequence"


@dataclass(slots=True)
class SeriesFields:
    """SeriesInstanceUID (0020,000E) is the identity."""

    uid: Annotated[
        str, Attribute("SeriesInstanceUID", read=values.joined, search=True, group="General Series")
    ]
    number: Annotated[int | None, Attribute("SeriesNumber", edit=checks.anything)]
    description: Annotated[str | None, _text("SeriesDescription")]
    date: Annotated[dt.date | None, Attribute("SeriesDate", edit=checks.anything)]
    time: Annotated[dt.time | None, Attribute("SeriesTime", edit=checks.local_time)]
    modality: Annotated[str | None, _code("Modality", "a code", search=True)]
    body_part_examined: Annotated[str | None, _code("BodyPartExamined", "a code", search=True)]
    patient_position: Annotated[str | None, _code("PatientPosition", "a code")]
    protocol_name: Annotated[str | None, _text("ProtocolName")]
    manufacturer: Annotated[str | None, _text("Manufacturer", "General Equipment")]
    manufacturer_model_name: Annotated[str | None, _text("ManufacturerModelName")]
    device_serial_number: Annotated[str | None, _text("DeviceSerialNumber")]
    institution_name: Annotated[str | None, _text("InstitutionName")]
    operators_name: Annotated[
        str | None,
        Attribute(
            "OperatorsName", "several are separated by a backslash",
            read=values.joined, search=True, edit=checks.names, group="General Series",
        ),
    ]  # fmt: skip
    magnetic_field_strength: Annotated[
        float | None, _quantity("MagneticFieldStrength", "T", "MR Image")
    ]
    echo_time: Annotated[
        float | None, _quantity("EchoTime", "ms", frames=("MREchoSequence.EffectiveEchoTime",))
    ]
    echo_times: Annotated[list[float] | None, _of_frames("EchoTime", "ms")]
    echo_train_length: Annotated[
        int | None,
        Attribute(
            "EchoTrainLength", edit=checks.not_negative,
            frames=(f"{_TIMING}.EchoTrainLength", f"{_TIMING}.RFEchoTrainLength"),
        ),
    ]  # fmt: skip
    inversion_time: Annotated[
        float | None,
        _quantity("InversionTime", "ms", frames=("MRModifierSequence.InversionTimes",)),
    ]
    inversion_times: Annotated[list[float] | None, _of_frames("InversionTime", "ms")]
    repetition_time: Annotated[
        float | None, _quantity("RepetitionTime", "ms", frames=(f"{_TIMING}.RepetitionTime",))
    ]
    repetition_times: Annotated[list[float] | None, _of_frames("RepetitionTime", "ms")]
    flip_angle: Annotated[
        float | None,
        Attribute("FlipAngle", unit="deg", edit=checks.number, frames=(f"{_TIMING}.FlipAngle",)),
    ]
    flip_angles: Annotated[list[float] | None, _of_frames("FlipAngle", "deg")]
    slice_thickness: Annotated[
        float | None,
        _quantity(
            "SliceThickness", "mm", "Image Plane", frames=("PixelMeasuresSequence.SliceThickness",)
        ),
    ]
    pixel_spacing: Annotated[
        list[float] | None,
        Attribute(
            "PixelSpacing", "two numbers, between rows, then between columns",
            unit="mm", edit=checks.spacing, frames=("PixelMeasuresSequence.PixelSpacing",),
        ),
    ]  # fmt: skip
    scanning_sequence: Annotated[list[str] | None, _codes("ScanningSequence", "MR Image")]
    sequence_variant: Annotated[list[str] | None, _codes("SequenceVariant")]
    sequence_name: Annotated[str | None, _text("SequenceName", frames=())]
    pulse_sequence_name: Annotated[
        str | None,
        Attribute(
            "PulseSequenceName", "or GE's (0019,xx9C) of GEMS_ACQU_01, where that is there",
            derived=True, search=True, edit=checks.text("PulseSequenceName"),
        ),
    ]  # fmt: skip
    mr_acquisition_type: Annotated[str | None, _code("MRAcquisitionType", "2D or 3D")]
    sequence_type: Annotated[
        str | None,
        Attribute(
            about="what the MR sequence is for, told from its codes; null where no rule matches",
            search=True, edit=checks.anything, shown=True, choices=SequenceType,
        ),
    ]  # fmt: skip
    acquisition_contrast: Annotated[
        str | None,
        _inferred("what the signal mostly depends on, a code of AcquisitionContrast (0008,9209), "
                  "read or inferred"),
    ]  # fmt: skip
    acquisition_contrast_confidence: Annotated[
        str | None, _inferred("how surely `acquisitionContrast` is so", choices=Confidence)
    ]
    acquisition_contrast_evidence: Annotated[
        list[str] | None, _inferred("the elements that say what `acquisitionContrast` is")
    ]
    complex_component: Annotated[
        str | None,
        _inferred("the part of complex images, a code of ComplexImageComponent (0008,9208), "
                  "read or inferred"),
    ]  # fmt: skip
    complex_component_confidence: Annotated[
        str | None, _inferred("how surely `complexComponent` is so", choices=Confidence)
    ]
    complex_component_evidence: Annotated[
        list[str] | None, _inferred("the elements that say what `complexComponent` is")
    ]
    bids_datatype: Annotated[
        str | None,
        _inferred("what the series is in BIDS: anat, func, dwi, fmap, perf, mrs, pet; or derived, "
                  "discard, which are dcm2niix's words; null where nothing says so"),
    ]  # fmt: skip
    bids_suffix: Annotated[str | None, _inferred("its suffix in BIDS, such as T1w, bold, dwi, epi")]
    bids_confidence: Annotated[
        str | None, _inferred("how surely its BIDS datatype and suffix are so", choices=Confidence)
    ]
    bids_evidence: Annotated[
        list[str] | None,
        _inferred("the elements that say what it is in BIDS; without a datatype, those that it "
                  "lacks and that would have helped"),
    ]  # fmt: skip
    age_at_study: Annotated[
        float | None,
        Attribute(
            about="the patient's age in years: PatientAge (0010,1010), else from PatientBirthDate "
            "and StudyDate; in the de-identified view null over 89, which filters, orders and "
            "groups take for 90",
            unit="a", derived=True, shown=True, shown_up_to=89.0, group="Patient Study",
        ),
    ]  # fmt: skip
    images_expected: Annotated[
        int | None,
        Attribute(
            about="how many images the header says that there are: NumberOfSeriesRelatedInstances, "
            "else ImagesInAcquisition at each of NumberOfTemporalPositions",
            derived=True, shown=True, group="General Series",
        ),
    ]  # fmt: skip


SERIES = describe("series", SeriesFields)


def _tag(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None
    return tag


_PULSE_SEQUENCE_NAME = _tag("PulseSequenceName")
_GE_PULSE_SEQUENCE = 0x0019009C
_MODALITY, _IMAGE_TYPE = _tag("Modality"), _tag("ImageType")
_SCANNING_SEQUENCE, _SEQUENCE_VARIANT = _tag("ScanningSequence"), _tag("SequenceVariant")
_SCAN_OPTIONS = _tag("ScanOptions")
_IN_PLANE_PHASE_ENCODING = _tag("InPlanePhaseEncodingDirection")
_OTHER_FACTS = ("EchoNumbers", "DiffusionBValue")
_CSA_IMAGE_HEADER = CSA_GROUP << 16 | CSA_IMAGE_HEADER
TAGS = (
    *(tag for _, tag, _ in SERIES.elements), _PULSE_SEQUENCE_NAME, _IMAGE_TYPE, _SCAN_OPTIONS,
    _IN_PLANE_PHASE_ENCODING, SHARED, PER_FRAME, *study_age.TAGS,
)  # fmt: skip
"""What a series is made of."""


def read_series(by_tag: Elements) -> SeriesFields | None:
    """The series of a header; None where it has no SeriesInstanceUID."""
    fields = SERIES.read(by_tag)
    if not fields["uid"]:
        return None
    kind = sequence_type(_sequence_type_inputs(by_tag))
    return SeriesFields(
        **fields,
        **_of_all_frames(by_tag),
        pulse_sequence_name=_pulse_sequence_name(by_tag),
        sequence_type=kind.value if kind else None,
        **_purpose(by_tag, fields),
        age_at_study=study_age.age_at_study(by_tag),
        images_expected=study_age.images_expected(by_tag),
    )


_NUMBERS_OF_FRAMES = {
    f"{name}s": (_tag(attribute.keyword), SERIES.places[_tag(attribute.keyword)])
    for name, attribute in SERIES.by_name.items()
    if f"{name}s" in SERIES.by_name and attribute.keyword
}


def _of_all_frames(by_tag: Elements) -> dict[str, Any]:
    """The numbers of all frames, by the names of their fields."""
    frames = Frames(by_tag) if has_frames(by_tag) else None
    found: dict[str, list[float] | None] = {}
    for name, (tag, places) in _NUMBERS_OF_FRAMES.items():
        own = values.numbers(by_tag.get(tag))
        of_frames = frames.elements(tag, places) if own is None and frames is not None else ()
        numbers = own or [n for element in of_frames for n in values.numbers(element) or ()]
        found[name] = sorted(set(numbers)) or None
    return found


_FACTS = {
    attribute.keyword: name
    for name, attribute in SERIES.by_name.items()
    if attribute.keyword and attribute.type is float
}


def _purpose(by_tag: Elements, fields: dict[str, Any]) -> dict[str, Any]:
    """What the series is for, and what says so."""
    numbers = {keyword: fields[name] for keyword, name in _FACTS.items()}
    numbers |= {key: values.number(by_tag.get(_tag(key))) for key in _OTHER_FACTS}
    facts = Facts(by_tag, numbers)
    label = bids_label(facts)
    contrast, component = acquisition_contrast(facts, label), complex_component(facts)
    return {
        "acquisition_contrast": contrast.code,
        "acquisition_contrast_confidence": contrast.confidence,
        "acquisition_contrast_evidence": list(contrast.evidence) or None,
        "complex_component": component.code,
        "complex_component_confidence": component.confidence,
        "complex_component_evidence": list(component.evidence) or None,
        "bids_datatype": label.datatype,
        "bids_suffix": label.suffix,
        "bids_confidence": label.confidence,
        "bids_evidence": list(label.evidence) or None,
    }


def _sequence_type_inputs(by_tag: Elements) -> SequenceTypeInputs:
    def codes(tag: int) -> tuple[str, ...] | None:
        element = by_tag.get(tag)
        return tuple(filter(None, element.texts)) if element is not None else None

    return SequenceTypeInputs(
        modality=values.text(by_tag.get(_MODALITY)),
        scanning_sequence=codes(_SCANNING_SEQUENCE),
        sequence_variant=codes(_SEQUENCE_VARIANT),
        image_type=codes(_IMAGE_TYPE),
        scan_options=codes(_SCAN_OPTIONS),
        phase_encoding_direction=_phase_encoding_direction(by_tag),
    )


def _phase_encoding_direction(by_tag: Elements) -> str | None:
    """From InPlanePhaseEncodingDirection and the sign in a Siemens CSA image header."""
    in_plane = values.text(by_tag.get(_IN_PLANE_PHASE_ENCODING))
    if in_plane is None:
        return None
    csa = private_element(by_tag.values(), CSA_CREATOR, _CSA_IMAGE_HEADER)
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
    of_ge = private_element(by_tag.values(), "GEMS_ACQU_01", _GE_PULSE_SEQUENCE)
    return values.text(of_ge if of_ge is not None else by_tag.get(_PULSE_SEQUENCE_NAME))
