"""Which files lie under a path, folder by folder, in a steady order."""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NamedTuple, Protocol

from dicom_graph.dicom.errors import FailureCode
from dicom_graph.importing.listing import Folder, Listing, Names, failure_of, printable
from dicom_graph.importing.timeouts import (
    Calls,
    CallTimeout,
    DirectCalls,
    TimeoutFailure,
    heartbeat,
)
from dicom_graph.importing.work_folder import WORK_FOLDER
from dicom_graph.store.ingest import FileRecord
from dicom_graph.store.jobs.jobs import Failure

Leave = Callable[[str, os.stat_result], bool]
_Key = tuple[int, int]
_LATE_ENTRIES = 3
"""After so many entries of a folder that gave no answer the others are not looked at."""


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
    The folder `left_out`, and what a storage root has on its way in, are not walked. `calls`: how
    the file system is asked; what gives no answer is a failure, and the walk goes on. `own`: files
    of ours, by device and inode, that are not touched.
    """

    paths: tuple[str, ...]
    pattern: str | None = None
    roots: tuple[Path, ...] | None = None
    listed: bool = False
    only: tuple[str, ...] | None = None
    leave: Leave | None = None
    left_out: Path | None = None
    calls: Calls = field(default_factory=DirectCalls)
    own: frozenset[_Key] = frozenset()

    def folders(self) -> Iterator[Folder]:
        """All folders with their files; what cannot be read is a failure in its folder.

        Files that are named one by one come together where they follow each other in a folder.
        """
        visited = self.calls.run(self._left_out)
        together: Folder | None = None
        for path, base in self._starts():
            start = self._start(path, base, visited)
            if start.is_folder:
                if together is not None:
                    yield together
                together = None
                if start.is_new:
                    yield from self._walk(path, base, visited)
                continue
            if together is not None and together.path != os.path.dirname(path):
                yield together
                together = None
            together = together or Folder(os.path.dirname(path))
            together.take(start.files)
        if together is not None:
            yield together

    def _start(self, path: str, base: str, visited: set[_Key]) -> "_Start":
        """What lies where the walk begins: a folder, or a file in one."""
        try:
            return self.calls.run(self._look_at_start, path, base, visited)
        except CallTimeout as error:
            return _Start(Folder(os.path.dirname(path), failures=[failure_of(path, error)]))

    def _look_at_start(self, path: str, base: str, visited: set[_Key]) -> "_Start":
        files = Folder(os.path.dirname(path))
        if self._is_allowed_folder(path):
            return _Start(files, True, self._is_new_folder(path, visited))
        self._take(files, path, base)
        return _Start(files)

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
        visited = self.calls.run(self._left_out)
        for start, (path, base) in enumerate(self._starts()):
            try:
                is_folder = self.calls.run(self._is_allowed_folder, path)
                is_new = is_folder and self.calls.run(self._is_new_folder, path, visited)
            except CallTimeout as error:
                yield Names(start, base, path, [], failure=failure_of(path, error))
                continue
            if not is_folder:
                folder, name = os.path.split(path)
                yield Names(start, base, folder, [name], is_folder=False)
                continue
            stack = [path] if is_new else []
            while stack:
                current = stack.pop()
                found, below = self._names_or_failure(start, base, current, visited)
                yield found
                stack += reversed(below)

    def _names_or_failure(
        self, start: int, base: str, path: str, visited: set[_Key]
    ) -> tuple[Names, list[str]]:
        try:
            return self.calls.run(self._names_of, start, base, path, visited)
        except CallTimeout as error:
            return Names(start, base, path, [], failure=failure_of(path, error)), []

    def _names_of(
        self, start: int, base: str, path: str, visited: set[_Key]
    ) -> tuple[Names, list[str]]:
        names, below = [], []
        try:
            with os.scandir(path) as entries:
                for entry in sorted(entries, key=lambda entry: entry.name):
                    heartbeat()
                    if entry.name == WORK_FOLDER:
                        continue
                    if self._is_to_be_walked(entry, visited):
                        below.append(entry.path)
                    elif not _is_folder(entry) and (
                        self.pattern is None or self._matches(entry.path, entry.name, base)
                    ):
                        names.append(entry.name)
        except OSError as error:
            return Names(start, base, path, [], failure=failure_of(path, error)), below
        return Names(start, base, path, names), below

    def _is_to_be_walked(self, entry: os.DirEntry[str], visited: set[_Key]) -> bool:
        try:
            is_folder = entry.is_dir() and self._allows_entry(entry)
            return is_folder and self._is_new_folder(entry.path, visited)
        except OSError:
            return False

    def folder(self, path: str, base: str, after: str = "", until: str | None = None) -> Folder:
        """One folder's files, without those below it: of names after one and up to another."""
        return self._list(Listing(path, base, after, until), set())[0]

    def _list(self, listing: "Listing", visited: set[_Key]) -> tuple[Folder, list[str]]:
        """A folder's files, and the folders in it. An entry that does not answer is left out."""
        folder, below = Folder(listing.path), list[str]()
        for _ in range(_LATE_ENTRIES):
            try:
                self.calls.run(self._look_at, listing, visited)
            except CallTimeout as error:
                folder.take(listing.folder)
                below += listing.below
                folder.failures.append(failure_of(listing.path_in_question, error))
                if listing.is_without_names:
                    return folder, below
                # The thread that was left may still write into the old one.
                listing = listing.rest()
            else:
                break
        else:
            if len(listing):
                folder.failures.append(_not_looked_at(listing))
        folder.take(listing.folder)
        return folder, below + listing.below

    def _look_at(self, listing: "Listing", visited: set[_Key]) -> None:
        try:
            listing.read_names()
            for entry in listing.entries():
                heartbeat()
                if self._visit(entry, listing.folder, listing.base, visited):
                    listing.below.append(entry.path)
        except OSError as error:
            listing.folder.failures.append(failure_of(listing.path, error))

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
            folder.failures.append(failure_of(path, error))
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
            folder, below = self._list(Listing(stack.pop(), base), visited)
            yield folder
            stack += reversed(below)

    def _visit(
        self, entry: os.DirEntry[str], folder: Folder, base: str, visited: set[_Key]
    ) -> bool:
        """Take an entry into its folder; returns whether it is a folder to walk."""
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
            folder.failures.append(failure_of(entry.path, error))
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
        if not stat.S_ISREG(status.st_mode) or (status.st_dev, status.st_ino) in self.own:
            folder.others += 1
            return
        try:
            path.encode()
        except UnicodeEncodeError:
            message = "the path is not UTF-8: rename it"
            folder.failures.append(Failure(printable(path), message, FailureCode.BAD_PATH))
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


def _not_looked_at(listing: Listing) -> Failure:
    message = (
        f"the last {len(listing)} names in it were not looked at, since {_LATE_ENTRIES} before "
        "them gave no answer"
    )
    return TimeoutFailure(printable(listing.path), message)


class _Start(NamedTuple):
    """What lies at a path that is named: a folder, or `files`."""

    files: Folder
    is_folder: bool = False
    is_new: bool = False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def outside_roots(path: str) -> Failure:
    """A path that the API may not read."""
    message = "outside the import roots of this server"
    return Failure(printable(path), message, FailureCode.FORBIDDEN_PATH)


def is_at_or_below(path: str, folder: str) -> bool:
    """Whether an absolute path is a folder or lies inside it, by name."""
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
