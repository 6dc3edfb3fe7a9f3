"""Copying and moving files so that a crash at any moment loses none, and none is overwritten.

A file appears under its name whole or not at all: it is written under another, synced, read back
and then linked, which fails where the name is taken.
"""

import errno
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from dicom_graph.dicom.files.regular_file import (
    RefusedFileError,
    Roots,
    open_folder,
    open_regular_file,
)
from dicom_graph.importing.timeouts import heartbeat
from dicom_graph.store.ingest import FileRecord
from dicom_graph.store.private_files import open_new, restrict_to_owner

_CHUNK = 1 << 20
_UNSYNCED = 256 << 20
"""What is copied before it is synced: of much more at once a slow disk shows no progress."""
_CHANGED = "it changed while it was imported; import it again"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""Errors of a file system that takes no file at all any more."""
_NO_SUCH_LINK = frozenset(
    {errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP,
     errno.EOPNOTSUPP, errno.EINVAL}
)  # fmt: skip


class StorageError(Exception):
    """A file cannot be stored; the message says why. It stays where it is."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file it is, and in which state."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        """That of a file's status."""
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)


@contextmanager
def opened(path: str, roots: Roots | None = None) -> Iterator[BufferedReader]:
    """A regular file to read, inside the roots; anything else in its place is a StorageError, and
    never a wait.
    """
    try:
        file = open_regular_file(path, roots)
    except RefusedFileError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    with file:
        yield file


def require_unchanged(status: os.stat_result, record: FileRecord) -> None:
    """Raises StorageError for a file that is not as it was when it was found."""
    if (status.st_size, status.st_mtime_ns) != (record.size, record.mtime_ns):
        raise StorageError(_CHANGED)


def copy_to(record: FileRecord, temporary: str, target: str) -> bool:
    """Copy a file to a new name, with its modification time, synced and read back.

    False where the target is there already. Raises StorageError, OSError.
    """
    try:
        digest = _write_copy(os.path.join(record.directory, record.name), record, temporary)
        if _digest_on_disk(temporary) != digest:
            raise StorageError("its copy reads differently than it was written: is the disk sound?")
        return _publish(temporary, target)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _write_copy(source: str, record: FileRecord, temporary: str) -> bytes:
    digest = hashlib.sha256()
    with opened(source, record.roots) as file, open(open_new(temporary), "wb", 0) as copy:
        require_unchanged(os.fstat(file.fileno()), record)
        unsynced = 0
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            heartbeat()
            digest.update(chunk)
            left = memoryview(chunk)
            while left:
                left = left[copy.write(left) :]
            unsynced += len(chunk)
            if unsynced > _UNSYNCED:
                os.fsync(copy.fileno())
                unsynced = 0
            if copy.tell() > record.size:
                raise StorageError(_CHANGED)
        status = os.fstat(file.fileno())
        require_unchanged(status, record)
        if copy.tell() != record.size:
            raise StorageError(_CHANGED)
        os.utime(copy.fileno(), ns=(status.st_atime_ns, status.st_mtime_ns))
        os.fsync(copy.fileno())
    return digest.digest()


def _digest_on_disk(path: str) -> bytes:
    """The SHA-256 of a file, read from the disk rather than from memory where the system can."""
    with opened(path) as file:
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        digest = hashlib.sha256()
        for chunk in iter(lambda: file.read(_CHUNK), b""):
            heartbeat()
            digest.update(chunk)
        return digest.digest()


def link_to(record: FileRecord, temporary: str, target: str) -> bool | None:
    """Give a file a second name, which is a move once the first one is removed.

    False where the target is there already; None where the file has more names than one, through
    which it could be changed, or the file system has no such links: then it must be copied.
    Raises StorageError, OSError.
    """
    source = os.path.join(record.directory, record.name)
    with opened(source, record.roots) as file:
        status = os.fstat(file.fileno())
        require_unchanged(status, record)
        if status.st_nlink != 1:
            return None
        os.fsync(file.fileno())
        try:
            os.link(source, temporary, follow_symlinks=False)
        except OSError as error:
            if error.errno in _NO_SUCH_LINK:
                return None
            raise
        try:
            if Identity.of(os.lstat(temporary)) != Identity.of(status):
                raise StorageError(_CHANGED)
            return _publish(temporary, target)
        finally:
            Path(temporary).unlink(missing_ok=True)


def _publish(temporary: str, target: str) -> bool:
    """Give a whole file its name; False where that is taken."""
    try:
        os.link(temporary, target, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_SUCH_LINK:
            raise
        if os.path.lexists(target):
            return False
        os.rename(temporary, target)
    return True


def is_same(source: str, target: str, roots: Roots | None = None) -> bool:
    """Whether two files hold the same bytes, or are one. The target is synced, since from here on
    it may be the only one. `roots`: inside which the source must lie. Raises StorageError, OSError.
    """
    with opened(source, roots) as mine, opened(target) as theirs:
        here, there = os.fstat(mine.fileno()), os.fstat(theirs.fileno())
        if here.st_size != there.st_size:
            return False
        os.fsync(theirs.fileno())
        if os.path.samestat(here, there):
            return True
        while chunk := mine.read(_CHUNK):
            heartbeat()
            if theirs.read(_CHUNK) != chunk:
                return False
        return not theirs.read(1)


def sync_folder(path: str) -> None:
    """Make the names in a folder outlive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot, and need not.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise
    finally:
        os.close(descriptor)


def remove_original(
    source: str, was: Identity, target: str, kept: Identity, roots: Roots | None = None
) -> None:
    """Remove a file that is stored now, if both are still what they were when it was stored.

    One that is gone already is no error. `roots`: inside which it must lie. Raises StorageError,
    OSError; then it is still there.
    """
    if Identity.of(os.stat(target)) != kept:
        raise StorageError(f"{target} changed meanwhile")
    with suppress(FileNotFoundError), in_folder(source, roots) as (name, folder):
        if Identity.of(os.stat(name, dir_fd=folder, follow_symlinks=False)) != was:
            raise StorageError("it changed meanwhile")
        if _is_one_name(source, target):
            raise StorageError(f"it is {target} itself")
        os.unlink(name, dir_fd=folder)
    # Not before: until now it may have been the original, under another name.
    restrict_to_owner(target)


@contextmanager
def in_folder(path: str, roots: Roots | None) -> Iterator[tuple[str, int | None]]:
    """A file's name and its open folder, for the `dir_fd` of calls, so that all of them are in the
    same folder whatever is laid in its place. Where there is no such thing, the path and None.

    Raises OSError.
    """
    if os.unlink not in os.supports_dir_fd or os.stat not in os.supports_dir_fd:
        yield path, None
        return
    folder = open_folder(os.path.dirname(path), roots)
    try:
        yield os.path.basename(path), folder
    finally:
        os.close(folder)


def _is_one_name(source: str, target: str) -> bool:
    """Whether two paths name one entry of one folder, as through two mounts."""
    folders = os.path.dirname(source), os.path.dirname(target)
    names = os.path.basename(source).casefold(), os.path.basename(target).casefold()
    return names[0] == names[1] and os.path.samefile(*folders)
