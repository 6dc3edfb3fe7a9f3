"""Running the imports that the API asked for, one after the other, beside the server."""

import logging
import threading
import traceback
from contextlib import suppress
from pathlib import Path

from dicom_graph.importing.child_process import kill_children
from dicom_graph.importing.job import JobRun
from dicom_graph.importing.log_texts import counts_text
from dicom_graph.importing.options import DEFAULTS, ImportOptions
from dicom_graph.importing.private_storage import StoragePermissionsRepair
from dicom_graph.importing.safe_files import StorageError
from dicom_graph.importing.uploads import discard_abandoned_uploads, discard_upload
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.control import cancel_job, create_retry
from dicom_graph.store.jobs.jobs import (
    ClaimedJob,
    JobLostError,
    JobOrigin,
    JobRequest,
    JobStatus,
    claim_job,
    claimable_jobs,
    create_job,
    fail_dead_jobs,
    finish_job,
    give_back_job,
)
from dicom_graph.store.sql.driver_errors import DRIVER_ERRORS, describe_error
from dicom_graph.store.sql.unavailable import DatabaseUnavailable, unavailable_message

log = logging.getLogger(__name__)
_LOOK_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_MAX_PAUSE_SECONDS = 300.0
_STOP_SECONDS = 15.0
_UNEXPECTED = "unexpected %s; see the log"
_FAILURES = (*DRIVER_ERRORS, DatabaseUnavailable)


class JobRunner:
    """One thread that takes waiting API jobs, also those that a crash or a stop left unfinished."""

    def __init__(
        self,
        database: Database,
        *,
        roots: tuple[Path, ...],
        options: ImportOptions = DEFAULTS,
    ) -> None:
        self._database = database
        self._roots = roots
        self._options = options
        self._storage_root = options.storage_root
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._n_troubles = 0
        self._permissions_repair: StoragePermissionsRepair | None = None
        self._thread = threading.Thread(target=self._work, name="importer", daemon=True)

    def start(self) -> None:
        """Begin to take jobs."""
        if self._storage_root is not None:
            self._permissions_repair = StoragePermissionsRepair(self._database, self._storage_root)
            self._permissions_repair.start()
        self._thread.start()

    def stop(self) -> None:
        """End the running batch, mark its job as interrupted, and wait until that is done.

        Not for ever: what the system does not let go of is left, and so is its job, which the next
        server finds without an owner.
        """
        self._stop.set()
        self._wake.set()
        if self._permissions_repair is not None:
            self._permissions_repair.stop()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)
        if self._thread.is_alive():
            log.error("the running import does not end, and is left: a disk or mount may hang")
            kill_children()

    def submit(self, request: JobRequest) -> int:
        """Record a job to be run soon; returns its id."""
        with self._database.writer.begin() as connection:
            job_id = create_job(connection, request)
        self.wake()
        return job_id

    def cancel(self, job_id: int) -> None:
        """End a job, wherever it runs. Raises JobControlError."""
        with self._database.writer.begin() as connection:
            cancel_job(connection, job_id)

    def retry(self, job_id: int) -> int:
        """Record a job that reads again what this one failed on; returns its id.

        Raises JobControlError.
        """
        with self._database.writer.begin() as connection:
            new_id = create_retry(connection, job_id, JobOrigin.API)
        self.wake()
        return new_id

    def wake(self) -> None:
        """Look for waiting jobs now."""
        self._wake.set()

    def _work(self) -> None:
        self._clean()
        while not self._stop.is_set():
            try:
                self._run_waiting()
            except _FAILURES as error:
                log.error(
                    "the import queue cannot be read: %s",
                    unavailable_message(error) or describe_error(error),
                )
            self._wake.wait(min(_LOOK_SECONDS * 2**self._n_troubles, _MAX_PAUSE_SECONDS))
            self._wake.clear()

    def _clean(self) -> None:
        """Remove what earlier servers left of uploads; an import goes before cleanliness."""
        if self._storage_root is not None:
            try:
                discard_abandoned_uploads(self._database, self._storage_root)
            except (*_FAILURES, OSError) as error:
                log.error("abandoned uploads cannot be removed: %s", describe_error(error))

    def _run_waiting(self) -> None:
        with self._database.writer.begin() as connection:
            fail_dead_jobs(connection)
        with self._database.read_sync() as connection:
            can_store = self._storage_root is not None
            waiting = claimable_jobs(connection, JobOrigin.API, can_store=can_store)
        for job_id in waiting:
            if self._stop.is_set():
                return
            self._run(job_id)

    def _run(self, job_id: int) -> None:
        with self._database.writer.begin() as connection:
            job = claim_job(connection, job_id)
        if job is None:
            return
        try:
            run = JobRun(self._database, job, self._options, roots=self._roots, stop=self._stop)
            status = run.run()
        except Exception as error:
            problem = unavailable_message(error)
            if problem is not None:
                self._give_back(job_id, problem)
            else:
                self._fail(job, error)
            return
        self._n_troubles = 0
        if status.is_final and self._storage_root is not None:
            discard_upload(job.request.paths, self._storage_root)
        log.info("import %s: %s; %s", job_id, status, counts_text(run.counts))
        if warned := str(run.warned):
            log.warning("import %s: warnings of elements: %s", job_id, warned)

    def _fail(self, job: ClaimedJob, error: Exception) -> None:
        """Record it of a job that could not begin, so that others get their turn; one that had
        begun has recorded it itself.
        """
        told = str(error) if isinstance(error, StorageError) else _UNEXPECTED % type(error).__name__
        with suppress(JobLostError):
            with self._database.writer.begin() as connection:
                finish_job(connection, job.id, JobStatus.FAILED, job.counts, told)
            # Not the message: it may have the path of a patient's file.
            place = "".join(traceback.format_tb(error.__traceback__))
            log.error("import %s cannot begin: %s\n%s", job.id, type(error).__name__, place)

    def _give_back(self, job_id: int, problem: str) -> None:
        """As soon as the database takes that; a later run goes on where this one stopped.

        Who ends before leaves a job whose owner is dead, which is as good.
        """
        while not self._stop.wait(_RETRY_SECONDS):
            try:
                with self._database.writer.begin() as connection:
                    give_back_job(connection, job_id, f"{problem}; it goes on by itself")
                break
            except _FAILURES:
                continue
        if self._n_troubles == 0:
            self._wake.set()
        self._n_troubles = min(self._n_troubles + 1, 10)
