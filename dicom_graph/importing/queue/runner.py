"""The server's side of the queue: it hands imports over, and looks after those that are there."""

import logging
import time
from collections.abc import Sequence

from sqlalchemy import Connection

from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.options import DEFAULTS, ImportOptions
from dicom_graph.importing.queue.library import ConnectorException, Queue
from dicom_graph.importing.queue.rescue import has_workers, rescue
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.batches import queue_job, queued_jobs
from dicom_graph.store.jobs.control import create_retry
from dicom_graph.store.jobs.jobs import (
    JobOrigin,
    JobRequest,
    claimable_jobs,
    create_job,
    fail_dead_jobs,
)

log = logging.getLogger(__name__)
_WARN_SECONDS = 60.0
_SHOWN = 5


class QueueRunner(JobRunner):
    """Runs no import itself: workers do. Takes over what was asked for without the queue."""

    def __init__(
        self, database: Database, *, stalled_after: float, options: ImportOptions = DEFAULTS
    ) -> None:
        super().__init__(database, roots=(), options=options)
        self._queue = Queue(database)
        self._stalled_after = stalled_after
        self._warned = -_WARN_SECONDS

    def submit(self, request: JobRequest) -> int:
        """Record a job and queue it, in one transaction; returns its id."""
        with self._database.writer.begin() as connection:
            job_id = create_job(connection, request)
            self._put(connection, job_id)
            self._warn_of(connection, [job_id])
        return job_id

    def retry(self, job_id: int) -> int:
        """Queue a job that reads again what this one failed on; returns its id.

        Raises JobControlError.
        """
        with self._database.writer.begin() as connection:
            new_id = create_retry(connection, job_id, JobOrigin.API)
            self._put(connection, new_id)
        return new_id

    def _run_waiting(self) -> None:
        with self._database.writer.begin() as connection:
            fail_dead_jobs(connection)
            for job_id in claimable_jobs(connection, JobOrigin.API):
                self._put(connection, job_id)
            self._warn_of_waiting(connection)
        try:
            rescue(self._database, self._queue, self._stalled_after)
        except ConnectorException as error:
            log.warning("the queue cannot be read: %s; trying again", type(error).__name__)

    def _warn_of_waiting(self, connection: Connection) -> None:
        """Tell, and again while it lasts, that imports wait and no worker runs."""
        if time.monotonic() - self._warned >= _WARN_SECONDS:
            self._warn_of(connection, queued_jobs(connection))

    def _warn_of(self, connection: Connection, job_ids: Sequence[int]) -> None:
        if not job_ids or has_workers(connection, self._stalled_after):
            return
        self._warned = time.monotonic()
        shown = ", ".join(map(str, job_ids[:_SHOWN])) + (", …" if len(job_ids) > _SHOWN else "")
        log.warning("import %s waits: no worker runs, `dicom-graph worker` starts one", shown)

    def _put(self, connection: Connection, job_id: int) -> None:
        number = queue_job(connection, job_id)
        if number is not None:
            self._queue.put(connection, job_id, number)
