"""From elements to ids: those that the database does not hold yet are written, once."""

from collections.abc import Iterable

from sqlalchemy import Connection, Table, select, update

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.dicom.csa.header import csa_header_kind
from dicom_graph.dicom.dictionary import Definition
from dicom_graph.dicom.elements.contents import Element
from dicom_graph.dicom.elements.packing import unpack
from dicom_graph.dicom.xa_protocol import xa_protocol
from dicom_graph.store.ingest.csa import CsaHeader, CsaWriter
from dicom_graph.store.postings import insert_postings
from dicom_graph.store.sql.bulk_statements import allocate_ids, ids_by_key, insert_new, insert_rows
from dicom_graph.store.sql.id_list import pack_ids
from dicom_graph.store.tables.headers import (
    DataElement,
    DataElementDefinition,
    DataElementValue,
    ElementDigest,
    Header,
    HeaderElement,
)

_Key = tuple[int, str, str]
_DEFINITION: Table = DataElementDefinition.__table__  # type: ignore[assignment]
_ELEMENT: Table = DataElement.__table__  # type: ignore[assignment]
_VALUE: Table = DataElementValue.__table__  # type: ignore[assignment]
_HEADER: Table = Header.__table__  # type: ignore[assignment]
_DIGEST: Table = ElementDigest.__table__  # type: ignore[assignment]
_ELEMENT_COLUMNS = (
    "id",
    "definition_id",
    "block",
    "vm",
    "n_values",
    "has_warnings",
    "length",
    "packed",
    "sha256",
    "warning",
)
_VALUE_COLUMNS = (
    "element_id", "index", "definition_id", "text", "number", "date", "time", "datetime",
    "warning",
)  # fmt: skip


class ElementWriter:
    """The ids of elements; its memory is right only while its transactions commit."""

    def __init__(self, generation_size: int = 100_000) -> None:
        self._definitions: dict[_Key, tuple[int, str, str]] = {}
        self._ids: BoundedCache[bytes, int] = BoundedCache(generation_size)
        self._csa = CsaWriter()

    def forget(self) -> None:
        """After a rollback: nothing remembered is sure to be in the database."""
        self._definitions.clear()
        self._ids.clear()
        self._csa.forget()

    def write(self, connection: Connection, elements: Iterable[Element]) -> dict[bytes, int]:
        """The ids, by digest, of elements and of all inside them; missing ones are inserted."""
        ids: dict[bytes, int] = {}
        unknown: dict[bytes, Element] = {}
        self._collect(elements, ids, unknown)
        if unknown:
            self._find_or_insert(connection, unknown, ids)
            self._ids.update((digest, ids[digest]) for digest in unknown)
        return ids

    def _collect(
        self, elements: Iterable[Element], ids: dict[bytes, int], unknown: dict[bytes, Element]
    ) -> None:
        for element in elements:
            digest = element.digest
            if digest in ids or digest in unknown:
                continue
            known = self._ids.get(digest)
            if known is not None:
                ids[digest] = known
                continue
            unknown[digest] = element
            for item in element.items or ():
                self._collect(item, ids, unknown)

    def _find_or_insert(
        self, connection: Connection, unknown: dict[bytes, Element], ids: dict[bytes, int]
    ) -> None:
        ids.update(ids_by_key(connection, _DIGEST, "digest", unknown))
        new = sorted(unknown.keys() - ids.keys())
        allocated = dict(zip(new, allocate_ids(connection, _ELEMENT, len(new)), strict=True))
        claims = [(digest, allocated[digest]) for digest in new]
        claimed = insert_new(connection, _DIGEST, ("digest", "id"), claims, "digest")
        ids.update((digest, allocated[digest]) for digest in claimed)
        ids.update(ids_by_key(connection, _DIGEST, "digest", allocated.keys() - claimed))
        self._insert(connection, [unknown[digest] for digest in new if digest in claimed], ids)

    def _insert(
        self, connection: Connection, elements: list[Element], ids: dict[bytes, int]
    ) -> None:
        self._ensure_definitions(connection, {element.definition for element in elements})
        rows = [
            (
                ids[e.digest], self._definition_id(e), e.block, e.vm, len(e.values),
                e.has_warnings, e.length, e.packed, e.sha256, e.warning,
            )
            for e in elements
        ]  # fmt: skip
        insert_rows(connection, _ELEMENT, _ELEMENT_COLUMNS, rows)
        self._insert_values(connection, elements, ids)
        self._insert_items(connection, elements, ids)
        self._csa.write(connection, _csa_headers(elements, ids))

    def _definition_id(self, element: Element) -> int:
        return self._definitions[element.definition[:3]][0]

    def _ensure_definitions(self, connection: Connection, wanted: set[Definition]) -> None:
        if not {each[:3] for each in wanted} <= self._definitions.keys():
            self._load_definitions(connection)
            missing = sorted(each for each in wanted if each[:3] not in self._definitions)
            if missing:
                ids = allocate_ids(connection, _DEFINITION, len(missing))
                rows = [(id, *each) for id, each in zip(ids, missing, strict=True)]
                columns = ("id", "tag", "private_creator", "vr", "keyword", "name")
                insert_new(connection, _DEFINITION, columns, rows, "tag", "private_creator", "vr")
                self._load_definitions(connection)
        self._rename(connection, wanted)

    def _rename(self, connection: Connection, wanted: set[Definition]) -> None:
        """Write the names of definitions that an older dictionary named otherwise."""
        for tag, creator, vr, keyword, name in sorted(wanted):
            id, *names = self._definitions[tag, creator, vr]
            if names != [keyword, name]:
                statement = update(_DEFINITION).where(_DEFINITION.c.id == id)
                connection.execute(statement.values(keyword=keyword, name=name))
                self._definitions[tag, creator, vr] = id, keyword, name

    def _load_definitions(self, connection: Connection) -> None:
        columns = _DEFINITION.c
        statement = select(
            columns.tag, columns.private_creator, columns.vr, columns.id, columns.keyword,
            columns.name,
        )  # fmt: skip
        for tag, creator, vr, *rest in connection.execute(statement):
            self._definitions[tag, creator, vr] = tuple(rest)

    def _insert_values(
        self, connection: Connection, elements: list[Element], ids: dict[bytes, int]
    ) -> None:
        rows = [
            (ids[element.digest], index, self._definition_id(element), *value)
            for element in elements
            for index, value in enumerate(element.values)
        ]
        insert_rows(connection, _VALUE, _VALUE_COLUMNS, rows)

    def _insert_items(
        self, connection: Connection, elements: list[Element], ids: dict[bytes, int]
    ) -> None:
        items = [
            (ids[element.digest], index, item)
            for element in elements
            for index, item in enumerate(element.items or ())
        ]
        header_ids = allocate_ids(connection, _HEADER, len(items))
        headers, members = [], []
        for header_id, (element_id, index, item) in zip(header_ids, items, strict=True):
            own = [ids[element.digest] for element in item]
            headers.append((header_id, element_id, index, pack_ids(own)))
            members.append((header_id, own))
        insert_rows(connection, _HEADER, ("id", "element_id", "index", "own"), headers)
        insert_postings(connection, HeaderElement, members)


def _csa_headers(elements: Iterable[Element], ids: dict[bytes, int]) -> list[CsaHeader]:
    """Those among the elements. The functional groups stand for the protocol in them, so that
    an image is found by what its own elements hold.
    """
    found = []
    for element in elements:
        held = xa_protocol(element) or element
        kind = csa_header_kind(held.definition.tag, held.definition.private_creator)
        if kind is not None and held.packed is not None:
            found.append(CsaHeader(ids[element.digest], kind, unpack(held.packed, held.length)))
    return found
