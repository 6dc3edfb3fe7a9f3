"""What is asked of jobs that are there: that they end, or that their failures are read again."""

import datetime as dt
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from dicom_graph.error_codes import ErrorCode
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.batches import cancel_queued
from dicom_graph.store.jobs.jobs import (
    UPLOADED,
    JobOrigin,
    JobRequest,
    JobStatus,
    Storage,
    create_job,
    exclusion_of,
)
from dicom_graph.store.jobs.owners import QUEUE, is_dead
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.imports import ImportFailure, ImportJob

_ATTEMPTS = 10


class JobControlError(ValueError):
    """What is asked of the job cannot be done; the message says why, `code` says it to programs."""

    def __init__(self, message: str, code: ErrorCode) -> None:
        super().__init__(message)
        self.code = code


class JobSummary(NamedTuple):
    """A job in one line."""

    id: int
    created: dt.datetime
    origin: JobOrigin
    status: JobStatus
    paths: list[str]
    retry_of: int | None


def list_jobs(connection: Connection, limit: int) -> list[JobSummary]:
    """The latest jobs, the last first."""
    statement = select(
        ImportJob.id, ImportJob.created, ImportJob.origin, ImportJob.status, ImportJob.paths,
        ImportJob.retry_of,
    )  # fmt: skip
    rows = connection.execute(statement.order_by(ImportJob.id.desc()).limit(limit))
    return [
        JobSummary(id, at, JobOrigin(o), JobStatus(s), paths, of)
        for id, at, o, s, paths, of in rows
    ]


def cancel_job(connection: Connection, job_id: int) -> JobStatus:
    """End a job: at once where nobody runs it, else at its next batch, in whichever process.

    Returns its status afterwards. Raises JobControlError where there is none or it has ended.
    """
    for _ in range(_ATTEMPTS):
        row = connection.execute(
            select(ImportJob.status, ImportJob.owner, ImportJob.heartbeat_at).where(
                ImportJob.id == job_id
            )
        ).first()
        if row is None:
            raise no_such_job(job_id)
        status = JobStatus(row.status)
        if status.is_final:
            raise JobControlError(
                f"import {job_id} has ended: {status.lower()}", ErrorCode.JOB_HAS_ENDED
            )
        if row.owner == QUEUE:
            return cancel_queued(connection, job_id)
        is_running = status is JobStatus.RUNNING and not is_dead(row.owner, row.heartbeat_at)
        values: dict[str, object] = {"cancel_requested": True}
        if not is_running:
            values |= {"status": JobStatus.CANCELLED, "finished_at": utc_now()}
        unchanged = ImportJob.owner.is_not_distinct_from(row.owner)
        statement = update(ImportJob).where(
            ImportJob.id == job_id, ImportJob.status == row.status, unchanged
        )
        if connection.execute(statement.values(values)).rowcount == 1:
            return JobStatus.RUNNING if is_running else JobStatus.CANCELLED
    raise JobControlError(f"import {job_id} changes hands; try again", ErrorCode.JOB_CHANGES_HANDS)


def create_retry(connection: Connection, job_id: int, origin: JobOrigin) -> int:
    """Insert a pending job that reads again what an ended one failed on; returns its id.

    Raises JobControlError where there is no such job, it still runs, or nothing failed.
    """
    job = connection.execute(select(ImportJob).where(ImportJob.id == job_id)).mappings().first()
    if job is None:
        raise no_such_job(job_id)
    if not JobStatus(job["status"]).is_final:
        raise JobControlError(f"import {job_id} has not ended yet", ErrorCode.JOB_HAS_NOT_ENDED)
    failed = ImportFailure.job_id == job_id, ~ImportFailure.is_skipped
    path = connection.execute(select(ImportFailure.path).where(*failed).limit(1)).scalar()
    if path is None:
        raise JobControlError(f"no file of import {job_id} failed", ErrorCode.NOTHING_FAILED)
    if path.startswith(UPLOADED):
        raise JobControlError(
            f"import {job_id} is an upload: send its files again", ErrorCode.UPLOAD
        )
    request = JobRequest(
        tuple(job["paths"]), Mode[job["mode"]], job["pattern"], job["stop_on_error"], origin,
        verify=job["verify"], retry_of=job_id, storage=Storage(job["storage"]),
        exclude=exclusion_of(job),
    )  # fmt: skip
    return create_job(connection, request)


def no_such_job(job_id: int) -> JobControlError:
    """The error for an id that no job has."""
    return JobControlError(f"there is no import {job_id}", ErrorCode.NO_SUCH_JOB)
