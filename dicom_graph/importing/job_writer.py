"""Saving what a job has read: in batches, with the counts and failures, in one transaction each."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from sqlalchemy import Connection

from dicom_graph.dicom.errors import FailureCode
from dicom_graph.importing.ledger import Ledger
from dicom_graph.importing.log_texts import WarningCounts
from dicom_graph.importing.options import ImportOptions
from dicom_graph.importing.reader import Result
from dicom_graph.importing.storage import FileStorage, in_parts, required_root
from dicom_graph.importing.sync import Step
from dicom_graph.importing.timeouts import (
    TimedCalls,
)
from dicom_graph.importing.uploads import uploaded_names
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import (
    BatchWriter,
    Outcome,
    ReadFile,
)
from dicom_graph.store.jobs.jobs import (
    MAX_SKIPS,
    ClaimedJob,
    Failure,
    JobCounts,
    JobOrigin,
    JobStatus,
    Skip,
    Storage,
)
from dicom_graph.store.sql.driver_errors import REFUSED, is_deadlock

Progress = Callable[[JobCounts], None]
_BATCH_SECONDS = 1.0
_MAX_WEIGHT = 32 << 20
_ATTEMPTS = 5
"""How often a batch is begun that other writers stand in the way of."""
MAX_SILENCE = 2.0
"""Seconds without a sign, after which others could soon take a job for dead."""
_COPY_SECONDS = 3.0
"""How long copies that are being made may go on once the job is to end."""


class Stopped(Exception):
    """The job must end here; what was read is written first."""

    def __init__(self, status: JobStatus, error: str | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class JobWriter:
    """Writes for one run of a job, in its thread. `counts`: what became of the files so far;
    `found`: how many files there are, as far as is known; `warned`: the warnings of what was
    written.
    """

    def __init__(
        self,
        database: Database,
        job: ClaimedJob,
        options: ImportOptions,
        *,
        ledger: Ledger,
        stop: threading.Event,
        progress: Progress,
    ) -> None:
        self._database = database
        self._job = job
        self._ledger = ledger
        self._batch_size = options.batch_size
        self._stop = stop
        self._progress = progress
        self.calls = TimedCalls(options.file_seconds, self.show_life)
        self.storage: FileStorage | None = None
        if job.request.storage is not Storage.IN_PLACE:
            root = required_root(options.storage_root)
            self.storage = FileStorage(database, root, job, options.file_seconds)
        self._names = uploaded_names(job.request.paths, options.storage_root)
        self._rows = BatchWriter(verify=job.request.verify, exclude=job.request.exclude)
        self.counts = job.counts
        self.warned = WarningCounts()
        self._batch: list[ReadFile] = []
        self._failures: list[Failure] = []
        self._left_behind: list[Failure] = []
        self._unsaved = 0
        self._weight = 0
        self._last_save = time.monotonic()
        self.found = 0
        self._is_cancelled = False
        self._n_skips = 0
        self._stopped_at: float | None = None

    def add(self, result: Result) -> None:
        """Take what became of a file. Raises Stopped where a failure ends the job."""
        self._unsaved += 1
        if isinstance(result, ReadFile):
            self._batch.append(result)
            self._weight += result.weight
        elif isinstance(result, Outcome):
            _count(self.counts, result)
        elif isinstance(result, Skip):
            self.skip(result)
        elif isinstance(result, Failure):
            self.fail(result)

    def show_life(self) -> None:
        """Tell others that the job lives, and nothing else."""
        if self.is_silent():
            with self._database.writer.begin() as connection:
                self._ledger.save(connection, replace(self.counts, found=self.found), ())
            self._last_save = time.monotonic()

    def check_stop(self) -> None:
        """Raises Stopped where the job is to end."""
        if self._stop.is_set():
            goes_on = self._job.request.origin is JobOrigin.API
            raise Stopped(JobStatus.INTERRUPTED if goes_on else JobStatus.CANCELLED)

    def skip(self, skipped: Skip) -> None:
        """Take a file that is none of an image into the report."""
        self.counts.skipped += 1
        self._n_skips += 1
        if self._n_skips <= MAX_SKIPS:
            skipped.path = self._names.get(skipped.path, skipped.path)
            self._failures.append(skipped)

    def fail(self, *failures: Failure) -> None:
        """Take failures into the report. Raises Stopped where the first one ends the job."""
        for failure in failures:
            failure.path = self._names.get(failure.path, failure.path)
            self.counts.failed += 1
            self._failures.append(failure)
        if failures and self._job.request.stop_on_error:
            raise Stopped(JobStatus.FAILED, f"stopped at the first failure: {failures[0].path}")

    def is_due(self) -> bool:
        """Whether what was added is to be saved now."""
        if len(self._batch) >= self._batch_size or self._weight > _MAX_WEIGHT:
            return True
        if self.is_silent():
            return True
        return self._unsaved >= 100 and time.monotonic() - self._last_save > _BATCH_SECONDS

    def is_silent(self) -> bool:
        """Whether others could soon take the job for dead."""
        return time.monotonic() - self._last_save > MAX_SILENCE

    def save(self) -> None:
        """The batch in one transaction; file by file where the database refuses one of them."""
        batch, self._batch, self._weight = self._batch, [], 0
        if self.storage is None:
            self._write_all(batch)
        else:
            for part in in_parts(batch):
                self._store(self.storage, part)
        self._unsaved = 0

    def _write_all(self, batch: Sequence[ReadFile]) -> None:
        try:
            self._write(batch)
        except REFUSED:
            for file in batch:
                self._write_alone(file)
            self._write([])

    def _store(self, storage: FileStorage, part: Sequence[ReadFile]) -> None:
        """Put files below the storage root, write them, and remove what they were moved from."""
        stored = storage.store(part, self._beat)
        released = (storage.release(file, self.calls) for file in stored.repeated)
        left = [failure for failure in released if failure]
        self.counts.existing += max(0, stored.existing - len(left))
        try:
            self._write_all(stored.files)
        finally:
            left += self._left_behind
            self._left_behind.clear()
            self.fail(*stored.failures, *left)
        if self._failures:
            self._write([])
        if stored.full:
            raise Stopped(JobStatus.FAILED, stored.full)

    def _beat(self) -> None:
        """While files are copied: others see that the job lives, and it ends if that must be."""
        if self._stop.is_set():
            self._stopped_at = self._stopped_at or time.monotonic()
            if time.monotonic() - self._stopped_at > _COPY_SECONDS:
                self.check_stop()
        if self.is_silent():
            self._write([])

    def _write_alone(self, file: ReadFile) -> None:
        try:
            self._write([file])
        except REFUSED as error:
            record = file.source or file.file
            path = os.path.join(record.directory, record.name)
            message = f"the database cannot hold it: {type(error).__name__}"
            self.fail(Failure(path, message, FailureCode.CANNOT_HOLD))

    def _write(self, batch: Sequence[ReadFile]) -> None:
        """One transaction: some files, the failures so far, and the job's counts.

        After it the originals of files that are moved go.
        """
        outcomes: list[Outcome] = []

        def work(connection: Connection, counts: JobCounts) -> None:
            outcomes[:] = self._rows.write(connection, batch, self._job.id)
            for outcome in outcomes:
                _count(counts, outcome)
            if batch and not self._job.request.prune:
                counts.missing += self._rows.orphaned

        is_cancelled = self._commit_batch(work)
        for file, outcome in zip(batch, outcomes, strict=True):
            if file.warnings and outcome in (Outcome.CREATED, Outcome.UPDATED):
                self.warned.add(file.warnings)
        self._release(batch, outcomes)
        self._stop_if(is_cancelled)

    def _commit_batch(self, work: Step) -> bool:
        """Commit what the writer writes, again where another writer stood in its way."""
        attempts = 0
        while True:
            try:
                return self._commit(work)
            except BaseException as error:
                self._rows.forget()
                attempts += 1
                if attempts == _ATTEMPTS or not is_deadlock(error):
                    raise

    def record(self, work: Step) -> None:
        """One transaction: some work, the failures so far, and the job's counts."""
        self._stop_if(self._commit(work))

    def _commit(self, work: Step) -> bool:
        """The same; returns whether the job is asked to end."""
        counts = replace(self.counts, found=self.found)
        with self._database.writer.begin() as connection:
            work(connection, counts)
            is_cancelled = self._ledger.save(connection, counts, self._failures)
        self.counts = counts
        self._failures.clear()
        self._last_save = time.monotonic()
        self._progress(counts)
        return is_cancelled

    def _release(self, batch: Sequence[ReadFile], outcomes: Sequence[Outcome]) -> None:
        """Remove the originals of files that were moved; one that stays is a failure."""
        for file, outcome in zip(batch, outcomes, strict=True):
            if self.storage and (failure := self.storage.release(file, self.calls)):
                _count(self.counts, outcome, -1)
                self._left_behind.append(failure)

    def _stop_if(self, is_cancelled: bool) -> None:
        if is_cancelled and not self._is_cancelled:
            self._is_cancelled = True
            raise Stopped(JobStatus.CANCELLED, "cancelled on request")

    def finish(self, status: JobStatus, error: str | None = None) -> JobStatus:
        """Record the end of the job; returns its status."""
        if status is JobStatus.COMPLETED:
            self.counts.found = self.counts.processed
        else:
            self.counts.found = max(self.found, self.counts.processed)
        with self._database.writer.begin() as connection:
            self._ledger.finish(connection, status, self.counts, error)
        self._progress(self.counts)
        return status


def _count(counts: JobCounts, outcome: Outcome, number: int = 1) -> None:
    if outcome is Outcome.CREATED:
        counts.created += number
    elif outcome is Outcome.UPDATED:
        counts.updated += number
    else:
        counts.existing += number
