"""The values that lists are sorted by where the order names an element.

A header's elements lie in packed lists, so it is found here, and not in SQL, which of them is
meant: a few statements for each 10,000 headers.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Date, DateTime, Float, Row, Time, column, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine

from dicom_graph.dicom.elements.values import NUMBER_VRS
from dicom_graph.store.read.conditions import HasElement
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.holders import explicit_block, is_wanted
from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.sql.types import Text
from dicom_graph.store.tables.headers import DataElement, DataElementValue, ElementSet, Header

Path = tuple[HasElement, ...]
"""Names of elements: of sequences, `index` being the item, and of the element at the end."""

_KINDS: tuple[tuple[str, frozenset[str], TypeEngine[Any]], ...] = (
    ("number", NUMBER_VRS, Float(53)),
    ("date", frozenset({"DA"}), Date()),
    ("time", frozenset({"TM"}), Time()),
    ("datetime", frozenset({"DT"}), DateTime()),
)


@dataclass(frozen=True, slots=True)
class ElementOrders:
    """Reads the values on one connection. `definitions` are all that the database holds."""

    connection: AsyncConnection
    sqlite: bool
    definitions: Mapping[int, DefinitionRow]

    def column(self, path: Path) -> ColumnElement[Any]:
        """The column of the values that the element at the end of the path is sorted by.

        Numbers where its VR has any, else dates, times or moments, else texts.
        """
        vrs = {definition.vr for definition in self.called(path[-1])}
        for name, of_kind, kind in _KINDS:
            if vrs & of_kind:
                return column(name, kind)
        return column("text", Text)

    async def values(self, headers: Sequence[Row[Any]], path: Path) -> dict[int, Any]:
        """The first value, by header id; headers without a readable one are left out."""
        places = {header.id: header for header in headers}
        for place, step in enumerate(path):
            found = await self._elements(places.values(), step)
            at = {start: found[header.id] for start, header in places.items() if header.id in found}
            if place == len(path) - 1:
                break
            items = await self._items(at.values(), step.index or 0)
            places = {start: items[element] for start, element in at.items() if element in items}
        values = await self._first_values(at.values(), self.column(path).name)
        return {start: values[element] for start, element in at.items() if element in values}

    def called(self, name: HasElement) -> list[DefinitionRow]:
        """The definitions of elements that are called so."""
        return [d for d in self.definitions.values() if is_wanted(name, d)]

    async def _elements(self, headers: Iterable[Row[Any]], name: HasElement) -> dict[int, int]:
        """The element of each header that is called so; of several that of the least tag."""
        contents = {header.id: (header.shared_set_id, unpack_ids(header.own)) for header in headers}
        sets = await self._sets({set_id for set_id, _ in contents.values() if set_id is not None})
        ids = {id for _, own in contents.values() for id in own}.union(*sets.values())
        tags = await self._tags(ids, name)
        of_sets = {id: _least(members, tags) for id, members in sets.items()}
        found = {}
        for header_id, (set_id, own) in contents.items():
            candidates = [*own, *of_sets.get(set_id, ())]
            for element in _least(candidates, tags):
                found[header_id] = element
        return found

    async def _sets(self, ids: set[int]) -> dict[int | None, list[int]]:
        statement = select(ElementSet.id, ElementSet.members).where(
            among(self.sqlite, ElementSet.id.expression, sorted(ids))
        )
        rows = await self.connection.execute(statement)
        return {id: unpack_ids(members) for id, members in rows}

    async def _tags(self, ids: Iterable[int], name: HasElement) -> dict[int, int]:
        """The tags of those elements that are called so."""
        tags = {definition.id: definition.tag for definition in self.called(name)}
        block = explicit_block(name)
        statement = select(DataElement.id, DataElement.definition_id, DataElement.block).where(
            among(self.sqlite, DataElement.id.expression, sorted(ids)),
            DataElement.definition_id.in_(list(tags)),
        )
        return {
            id: tags[definition] | its_block << 8
            for id, definition, its_block in await self.connection.execute(statement)
            if block is None or its_block in (0, block)
        }

    async def _items(self, elements: Iterable[int], index: int) -> dict[int, Row[Any]]:
        statement = select(Header.__table__).where(
            among(self.sqlite, Header.element_id.expression, sorted(set(elements))),
            Header.index == index,
        )
        return {row.element_id: row for row in await self.connection.execute(statement)}

    async def _first_values(self, elements: Iterable[int], name: str) -> dict[int, Any]:
        value = getattr(DataElementValue, name)
        statement = select(DataElementValue.element_id, value).where(
            among(self.sqlite, DataElementValue.element_id.expression, sorted(set(elements))),
            DataElementValue.index == 0,
            value.is_not(None),
        )
        return {row[0]: row[1] for row in await self.connection.execute(statement)}


def _least(elements: Iterable[int], tags: Mapping[int, int]) -> list[int]:
    """The element of the least tag among those that have one here; none or one."""
    return sorted((id for id in elements if id in tags), key=tags.__getitem__)[:1]
