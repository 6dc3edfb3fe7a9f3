"""Running one batch of a queued import, to its end or until somebody else must go on."""

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import Connection

from dicom_graph.dicom.errors import FailureCode
from dicom_graph.importing.discover import Discovery
from dicom_graph.importing.job import JobRun, discovery_of
from dicom_graph.importing.log_texts import counts_text
from dicom_graph.importing.options import DEFAULTS, ImportOptions
from dicom_graph.importing.queue.file_ranges import FileRange, FileRangesWalk
from dicom_graph.importing.queue.library import Queue, RetryLater
from dicom_graph.importing.queue.plan import Plan, StoppedAtError
from dicom_graph.importing.safe_files import StorageError
from dicom_graph.importing.sync import UnmountedError, check_mounts
from dicom_graph.importing.timeouts import Calls, CallTimeout, TimedCalls
from dicom_graph.importing.uploads import discard_upload
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.batches import (
    MAX_LOST,
    After,
    BatchKind,
    ClaimedBatch,
    claim_batch,
    fail_job,
    finish_batch,
    release_batch,
    save_batch,
)
from dicom_graph.store.jobs.jobs import (
    Failure,
    JobCounts,
    JobLostError,
    JobStatus,
    Storage,
    counts_of_job,
)

log = logging.getLogger(__name__)
_SENT_ON = 5
_MAX_WAIT = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchOptions:
    """How batches are cut, and how their files are read. `files`: so many to a batch."""

    imports: ImportOptions = DEFAULTS
    roots: tuple[Path, ...] | None = None
    files: int = 1000


class BatchLedger:
    """A batch's share of the job's report."""

    is_tried_again = True

    def __init__(self, batch: ClaimedBatch, queue: Queue) -> None:
        self._batch = batch
        self._queue = queue
        self.closed: JobStatus | None = None

    def save(self, connection: Connection, counts: JobCounts, failures: Sequence[Failure]) -> bool:
        """See `save_batch`."""
        return save_batch(connection, self._batch, counts, failures)

    def finish(
        self, connection: Connection, status: JobStatus, counts: JobCounts, error: str | None
    ) -> None:
        """End the batch, and with the last one the job; or give it back."""
        save_batch(connection, self._batch, counts, ())
        if status is JobStatus.INTERRUPTED:
            release_batch(connection, self._batch, lost=False)
        elif status is JobStatus.FAILED:
            self.follow(connection, fail_job(connection, self._batch, error or "failed"))
        else:
            self.follow(connection, finish_batch(connection, self._batch))

    def follow(self, connection: Connection, after: After) -> None:
        """Queue what comes next."""
        self.closed = after.closed
        if after.next is not None:
            self._queue.put(connection, self._batch.job.id, after.next)


class BatchRunner:
    """Runs batches, in any number of threads. `stop` hands back those that run."""

    def __init__(
        self, database: Database, queue: Queue, options: BatchOptions, stop: threading.Event
    ) -> None:
        self._database = database
        self._queue = queue
        self._options = options
        self._stop = stop

    def run(self, job_id: int, number: int, tried: int) -> None:
        """Run a batch, if nobody has ended it. Raises RetryLater where it must be begun again."""
        with self._database.writer.begin() as connection:
            batch, after = claim_batch(connection, job_id, number)
            if after.next is not None:
                self._queue.put(connection, job_id, after.next)
        if batch is None:
            return
        try:
            closed = self._run(batch, tried)
        except JobLostError as lost:
            log.warning("%s: another worker took it over", lost)
            return
        except (RetryLater, Exception) as error:
            is_sent_on = isinstance(error, RetryLater)
            with self._database.writer.begin() as connection:
                release_batch(connection, batch, lost=not is_sent_on)
            if is_sent_on:
                raise
            # Not the error itself: a database's message may quote patient data.
            log.error("batch %s of import %s: %s", number, job_id, type(error).__name__)
            raise RetryLater(min(2.0 ** min(tried, 10), _MAX_WAIT)) from None
        if closed is not None:
            with self._database.read_sync() as connection:
                counts = counts_of_job(connection, job_id)
            log.info("import %s: %s; %s", job_id, closed, counts_text(counts))

    def _run(self, batch: ClaimedBatch, tried: int) -> JobStatus | None:
        """Returns how the job ended, where this was its end."""
        ledger = BatchLedger(batch, self._queue)
        if batch.is_given_up:
            self._give_up(batch, ledger)
        else:
            self._require_here(batch, tried)
            try:
                if batch.kind is BatchKind.PLAN:
                    self._plan(batch, ledger)
                else:
                    self._read(batch, ledger)
            except StorageError as error:
                with self._database.writer.begin() as connection:
                    ledger.follow(connection, fail_job(connection, batch, str(error)))
        if ledger.closed is not None and self._options.imports.storage_root is not None:
            discard_upload(batch.job.request.paths, self._options.imports.storage_root)
        return ledger.closed

    def _require_here(self, batch: ClaimedBatch, tried: int) -> None:
        """Raises RetryLater where this machine has none of the paths, but another one may."""
        paths = set(batch.job.request.paths)
        if batch.kind is BatchKind.FILES:
            paths = {
                place.base for place in map(FileRange.of_text, batch.places) if place.is_folder
            }
        calls = TimedCalls(self._options.imports.file_seconds, self._require_going_on)
        try:
            is_here = not paths or calls.run(lambda: any(map(os.path.lexists, paths)))
        except CallTimeout:
            is_here = False
        if batch.job.request.storage is not Storage.IN_PLACE:
            root = self._options.imports.storage_root
            paths.add(str(root or "the storage root"))
            is_here = is_here and root is not None and root.is_dir()
        if is_here or tried >= _SENT_ON:
            return
        log.warning(
            "import %s needs what this machine has not, another worker must take it; mounted? %s",
            batch.job.id,
            ", ".join(sorted(paths)[:3]),
        )
        raise RetryLater(2.0**tried)

    def _plan(self, batch: ClaimedBatch, ledger: BatchLedger) -> None:
        request = batch.job.request
        error = None
        calls = TimedCalls(self._options.imports.file_seconds, self._require_going_on)
        try:
            if request.sync:
                mounts = [os.path.abspath(path) for path in request.paths]
                calls.run(check_mounts, self._database, mounts)
            plan = Plan(
                self._database,
                batch,
                self._discovery(batch, calls),
                batch_files=self._options.files,
                put=self._queue.put,
                stop=self._stop,
            )
            if not plan.run():
                raise RetryLater(0.0)
        except UnmountedError as unmounted:
            error = str(unmounted)
        except CallTimeout as late:
            error = f"the paths of the import: {late.strerror}"
        except StoppedAtError as stopped:
            error = f"stopped at the first failure: {stopped}"
        with self._database.writer.begin() as connection:
            after = fail_job(connection, batch, error) if error else finish_batch(connection, batch)
            ledger.follow(connection, after)

    def _discovery(self, batch: ClaimedBatch, calls: Calls) -> Discovery:
        options = self._options
        return discovery_of(batch.job, options.roots, options.imports.storage_root, calls=calls)

    def _require_going_on(self) -> None:
        """Raises RetryLater where this worker is to end."""
        if self._stop.is_set():
            raise RetryLater(0.0)

    def _read(self, batch: ClaimedBatch, ledger: BatchLedger) -> None:
        """Read files; of the batch that looks for what is gone there are none."""
        request = replace(batch.job.request, sync=batch.kind is BatchKind.GONE)

        def walk(calls: Calls) -> FileRangesWalk:
            return FileRangesWalk(
                self._discovery(batch, calls), [*map(FileRange.of_text, batch.places)]
            )

        run = JobRun(
            self._database,
            replace(batch.job, request=request),
            # A batch is over before others had started; other workers use the other cores.
            replace(self._options.imports, processes=1),
            roots=self._options.roots,
            stop=self._stop,
            walk=walk,
            ledger=ledger,
        )
        status = run.run()
        if warned := str(run.warned):
            log.warning("import %s: warnings of elements: %s", batch.job.id, warned)
        if status is JobStatus.INTERRUPTED:
            raise RetryLater(0.0)

    def _give_up(self, batch: ClaimedBatch, ledger: BatchLedger) -> None:
        reason = f"given up: {MAX_LOST} times a worker died or failed at it"
        counts = batch.job.counts
        failures = [
            Failure(FileRange.of_text(text).path, reason, FailureCode.CRASHED)
            for text in batch.places
        ]
        counts.failed += len(failures)
        first = failures[0].path if failures else f"the batch {batch.kind}"
        with self._database.writer.begin() as connection:
            save_batch(connection, batch, counts, failures)
            if batch.kind is BatchKind.FILES:
                after = finish_batch(connection, batch, f"{first} and maybe more: {reason}")
            else:
                after = fail_job(connection, batch, f"{first}: {reason}")
            ledger.follow(connection, after)
