"""UIDs and PatientIDs in headers, as pseudonyms.

One that an image, a series, a study or a patient of the database has gets the pseudonym of that
row, and so is the same in fields, headers, files and addresses; any other gets one of its own.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.dicom.confidentiality.profile import (
    PATIENT_ID,
    Identifiers,
    Replacements,
    Treatment,
    is_registered,
    treatment,
)
from dicom_graph.store.engine import Database
from dicom_graph.store.read.elements import DefinitionRow, ElementCache, ElementRow, ValueRow
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.sql.many_values import among, texts_among
from dicom_graph.store.tables.columns import DATA_ELEMENT_VALUE
from dicom_graph.store.views.narrowing import WHOLE

_WITH_UIDS = ("image", "series", "study")


async def replacements_of(
    connection: AsyncConnection, database: Database, found: Identifiers
) -> Replacements:
    """What stands in the place of identifiers; other registered UIDs stand for themselves."""
    uids: dict[str, str] = {}
    for entity in _WITH_UIDS:
        uids |= await _of_rows(connection, database, entity, found.uids - uids.keys())
    uids |= {uid: uid for uid in found.uids - uids.keys() if is_registered(uid)}
    patients = await _of_rows(connection, database, "patient", found.patients)
    return Replacements(
        uids | _of_texts(database, found.uids - uids.keys()),
        patients | _of_texts(database, found.patients - patients.keys()),
    )


def _of_texts(database: Database, texts: Iterable[str]) -> dict[str, str]:
    assert database.visible_definitions is not None
    return {text: database.visible_definitions.pseudonyms.of_text(text) for text in texts}


async def _of_rows(
    connection: AsyncConnection, database: Database, entity: str, texts: Iterable[str]
) -> dict[str, str]:
    wanted = sorted(texts)
    if not wanted:
        return {}
    assert database.visible_definitions is not None
    table = ENTITY_TABLES[entity]
    statement = select(table.c.uid, table.c.id).where(
        texts_among(database.is_sqlite, table.c.uid, wanted)
    )
    rows = await connection.execute(statement, execution_options=WHOLE)
    return {uid: database.visible_definitions.pseudonyms.of_row(entity, id) for uid, id in rows}


class PseudonymousElements(ElementCache):
    """Elements whose identifiers are replaced. Only what needs no replacing is kept."""

    def __init__(self, max_bytes: int, database: Database) -> None:
        super().__init__(max_bytes)
        self._database = database

    def like(self, max_bytes: int) -> "PseudonymousElements":
        """Returns an empty one for the same view, of another size."""
        return PseudonymousElements(max_bytes, self._database)

    async def elements(
        self, connection: AsyncConnection, ids: Iterable[int], sqlite: bool
    ) -> dict[int, ElementRow]:
        """The elements of these ids."""
        found = await super().elements(connection, ids, sqlite)
        replaced = {id: row for id, row in found.items() if _is_replaced(row.definition)}
        values = await self._values(connection, sorted(replaced))
        identifiers = Identifiers(
            {text for id, _, text in values if replaced[id].definition.tag != PATIENT_ID},
            {text for id, _, text in values if replaced[id].definition.tag == PATIENT_ID},
        )
        names = await replacements_of(connection, self._database, identifiers)
        texts: dict[int, list[ValueRow]] = {id: [] for id in replaced}
        for id, position, text in values:
            by_text = names.patients if replaced[id].definition.tag == PATIENT_ID else names.uids
            texts[id].append(ValueRow(position, by_text[text], None, None, None, None, None))
        return found | {id: _with_values(row, texts[id]) for id, row in replaced.items()}

    async def _values(self, connection: AsyncConnection, ids: Sequence[int]) -> list[Any]:
        """(element, index, text) as in the files."""
        if not ids:
            return []
        value = DATA_ELEMENT_VALUE
        statement = (
            select(value.element_id, value.index, value.text)
            .where(
                among(self._database.is_sqlite, value.element_id, ids),
                value.text.is_not(None),
            )
            .order_by(value.element_id, value.index)
        )
        return list(await connection.execute(statement, execution_options=WHOLE))


def _is_replaced(definition: DefinitionRow) -> bool:
    found = treatment(definition.tag, definition.private_creator, definition.vr)
    return found is Treatment.REPLACE


def _with_values(row: ElementRow, values: Sequence[ValueRow]) -> ElementRow:
    length = sum(len(value.text or "") + 1 for value in values)
    return row._replace(values=tuple(values), length=length // 2 * 2, raw=None, sha256=None)
