"""Files and their folders, so that a tree already imported is known without opening it."""

import os
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, case, delete, select, true
from sqlalchemy.orm import aliased

from dicom_graph.dicom.recent import Recent
from dicom_graph.store.bulk import allocate_ids, ids_by_key, insert_new
from dicom_graph.store.dialect import among, is_sqlite, pairs_among
from dicom_graph.store.ingest.batch import FileRecord, Mode, Outcome
from dicom_graph.store.ingest.marks import clear_marks, mark_images
from dicom_graph.store.tables import Directory, File, Header, Image, ImportJob

_DIRECTORY: Table = Directory.__table__  # type: ignore[assignment]
_FILE: Table = File.__table__  # type: ignore[assignment]
_OUTCOMES, _MODES = tuple(Outcome), tuple(Mode)
_DECIDING = (Outcome.CREATED, Outcome.UPDATED, Outcome.CONFIRMED)
Key = tuple[int, str]


class KnownFile(NamedTuple):
    """A file as it was when last read, by which import, and how much of its header is kept.

    `is_missing`: a sync found it gone.
    `decides`: whether the image is as this file says, rather than as another file of its UID.
    """

    size: int
    mtime_ns: int
    import_job_id: int | None
    outcome: Outcome
    mode: Mode
    is_missing: bool = False
    decides: bool = True


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
                File.outcome, Header.mode, File.missing_since, decides(),
            )
            .outerjoin(Header, Header.image_id == File.image_id)
            .where(among(is_sqlite(connection), _FILE.c.directory_id, list(of_folder)))
        )  # fmt: skip
        for id, name, size, mtime_ns, job_id, outcome, mode, missing, rules in connection.execute(
            statement
        ):
            of_folder[id][name] = KnownFile(
                size, mtime_ns, job_id, _OUTCOMES[outcome], _MODES[mode or 0],
                missing is not None, rules,
            )  # fmt: skip
    return {path: of_folder[id] for path, id in ids.items()}


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
        other.image_id == File.image_id,
        other.outcome.in_(_DECIDING),
        other.missing_since.is_(None),
    )
    return case((File.outcome.in_(_DECIDING), true()), else_=~made.exists())


class FileWriter:
    """The ids of folders lately written."""

    def __init__(self) -> None:
        self._directories: Recent[str, int] = Recent(20_000)
        self.orphaned = 0
        """How many images lost their last file to another image, in the last `write`."""

    def forget(self) -> None:
        """After a rollback: nothing remembered is sure to be in the database."""
        self._directories.clear()

    def write(
        self,
        connection: Connection,
        files: Sequence[tuple[FileRecord, int, Outcome]],
        job_id: int | None,
        sources: Sequence[FileRecord] = (),
    ) -> None:
        """Record files and the images they hold; a file known from before is replaced.

        Of a file that is there twice, stored from two sources, the first says its outcome. The
        `sources` are their images' files no longer.
        """
        ids = self._directory_ids(connection, {file.directory for file, _, _ in files})
        rows = {
            (ids[file.directory], file.name): (file.size, file.mtime_ns, image_id, job_id, outcome)
            for file, image_id, outcome in reversed(files)
        }
        keys = sorted(rows)
        left = self._delete_sources(connection, sources)
        replaced = _delete(connection, keys)
        columns = (
            "directory_id", "name", "size", "mtime_ns", "image_id", "import_job_id", "outcome",
        )  # fmt: skip
        counted = _counted(connection, rows, replaced)
        rows_to_insert = [
            (*key, *replaced[key])
            if key in counted
            else (*key, *row[:4], _outcome(row, replaced.get(key) or left.get(row[2])))
            for key, row in sorted(rows.items())
        ]
        insert_new(connection, _FILE, columns, rows_to_insert, "directory_id", "name")
        present = {image_id for _, image_id, _ in files}
        clear_marks(connection, present)
        self.orphaned = mark_images(
            connection, ({old.image_id for old in replaced.values()} | left.keys()) - present
        )

    def _delete_sources(
        self, connection: Connection, sources: Sequence[FileRecord]
    ) -> dict[int, "_Replaced"]:
        """Gives the images whose files they were, and of each the file that decides, if any."""
        folders = sorted({file.directory for file in sources})
        ids = ids_by_key(connection, _DIRECTORY, "path", folders)
        keys = sorted({(ids[f.directory], f.name) for f in sources if f.directory in ids})
        deleted = sorted(
            _delete(connection, keys).values(), key=lambda old: old.outcome in _DECIDING
        )
        return {old.image_id: old for old in deleted}

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


_Row = tuple[int, int, int, int | None, Outcome]
"""Size, mtime, image, import and outcome."""


class _Replaced(NamedTuple):
    size: int
    mtime_ns: int
    image_id: int
    import_job_id: int | None
    outcome: Outcome


def _delete(connection: Connection, keys: Sequence[Key]) -> dict[Key, _Replaced]:
    """Delete file rows; gives those that were there."""
    if not keys:
        return {}
    columns = _FILE.c
    place = columns.directory_id, columns.name
    rows = connection.execute(
        delete(_FILE)
        .where(pairs_among(is_sqlite(connection), place, keys))
        .returning(
            *place, columns.size, columns.mtime_ns, columns.image_id, columns.import_job_id,
            columns.outcome,
        )
    )  # fmt: skip
    return {
        (directory_id, name): _Replaced(size, mtime_ns, image_id, job_id, _OUTCOMES[outcome])
        for directory_id, name, size, mtime_ns, image_id, job_id, outcome in rows
    }


def _counted(
    connection: Connection, rows: Mapping[Key, _Row], replaced: Mapping[Key, _Replaced]
) -> set[Key]:
    """The files that another import has just taken as they are, and may have to count again: it
    has not ended, and if it is killed it knows what was new to it by these rows.
    """
    same = {
        key: old.import_job_id
        for key, old in replaced.items()
        if old[:3] == rows[key][:3]
        and rows[key][4] is Outcome.EXISTING
        and old.import_job_id not in (None, rows[key][3])
    }
    jobs = sorted({job_id for job_id in same.values() if job_id is not None})
    if not jobs:
        return set()
    running = select(ImportJob.id).where(ImportJob.id.in_(jobs), ImportJob.finished_at.is_(None))
    ids = set(connection.execute(running).scalars())
    return {key for key, job_id in same.items() if job_id in ids}


def _outcome(row: _Row, replaced: _Replaced | None) -> Outcome:
    """What a file's row keeps: whether its image is new to the path, and whether it decides."""
    _, _, image_id, _, outcome = row
    if outcome is not Outcome.EXISTING:
        return outcome
    if replaced is None or replaced.image_id != image_id:
        return Outcome.COPY
    return Outcome.CONFIRMED if replaced.outcome in _DECIDING else outcome
