"""A reindex: image by image, in short transactions, from where the last one came to.

What is to be changed is looked for beside imports, without a lock, and looked at again in
transactions that keep writers out. Where nothing can have changed, one statement says so.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from sqlalchemy import Connection, exists, func, literal, or_, select, text, true, update

from dicom_graph.dicom.elements.contents import MAX_RAW
from dicom_graph.dicom.elements.revisions import READINGS, VERSION, Reading
from dicom_graph.store.edit.prune import prune
from dicom_graph.store.engine import Database
from dicom_graph.store.generation import count_prune, write_alone
from dicom_graph.store.reindex.fields import FieldReader
from dicom_graph.store.reindex.rereading import Changes, Rereader
from dicom_graph.store.reindex.stored import (
    Formats,
    StoredElements,
    StoredHeader,
    concerned,
    definitions_of,
    rename_definitions,
)
from dicom_graph.store.reindex.writing import HeaderWriter, SetMembers
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.tables.entities import Image, ImageFormat
from dicom_graph.store.tables.headers import DataElement, Header
from dicom_graph.store.tables.versions import ReadingVersion

_WINDOW = 1000
_INDEX = "ix_element_digest_reindex"


@dataclass(slots=True)
class Reindexed:
    """What a reindex changed, or would change: `fields` counts rows by entity, `definitions` those
    that the dictionaries name otherwise now.

    `images`: how many it looked at. `only_in_files`: elements whose bytes the database does not
    have. `without_header`: images of which it keeps none (minimal mode).
    """

    readings: list[str] = field(default_factory=list)
    images: int = 0
    elements: int = 0
    headers: int = 0
    fields: dict[str, int] = field(default_factory=dict)
    definitions: int = 0
    only_in_files: int = 0
    without_header: int = 0
    is_complete: bool = False


def reindex(
    database: Database,
    *,
    dry_run: bool = False,
    max_raw: int = MAX_RAW,
    stop: Event | None = None,
    progress: Callable[[Reindexed], object] = lambda _: None,
) -> Reindexed:
    """Read again what this version reads otherwise than the one that stored it.

    Safe beside imports and other reindexes, and to be killed: the next one goes on. It ends early
    where `stop` is set.
    `max_raw`: the most bytes of a binary value that an element keeps.
    """
    report = Reindexed()
    with database.read_sync() as connection:
        version, reached = _state(connection)
        readings = _to_do(connection, version)
        report.without_header = _without_header(connection) if readings else 0
    report.readings = list(dict.fromkeys(each.name for each in readings))
    if readings:
        run = _Run(database, readings, report, dry_run, max_raw)
        reached = 0 if dry_run else reached
        while (next := run.window(reached)) is not None:
            reached = next
            progress(report)
            if stop is not None and stop.is_set():
                return report
    report.is_complete = True
    if dry_run:
        with database.read_sync() as connection:
            report.definitions = rename_definitions(connection, dry_run=True)
    else:
        report.definitions = _finish(database)
    return report


def _state(connection: Connection) -> tuple[int, int]:
    """The version by which all was read, and the last image that a reindex to ours has read."""
    row = ReadingVersion
    found = connection.execute(select(row.version, row.target, row.image_id)).one()
    return found.version, found.image_id if found.target == VERSION else 0


def _to_do(connection: Connection, version: int) -> dict[Reading, Formats]:
    """The readings since a version that concern something, with the formats of their images.

    A statement each says so of the others.
    """
    definitions = definitions_of(connection)
    found: dict[Reading, Formats] = {}
    for reading in READINGS:
        if reading.version <= version:
            continue
        if reading.has_elements and not reading.fields:
            condition = concerned(reading, definitions, is_sqlite(connection))
            if condition is None:
                continue
            some = select(literal(1)).select_from(DataElement).where(condition).limit(1)
            if connection.execute(some).first() is None:
                continue
        formats = _formats(connection, reading)
        if formats is None or formats:
            found[reading] = formats
    return found


def _formats(connection: Connection, reading: Reading) -> Formats:
    """The formats of the images that a reading concerns."""
    if reading.syntaxes is None and reading.sop_classes is None:
        return None
    row = ImageFormat
    statement = select(row.id).where(
        row.transfer_syntax_uid.in_(reading.syntaxes) if reading.syntaxes else true(),
        row.sop_class_uid.in_(reading.sop_classes) if reading.sop_classes else true(),
        exists().where(Image.format_id == row.id),
    )
    return frozenset(connection.execute(statement).scalars())


def _united(formats: Iterable[Formats]) -> Formats:
    found: set[int] = set()
    for each in formats:
        if each is None:
            return None
        found |= each
    return frozenset(found)


@dataclass
class _Run:
    """One reindex on its way."""

    database: Database
    readings: dict[Reading, Formats]
    report: Reindexed
    dry_run: bool
    max_raw: int

    def __post_init__(self) -> None:
        self._stored = StoredElements(self.readings)
        self._rereader = Rereader(self._stored, self.max_raw)
        self._fields = FieldReader(self._stored, self._is_filled)
        self._writer = HeaderWriter()
        self._sets = SetMembers()
        self._has_index = False
        self._formats = _united(self.readings.values())
        self._filled = _united(
            formats for reading, formats in self.readings.items() if reading.fields
        )

    def window(self, after: int) -> int | None:
        """Do some images after one; returns the last of them, None at the end."""
        with self.database.read_sync() as connection:
            self._stored.begin(connection)
            if not self.dry_run:
                after = _reached(connection, after)
            image_ids = self._image_ids(connection, after)
            if not image_ids:
                return None
            headers = self._headers(connection, image_ids)
            found = self._changed(connection, headers)
            if self.dry_run and found:
                self._fields.update(connection, found, dry_run=True)
        if found and not self.dry_run:
            found = self._write(image_ids, headers, found)
        elif not self.dry_run:
            with self.database.writer.begin() as connection:
                write_alone(connection)
                _reach(connection, image_ids[-1])
        changed = [changes for _, changes in found if changes]
        self.report.images += len(image_ids)
        self.report.headers += len(changed)
        self.report.elements += len({id for changes in changed for id in changes})
        self.report.fields = dict(self._fields.counts)
        self.report.only_in_files = self._rereader.lost
        return image_ids[-1]

    def _write(
        self,
        image_ids: list[int],
        headers: list[StoredHeader],
        found: list[tuple[StoredHeader, Changes]],
    ) -> list[tuple[StoredHeader, Changes]]:
        """Write what was found, now that nobody else writes; of headers that are others by now it
        is looked for again. Elements are what they were: while a header holds them they stay.
        """
        with self.database.writer.begin() as connection:
            write_alone(connection)
            if _reached(connection, 0) >= image_ids[-1]:
                return []  # By another reindex.
            self._ensure_index(connection)
            # What was deleted meanwhile may have been remembered.
            self._writer.forget()
            now = self._headers(connection, image_ids)
            if now != headers:
                found = self._changed(connection, now)
            self._fields.update(connection, found)
            self._writer.write(connection, [each for each in found if each[1]])
            _reach(connection, image_ids[-1])
        return found

    def _image_ids(self, connection: Connection, after: int) -> list[int]:
        statement = select(Image.id).where(Image.id > after).order_by(Image.id).limit(_WINDOW)
        if self._formats is not None:
            statement = statement.where(Image.format_id.in_(sorted(self._formats)))
        return list(connection.execute(statement).scalars())

    def _changed(
        self, connection: Connection, headers: list[StoredHeader]
    ) -> list[tuple[StoredHeader, Changes]]:
        """The headers in which something changes, or whose images' fields are to be read."""
        changes = self._rereader.changes(connection, headers)
        pairs = zip(headers, changes, strict=True)
        return [pair for pair in pairs if pair[1] or self._is_filled(pair[0])]

    def _is_filled(self, header: StoredHeader) -> bool:
        return self._filled is None or header.format_id in self._filled

    def _headers(self, connection: Connection, image_ids: list[int]) -> list[StoredHeader]:
        row = Header
        statement = (
            select(
                row.id, row.image_id, row.shared_set_id, row.own, row.mode,
                Image.format_id, ImageFormat.transfer_syntax_uid,
            )
            .join(Image, Image.id == row.image_id)
            .outerjoin(ImageFormat, ImageFormat.id == Image.format_id)
            .where(among(is_sqlite(connection), row.image_id.expression, image_ids))
            .order_by(row.image_id)
        )  # fmt: skip
        rows: Any = connection.execute(statement).all()
        shared = [each.shared_set_id for each in rows if each.shared_set_id is not None]
        sets = self._sets.of(connection, shared)
        return [
            StoredHeader(
                id, image_id, set_id, tuple(unpack_ids(own)), mode, format_id, syntax,
                sets[set_id] if set_id is not None else (),
            )
            for id, image_id, set_id, own, mode, format_id, syntax in rows
        ]  # fmt: skip

    def _ensure_index(self, connection: Connection) -> None:
        """Digests are looked up by id in a reindex alone, so there is an index while it runs."""
        if not self._has_index:
            connection.execute(text(f"CREATE INDEX IF NOT EXISTS {_INDEX} ON element_digest (id)"))
            self._has_index = True


def _reached(connection: Connection, after: int) -> int:
    """The last image that is read again, here or by another reindex."""
    version, reached = _state(connection)
    return max(after, sys.maxsize if version >= VERSION else reached)


def _reach(connection: Connection, image_id: int) -> None:
    """In a transaction that keeps other reindexes out."""
    row = ReadingVersion
    further = or_(row.target != VERSION, row.image_id < image_id)
    connection.execute(update(row).where(further).values(image_id=image_id, target=VERSION))


def _finish(database: Database) -> int:
    """All is as this version reads it; what nothing holds any more is deleted.

    Returns how many definitions have other names.
    """
    with database.writer.begin() as connection:
        write_alone(connection)
        renamed = rename_definitions(connection, dry_run=False)
        if renamed:
            # Servers and writers remember the names.
            count_prune(connection)
        is_done = _state(connection)[0] >= VERSION
        connection.execute(text(f"DROP INDEX IF EXISTS {_INDEX}"))
    if not is_done:
        prune(database)
        with database.writer.begin() as connection:
            connection.execute(update(ReadingVersion).values(version=VERSION, image_id=0))
    return renamed


def _without_header(connection: Connection) -> int:
    """Of how many images no header is kept."""
    held = exists().where(Header.image_id == Image.id)
    statement = select(func.count()).select_from(Image).where(~held)
    return int(connection.execute(statement).scalar_one())
