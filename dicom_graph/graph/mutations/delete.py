"""Deleting entities from the database."""

import asyncio
from typing import Annotated

import strawberry

from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.mutations.payload import (
    Refused,
    UserError,
    entity_and_key,
    gone,
)
from dicom_graph.importing.entities import (
    NoSuchEntityError,
    OutsideStorageError,
    delete_entity,
)
from dicom_graph.importing.removal import RemovalResult

_field = strawberry.field


@strawberry.input(description="What is to be deleted.")
class DeleteInput:
    id: strawberry.ID = _field(description="The object's global id.")
    delete_files: bool = _field(
        default=False,
        description="Delete the files too. All must lie inside the server's storage root; where "
        "one does not, nothing is deleted.",
    )


@strawberry.type(description="What was deleted.")
class DeletePayload:
    deleted_id: strawberry.ID | None = _field(
        description="The global id of what is gone; null where nothing was deleted."
    )
    n_studies: int = _field(description="Number of studies deleted.")
    n_series: int = _field(description="Number of series deleted.")
    n_images: int = _field(description="Number of images deleted.")
    n_files: int = _field(description="Number of files deleted from the storage root.")
    errors: list[UserError] = _field(
        description="Empty where all is well. With `deletedId` null nothing was deleted; else "
        "they name files that could not be."
    )


_Input = Annotated[DeleteInput, strawberry.argument(description="What is to be deleted.")]
_ROWS = "Imported again, they come back; source files are never touched."


@strawberry.type
class DeleteMutations:
    @computed(
        "Delete a patient from the database with all series, and the studies in which no other "
        f"patient's series is left. {_ROWS}"
    )
    async def delete_patient(self, info: Info, input: _Input) -> DeletePayload:
        return await _delete(info, "patient", input)

    @computed(f"Delete a study from the database with its series; its patients stay. {_ROWS}")
    async def delete_study(self, info: Info, input: _Input) -> DeletePayload:
        return await _delete(info, "study", input)

    @computed(
        "Delete a series from the database with its images; its study and patient stay, even if "
        f"nothing is left in them. {_ROWS}"
    )
    async def delete_series(self, info: Info, input: _Input) -> DeletePayload:
        return await _delete(info, "series", input)

    @computed(f"Delete an image from the database; its series stays. {_ROWS}")
    async def delete_image(self, info: Info, input: _Input) -> DeletePayload:
        return await _delete(info, "image", input)


async def _delete(info: Info, entity: str, input: DeleteInput) -> DeletePayload:
    services = info.context.services
    try:
        _, key = entity_and_key(input.id, entity)
        removal = await asyncio.to_thread(
            delete_entity,
            services.store.database,
            entity,
            key,
            delete_files=input.delete_files,
            storage_root=services.storage_root,
        )
    except Refused as refused:
        return _refused(refused)
    except NoSuchEntityError:
        return _refused(gone(entity))
    except OutsideStorageError as error:
        return _refused(Refused(str(error), "deleteFiles", ErrorCode.OUTSIDE_STORAGE_ROOT))
    info.context.loaders.forget()
    return _payload(input.id, removal)


def _payload(id: strawberry.ID, removal: RemovalResult) -> DeletePayload:
    return DeletePayload(
        deleted_id=id,
        n_studies=removal.rows.studies,
        n_series=removal.rows.series,
        n_images=removal.rows.images,
        n_files=removal.files,
        errors=[
            UserError.about(
                "deleteFiles", f"{path} was not deleted: {reason}", ErrorCode.FILE_NOT_DELETED
            )
            for path, reason in removal.kept
        ],
    )


def _refused(refused: Refused) -> DeletePayload:
    return DeletePayload(
        deleted_id=None, n_studies=0, n_series=0, n_images=0, n_files=0, errors=[refused.error]
    )
