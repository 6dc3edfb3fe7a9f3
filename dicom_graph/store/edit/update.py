"""Setting fields of an entity, and giving them back to the files."""

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from dicom_graph.dicom.entities import checks
from dicom_graph.store.ingest.edited import NAME_PARTS, OWNERS, locked_row, whole_name
from dicom_graph.store.tables.entities import DESCRIBED_TABLES


def update_entity(connection: Connection, entity: str, id: int, values: Mapping[str, Any]) -> bool:
    """Set columns of an entity, and remember them as edited; False where there is none.

    Of a patient the parts of the name are set; the whole name follows. Raises BadValue where that
    is too long.
    """
    table = DESCRIBED_TABLES[entity]
    row = locked_row(connection, table, id)
    if row is None:
        return False
    if not values:
        return True
    written = dict(values)
    if not values.keys().isdisjoint(NAME_PARTS):
        name = whole_name(row["name"], dict(row) | written)
        written["name"] = name and checks.whole_name(name)
    edited = {*(row["edited"] or ()), *values}
    written["edited"] = [column.name for column in table.c if column.name in edited]
    connection.execute(update(table).where(table.c.id == id).values(written))
    return True


def entity_exists(connection: Connection, entity: str, id: int) -> bool:
    """Whether there is such an entity."""
    table = DESCRIBED_TABLES[entity]
    found = connection.execute(select(table.c.id).where(table.c.id == id)).first()
    return found is not None


def entity_named(connection: Connection, entity: str, uid: str) -> int | None:
    """Returns the id of the entity of this UID, of a patient of this PatientID; None for none."""
    table = DESCRIBED_TABLES[entity]
    return connection.scalar(select(table.c.id).where(table.c.uid == uid))


def discard_edits(
    connection: Connection,
    entity: str,
    id: int,
    names: Collection[str] | None,
    exclude: Collection[str] = (),
) -> None:
    """Take these columns, or all, but for `exclude`, for no longer edited; their values stay until
    a file is read. What a series belongs to stays as it is: no file changes that later.
    """
    table = DESCRIBED_TABLES[entity]
    row = locked_row(connection, table, id)
    edited = (row["edited"] or []) if row is not None else []
    kept = {*exclude, *OWNERS}
    rest = [n for n in edited if n in kept or (names is not None and n not in names)]
    if rest != edited:
        connection.execute(update(table).where(table.c.id == id).values(edited=rest or None))
