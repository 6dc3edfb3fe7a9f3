"""Files and their folders, so that a tree already imported is known without opening it."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, case, delete, select, true
from sqlalchemy.orm import aliased

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.store.ingest.batch import DECIDING, FileRecord, Mode, Outcome
from dicom_graph.store.ingest.missing_images import clear_marks, mark_images
from dicom_graph.store.sql.bulk_statements import allocate_ids, ids_by_key, insert_new, update_rows
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.many_values import among, pairs_among, texts_among
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.files import Directory, File
from dicom_graph.store.tables.headers import Header
from dicom_graph.store.tables.imports import ImportJob

_DIRECTORY: Table = Directory.__table__  # type: ignore[assignment]
_FILE: Table = File.__table__  # type: ignore[assignment]
_OUTCOMES, _MODES = tuple(Outcome), tuple(Mode)
Key = tuple[int, str]


class KnownFile(NamedTuple):
    """A file as it was when last read, by which import, and how much of its header is kept.

    `is_missing`: a sync found it gone.
    `decides`: whether the image is as this file says, rather than as another file of its UID.
    `place`: its path without links, where that is another one. `is_noted`: whether what tells its
    header from others was noted when it was read.
    """

    size: int
    mtime_ns: int
    import_job_id: int | None
    outcome: Outcome
    mode: Mode
    is_missing: bool = False
    decides: bool = True
    place: str | None = None
    is_noted: bool = True


def known_files(
    connection: Connection, directories: Collection[str]
) -> dict[str, dict[str, KnownFile]]:
    """The files that the database holds of some folders: by folder, by name."""
    ids = ids_by_key(connection, _DIRECTORY, "path", directories)
    of_folder: dict[int, dict[str, KnownFile]] = {id: {} for id in ids.values()}
    if ids:
        statement = (
            select(
                File.directory_id, File.name, File.size, File.mtime_ns, File.import_job_id,
                File.outcome, Header.mode, File.missing_since, decides(), File.link,
                Directory.real_path, File.digest.is_not(None),
            )
            .join(Directory, Directory.id == File.directory_id)
            .outerjoin(Header, Header.image_id == File.image_id)
            .where(among(is_sqlite(connection), _FILE.c.directory_id, list(of_folder)))
        )  # fmt: skip
        for (
            id, name, size, mtime_ns, job_id, outcome, mode, missing, rules, link, real, is_noted,
        ) in connection.execute(statement):  # fmt: skip
            place = link or (os.path.join(real, name) if real is not None else None)
            of_folder[id][name] = KnownFile(
                size, mtime_ns, job_id, _OUTCOMES[outcome], _MODES[mode or 0],
                missing is not None, rules, place, bool(is_noted),
            )  # fmt: skip
    return {path: of_folder[id] for path, id in ids.items()}


class ImageFile(NamedTuple):
    """A file of an image, as the database has it. `digest`: of its header."""

    path: str
    size: int
    mtime_ns: int
    import_job_id: int | None
    outcome: Outcome
    digest: bytes | None = None


def files_of_images(connection: Connection, uids: Sequence[str]) -> dict[str, list[ImageFile]]:
    """The files of images, by SOPInstanceUID, in the order of their paths."""
    found: dict[str, list[ImageFile]] = {}
    for start in range(0, len(uids), 500):
        statement = (
            select(
                Image.uid, Directory.path, File.name, File.size, File.mtime_ns,
                File.import_job_id, File.outcome, File.digest,
            )
            .join(File, File.image_id == Image.id)
            .join(Directory, Directory.id == File.directory_id)
            .where(Image.uid.in_(uids[start : start + 500]))
            .order_by(Directory.path, File.name)
        )  # fmt: skip
        for row in connection.execute(statement):
            uid, folder, name, size, mtime_ns, job_id, outcome, digest = row
            path = os.path.join(folder, name)
            file = ImageFile(path, size, mtime_ns, job_id, Outcome(outcome), digest)
            found.setdefault(uid, []).append(file)
    return found


def decides() -> ColumnElement[bool]:
    """Whether a file made its image what it is, or none of its files that are left did."""
    other = aliased(File)
    made = select(other.name).where(
        other.image_id == File.image_id,
        other.outcome.in_(DECIDING),
        other.missing_since.is_(None),
    )
    return case((File.outcome.in_(DECIDING), true()), else_=~made.exists())


class WrittenFile(NamedTuple):
    """A file that was read, the image that it holds, and what became of that.

    `digest`, `stamp`, `link`, `real_folder`: see `ReadFile`. `patient_id`, `study_id`: whom and
    what its header names, where it is not the image's.
    """

    record: FileRecord
    image_id: int
    outcome: Outcome
    digest: bytes | None = None
    stamp: bytes | None = None
    link: str | None = None
    real_folder: str | None = None
    patient_id: int | None = None
    study_id: int | None = None


class _Folder(NamedTuple):
    id: int
    real_path: str | None


def is_deciding() -> ColumnElement[bool]:
    """Whether a file is there, as far as is known, and made its image what it is."""
    return and_(File.outcome.in_(DECIDING), File.missing_since.is_(None))


class FileWriter:
    """The ids of folders lately written."""

    def __init__(self) -> None:
        self._directories: BoundedCache[str, _Folder] = BoundedCache(20_000)
        self.orphaned = 0
        """How many images lost their last file to another image, in the last `write`."""

    def forget(self) -> None:
        """After a rollback: nothing remembered is sure to be in the database."""
        self._directories.clear()

    def write(
        self,
        connection: Connection,
        files: Sequence[WrittenFile],
        job_id: int | None,
        sources: Sequence[FileRecord] = (),
    ) -> None:
        """Record files and the images they hold; a file known from before is replaced.

        Of a file that is there twice, stored from two sources, the first says its outcome. The
        `sources` are their images' files no longer.
        """
        # Where a file is a link, nothing is known of its folder.
        real = {file.record.directory: file.real_folder for file in files if file.link is None}
        ids = self._directory_ids(connection, {file.record.directory for file in files}, real)
        rows = {
            (ids[file.record.directory], file.record.name): _row(file, job_id)
            for file in reversed(files)
        }
        keys = sorted(rows)
        left = self._delete_sources(connection, sources)
        replaced = _delete(connection, keys)
        counted = _counted(connection, rows, replaced)
        rows_to_insert = []
        for key in keys:
            row, old = rows[key], replaced.get(key)
            if key in counted:
                assert old is not None
                row = row._replace(import_job_id=old.import_job_id, outcome=old.outcome)
            else:
                row = row._replace(outcome=_outcome(row, old or left.get(row.image_id)))
            rows_to_insert.append((*key, *row))
        columns = ("directory_id", "name", *_Row._fields)
        insert_new(connection, _FILE, columns, rows_to_insert, "directory_id", "name")
        clear_marks(connection, {file.image_id for file in files})
        had_files = {old.image_id for old in replaced.values()} | left.keys()
        self.orphaned = mark_images(connection, had_files)

    def _delete_sources(
        self, connection: Connection, sources: Sequence[FileRecord]
    ) -> dict[int, "_Row"]:
        """Returns the images whose files they were, and of each the file that decides, if any."""
        folders = sorted({file.directory for file in sources})
        ids = ids_by_key(connection, _DIRECTORY, "path", folders)
        keys = sorted({(ids[f.directory], f.name) for f in sources if f.directory in ids})
        deleted = sorted(
            _delete(connection, keys).values(), key=lambda old: old.outcome in DECIDING
        )
        return {old.image_id: old for old in deleted}

    def _directory_ids(
        self, connection: Connection, paths: set[str], real: Mapping[str, str | None]
    ) -> dict[str, int]:
        """The ids of folders. `real`: where some of them are, without links."""
        known = {path: f for path in paths if (f := self._directories.get(path)) is not None}
        unknown = sorted(paths - known.keys())
        if unknown:
            known |= _find_folders(connection, unknown)
            missing = [path for path in unknown if path not in known]
            new_ids = allocate_ids(connection, _DIRECTORY, len(missing))
            rows = [(id, path, real.get(path)) for id, path in zip(new_ids, missing, strict=True)]
            insert_new(connection, _DIRECTORY, ("id", "path", "real_path"), rows, "path")
            known |= _find_folders(connection, missing)
        moved = {
            path: folder._replace(real_path=real[path])
            for path, folder in known.items()
            if path in real and real[path] != folder.real_path
        }
        changes = sorted((folder.id, folder.real_path) for folder in moved.values())
        update_rows(connection, _DIRECTORY, ("id",), ("real_path",), changes)
        known |= moved
        self._directories.update((path, known[path]) for path in [*unknown, *moved])
        return {path: folder.id for path, folder in known.items()}


def _find_folders(connection: Connection, paths: Sequence[str]) -> dict[str, _Folder]:
    found: dict[str, _Folder] = {}
    if paths:
        columns = _DIRECTORY.c
        chosen = texts_among(is_sqlite(connection), columns.path, paths)
        statement = select(columns.path, columns.id, columns.real_path).where(chosen)
        found = {path: _Folder(id, real) for path, id, real in connection.execute(statement)}
    return found


class _Row(NamedTuple):
    """What the row of a file says, but for its key."""

    size: int
    mtime_ns: int
    image_id: int
    import_job_id: int | None
    outcome: Outcome
    digest: bytes | None
    stamp: bytes | None
    link: str | None
    patient_id: int | None
    study_id: int | None


def _row(file: WrittenFile, job_id: int | None) -> _Row:
    record = file.record
    return _Row(
        record.size, record.mtime_ns, file.image_id, job_id, file.outcome, file.digest, file.stamp,
        file.link, file.patient_id, file.study_id,
    )  # fmt: skip


def _delete(connection: Connection, keys: Sequence[Key]) -> dict[Key, _Row]:
    """Delete file rows; returns those that were there."""
    if not keys:
        return {}
    columns = _FILE.c
    place = columns.directory_id, columns.name
    rows = connection.execute(
        delete(_FILE)
        .where(pairs_among(is_sqlite(connection), place, keys))
        .returning(*place, *(columns[name] for name in _Row._fields))
    )
    return {
        (directory_id, name): _Row(*row)._replace(outcome=_OUTCOMES[row[4]])
        for directory_id, name, *row in rows
    }


def _counted(
    connection: Connection, rows: Mapping[Key, _Row], replaced: Mapping[Key, _Row]
) -> set[Key]:
    """The files that another import has just taken as they are, and may have to count again: it
    has not ended, and if it is killed it knows what was new to it by these rows.
    """
    same = {
        key: old.import_job_id
        for key, old in replaced.items()
        if old[:3] == rows[key][:3]
        and rows[key].outcome is Outcome.EXISTING
        and old.import_job_id not in (None, rows[key].import_job_id)
    }
    jobs = sorted({job_id for job_id in same.values() if job_id is not None})
    if not jobs:
        return set()
    running = select(ImportJob.id).where(ImportJob.id.in_(jobs), ImportJob.finished_at.is_(None))
    ids = set(connection.execute(running).scalars())
    return {key for key, job_id in same.items() if job_id in ids}


def _outcome(row: _Row, replaced: _Row | None) -> Outcome:
    """What a file's row keeps: whether its image is new to the path, and whether it decides."""
    if row.outcome is not Outcome.EXISTING:
        return row.outcome
    if replaced is None or replaced.image_id != row.image_id:
        return Outcome.COPY
    return Outcome.CONFIRMED if replaced.outcome in DECIDING else row.outcome
