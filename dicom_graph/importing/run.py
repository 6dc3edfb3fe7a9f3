"""An import in the calling process, from paths to its report."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from dicom_graph.dicom.elements import MAX_RAW
from dicom_graph.importing.job import JobRun, Progress
from dicom_graph.importing.storage import required_root
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs import (
    Failure,
    JobCounts,
    JobRequest,
    JobStatus,
    Storage,
    bury_dead_jobs,
    claim_job,
    create_job,
)
from dicom_graph.store.tables import ImportFailure, ImportJob


@dataclass(frozen=True, slots=True)
class Report:
    """How an import went."""

    job_id: int
    status: JobStatus
    counts: JobCounts
    failures: Sequence[Failure]
    error: str | None


def run_import(
    database: Database,
    request: JobRequest,
    *,
    batch_size: int = 500,
    max_inline_bytes: int = MAX_RAW,
    storage_root: Path | None = None,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> Report:
    """Run an import to its end, or until `stop` is set. Bad files are failures in the report.

    Raises StorageError where the files are to be kept and there is no storage root.
    """
    if request.storage is not Storage.IN_PLACE:
        required_root(storage_root)
    with database.writer.begin() as connection:
        bury_dead_jobs(connection)
        job = claim_job(connection, create_job(connection, request))
    if job is None:
        raise RuntimeError("another process took the import that was just made")
    run = JobRun(
        database,
        job,
        batch_size=batch_size,
        max_inline_bytes=max_inline_bytes,
        storage_root=storage_root,
        stop=stop,
        progress=progress,
    )
    status = run.run()
    with database.read_sync() as connection:
        statement = select(ImportFailure.path, ImportFailure.message)
        rows = connection.execute(
            statement.where(ImportFailure.job_id == job.id).order_by(ImportFailure.id)
        )
        failures = [Failure(*row) for row in rows]
        error = connection.execute(
            select(ImportJob.error).where(ImportJob.id == job.id)
        ).scalar_one()
    return Report(job.id, status, run.counts, failures, error)
