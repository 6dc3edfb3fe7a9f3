"""After an import that syncs: what of the files that the database knows is gone from disk."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from sqlalchemy import Connection

from dicom_graph.dicom.files.regular_file import Roots, lies_inside, resolved_path
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest.missing_files import (
    FileRow,
    directories_below,
    directory_paths,
    file_row,
    file_rows,
    knows_files_at,
    mark_gone,
    prune_images,
)
from dicom_graph.store.jobs.jobs import ClaimedJob, JobCounts

_FOLDERS = 200
_FILES = 5000
_MARKED = 500

Step = Callable[[Connection, JobCounts], None]


class UnmountedError(Exception):
    """What is to be synced looks like a mount that is not there; the message says what to do."""


class SyncPass:
    """Goes through what the database knows at a job's paths and below.

    `mounts` are folders that must be there and hold something, or nothing counts as gone. `roots`:
    where files may lie, without links; None: anywhere.
    """

    def __init__(
        self,
        database: Database,
        job: ClaimedJob,
        mounts: Sequence[str],
        roots: Roots | None = None,
    ) -> None:
        self._database = database
        self._roots = roots
        self._job = job
        self._mounts = [os.path.abspath(path) for path in mounts]
        self._more_to_prune = True

    def check_mounts(self) -> None:
        """Raises UnmountedError."""
        check_mounts(self._database, self._mounts)

    def steps(self) -> Iterator[Step | None]:
        """The pass as transactions for the caller to run, each before the next is asked for.

        None is a pause in which there is nothing to write. Raises UnmountedError.
        """
        for path in self._job.request.paths:
            for gone in gone_files(self._database, os.path.abspath(path), self._roots):
                self.check_mounts()
                for start in range(0, len(gone), _MARKED):
                    yield partial(self._mark, gone[start : start + _MARKED])
                yield None
        while self._job.request.prune and self._more_to_prune:
            yield self._prune

    def _mark(self, rows: list[FileRow], connection: Connection, counts: JobCounts) -> None:
        prune = self._job.request.prune
        missing, moved = mark_gone(connection, rows, self._job.id, prune=prune)
        counts.missing += 0 if prune else missing
        counts.moved += moved

    def _prune(self, connection: Connection, counts: JobCounts) -> None:
        pruned = prune_images(connection, _MARKED)
        counts.missing += pruned
        self._more_to_prune = pruned > 0


def check_mounts(database: Database, paths: Sequence[str]) -> None:
    """Raises UnmountedError where a path is not there, empty or unreadable, but known to be more.

    A mount that is not there must not make a whole archive missing.
    """
    for path in paths:
        reason = _why_nothing(path)
        if reason is None:
            continue
        with database.read_sync() as connection:
            if knows_files_at(connection, path):
                raise UnmountedError(
                    f"not synced: {path} {reason}, but the database knows files there. Is it "
                    "mounted? If they are gone for good, sync the folder above"
                )


def gone_paths(database: Database, path: str, *, marked: bool) -> Iterator[str]:
    """The known files that are gone; those that are marked already only where `marked`."""
    for rows in gone_files(database, path):
        wanted = [row for row in rows if marked or not row.is_missing]
        with database.read_sync() as connection:
            folders = directory_paths(connection, {row.directory_id for row in wanted})
        yield from (os.path.join(folders[row.directory_id], row.name) for row in wanted)


def gone_files(
    database: Database, path: str, roots: Roots | None = None
) -> Iterator[list[FileRow]]:
    """What of the known files at a path and below is no file any more, some thousands at a time.

    What cannot be looked at (no permission, a failing disk) does not count as gone; what is a link
    out of the roots by now, or lies behind one, does.
    """
    with database.read_sync() as connection:
        row = file_row(connection, path)
    if row is not None and is_gone(path, _places(path, row, roots)):
        yield [row]
    after = ""
    while True:
        with database.read_sync() as connection:
            folders = directories_below(connection, path, after, _FOLDERS)
        if not folders:
            return
        yield from _gone_in(database, dict(folders), roots)
        after = folders[-1][1]


def is_gone(path: str, places: Roots | None = None) -> bool:
    """Whether there surely is no file at the path, or one that lies in none of the places."""
    try:
        is_inside = places is None or lies_inside(resolved_path(path), places)
        return not is_inside or not stat.S_ISREG(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False


def _places(path: str, row: FileRow, roots: Roots | None) -> Roots | None:
    """Where a file may lie: inside the roots, or where it lay when it was imported."""
    return None if roots is None else (*roots, row.place or path)


def _gone_in(
    database: Database, folders: dict[int, str], roots: Roots | None
) -> Iterator[list[FileRow]]:
    listed: tuple[int, set[str] | None] = (-1, None)
    after = (0, "")
    while True:
        with database.read_sync() as connection:
            rows = file_rows(connection, folders, after, _FILES)
        if not rows:
            return
        gone = []
        for row in rows:
            if row.directory_id != listed[0]:
                listed = (row.directory_id, _names(folders[row.directory_id], roots))
            names = listed[1]
            if names is None or row.name in names:
                continue
            path = os.path.join(folders[row.directory_id], row.name)
            if is_gone(path, _places(path, row, roots)):
                gone.append(row)
        yield gone
        after = (rows[-1].directory_id, rows[-1].name)


def _names(folder: str, roots: Roots | None) -> set[str] | None:
    """The names of what surely are files of a folder; None where it cannot be listed.

    With roots neither what is a link nor what lies outside is among them.
    """
    try:
        with os.scandir(folder) as entries:
            if roots is not None and not lies_inside(resolved_path(folder), roots):
                return set()
            return {entry.name for entry in entries if _is_file(entry, links=roots is None)}
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError:
        return None


def _is_file(entry: os.DirEntry[str], *, links: bool) -> bool:
    try:
        return entry.is_file(follow_symlinks=links)
    except OSError:
        return True


def _why_nothing(path: str) -> str | None:
    """Why nothing can be found at a path; None where something is."""
    try:
        if not stat.S_ISDIR(os.stat(path).st_mode):
            return None
        with os.scandir(path) as entries:
            return None if next(entries, None) is not None else "is empty"
    except FileNotFoundError:
        return "does not exist"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
