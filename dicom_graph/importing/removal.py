"""Deleting the files of images that were deleted, and no others.

A file is opened and looked at before it goes: it must be the one that was imported. It is removed
from the folder that was open then, whatever has been laid in its place.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from dicom_graph.dicom.elements.contents import header_digest
from dicom_graph.dicom.errors import FileGoneError
from dicom_graph.dicom.files.stored_file import FileState, open_stored_file, reread_header
from dicom_graph.importing.safe_files import in_folder
from dicom_graph.store.edit.delete import Deleted, DeletedFile
from dicom_graph.store.edit.files import claimed_files
from dicom_graph.store.engine import Database
from dicom_graph.store.generation import write_alone

log = logging.getLogger(__name__)
_CHUNK = 500
_OTHER = "its header is not that of the image that was deleted"
_CHANGED = "it has changed since it was imported"


@dataclass(frozen=True, slots=True)
class RemovalResult:
    """What was deleted; `kept`: the files that could not be, with the reasons."""

    rows: Deleted
    files: int = 0
    kept: list[tuple[str, str]] = field(default_factory=list)


class _Name(NamedTuple):
    """A name that may go, and what it must still be: device and inode."""

    file: DeletedFile
    path: str
    device: int
    inode: int


class FileRemoval:
    """Deletes files below a storage root after their rows are gone."""

    def __init__(
        self, database: Database, storage_root: Path | None, removal: RemovalResult
    ) -> None:
        self._database = database
        self._roots = (os.path.realpath(storage_root),) if storage_root is not None else ()
        self._rows, self._kept = removal.rows, removal.kept

    def run(self, files: Sequence[DeletedFile]) -> RemovalResult:
        """Delete files, but for those that are not what they were, and those that an import has
        listed again by now.
        """
        deleted = 0
        for start in range(0, len(files), _CHUNK):
            names = [self._seen(file) for file in sorted(files[start : start + _CHUNK])]
            deleted += self._delete([name for name in names if name is not None])
        return RemovalResult(self._rows, deleted, self._kept)

    def _seen(self, file: DeletedFile) -> _Name | None:
        """The file as it is, if it may go."""
        path = os.path.join(file.directory, file.name)
        if not file.is_own:
            self._kept.append((path, _OTHER))
            return None
        try:
            status = os.lstat(path)
            if self._is_as_it_was(file, path):
                return _Name(file, path, status.st_dev, status.st_ino)
            self._kept.append((path, _CHANGED))
        except FileNotFoundError:
            pass
        except OSError as error:
            self._kept.append((path, error.strerror or type(error).__name__))
        return None

    def _is_as_it_was(self, file: DeletedFile, path: str) -> bool:
        state = FileState(
            path, file.size, file.mtime_ns, file.digest, file.stamp, roots=self._roots
        )
        try:
            opened, is_same = open_stored_file(state)
            with opened:
                if is_same or file.digest is None:
                    return True
                return header_digest(reread_header(opened).elements) == file.digest
        except FileGoneError:
            return False

    def _delete(self, names: Sequence[_Name]) -> int:
        deleted = 0
        with self._database.writer.begin() as connection:
            write_alone(connection)
            for directory, group in groupby(names, key=lambda name: name.file.directory):
                of_folder = list(group)
                claimed = claimed_files(connection, directory, [n.file.name for n in of_folder])
                for name in of_folder:
                    if name.file.name in claimed:
                        self._kept.append((name.path, "it was imported again"))
                    else:
                        deleted += self._unlink(name)
        return deleted

    def _unlink(self, name: _Name) -> bool:
        try:
            with in_folder(name.path, self._roots) as (entry, folder):
                status = os.stat(entry, dir_fd=folder, follow_symlinks=False)
                if (status.st_dev, status.st_ino) != (name.device, name.inode):
                    self._kept.append((name.path, _CHANGED))
                    return False
                os.unlink(entry, dir_fd=folder)
        except FileNotFoundError:
            return False
        except OSError as error:
            log.warning("a file of a deleted image could not be deleted: %s", error.strerror)
            self._kept.append((name.path, error.strerror or type(error).__name__))
            return False
        return True
