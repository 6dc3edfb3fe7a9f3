"""What a person has set stays when the file is read again, and what a refresh leaves out.

The parts of a patient's name are the fields that can be edited; the whole name (PN) is made of
them, so that the two always agree.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Table, select, update

from dicom_graph.dicom.elements.person_names import NameComponents, with_alphabetic

NAME_PARTS = ("family_name", "given_name", "middle_name", "name_prefix", "name_suffix")
"""In the order of PN (PS3.5 6.2.1)."""

OWNERS = {"patient_id": "patient", "study_id": "study"}
"""The columns of a series that tell what it belongs to."""

Row = Mapping[str, Any]


class Exclusion(NamedTuple):
    """Columns of one entity that a refresh leaves as they are. `entity`: the name of its table."""

    entity: str
    id: int
    columns: tuple[str, ...]

    def of(self, table: Table, id: int) -> tuple[str, ...]:
        """The columns of a row that stay."""
        return self.columns if (table.name, id) == (self.entity, self.id) else ()


NO_EXCLUSION = Exclusion("", 0, ())


def write_unedited_fields(
    connection: Connection,
    table: Table,
    id: int,
    fields: Mapping[str, Any],
    excluded: Iterable[str] = (),
) -> bool:
    """Write what a file says of an entity, but for what was edited or is excluded; returns whether
    it is news.
    """
    row = locked_row(connection, table, id)
    if row is None:
        return False
    values = without_edited(fields, row, excluded)
    if all(row[name] == value for name, value in values.items()):
        return False
    connection.execute(update(table).where(table.c.id == id).values(values))
    return True


def locked_row(connection: Connection, table: Table, id: int) -> Row | None:
    """A row that nobody else writes until the transaction ends."""
    statement = select(table).where(table.c.id == id).with_for_update()
    row: Row | None = connection.execute(statement).mappings().first()  # type: ignore[assignment]
    return row


def without_edited(
    fields: Mapping[str, Any], row: Row, excluded: Iterable[str] = ()
) -> dict[str, Any]:
    """The fields of a file that are to be written over a row."""
    edited = frozenset(row["edited"] or ()).union(excluded)
    values = {name: value for name, value in fields.items() if name not in edited}
    if not edited.isdisjoint(NAME_PARTS):
        values["name"] = whole_name(fields["name"], dict(row) | values)
    return values


def whole_name(name: str | None, parts: Mapping[str, Any]) -> str | None:
    """The name with these parts; its ideographic and phonetic groups stay as they are."""
    return with_alphabetic(name, NameComponents(*[parts[part] for part in NAME_PARTS]))
