"""The server's side of the queue: it hands imports over, and looks after those that are there."""

import logging

from sqlalchemy import Connection

from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.options import DEFAULTS, ImportOptions
from dicom_graph.importing.queue.library import ConnectorException, Queue
from dicom_graph.importing.queue.rescue import has_workers, rescue
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.batches import queue_job
from dicom_graph.store.jobs.control import create_retry
from dicom_graph.store.jobs.jobs import (
    JobOrigin,
    JobRequest,
    claimable_jobs,
    create_job,
    fail_dead_jobs,
)

log = logging.getLogger(__name__)


class QueueRunner(JobRunner):
    """Runs no import itself: workers do. Takes over what was asked for without the queue."""

    def __init__(
        self, database: Database, *, stalled_after: float, options: ImportOptions = DEFAULTS
    ) -> None:
        super().__init__(database, roots=(), options=options)
        self._queue = Queue(database)
        self._stalled_after = stalled_after

    def submit(self, request: JobRequest) -> int:
        """Record a job and queue it, in one transaction; returns its id."""
        with self._database.writer.begin() as connection:
            job_id = create_job(connection, request)
            self._put(connection, job_id)
            is_served = has_workers(connection, self._stalled_after)
        if not is_served:
            log.warning("import %s waits: no worker runs, `dicom-graph worker` starts one", job_id)
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
        try:
            rescue(self._database, self._queue, self._stalled_after)
        except ConnectorException as error:
            log.warning("the queue cannot be read: %s; trying again", type(error).__name__)

    def _put(self, connection: Connection, job_id: int) -> None:
        number = queue_job(connection, job_id)
        if number is not None:
            self._queue.put(connection, job_id, number)
