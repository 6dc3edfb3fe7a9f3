"""The batches of queued imports, from the plan to the last one, which ends the job.

Whoever changes a batch holds the lock of its job's row first, so that nobody deadlocks and one
process sees that nothing is left. PostgreSQL only, as is the queue.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update

from dicom_graph.store.jobs.jobs import (
    COUNT_COLUMNS,
    KEPT_COUNTS,
    ClaimedJob,
    Failure,
    JobCounts,
    JobLostError,
    JobStatus,
    failed_paths,
    request_of,
    rows_of,
)
from dicom_graph.store.jobs.owners import QUEUE
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.imports import ImportBatch, ImportFailure, ImportJob

MAX_LOST = 10
"""A batch whose worker died, or failed, so often is given up."""
_COLUMNS = {name: column for name, column in COUNT_COLUMNS.items() if name != "found"}


class BatchKind(StrEnum):
    """What a batch does: walk the tree, read files, or look for what is gone."""

    PLAN = "PLAN"
    FILES = "FILES"
    GONE = "GONE"


class BatchStatus(StrEnum):
    """Where a batch is in its life."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class ClaimedBatch:
    """A batch that this worker runs; of its `job`, `counts` and `is_resumed` are the batch's.

    `is_given_up`: it was tried too often, and is only to be reported.
    """

    job: ClaimedJob
    number: int
    attempt: int
    kind: BatchKind
    places: tuple[str, ...]
    cursor: tuple[str, ...] | None
    is_given_up: bool


class After(NamedTuple):
    """What follows the end of a batch: the job's end, or a batch that is now to be queued."""

    closed: JobStatus | None = None
    next: int | None = None


def queue_job(connection: Connection, job_id: int) -> int | None:
    """Give a job that nobody runs to the queue; returns the batch to be queued.

    None where it is the queue's already, or has ended.
    """
    row = _locked_job(connection, job_id)
    if row is None or row["owner"] == QUEUE or JobStatus(row["status"]).is_final:
        return None
    lost = _COLUMNS.keys() - KEPT_COUNTS["MOVE" if row["storage"] == "MOVE" else "IN_PLACE"]
    values: dict[str, Any] = {_COLUMNS[name].key: 0 for name in lost}
    values |= {"owner": QUEUE, "status": JobStatus.PENDING, "heartbeat_at": utc_now(), "found": 0}
    connection.execute(update(ImportJob).where(ImportJob.id == job_id).values(values))
    connection.execute(delete(ImportFailure).where(ImportFailure.job_id == job_id))
    _insert(connection, job_id, 0, BatchKind.PLAN)
    return 0


def queued_jobs(connection: Connection) -> list[int]:
    """The jobs of the queue that have not ended."""
    statement = select(ImportJob.id).where(
        ImportJob.owner == QUEUE, ImportJob.finished_at.is_(None)
    )
    return list(connection.execute(statement.order_by(ImportJob.id)).scalars())


def claim_batch(
    connection: Connection, job_id: int, number: int
) -> tuple[ClaimedBatch | None, After]:
    """Take a batch over, from its beginning; None where it is done, or its job has ended.

    Its share of the report starts anew, as with `claim_job`. The worker that had it before loses
    it.
    """
    row = _locked_job(connection, job_id)
    batch = _batch(connection, job_id, number)
    if row is None or batch is None or batch["status"] in (BatchStatus.DONE, BatchStatus.FAILED):
        return None, After()
    if _is_ending(row):
        _update_batch(connection, job_id, number, status=BatchStatus.DONE)
        return None, _advance(connection, job_id)
    now = utc_now()
    starts = {"status": JobStatus.RUNNING, "heartbeat_at": now}
    if row["status"] != JobStatus.RUNNING:
        starts |= {"started_at": row["started_at"] or now, "resumed_at": now}
    connection.execute(update(ImportJob).where(ImportJob.id == job_id).values(starts))
    lost = batch["lost"] + (batch["status"] == BatchStatus.RUNNING)
    attempt = batch["attempt"] + 1
    counts = JobCounts(**batch["counts"])
    if batch["kind"] == BatchKind.FILES:
        kept = JobCounts(**{name: getattr(counts, name) for name in KEPT_COUNTS[row["storage"]]})
        _add(connection, job_id, _difference(kept, counts))
        counts = kept
        mine = (ImportFailure.job_id == job_id, ImportFailure.batch == number)
        connection.execute(delete(ImportFailure).where(*mine))
    _update_batch(
        connection, job_id, number, status=BatchStatus.RUNNING, attempt=attempt, lost=lost,
        counts=asdict(counts),
    )  # fmt: skip
    request = request_of(row)
    only = None if request.retry_of is None else failed_paths(connection, request.retry_of)
    # A job that was begun without the queue was resumed later than it was started.
    is_resumed = attempt > 1 or row["started_at"] != row["resumed_at"]
    claimed = ClaimedBatch(
        ClaimedJob(job_id, request, is_resumed, counts, only), number, attempt,
        BatchKind(batch["kind"]), tuple(batch["places"] or ()),
        None if batch["cursor"] is None else tuple(batch["cursor"]), lost >= MAX_LOST,
    )  # fmt: skip
    return claimed, After()


def save_batch(
    connection: Connection, batch: ClaimedBatch, counts: JobCounts, failures: Sequence[Failure]
) -> bool:
    """Record where a batch is, and add that to its job; part of the transaction that wrote it.

    Returns whether the job is asked to end. Raises JobLostError.
    """
    job_id, number = batch.job.id, batch.number
    row = _locked_job(connection, job_id)
    before = _require_own(connection, batch)
    _add(connection, job_id, _difference(counts, JobCounts(**before["counts"])))
    _update_batch(connection, job_id, number, counts=asdict(replace(counts, found=0)))
    if failures:
        rows = [row | {"batch": number} for row in rows_of(job_id, failures)]
        connection.execute(insert(ImportFailure), rows)
    return row is None or _is_ending(row)


def add_batch(connection: Connection, plan: ClaimedBatch, places: Sequence[str], found: int) -> int:
    """Add a batch that reads so many files; returns its number. After `save_batch` of the plan."""
    number = _next_number(connection, plan.job.id)
    _insert(connection, plan.job.id, number, BatchKind.FILES, places)
    statement = update(ImportJob).where(ImportJob.id == plan.job.id)
    connection.execute(statement.values(found=ImportJob.found + found))
    return number


def move_cursor(connection: Connection, plan: ClaimedBatch, cursor: Sequence[str]) -> None:
    """Record how far a plan has come. After `save_batch` of it."""
    _update_batch(connection, plan.job.id, plan.number, cursor=list(cursor))


def finish_batch(connection: Connection, batch: ClaimedBatch, error: str | None = None) -> After:
    """End a batch, with an error where it is given up. Raises JobLostError."""
    _locked_job(connection, batch.job.id)
    _require_own(connection, batch)
    status = BatchStatus.DONE if error is None else BatchStatus.FAILED
    _update_batch(connection, batch.job.id, batch.number, status=status, error=error)
    return _advance(connection, batch.job.id)


def fail_job(connection: Connection, batch: ClaimedBatch, error: str) -> After:
    """End a batch and with it the job: no further batch begins. Raises JobLostError."""
    row = _locked_job(connection, batch.job.id)
    _require_own(connection, batch)
    _update_batch(connection, batch.job.id, batch.number, status=BatchStatus.FAILED)
    if row is not None and row["error"] is None:
        values = {"error": error}
        connection.execute(update(ImportJob).where(ImportJob.id == batch.job.id).values(values))
    return _advance(connection, batch.job.id)


def release_batch(connection: Connection, batch: ClaimedBatch, *, lost: bool) -> None:
    """Give a batch back, to be begun again by any worker; it is nothing where it is not ours.

    `lost`: it came to no end, and so often is it given up.
    """
    _locked_job(connection, batch.job.id)
    try:
        before = _require_own(connection, batch)
    except JobLostError:
        return
    _update_batch(
        connection, batch.job.id, batch.number, status=BatchStatus.PENDING,
        lost=before["lost"] + lost,
    )  # fmt: skip


def cancel_queued(connection: Connection, job_id: int) -> JobStatus:
    """End a job of the queue: at once where no batch runs, else as soon as the running ones end."""
    _locked_job(connection, job_id)
    values = {"cancel_requested": True}
    connection.execute(update(ImportJob).where(ImportJob.id == job_id).values(values))
    return _advance(connection, job_id).closed or JobStatus.RUNNING


def running_batches(connection: Connection) -> list[tuple[int, int]]:
    """The batches that are begun, by job and number."""
    statement = select(ImportBatch.job_id, ImportBatch.number)
    rows = connection.execute(statement.where(ImportBatch.status == BatchStatus.RUNNING))
    return [(job_id, number) for job_id, number in rows]


def _advance(connection: Connection, job_id: int) -> After:
    """After a batch has ended, under the job's lock: go on to the next stage, or end the job."""
    job = _locked_job(connection, job_id)
    if job is None or JobStatus(job["status"]).is_final:
        return After()
    of_job = ImportBatch.job_id == job_id
    is_ending = _is_ending(job)
    if is_ending:
        connection.execute(
            delete(ImportBatch).where(of_job, ImportBatch.status == BatchStatus.PENDING)
        )
    open_ones = ImportBatch.status.in_((BatchStatus.PENDING, BatchStatus.RUNNING))
    if connection.execute(select(ImportBatch.number).where(of_job, open_ones).limit(1)).first():
        return After()
    errors = select(ImportBatch.error).where(of_job, ImportBatch.error.is_not(None))
    error = job["error"] or connection.execute(errors.limit(1)).scalar()
    gone = select(ImportBatch.number).where(of_job, ImportBatch.kind == BatchKind.GONE)
    if job["sync"] and not is_ending and error is None and not connection.execute(gone).first():
        number = _next_number(connection, job_id)
        _insert(connection, job_id, number, BatchKind.GONE)
        return After(next=number)
    status = JobStatus.COMPLETED if error is None else JobStatus.FAILED
    if job["cancel_requested"]:
        status, error = JobStatus.CANCELLED, "cancelled on request"
    _close(connection, job, status, error)
    return After(status)


def _close(connection: Connection, job: RowMapping, status: JobStatus, error: str | None) -> None:
    names = ("created", "updated", "existing", "skipped", "failed")
    processed = sum(job[_COLUMNS[name].key] for name in names)
    is_complete = status is JobStatus.COMPLETED
    found = processed if is_complete else max(job["found"], processed)
    values = {"status": status, "error": error, "found": found, "finished_at": utc_now()}
    connection.execute(update(ImportJob).where(ImportJob.id == job["id"]).values(values))
    connection.execute(delete(ImportBatch).where(ImportBatch.job_id == job["id"]))


def _locked_job(connection: Connection, job_id: int) -> RowMapping | None:
    """The job's row, which nobody else changes until this transaction ends."""
    statement = select(ImportJob.__table__).where(ImportJob.id == job_id)
    # As an update of it would: rows that refer to it may be written meanwhile.
    return connection.execute(statement.with_for_update(key_share=True)).mappings().first()


def _is_ending(job: RowMapping) -> bool:
    is_final = JobStatus(job["status"]).is_final
    return is_final or job["cancel_requested"] or job["error"] is not None


def _batch(connection: Connection, job_id: int, number: int) -> RowMapping | None:
    statement = select(ImportBatch.__table__).where(
        ImportBatch.job_id == job_id, ImportBatch.number == number
    )
    return connection.execute(statement).mappings().first()


def _require_own(connection: Connection, batch: ClaimedBatch) -> RowMapping:
    row = _batch(connection, batch.job.id, batch.number)
    ours = (BatchStatus.RUNNING, batch.attempt)
    if row is None or (row["status"], row["attempt"]) != ours:
        raise JobLostError(f"batch {batch.number} of import {batch.job.id} is no longer ours")
    return row


def _insert(
    connection: Connection,
    job_id: int,
    number: int,
    kind: BatchKind,
    places: Sequence[str] | None = None,
) -> None:
    statement = insert(ImportBatch).values(
        job_id=job_id, number=number, kind=kind, status=BatchStatus.PENDING,
        places=None if places is None else list(places), counts=asdict(JobCounts()),
    )  # fmt: skip
    connection.execute(statement)


def _next_number(connection: Connection, job_id: int) -> int:
    statement = select(func.max(ImportBatch.number)).where(ImportBatch.job_id == job_id)
    return int(connection.execute(statement).scalar_one()) + 1


def _update_batch(connection: Connection, job_id: int, number: int, **values: Any) -> None:
    statement = update(ImportBatch).where(
        ImportBatch.job_id == job_id, ImportBatch.number == number
    )
    connection.execute(statement.values(values))


def _difference(after: JobCounts, before: JobCounts) -> dict[str, int]:
    names = [field.name for field in fields(JobCounts) if field.name in _COLUMNS]
    return {name: getattr(after, name) - getattr(before, name) for name in names}


def _add(connection: Connection, job_id: int, counts: dict[str, int]) -> None:
    values: dict[Any, Any] = {
        _COLUMNS[name]: _COLUMNS[name] + count for name, count in counts.items() if count
    }
    statement = update(ImportJob).where(ImportJob.id == job_id)
    connection.execute(statement.values(values | {ImportJob.heartbeat_at: utc_now()}))
