"""Uploading files."""

import asyncio
from typing import Annotated, Protocol, cast

import strawberry
from strawberry.file_uploads import Upload

from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.enums.imports import ImportMode
from dicom_graph.graph.mutations.import_path import MODE, mode_of
from dicom_graph.graph.mutations.payload import UserError
from dicom_graph.graph.types.import_job import ImportJob
from dicom_graph.importing.safe_files import StorageError
from dicom_graph.importing.uploads import UploadError, UploadTooLarge
from dicom_graph.services import Services

_field = strawberry.field
_CHUNK = 1 << 20


@strawberry.input(description="What `uploadImages` takes.")
class UploadImagesInput:
    files: list[Upload] = _field(
        description="DICOM files, or zip archives of them. Send them as the GraphQL multipart "
        "request specification says, with the header `GraphQL-Require-Preflight`."
    )
    mode: ImportMode | None = _field(default=None, description=MODE)


@strawberry.type(description="What became of `uploadImages`.")
class UploadImagesPayload:
    job: ImportJob | None = _field(description="The import of the files; null on error.")
    errors: list[UserError] = _field(description="Empty where all is well.")


_Input = Annotated[
    UploadImagesInput, strawberry.argument(description="The files, and how much to keep.")
]


@strawberry.type
class UploadMutations:
    @computed(
        "Send DICOM files, or zip archives of them, to the storage root, and import them from "
        "there. It returns once they are received; follow the import by `importProgress`. Large "
        "ones are better sent by `POST /upload`."
    )
    async def upload_images(self, info: Info, input: _Input) -> UploadImagesPayload:
        services = info.context.services
        try:
            job_id = await _receive(services, input)
        except (StorageError, UploadError) as error:
            return UploadImagesPayload(
                job=None,
                errors=[UserError.about("files", str(error), _upload_code(error))],
            )
        row = await info.context.loaders.entity("import_job").load(job_id)
        return UploadImagesPayload(job=ImportJob.from_row(row), errors=[])


class _ReceivedFile(Protocol):
    """The value of an `Upload`, as the GraphQL server passes it."""

    filename: str | None

    async def read(self, size: int) -> bytes: ...


async def _receive(services: Services, input: UploadImagesInput) -> int:
    upload = await asyncio.to_thread(services.begin_upload)
    try:
        for received in cast(list[_ReceivedFile], input.files):
            if not hasattr(received, "read"):
                raise UploadError("`files` holds files: send the request as multipart/form-data")
            with upload.file(received.filename or "") as file:
                while chunk := await received.read(_CHUNK):
                    await asyncio.to_thread(file.write, chunk)
        return await asyncio.to_thread(
            services.submit_upload, upload, mode_of(input.mode, services)
        )
    except BaseException:
        await asyncio.to_thread(upload.discard)
        raise


def _upload_code(error: Exception) -> ErrorCode:
    if isinstance(error, StorageError):
        return ErrorCode.CANNOT_STORE
    return ErrorCode.UPLOAD_TOO_LARGE if isinstance(error, UploadTooLarge) else ErrorCode.BAD_UPLOAD
