"""An import in the calling process, from paths to its report."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from dicom_graph.dicom.errors import FailureCode
from dicom_graph.importing.discover import Leave
from dicom_graph.importing.job import JobRun
from dicom_graph.importing.job_writer import Progress
from dicom_graph.importing.options import DEFAULTS, ImportOptions
from dicom_graph.importing.storage import required_root
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.control import create_retry, no_such_job
from dicom_graph.store.jobs.jobs import (
    ClaimedJob,
    Failure,
    JobCounts,
    JobOrigin,
    JobRequest,
    JobStatus,
    Skip,
    Storage,
    claim_job,
    counts_of,
    create_job,
    fail_dead_jobs,
)
from dicom_graph.store.tables.imports import ImportFailure, ImportJob


@dataclass(frozen=True, slots=True)
class Report:
    """How an import went. `skips`: the first of the files that it skipped."""

    job_id: int
    status: JobStatus
    counts: JobCounts
    failures: Sequence[Failure]
    error: str | None
    skips: Sequence[Skip]


def run_import(
    database: Database,
    request: JobRequest,
    options: ImportOptions = DEFAULTS,
    *,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
    leave: Leave | None = None,
    mounts: tuple[str, ...] | None = None,
) -> Report:
    """Run an import to its end, or until `stop` is set. Bad files are failures in the report.

    `leave` and `mounts`: see `JobRun`. Raises StorageError where the files are to
    be kept and there is no storage root.
    """
    if request.storage is not Storage.IN_PLACE:
        required_root(options.storage_root)
    with database.writer.begin() as connection:
        fail_dead_jobs(connection)
        job = _claimed(connection, create_job(connection, request))
    run = JobRun(database, job, options, stop=stop, progress=progress, leave=leave, mounts=mounts)
    return _report(database, run, job.id)


def retry_import(
    database: Database,
    job_id: int,
    origin: JobOrigin,
    options: ImportOptions = DEFAULTS,
    *,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> Report:
    """Read again what an earlier import failed on, as a new import.

    Raises JobControlError; StorageError where the import kept files and there is no storage root.
    """
    with database.writer.begin() as connection:
        fail_dead_jobs(connection)
        job = _claimed(connection, create_retry(connection, job_id, origin))
        if job.request.storage is not Storage.IN_PLACE:
            required_root(options.storage_root)
    run = JobRun(database, job, options, stop=stop, progress=progress)
    return _report(database, run, job.id)


def run_requested(
    database: Database,
    job_id: int,
    options: ImportOptions = DEFAULTS,
    *,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> Report:
    """Run an import that is recorded already, and that no server takes, to its end."""
    with database.writer.begin() as connection:
        job = _claimed(connection, job_id)
    return _report(database, JobRun(database, job, options, stop=stop, progress=progress), job_id)


def _claimed(connection: Connection, job_id: int) -> ClaimedJob:
    job = claim_job(connection, job_id)
    if job is None:
        raise RuntimeError("another process took the import that was just made")
    return job


def read_report(database: Database, job_id: int) -> Report:
    """The report of a job, as far as it has come. Raises JobControlError where there is none."""
    with database.read_sync() as connection:
        job = connection.execute(select(ImportJob).where(ImportJob.id == job_id)).mappings().first()
        if job is None:
            raise no_such_job(job_id)
        statement = select(
            ImportFailure.path, ImportFailure.message, ImportFailure.code, ImportFailure.is_skipped
        )
        rows = connection.execute(
            statement.where(ImportFailure.job_id == job_id).order_by(ImportFailure.id)
        ).all()
    failures = [Failure(*row[:2], FailureCode(row.code)) for row in rows if not row.is_skipped]
    skips = [Skip(row.path, row.message) for row in rows if row.is_skipped]
    status = JobStatus(job["status"])
    return Report(job_id, status, counts_of(job), failures, job["error"], skips)


def _report(database: Database, run: JobRun, job_id: int) -> Report:
    """Run the job, and give its report."""
    run.run()
    return read_report(database, job_id)
