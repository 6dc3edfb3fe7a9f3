"""ImportJob: an import and its report."""

import datetime as dt
from typing import Any

import strawberry

from dicom_graph.graph.bounded_lists import DEFAULT, First, Offset, check_part, part_of
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.enums.imports import (
    ImportFailureCode,
    ImportMode,
    ImportOrigin,
    ImportStatus,
    ImportStorage,
)
from dicom_graph.graph.node import Node, global_id
from dicom_graph.graph.urls import absolute, page_path
from dicom_graph.store.sql.types import utc_now

_field = strawberry.field


@strawberry.type(description="A file that an import could not take.")
class ImportFailure:
    path: str = _field(
        description="The file, or the folder that could not be read; of an upload, the name that "
        "the client gave."
    )
    message: str = _field(description="What was wrong.")
    code: ImportFailureCode = _field(description="Of what kind it is.")


@strawberry.type(description="A file that an import skipped.")
class SkippedFile:
    path: str = _field(description="The file; of an upload, the name that the client gave.")
    reason: str = _field(description="What it is, and what to do about it.")


@strawberry.type(description="An import, from its request to its report.")
class ImportJob(Node):
    key: strawberry.Private[int]
    retry_of_key: strawberry.Private[int | None]
    all_paths: strawberry.Private[list[str]]
    status: ImportStatus = _field(description="Where it is in its life.")
    mode: ImportMode = _field(
        description="How much of a header it keeps; of one read again, no less than before."
    )
    pattern: str | None = _field(description="The glob that file names must match, if any.")
    stop_on_error: bool = _field(description="Whether it ends at the first failure.")
    origin: ImportOrigin = _field(description="Who asked for it.")
    verify: bool = _field(description="Whether it reads files that it knows again.")
    sync: bool = _field(description="Whether it marks the images whose files are gone.")
    prune: bool = _field(description="Whether it deletes them.")
    cancel_requested: bool = _field(description="Whether it is to end at its next batch.")
    storage: ImportStorage = _field(description="Where it keeps the files.")
    found: int = _field(description="Files found so far; final once it is completed.")
    processed: int = _field(description="Files dealt with: the sum of the five counts below.")
    created: int = _field(description="Images that were new.")
    updated: int = _field(description="Images whose header a fuller mode or changed file renewed.")
    existing: int = _field(description="Files whose image was there already.")
    skipped: int = _field(description="Files that are no DICOM images: see `skippedFiles`.")
    failed: int = _field(description="Files that could not be taken: see `failures`.")
    missing: int = _field(
        description="Images of which it found the last file gone: marked as missing, or deleted."
    )
    moved: int = _field(
        description="Files that it found at a new path and gone from the old one; they count as "
        "existing too."
    )
    error: str | None = _field(description="Why it failed as a whole.")
    created_at: dt.datetime = _field(description="When it was asked for, UTC.")
    started_at: dt.datetime | None = _field(description="When it first began, UTC.")
    finished_at: dt.datetime | None = _field(description="When it ended, UTC.")
    images_per_second: float | None = _field(
        description="Files dealt with per second since it began, or last went on."
    )

    @classmethod
    def from_row(cls, row: Any) -> "ImportJob":
        """The job of a row."""
        processed = (
            row.images_created + row.images_updated + row.images_existing + row.skipped
            + row.failed
        )  # fmt: skip
        return cls(
            id=global_id("ImportJob", row.id),
            key=row.id,
            retry_of_key=row.retry_of,
            status=ImportStatus[row.status],
            all_paths=row.paths,
            mode=ImportMode[row.mode],
            pattern=row.pattern,
            stop_on_error=row.stop_on_error,
            origin=ImportOrigin[row.origin],
            verify=row.verify,
            sync=row.sync,
            prune=row.prune,
            cancel_requested=row.cancel_requested,
            storage=ImportStorage[row.storage],
            found=row.found,
            processed=processed,
            created=row.images_created,
            updated=row.images_updated,
            existing=row.images_existing,
            skipped=row.skipped,
            failed=row.failed,
            missing=row.missing,
            moved=row.moved,
            error=row.error,
            created_at=row.created,
            started_at=row.started_at,
            finished_at=row.finished_at,
            images_per_second=_rate(row, processed),
        )

    @computed("The address of its page, without scheme and host.")
    def resource_path(self) -> str:
        return page_path("imports", self.id)

    @computed("The address of its page.")
    def url(self) -> str:
        return absolute(page_path("imports", self.id))

    @computed("What it imports: files and folders, as they were given.")
    def paths(self, first: First = DEFAULT, offset: Offset = 0) -> list[str]:
        return part_of(self.all_paths, first, offset)

    @computed("How many `paths` there are.")
    def n_paths(self) -> int:
        return len(self.all_paths)

    @computed(
        "The files that it could not take, in the order of their appearance; `failed` says how "
        "many there are."
    )
    async def failures(
        self, info: Info, first: First = DEFAULT, offset: Offset = 0
    ) -> list[ImportFailure]:
        check_part(first, offset)
        rows = await info.context.loaders.failures(first, offset).load(self.key)
        return [
            ImportFailure(path=row.path, message=row.message, code=ImportFailureCode[row.code])
            for row in rows or ()
        ]

    @computed(
        "The first 1,000 files that it skipped, in the order of their appearance; `skipped` says "
        "how many there are."
    )
    async def skipped_files(self, info: Info) -> list[SkippedFile]:
        rows = await info.context.loaders.skipped_files.load(self.key)
        return [SkippedFile(path=row.path, reason=row.message) for row in rows or ()]

    @computed("The import whose failures it reads again; null for any other.")
    async def retry_of(self, info: Info) -> "ImportJob | None":
        if self.retry_of_key is None:
            return None
        row = await info.context.loaders.entity("import_job").load(self.retry_of_key)
        return ImportJob.from_row(row) if row is not None else None

    @computed("The imports that read its failures again, oldest first.")
    async def retries(self, info: Info) -> list["ImportJob"]:
        rows = await info.context.loaders.retries.load(self.key)
        return [ImportJob.from_row(row) for row in rows or ()]


def _rate(row: Any, processed: int) -> float | None:
    start = row.resumed_at or row.started_at
    if start is None:
        return None
    end = row.finished_at or (utc_now() if row.status == "RUNNING" else row.heartbeat_at)
    seconds = (end - start).total_seconds() if end else 0.0
    return round(processed / seconds, 1) if seconds > 0 else None
