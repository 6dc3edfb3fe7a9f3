"""Editing the fields that describe an entity; those that identify it cannot be edited."""

import asyncio
from typing import Annotated, Any

import strawberry

from dicom_graph.dicom.entities import DESCRIBED, IMAGE, PATIENT, SERIES, STUDY
from dicom_graph.dicom.entities.checks import BadValue
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.described import update_input
from dicom_graph.graph.mutations.checks import bad_name, check_fields, given_fields
from dicom_graph.graph.mutations.payload import (
    Refused,
    UserError,
    entity_and_key,
    gone,
)
from dicom_graph.graph.types.image import Image
from dicom_graph.graph.types.patient import Patient
from dicom_graph.graph.types.series import Series
from dicom_graph.graph.types.study import Study
from dicom_graph.store.edit.update import update_entity

_field = strawberry.field
_ERRORS = "Empty where all is well; where one is there, nothing was changed."
_KEPT = "An import keeps what was set here; null removes a value, and a field not given stays."


@update_input(
    PATIENT,
    f"What is to be changed of a patient. `name` follows the five parts of the name. {_KEPT}",
)
class UpdatePatientInput:
    id: strawberry.ID = _field(description="The patient's global id.")


@update_input(STUDY, f"What is to be changed of a study. {_KEPT}")
class UpdateStudyInput:
    id: strawberry.ID = _field(description="The study's global id.")


@update_input(SERIES, f"What is to be changed of a series. {_KEPT}")
class UpdateSeriesInput:
    id: strawberry.ID = _field(description="The series' global id.")


@update_input(IMAGE, f"What is to be changed of an image. {_KEPT}")
class UpdateImageInput:
    id: strawberry.ID = _field(description="The image's global id.")


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
        row, errors = await update_fields(info, "patient", input)
        return UpdatePatientPayload(patient=row and Patient.from_row(row), errors=errors)

    @computed("Change fields of a study; the files stay as they are.")
    async def update_study(self, info: Info, input: _Study) -> UpdateStudyPayload:
        row, errors = await update_fields(info, "study", input)
        return UpdateStudyPayload(study=row and Study.from_row(row), errors=errors)

    @computed("Change fields of a series; the files stay as they are.")
    async def update_series(self, info: Info, input: _Series) -> UpdateSeriesPayload:
        row, errors = await update_fields(info, "series", input)
        return UpdateSeriesPayload(series=row and Series.from_row(row), errors=errors)

    @computed("Change fields of an image; the files stay as they are.")
    async def update_image(self, info: Info, input: _Image) -> UpdateImagePayload:
        row, errors = await update_fields(info, "image", input)
        return UpdateImagePayload(image=row and Image.from_row(row), errors=errors)


async def update_fields(info: Info, entity: str, input: Any) -> tuple[Any, list[UserError]]:
    """Change an entity; returns its row as it is in the end, and why it was not changed."""
    try:
        _, key = entity_and_key(input.id, entity)
    except Refused as refused:
        return None, [refused.error]
    given = given_fields(input, but=("id",))
    values, errors = check_fields(DESCRIBED[entity], given)
    if not errors:
        try:
            await asyncio.to_thread(_write, info, entity, key, values)
        except BadValue as error:
            errors = [bad_name(given, error)]
    info.context.loaders.forget()
    row = await info.context.loaders.entity(entity).load(key)
    if row is None and not errors:
        errors = [gone(entity).error]
    return row, errors


def _write(info: Info, entity: str, key: int, values: dict[str, Any]) -> None:
    with info.context.store.database.writer.begin() as connection:
        update_entity(connection, entity, key, values)
