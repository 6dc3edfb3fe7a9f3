"""Import jobs: their rows from request to report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, RowMapping, Update, delete, insert, select, update

from dicom_graph.dicom.errors import FailureCode
from dicom_graph.store.ingest import Mode
from dicom_graph.store.ingest.edited import Exclusion
from dicom_graph.store.jobs.owners import QUEUE, is_dead, process_name
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.imports import ImportFailure, ImportJob

UPLOADED = "upload:"
"""Before a client's name for a file, in place of a path, which it is not."""


class JobLostError(Exception):
    """The job is no longer this process's: another took it over, or it was ended meanwhile."""


class JobStatus(StrEnum):
    """Where an import is in its life."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    INTERRUPTED = "INTERRUPTED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @property
    def is_final(self) -> bool:
        """Whether the job will not go on."""
        return self in (JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED)


class JobOrigin(StrEnum):
    """The user and the way an import was asked for."""

    API = "API"
    CLI = "CLI"
    PYTHON = "PYTHON"
    WATCH = "WATCH"


class Storage(StrEnum):
    """Where the files of an import are kept: where they lie, or below the storage root."""

    IN_PLACE = "IN_PLACE"
    COPY = "COPY"
    MOVE = "MOVE"


def storage_named(name: str) -> Storage:
    """Returns the storage that a setting or option such as `in-place` names."""
    return Storage[name.upper().replace("-", "_")]


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What to import. `pattern` is a glob over file names, or relative paths where it has a /.

    `verify`: read known files again too. `sync`: mark the images whose files are gone, or with
    `prune` delete them. `retry_of`: read only what this job failed on. `exclude`: what a
    refresh leaves as it is.
    """

    paths: tuple[str, ...]
    mode: Mode = Mode.NORMAL
    pattern: str | None = None
    stop_on_error: bool = False
    origin: JobOrigin = JobOrigin.API
    verify: bool = False
    sync: bool = False
    prune: bool = False
    retry_of: int | None = None
    storage: Storage = Storage.IN_PLACE
    exclude: Exclusion | None = None


@dataclass(slots=True)
class JobCounts:
    """What became of the files so far. `found` may run ahead of what is processed.

    `missing`: images marked as missing, or pruned. `moved`: files known at another path before.
    """

    found: int = 0
    created: int = 0
    updated: int = 0
    existing: int = 0
    skipped: int = 0
    failed: int = 0
    missing: int = 0
    moved: int = 0

    @property
    def processed(self) -> int:
        """All files dealt with."""
        return self.created + self.updated + self.existing + self.skipped + self.failed


COUNT_COLUMNS = {
    "found": ImportJob.found,
    "created": ImportJob.images_created,
    "updated": ImportJob.images_updated,
    "existing": ImportJob.images_existing,
    "skipped": ImportJob.skipped,
    "failed": ImportJob.failed,
    "missing": ImportJob.missing,
    "moved": ImportJob.moved,
}
"""The columns of the counts; `created` of an entity is when it came, so three have other names."""


KEPT_COUNTS = {
    "IN_PLACE": ("missing", "moved"),
    "COPY": ("missing", "moved", "created", "updated"),
    "MOVE": ("missing", "moved", "created", "updated", "existing"),
}
"""The counts that go on where a job or a batch is begun again, by where its files are kept: what
they tell of is not met again.
"""


def counts_of(row: Mapping[Any, Any]) -> JobCounts:
    """Returns the counts in the row of a job, by the names of its columns."""
    return JobCounts(**{name: row[column.key] for name, column in COUNT_COLUMNS.items()})


@dataclass(slots=True)
class Failure:
    """A file that could not be taken, and why."""

    path: str
    message: str
    code: FailureCode = FailureCode.OTHER


class Skip(Failure):
    """A file that is no DICOM image, and what it is."""

    __slots__ = ()


MAX_SKIPS = 1000
"""So many skipped files of an import, or of a batch of a queued one, are told one by one."""


def rows_of(job_id: int, failures: Sequence[Failure]) -> list[dict[str, Any]]:
    """The rows of failures and skipped files."""
    return [
        {
            "job_id": job_id,
            "path": failure.path,
            "message": failure.message,
            "code": failure.code.value,
            "is_skipped": isinstance(failure, Skip),
        }
        for failure in failures
    ]


@dataclass(slots=True)
class ClaimedJob:
    """A job that this process runs now; `is_resumed` if another process began it.

    `only`: the paths that it reads, where those are not all below `request.paths`.
    """

    id: int
    request: JobRequest
    is_resumed: bool = False
    counts: JobCounts = field(default_factory=JobCounts)
    only: tuple[str, ...] | None = None


def create_job(connection: Connection, request: JobRequest) -> int:
    """Insert a pending job; returns its id."""
    statement = insert(ImportJob).values(
        status=JobStatus.PENDING,
        origin=request.origin,
        paths=list(request.paths),
        mode=request.mode.name,
        pattern=request.pattern,
        stop_on_error=request.stop_on_error,
        verify=request.verify,
        sync=request.sync,
        prune=request.prune,
        retry_of=request.retry_of,
        storage=request.storage,
        exclude=request.exclude and request.exclude._asdict(),
    )
    return int(connection.execute(statement.returning(ImportJob.id)).scalar_one())


def claimable_jobs(
    connection: Connection, origin: JobOrigin, *, can_store: bool = True
) -> list[int]:
    """The jobs of an origin that nobody runs, oldest first.

    `can_store`: those too that copy or move, which takes a storage root.
    """
    statement = select(ImportJob.id, ImportJob.owner, ImportJob.status, ImportJob.heartbeat_at)
    waiting = (JobStatus.PENDING, JobStatus.INTERRUPTED, JobStatus.RUNNING)
    statement = statement.where(ImportJob.origin == origin, ImportJob.status.in_(waiting))
    if not can_store:
        statement = statement.where(ImportJob.storage == Storage.IN_PLACE)
    rows = connection.execute(statement.order_by(ImportJob.id))
    return [
        id
        for id, owner, status, heartbeat in rows
        if owner != QUEUE and (status != JobStatus.RUNNING or is_dead(owner, heartbeat))
    ]


def fail_dead_jobs(connection: Connection) -> None:
    """Mark as failed what no process runs and none will: dead imports of the CLI and of scripts."""
    statement = select(ImportJob.id, ImportJob.owner, ImportJob.heartbeat_at).where(
        ImportJob.origin != JobOrigin.API, ImportJob.status == JobStatus.RUNNING
    )
    dead = [
        id for id, owner, heartbeat in connection.execute(statement) if is_dead(owner, heartbeat)
    ]
    if dead:
        values = {
            "status": JobStatus.FAILED,
            "error": "its process died; importing the same paths again completes it",
            "finished_at": utc_now(),
        }
        connection.execute(update(ImportJob).where(ImportJob.id.in_(dead)).values(values))


def claim_job(connection: Connection, job_id: int) -> ClaimedJob | None:
    """Take a job over, from its beginning; None where another process was faster.

    The report starts anew: files that this job took before are recognised and counted as then.
    What it found gone before is gone from what it looks at, so those counts go on; where it copies
    or moves, those of what it made do, since the sources may be gone.
    """
    row = connection.execute(select(ImportJob).where(ImportJob.id == job_id)).mappings().first()
    if row is None or JobStatus(row["status"]).is_final or row["owner"] == QUEUE:
        return None
    if row["status"] == JobStatus.RUNNING and not is_dead(row["owner"], row["heartbeat_at"]):
        return None
    now = utc_now()
    unchanged = ImportJob.heartbeat_at.is_not_distinct_from(row["heartbeat_at"])
    started = row["started_at"] or now
    taken = connection.execute(
        update(ImportJob)
        .where(ImportJob.id == job_id, ImportJob.status == row["status"], unchanged)
        .values(
            status=JobStatus.RUNNING, owner=process_name(), heartbeat_at=now, started_at=started,
            resumed_at=now, finished_at=None, error=None,
        )
    )  # fmt: skip
    if taken.rowcount != 1:
        return None
    connection.execute(delete(ImportFailure).where(ImportFailure.job_id == job_id))
    request = request_of(row)
    before = counts_of(row)
    counts = JobCounts(**{name: getattr(before, name) for name in KEPT_COUNTS[request.storage]})
    only = None if request.retry_of is None else failed_paths(connection, request.retry_of)
    return ClaimedJob(job_id, request, row["started_at"] is not None, counts, only)


def request_of(row: RowMapping) -> JobRequest:
    """What the row of a job asks for."""
    return JobRequest(
        tuple(row["paths"]), Mode[row["mode"]], row["pattern"], row["stop_on_error"],
        JobOrigin(row["origin"]), row["verify"], row["sync"], row["prune"], row["retry_of"],
        Storage(row["storage"]), exclusion_of(row),
    )  # fmt: skip


def exclusion_of(row: Mapping[Any, Any]) -> Exclusion | None:
    """What the job of a row leaves as it is."""
    kept = row["exclude"]
    return Exclusion(kept["entity"], kept["id"], tuple(kept["columns"])) if kept else None


def status_of(connection: Connection, job_id: int) -> JobStatus:
    """Where a job is in its life."""
    statement = select(ImportJob.status).where(ImportJob.id == job_id)
    return JobStatus(connection.execute(statement).scalar_one())


def counts_of_job(connection: Connection, job_id: int) -> JobCounts:
    """What became of a job's files."""
    row = connection.execute(select(ImportJob).where(ImportJob.id == job_id)).mappings().first()
    return JobCounts() if row is None else counts_of(row)


def failed_paths(connection: Connection, job_id: int) -> tuple[str, ...]:
    """The paths that a job could not take, in order."""
    failed = ImportFailure.job_id == job_id, ~ImportFailure.is_skipped
    statement = select(ImportFailure.path).where(*failed)
    return tuple(sorted(set(connection.execute(statement).scalars())))


def save_progress(
    connection: Connection, job_id: int, counts: JobCounts, failures: Sequence[Failure]
) -> bool:
    """Record where a running job is; part of the transaction that wrote the batch.

    Returns whether the job is asked to end. Raises JobLostError.
    """
    values = _count_values(counts) | {"heartbeat_at": utc_now()}
    statement = _update_own(job_id).values(values).returning(ImportJob.cancel_requested)
    row = connection.execute(statement).first()
    if row is None:
        raise JobLostError(f"import {job_id} is no longer ours")
    if failures:
        connection.execute(insert(ImportFailure), rows_of(job_id, failures))
    return bool(row[0])


def finish_job(
    connection: Connection,
    job_id: int,
    status: JobStatus,
    counts: JobCounts,
    error: str | None = None,
) -> None:
    """Record how a job ended, or that it was interrupted and may go on. Raises JobLostError."""
    values = _count_values(counts) | {"status": status, "error": error, "heartbeat_at": utc_now()}
    if status.is_final:
        values["finished_at"] = utc_now()
    if connection.execute(_update_own(job_id).values(values)).rowcount != 1:
        raise JobLostError(f"import {job_id} is no longer ours")


def give_back_job(connection: Connection, job_id: int, error: str) -> None:
    """Record that a job cannot go on now, and why; nothing where it has ended, or is another's."""
    values = {"status": JobStatus.INTERRUPTED, "error": error, "heartbeat_at": utc_now()}
    connection.execute(_update_own(job_id).values(values))


def _update_own(job_id: int) -> Update:
    return update(ImportJob).where(
        ImportJob.id == job_id,
        ImportJob.owner == process_name(),
        ImportJob.status == JobStatus.RUNNING,
    )


def _count_values(counts: JobCounts) -> dict[str, object]:
    values = {column.key: getattr(counts, name) for name, column in COUNT_COLUMNS.items()}
    return values | {"found": max(counts.found, counts.processed)}
