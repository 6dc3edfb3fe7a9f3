"""Giving a series another study or patient, and a study another patient."""

import asyncio
from typing import Annotated, Any

import strawberry
from strawberry import UNSET

from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.mutations.create import owners_of
from dicom_graph.graph.mutations.payload import Refused, UserError, entity_and_key, gone
from dicom_graph.graph.types.series import Series
from dicom_graph.graph.types.study import Study
from dicom_graph.store.edit.create import NoSuchOwnerError
from dicom_graph.store.edit.move import move

_field = strawberry.field
_ERRORS = "Empty where all is well; where one is there, nothing was changed."


@strawberry.input(description="Where a series is to belong; what is not given stays.")
class MoveSeriesInput:
    id: strawberry.ID = _field(description="The series' global id.")
    study_id: strawberry.ID | None = _field(
        default=UNSET, description="The global id of its new study; null for none."
    )
    patient_id: strawberry.ID | None = _field(
        default=UNSET, description="The global id of its new patient; null for none."
    )


@strawberry.input(description="Whom a study is to belong to.")
class MoveStudyInput:
    id: strawberry.ID = _field(description="The study's global id.")
    patient_id: strawberry.ID | None = _field(
        description="The global id of the new patient of all its series; null for none."
    )


@strawberry.type(description="What became of `moveSeries`.")
class MoveSeriesPayload:
    series: Series | None = _field(description="As it is now; null where there is none.")
    errors: list[UserError] = _field(description=_ERRORS)


@strawberry.type(description="What became of `moveStudy`.")
class MoveStudyPayload:
    study: Study | None = _field(description="As it is now; null where there is none.")
    errors: list[UserError] = _field(description=_ERRORS)


_Series = Annotated[MoveSeriesInput, strawberry.argument(description="The series, and where to.")]
_Study = Annotated[MoveStudyInput, strawberry.argument(description="The study, and whose it is.")]
_FILES = (
    "The files stay as they are, and later imports do not move it back. Users of groups who see "
    "only the new owner are not given images whose headers name the old one."
)


@strawberry.type
class MoveMutations:
    @computed(f"Give a series another study, another patient, or both. {_FILES}")
    async def move_series(self, info: Info, input: _Series) -> MoveSeriesPayload:
        row, errors = await _move(info, "series", input)
        return MoveSeriesPayload(series=row and Series.from_row(row), errors=errors)

    @computed(f"Give all series of a study another patient. {_FILES}")
    async def move_study(self, info: Info, input: _Study) -> MoveStudyPayload:
        row, errors = await _move(info, "study", input)
        return MoveStudyPayload(study=row and Study.from_row(row), errors=errors)


async def _move(info: Info, entity: str, input: Any) -> tuple[Any, list[UserError]]:
    """Move an entity; returns its row as it is in the end, and why it was not moved."""
    try:
        _, key = entity_and_key(input.id, entity)
        owners = owners_of(input)
    except Refused as refused:
        return None, [refused.error]
    loaders = info.context.loaders
    if await loaders.entity(entity).load(key) is None:
        return None, [gone(entity).error]
    errors = []
    try:
        await asyncio.to_thread(_write, info, entity, key, owners)
    except NoSuchOwnerError as error:
        errors = [gone(error.owner, f"{error.owner}Id").error]
    loaders.forget()
    return await loaders.entity(entity).load(key), errors


def _write(info: Info, entity: str, key: int, owners: dict[str, int | None]) -> None:
    with info.context.store.database.writer.begin() as connection:
        move(connection, entity, key, owners)
