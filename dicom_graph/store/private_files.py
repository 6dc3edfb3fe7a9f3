"""Files and folders that only their owner may read, whatever the umask.

What the program makes is made so: 0600 and 0700. What an earlier version made, or somebody changed,
is mended. A folder is mended only where it is surely ours: one that a user made may be shared on
purpose, or hold other things.
"""

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

log = logging.getLogger(__name__)
FILE_MODE = 0o600
FOLDER_MODE = 0o700
_OTHERS = 0o077
_ALL = 0o007
"""Those who are neither the owner nor of the group."""


def make_folder(path: str | os.PathLike[str]) -> None:
    """Make a folder, and those above it, where they are not there. Raises OSError."""
    missing = []
    folder = Path(path)
    while not folder.is_dir():
        missing.append(folder)
        if folder.parent == folder:
            break
        folder = folder.parent
    for folder in reversed(missing):
        try:
            os.mkdir(folder, FOLDER_MODE)
        except FileExistsError:
            if not folder.is_dir():
                raise
        else:
            os.chmod(folder, FOLDER_MODE)


def open_new(path: str, flags: int = os.O_WRONLY) -> int:
    """Make a file that must not be there, and open it to write; an `opener` of `open`.

    Raises OSError.
    """
    descriptor = os.open(path, flags | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)
    # The umask may have taken even the owner's right.
    os.fchmod(descriptor, FILE_MODE)
    return descriptor


def open_or_make(path: str, flags: int) -> int:
    """Open a file, or make it; an `opener` of `open`. Raises OSError."""
    with suppress(FileExistsError):
        return open_new(path, flags)
    return os.open(path, flags, FILE_MODE)


def restrict_to_owner(path: str | os.PathLike[str], *, keeps_group: bool = False) -> bool:
    """Take from all but the owner what they may do with our own file or folder; never raises.

    `keeps_group`: its group may go on. Returns whether others might do something. A link is not
    followed, and nothing but regular files and folders is touched.
    """
    others = _ALL if keeps_group else _OTHERS
    try:
        with _named(path) as name:
            mode = os.stat(name, follow_symlinks=name != path).st_mode
            is_ours = stat.S_ISREG(mode) or stat.S_ISDIR(mode)  # /dev/null is everybody's.
            if not mode & others or not is_ours:
                return False
            os.chmod(name, stat.S_IMODE(mode) & ~others)
    except OSError as error:
        if not isinstance(error, FileNotFoundError):
            # Not the path: those of stored files name patients.
            log.warning(
                "others may read a file or folder of dicom-graph, and that cannot be changed: %s",
                error.strerror,
            )
        return False
    return True


@contextmanager
def _named(path: str | os.PathLike[str]) -> Iterator[str | os.PathLike[str]]:
    """A name for what is at the path now, that no link can be put in the place of.

    SQLite's locks would be gone once its file was opened and closed again, but not by O_PATH.
    """
    if not hasattr(os, "O_PATH") or not os.path.isdir("/proc/self/fd"):
        yield path
        return
    descriptor = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
