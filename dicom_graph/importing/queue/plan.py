"""The first batch of an import: walks the tree, and queues the others as it goes."""

import os
import threading
import time
from collections.abc import Callable

from sqlalchemy import Connection

from dicom_graph.importing.discover import Discovery
from dicom_graph.importing.listing import Names
from dicom_graph.importing.queue.file_ranges import FileRange, quoted, unquoted
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.batches import ClaimedBatch, add_batch, move_cursor, save_batch
from dicom_graph.store.jobs.jobs import Failure

_MAX_FOLDERS = 500
_MAX_SECONDS = 2.0

Put = Callable[[Connection, int, int], None]
_Key = tuple[int, list[str]]


class Plan:
    """Cuts the files of a job into batches, in the order of a walk over sorted names.

    Each batch is queued in the transaction that records how far the walk is, so that it goes on
    from there whatever becomes of this process, and of the tree.
    """

    def __init__(
        self,
        database: Database,
        batch: ClaimedBatch,
        discovery: Discovery,
        *,
        batch_files: int,
        put: Put,
        stop: threading.Event,
    ) -> None:
        self._database = database
        self._batch = batch
        self._discovery = discovery
        self._batch_files = batch_files
        self._put = put
        self._stop = stop
        self._counts = batch.job.counts
        self._places: list[str] = []
        self._n_files = 0
        self._failures: list[Failure] = []
        self._cursor = batch.cursor
        self._last_save = time.monotonic()

    def run(self) -> bool:
        """Walk to the end; False where it was stopped before. Raises JobLostError."""
        start, path, after = self._batch.cursor or ("-1", "", "")
        done = _key(int(start), unquoted(path))
        for names in self._discovery.names():
            if self._stop.is_set():
                return False
            key = _key(names.start, names.path)
            if key < done or (key == done and not after):
                continue
            if self._take(names, unquoted(after) if key == done else ""):
                return True
        self._save()
        return True

    def _take(self, names: Names, after: str) -> bool:
        """Plan a folder's names after one; returns whether the job is to end."""
        left = [name for name in names.names if name > after]
        is_full = self._n_files + len(left) > self._batch_files
        if is_full and self._places and self._save():
            return True
        self._cursor = (str(names.start), quoted(names.path), "")
        if names.failure is not None:
            self._counts.failed += 1
            self._failures.append(names.failure)
            if self._batch.job.request.stop_on_error:
                self._save()
                raise StoppedAtError(names.failure.path)
            return self._is_due() and self._save()
        if not names.is_folder:
            path = os.path.join(names.path, names.names[0])
            self._add(FileRange(names.base, path, is_folder=False), 1)
            return self._is_due() and self._save()
        while len(left) > self._batch_files:
            until = left[self._batch_files - 1]
            self._add(FileRange(names.base, names.path, after, until), self._batch_files)
            self._cursor = (str(names.start), quoted(names.path), quoted(until))
            if self._save():
                return True
            left, after = left[self._batch_files :], until
        self._cursor = (str(names.start), quoted(names.path), "")
        self._add(FileRange(names.base, names.path, after), len(left))
        return self._is_due() and self._save()

    def _add(self, place: FileRange, n_files: int) -> None:
        self._places.append(place.text())
        self._n_files += n_files

    def _is_due(self) -> bool:
        if self._n_files >= self._batch_files or len(self._places) >= _MAX_FOLDERS:
            return True
        return time.monotonic() - self._last_save > _MAX_SECONDS

    def _save(self) -> bool:
        """Queue what was found; returns whether the job is asked to end."""
        with self._database.writer.begin() as connection:
            is_ending = save_batch(connection, self._batch, self._counts, self._failures)
            if self._places:
                number = add_batch(connection, self._batch, self._places, self._n_files)
                self._put(connection, self._batch.job.id, number)
            if self._cursor is not None:
                move_cursor(connection, self._batch, self._cursor)
        self._places, self._n_files, self._failures = [], 0, []
        self._last_save = time.monotonic()
        return is_ending


class StoppedAtError(Exception):
    """The import is to end at its first failure, and this path failed."""


def _key(start: int, path: str) -> _Key:
    """Sorts folders as the walk meets them."""
    return start, path.split(os.sep)
