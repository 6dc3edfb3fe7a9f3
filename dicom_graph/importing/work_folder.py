"""A storage root's own corner: files on their way in, each named after the process that writes it.

All of it lies in one folder, so that what a killed process left is found without a walk through
the stored files, and an import of the root does not take it for images.
"""

import errno
import itertools
import os
import shutil
import socket
import time
import uuid
from collections.abc import Collection
from pathlib import Path

from dicom_graph.dicom.default_path import safe_name
from dicom_graph.store.private_files import make_folder

WORK_FOLDER = ".dicom-graph-work"
_UPLOADS = "uploads"
_HOST = safe_name(socket.gethostname())
_RUN = uuid.uuid4().hex
_numbers = itertools.count()
_ABANDONED_AFTER = 24 * 3600.0


def copying_folder(root: Path) -> Path:
    """Where copies are written before they get their names; made if it is not there.

    Raises OSError, also where the root itself is not there: its disk may not be mounted.
    """
    return _made(root, "copying")


def uploads_folder(root: Path) -> Path:
    """Where uploads wait for their import, each in a folder of its own; made if not there.

    Raises OSError as `copying_folder`.
    """
    return _made(root, _UPLOADS)


def uploads_place(root: Path) -> Path:
    """The same, whether it is there or not."""
    return root / WORK_FOLDER / _UPLOADS


def is_upload(path: str, root: str | Path) -> bool:
    """Whether a path without symbolic links is an upload's below this root, or lies in one."""
    return Path(path).is_relative_to(Path(os.path.realpath(root), WORK_FOLDER, _UPLOADS))


def _made(root: Path, name: str) -> Path:
    folder = root / WORK_FOLDER / name
    if not root.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
    make_folder(folder)
    return folder


def unique_name() -> str:
    """Returns a name that no other process makes, and that tells which process made it."""
    return f"{_HOST}+{os.getpid()}+{_RUN}+{next(_numbers)}"


def remove_abandoned(folder: Path, in_use: Collection[str] = ()) -> None:
    """Remove what dead processes of this machine left there, and what is a day old.

    Paths that are `in_use` stay.
    """
    for entry in list(os.scandir(folder)):
        if entry.path not in in_use and _is_abandoned(entry):
            remove(entry.path)


def remove(path: str) -> None:
    """Remove one of our own files or folders; it may be gone already."""
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, ignore_errors=True)
    else:
        Path(path).unlink(missing_ok=True)


def _is_abandoned(entry: os.DirEntry[str]) -> bool:
    try:
        host, pid, run, _ = entry.name.split("+")
        if host == _HOST and _is_gone(int(pid), run):
            return True
        # Not the modification time, which copies take from their originals.
        return time.time() - entry.stat(follow_symlinks=False).st_ctime > _ABANDONED_AFTER
    except (ValueError, FileNotFoundError):
        return False


def _is_gone(pid: int, run: str) -> bool:
    if pid == os.getpid():
        return run != _RUN
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False
