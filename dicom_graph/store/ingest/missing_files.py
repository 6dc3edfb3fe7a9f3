"""Files that are gone from disk: what the database knows below a path, and what becomes of it."""

import os
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, Table, delete, select, tuple_, update

from dicom_graph.store.generation import count_deletion, write_alone
from dicom_graph.store.ingest.batch import Outcome
from dicom_graph.store.ingest.missing_images import has_header, mark_images
from dicom_graph.store.ingest.removal import delete_images
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.files import Directory, File

_FILE: Table = File.__table__  # type: ignore[assignment]
_CHUNK = 400


class FileRow(NamedTuple):
    """A file as the database knows it. `place`: its path without links, if that is another one."""

    directory_id: int
    name: str
    image_id: int
    is_missing: bool
    place: str | None


def directories_below(
    connection: Connection, path: str, after: str, limit: int
) -> list[tuple[int, str]]:
    """Ids and paths of the folders with files at a path and below, in order, behind `after`."""
    below, end = _bounds(path)
    columns = Directory.id, Directory.path
    statement = select(*columns).where(Directory.path > max(after, below), Directory.path < end)
    found = connection.execute(statement.order_by(Directory.path).limit(limit)).all()
    if after < path:
        found = [*connection.execute(select(*columns).where(Directory.path == path)), *found]
    return [(id, directory) for id, directory in found]


def directory_paths(connection: Connection, ids: Collection[int]) -> dict[int, str]:
    """The paths of folders by id."""
    chosen = among(is_sqlite(connection), Directory.id.expression, sorted(ids))
    rows = connection.execute(select(Directory.id, Directory.path).where(chosen))
    return {row.id: row.path for row in rows}


def file_rows(
    connection: Connection, directory_ids: Collection[int], after: tuple[int, str], limit: int
) -> list[FileRow]:
    """The files of some folders, by folder id and name, behind `after`."""
    columns = _FILE.c
    place = tuple_(columns.directory_id, columns.name)
    statement = (
        _file_rows()
        .where(
            among(is_sqlite(connection), columns.directory_id, sorted(directory_ids)),
            place > tuple_(*after),
        )
        .order_by(columns.directory_id, columns.name)
        .limit(limit)
    )
    return [_file_row(row) for row in connection.execute(statement)]


def file_row(connection: Connection, path: str) -> FileRow | None:
    """The file of exactly this path."""
    statement = _file_rows().where(
        Directory.path == os.path.dirname(path), File.name == os.path.basename(path)
    )
    row = connection.execute(statement).first()
    return None if row is None else _file_row(row)


def _file_rows() -> Select[*tuple[Any, ...]]:
    return select(
        File.directory_id, File.name, File.image_id, File.missing_since, File.link,
        Directory.real_path,
    ).join(Directory, Directory.id == File.directory_id)  # fmt: skip


def _file_row(row: Any) -> FileRow:
    place = row.link
    if place is None and row.real_path is not None:
        place = os.path.join(row.real_path, row.name)
    return FileRow(row.directory_id, row.name, row.image_id, row.missing_since is not None, place)


def knows_files_at(connection: Connection, path: str) -> bool:
    """Whether a file at this path or below is known, and not yet as missing."""
    row = file_row(connection, path)
    if row is not None and not row.is_missing:
        return True
    below, end = _bounds(path)
    present = (
        select(File.image_id)
        .join(Directory, Directory.id == File.directory_id)
        .where(File.missing_since.is_(None))
        .limit(1)
    )
    places = Directory.path == path, (Directory.path > below) & (Directory.path < end)
    return any(connection.execute(present.where(place)).first() for place in places)


def mark_gone(
    connection: Connection, rows: Sequence[FileRow], job_id: int, *, prune: bool
) -> tuple[int, int]:
    """Record files that are gone; returns how many images are newly missing, and how many moved.

    A file moved where this job found its image at a path that was new: the old row goes, as do
    all with `prune`. Else the row stays, marked. `prune_images` deletes the images.
    """
    moved = _moved(connection, rows, job_id)
    dropped = rows if prune else moved
    kept = () if prune else [row for row in rows if row not in moved and not row.is_missing]
    for chunk in _chunks(dropped):
        connection.execute(delete(File).where(_is_one_of(chunk)))
    for chunk in _chunks(kept):
        connection.execute(update(File).where(_is_one_of(chunk)).values(missing_since=utc_now()))
    return mark_images(connection, {row.image_id for row in rows}), len(moved)


def prune_images(connection: Connection, limit: int) -> int:
    """Delete some of the missing images none of whose own files is known, not even as missing;
    returns how many. A file that contradicts such an image stays on disk, for the next import to
    take as what it says.

    To be called at the beginning of a transaction.
    """
    write_alone(connection)
    own_file = select(File.image_id).where(File.image_id == Image.id, has_header())
    statement = (
        select(Image.id)
        .where(Image.missing_since.is_not(None), ~own_file.correlate(Image).exists())
        .order_by(Image.id)
        .limit(limit)
        .with_for_update()
    )
    ids = list(connection.execute(statement).scalars())
    if ids:
        delete_images(connection, ids)
        count_deletion(connection)
    return len(ids)


def _moved(connection: Connection, rows: Sequence[FileRow], job_id: int) -> set[FileRow]:
    """The files whose image this job found at a new path; each new path is for one file."""
    ids = sorted({row.image_id for row in rows})
    statement = (
        select(File.image_id, File.directory_id, File.name)
        .join(Image, Image.id == File.image_id)
        .where(
            among(is_sqlite(connection), _FILE.c.image_id, ids),
            File.missing_since.is_(None),
            File.import_job_id == job_id,
            File.outcome == Outcome.COPY,
            has_header(),
        )
    )
    gone = {(row.directory_id, row.name) for row in rows}
    new = Counter(
        image_id
        for image_id, directory_id, name in connection.execute(statement)
        if (directory_id, name) not in gone
    )
    moved = set()
    for row in rows:
        if new[row.image_id] > 0:
            new[row.image_id] -= 1
            moved.add(row)
    return moved


def _chunks(rows: Sequence[FileRow] | set[FileRow]) -> list[list[tuple[int, str]]]:
    keys = sorted((row.directory_id, row.name) for row in rows)
    return [keys[start : start + _CHUNK] for start in range(0, len(keys), _CHUNK)]


def _is_one_of(keys: Sequence[tuple[int, str]]) -> ColumnElement[bool]:
    return tuple_(_FILE.c.directory_id, _FILE.c.name).in_(keys)


def _bounds(path: str) -> tuple[str, str]:
    """Between which texts all paths below a path lie."""
    below = path.rstrip(os.sep)
    return below + os.sep, below + chr(ord(os.sep) + 1)
