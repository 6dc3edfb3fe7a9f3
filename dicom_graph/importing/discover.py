"""Which files lie under a path, folder by folder, in a steady order."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path

from dicom_graph.importing.work_folder import WORK_FOLDER
from dicom_graph.store.ingest import FileRecord
from dicom_graph.store.jobs import Failure


@dataclass(slots=True)
class Folder:
    """One folder's files; `others` counts what is no regular file (sockets, pipes, devices).

    `outside`: the names of files outside the roots, for which the database must answer.
    """

    path: str
    files: list[FileRecord] = field(default_factory=list)
    others: int = 0
    failures: list[Failure] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Discovery:
    """A walk over paths. Symbolic links are followed, each folder once, within `roots` if given.

    `listed`: single files that lie outside the roots are given too, as `Folder.outside`.
    The folder `left_out`, and what a storage root has on its way in, are not walked.
    """

    paths: tuple[str, ...]
    pattern: str | None = None
    roots: tuple[Path, ...] | None = None
    listed: bool = False
    left_out: Path | None = None

    def folders(self) -> Iterator[Folder]:
        """All folders with their files; what cannot be read is a failure in its folder.

        Files of one folder that are named one after the other are one.
        """
        visited: set[tuple[int, int]] = set()
        if self.left_out is not None:
            status = os.stat(self.left_out)
            visited.add((status.st_dev, status.st_ino))
        paths = map(os.path.abspath, self.paths)
        for directory, group in groupby(paths, key=os.path.dirname):
            alone = Folder(directory)
            for path in group:
                yield from self._start(path, visited, alone)
            if alone.files or alone.others or alone.failures:
                yield alone

    def count(self, stopped: Callable[[], bool]) -> Iterator[int]:
        """The number of files found so far, without looking at them, folder by folder."""
        found = 0
        for folder in self.folders():
            if stopped():
                return
            found += len(folder.files) + folder.others + len(folder.failures)
            yield found

    def _start(self, path: str, visited: set[tuple[int, int]], alone: Folder) -> Iterator[Folder]:
        """The folders below a path; a file, or why there is none, goes into `alone`."""
        try:
            status = os.stat(path)
        except OSError as error:
            alone.failures.append(_failure(path, error))
            return
        is_folder = stat.S_ISDIR(status.st_mode)
        if not self._allows(path):
            if is_folder or not self._may_be_listed(path):
                alone.failures.append(outside_roots(path))
                return
            alone.outside.add(os.path.basename(path))
        if not is_folder:
            self._add(alone, path, os.path.basename(path), status)
            return
        key = (status.st_dev, status.st_ino)
        if key not in visited:
            visited.add(key)
            yield from self._walk(path, path, visited)

    def _walk(self, path: str, base: str, visited: set[tuple[int, int]]) -> Iterator[Folder]:
        """Depth first without recursion: trees may be deeper than Python's stack."""
        stack = [path]
        while stack:
            current = stack.pop()
            folder = Folder(current)
            below = []
            try:
                with os.scandir(current) as entries:
                    for entry in sorted(entries, key=lambda entry: entry.name):
                        if self._visit(entry, folder, base, visited):
                            below.append(entry.path)
            except OSError as error:
                folder.failures.append(_failure(current, error))
            yield folder
            stack += reversed(below)

    def _visit(
        self, entry: os.DirEntry[str], folder: Folder, base: str, visited: set[tuple[int, int]]
    ) -> bool:
        """Take an entry into its folder; gives whether it is a folder to walk."""
        if entry.name == WORK_FOLDER:
            return False
        try:
            if entry.is_symlink() and not self._allows(entry.path):
                folder.others += 1
                return False
            if entry.is_dir():
                status = entry.stat()
                key = (status.st_dev, status.st_ino)
                is_new = key not in visited
                visited.add(key)
                return is_new
            if self._matches(entry, base):
                self._add(folder, entry.path, entry.name, entry.stat())
        except OSError as error:
            folder.failures.append(_failure(entry.path, error))
        return False

    def _add(self, folder: Folder, path: str, name: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            folder.others += 1
            return
        try:
            path.encode()
        except UnicodeEncodeError:
            folder.failures.append(Failure(printable(path), "the path is not UTF-8: rename it"))
            return
        folder.files.append(FileRecord(folder.path, name, status.st_size, status.st_mtime_ns))

    def _matches(self, entry: os.DirEntry[str], base: str) -> bool:
        if self.pattern is None:
            return True
        if "/" in self.pattern:
            return fnmatchcase(os.path.relpath(entry.path, base), self.pattern)
        return fnmatchcase(entry.name, self.pattern)

    def _allows(self, path: str) -> bool:
        if self.roots is None:
            return True
        target = Path(os.path.realpath(path))
        return any(target.is_relative_to(root) for root in self.roots)

    def _may_be_listed(self, path: str) -> bool:
        """Not where a link leads out of the roots: it may have been laid after the import."""
        lexically = Path(path)
        return self.listed and not any(lexically.is_relative_to(root) for root in self.roots or ())


def outside_roots(path: str) -> Failure:
    """A path that the API may not read."""
    return Failure(printable(path), "outside the import roots of this server")


def printable(path: str) -> str:
    """The path as valid text: bytes that are not UTF-8 are written as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _failure(path: str, error: OSError) -> Failure:
    return Failure(printable(path), error.strerror or type(error).__name__)
