"""What of a database's definitions the de-identified view shows, kept up with imports."""

import time
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, and_, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.dicom.elements.plausible import TEXT_RULES
from dicom_graph.store.plausible import is_plausible
from dicom_graph.store.tables.accounts import Secret
from dicom_graph.store.tables.headers import DataElement, DataElementDefinition, DataElementValue
from dicom_graph.store.views.pseudonyms import Pseudonyms
from dicom_graph.store.views.visible_definitions import FIELD_TAGS, VisibleDefinitions

_LOOK_AGAIN = 10.0
"""Seconds: elements with lower ids may be committed after others with higher ones."""


class DefinitionRow(NamedTuple):
    """What decides whether the elements of a definition are shown: its row, in part."""

    id: int
    tag: int
    private_creator: str
    vr: str


class VisibleDefinitionsCache:
    """The visible definitions of one database, and its pseudonyms."""

    def __init__(self, sqlite: bool) -> None:
        self._sqlite = sqlite
        self._state: tuple[Any, ...] | None = None
        self._looked_at = -_LOOK_AGAIN
        self._visible: VisibleDefinitions | None = None
        self._known: tuple[list[DefinitionRow], frozenset[int]] | None = None
        self._pseudonyms: Pseudonyms | None = None

    async def current(self, connection: AsyncConnection) -> VisibleDefinitions:
        """What is seen now; what an import has added is looked at first."""
        table, element = DataElementDefinition, DataElement
        newest = select(func.max(element.id)).scalar_subquery()
        question = select(func.max(table.id), func.count(table.id), newest)
        state = tuple((await connection.execute(question)).one())
        is_old = time.monotonic() - self._looked_at > _LOOK_AGAIN
        if self._visible is None or state != self._state or is_old:
            await self._look(connection)
            self._state = state
        if self._pseudonyms is None:
            secret = select(Secret.value).where(Secret.name == "pseudonyms")
            self._pseudonyms = Pseudonyms((await connection.execute(secret)).scalar_one())
        assert self._visible is not None
        return self._visible

    async def _look(self, connection: AsyncConnection) -> None:
        """Look at all definitions; the same object stays where nothing has changed."""
        self._looked_at = time.monotonic()
        table = DataElementDefinition
        columns = (table.id, table.tag, table.private_creator, table.vr)
        found = await connection.execute(select(*columns).order_by(table.id))
        rows = [DefinitionRow(row.id, row.tag, row.private_creator, row.vr) for row in found]
        doubtful = frozenset(row.id for row in await connection.execute(_doubtful(self._sqlite)))
        if self._visible is None or (rows, doubtful) != self._known:
            self._visible = VisibleDefinitions.of(self._sqlite, rows, doubtful)
            self._known = rows, doubtful

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


def _doubtful(sqlite: bool) -> Select[int]:
    """The definitions of fields' elements of which some are withheld: they could not be read, or
    are no such values as their VR says.

    Written for the partial indexes: of elements with warnings, of numbers, of other texts.
    """
    table, value = DataElementDefinition, DataElementValue
    is_warned: ColumnElement[bool] = literal_column("data_element.has_warnings")
    warned = select(DataElement.id).where(DataElement.definition_id == table.id, is_warned)
    unfit = or_(
        *[
            and_(table.vr == vr, ~is_plausible(sqlite, value.text.expression, rule))
            for vr, rule in TEXT_RULES.items()
        ]
    )
    of_table = select(value.element_id).where(value.definition_id == table.id, unfit)
    numbers = of_table.where(value.number.is_not(None), value.text.is_not(None))
    texts = of_table.where(value.text.is_not(None), value.number.is_(None))
    return select(table.id).where(
        table.tag.in_(sorted(FIELD_TAGS)),
        table.private_creator == "",
        or_(warned.exists(), numbers.exists(), texts.exists()),
    )
