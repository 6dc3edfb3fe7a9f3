"""Patients, studies and series made by hand."""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any
from uuid import uuid4

import strawberry
from strawberry import UNSET

from dicom_graph.dicom.entities import DESCRIBED, PATIENT, SERIES, STUDY, checks
from dicom_graph.dicom.entities.checks import BadValue
from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.described import update_input
from dicom_graph.graph.mutations.checks import bad_name, bad_value, check_fields, given_fields
from dicom_graph.graph.mutations.payload import Refused, UserError, entity_and_key, gone
from dicom_graph.graph.types.patient import Patient
from dicom_graph.graph.types.series import Series
from dicom_graph.graph.types.study import Study
from dicom_graph.store.edit.create import NoSuchOwnerError, UidInUseError, create_entity
from dicom_graph.store.ingest.edited import OWNERS

_field = strawberry.field
_ERRORS = "Empty where all is well; where one is there, nothing was made."
_KEPT = "An import keeps what was set here, and fills the other fields from the first file."
_UID_CHECKS: dict[str, Callable[[str], str]] = {"patient": checks.text("PatientID")}


@update_input(PATIENT, f"A patient to be made. {_KEPT}")
class CreatePatientInput:
    uid: str = _field(description="PatientID (0010,0020), which no other patient has.")


@update_input(STUDY, f"A study to be made. {_KEPT}")
class CreateStudyInput:
    uid: str | None = _field(
        default=None,
        description="StudyInstanceUID (0020,000D), which no other study has; one is made where "
        "none is given.",
    )


@update_input(SERIES, f"A series to be made. {_KEPT}")
class CreateSeriesInput:
    uid: str | None = _field(
        default=None,
        description="SeriesInstanceUID (0020,000E), which no other series has; one is made where "
        "none is given.",
    )
    patient_id: strawberry.ID | None = _field(
        default=UNSET, description="The global id of the patient that it is of; null for none."
    )
    study_id: strawberry.ID | None = _field(
        default=UNSET, description="The global id of the study that it is in; null for none."
    )


@strawberry.type(description="What became of `createPatient`.")
class CreatePatientPayload:
    patient: Patient | None = _field(description="The new patient; null where none was made.")
    errors: list[UserError] = _field(description=_ERRORS)


@strawberry.type(description="What became of `createStudy`.")
class CreateStudyPayload:
    study: Study | None = _field(description="The new study; null where none was made.")
    errors: list[UserError] = _field(description=_ERRORS)


@strawberry.type(description="What became of `createSeries`.")
class CreateSeriesPayload:
    series: Series | None = _field(description="The new series; null where none was made.")
    errors: list[UserError] = _field(description=_ERRORS)


_Patient = Annotated[
    CreatePatientInput, strawberry.argument(description="The PatientID and other fields.")
]
_Study = Annotated[CreateStudyInput, strawberry.argument(description="The UID and other fields.")]
_Series = Annotated[
    CreateSeriesInput, strawberry.argument(description="The UID, whose it is, and other fields.")
]


@strawberry.type
class CreateMutations:
    @computed("Make a patient by hand. Images imported later with its PatientID are this one's.")
    async def create_patient(self, info: Info, input: _Patient) -> CreatePatientPayload:
        row, errors = await _create(info, "patient", input)
        return CreatePatientPayload(patient=row and Patient.from_row(row), errors=errors)

    @computed("Make a study by hand. Series imported later with its UID are in it.")
    async def create_study(self, info: Info, input: _Study) -> CreateStudyPayload:
        row, errors = await _create(info, "study", input)
        return CreateStudyPayload(study=row and Study.from_row(row), errors=errors)

    @computed("Make a series by hand. Images imported later with its UID are in it.")
    async def create_series(self, info: Info, input: _Series) -> CreateSeriesPayload:
        row, errors = await _create(info, "series", input)
        return CreateSeriesPayload(series=row and Series.from_row(row), errors=errors)


async def _create(info: Info, entity: str, input: Any) -> tuple[Any, list[UserError]]:
    """Make an entity; returns its row, or None and why not."""
    given = given_fields(input, but=("uid", *OWNERS))
    values, errors = check_fields(DESCRIBED[entity], given)
    uid = input.uid if input.uid is not None else f"2.25.{uuid4().int}"
    try:
        uid = _UID_CHECKS.get(entity, checks.uid)(uid)
    except BadValue as error:
        errors.insert(0, bad_value("uid", error))
    try:
        values |= owners_of(input)
    except Refused as refused:
        errors.append(refused.error)
    if errors:
        return None, errors
    try:
        key = await asyncio.to_thread(_write, info, entity, uid, values)
    except UidInUseError:
        message = f"another {entity} has {uid!r}"
        return None, [UserError.about("uid", message, ErrorCode.UID_IN_USE)]
    except NoSuchOwnerError as error:
        return None, [gone(error.owner, f"{error.owner}Id").error]
    except BadValue as error:
        return None, [bad_name(given, error)]
    info.context.loaders.forget()
    return await info.context.loaders.entity(entity).load(key), []


def owners_of(input: Any) -> dict[str, int | None]:
    """Returns the columns of `OWNERS` that an input of a series sets. Raises Refused."""
    found: dict[str, int | None] = {}
    for column, owner in OWNERS.items():
        id = getattr(input, column, UNSET)
        if id is UNSET:
            continue
        is_named = id is not None
        found[column] = entity_and_key(id, owner, field=f"{owner}Id")[1] if is_named else None
    return found


def _write(info: Info, entity: str, uid: str, values: dict[str, Any]) -> int:
    with info.context.store.database.writer.begin() as connection:
        return create_entity(connection, entity, uid, values)
