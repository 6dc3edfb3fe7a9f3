"""Taking the files of an entity into the storage root, after their import."""

import asyncio
from typing import Annotated

import strawberry

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.enums.imports import ImportStorage
from dicom_graph.graph.mutations.payload import Refused, UserError, entity_and_key, gone
from dicom_graph.graph.types.import_job import ImportJob
from dicom_graph.importing.entities import NoFilesError, NoSuchEntityError, request_storing
from dicom_graph.importing.safe_files import StorageError
from dicom_graph.store.jobs.jobs import Storage

_field = strawberry.field


@strawberry.input(description="Whose files are to be stored, and how.")
class StoreFilesInput:
    id: strawberry.ID = _field(description="The global id of a patient, study, series or image.")
    storage: ImportStorage = _field(
        description="COPY: the originals stay where they are; MOVE: each is removed once its copy "
        "is whole and the database knows it."
    )


@strawberry.type(description="What became of `storeFiles`.")
class StoreFilesPayload:
    job: ImportJob | None = _field(
        description="The import that stores the files, waiting or running; null on error."
    )
    errors: list[UserError] = _field(description="Empty where all is well.")


_Input = Annotated[StoreFilesInput, strawberry.argument(description="Whose files, and how.")]


@strawberry.type
class StoreFilesMutations:
    @computed(
        "Copy or move the files of a patient, study, series or image to their default paths in "
        "the server's storage root, those that lie elsewhere; returns at once, follow it by "
        "`importProgress`."
    )
    async def store_files(self, info: Info, input: _Input) -> StoreFilesPayload:
        try:
            job_id = await _request(info, input)
        except Refused as refused:
            return StoreFilesPayload(job=None, errors=[refused.error])
        info.context.services.runner.wake()
        info.context.loaders.forget()
        row = await info.context.loaders.entity("import_job").load(job_id)
        return StoreFilesPayload(job=ImportJob.from_row(row), errors=[])


async def _request(info: Info, input: StoreFilesInput) -> int:
    """The id of the job. Raises Refused."""
    services = info.context.services
    storage = Storage[input.storage.name]
    if storage is Storage.IN_PLACE:
        raise Refused("`storage` must be COPY or MOVE", "storage", ErrorCode.BAD_INPUT)
    entity, key = entity_and_key(input.id, *DESCRIBED)
    # For the audit log: whom it is about.
    await info.context.store.by_ids(entity, [key])
    try:
        return await asyncio.to_thread(
            request_storing, services.store.database, entity, key, storage, services.storage_root
        )
    except NoSuchEntityError:
        raise gone(entity) from None
    except NoFilesError as error:
        raise Refused(str(error), "id", ErrorCode.NO_FILES) from None
    except StorageError as error:
        raise Refused(str(error), "storage", ErrorCode.CANNOT_STORE) from None
