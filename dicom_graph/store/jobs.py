"""Import jobs: their rows from request to report."""

import datetime as dt
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from dicom_graph.store.ingest import Mode
from dicom_graph.store.tables import ImportFailure, ImportJob
from dicom_graph.store.types import utc_now

STALE_AFTER = dt.timedelta(seconds=30)
"""A running job whose process gave no sign for so long is taken for dead."""


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
    """Who asked for an import."""

    API = "API"
    CLI = "CLI"
    PYTHON = "PYTHON"


class Storage(StrEnum):
    """Where the files of an import are kept: where they lie, or below the storage root."""

    IN_PLACE = "IN_PLACE"
    COPY = "COPY"
    MOVE = "MOVE"


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What to import. `pattern` is a glob over file names, or relative paths where it has a /.

    `verify`: files are read again that the database knows, also unchanged ones.
    """

    paths: tuple[str, ...]
    mode: Mode = Mode.NORMAL
    pattern: str | None = None
    stop_on_error: bool = False
    origin: JobOrigin = JobOrigin.API
    verify: bool = False
    storage: Storage = Storage.IN_PLACE


@dataclass(slots=True)
class JobCounts:
    """What became of the files so far. `found` may run ahead of what is processed."""

    found: int = 0
    created: int = 0
    updated: int = 0
    existing: int = 0
    skipped: int = 0
    failed: int = 0

    @property
    def processed(self) -> int:
        """All files dealt with."""
        return self.created + self.updated + self.existing + self.skipped + self.failed


@dataclass(slots=True)
class Failure:
    """A file that could not be taken, and why."""

    path: str
    message: str


@dataclass(slots=True)
class ClaimedJob:
    """A job that this process runs now; `is_resumed` if another process began it."""

    id: int
    request: JobRequest
    is_resumed: bool = False
    counts: JobCounts = field(default_factory=JobCounts)


def process_name() -> str:
    """This process, as the owner of a job: `host:pid`."""
    return f"{socket.gethostname()}:{os.getpid()}"


def create_job(connection: Connection, request: JobRequest) -> int:
    """Insert a pending job; gives its id."""
    statement = insert(ImportJob).values(
        status=JobStatus.PENDING,
        origin=request.origin,
        paths=list(request.paths),
        mode=request.mode.name,
        pattern=request.pattern,
        stop_on_error=request.stop_on_error,
        storage=request.storage,
        verify=request.verify,
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
        if status != JobStatus.RUNNING or _is_dead(owner, heartbeat)
    ]


def bury_dead_jobs(connection: Connection) -> None:
    """Mark as failed what no process runs and none will: dead imports of the CLI and of scripts."""
    statement = select(ImportJob.id, ImportJob.owner, ImportJob.heartbeat_at).where(
        ImportJob.origin != JobOrigin.API, ImportJob.status == JobStatus.RUNNING
    )
    dead = [
        id for id, owner, heartbeat in connection.execute(statement) if _is_dead(owner, heartbeat)
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
    Where it copies or moves, the counts of what it made go on, since the sources may be gone.
    """
    row = connection.execute(select(ImportJob).where(ImportJob.id == job_id)).mappings().first()
    if row is None or JobStatus(row["status"]).is_final:
        return None
    if row["status"] == JobStatus.RUNNING and not _is_dead(row["owner"], row["heartbeat_at"]):
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
    request = JobRequest(
        tuple(row["paths"]), Mode[row["mode"]], row["pattern"], row["stop_on_error"],
        JobOrigin(row["origin"]), row["verify"], Storage(row["storage"]),
    )  # fmt: skip
    is_resumed = row["started_at"] is not None
    return ClaimedJob(job_id, request, is_resumed, _counts_to_keep(row))


def _counts_to_keep(row: RowMapping) -> JobCounts:
    counts = JobCounts()
    if row["storage"] != Storage.IN_PLACE:
        counts.created, counts.updated = row["images_created"], row["images_updated"]
    if row["storage"] == Storage.MOVE:
        counts.existing = row["images_existing"]
    return counts


def save_progress(
    connection: Connection, job_id: int, counts: JobCounts, failures: Sequence[Failure]
) -> None:
    """Record where a running job is; part of the transaction that wrote the batch."""
    values = _count_values(counts) | {"heartbeat_at": utc_now()}
    connection.execute(update(ImportJob).where(ImportJob.id == job_id).values(values))
    if failures:
        rows = [{"job_id": job_id, "path": f.path, "message": f.message} for f in failures]
        connection.execute(insert(ImportFailure), rows)


def finish_job(
    connection: Connection,
    job_id: int,
    status: JobStatus,
    counts: JobCounts,
    error: str | None = None,
) -> None:
    """Record how a job ended, or that it was interrupted and may go on."""
    values = _count_values(counts) | {"status": status, "error": error, "heartbeat_at": utc_now()}
    if status.is_final:
        values["finished_at"] = utc_now()
    connection.execute(update(ImportJob).where(ImportJob.id == job_id).values(values))


def _count_values(counts: JobCounts) -> dict[str, object]:
    return {
        "found": max(counts.found, counts.processed),
        "images_created": counts.created,
        "images_updated": counts.updated,
        "images_existing": counts.existing,
        "skipped": counts.skipped,
        "failed": counts.failed,
    }


def _is_dead(owner: str | None, heartbeat: dt.datetime | None) -> bool:
    if owner is None or heartbeat is None:
        return True
    host, _, pid = owner.rpartition(":")
    if host == socket.gethostname():
        return not _is_alive(int(pid))
    return utc_now() - heartbeat > STALE_AFTER


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
