"""Looking for files to import: what lies in a folder of the import roots, in bounded time.

A folder is opened component by component (see `dicom.files.regular_file`), so that no link that is
put in the place of a folder meanwhile leads out of the roots; files are opened in it.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import NamedTuple

from dicom_graph.dicom.files.reading import BEGINNING, begins_as_dicom
from dicom_graph.dicom.files.regular_file import (
    Roots,
    lies_inside,
    open_folder,
    open_in,
    open_regular,
    resolved_path,
)
from dicom_graph.importing.listing import printable

MAX_NAMES = 100_000
"""So many names of a folder are looked at."""


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A file or a folder. `path`: what an import takes, None of a name that is no valid text.

    `size`: of a file, in bytes; `is_dicom`: whether a file begins as DICOM files do, None where it
    could not be read.
    """

    name: str
    path: str | None
    is_folder: bool
    size: int | None = None
    is_dicom: bool | None = None


@dataclass(frozen=True, slots=True)
class FolderPage:
    """Entries of a folder, folders first, by name. `has_more`: there are others behind them.

    `path`: without links. `parent`: the folder above, None of a root. `is_complete`: whether all
    names of the folder were looked at.
    """

    path: str
    parent: str | None
    entries: list[FolderEntry]
    has_more: bool
    is_complete: bool


class _Key(NamedTuple):
    """What entries are sorted by, and what is known of one: `name` is as in the file system."""

    is_file: bool
    shown: str
    name: str
    is_link: bool


def list_folder(path: str, roots: Roots, first: int, after: str | None = None) -> FolderPage:
    """A page of what lies in a folder inside the roots (without links), behind the entry `after`.

    What leads out of the roots is left out, and so is what is neither file nor folder. Raises
    OutsideRootsError, and OSError where it is no folder or cannot be read.
    """
    resolved = resolved_path(path)
    parent = os.path.dirname(resolved)
    with _opened(resolved, roots) as folder, os.scandir(folder) as scanned:
        named = list(islice(scanned, MAX_NAMES + 1))
        keys = (_key(entry, resolved, roots) for entry in named[:MAX_NAMES])
        cut = None if after is None else _cut(after)
        page = nsmallest(
            first + 1, (key for key in keys if key is not None and (cut is None or key[:2] > cut))
        )
        entries = [_entry(folder, resolved, key, roots) for key in page[:first]]
    return FolderPage(
        resolved,
        parent if parent != resolved and lies_inside(parent, roots) else None,
        entries,
        has_more=len(page) > first,
        is_complete=len(named) <= MAX_NAMES,
    )


def cursor_of(entry: FolderEntry) -> str:
    """What stands for an entry as `after`."""
    return f"{int(not entry.is_folder)}/{entry.name}"


def _cut(after: str) -> tuple[bool, str]:
    kind, _, name = after.partition("/")
    return kind == "1", name


@contextmanager
def _opened(resolved: str, roots: Roots) -> Iterator[int]:
    """A folder's descriptor, to list it: the one that `open_folder` returns may only be passed."""
    passed = open_folder(resolved, roots)
    try:
        folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=passed)
    finally:
        os.close(passed)
    try:
        yield folder
    finally:
        os.close(folder)


def _key(entry: os.DirEntry[str], folder: str, roots: Roots) -> _Key | None:
    """None for what is neither file nor folder, or lies elsewhere."""
    try:
        is_link = entry.is_symlink()
        mode = entry.stat(follow_symlinks=False).st_mode
        if is_link:
            target = resolved_path(os.path.join(folder, entry.name))
            # Looked at only inside: what lies outside is nobody's to know.
            if not lies_inside(target, roots):
                return None
            mode = os.lstat(target).st_mode
    except OSError:
        return None
    if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
        return None
    return _Key(stat.S_ISREG(mode), printable(entry.name), entry.name, is_link)


def _entry(folder: int, path: str, key: _Key, roots: Roots) -> FolderEntry:
    full = os.path.join(path, key.name)
    shown = full if printable(full) == full else None
    if not key.is_file:
        return FolderEntry(key.shown, shown, is_folder=True)
    try:
        descriptor = open_regular(full, roots) if key.is_link else open_in(folder, key.name)
    except OSError:
        return FolderEntry(key.shown, shown, is_folder=False)
    try:
        size = os.fstat(descriptor).st_size
        is_dicom = begins_as_dicom(os.read(descriptor, BEGINNING) if size else b"")
    except OSError:
        return FolderEntry(key.shown, shown, is_folder=False)
    finally:
        os.close(descriptor)
    return FolderEntry(key.shown, shown, is_folder=False, size=size, is_dicom=is_dicom)
