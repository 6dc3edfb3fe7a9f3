"""Running one import job: discover and read files, and hand them to its writer."""

import logging
import os
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from dicom_graph.dicom.files.regular_file import lies_inside, resolved_roots
from dicom_graph.importing.discover import Discovery, Leave, Walk, outside_roots
from dicom_graph.importing.garbage_collection import rare_collections
from dicom_graph.importing.job_writer import MAX_SILENCE, JobWriter, Progress, Stopped
from dicom_graph.importing.known_files import with_known_files
from dicom_graph.importing.ledger import JobLedger, Ledger
from dicom_graph.importing.listing import Folder
from dicom_graph.importing.log_texts import WarningCounts
from dicom_graph.importing.options import DEFAULTS, ImportOptions
from dicom_graph.importing.read_ahead import PENDING, PendingResult, ReadAhead
from dicom_graph.importing.reader import Result
from dicom_graph.importing.safe_files import StorageError
from dicom_graph.importing.storage import required_root
from dicom_graph.importing.sync import SyncPass, UnmountedError
from dicom_graph.importing.timeouts import (
    Calls,
    CallTimeout,
    DirectCalls,
    TimedCalls,
    TimeoutFailure,
    each,
)
from dicom_graph.importing.work_folder import uploads_place
from dicom_graph.settings import available_cores
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import (
    FileRecord,
    KnownFile,
    Outcome,
)
from dicom_graph.store.jobs.jobs import (
    ClaimedJob,
    JobCounts,
    JobLostError,
    JobOrigin,
    JobStatus,
    Storage,
    status_of,
)
from dicom_graph.store.sql.driver_errors import DRIVER_ERRORS
from dicom_graph.store.sql.unavailable import DatabaseUnavailable, unavailable_message

log = logging.getLogger(__name__)
_MAX_LATE = 10
"""After so many files in a row that gave no answer the disk or mount is taken to hang."""


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
        self._stop = stop or threading.Event()
        self._writer = JobWriter(
            database, job, options, ledger=self._ledger, stop=self._stop,
            progress=progress or (lambda counts: None),
        )  # fmt: skip
        self._calls = TimedCalls(options.file_seconds, self._while_waiting)
        self._roots = _resolved_roots(job, roots, options.storage_root)
        self._discovery = (
            walk(self._calls)
            if walk
            else discovery_of(
                job, roots, options.storage_root, leave=leave, mounts=mounts, calls=self._calls,
                own=database.own_files(),
            )
        )  # fmt: skip
        gone_below = mounts or job.request.paths
        self._sync = SyncPass(database, job, gone_below, self._roots) if job.request.sync else None
        self._ahead = ReadAhead(
            job.request.mode,
            options.max_inline_bytes,
            options.processes or available_cores(),
            seconds=options.file_seconds,
            calls=self._calls,
        )
        self._n_late = 0

    @property
    def counts(self) -> JobCounts:
        """What became of the files so far."""
        return self._writer.counts

    @property
    def warned(self) -> WarningCounts:
        """The warnings of the images that were created or updated, by kind."""
        return self._writer.warned

    def run(self) -> JobStatus:
        """Run to the end; returns its status. Errors of the database are raised, after marking."""
        try:
            if self._writer.storage:
                self._writer.calls.run(self._writer.storage.prepare)
        except StorageError as error:
            return self._writer.finish(JobStatus.FAILED, str(error))
        except CallTimeout as error:
            return self._writer.finish(JobStatus.FAILED, f"the storage root: {error.strerror}")
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
            counter.join(MAX_SILENCE)
            self._ahead.close()
            self._writer.calls.close()
            if self._writer.storage:
                self._writer.storage.close()

    def _run(self) -> JobStatus:
        try:
            if self._sync is not None:
                self._calls.run(self._sync.check_mounts)
            for folder, known in with_known_files(self._database, self._discovery.folders()):
                self._take(folder, known)
            self._take_results(self._ahead.rest())
            self._writer.save()
            if self._sync is not None:
                self._look_for_gone(self._sync)
            return self._writer.finish(JobStatus.COMPLETED)
        except (Stopped, UnmountedError) as stopped:
            return self._end(stopped)
        except CallTimeout as error:
            return self._end(
                Stopped(JobStatus.FAILED, f"the paths of the import: {error.strerror}")
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
                self._writer.finish(
                    JobStatus.FAILED, f"unexpected {type(error).__name__}; see the log"
                )
            raise

    def _leave(self, problem: str) -> None:
        """The database cannot be used: what was written holds, and who runs the job goes on."""
        log.error("import %s stops: %s", self._job.id, problem)
        if self._job.request.origin is not JobOrigin.API and not self._ledger.is_tried_again:
            with suppress(*DRIVER_ERRORS, DatabaseUnavailable):
                self._writer.finish(
                    JobStatus.FAILED, f"{problem}; the same import again completes it"
                )

    def _end(self, stopped: Stopped | UnmountedError) -> JobStatus:
        """Write what was read before the stop, which may fail and so stop it another way."""
        try:
            self._writer.save()
        except Stopped as failed:
            stopped = failed
            self._writer.save()
        if isinstance(stopped, UnmountedError):
            return self._writer.finish(JobStatus.FAILED, str(stopped))
        return self._writer.finish(stopped.status, stopped.error)

    def _look_for_gone(self, sync: SyncPass) -> None:
        for step in each(self._calls, sync.steps()):
            self._writer.check_stop()
            if step is not None:
                self._writer.record(step)
            elif self._writer.is_silent():
                self._writer.save()

    def _count_ahead(self, ended: threading.Event) -> None:
        for found in self._discovery.count(lambda: ended.is_set() or self._stop.is_set()):
            self._writer.found = found

    def _take(self, folder: Folder, known: Mapping[str, KnownFile]) -> None:
        for failure in folder.failures:
            self._ahead.pass_on(failure)
        self._writer.counts.skipped += folder.others
        if folder.files and not self._is_inside(folder):
            self._ahead.pass_on(outside_roots(folder.path))
            folder.files.clear()
        for file in folder.files:
            self._writer.check_stop()
            known_file = known.get(file.name)
            if file.name in folder.outside and known_file is None:
                self._ahead.pass_on(outside_roots(os.path.join(folder.path, file.name)))
            else:
                is_outside = file.name in folder.outside
                self._take_file(self._confined(file, known_file, is_outside), known_file)
            self._take_results(self._ahead.ready())
        self._take_results(self._ahead.ready())
        if self._writer.is_silent():
            self._writer.save()

    def _while_waiting(self) -> None:
        """A file or folder does not answer yet."""
        self._writer.check_stop()
        if self._writer.is_silent():
            self._writer.save()

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

    def _take_file(self, file: FileRecord, known: KnownFile | None) -> None:
        changed = known is not None and (known.size, known.mtime_ns) != (file.size, file.mtime_ns)
        mine = self._job.is_resumed and known is not None and known.import_job_id == self._job.id
        is_noted = known is None or known.is_noted
        verify = (self._job.request.verify or not is_noted) and not mine
        is_whole = known is not None and known.mode >= self._job.request.mode
        is_here = known is not None and not known.is_missing
        if known and is_whole and is_here and not (changed or verify or self._writer.storage):
            self._ahead.pass_on(known.outcome if mine else Outcome.EXISTING)
            return
        if known is not None and verify and known.decides:
            changed = True
        self._ahead.put(file, replaces=known.mode if known and changed else None)

    def _take_results(self, results: Iterator[Result | PendingResult]) -> None:
        for result in results:
            if result is PENDING:
                self._writer.check_stop()
            else:
                self._take_result(result)
            if self._writer.is_due():
                self._writer.save()

    def _take_result(self, result: Result) -> None:
        if isinstance(result, TimeoutFailure):
            self._n_late += 1
        elif not isinstance(result, Outcome):
            self._n_late = 0
        self._writer.add(result)
        if isinstance(result, TimeoutFailure) and self._n_late == _MAX_LATE:
            raise Stopped(
                JobStatus.FAILED,
                f"{_MAX_LATE} files one after the other gave no answer, the last of them "
                f"{result.path}: import again once their disk or mount is well",
            )


def _resolved_roots(
    job: ClaimedJob, roots: tuple[Path, ...] | None, storage_root: Path | None
) -> tuple[str, ...] | None:
    """Where the files of a job may lie, without links; None: anywhere."""
    if roots is None:
        return None
    if job.request.storage is not Storage.IN_PLACE:
        roots = (*roots, uploads_place(required_root(storage_root)))
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
        roots = None if roots is None else (*roots, uploads_place(left_out))
    paths, only = request.paths, job.only
    if mounts is not None:
        paths, only = mounts, tuple(path for path in paths if os.path.lexists(path))
    return Discovery(
        paths, request.pattern, roots, request.verify, only, leave, left_out,
        calls or DirectCalls(), own,
    )  # fmt: skip
