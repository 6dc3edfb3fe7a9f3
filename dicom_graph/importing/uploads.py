"""Uploads: files from a client on their way into the storage root.

They are written into a folder of their own under numbers; the names that the client gives, and
those within archives, are told in the report and never used as paths.
"""

import json
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import select

from dicom_graph.importing.safe_files import FULL
from dicom_graph.importing.work_folder import (
    is_upload,
    remove,
    remove_abandoned,
    unique_name,
    uploads_folder,
)
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import UPLOADED, JobStatus
from dicom_graph.store.private_files import make_folder, open_new
from dicom_graph.store.tables.imports import ImportJob

_NAMES = "names.json"
_FILES = "files"
_MAX_FILES = 100_000
_MAX_NAME = 1000
_MAX_DIRECTORY = 16 << 20
_MAX_RATIO = 200
_ALWAYS_ALLOWED = 64 << 20
_CHUNK = 1 << 20
_ENCRYPTED = 1
_BROKEN = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError, ValueError,
    OSError,
)  # fmt: skip
_ZIP_STARTS = (b"PK\x03\x04", b"PK\x05\x06")


class UploadError(Exception):
    """An upload cannot be taken; the message is for the user who sent it."""


class UploadTooLarge(UploadError):
    """An upload is larger than allowed, as it is sent or as it unpacks."""


class NoSpaceError(UploadError):
    """The storage root has no room for an upload."""


class Upload:
    """One upload: files are added as they come in, then unpacked; `path` is what to import."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        """Raises UploadError where the storage root cannot be written."""
        self._max_bytes = max_bytes
        self._size = 0
        self._number = 0
        self._names: dict[str, str] = {}
        with _no_space():
            self._folder = Path(os.path.realpath(uploads_folder(root)), unique_name())
            make_folder(self._folder / _FILES)

    @property
    def path(self) -> str:
        """The folder of the files."""
        return str(self._folder / _FILES)

    def file(self, name: str) -> "UploadedFile":
        """A new file to write to, and to close. Raises UploadError."""
        self._number += 1
        if self._number > _MAX_FILES:
            raise UploadTooLarge(f"the upload has more than {_MAX_FILES:,} files")
        number = f"{self._number:06}"
        self._names[number] = _shown(name)
        return UploadedFile(self, self._folder / _FILES / number)

    def add(self, size: int) -> None:
        """Count bytes. Raises UploadTooLarge beyond the limit."""
        self._size += size
        if self._size > self._max_bytes:
            raise UploadTooLarge(
                f"the upload has more than {self._max_bytes >> 20} MB, the most that is taken"
            )

    def finish(self) -> None:
        """Unpack the archives, and write down the names. Raises UploadError."""
        if not self._names:
            raise UploadError("the upload has no files")
        self._size = 0
        for number in list(self._names):
            path = self._folder / _FILES / number
            with open(path, "rb") as file:
                is_archive = file.read(4) in _ZIP_STARTS
                file.seek(128)
                is_archive = is_archive and file.read(4) != b"DICM"
            if is_archive:
                self._unpack(path, self._names.pop(number))
        with _no_space(), open(self._folder / _NAMES, "x", opener=open_new) as file:
            json.dump(self._names, file)

    def _unpack(self, path: Path, name: str) -> None:
        try:
            with open(path, "rb", buffering=0) as file, zipfile.ZipFile(_Bounded(file)) as archive:
                self._require_harmless(archive, name)
                allowed = max(_ALWAYS_ALLOWED, _MAX_RATIO * path.stat().st_size)
                for entry in archive.infolist():
                    if not entry.is_dir():
                        allowed -= self._extract(archive, entry, name, allowed)
        except _BROKEN as error:
            raise UploadError(f"{name} is a broken archive") from error
        path.unlink()

    def _require_harmless(self, archive: zipfile.ZipFile, name: str) -> None:
        for entry in archive.infolist():
            if entry.flag_bits & _ENCRYPTED:
                raise UploadError(f"{name} is encrypted")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise UploadError(f"{name} is compressed in a way that is not taken: use deflate")

    def _extract(
        self, archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, allowed: int
    ) -> int:
        size = 0
        with archive.open(entry) as source, self.file(f"{name}/{entry.filename}") as target:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > allowed:
                    raise UploadTooLarge(f"{name} unpacks to more than {_MAX_RATIO} times its size")
                target.write(chunk)
        return size

    def discard(self) -> None:
        """Remove all of it."""
        remove(str(self._folder))


class UploadedFile:
    """A file of an upload while it comes in."""

    def __init__(self, upload: Upload, path: Path) -> None:
        self._upload = upload
        with _no_space():
            self._file = open(path, "xb", opener=open_new)  # noqa: SIM115

    def __enter__(self) -> "UploadedFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Append bytes. Raises UploadError."""
        self._upload.add(len(data))
        with _no_space():
            self._file.write(data)

    def close(self) -> None:
        """All is there. Raises UploadError."""
        with _no_space():
            self._file.close()


class _Bounded:
    """A file that is never read much at once: an archive's directory is, however large it is."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY:
            raise UploadTooLarge("an archive has too many files")
        return self._file.read(min(size, _MAX_DIRECTORY) if size >= 0 else _MAX_DIRECTORY)


@contextmanager
def _no_space() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise NoSpaceError(f"the storage root takes no files: {error.strerror}") from error
        raise UploadError(f"the storage root cannot be written: {error.strerror}") from error


def _shown(name: str) -> str:
    """A client's name as it is shown in a report."""
    return "".join(c if c.isprintable() else "?" for c in name[:_MAX_NAME]) or "unnamed"


def uploaded_names(paths: Sequence[str], root: Path | None) -> dict[str, str]:
    """Of an upload: what the client calls the files at these paths. Else nothing."""
    if root is None or len(paths) != 1 or not is_upload(paths[0], root):
        return {}
    try:
        names = json.loads(Path(paths[0]).with_name(_NAMES).read_text())
    except (OSError, ValueError):
        return {}
    return {os.path.join(paths[0], number): UPLOADED + name for number, name in names.items()}


def discard_upload(paths: Sequence[str], root: Path) -> None:
    """Remove what is left of an upload, if these are the paths of one, after its import."""
    if len(paths) == 1 and is_upload(paths[0], root):
        remove(os.path.dirname(paths[0]))


def discard_abandoned_uploads(database: Database, root: Path) -> None:
    """Remove uploads that no import waits for, and that no process receives any more."""
    with database.read_sync() as connection:
        statement = select(ImportJob.paths, ImportJob.status)
        statement = statement.where(
            ImportJob.status.in_([s.value for s in JobStatus if not s.is_final])
        )
        waiting = {os.path.dirname(row.paths[0]) for row in connection.execute(statement)}
    remove_abandoned(Path(os.path.realpath(uploads_folder(root))), waiting)
