"""Where an import records what became of its files."""

from collections.abc import Sequence
from typing import Protocol

from sqlalchemy import Connection

from dicom_graph.store.jobs.jobs import Failure, JobCounts, JobStatus, finish_job, save_progress


class Ledger(Protocol):
    """Records what an import does, in the transactions in which it does it.

    `is_tried_again`: after an unexpected error somebody else goes on, so that it is no end.
    """

    is_tried_again: bool

    def save(self, connection: Connection, counts: JobCounts, failures: Sequence[Failure]) -> bool:
        """Record the counts so far, and further failures; returns whether it is asked to end.

        Raises JobLostError.
        """

    def finish(
        self, connection: Connection, status: JobStatus, counts: JobCounts, error: str | None
    ) -> None:
        """Record how it ended. Raises JobLostError."""


class JobLedger:
    """The row of a job that this process runs alone."""

    is_tried_again = False

    def __init__(self, job_id: int) -> None:
        self._job_id = job_id

    def save(self, connection: Connection, counts: JobCounts, failures: Sequence[Failure]) -> bool:
        """See `save_progress`."""
        return save_progress(connection, self._job_id, counts, failures)

    def finish(
        self, connection: Connection, status: JobStatus, counts: JobCounts, error: str | None
    ) -> None:
        """See `finish_job`."""
        finish_job(connection, self._job_id, status, counts, error)
