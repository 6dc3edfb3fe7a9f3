"""Deleting what nothing holds any more: elements, shared sets, definitions, folders.

An element is held by a header, its own or through a shared set. A nested one is held by an item,
which goes with its sequence, so elements are swept until a whole round releases none.

What may be deleted is looked for beside running imports, without a lock, and looked at again in
short transactions that keep writers out. Each of them counts a prune, so that no writer uses an id
that is gone. Formats of images stay: they are few.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, Table, and_, delete, or_, select

from dicom_graph.store.edit.delete import delete_sets
from dicom_graph.store.engine import Database
from dicom_graph.store.generation import count_prune, write_alone
from dicom_graph.store.postings import delete_postings
from dicom_graph.store.sql.bulk_statements import delete_rows
from dicom_graph.store.sql.connections import compact, is_sqlite
from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.tables.csa import CsaNumber, CsaPart, CsaPartElement, CsaText
from dicom_graph.store.tables.files import Directory, File
from dicom_graph.store.tables.headers import (
    DataElement,
    DataElementDefinition,
    DataElementValue,
    ElementDigest,
    ElementSet,
    ElementSetMember,
    Header,
    HeaderElement,
)

_DIGEST: Table = ElementDigest.__table__  # type: ignore[assignment]
_WINDOW = 10_000
_CHUNK = 500


@dataclass(slots=True)
class Pruned:
    """How much was deleted."""

    elements: int = 0
    values: int = 0
    items: int = 0
    sets: int = 0
    definitions: int = 0
    directories: int = 0


def prune(database: Database) -> Pruned:
    """Delete all that nothing holds. Safe beside imports; needs little memory."""
    pruned = Pruned()
    unused = ~select(Header.id).where(Header.shared_set_id == ElementSet.id).exists()
    _sweep_rows(database, ElementSet.id, unused, _Sets(pruned))
    while _sweep_elements(database, pruned):
        pass
    if pruned.elements:
        _sweep_csa(database)
    _sweep_definitions(database, pruned)
    empty = ~select(File.name).where(File.directory_id == Directory.id).exists()
    _sweep_rows(database, Directory.id, empty, _Directories(pruned))
    return pruned


def compact_database(database: Database) -> bool | None:
    """Make the file of an SQLite database smaller; False where it is in use, None elsewhere."""
    if not database.is_sqlite:
        return None
    connection = database.writer.raw_connection()
    try:
        return compact(connection.driver_connection)
    finally:
        connection.close()


@dataclass(frozen=True, slots=True)
class _Sets:
    pruned: Pruned

    def __call__(self, connection: Connection, condition: ColumnElement[bool]) -> int:
        deleted = delete_sets(connection, condition)
        self.pruned.sets += deleted
        return deleted


@dataclass(frozen=True, slots=True)
class _Directories:
    pruned: Pruned

    def __call__(self, connection: Connection, condition: ColumnElement[bool]) -> int:
        deleted: int = connection.execute(delete(Directory).where(condition)).rowcount
        self.pruned.directories += deleted
        return deleted


def _sweep_rows(
    database: Database,
    id: Any,
    unheld: ColumnElement[bool],
    sweep: Callable[[Connection, ColumnElement[bool]], int],
) -> None:
    """Delete the rows of a table that are not held, window by window of its ids."""
    last = 0
    while True:
        with database.read_sync() as connection:
            window = _ids(connection, select(id).where(id > last).order_by(id).limit(_WINDOW))
            candidates = _ids(connection, select(id).where(_among(connection, id, window), unheld))
        if not window:
            return
        for chunk in _chunks(candidates):
            with database.writer.begin() as connection:
                write_alone(connection)
                if sweep(connection, _among(connection, id, chunk) & unheld):
                    count_prune(connection)
        last = window[-1]


def _sweep_elements(database: Database, pruned: Pruned) -> bool:
    """Delete elements that nothing holds, in the order of their digests.

    Returns whether items were deleted, which may have held others.
    """
    items_before = pruned.items
    last = b""
    while True:
        with database.read_sync() as connection:
            statement = select(ElementDigest.digest, ElementDigest.id)
            statement = statement.where(ElementDigest.digest > last)
            statement = statement.order_by(ElementDigest.digest).limit(_WINDOW)
            window = [(id, bytes(digest)) for digest, id in connection.execute(statement)]
            digests = dict(window)
            candidates = _unheld(connection, list(digests))
        if not window:
            return pruned.items > items_before
        for chunk in _chunks(candidates):
            with database.writer.begin() as connection:
                write_alone(connection)
                unheld = _unheld(connection, chunk)
                if unheld:
                    _delete_elements(connection, unheld, pruned)
                    delete_rows(connection, _DIGEST, ("digest",), [(digests[id],) for id in unheld])
                    count_prune(connection)
        last = window[-1][1]


def _unheld(connection: Connection, ids: Sequence[int]) -> list[int]:
    """Those of the elements that no header and no set holds."""
    element = DataElement.id
    held = or_(
        select(HeaderElement.first_id).where(HeaderElement.element_id == element).exists(),
        select(ElementSetMember.first_id).where(ElementSetMember.element_id == element).exists(),
    )
    return _ids(connection, select(element).where(_among(connection, element, ids), ~held))


def _delete_elements(connection: Connection, ids: Sequence[int], pruned: Pruned) -> None:
    """Elements with their values and items."""
    statement = select(Header.id, Header.own).where(_among(connection, Header.element_id, ids))
    items = connection.execute(statement.order_by(Header.id)).all()
    held = [(id, unpack_ids(own)) for id, own in items]
    delete_postings(connection, HeaderElement, held)
    of_elements = {
        "items": (Header, Header.element_id),
        "values": (DataElementValue, DataElementValue.element_id),
        "elements": (DataElement, DataElement.id),
    }
    for name, (table, column) in of_elements.items():
        deleted = connection.execute(delete(table).where(_among(connection, column, ids))).rowcount
        setattr(pruned, name, getattr(pruned, name) + deleted)


def _sweep_csa(database: Database) -> None:
    """Delete the CSA values of elements that are gone, then the parts that no header has left."""
    with database.writer.begin() as connection:
        write_alone(connection)
        gone = CsaPartElement.element_id.not_in(select(DataElement.id))
        connection.execute(delete(CsaPartElement).where(gone))
        shared = select(CsaPartElement.part_id)
        connection.execute(delete(CsaPart).where(CsaPart.id.not_in(shared)))
        for table in (CsaNumber, CsaText):
            holder = table.holder_id
            unheld = or_(
                and_(holder > 0, holder.not_in(select(DataElement.id))),
                and_(holder < 0, (-holder).not_in(select(CsaPart.id))),
            )
            connection.execute(delete(table).where(unheld))
        count_prune(connection)


def _sweep_definitions(database: Database, pruned: Pruned) -> None:
    with database.read_sync() as connection:
        candidates = _without_elements(connection, None)
    if not candidates:
        return
    with database.writer.begin() as connection:
        write_alone(connection)
        unheld = _without_elements(connection, candidates)
        if unheld:
            id = DataElementDefinition.id
            statement = delete(DataElementDefinition).where(_among(connection, id, unheld))
            pruned.definitions += connection.execute(statement).rowcount
            count_prune(connection)


def _without_elements(connection: Connection, ids: Sequence[int] | None) -> list[int]:
    """The definitions, or those of these, that no element has; one look at each element."""
    used = select(DataElement.definition_id)
    wanted = select(DataElementDefinition.id)
    if ids is not None:
        used = used.where(_among(connection, DataElement.definition_id, ids))
        wanted = wanted.where(_among(connection, DataElementDefinition.id, ids))
    held = set(_ids(connection, used.distinct()))
    return [id for id in _ids(connection, wanted) if id not in held]


def _ids(connection: Connection, statement: Select[Any]) -> list[int]:
    return list(connection.execute(statement).scalars())


def _among(connection: Connection, column: Any, ids: Sequence[int]) -> ColumnElement[bool]:
    return among(is_sqlite(connection), column.expression, ids)


def _chunks(ids: Sequence[int]) -> list[Sequence[int]]:
    return [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]
