"""Elements as they are read back: immutable, so kept until some are pruned."""

import datetime as dt
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.dicom.dictionary import ANY_BLOCK, Definition
from dicom_graph.dicom.elements.packing import unpack
from dicom_graph.dicom.elements.values import Value
from dicom_graph.dicom.parsing.rereading import StoredElement
from dicom_graph.store.answer_budget import current_budget
from dicom_graph.store.generation import generations
from dicom_graph.store.read.rows import all_rows, in_parts
from dicom_graph.store.read.utc_moments import ids_in_utc
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.tables.headers import DataElement, DataElementDefinition, DataElementValue

_DEFINITIONS = select(
    DataElementDefinition.id, DataElementDefinition.tag, DataElementDefinition.private_creator,
    DataElementDefinition.vr, DataElementDefinition.keyword, DataElementDefinition.name,
)  # fmt: skip
_PLACED = 250
"""About the bytes of memory that the place of an element takes."""
K = TypeVar("K")
T = TypeVar("T")


class DefinitionRow(NamedTuple):
    """A row of `data_element_definition`."""

    id: int
    tag: int
    private_creator: str
    vr: str
    keyword: str
    name: str


class ValueRow(NamedTuple):
    """A row of `data_element_value`, in the columns that mean something.

    `datetime`: in UTC by name where the header says the offset 0, by which no text differs from it.
    """

    position: int
    text: str | None
    number: float | None
    date: dt.date | None
    time: dt.time | None
    datetime: dt.datetime | None
    warning: str | None


class ElementRow(NamedTuple):
    """An element with its definition and values; `raw` where the values do not give it."""

    id: int
    definition: DefinitionRow
    tag: int
    vm: int
    length: int
    raw: bytes | None
    sha256: bytes | None
    has_warnings: bool
    warning: str | None
    values: tuple[ValueRow, ...]

    @property
    def warnings(self) -> list[str]:
        """The element's warning and those of its values."""
        own = [self.warning] if self.warning is not None else []
        return own + [value.warning for value in self.values if value.warning is not None]


class ElementNode(NamedTuple):
    """An element; of a sequence also its items, each a list of nodes in the order of tags."""

    element: ElementRow
    items: "Sequence[Sequence[ElementNode]] | None"


_WITHOUT_BLOCK = 0xFFFF00FF


class ElementQuery(NamedTuple):
    """Which elements of a header; None means any. A private tag has its block, or `ANY_BLOCK`."""

    keywords: frozenset[str] | None = None
    tags: frozenset[int] | None = None
    private_creator: str | None = None
    private: bool | None = None
    has_warnings: bool | None = None

    def matches(self, definition: DefinitionRow, tag: int) -> bool:
        """Whether an element of this definition at this tag is asked for."""
        if self.keywords is not None and definition.keyword not in self.keywords:
            return False
        if self.tags is not None and tag not in self.tags:
            is_private = bool(definition.private_creator)
            if not is_private or definition.tag | ANY_BLOCK not in self.tags:
                return False
        if self.private_creator is not None and definition.private_creator != self.private_creator:
            return False
        return self.private is None or self.private == bool(tag >> 16 & 1)

    def may_match(self, definition: DefinitionRow) -> bool:
        """Whether an element of this definition is asked for, in whichever block it lies."""
        if not definition.private_creator or self.tags is None:
            return self.matches(definition, definition.tag)
        return any(
            self.matches(definition, tag)
            for tag in self.tags
            if tag & _WITHOUT_BLOCK == definition.tag
        )


class Placed(NamedTuple):
    """Where an element stands in a header: its tag, and which definition it has."""

    tag: int
    id: int
    definition_id: int


class HeaderElements(list[ElementRow]):
    """The elements of a header in the order of their tags: those of `base`, which other headers
    share, and those that are `added`, with their places, ascending.
    """

    __slots__ = ("added", "base")

    def __init__(
        self, base: "SharedElements", own: Sequence[Placed], rows: Mapping[int, ElementRow]
    ) -> None:
        super().__init__(base.rows)
        self.base = base
        self.added: list[tuple[int, ElementRow]] = []
        for place in sorted(own):
            at = bisect_right(base.places, place) + len(self.added)
            self.added.append((at, rows[place.id]))
            self.insert(at, rows[place.id])


class SharedElements(NamedTuple):
    """Elements in the order of their tags, and where these stand."""

    places: list[Placed]
    rows: list[ElementRow]


class WeightedLruCache(Generic[K, T]):
    """The values used lately, up to a total weight."""

    def __init__(self, max_weight: int, weight: Callable[[T], int]) -> None:
        self._max_weight = max_weight
        self._weight_of = weight
        self._weight = 0
        self._values: OrderedDict[K, tuple[T, int]] = OrderedDict()

    def get(self, key: K) -> T | None:
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def clear(self) -> None:
        self._values.clear()
        self._weight = 0

    def update(self, values: Mapping[K, T]) -> None:
        for key, value in values.items():
            weight = self._weight_of(value)
            if key in self._values or weight > self._max_weight // 100:
                continue
            self._values[key] = (value, weight)
            self._weight += weight
        while self._weight > self._max_weight:
            self._weight -= self._values.popitem(last=False)[1][1]


class ElementCache:
    """The elements and definitions read lately; asks the database only for new ones.

    `max_bytes` bounds the memory that elements take, about; large ones are not kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self._prunes: int | None = None
        self._definitions: dict[int, DefinitionRow] = {}
        self._elements: WeightedLruCache[int, ElementRow] = WeightedLruCache(
            max_bytes * 3 // 4, _weight
        )
        self._placed: WeightedLruCache[int, Placed] = WeightedLruCache(
            max_bytes // 4, lambda placed: _PLACED
        )

    def like(self, max_bytes: int) -> "ElementCache":
        """Returns an empty one for the same view, of another size."""
        return ElementCache(max_bytes)

    async def forget_pruned(self, connection: AsyncConnection) -> None:
        """Forget everything where elements may have been deleted since the last time."""
        prunes = (await connection.execute(generations())).one().prunes
        if prunes != self._prunes:
            self._elements.clear()
            self._placed.clear()
            self._prunes = prunes

    @property
    def known_definitions(self) -> dict[int, DefinitionRow]:
        """The definitions of all elements read so far."""
        return self._definitions

    async def elements(
        self, connection: AsyncConnection, ids: Iterable[int], sqlite: bool
    ) -> dict[int, ElementRow]:
        """The elements of these ids."""
        wanted = set(ids)
        found = {id: row for id in wanted if (row := self._elements.get(id)) is not None}
        missing = sorted(wanted - found.keys())
        if missing:
            loaded = await self._load(connection, missing, sqlite)
            found |= loaded
            self._elements.update(loaded)
        return found

    async def placed(
        self, connection: AsyncConnection, ids: Iterable[int], sqlite: bool
    ) -> dict[int, Placed]:
        """Tags and definitions of these elements, without their values."""
        wanted = set(ids)
        found = {id: row for id in wanted if (row := self._placed.get(id)) is not None}
        missing = sorted(wanted - found.keys())
        if missing:
            columns = (DataElement.id, DataElement.definition_id, DataElement.block)
            statement = select(*columns).where(among(sqlite, DataElement.id.expression, missing))
            rows = await all_rows(await connection.execute(statement), _PLACED)
            await self._ensure_definitions(connection, {row.definition_id for row in rows})
            loaded = {
                id: Placed(self._definitions[definition].tag | block << 8, id, definition)
                for id, definition, block in rows
            }
            found |= loaded
            self._placed.update(loaded)
        return found

    async def placed_of(
        self,
        connection: AsyncConnection,
        ids: Iterable[int],
        definition_ids: Sequence[int],
        sqlite: bool,
    ) -> dict[int, Placed]:
        """Those of these elements that have one of these definitions; nothing is remembered."""
        await self._ensure_definitions(connection, set(definition_ids))
        columns = (DataElement.id, DataElement.definition_id, DataElement.block)
        statement = select(*columns).where(
            among(sqlite, DataElement.id.expression, sorted(ids)),
            among(sqlite, DataElement.definition_id.expression, definition_ids),
        )
        rows = await all_rows(await connection.execute(statement), _PLACED)
        return {
            id: Placed(self._definitions[definition].tag | block << 8, id, definition)
            for id, definition, block in rows
        }

    async def current_definitions(self, connection: AsyncConnection) -> Mapping[int, DefinitionRow]:
        """All definitions, read again only where an import has added some; one statement."""
        # Not the newest id alone: a lower one may be committed after a higher one.
        table = DataElementDefinition
        known = self._definitions
        newest = select(func.max(table.id)).scalar_subquery()
        count = select(func.count(table.id)).scalar_subquery()
        is_known = (newest == max(known, default=0)) & (count == len(known))
        found = await self._read_definitions(connection, _DEFINITIONS.where(~is_known))
        if found:
            self._definitions = found
        return self._definitions

    async def definitions(self, connection: AsyncConnection) -> dict[int, DefinitionRow]:
        """All definitions: some thousands even in a large archive."""
        self._definitions = await self._read_definitions(connection, _DEFINITIONS)
        return self._definitions

    async def _read_definitions(
        self, connection: AsyncConnection, statement: Select[*tuple[Any, ...]]
    ) -> dict[int, DefinitionRow]:
        rows = await connection.execute(statement)
        return {row.id: DefinitionRow(*row) for row in rows}

    async def _ensure_definitions(self, connection: AsyncConnection, ids: set[int]) -> None:
        if not ids <= self._definitions.keys():
            await self.definitions(connection)

    async def _load(
        self, connection: AsyncConnection, ids: Sequence[int], sqlite: bool
    ) -> dict[int, ElementRow]:
        value, element = DataElementValue, DataElement
        statement = (
            select(
                element.id, element.definition_id, element.block, element.vm, element.length,
                element.packed, element.sha256, element.has_warnings, element.warning,
                value.index, value.text, value.number, value.date, value.time, value.datetime,
                value.warning,
            )
            .outerjoin(value, value.element_id == element.id)
            .where(among(sqlite, element.id.expression, ids))
            .order_by(element.id, value.index)
        )  # fmt: skip
        heads: dict[int, Sequence[object]] = {}
        values: dict[int, list[ValueRow]] = {}
        async for rows in in_parts(await connection.execute(statement)):
            for row in rows:
                if row[0] not in heads:
                    heads[row[0]] = row[:9]
                    values[row[0]] = []
                if row[9] is not None:
                    values[row[0]].append(ValueRow._make(row[9:]))
        await self._ensure_definitions(connection, {head[1] for head in heads.values()})  # type: ignore[misc]
        budget = current_budget()
        found: dict[int, ElementRow] = {}
        moments = []
        for id, head in heads.items():
            found[id] = row_of_element = self._row(head, tuple(values[id]))
            if row_of_element.definition.vr == "DT":
                moments.append(_stored(row_of_element, head[5]))  # type: ignore[arg-type]
            await budget.hold_and_share(_weight(row_of_element))
        for id in await ids_in_utc(connection, moments):
            found[id] = _named_utc(found[id])
        return found

    def _row(self, head: Sequence[object], values: tuple[ValueRow, ...]) -> ElementRow:
        id, definition_id, block, vm, length, packed, sha256, has_warnings, warning = head
        definition = self._definitions[definition_id]  # type: ignore[index]
        raw = unpack(packed, length) if packed is not None else None  # type: ignore[arg-type]
        tag = definition.tag | block << 8  # type: ignore[operator]
        rest = (vm, length, raw, sha256, has_warnings, warning)
        return ElementRow(id, definition, tag, *rest, values)  # type: ignore[arg-type]


def _stored(row: ElementRow, packed: bytes | None) -> StoredElement:
    values = tuple(Value(*value[1:]) for value in row.values)
    definition = Definition(*row.definition[1:])
    rest = (packed, row.sha256, row.has_warnings, row.warning, values)
    return StoredElement(row.id, row.tag, definition, row.vm, row.length, *rest)


def _named_utc(row: ElementRow) -> ElementRow:
    return row._replace(
        values=tuple(
            value
            if value.datetime is None
            else value._replace(datetime=value.datetime.replace(tzinfo=dt.UTC))
            for value in row.values
        )
    )


def _weight(row: ElementRow) -> int:
    """About the bytes of memory that an element takes."""
    texts = sum(len(value.text) for value in row.values if value.text is not None)
    return 500 + len(row.raw or b"") + 250 * len(row.values) + 2 * texts
