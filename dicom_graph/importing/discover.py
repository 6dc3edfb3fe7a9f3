"""Which files lie under a path, folder by folder, in a steady order."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Protocol

from dicom_graph.importing.work_folder import WORK_FOLDER
from dicom_graph.store.ingest import FileRecord
from dicom_graph.store.jobs import Failure

Leave = Callable[[str, os.stat_result], bool]
_Key = tuple[int, int]


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
class Names:
    """The files of a folder by name only, of those below or at the start of this number.

    `is_folder`: all of the folder's, else files that are named one by one. `failure`: why the
    folder cannot be listed.
    """

    start: int
    base: str
    path: str
    names: list[str]
    is_folder: bool = True
    failure: Failure | None = None


class Walk(Protocol):
    """What finds the files of an import."""

    def folders(self) -> Iterator[Folder]:
        """Folders with their files."""

    def count(self, stopped: Callable[[], bool]) -> Iterator[int]:
        """The number of files found so far."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """A walk over paths. Symbolic links are followed, each folder once, within `roots` if given.

    `listed`: single files that lie outside the roots are given too, as `Folder.outside`.
    `only`: walk just these, which lie below `paths`. `leave`: tells of a file to be left out.
    The folder `left_out`, and what a storage root has on its way in, are not walked.
    """

    paths: tuple[str, ...]
    pattern: str | None = None
    roots: tuple[Path, ...] | None = None
    listed: bool = False
    only: tuple[str, ...] | None = None
    leave: Leave | None = None
    left_out: Path | None = None

    def folders(self) -> Iterator[Folder]:
        """All folders with their files; what cannot be read is a failure in its folder.

        Files that are named one by one come together where they follow each other in a folder.
        """
        visited = self._left_out()
        together: Folder | None = None
        for path, base in self._starts():
            if self._is_allowed_folder(path):
                if together is not None:
                    yield together
                together = None
                if self._is_new_folder(path, visited):
                    yield from self._walk(path, base, visited)
                continue
            if together is not None and together.path != os.path.dirname(path):
                yield together
                together = None
            together = together or Folder(os.path.dirname(path))
            self._take(together, path, base)
        if together is not None:
            yield together

    def count(self, stopped: Callable[[], bool]) -> Iterator[int]:
        """The number of files found so far, without looking at them, folder by folder."""
        found = 0
        visited = self._left_out()
        for path, base in self._starts():
            stack = [path] if self._is_allowed_folder(path) else []
            found += not stack
            while stack and not stopped():
                n_files, below = self._count_folder(stack.pop(), base, visited)
                stack += below
                found += n_files
                yield found
        yield found

    def names(self) -> Iterator[Names]:
        """What `folders` would find, in its order, without looking at the files."""
        visited = self._left_out()
        for start, (path, base) in enumerate(self._starts()):
            if not self._is_allowed_folder(path):
                folder, name = os.path.split(path)
                yield Names(start, base, folder, [name], is_folder=False)
                continue
            stack = [path] if self._is_new_folder(path, visited) else []
            while stack:
                current = stack.pop()
                found, below = self._names_of(start, base, current, visited)
                yield found
                stack += reversed(below)

    def _names_of(
        self, start: int, base: str, path: str, visited: set[_Key]
    ) -> tuple[Names, list[str]]:
        names, below = [], []
        try:
            with os.scandir(path) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    if entry.name == WORK_FOLDER:
                        continue
                    if self._is_to_be_walked(entry, visited):
                        below.append(entry.path)
                    elif not _is_folder(entry) and (
                        self.pattern is None or self._matches(entry.path, entry.name, base)
                    ):
                        names.append(entry.name)
        except OSError as error:
            return Names(start, base, path, [], failure=_failure(path, error)), below
        return Names(start, base, path, names), below

    def _is_to_be_walked(self, entry: os.DirEntry[str], visited: set[_Key]) -> bool:
        try:
            is_folder = entry.is_dir() and self._allows_entry(entry)
            return is_folder and self._is_new_folder(entry.path, visited)
        except OSError:
            return False

    def folder(self, path: str, base: str, after: str = "", until: str | None = None) -> Folder:
        """One folder's files, without those below it: of names after one and up to another."""
        folder = Folder(path)
        try:
            with os.scandir(path) as entries:
                chosen = [e for e in entries if after < e.name and (not until or e.name <= until)]
            for entry in sorted(chosen, key=lambda entry: entry.name):
                self._visit(entry, folder, base, set())
        except OSError as error:
            folder.failures.append(_failure(path, error))
        return folder

    def _left_out(self) -> set[_Key]:
        """The folders not to be visited. Raises OSError."""
        visited: set[_Key] = set()
        if self.left_out is not None:
            self._is_new_folder(str(self.left_out), visited)
        return visited

    def _starts(self) -> Iterator[tuple[str, str]]:
        """Where to begin, and from where a pattern counts."""
        paths = [os.path.abspath(path) for path in self.paths]
        if self.only is None:
            yield from zip(paths, paths, strict=True)
            return
        for path in map(os.path.abspath, self.only):
            yield path, next((base for base in paths if is_at_or_below(path, base)), path)

    def _is_allowed_folder(self, path: str) -> bool:
        return os.path.isdir(path) and self._allows(path)

    def _take(self, folder: Folder, path: str, base: str) -> None:
        """Take one file into its folder, or say why not."""
        try:
            status = os.stat(path)
        except OSError as error:
            folder.failures.append(_failure(path, error))
            return
        name = os.path.basename(path)
        if not self._allows(path):
            if stat.S_ISDIR(status.st_mode) or not self._may_be_listed(path):
                folder.failures.append(outside_roots(path))
                return
            folder.outside.add(name)
        if self.only is None or path == base or self._matches(path, name, base):
            self._add(folder, path, name, status)

    def _walk(self, path: str, base: str, visited: set[_Key]) -> Iterator[Folder]:
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
        self, entry: os.DirEntry[str], folder: Folder, base: str, visited: set[_Key]
    ) -> bool:
        """Take an entry into its folder; gives whether it is a folder to walk."""
        if entry.name == WORK_FOLDER:
            return False
        try:
            if entry.is_symlink() and not self._allows(entry.path):
                folder.others += 1
                return False
            if entry.is_dir():
                return self._is_new_folder(entry.path, visited)
            if self.pattern is None or self._matches(entry.path, entry.name, base):
                self._add(folder, entry.path, entry.name, entry.stat())
        except OSError as error:
            folder.failures.append(_failure(entry.path, error))
        return False

    def _count_folder(self, path: str, base: str, visited: set[_Key]) -> tuple[int, list[str]]:
        n_files, below = 0, []
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name == WORK_FOLDER:
                        continue
                    if entry.is_dir() and self._allows_entry(entry):
                        if self._is_new_folder(entry.path, visited):
                            below.append(entry.path)
                    elif self.pattern is None or self._matches(entry.path, entry.name, base):
                        n_files += 1
        except OSError:
            n_files += 1
        return n_files, below

    def _is_new_folder(self, path: str, visited: set[_Key]) -> bool:
        """Whether this folder was not visited yet, by whatever name. Raises OSError."""
        status = os.stat(path)
        key = (status.st_dev, status.st_ino)
        is_new = key not in visited
        visited.add(key)
        return is_new

    def _add(self, folder: Folder, path: str, name: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            folder.others += 1
            return
        try:
            path.encode()
        except UnicodeEncodeError:
            folder.failures.append(Failure(printable(path), "the path is not UTF-8: rename it"))
            return
        if self.leave is None or not self.leave(path, status):
            folder.files.append(FileRecord(folder.path, name, status.st_size, status.st_mtime_ns))

    def _matches(self, path: str, name: str, base: str) -> bool:
        if self.pattern is None:
            return True
        if "/" in self.pattern:
            return fnmatchcase(os.path.relpath(path, base), self.pattern)
        return fnmatchcase(name, self.pattern)

    def _allows_entry(self, entry: os.DirEntry[str]) -> bool:
        return not entry.is_symlink() or self._allows(entry.path)

    def _allows(self, path: str) -> bool:
        if self.roots is None:
            return True
        target = Path(os.path.realpath(path))
        return any(target.is_relative_to(root) for root in self.roots)

    def _may_be_listed(self, path: str) -> bool:
        """Not where a link leads out of the roots: it may have been laid after the import."""
        lexically = Path(path)
        return self.listed and not any(lexically.is_relative_to(root) for root in self.roots or ())


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def outside_roots(path: str) -> Failure:
    """A path that the API may not read."""
    return Failure(printable(path), "outside the import roots of this server")


def is_at_or_below(path: str, folder: str) -> bool:
    """Whether an absolute path is a folder or lies inside it, by name."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def printable(path: str) -> str:
    """The path as valid text: bytes that are not UTF-8 are written as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _failure(path: str, error: OSError) -> Failure:
    return Failure(printable(path), error.strerror or type(error).__name__)
