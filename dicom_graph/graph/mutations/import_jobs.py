"""Imports that sync, and what is asked of imports that are there: cancel, retry."""

import asyncio
from collections.abc import Callable
from typing import Annotated, TypeVar

import strawberry

from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.enums.imports import ImportMode
from dicom_graph.graph.mutations.import_path import MODE, PATTERN, VERIFY, check_pattern, mode_of
from dicom_graph.graph.mutations.payload import Refused, UserError
from dicom_graph.graph.types.import_job import ImportJob
from dicom_graph.importing.roots import ForbiddenPathError, check_path
from dicom_graph.services import Services
from dicom_graph.store.global_ids import split_global_id
from dicom_graph.store.jobs.control import JobControlError
from dicom_graph.store.jobs.jobs import JobRequest

_field = strawberry.field


@strawberry.input(description="What `syncPath` is to bring in step.")
class SyncPathInput:
    path: str = _field(description="A folder on the server, inside its import roots.")
    mode: ImportMode | None = _field(default=None, description=MODE)
    pattern: str | None = _field(default=None, description=PATTERN)
    verify: bool = _field(default=False, description=VERIFY)
    prune: bool = _field(
        default=False, description="Delete the images whose files are gone instead of marking them."
    )


@strawberry.input(description="Which import `cancelImport` is to end.")
class CancelImportInput:
    id: strawberry.ID = _field(description="The import's global id.")


@strawberry.input(description="Whose failures `retryImport` is to read again.")
class RetryImportInput:
    id: strawberry.ID = _field(description="The global id of an import that has ended.")


_JOB = "The import, waiting or running; null on error."
_ERRORS = "Empty where all is well."


@strawberry.type(description="What became of `syncPath`.")
class SyncPathPayload:
    job: ImportJob | None = _field(default=None, description=_JOB)
    errors: list[UserError] = _field(default_factory=list, description=_ERRORS)


@strawberry.type(description="What became of `cancelImport`.")
class CancelImportPayload:
    job: ImportJob | None = _field(
        default=None,
        description="The import: cancelled, or running until its next batch; null on error.",
    )
    errors: list[UserError] = _field(default_factory=list, description=_ERRORS)


@strawberry.type(description="What became of `retryImport`.")
class RetryImportPayload:
    job: ImportJob | None = _field(
        default=None, description="The new import, waiting or running; null on error."
    )
    errors: list[UserError] = _field(default_factory=list, description=_ERRORS)


Payload = TypeVar("Payload", SyncPathPayload, CancelImportPayload, RetryImportPayload)


@strawberry.type
class JobMutations:
    @computed(
        "Start to import a folder, and afterwards mark the images below it whose files are gone "
        "as missing; files that have moved stay those of their images. Nothing is deleted without "
        "`prune`, and nothing marked where the folder is empty or not there."
    )
    async def sync_path(
        self,
        info: Info,
        input: Annotated[
            SyncPathInput, strawberry.argument(description="What is to be synced, and how.")
        ],
    ) -> SyncPathPayload:
        def start(services: Services) -> int:
            request = JobRequest(
                (_checked(services, input.path, input.pattern),), mode_of(input.mode, services),
                input.pattern, verify=input.verify, sync=True, prune=input.prune,
            )  # fmt: skip
            return services.runner.submit(request)

        return await _answer(info, SyncPathPayload, start)

    @computed(
        "End an import: at once where it is waiting, else at its next batch, in whichever process "
        "it runs. What it has written stays."
    )
    async def cancel_import(
        self,
        info: Info,
        input: Annotated[CancelImportInput, strawberry.argument(description="Which import.")],
    ) -> CancelImportPayload:
        def cancel(services: Services) -> int:
            key = _job_key(input.id)
            services.runner.cancel(key)
            return key

        return await _answer(info, CancelImportPayload, cancel)

    @computed("Start an import that reads again only what an earlier one failed on.")
    async def retry_import(
        self,
        info: Info,
        input: Annotated[RetryImportInput, strawberry.argument(description="Which import.")],
    ) -> RetryImportPayload:
        return await _answer(
            info, RetryImportPayload, lambda services: services.runner.retry(_job_key(input.id))
        )


async def _answer(info: Info, payload: type[Payload], act: Callable[[Services], int]) -> Payload:
    """Act beside the event loop; returns the job whose key `act` returned, or why not."""
    try:
        key = await asyncio.to_thread(act, info.context.services)
    except Refused as refused:
        return payload(errors=[refused.error])
    except JobControlError as error:
        return payload(errors=[UserError.about("id", str(error), error.code)])
    rows = await info.context.store.by_ids("import_job", [key])
    return payload(job=ImportJob.from_row(rows[key]))


def _checked(services: Services, path: str, pattern: str | None) -> str:
    """The path without symbolic links. Raises Refused."""
    if pattern is not None:
        check_pattern(pattern)
    try:
        return check_path(path, services.import_roots)
    except ForbiddenPathError as error:
        raise Refused(str(error), "path", ErrorCode.FORBIDDEN_PATH) from None


def _job_key(id: str) -> int:
    try:
        type_name, key = split_global_id(id)
    except BadInput as error:
        raise Refused(str(error), "id", ErrorCode.BAD_ID) from None
    if type_name != "ImportJob":
        raise Refused(f"this is the id of a {type_name}, not of an import", "id", ErrorCode.BAD_ID)
    return key
