"""What of a database's definitions the de-identified view shows, kept up with imports."""

from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.store.account_tables import Secret
from dicom_graph.store.pseudonyms import Pseudonyms
from dicom_graph.store.tables import DataElement, DataElementDefinition
from dicom_graph.store.withheld import FIELD_TAGS, Sight


class Sights:
    """The sight of one database, and its pseudonyms."""

    def __init__(self, sqlite: bool) -> None:
        self._sqlite = sqlite
        self._state: tuple[Any, ...] | None = None
        self._sight: Sight | None = None
        self._pseudonyms: Pseudonyms | None = None

    async def current(self, connection: AsyncConnection) -> Sight:
        """What is seen now; definitions that an import has added are looked at first."""
        table = DataElementDefinition
        state = (await connection.execute(select(func.max(table.id), func.count()))).one()
        warned = frozenset(row.id for row in await connection.execute(_warned()))
        if self._sight is None or (*state, warned) != self._state:
            columns = (table.id, table.tag, table.private_creator, table.vr)
            rows = (await connection.execute(select(*columns))).all()
            self._sight = Sight.of(self._sqlite, rows, warned)
            self._state = (max((row.id for row in rows), default=None), len(rows), warned)
        if self._pseudonyms is None:
            secret = select(Secret.value).where(Secret.name == "pseudonyms")
            self._pseudonyms = Pseudonyms((await connection.execute(secret)).scalar_one())
        return self._sight

    @property
    def is_ready(self) -> bool:
        """Whether `current` was asked once."""
        return self._pseudonyms is not None

    @property
    def pseudonyms(self) -> Pseudonyms:
        """The pseudonyms; once `current` was asked."""
        if self._pseudonyms is None:
            raise RuntimeError("no connection of this view was opened yet")
        return self._pseudonyms


def _warned() -> Select[int]:
    """The definitions of fields' elements of which some could not be read."""
    table = DataElementDefinition
    # So written for the partial index of elements with warnings.
    is_warned: ColumnElement[bool] = literal_column("data_element.has_warnings")
    warned = select(DataElement.id).where(DataElement.definition_id == table.id, is_warned)
    return select(table.id).where(
        table.tag.in_(sorted(FIELD_TAGS)), table.private_creator == "", warned.exists()
    )
