"""Starting an import."""

import asyncio
import os
from typing import Annotated

import strawberry

from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.enums.imports import ImportMode, ImportStorage
from dicom_graph.graph.mutations.payload import Refused, UserError
from dicom_graph.graph.types.import_job import ImportJob
from dicom_graph.importing.roots import ForbiddenPathError, check_path
from dicom_graph.importing.safe_files import StorageError
from dicom_graph.importing.storage import paths_to_store
from dicom_graph.services import Services
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest, Storage

_field = strawberry.field
_MAX_PATTERN = 1000
PATTERN = (
    "A glob that file names must match, such as *.dcm; with a / in it, the path below the folder "
    "must."
)
MODE = "How much of a header to keep; if not given, what the server is set to, else NORMAL."
VERIFY = "Read known files again too; `updated` counts those whose content differs."


@strawberry.input(description="What `importPath` is to import.")
class ImportPathInput:
    path: str = _field(description="A file or folder on the server, inside its import roots.")
    mode: ImportMode | None = _field(default=None, description=MODE)
    pattern: str | None = _field(
        default=None,
        description=PATTERN,
    )
    stop_on_error: bool = _field(
        default=False, description="End at the first failure instead of going on."
    )
    storage: ImportStorage | None = _field(
        default=None,
        description="Whether the files stay where they are; to copy or move them takes a storage "
        "root on the server. If not given, what the server is set to, else IN_PLACE.",
    )
    verify: bool = _field(default=False, description=VERIFY)


@strawberry.type(description="What became of `importPath`.")
class ImportPathPayload:
    job: ImportJob | None = _field(description="The import, waiting or running; null on error.")
    errors: list[UserError] = _field(description="Empty where all is well.")


_Input = Annotated[
    ImportPathInput, strawberry.argument(description="What is to be imported, and how.")
]


@strawberry.type
class ImportMutations:
    @computed(
        "Start to import a file or a folder with all below it, and return at once; follow it by "
        "`importProgress`. Importing again creates nothing twice."
    )
    async def import_path(self, info: Info, input: _Input) -> ImportPathPayload:
        services = info.context.services
        try:
            if input.pattern is not None:
                check_pattern(input.pattern)
            path = await asyncio.to_thread(_allowed_path, input, services)
        except Refused as refused:
            return ImportPathPayload(job=None, errors=[refused.error])
        request = JobRequest(
            (path,), mode_of(input.mode, services), input.pattern, input.stop_on_error,
            verify=input.verify, storage=_storage_of(input, services),
        )  # fmt: skip
        job_id = await asyncio.to_thread(services.runner.submit, request)
        row = await info.context.loaders.entity("import_job").load(job_id)
        return ImportPathPayload(job=ImportJob.from_row(row), errors=[])


def _allowed_path(input: ImportPathInput, services: Services) -> str:
    """The path without symbolic links. Raises Refused."""
    try:
        path = check_path(input.path, services.import_roots)
        # As it was given: a link that would be moved is refused, and not what it leads to moved.
        given = os.path.expanduser(input.path)
        paths_to_store(_storage_of(input, services), [given], services.storage_root)
    except ForbiddenPathError as error:
        raise Refused(str(error), "path", ErrorCode.FORBIDDEN_PATH) from None
    except StorageError as error:
        raise Refused(str(error), "storage", ErrorCode.CANNOT_STORE) from None
    return path


def mode_of(given: ImportMode | None, services: Services) -> Mode:
    """Returns the mode of an import, the server's where none is given."""
    return services.import_mode if given is None else Mode[given.name]


def _storage_of(input: ImportPathInput, services: Services) -> Storage:
    return services.import_storage if input.storage is None else Storage[input.storage.name]


def check_pattern(pattern: str) -> None:
    """Raises Refused."""
    if not (0 < len(pattern) <= _MAX_PATTERN and pattern.isprintable()):
        message = f"the pattern must have 1 to {_MAX_PATTERN} printable characters"
        raise Refused(message, "pattern", ErrorCode.BAD_PATTERN)
