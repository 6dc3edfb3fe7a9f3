"""Opening files in folders that others write to: only regular ones, only inside given roots.

Between looking at a path and opening it, a file or a folder may be swapped for a link that leads
elsewhere, or for a pipe that nobody writes to. So links are resolved first, it is checked where
they lead, and then one component after the other is opened from the root of the file system, none
of which may be a link any more. What is open in the end is what is checked to be a regular file.
"""

import errno
import os
import stat
from collections.abc import Iterable, Sequence
from io import BufferedReader
from typing import NamedTuple

AnyPath = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Roots = Sequence[str | os.PathLike[str]]

_IS_SAFE = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
"""Whether this system opens by component. Windows does not: there, paths are compared instead."""
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_FILE = os.O_RDONLY | _NOFOLLOW
for _flag in ("O_NONBLOCK", "O_CLOEXEC", "O_NOCTTY", "O_BINARY", "O_NOINHERIT"):
    _FILE |= getattr(os, _flag, 0)
# A folder without read permission may still be passed through: O_PATH asks for no more than that.
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | getattr(os, "O_DIRECTORY", 0) | _NOFOLLOW
_FOLDER |= getattr(os, "O_CLOEXEC", 0)
_SWAPPED = frozenset({errno.ELOOP, errno.ENOTDIR})
_ATTEMPTS = 5


class RefusedFileError(OSError):
    """What a path leads to is there, but is not opened; `strerror` says why, without the path."""


class OutsideRootsError(RefusedFileError):
    """The path leads out of the roots."""


class NotRegularFileError(RefusedFileError):
    """A folder, pipe, socket or device."""


class Opened(NamedTuple):
    """An open file: its descriptor, and its path without links. `is_link`: its own name is one."""

    descriptor: int
    place: str
    is_link: bool


def open_regular(path: AnyPath, roots: Roots | None = None) -> int:
    """The descriptor of a regular file, to read; opening never waits. The caller closes it.

    Links are followed, as long as they lead to one of `roots` (folders or files, without links:
    see `resolved_roots`) or below; None: wherever they lead. What is in the place of a link or a
    folder when it is opened is not followed again. Raises OutsideRootsError, NotRegularFileError,
    and OSError where it is gone or may not be read.
    """
    return open_place(path, roots).descriptor


def open_place(path: AnyPath, roots: Roots | None = None) -> Opened:
    """The same, and where the file lies."""
    error = None
    for _ in range(_ATTEMPTS):
        resolved = resolved_path(path)
        require_inside(resolved, roots)
        try:
            descriptor = _open_resolved(resolved)
        except OSError as swapped:
            # Links may be replaced by others at any time, and lead inside as well.
            if swapped.errno not in _SWAPPED:
                raise
            error = swapped
            continue
        folder, name = os.path.split(os.fsdecode(path))
        is_link = os.path.join(resolved_path(folder), name) != resolved
        return Opened(descriptor, resolved, is_link)
    assert error is not None
    raise error


def open_regular_file(path: AnyPath, roots: Roots | None = None) -> BufferedReader:
    """The same as a buffered binary file."""
    return open(open_regular(path, roots), "rb")


def open_folder(path: AnyPath, roots: Roots | None = None) -> int:
    """The descriptor of a folder inside the roots, for the `dir_fd` of other calls.

    As `open_regular`; raises OutsideRootsError and OSError. Not on Windows.
    """
    resolved = resolved_path(path)
    require_inside(resolved, roots)
    return _open_folder(resolved)


def resolved_path(path: AnyPath) -> str:
    """The absolute path without links, whether there is something or not. Raises OSError."""
    try:
        return os.path.realpath(os.fsdecode(path))
    except ValueError:
        # A NUL, or what the file system's encoding does not have.
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT)) from None


def resolved_roots(roots: Iterable[str | os.PathLike[str]]) -> tuple[str, ...]:
    """The roots without links."""
    return tuple(os.path.realpath(root) for root in roots)


def require_inside(resolved: str, roots: Roots | None) -> None:
    """Raises OutsideRootsError for a path without links that lies in none of the roots."""
    if roots is not None and not lies_inside(resolved, roots):
        raise OutsideRootsError(errno.EACCES, "outside the import roots of this server")


def lies_inside(resolved: str, roots: Roots) -> bool:
    """Whether a path without links is one of the roots, or lies below one."""
    for root in [os.fspath(root) for root in roots]:
        if resolved == root or resolved.startswith(root.rstrip(os.sep) + os.sep):
            return True
    return False


def open_in(folder: int, name: str) -> int:
    """The descriptor of a regular file in an open folder; a link is no regular file.

    Raises NotRegularFileError, OSError.
    """
    # Some devices do something when they are opened.
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise _not_regular()
    return _regular(os.open(name, _FILE, dir_fd=folder))


class FolderFiles:
    """Opens one file after the other, those of a folder through the folder, which stays open.

    So that each costs little more than opening its path would. Not thread-safe.
    """

    def __init__(self) -> None:
        self._path: str | None = None
        self._resolved = ""
        self._descriptor = -1
        self._is_at: tuple[int, int] | None = None

    def open(self, folder: str, name: str, roots: Roots | None = None) -> Opened:
        """Open a file; the same as `open_place` of its path."""
        if not self._enter(folder):
            return open_place(os.path.join(folder, name), roots)
        mode = os.stat(name, dir_fd=self._descriptor, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            return open_place(os.path.join(folder, name), roots)
        place = os.path.join(self._resolved, name)
        require_inside(place, roots)
        if not stat.S_ISREG(mode):
            raise _not_regular()
        descriptor = _regular(os.open(name, _FILE, dir_fd=self._descriptor))
        return Opened(descriptor, place, is_link=False)

    def _enter(self, folder: str) -> bool:
        """Whether this is the folder that is open now."""
        if not _IS_SAFE or not folder:
            return False
        status = os.stat(folder)
        is_at = status.st_dev, status.st_ino
        if folder == self._path and is_at == self._is_at:
            return True
        self.close()
        resolved = resolved_path(folder)
        try:
            self._descriptor = _open_folder(resolved)
        except OSError:
            return False
        opened = os.fstat(self._descriptor)
        self._path, self._resolved = folder, resolved
        self._is_at = opened.st_dev, opened.st_ino
        return True

    def close(self) -> None:
        """Close the folder."""
        if self._path is not None:
            os.close(self._descriptor)
            self._path = self._is_at = None

    __del__ = close


def _not_regular() -> NotRegularFileError:
    return NotRegularFileError(errno.EINVAL, "not a regular file")


def _open_resolved(resolved: str) -> int:
    if not _IS_SAFE:
        return _open_by_path(resolved)
    folder, name = os.path.split(resolved)
    if not name:
        raise _not_regular()
    descriptor = _open_folder(folder)
    try:
        mode = os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode
        if stat.S_ISLNK(mode):
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return open_in(descriptor, name)
    finally:
        os.close(descriptor)


def _open_folder(resolved: str) -> int:
    """Open a folder from the root of the file system on, none of whose components may be a link."""
    descriptor = os.open(os.sep, _FOLDER)
    try:
        for name in filter(None, resolved.split(os.sep)):
            below = os.open(name, _FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open_by_path(resolved: str) -> int:
    """Where files cannot be opened in an open folder: what was opened must still be at its path."""
    if not stat.S_ISREG(os.lstat(resolved).st_mode):
        raise _not_regular()
    descriptor = _regular(os.open(resolved, _FILE))
    is_there = os.path.realpath(resolved) == resolved
    if not is_there or not os.path.samestat(os.fstat(descriptor), os.lstat(resolved)):
        os.close(descriptor)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
    return descriptor


def _regular(descriptor: int) -> int:
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    raise _not_regular()
