"""Editing the fields that describe an entity; those that identify it cannot be edited."""

import asyncio
import datetime as dt
from dataclasses import fields
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.mutations.checks import check_fields
from dicom_graph.graph.mutations.payload import (
    Refused,
    UserError,
    entity_and_key,
    gone,
)
from dicom_graph.graph.types.image import Image
from dicom_graph.graph.types.patient import Patient
from dicom_graph.graph.types.sequence_type import SequenceType
from dicom_graph.graph.types.series import Series
from dicom_graph.graph.types.study import Study
from dicom_graph.store.edit.update import update_entity

_field = strawberry.field
_ERRORS = "Empty where all is well; where one is there, nothing was changed."
_KEPT = "An import keeps what was set here; null removes a value, and a field not given stays."


def _set(description: str) -> Any:
    return strawberry.field(default=UNSET, description=description)


@strawberry.input(description=f"What is to be changed of a patient. {_KEPT}")
class UpdatePatientInput:
    id: strawberry.ID = _field(description="The patient's global id.")
    name_prefix: str | None = _set("Name prefix; `name` follows the five parts of the name.")
    given_name: str | None = _set("Given name.")
    middle_name: str | None = _set("Middle name.")
    family_name: str | None = _set("Family name.")
    name_suffix: str | None = _set("Name suffix.")
    sex: str | None = _set("PatientSex (0010,0040): M, F or O.")
    date_of_birth: dt.date | None = _set("PatientBirthDate (0010,0030).")


@strawberry.input(description=f"What is to be changed of a study. {_KEPT}")
class UpdateStudyInput:
    id: strawberry.ID = _field(description="The study's global id.")
    description: str | None = _set("StudyDescription (0008,1030).")
    date: dt.date | None = _set("StudyDate (0008,0020).")
    time: dt.time | None = _set("StudyTime (0008,0030).")


@strawberry.input(description=f"What is to be changed of a series. {_KEPT}")
class UpdateSeriesInput:
    id: strawberry.ID = _field(description="The series' global id.")
    number: int | None = _set("SeriesNumber (0020,0011).")
    description: str | None = _set("SeriesDescription (0008,103E).")
    date: dt.date | None = _set("SeriesDate (0008,0021).")
    time: dt.time | None = _set("SeriesTime (0008,0031).")
    modality: str | None = _set("Modality (0008,0060), a code.")
    body_part_examined: str | None = _set("BodyPartExamined (0018,0015), a code.")
    patient_position: str | None = _set("PatientPosition (0018,5100), a code.")
    protocol_name: str | None = _set("ProtocolName (0018,1030).")
    manufacturer: str | None = _set("Manufacturer (0008,0070).")
    manufacturer_model_name: str | None = _set("ManufacturerModelName (0008,1090).")
    device_serial_number: str | None = _set("DeviceSerialNumber (0018,1000).")
    institution_name: str | None = _set("InstitutionName (0008,0080).")
    operators_name: str | None = _set(
        "OperatorsName (0008,1070); several are separated by a backslash."
    )
    magnetic_field_strength: float | None = _set("MagneticFieldStrength (0018,0087) in tesla.")
    echo_time: float | None = _set("EchoTime (0018,0081) in ms.")
    echo_train_length: int | None = _set("EchoTrainLength (0018,0091).")
    inversion_time: float | None = _set("InversionTime (0018,0082) in ms.")
    repetition_time: float | None = _set("RepetitionTime (0018,0080) in ms.")
    flip_angle: float | None = _set("FlipAngle (0018,1314) in degrees.")
    slice_thickness: float | None = _set("SliceThickness (0018,0050) in mm.")
    pixel_spacing: list[float] | None = _set(
        "PixelSpacing (0028,0030) in mm, two numbers: between rows, then between columns."
    )
    scanning_sequence: list[str] | None = _set("ScanningSequence (0018,0020), codes.")
    sequence_variant: list[str] | None = _set("SequenceVariant (0018,0021), codes.")
    sequence_name: str | None = _set("SequenceName (0018,0024).")
    pulse_sequence_name: str | None = _set("The pulse sequence's name.")
    mr_acquisition_type: str | None = _set("MRAcquisitionType (0018,0023), a code: 2D or 3D.")
    sequence_type: SequenceType | None = _set("What the MR sequence is for.")


@strawberry.input(description=f"What is to be changed of an image. {_KEPT}")
class UpdateImageInput:
    id: strawberry.ID = _field(description="The image's global id.")
    number: int | None = _set("InstanceNumber (0020,0013).")
    date: dt.date | None = _set("InstanceCreationDate (0008,0012).")
    time: dt.time | None = _set("InstanceCreationTime (0008,0013).")


@strawberry.type(description="What became of `updatePatient`.")
class UpdatePatientPayload:
    patient: Patient | None = _field(description="As it is now; null where there is none.")
    errors: list[UserError] = _field(description=_ERRORS)


@strawberry.type(description="What became of `updateStudy`.")
class UpdateStudyPayload:
    study: Study | None = _field(description="As it is now; null where there is none.")
    errors: list[UserError] = _field(description=_ERRORS)


@strawberry.type(description="What became of `updateSeries`.")
class UpdateSeriesPayload:
    series: Series | None = _field(description="As it is now; null where there is none.")
    errors: list[UserError] = _field(description=_ERRORS)


@strawberry.type(description="What became of `updateImage`.")
class UpdateImagePayload:
    image: Image | None = _field(description="As it is now; null where there is none.")
    errors: list[UserError] = _field(description=_ERRORS)


_Patient = Annotated[
    UpdatePatientInput, strawberry.argument(description="The patient and its fields.")
]
_Study = Annotated[UpdateStudyInput, strawberry.argument(description="The study and its fields.")]
_Series = Annotated[
    UpdateSeriesInput, strawberry.argument(description="The series and its fields.")
]
_Image = Annotated[UpdateImageInput, strawberry.argument(description="The image and its fields.")]


@strawberry.type
class UpdateMutations:
    @computed("Change fields of a patient; the files stay as they are.")
    async def update_patient(self, info: Info, input: _Patient) -> UpdatePatientPayload:
        row, errors = await _update(info, "patient", input)
        return UpdatePatientPayload(patient=row and Patient.from_row(row), errors=errors)

    @computed("Change fields of a study; the files stay as they are.")
    async def update_study(self, info: Info, input: _Study) -> UpdateStudyPayload:
        row, errors = await _update(info, "study", input)
        return UpdateStudyPayload(study=row and Study.from_row(row), errors=errors)

    @computed("Change fields of a series; the files stay as they are.")
    async def update_series(self, info: Info, input: _Series) -> UpdateSeriesPayload:
        row, errors = await _update(info, "series", input)
        return UpdateSeriesPayload(series=row and Series.from_row(row), errors=errors)

    @computed("Change fields of an image; the files stay as they are.")
    async def update_image(self, info: Info, input: _Image) -> UpdateImagePayload:
        row, errors = await _update(info, "image", input)
        return UpdateImagePayload(image=row and Image.from_row(row), errors=errors)


async def _update(info: Info, entity: str, input: Any) -> tuple[Any, list[UserError]]:
    """The entity's row as it is in the end, and why it was not changed."""
    try:
        _, key = entity_and_key(input.id, entity)
    except Refused as refused:
        return None, [refused.error]
    given = {
        field.name: value
        for field in fields(input)
        if field.name != "id" and (value := getattr(input, field.name)) is not UNSET
    }
    values, errors = check_fields(DESCRIBED[entity], given)
    if not errors:
        await asyncio.to_thread(_write, info, entity, key, values)
    info.context.loaders.forget()
    row = await info.context.loaders.entity(entity).load(key)
    if row is None and not errors:
        errors = [gone(entity).error]
    return row, errors


def _write(info: Info, entity: str, key: int, values: dict[str, Any]) -> None:
    with info.context.store.database.writer.begin() as connection:
        update_entity(connection, entity, key, values)
