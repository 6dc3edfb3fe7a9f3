"""Filters of the four entities."""

from dataclasses import fields
from typing import Annotated, Any

import strawberry

from dicom_graph.graph.errors import BadInput
from dicom_graph.graph.inputs.audit import AuditEntryFilter
from dicom_graph.graph.inputs.elements import (
    DataElementDefinitionFilter,
    ElementFilter,
    HeaderFilter,
    definition_condition,
    element_condition,
    header_condition,
)
from dicom_graph.graph.inputs.operators import (
    DateFilter,
    DateTimeFilter,
    FloatFilter,
    FloatListFilter,
    ImportOriginFilter,
    ImportStatusFilter,
    IntFilter,
    SequenceTypeFilter,
    StringFilter,
    StringListFilter,
    TimeFilter,
    tests_of,
)
from dicom_graph.graph.node import split_global_id
from dicom_graph.store.read.conditions import (
    And,
    Condition,
    Count,
    Field,
    Not,
    Or,
    Related,
    Some,
    Test,
    every,
)

_HERE = "dicom_graph.graph.inputs.entities"
_Patient = Annotated["PatientFilter", strawberry.lazy(_HERE)]
_Study = Annotated["StudyFilter", strawberry.lazy(_HERE)]
_Series = Annotated["SeriesFilter", strawberry.lazy(_HERE)]
_Image = Annotated["ImageFilter", strawberry.lazy(_HERE)]
_ImportJob = Annotated["ImportJobFilter", strawberry.lazy(_HERE)]


def _by(description: str, name: str | None = None) -> Any:
    return strawberry.field(default=None, description=description, name=name)


@strawberry.input(description="Conditions on a global id.")
class IdFilter:
    eq: strawberry.ID | None = _by("Is this id.")
    in_: list[strawberry.ID] | None = _by("Is one of these.", "in")


@strawberry.input(description="Conditions on a list of patients.")
class PatientListFilter:
    some: _Patient | None = _by("At least one fulfils this.")
    none: _Patient | None = _by("None fulfils this.")
    every: _Patient | None = _by("All fulfil this.")


@strawberry.input(description="Conditions on a list of studies.")
class StudyListFilter:
    some: _Study | None = _by("At least one fulfils this.")
    none: _Study | None = _by("None fulfils this.")
    every: _Study | None = _by("All fulfil this.")


@strawberry.input(description="Conditions on a list of series.")
class SeriesListFilter:
    some: _Series | None = _by("At least one fulfils this.")
    none: _Series | None = _by("None fulfils this.")
    every: _Series | None = _by("All fulfil this.")


@strawberry.input(description="Conditions on a list of images.")
class ImageListFilter:
    some: _Image | None = _by("At least one fulfils this.")
    none: _Image | None = _by("None fulfils this.")
    every: _Image | None = _by("All fulfil this.")


@strawberry.input(description="Which patients; all conditions must hold.")
class PatientFilter:
    and_: list[_Patient] | None = _by("All of these hold.", "and")
    or_: list[_Patient] | None = _by("At least one of these holds.", "or")
    not_: _Patient | None = _by("This does not hold.", "not")
    id: IdFilter | None = _by("By global id.")
    uid: StringFilter | None = _by("By PatientID (0010,0020).")
    name: StringFilter | None = _by("By PatientName (0010,0010) as in the file.")
    name_prefix: StringFilter | None = _by("By name prefix.")
    given_name: StringFilter | None = _by("By given name.")
    middle_name: StringFilter | None = _by("By middle name.")
    family_name: StringFilter | None = _by("By family name.")
    name_suffix: StringFilter | None = _by("By name suffix.")
    sex: StringFilter | None = _by("By PatientSex (0010,0040): M, F or O.")
    date_of_birth: DateFilter | None = _by("By PatientBirthDate (0010,0030).")
    created: DateTimeFilter | None = _by("By when it came into the database.")
    modified: DateTimeFilter | None = _by("By when its row last changed.")
    edited: bool | None = _by("Whether a person has set one of its fields.")
    n_studies: IntFilter | None = _by("By the number of studies.")
    n_series: IntFilter | None = _by("By the number of series.")
    n_images: IntFilter | None = _by("By the number of images.")
    studies: StudyListFilter | None = _by("By the patient's studies.")
    series: SeriesListFilter | None = _by("By the patient's series.")
    images: ImageListFilter | None = _by("By the patient's images.")
    any_image: _Image | None = _by("At least one image fulfils this: `images.some`.")
    every_image: _Image | None = _by("All images fulfil this: `images.every`.")
    has_warnings: bool | None = _by("Whether an image of the patient has warnings.")


@strawberry.input(description="Which studies; all conditions must hold.")
class StudyFilter:
    and_: list[_Study] | None = _by("All of these hold.", "and")
    or_: list[_Study] | None = _by("At least one of these holds.", "or")
    not_: _Study | None = _by("This does not hold.", "not")
    id: IdFilter | None = _by("By global id.")
    uid: StringFilter | None = _by("By StudyInstanceUID (0020,000D).")
    description: StringFilter | None = _by("By StudyDescription (0008,1030).")
    date: DateFilter | None = _by("By StudyDate (0008,0020).")
    time: TimeFilter | None = _by("By StudyTime (0008,0030).")
    created: DateTimeFilter | None = _by("By when it came into the database.")
    modified: DateTimeFilter | None = _by("By when its row last changed.")
    edited: bool | None = _by("Whether a person has set one of its fields.")
    n_patients: IntFilter | None = _by("By the number of patients.")
    n_series: IntFilter | None = _by("By the number of series.")
    n_images: IntFilter | None = _by("By the number of images.")
    patients: PatientListFilter | None = _by("By the patients of the study's series.")
    series: SeriesListFilter | None = _by("By the study's series.")
    images: ImageListFilter | None = _by("By the study's images.")
    any_image: _Image | None = _by("At least one image fulfils this: `images.some`.")
    every_image: _Image | None = _by("All images fulfil this: `images.every`.")
    has_warnings: bool | None = _by("Whether an image of the study has warnings.")


@strawberry.input(description="Which series; all conditions must hold.")
class SeriesFilter:
    and_: list[_Series] | None = _by("All of these hold.", "and")
    or_: list[_Series] | None = _by("At least one of these holds.", "or")
    not_: _Series | None = _by("This does not hold.", "not")
    id: IdFilter | None = _by("By global id.")
    uid: StringFilter | None = _by("By SeriesInstanceUID (0020,000E).")
    number: IntFilter | None = _by("By SeriesNumber (0020,0011).")
    description: StringFilter | None = _by("By SeriesDescription (0008,103E).")
    date: DateFilter | None = _by("By SeriesDate (0008,0021).")
    time: TimeFilter | None = _by("By SeriesTime (0008,0031).")
    modality: StringFilter | None = _by("By Modality (0008,0060), the code.")
    body_part_examined: StringFilter | None = _by("By BodyPartExamined (0018,0015).")
    patient_position: StringFilter | None = _by("By PatientPosition (0018,5100), the code.")
    protocol_name: StringFilter | None = _by("By ProtocolName (0018,1030).")
    manufacturer: StringFilter | None = _by("By Manufacturer (0008,0070).")
    manufacturer_model_name: StringFilter | None = _by("By ManufacturerModelName (0008,1090).")
    device_serial_number: StringFilter | None = _by("By DeviceSerialNumber (0018,1000).")
    institution_name: StringFilter | None = _by("By InstitutionName (0008,0080).")
    operators_name: StringFilter | None = _by("By OperatorsName (0008,1070).")
    magnetic_field_strength: FloatFilter | None = _by("By MagneticFieldStrength in tesla.")
    echo_time: FloatFilter | None = _by("By EchoTime (0018,0081) in ms.")
    echo_train_length: IntFilter | None = _by("By EchoTrainLength (0018,0091).")
    inversion_time: FloatFilter | None = _by("By InversionTime (0018,0082) in ms.")
    repetition_time: FloatFilter | None = _by("By RepetitionTime (0018,0080) in ms.")
    flip_angle: FloatFilter | None = _by("By FlipAngle (0018,1314) in degrees.")
    slice_thickness: FloatFilter | None = _by("By SliceThickness (0018,0050) in mm.")
    pixel_spacing: FloatListFilter | None = _by("By PixelSpacing (0028,0030) in mm.")
    scanning_sequence: StringListFilter | None = _by("By ScanningSequence (0018,0020), codes.")
    sequence_variant: StringListFilter | None = _by("By SequenceVariant (0018,0021), codes.")
    sequence_name: StringFilter | None = _by("By SequenceName (0018,0024).")
    pulse_sequence_name: StringFilter | None = _by("By the pulse sequence's name.")
    mr_acquisition_type: StringFilter | None = _by("By MRAcquisitionType (0018,0023): 2D or 3D.")
    sequence_type: SequenceTypeFilter | None = _by("By what the MR sequence is for.")
    created: DateTimeFilter | None = _by("By when it came into the database.")
    modified: DateTimeFilter | None = _by("By when its row last changed.")
    edited: bool | None = _by("Whether a person has set one of its fields.")
    n_images: IntFilter | None = _by("By the number of images.")
    images: ImageListFilter | None = _by("By the series' images.")
    any_image: _Image | None = _by("At least one image fulfils this: `images.some`.")
    every_image: _Image | None = _by("All images fulfil this: `images.every`.")
    study: _Study | None = _by("By its study.")
    patient: _Patient | None = _by("By its patient.")
    missing_relation: bool | None = _by("Whether its study or its patient is missing.")
    has_warnings: bool | None = _by("Whether an image of the series has warnings.")


@strawberry.input(description="Which images; all conditions must hold.")
class ImageFilter:
    and_: list[_Image] | None = _by("All of these hold.", "and")
    or_: list[_Image] | None = _by("At least one of these holds.", "or")
    not_: _Image | None = _by("This does not hold.", "not")
    id: IdFilter | None = _by("By global id.")
    uid: StringFilter | None = _by("By SOPInstanceUID (0008,0018).")
    number: IntFilter | None = _by("By InstanceNumber (0020,0013).")
    date: DateFilter | None = _by("By InstanceCreationDate (0008,0012).")
    time: TimeFilter | None = _by("By InstanceCreationTime (0008,0013).")
    sop_class_uid: StringFilter | None = _by("By SOPClassUID (0008,0016).")
    transfer_syntax_uid: StringFilter | None = _by("By TransferSyntaxUID (0002,0010).")
    number_of_frames: IntFilter | None = _by("By NumberOfFrames (0028,0008).")
    rows: IntFilter | None = _by("By Rows (0028,0010).")
    columns: IntFilter | None = _by("By Columns (0028,0011).")
    created: DateTimeFilter | None = _by("By when it came into the database.")
    modified: DateTimeFilter | None = _by("By when its row last changed.")
    edited: bool | None = _by("Whether a person has set one of its fields.")
    series: _Series | None = _by("By its series.")
    header: HeaderFilter | None = _by("By the elements of its header.")
    has_warnings: bool | None = _by("Whether it has warnings.")
    missing: bool | None = _by("Whether all its files were found gone.")


@strawberry.input(description="Which imports; all conditions must hold.")
class ImportJobFilter:
    and_: list[_ImportJob] | None = _by("All of these hold.", "and")
    or_: list[_ImportJob] | None = _by("At least one of these holds.", "or")
    not_: _ImportJob | None = _by("This does not hold.", "not")
    id: IdFilter | None = _by("By global id.")
    status: ImportStatusFilter | None = _by("By where it is in its life.")
    origin: ImportOriginFilter | None = _by("By who asked for it.")
    created_at: DateTimeFilter | None = _by("By when it was asked for.")
    started_at: DateTimeFilter | None = _by("By when it first began.")
    finished_at: DateTimeFilter | None = _by("By when it ended.")
    sync: bool | None = _by("Whether it marks the images whose files are gone.")
    failed: IntFilter | None = _by("By the number of files that it could not take.")
    created: IntFilter | None = _by("By the number of images that were new.")
    missing: IntFilter | None = _by("By the number of images found missing.")
    error: StringFilter | None = _by("By why it failed as a whole.")


FILTERS: dict[str, Any] = {
    "patient": PatientFilter, "study": StudyFilter, "series": SeriesFilter, "image": ImageFilter,
    "data_element": ElementFilter, "data_element_definition": DataElementDefinitionFilter,
    "import_job": ImportJobFilter, "audit_entry": AuditEntryFilter,
}  # fmt: skip
"""The filter input of each entity."""

_LISTS = {"patients": "patient", "studies": "study", "series": "series", "images": "image"}
_WARNED = Field("warnings", Test("is_null", False))
_MISSING = Field("missing_since", Test("is_null", False))
_TYPE_NAMES = {
    "patient": "Patient", "study": "Study", "series": "Series", "image": "Image",
    "import_job": "ImportJob",
}  # fmt: skip
_JOB_COLUMNS = {"created_at": "created", "created": "images_created"}
_AUDIT_COLUMNS = {"created_at": "created"}


def condition_of(entity: str, given: Any) -> Condition | None:
    """The condition of an entity's filter; None where nothing is asked. Raises BadInput."""
    if given is None:
        return None
    if isinstance(given, ElementFilter):
        return element_condition(given)
    if isinstance(given, DataElementDefinitionFilter):
        return definition_condition(given)
    parts = [part for field in fields(given) for part in _parts(entity, field.name, given)]
    return And(tuple(parts)) if parts else None


def _required(entity: str, given: Any) -> Condition:
    return condition_of(entity, given) or And(())


def _parts(entity: str, name: str, given: Any) -> list[Condition]:
    value = getattr(given, name)
    if value is None:
        return []
    if name == "and_":
        return [_required(entity, part) for part in value]
    if name == "or_":
        return [Or(tuple(_required(entity, part) for part in value))]
    if name == "not_":
        return [Not(_required(entity, value))]
    if name == "id":
        return _id_parts(entity, value)
    if entity == "audit_entry":
        return [Field(_AUDIT_COLUMNS.get(name, name), test) for test in tests_of(value)]
    if name in _SPECIAL:
        return [_SPECIAL[name](entity, value)]
    if name.startswith("n_"):
        return [Count(f"{entity}.{name[2:]}", test) for test in tests_of(value)]
    if isinstance(value, PatientListFilter | StudyListFilter | SeriesListFilter | ImageListFilter):
        return _list_parts(f"{entity}.{name}", _LISTS[name], value)
    if name in ("study", "patient", "series"):
        return [Related(f"{name}_id", name, _required(name, value))]
    if entity == "import_job":
        return _job_parts(_JOB_COLUMNS.get(name, name), value)
    return [Field(name, test) for test in tests_of(value)]


def _job_parts(column: str, value: Any) -> list[Condition]:
    if isinstance(value, bool):
        return [Field(column, Test("eq", value))]
    return [Field(column, test) for test in tests_of(value)]


def _missing(entity: str, value: Any) -> Condition:
    if entity == "import_job":
        return And(tuple(_job_parts("missing", value)))
    return _MISSING if value else Not(_MISSING)


def _id_parts(entity: str, given: IdFilter) -> list[Condition]:
    parts: list[Condition] = []
    if given.eq is not None:
        parts.append(Field("id", Test("eq", _key(entity, given.eq))))
    if given.in_ is not None:
        keys = tuple(_key(entity, id) for id in given.in_)
        parts.append(Field("id", Test("in", keys)))
    return parts


def _key(entity: str, id: str) -> int:
    type_name, key = split_global_id(id)
    if type_name != _TYPE_NAMES[entity]:
        raise BadInput(f"{id!r} is the id of a {type_name}, not of a {_TYPE_NAMES[entity]}")
    return key


def _list_parts(relation: str, child: str, given: Any) -> list[Condition]:
    parts: list[Condition] = []
    if given.some is not None:
        parts.append(Some(relation, _required(child, given.some)))
    if given.none is not None:
        parts.append(Not(Some(relation, _required(child, given.none))))
    if given.every is not None:
        parts.append(every(relation, _required(child, given.every)))
    return parts


def _has_warnings(entity: str, value: bool) -> Condition:
    warned = _WARNED if entity == "image" else Some(f"{entity}.images", _WARNED)
    return warned if value else Not(warned)


def _edited(_entity: str, value: bool) -> Condition:
    return Field("edited", Test("is_null", not value))


def _missing_relation(_entity: str, value: bool) -> Condition:
    missing = Or(
        (Field("study_id", Test("is_null", True)), Field("patient_id", Test("is_null", True)))
    )
    return missing if value else Not(missing)


_SPECIAL: dict[str, Any] = {
    "any_image": lambda entity, value: Some(f"{entity}.images", _required("image", value)),
    "every_image": lambda entity, value: every(f"{entity}.images", _required("image", value)),
    "has_warnings": _has_warnings,
    "edited": _edited,
    "missing_relation": _missing_relation,
    "missing": _missing,
    "header": lambda _entity, value: header_condition(value),
}
