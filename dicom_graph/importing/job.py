"""Running one import job: discover, read, write in batches, report."""

import logging
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from dicom_graph.dicom.regular_file import lies_inside, resolved_roots
from dicom_graph.importing.discover import Discovery, Leave, Walk, outside_roots
from dicom_graph.importing.garbage_collection import rare_collections
from dicom_graph.importing.known_files import with_known_files
from dicom_graph.importing.ledger import JobLedger, Ledger
from dicom_graph.importing.listing import Folder
from dicom_graph.importing.options import DEFAULTS, ImportOptions
from dicom_graph.importing.read_ahead import PENDING, PendingResult, ReadAhead
from dicom_graph.importing.reader import Result
from dicom_graph.importing.safe_files import StorageError
from dicom_graph.importing.storage import FileStorage, in_parts, required_root
from dicom_graph.importing.sync import Step, SyncPass, UnmountedError
from dicom_graph.importing.timeouts import (
    Calls,
    CallTimeout,
    DirectCalls,
    TimedCalls,
    TimeoutFailure,
    each,
)
from dicom_graph.importing.uploads import uploaded_names
from dicom_graph.importing.work_folder import uploads_folder
from dicom_graph.settings import available_cores
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import (
    BatchWriter,
    FileRecord,
    KnownFile,
    Outcome,
    ReadFile,
)
from dicom_graph.store.jobs.jobs import (
    MAX_SKIPS,
    ClaimedJob,
    Failure,
    JobCounts,
    JobLostError,
    JobOrigin,
    JobStatus,
    Skip,
    Storage,
    status_of,
)
from dicom_graph.store.sql.dialect import DRIVER_ERRORS, REFUSED, is_deadlock
from dicom_graph.store.sql.unavailable import DatabaseUnavailable, unavailable_message

log = logging.getLogger(__name__)
Progress = Callable[[JobCounts], None]
_BATCH_SECONDS = 1.0
_MAX_WEIGHT = 32 << 20
_ATTEMPTS = 5
"""How often a batch is begun that other writers stand in the way of."""
_MAX_SILENCE = 2.0
_COPY_SECONDS = 3.0
"""How long copies that are being made may go on once the job is to end."""
_MAX_LATE = 10
"""After so many files in a row that gave no answer the disk or mount is taken to hang."""


class _Stopped(Exception):
    """The job must end here; what was read is written first."""

    def __init__(self, status: JobStatus, error: str | None = None) -> None:
        super().__init__(error)
        self.status = status
        self.error = error


class JobRun:
    """One run of a claimed job, in the calling thread.

    `stop` ends it at the next file, marked as interrupted. `progress` is called after each batch.
    `leave` tells of files that are not to be read now. `mounts`: folders that must be there and
    hold something before a file is taken for gone; by default the job's paths. `walk` finds the
    files, `ledger` records what became of them: by default all of the job's, on its own row.
    """

    def __init__(
        self,
        database: Database,
        job: ClaimedJob,
        options: ImportOptions = DEFAULTS,
        *,
        roots: tuple[Path, ...] | None = None,
        stop: threading.Event | None = None,
        progress: Progress | None = None,
        leave: Leave | None = None,
        mounts: tuple[str, ...] | None = None,
        walk: Callable[[Calls], Walk] | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self._database = database
        self._job = job
        self._ledger = ledger or JobLedger(job.id)
        self._batch_size = options.batch_size
        self._stop = stop or threading.Event()
        self._progress = progress or (lambda counts: None)
        self._calls = TimedCalls(options.file_seconds, self._while_waiting)
        self._last_calls = TimedCalls(options.file_seconds, self._show_life)
        self._storage: FileStorage | None = None
        if job.request.storage is not Storage.IN_PLACE:
            root = required_root(options.storage_root)
            self._storage = FileStorage(database, root, job, options.file_seconds)
        self._roots = _resolved_roots(job, roots, options.storage_root)
        self._discovery = (
            walk(self._calls)
            if walk
            else discovery_of(
                job,
                roots,
                options.storage_root,
                leave=leave,
                mounts=mounts,
                calls=self._calls,
                own=database.own_files(),
            )
        )
        self._sync = (
            SyncPass(database, job, mounts or job.request.paths, self._roots)
            if job.request.sync
            else None
        )
        self._names = uploaded_names(job.request.paths, options.storage_root)
        self._ahead = ReadAhead(
            job.request.mode,
            options.max_inline_bytes,
            options.processes or available_cores(),
            seconds=options.file_seconds,
            calls=self._calls,
        )
        self._writer = BatchWriter(verify=job.request.verify)
        self._counts = job.counts
        self._batch: list[ReadFile] = []
        self._failures: list[Failure] = []
        self._left_behind: list[Failure] = []
        self._unsaved = 0
        self._weight = 0
        self._last_save = time.monotonic()
        self._found = 0
        self._is_cancelled = False
        self._n_late = 0
        self._n_skips = 0
        self._stopped_at: float | None = None

    @property
    def counts(self) -> JobCounts:
        """What became of the files so far."""
        return self._counts

    def run(self) -> JobStatus:
        """Run to the end; returns its status. Errors of the database are raised, after marking."""
        try:
            if self._storage:
                self._last_calls.run(self._storage.prepare)
        except StorageError as error:
            return self._finish(JobStatus.FAILED, str(error))
        except CallTimeout as error:
            return self._finish(JobStatus.FAILED, f"the storage root: {error.strerror}")
        ended = threading.Event()
        counter = threading.Thread(target=self._count_ahead, args=(ended,), daemon=True)
        counter.start()
        try:
            with rare_collections():
                return self._run()
        except JobLostError as lost:
            log.warning("%s: another process took it over, or ended it", lost)
            with self._database.read_sync() as connection:
                return status_of(connection, self._job.id)
        finally:
            ended.set()
            # It may be waiting for a folder that does not answer.
            counter.join(_MAX_SILENCE)
            self._ahead.close()
            self._last_calls.close()
            if self._storage:
                self._storage.close()

    def _run(self) -> JobStatus:
        try:
            if self._sync is not None:
                self._calls.run(self._sync.check_mounts)
            for folder, known in with_known_files(self._database, self._discovery.folders()):
                self._take(folder, known)
            self._take_results(self._ahead.rest())
            self._save()
            if self._sync is not None:
                self._look_for_gone(self._sync)
            return self._finish(JobStatus.COMPLETED)
        except (_Stopped, UnmountedError) as stopped:
            return self._end(stopped)
        except CallTimeout as error:
            return self._end(
                _Stopped(JobStatus.FAILED, f"the paths of the import: {error.strerror}")
            )
        except JobLostError:
            raise
        except Exception as error:
            problem = unavailable_message(error)
            if problem is not None:
                self._leave(problem)
                raise
            # Not the message: a database's may quote patient data.
            place = "".join(traceback.format_tb(error.__traceback__))
            log.error("import %s failed: %s\n%s", self._job.id, type(error).__name__, place)
            if not self._ledger.is_tried_again:
                self._finish(JobStatus.FAILED, f"unexpected {type(error).__name__}; see the log")
            raise

    def _leave(self, problem: str) -> None:
        """The database cannot be used: what was written holds, and who runs the job goes on."""
        log.error("import %s stops: %s", self._job.id, problem)
        if self._job.request.origin is not JobOrigin.API and not self._ledger.is_tried_again:
            with suppress(*DRIVER_ERRORS, DatabaseUnavailable):
                self._finish(JobStatus.FAILED, f"{problem}; the same import again completes it")

    def _end(self, stopped: _Stopped | UnmountedError) -> JobStatus:
        """Write what was read before the stop, which may fail and so stop it another way."""
        try:
            self._save()
        except _Stopped as failed:
            stopped = failed
            self._save()
        if isinstance(stopped, UnmountedError):
            return self._finish(JobStatus.FAILED, str(stopped))
        return self._finish(stopped.status, stopped.error)

    def _look_for_gone(self, sync: SyncPass) -> None:
        for step in each(self._calls, sync.steps()):
            self._check_stop()
            if step is not None:
                self._record(step)
            elif self._is_silent():
                self._save()

    def _count_ahead(self, ended: threading.Event) -> None:
        for found in self._discovery.count(lambda: ended.is_set() or self._stop.is_set()):
            self._found = found

    def _take(self, folder: Folder, known: Mapping[str, KnownFile]) -> None:
        for failure in folder.failures:
            self._ahead.pass_on(failure)
        self._counts.skipped += folder.others
        if folder.files and not self._is_inside(folder):
            self._ahead.pass_on(outside_roots(folder.path))
            folder.files.clear()
        for file in folder.files:
            self._check_stop()
            known_file = known.get(file.name)
            if file.name in folder.outside and known_file is None:
                self._ahead.pass_on(outside_roots(os.path.join(folder.path, file.name)))
            else:
                is_outside = file.name in folder.outside
                self._take_file(self._confined(file, known_file, is_outside), known_file)
            self._take_results(self._ahead.ready())
        self._take_results(self._ahead.ready())
        if self._is_silent():
            self._save()

    def _while_waiting(self) -> None:
        """A file or folder gives no answer yet."""
        self._check_stop()
        if self._is_silent():
            self._save()

    def _show_life(self) -> None:
        """Tell others that the job lives, and nothing else."""
        if self._is_silent():
            with self._database.writer.begin() as connection:
                self._ledger.save(connection, replace(self._counts, found=self._found), ())
            self._last_save = time.monotonic()

    def _is_inside(self, folder: Folder) -> bool:
        """Whether a folder lies inside the roots now that its names are known: it may have been
        swapped for a link before that.
        """
        if self._roots is None or folder.outside:
            return True
        return lies_inside(os.path.realpath(folder.path), self._roots)

    def _confined(self, file: FileRecord, known: KnownFile | None, is_outside: bool) -> FileRecord:
        """The file with where it must lie once it is opened: inside the roots, or, where it does
        not, where it lay when it was imported.
        """
        if self._roots is None:
            return file
        if not is_outside:
            return file._replace(roots=self._roots)
        place = known.place if known is not None else None
        return file._replace(roots=(place or os.path.join(file.directory, file.name),))

    def _check_stop(self) -> None:
        if self._stop.is_set():
            goes_on = self._job.request.origin is JobOrigin.API
            raise _Stopped(JobStatus.INTERRUPTED if goes_on else JobStatus.CANCELLED)

    def _take_file(self, file: FileRecord, known: KnownFile | None) -> None:
        changed = known is not None and (known.size, known.mtime_ns) != (file.size, file.mtime_ns)
        mine = self._job.is_resumed and known is not None and known.import_job_id == self._job.id
        is_noted = known is None or known.is_noted
        verify = (self._job.request.verify or not is_noted) and not mine
        is_whole = known is not None and known.mode >= self._job.request.mode
        is_here = known is not None and not known.is_missing
        if known and is_whole and is_here and not (changed or verify or self._storage):
            self._ahead.pass_on(known.outcome if mine else Outcome.EXISTING)
            return
        if known is not None and verify and known.decides:
            changed = True
        self._ahead.put(file, replaces=known.mode if known and changed else None)

    def _take_results(self, results: Iterator[Result | PendingResult]) -> None:
        for result in results:
            if result is PENDING:
                self._check_stop()
            else:
                self._take_result(result)
            if self._is_due():
                self._save()

    def _take_result(self, result: Result) -> None:
        self._unsaved += 1
        if isinstance(result, TimeoutFailure):
            self._n_late += 1
        elif not isinstance(result, Outcome):
            self._n_late = 0
        if isinstance(result, ReadFile):
            self._batch.append(result)
            self._weight += result.weight
        elif isinstance(result, Outcome):
            _count(self._counts, result)
        elif isinstance(result, Skip):
            self._skip(result)
        elif isinstance(result, Failure):
            self._fail(result)
            if self._n_late == _MAX_LATE:
                raise _Stopped(
                    JobStatus.FAILED,
                    f"{_MAX_LATE} files one after the other gave no answer, the last of them "
                    f"{result.path}: import again once their disk or mount is well",
                )

    def _skip(self, skipped: Skip) -> None:
        self._counts.skipped += 1
        self._n_skips += 1
        if self._n_skips <= MAX_SKIPS:
            skipped.path = self._names.get(skipped.path, skipped.path)
            self._failures.append(skipped)

    def _fail(self, *failures: Failure) -> None:
        for failure in failures:
            failure.path = self._names.get(failure.path, failure.path)
            self._counts.failed += 1
            self._failures.append(failure)
        if failures and self._job.request.stop_on_error:
            raise _Stopped(JobStatus.FAILED, f"stopped at the first failure: {failures[0].path}")

    def _is_due(self) -> bool:
        if len(self._batch) >= self._batch_size or self._weight > _MAX_WEIGHT:
            return True
        if self._is_silent():
            return True
        return self._unsaved >= 100 and time.monotonic() - self._last_save > _BATCH_SECONDS

    def _is_silent(self) -> bool:
        """Whether others could soon take the job for dead."""
        return time.monotonic() - self._last_save > _MAX_SILENCE

    def _save(self) -> None:
        """The batch in one transaction; file by file where the database refuses one of them."""
        batch, self._batch, self._weight = self._batch, [], 0
        if self._storage is None:
            self._write_all(batch)
        else:
            for part in in_parts(batch):
                self._store(self._storage, part)
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
        released = (storage.release(file, self._last_calls) for file in stored.repeated)
        left = [failure for failure in released if failure]
        self._counts.existing += max(0, stored.existing - len(left))
        try:
            self._write_all(stored.files)
        finally:
            left += self._left_behind
            self._left_behind.clear()
            self._fail(*stored.failures, *left)
        if self._failures:
            self._write([])
        if stored.full:
            raise _Stopped(JobStatus.FAILED, stored.full)

    def _beat(self) -> None:
        """While files are copied: others see that the job lives, and it ends if that must be."""
        if self._stop.is_set():
            self._stopped_at = self._stopped_at or time.monotonic()
            if time.monotonic() - self._stopped_at > _COPY_SECONDS:
                self._check_stop()
        if self._is_silent():
            self._write([])

    def _write_alone(self, file: ReadFile) -> None:
        try:
            self._write([file])
        except REFUSED as error:
            record = file.source or file.file
            path = os.path.join(record.directory, record.name)
            self._fail(Failure(path, f"the database cannot hold it: {type(error).__name__}"))

    def _write(self, batch: Sequence[ReadFile]) -> None:
        """One transaction: some files, the failures so far, and the job's counts.

        After it the originals of files that are moved go.
        """
        outcomes: list[Outcome] = []

        def work(connection: Connection, counts: JobCounts) -> None:
            outcomes[:] = self._writer.write(connection, batch, self._job.id)
            for outcome in outcomes:
                _count(counts, outcome)
            if batch and not self._job.request.prune:
                counts.missing += self._writer.orphaned

        is_cancelled = self._commit_batch(work)
        self._release(batch, outcomes)
        self._stop_if(is_cancelled)

    def _commit_batch(self, work: Step) -> bool:
        """Commit what the writer writes, again where another writer stood in its way."""
        attempts = 0
        while True:
            try:
                return self._commit(work)
            except BaseException as error:
                self._writer.forget()
                attempts += 1
                if attempts == _ATTEMPTS or not is_deadlock(error):
                    raise

    def _record(self, work: Step) -> None:
        """One transaction: some work, the failures so far, and the job's counts."""
        self._stop_if(self._commit(work))

    def _commit(self, work: Step) -> bool:
        """The same; returns whether the job is asked to end."""
        counts = replace(self._counts, found=self._found)
        with self._database.writer.begin() as connection:
            work(connection, counts)
            is_cancelled = self._ledger.save(connection, counts, self._failures)
        self._counts = counts
        self._failures.clear()
        self._last_save = time.monotonic()
        self._progress(counts)
        return is_cancelled

    def _release(self, batch: Sequence[ReadFile], outcomes: Sequence[Outcome]) -> None:
        """Remove the originals of files that were moved; one that stays is a failure."""
        for file, outcome in zip(batch, outcomes, strict=True):
            if self._storage and (failure := self._storage.release(file, self._last_calls)):
                _count(self._counts, outcome, -1)
                self._left_behind.append(failure)

    def _stop_if(self, is_cancelled: bool) -> None:
        if is_cancelled and not self._is_cancelled:
            self._is_cancelled = True
            raise _Stopped(JobStatus.CANCELLED, "cancelled on request")

    def _finish(self, status: JobStatus, error: str | None = None) -> JobStatus:
        if status is JobStatus.COMPLETED:
            self._counts.found = self._counts.processed
        else:
            self._counts.found = max(self._found, self._counts.processed)
        with self._database.writer.begin() as connection:
            self._ledger.finish(connection, status, self._counts, error)
        self._progress(self._counts)
        return status


def _resolved_roots(
    job: ClaimedJob, roots: tuple[Path, ...] | None, storage_root: Path | None
) -> tuple[str, ...] | None:
    """Where the files of a job may lie, without links; None: anywhere."""
    if roots is None:
        return None
    if job.request.storage is not Storage.IN_PLACE:
        roots = (*roots, uploads_folder(required_root(storage_root)))
    return resolved_roots(roots)


def discovery_of(
    job: ClaimedJob,
    roots: tuple[Path, ...] | None,
    storage_root: Path | None,
    *,
    leave: Leave | None = None,
    mounts: tuple[str, ...] | None = None,
    calls: Calls | None = None,
    own: frozenset[tuple[int, int]] = frozenset(),
) -> Discovery:
    """What finds the files of a job; see `Discovery`. Raises StorageError where a storage root is
    needed.
    """
    request, left_out = job.request, None
    if request.storage is not Storage.IN_PLACE:
        left_out = required_root(storage_root)
        roots = None if roots is None else (*roots, uploads_folder(left_out))
    paths, only = request.paths, job.only
    if mounts is not None:
        paths, only = mounts, tuple(path for path in paths if os.path.lexists(path))
    return Discovery(
        paths, request.pattern, roots, request.verify, only, leave, left_out,
        calls or DirectCalls(), own,
    )  # fmt: skip


def _count(counts: JobCounts, outcome: Outcome, number: int = 1) -> None:
    if outcome is Outcome.CREATED:
        counts.created += number
    elif outcome is Outcome.UPDATED:
        counts.updated += number
    else:
        counts.existing += number
