"""Imports that keep the files: copied or moved below a storage root, each at its default path.

The order makes a crash harmless: a file is whole and synced at its new place before the
transaction that names it, and only after its commit is an original removed. What a killed run
left is recognised by the next one: a target with the same bytes is taken as it is.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from dicom_graph.dicom.default_path import default_path
from dicom_graph.dicom.errors import FailureCode
from dicom_graph.importing.safe_files import (
    FULL,
    Identity,
    StorageError,
    copy_to,
    is_same,
    link_to,
    remove_original,
    sync_folder,
)
from dicom_graph.importing.timeouts import Calls, CallTimeout, TimedThreads, TimeoutFailure
from dicom_graph.importing.work_folder import (
    WORK_FOLDER,
    copying_folder,
    is_upload,
    remove_abandoned,
    unique_name,
)
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import FileRecord, ImageFile, Outcome, ReadFile, files_of_images
from dicom_graph.store.jobs.jobs import ClaimedJob, Failure, Storage
from dicom_graph.store.private_files import make_folder

_THREADS = 4
_PART_FILES = 64
_PART_BYTES = 256 << 20
_BEAT_SECONDS = 1.0
_END_SECONDS = 5.0

_Placed = FileRecord | StorageError | OSError
"""Where a file lies now, or why not."""


@dataclass(slots=True)
class Stored:
    """What became of some files. `files` now lie at their targets and are to be written;
    `repeated` are those whose image this job has stored and written before, of which `existing`
    are yet to be counted. `full`: why no more can be stored.
    """

    files: list[ReadFile] = field(default_factory=list)
    repeated: list[ReadFile] = field(default_factory=list)
    existing: int = 0
    failures: list[Failure] = field(default_factory=list)
    full: str | None = None


@dataclass(frozen=True, slots=True)
class _Move:
    source: str
    was: Identity
    target: str
    kept: Identity
    roots: tuple[str, ...] | None


@dataclass(slots=True)
class _Same:
    """Files of one image, and where those that have been placed so far lie."""

    files: list[ReadFile]
    target: str = ""
    placed: list[_Placed] = field(default_factory=list)


class FileStorage:
    """Stores the files of one job below a root. Used by one thread, it copies in several.

    `seconds`: how long a copy may make no progress; then its file is a failure.
    """

    def __init__(self, database: Database, root: Path, job: ClaimedJob, seconds: float) -> None:
        self._database = database
        self._root = os.path.realpath(root)
        self._job = job
        self._moves = job.request.storage is Storage.MOVE
        # What a run before this one wrote is met again, but counted already.
        self._counted = job.counts.created + job.counts.updated
        self._threads = TimedThreads(_THREADS, seconds)
        self._pending: dict[str, _Move] = {}
        self._folders: dict[str, str | None] = {}
        self._copying = Path()

    def prepare(self) -> None:
        """Make ready what copying needs, and remove what killed imports left half copied.

        Raises StorageError where the root cannot be written.
        """
        # Not made where it is not there: its disk may not be mounted.
        if not os.path.isdir(self._root):
            raise StorageError(f"the storage root {self._root} is not there")
        try:
            self._copying = copying_folder(Path(self._root))
            remove_abandoned(self._copying)
        except OSError as error:
            raise StorageError(f"the storage root {self._root}: {error.strerror}") from error

    def close(self) -> None:
        """Let the threads go; a copy that is being made has some seconds to end."""
        self._threads.close(_END_SECONDS)

    def store(self, files: Sequence[ReadFile], heartbeat: Callable[[], None]) -> Stored:
        """Put files at their targets; those that cannot be stay where they are.

        `heartbeat` is called every few seconds while that lasts. Raises OSError where a folder that
        holds new files cannot be synced: then none of them may be written.
        """
        uids = sorted({file.entities.image.uid for file in files})
        with self._database.read_sync() as connection:
            known = files_of_images(connection, uids)
        # Files of one image one after the other: the first is kept, whichever thread is faster.
        by_image: dict[str, _Same] = {}
        for file in files:
            by_image.setdefault(file.entities.image.uid, _Same([])).files.append(file)
        begun = [
            (same, self._threads.submit(self._place_all, same, known.get(uid, [])))
            for uid, same in by_image.items()
        ]
        self._await([future for _, future in begun], heartbeat)
        result = Stored()
        for same, future in begun:
            # Of one that gave no answer, the thread may still write into the list.
            placed = list(same.placed)
            error = future.exception()
            if isinstance(error, CallTimeout):
                placed += [error] * (len(same.files) - len(placed))
            elif error is not None:
                raise error
            for file, place in zip(same.files, placed, strict=True):
                self._collect(file, same.target, place, known, result)
        folders = {file.file.directory for file in result.files}
        synced = self._threads.submit(self._sync_folders, folders)
        self._await([synced], heartbeat)
        synced.result()
        return result

    def _await(self, futures: Sequence[Future[None]], heartbeat: Callable[[], None]) -> None:
        """Return when the calls have ended, or are given up."""
        waiting = set(futures)
        while waiting:
            waiting = wait(waiting, _BEAT_SECONDS).not_done
            self._threads.give_up_late()
            heartbeat()

    def _collect(
        self,
        file: ReadFile,
        target: str,
        place: _Placed,
        known: dict[str, list[ImageFile]],
        result: Stored,
    ) -> None:
        source = os.path.join(file.file.directory, file.file.name)
        if isinstance(place, StorageError):
            result.failures.append(Failure(source, str(place), FailureCode.CANNOT_STORE))
        elif isinstance(place, OSError):
            if place.errno in FULL:
                result.full = f"{place.strerror} in the storage root {self._root}"
            else:
                reason = place.strerror or type(place).__name__
                is_late = isinstance(place, CallTimeout)
                kind = TimeoutFailure if is_late else Failure
                code = FailureCode.TOO_SLOW if is_late else FailureCode.CANNOT_STORE
                result.failures.append(kind(source, f"cannot be stored: {reason}", code))
        else:
            record = place
            # What was read is the source; the stored file is looked at when it is asked for.
            stored = replace(
                file, file=record, source=file.file, stamp=None, link=None, real_folder=None
            )
            state = (target, record.size, record.mtime_ns, self._job.id)
            for row in known.get(file.entities.image.uid, ()):
                if (row.path, row.size, row.mtime_ns, row.import_job_id) == state:
                    result.repeated.append(stored)
                    result.existing += self._is_uncounted(file.file, record, row.outcome)
                    return
            result.files.append(stored)

    def _is_uncounted(self, source: FileRecord, stored: FileRecord, outcome: Outcome) -> bool:
        """Whether a file whose image this job has stored before is yet to be counted."""
        if self._moves:
            return not (self._job.is_resumed and _is_original(source, stored))
        if outcome not in (Outcome.CREATED, Outcome.UPDATED) or self._counted == 0:
            return True
        self._counted -= 1
        return False

    def _target(self, file: ReadFile, rows: Sequence[ImageFile]) -> str:
        """Where the image's file is stored already, or else belongs."""
        for row in rows:
            if self._holds(row.path) and os.path.isfile(row.path):
                return row.path
        of = file.entities
        patient, study, series = (e.uid if e else None for e in (of.patient, of.study, of.series))
        return os.path.join(self._root, default_path(patient, study, series, of.image.uid))

    def _place_all(self, same: _Same, rows: Sequence[ImageFile]) -> None:
        """Runs in a thread: files of one image to its target."""
        same.target = target = self._target(same.files[0], rows)
        stored = _headers_at(target, rows)
        for file in same.files:
            try:
                same.placed.append(self._place(file.file, target, is_known=file.digest in stored))
            except (StorageError, OSError) as error:
                same.placed.append(error)

    def _place(self, record: FileRecord, target: str, *, is_known: bool) -> FileRecord:
        source = os.path.join(record.directory, record.name)
        self._require_storable(record)
        original = Identity.of(os.lstat(source))
        is_new = not os.path.lexists(target) and self._bring(record, target)
        status = os.stat(target)
        if not is_new and not self._is_stored(record, target, status, is_known):
            raise StorageError(
                f"{target} is another file of this SOPInstanceUID, with other content: this one "
                "stays where it is"
            )
        if self._moves:
            is_same_file = Identity.of(os.lstat(source)) == original
            if not is_same_file or (original.size, original.mtime_ns) != (
                record.size,
                record.mtime_ns,
            ):
                raise StorageError("it changed while it was imported; import it again")
            kept = Identity.of(status)
            self._pending[source] = _Move(source, original, target, kept, record.roots)
        folder, name = os.path.split(target)
        return FileRecord(folder, name, status.st_size, status.st_mtime_ns)

    def _bring(self, record: FileRecord, target: str) -> bool:
        """False where another process was faster."""
        make_folder(os.path.dirname(target))
        temporary = os.path.join(self._copying, unique_name())
        is_linked = link_to(record, temporary, target) if self._moves else None
        return copy_to(record, temporary, target) if is_linked is None else is_linked

    def _is_stored(
        self, record: FileRecord, target: str, status: os.stat_result, is_known: bool
    ) -> bool:
        unchanged = (status.st_size, status.st_mtime_ns) == (record.size, record.mtime_ns)
        # Where the original stays, its header, size and time are proof enough.
        if unchanged and is_known and not self._moves:
            return True
        return is_same(os.path.join(record.directory, record.name), target, record.roots)

    def _require_storable(self, record: FileRecord) -> None:
        folder = record.directory
        if folder not in self._folders:
            self._folders[folder] = self._objection(folder)
        objection = self._folders[folder]
        if objection is None and self._moves and os.path.islink(os.path.join(folder, record.name)):
            objection = _LINK
        if objection is not None:
            raise StorageError(objection)

    def _objection(self, folder: str) -> str | None:
        """Why the files of a folder cannot be stored."""
        real = os.path.realpath(folder)
        if self._holds(real) and not is_upload(real, self._root):
            return "it lies below the storage root already: import it in place"
        if not self._moves:
            return None
        if real != folder:
            return _LINK
        if not os.access(folder, os.W_OK | os.X_OK):
            return "cannot be moved: its folder may not be written"
        return None

    def _holds(self, path: str) -> bool:
        return path == self._root or path.startswith(self._root.rstrip(os.sep) + os.sep)

    def _sync_folders(self, folders: set[str]) -> None:
        above = set(folders)
        for folder in folders:
            while self._holds(folder := os.path.dirname(folder)):
                above.add(folder)
        for folder in sorted(above, reverse=True):
            sync_folder(folder)

    def release(self, file: ReadFile, calls: Calls) -> Failure | None:
        """After the commit: remove the original of a file that is moved, or say why not.

        `calls`: how the file system is asked.
        """
        if file.source is None:
            return None
        source = os.path.join(file.source.directory, file.source.name)
        move = self._pending.pop(source, None)
        if move is None:
            return None
        try:
            calls.run(remove_original, move.source, move.was, move.target, move.kept, move.roots)
        except (StorageError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            return Failure(
                source,
                f"it is imported and stored as {move.target}, but not removed here: {reason}",
                FailureCode.NOT_REMOVED,
            )
        return None


def _headers_at(path: str, rows: Sequence[ImageFile]) -> frozenset[bytes]:
    """The digest of the header that the database has for a file, if any."""
    return frozenset(row.digest for row in rows if row.path == path and row.digest is not None)


def _is_original(source: FileRecord, stored: FileRecord) -> bool:
    """Whether a file that a move has yet to remove is what was stored, rather than a copy of it."""
    here, there = os.stat(os.path.join(*source[:2])), os.stat(os.path.join(*stored[:2]))
    if here.st_dev == there.st_dev:
        return os.path.samestat(here, there)
    return source.mtime_ns == stored.mtime_ns


def required_root(root: Path | None) -> Path:
    """The storage root. Raises StorageError where none is set."""
    if root is None:
        raise StorageError(
            "there is no storage root for files that are copied, moved or uploaded: set "
            "DICOM_GRAPH_STORAGE_ROOT to a folder"
        )
    return root


def paths_to_store(storage: Storage, paths: Sequence[str], root: Path | None) -> tuple[str, ...]:
    """The absolute paths of an import that is asked for, as far as `storage` allows them.

    Raises StorageError where there is no storage root, or where a path lies below it, or is a
    symbolic link and would be moved; and for what is on its way into a root.
    """
    for path in paths:
        if WORK_FOLDER in Path(os.path.realpath(path)).parts:
            raise StorageError(f"{path} is dicom-graph's own work folder")
    if storage is Storage.IN_PLACE:
        return tuple(os.path.abspath(path) for path in paths)
    real_root = os.path.realpath(required_root(root))
    found = []
    for path in map(os.path.abspath, paths):
        if Path(os.path.realpath(path)).is_relative_to(real_root):
            raise StorageError(f"{path} lies below the storage root already: import it in place")
        if storage is Storage.MOVE and os.path.islink(path):
            raise StorageError(f"{path} is a symbolic link: move what it leads to, or copy")
        found.append(os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)))
    return tuple(found)


_LINK = "a symbolic link, or below one: only what lies there itself is moved"


def in_parts(files: Sequence[ReadFile]) -> Iterator[Sequence[ReadFile]]:
    """Files in parts that take a short time to store; at least one part."""
    start = size = 0
    for index, file in enumerate(files):
        if index > start and (index - start == _PART_FILES or size > _PART_BYTES):
            yield files[start:index]
            start, size = index, 0
        size += file.file.size
    yield files[start:]
