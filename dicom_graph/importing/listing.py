"""What a walk finds in one folder, and how far it has looked."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from dicom_graph.dicom.files.failure_codes import code_of
from dicom_graph.importing.timeouts import CallTimeout, TimeoutFailure, heartbeat
from dicom_graph.store.ingest import FileRecord
from dicom_graph.store.jobs.jobs import Failure

_ANNEX = "/annex/objects/"
"""In the links of git-annex, whose targets may be elsewhere until they are asked for."""


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

    def take(self, other: "Folder") -> None:
        """What was found in another part of the folder."""
        self.files += other.files
        self.others += other.others
        self.failures += other.failures
        self.outside |= other.outside


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


class Listing:
    """How far a folder's entries of names after one and up to another have been looked at."""

    def __init__(self, path: str, base: str, after: str = "", until: str | None = None) -> None:
        self.path = path
        self.base = base
        self.folder = Folder(path)
        self.below: list[str] = []
        self._after = after
        self._until = until
        self._entries: list[os.DirEntry[str]] | None = None
        self._at = 0

    def read_names(self) -> None:
        """Raises OSError."""
        if self._entries is None:
            with os.scandir(self.path) as entries:
                chosen = [entry for entry in entries if self._is_chosen(entry.name)]
            self._entries = sorted(chosen, key=lambda entry: entry.name)

    def _is_chosen(self, name: str) -> bool:
        heartbeat()
        return name > self._after and (self._until is None or name <= self._until)

    def entries(self) -> Iterator[os.DirEntry[str]]:
        """The entries by name."""
        for place, entry in enumerate(self._entries or ()):
            self._at = place
            yield entry

    @property
    def is_without_names(self) -> bool:
        """Whether not even the names are known."""
        return self._entries is None

    def __len__(self) -> int:
        """How many entries there are."""
        return len(self._entries or ())

    @property
    def path_in_question(self) -> str:
        """The path that is being looked at."""
        return self.path if self._entries is None else self._entries[self._at].path

    def rest(self) -> "Listing":
        """The entries after the one in question, to be looked at."""
        rest = Listing(self.path, self.base)
        rest._entries = (self._entries or [])[self._at + 1 :]
        return rest


def printable(path: str) -> str:
    """The path as valid text: bytes that are not UTF-8 are written as \\xNN."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def failure_of(path: str, error: OSError) -> Failure:
    """Why something at a path cannot be taken."""
    kind = TimeoutFailure if isinstance(error, CallTimeout) else Failure
    return kind(printable(path), reason_of(path, error), code_of(error))


def reason_of(path: str, error: OSError) -> str:
    """The same in words. Links that lead to nothing are met where files are fetched later."""
    target = ""
    if isinstance(error, FileNotFoundError):
        with suppress(OSError):
            target = os.readlink(path)
    if _ANNEX in target:
        return "its content is not here: `git annex get` (or `datalad get`) fetches it"
    return "a link that leads to no file" if target else error.strerror or type(error).__name__
