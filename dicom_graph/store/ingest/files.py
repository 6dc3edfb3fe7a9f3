"""Files and their folders, so that a tree already imported is known without opening it."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, case, delete, select, true, tuple_
from sqlalchemy.orm import aliased

from dicom_graph.dicom.recent import Recent
from dicom_graph.store.dialect import allocate_ids, ids_by_key, insert_new
from dicom_graph.store.ingest.batch import FileRecord, Mode, Outcome
from dicom_graph.store.tables import Directory, File, Header, Image

_DIRECTORY: Table = Directory.__table__  # type: ignore[assignment]
_FILE: Table = File.__table__  # type: ignore[assignment]


class KnownFile(NamedTuple):
    """A file as it was when last read, by which import, and how much of its header is kept.

    `decides`: whether the image is as this file says, rather than as another file of its UID.
    """

    size: int
    mtime_ns: int
    import_job_id: int | None
    outcome: Outcome
    mode: Mode
    decides: bool = True


def known_files(connection: Connection, directory: str) -> dict[str, KnownFile]:
    """The files of a folder that the database holds, by name."""
    statement = (
        select(
            File.name, File.size, File.mtime_ns, File.import_job_id, File.outcome, Header.mode,
            decides(),
        )
        .join(Directory, Directory.id == File.directory_id)
        .outerjoin(Header, Header.image_id == File.image_id)
        .where(Directory.path == directory)
    )  # fmt: skip
    return {
        name: KnownFile(size, mtime_ns, job_id, Outcome(outcome), Mode(mode or 0), decides)
        for name, size, mtime_ns, job_id, outcome, mode, decides in connection.execute(statement)
    }


class ImageFile(NamedTuple):
    """A file of an image, as the database has it."""

    path: str
    size: int
    mtime_ns: int
    import_job_id: int | None
    outcome: Outcome


def files_of_images(connection: Connection, uids: Sequence[str]) -> dict[str, list[ImageFile]]:
    """The files of images, by SOPInstanceUID, in the order of their paths."""
    found: dict[str, list[ImageFile]] = {}
    for start in range(0, len(uids), 500):
        statement = (
            select(
                Image.uid, Directory.path, File.name, File.size, File.mtime_ns,
                File.import_job_id, File.outcome,
            )
            .join(File, File.image_id == Image.id)
            .join(Directory, Directory.id == File.directory_id)
            .where(Image.uid.in_(uids[start : start + 500]))
            .order_by(Directory.path, File.name)
        )  # fmt: skip
        for uid, folder, name, size, mtime_ns, job_id, outcome in connection.execute(statement):
            file = ImageFile(os.path.join(folder, name), size, mtime_ns, job_id, Outcome(outcome))
            found.setdefault(uid, []).append(file)
    return found


def decides() -> ColumnElement[bool]:
    """Whether a file made its image what it is, or none of its files that are left did."""
    other = aliased(File)
    made = select(other.name).where(
        other.image_id == File.image_id, other.outcome != Outcome.EXISTING
    )
    return case((File.outcome != Outcome.EXISTING, true()), else_=~made.exists())


class FileWriter:
    """The ids of folders lately written."""

    def __init__(self) -> None:
        self._directories: Recent[str, int] = Recent(20_000)

    def forget(self) -> None:
        """After a rollback: nothing remembered is sure to be in the database."""
        self._directories.clear()

    def write(
        self,
        connection: Connection,
        files: Sequence[tuple[FileRecord, int, Outcome]],
        job_id: int | None,
    ) -> None:
        """Record files and the images they hold; a file known from before is replaced.

        Of a file that is there twice, stored from two sources, the first says its outcome.
        """
        ids = self._directory_ids(connection, {file.directory for file, _, _ in files})
        rows = {
            (ids[file.directory], file.name): (file.size, file.mtime_ns, image_id, job_id, outcome)
            for file, image_id, outcome in reversed(files)
        }
        keys = sorted(rows)
        _delete(connection, keys)
        columns = (
            "directory_id", "name", "size", "mtime_ns", "image_id", "import_job_id", "outcome",
        )  # fmt: skip
        rows_to_insert = [(*key, *rows[key]) for key in keys]
        insert_new(connection, _FILE, columns, rows_to_insert, "directory_id", "name")

    def forget_files(self, connection: Connection, files: Sequence[FileRecord]) -> None:
        """Drop the rows of files that are their images' no longer."""
        found = ids_by_key(connection, _DIRECTORY, "path", {file.directory for file in files})
        keys = sorted((found[f.directory], f.name) for f in files if f.directory in found)
        _delete(connection, keys)

    def _directory_ids(self, connection: Connection, paths: set[str]) -> dict[str, int]:
        ids = {path: id for path in paths if (id := self._directories.get(path)) is not None}
        unknown = sorted(paths - ids.keys())
        if unknown:
            found = ids_by_key(connection, _DIRECTORY, "path", unknown)
            missing = [path for path in unknown if path not in found]
            new_ids = allocate_ids(connection, _DIRECTORY, len(missing))
            rows = list(zip(new_ids, missing, strict=True))
            insert_new(connection, _DIRECTORY, ("id", "path"), rows, "path")
            found.update(ids_by_key(connection, _DIRECTORY, "path", missing))
            self._directories.update(found.items())
            ids.update(found)
        return ids


def _delete(connection: Connection, keys: Sequence[tuple[int, str]]) -> None:
    place = tuple_(_FILE.c.directory_id, _FILE.c.name)
    for start in range(0, len(keys), 400):
        connection.execute(delete(_FILE).where(place.in_(keys[start : start + 400])))
