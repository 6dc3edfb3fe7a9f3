"""What the database holds of elements, loaded for a reindex."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, select, update

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.dicom.dictionary import Definition, definition
from dicom_graph.dicom.elements.contents import Element, Item
from dicom_graph.dicom.elements.revisions import Reading
from dicom_graph.dicom.elements.values import Value
from dicom_graph.dicom.parsing.rereading import CONTEXT_TAGS, StoredElement
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.tables.headers import (
    DataElement,
    DataElementDefinition,
    DataElementValue,
    ElementDigest,
    Header,
)

_DEFINITION: Table = DataElementDefinition.__table__  # type: ignore[assignment]
_ELEMENT: Table = DataElement.__table__  # type: ignore[assignment]
_VALUE: Table = DataElementValue.__table__  # type: ignore[assignment]
CONTEXT, _CANDIDATE = 1, 2
"""Of an element: it decides what others mean; by the first reading it, or one inside it, may be
read otherwise. The flag of each further reading is twice that of the one before.
"""
Formats = frozenset[int] | None
"""Ids of `image_format`; None: all."""
_SMALL = 4096
_FIRST_BLOCK = 0x1000


def definitions_of(connection: Connection) -> dict[int, Definition]:
    """All definitions by id: some thousands even in a large archive."""
    row = DataElementDefinition
    statement = select(row.id, row.tag, row.private_creator, row.vr, row.keyword, row.name)
    return {each[0]: Definition._make(each[1:]) for each in connection.execute(statement)}


def rename_definitions(connection: Connection, *, dry_run: bool) -> int:
    """Give definitions the names that the dictionaries have today; returns how many get others."""
    renamed = 0
    for id, old in definitions_of(connection).items():
        tag = old.tag | _FIRST_BLOCK if old.private_creator else old.tag
        new = definition(tag, old.private_creator, old.vr)
        if new[3:] == old[3:]:
            continue
        renamed += 1
        if not dry_run:
            statement = update(_DEFINITION).where(_DEFINITION.c.id == id)
            connection.execute(statement.values(keyword=new.keyword, name=new.name))
    return renamed


def concerned(
    reading: Reading, definitions: dict[int, Definition], sqlite: bool
) -> ColumnElement[bool] | None:
    """Which rows of `data_element` a reading may concern; None where none of a definition is."""
    ids = [
        id for id, each in definitions.items() if each.vr in reading.vrs or each.tag in reading.tags
    ]
    if not ids:
        return None
    columns = _ELEMENT.c
    conditions = [among(sqlite, columns.definition_id, ids)]
    if reading.with_bytes:
        conditions.append(or_(columns.packed.is_not(None), columns.sha256.is_not(None)))
    if reading.longer_than >= 0:
        conditions.append(columns.length > reading.longer_than)
    if reading.warned is not None:
        conditions += [columns.has_warnings, columns.warning.startswith(reading.warned)]
    return and_(*conditions)


class StoredHeader(NamedTuple):
    """The header of an image: its shared set, and its own elements."""

    id: int
    image_id: int
    shared_set_id: int | None
    own: tuple[int, ...]
    mode: int
    format_id: int | None
    syntax: str | None
    members: tuple[int, ...]

    @property
    def ids(self) -> tuple[int, ...]:
        """All its elements."""
        return self.members + self.own


class StoredElements:
    """Elements as they are stored; those used lately are kept."""

    def __init__(self, readings: Mapping[Reading, Formats]) -> None:
        """`readings`: each with the formats of the images that it concerns."""
        self._readings = {
            reading: _CANDIDATE << place
            for place, reading in enumerate(each for each in readings if each.has_elements)
        }
        self._formats = {flag: readings[reading] for reading, flag in self._readings.items()}
        self._every_candidate = sum(self._formats)
        self._definitions: dict[int, Definition] = {}
        self._flags: BoundedCache[int, int] = BoundedCache(100_000)
        self._known: BoundedCache[int, StoredElement] = BoundedCache(20_000)
        self._tags: BoundedCache[int, int] = BoundedCache(100_000)
        self._digests: BoundedCache[int, bytes] = BoundedCache(20_000)
        self._elements: BoundedCache[int, Element] = BoundedCache(20_000)

    @property
    def has_candidates(self) -> bool:
        """Whether any element may be read otherwise."""
        return bool(self._readings)

    def candidates_of(self, format_id: int | None) -> int:
        """The flags that make candidates of the elements of an image of this format."""
        return sum(
            flag
            for flag, formats in self._formats.items()
            if formats is None or format_id in formats
        )

    def begin(self, connection: Connection) -> None:
        """Before each window: other writers may have added definitions."""
        self._definitions = definitions_of(connection)

    def flags(self, connection: Connection, ids: Iterable[int]) -> dict[int, int]:
        """What these elements are: `CONTEXT`, candidates; those that are neither are left out."""
        wanted = set(ids)
        found = {id: flag for id in wanted if (flag := self._flags.get(id)) is not None}
        unknown = sorted(wanted - found.keys())
        if unknown:
            found |= dict.fromkeys(unknown, 0) | self._find(connection, unknown)
            self._flags.update((id, found[id]) for id in unknown)
        return {id: flag for id, flag in found.items() if flag}

    def _find(self, connection: Connection, ids: list[int]) -> dict[int, int]:
        found: dict[int, int] = defaultdict(int)
        sqlite = is_sqlite(connection)
        these = among(sqlite, _ELEMENT.c.id, ids)
        for reading, flag in self._readings.items():
            condition = concerned(reading, self._definitions, sqlite)
            if condition is not None:
                statement = select(_ELEMENT.c.id).where(these, condition)
                for id in connection.execute(statement).scalars():
                    found[id] |= flag
        special = [
            id for id, each in self._definitions.items()
            if each.tag in CONTEXT_TAGS or each.vr == "SQ"
        ]  # fmt: skip
        these = and_(these, among(sqlite, _ELEMENT.c.definition_id, special))
        sequences = []
        for id, definition_id in connection.execute(
            select(_ELEMENT.c.id, _ELEMENT.c.definition_id).where(these)
        ):
            if self._definitions[definition_id].vr == "SQ":
                sequences.append(id)
            else:
                found[id] |= CONTEXT
        if sequences and self._readings:
            items = _items(connection, sequences)
            inner = {id for of_element in items.values() for item in of_element for id in item}
            inside = self.flags(connection, inner)
            for id, of_element in items.items():
                for item in of_element:
                    for each in item:
                        found[id] |= inside.get(each, 0) & self._every_candidate
        return found

    def load(self, connection: Connection, ids: Iterable[int]) -> dict[int, StoredElement]:
        """The elements of these ids."""
        wanted = set(ids)
        found = {id: row for id in wanted if (row := self._known.get(id)) is not None}
        missing = sorted(wanted - found.keys())
        if missing:
            loaded = self._load(connection, missing)
            found |= loaded
            self._known.update(
                (id, row) for id, row in loaded.items() if len(row.packed or b"") <= _SMALL
            )
        return found

    def _load(self, connection: Connection, ids: list[int]) -> dict[int, StoredElement]:
        sqlite = is_sqlite(connection)
        values: dict[int, list[Value]] = defaultdict(list)
        columns = _VALUE.c
        statement = select(
            columns.element_id, columns.text, columns.number, columns.date, columns.time,
            columns.datetime, columns.warning,
        ).where(among(sqlite, columns.element_id, ids))  # fmt: skip
        for id, *value in connection.execute(statement.order_by(columns.element_id, columns.index)):
            values[id].append(Value(*value))
        found: dict[int, StoredElement] = {}
        row = _ELEMENT.c
        heads: Any = select(
            row.id, row.definition_id, row.block, row.vm, row.length, row.packed, row.sha256,
            row.has_warnings, row.warning,
        ).where(among(sqlite, row.id, ids))  # fmt: skip
        rows = connection.execute(heads).all()
        sequences = [each.id for each in rows if self._definitions[each.definition_id].vr == "SQ"]
        items = _items(connection, sequences)
        for id, definition_id, block, vm, length, packed, sha256, has_warnings, warning in rows:
            definition = self._definitions[definition_id]
            is_sequence = definition.vr == "SQ"
            found[id] = StoredElement(
                id, definition.tag | block << 8, definition, vm, length,
                bytes(packed) if packed is not None else None,
                bytes(sha256) if sha256 is not None else None,
                has_warnings, warning, tuple(values[id]),
                items.get(id, ()) if is_sequence else None,
            )  # fmt: skip
        return found

    def with_tags(
        self, connection: Connection, ids: Iterable[int], tags: frozenset[int]
    ) -> set[int]:
        """Those of the elements that have one of the tags, of standard elements."""
        wanted = set(ids)
        missing = sorted(id for id in wanted if self._tags.get(id) is None)
        if missing:
            these = among(is_sqlite(connection), _ELEMENT.c.id, missing)
            rows = connection.execute(select(_ELEMENT.c.id, _ELEMENT.c.definition_id).where(these))
            self._tags.update((id, self._definitions[of].tag) for id, of in rows)
        return {id for id in wanted if self._tags.get(id) in tags}

    def digests(self, connection: Connection, ids: Iterable[int]) -> dict[int, bytes]:
        """The digests of these elements."""
        wanted = set(ids)
        found = {id: digest for id in wanted if (digest := self._digests.get(id)) is not None}
        missing = sorted(wanted - found.keys())
        if missing:
            statement = select(ElementDigest.id, ElementDigest.digest)
            these = among(is_sqlite(connection), ElementDigest.id.expression, missing)
            rows = connection.execute(statement.where(these))
            loaded = {id: bytes(digest) for id, digest in rows}
            found |= loaded
            self._digests.update(loaded.items())
        return found

    def elements(self, connection: Connection, ids: Iterable[int]) -> dict[int, Element]:
        """The elements as they are stored, with all inside them. Their digests are made up."""
        wanted = set(ids)
        found = {id: each for id in wanted if (each := self._elements.get(id)) is not None}
        missing = wanted - found.keys()
        if missing:
            rows = self.load(connection, missing)
            inner = {each for row in rows.values() for item in row.items or () for each in item}
            inside = self.elements(connection, inner) if inner else {}
            loaded = {id: _element(row, inside) for id, row in rows.items()}
            found |= loaded
            self._elements.update(
                (id, each) for id, each in loaded.items() if len(each.packed or b"") <= _SMALL
            )
        return found


def _element(row: StoredElement, inside: dict[int, Element]) -> Element:
    items: tuple[Item, ...] | None = None
    if row.items is not None:
        items = tuple(in_order(inside[id] for id in item) for item in row.items)
    return Element(
        row.tag, row.definition, row.id.to_bytes(12, "big"), values=row.values, vm=row.vm,
        packed=row.packed, sha256=row.sha256, length=row.length, warning=row.warning, items=items,
    )  # fmt: skip


def in_order(elements: Iterable[Element]) -> Item:
    """Elements in the order of their tags."""
    return tuple(sorted(elements, key=lambda element: element.tag))


def _items(
    connection: Connection, element_ids: list[int]
) -> dict[int, tuple[tuple[int, ...], ...]]:
    """The ids in the items of sequences."""
    found: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    if element_ids:
        these = among(is_sqlite(connection), Header.element_id.expression, element_ids)
        statement: Any = select(Header.element_id, Header.own).where(these)
        for id, own in connection.execute(statement.order_by(Header.element_id, Header.index)):
            found[id].append(tuple(unpack_ids(own)))
    return {id: tuple(items) for id, items in found.items()}
