"""The mutation root."""

import asyncio
import os
from typing import Annotated, Protocol, cast

import strawberry
from strawberry.file_uploads import Upload

from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info, Service
from dicom_graph.graph.types.import_job import ImportJob, ImportMode, ImportStorage
from dicom_graph.importing.roots import ForbiddenPathError, check_path
from dicom_graph.importing.safe_files import StorageError
from dicom_graph.importing.storage import paths_to_store
from dicom_graph.importing.uploads import UploadError, UploadTooLarge
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs import JobRequest, Storage

_field = strawberry.field
_MAX_PATTERN = 1000
_CHUNK = 1 << 20


@strawberry.type(description="Why a mutation did not do what it was asked to.")
class UserError:
    message: str = _field(description="What was wrong and what to do, for a person.")
    field: str | None = _field(description="The field of the input that it is about.")
    code: str = _field(description="The same for a program: stable, in capitals.")


@strawberry.input(description="What `importPath` is to import.")
class ImportPathInput:
    path: str = _field(description="A file or folder on the server, inside its import roots.")
    mode: ImportMode = _field(
        default=ImportMode.NORMAL, description="How much of a header to keep."
    )
    pattern: str | None = _field(
        default=None,
        description="A glob that file names must match, such as *.dcm; with a / in it, the path "
        "below the folder must.",
    )
    stop_on_error: bool = _field(
        default=False, description="End at the first failure instead of going on."
    )
    storage: ImportStorage = _field(
        default=ImportStorage.IN_PLACE,
        description="Whether the files stay where they are; to copy or move them takes a storage "
        "root on the server.",
    )


@strawberry.type(description="What became of `importPath`.")
class ImportPathPayload:
    job: ImportJob | None = _field(description="The import, waiting or running; null on error.")
    errors: list[UserError] = _field(description="Empty where all is well.")


@strawberry.input(description="What `uploadImages` takes.")
class UploadImagesInput:
    files: list[Upload] = _field(
        description="DICOM files, or zip archives of them. Send them as the GraphQL multipart "
        "request specification says, with the header `GraphQL-Require-Preflight`."
    )
    mode: ImportMode = _field(
        default=ImportMode.NORMAL, description="How much of a header to keep."
    )


@strawberry.type(description="What became of `uploadImages`.")
class UploadImagesPayload:
    job: ImportJob | None = _field(description="The import of the files; null on error.")
    errors: list[UserError] = _field(description="Empty where all is well.")


@strawberry.type(description="Everything that can be done.")
class Mutation:
    @computed(
        "Start to import a file or a folder with all below it, and return at once; follow it by "
        "`importProgress`. Importing again creates nothing twice."
    )
    async def import_path(
        self,
        info: Info,
        input: Annotated[
            ImportPathInput, strawberry.argument(description="What is to be imported, and how.")
        ],
    ) -> ImportPathPayload:
        service = info.context.service
        if input.pattern is not None and not _is_pattern(input.pattern):
            message = f"the pattern must have 1 to {_MAX_PATTERN} printable characters"
            return _refused(message, "pattern", "BAD_PATTERN")
        try:
            path = await asyncio.to_thread(_allowed_path, input, service)
        except ForbiddenPathError as error:
            return _refused(str(error), "path", "FORBIDDEN_PATH")
        except StorageError as error:
            return _refused(str(error), "storage", "CANNOT_STORE")
        request = JobRequest(
            (path,), Mode[input.mode.name], input.pattern, input.stop_on_error,
            storage=Storage[input.storage.name],
        )  # fmt: skip
        job_id = await asyncio.to_thread(service.runner.submit, request)
        return ImportPathPayload(job=await _job(info, job_id), errors=[])

    @computed(
        "Send DICOM files, or zip archives of them, to the storage root, and import them from "
        "there. It returns once they are received; follow the import by `importProgress`. Large "
        "ones are better sent by `POST /upload`."
    )
    async def upload_images(
        self,
        info: Info,
        input: Annotated[
            UploadImagesInput, strawberry.argument(description="The files, and how much to keep.")
        ],
    ) -> UploadImagesPayload:
        service = info.context.service
        try:
            job_id = await _receive(service, input)
        except (StorageError, UploadError) as error:
            return UploadImagesPayload(
                job=None,
                errors=[UserError(message=str(error), field="files", code=_upload_code(error))],
            )
        return UploadImagesPayload(job=await _job(info, job_id), errors=[])


def _allowed_path(input: ImportPathInput, service: Service) -> str:
    """The path without symbolic links. Raises ForbiddenPathError, StorageError."""
    path = check_path(input.path, service.import_roots)
    # As it was given: a link that would be moved is refused, and not what it leads to moved.
    given = os.path.expanduser(input.path)
    paths_to_store(Storage[input.storage.name], [given], service.storage_root)
    return path


class _ReceivedFile(Protocol):
    """What the GraphQL server gives for an `Upload`."""

    filename: str | None

    async def read(self, size: int) -> bytes: ...


async def _receive(service: Service, input: UploadImagesInput) -> int:
    upload = await asyncio.to_thread(service.begin_upload)
    try:
        for received in cast(list[_ReceivedFile], input.files):
            if not hasattr(received, "read"):
                raise UploadError("`files` holds files: send the request as multipart/form-data")
            with upload.file(received.filename or "") as file:
                while chunk := await received.read(_CHUNK):
                    await asyncio.to_thread(file.write, chunk)
        return await asyncio.to_thread(service.submit_upload, upload, Mode[input.mode.name])
    except BaseException:
        await asyncio.to_thread(upload.discard)
        raise


def _upload_code(error: Exception) -> str:
    if isinstance(error, StorageError):
        return "CANNOT_STORE"
    return "UPLOAD_TOO_LARGE" if isinstance(error, UploadTooLarge) else "BAD_UPLOAD"


async def _job(info: Info, job_id: int) -> ImportJob:
    return ImportJob.from_row(await info.context.loaders.entity("import_job").load(job_id))


def _is_pattern(text: str) -> bool:
    return 0 < len(text) <= _MAX_PATTERN and text.isprintable()


def _refused(message: str, field: str, code: str) -> ImportPathPayload:
    return ImportPathPayload(job=None, errors=[UserError(message=message, field=field, code=code)])
