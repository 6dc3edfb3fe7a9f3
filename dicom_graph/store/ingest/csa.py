"""The values of Siemens CSA headers, by their paths.

Nearly all of a header's 60 to 3,000 values are those of the image or the series before it. So
what headers share is written once, as a part, and of each header only what is beyond it.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqlalchemy import Connection, Table, select

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.dicom.csa.entries import CsaEntry, csa_entries, tag_entries
from dicom_graph.dicom.csa.header import (
    CSA_IMAGE_HEADER,
    CSA_SERIES_HEADER,
    CsaError,
    csa_chunks,
    parse_csa_chunk,
)
from dicom_graph.store.sql.bulk_statements import allocate_ids, insert_new, insert_rows
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.many_values import texts_among
from dicom_graph.store.tables.csa import CsaNumber, CsaPart, CsaPartElement, CsaPath, CsaText

_PATH: Table = CsaPath.__table__  # type: ignore[assignment]
_NUMBER: Table = CsaNumber.__table__  # type: ignore[assignment]
_TEXT: Table = CsaText.__table__  # type: ignore[assignment]
_PART: Table = CsaPart.__table__  # type: ignore[assignment]
_PART_ELEMENT: Table = CsaPartElement.__table__  # type: ignore[assignment]
_LARGE = 4096
_MANY = 20_000

Values = frozenset[tuple[int, float | str | None]]
"""What a header or a part holds: pairs of a path's id and a value."""


class CsaHeader(NamedTuple):
    """An element that is a CSA header, of the image (16) or the series (32)."""

    element_id: int
    kind: int
    raw: bytes


class CsaWriter:
    """Writes the values of new CSA headers; remembers paths, and parts to share."""

    def __init__(self) -> None:
        self._entries = _EntryReader()
        self._paths: BoundedCache[tuple[int, str], int] = BoundedCache(50_000)
        self._parts = {CSA_IMAGE_HEADER: _Parts(), CSA_SERIES_HEADER: _Parts()}

    def forget(self) -> None:
        """After a rollback: nothing remembered is sure to be in the database."""
        self._paths.clear()
        self._parts = {CSA_IMAGE_HEADER: _Parts(), CSA_SERIES_HEADER: _Parts()}

    def write(self, connection: Connection, headers: Sequence[CsaHeader]) -> None:
        """Write what these headers hold; their elements are new."""
        entries = [self._entries.read(header.raw) for header in headers]
        ids = self._path_ids(connection, headers, entries)
        numbers, texts, members = [], [], []
        for header, found in zip(headers, entries, strict=True):
            kind = header.kind
            values = frozenset([(ids[kind, path], value) for path, value in found])
            held = [(header.element_id, values)]
            part = self._parts[kind].fitting(values)
            if part is None and (common := self._parts[kind].common(values)) is not None:
                part = self._add_part(connection, kind, common)
                held.append((-part.id, common))
            if part is not None:
                members.append((part.id, header.element_id))
                held[0] = (header.element_id, values - part.values)
            for holder, pairs in held:
                numbers += [(p, v, holder) for p, v in pairs if isinstance(v, float)]
                texts += [(holder, p, v) for p, v in pairs if not isinstance(v, float)]
        insert_rows(connection, _NUMBER, ("path_id", "number", "holder_id"), sorted(numbers))
        texts.sort(key=lambda row: row[:2])
        insert_rows(connection, _TEXT, ("holder_id", "path_id", "text"), texts)
        insert_rows(connection, _PART_ELEMENT, ("part_id", "element_id"), sorted(members))

    def _add_part(self, connection: Connection, kind: int, values: Values) -> "_Part":
        (id,) = allocate_ids(connection, _PART, 1)
        insert_rows(connection, _PART, ("id", "header"), [(id, kind)])
        part = _Part(id, values)
        self._parts[kind].add(part)
        return part

    def _path_ids(
        self,
        connection: Connection,
        headers: Sequence[CsaHeader],
        entries: Sequence[Iterable[CsaEntry]],
    ) -> dict[tuple[int, str], int]:
        wanted = {
            (header.kind, path)
            for header, found in zip(headers, entries, strict=True)
            for path, _ in found
        }
        ids = {key: id for key in wanted if (id := self._paths.get(key)) is not None}
        missing = wanted - ids.keys()
        if missing:
            ids |= _find_paths(connection, missing)
            new = sorted(missing - ids.keys())
            if new:
                _insert_paths(connection, new)
                ids |= _find_paths(connection, new)
            self._paths.update((key, ids[key]) for key in missing)
        return ids


class _EntryReader:
    """Reads entries; those of tags as small as most are, seen lately, cost a look-up."""

    def __init__(self) -> None:
        self._known: BoundedCache[bytes, list[CsaEntry]] = BoundedCache(2_000)

    def read(self, raw: bytes) -> list[CsaEntry]:
        chunks = csa_chunks(raw)
        if chunks is None:
            return csa_entries(raw)
        try:
            return [entry for chunk in chunks for entry in self._of_tag(chunk)]
        except CsaError:
            return []

    def _of_tag(self, chunk: bytes) -> list[CsaEntry]:
        entries = self._known.get(chunk)
        if entries is None:
            entries = tag_entries(*parse_csa_chunk(chunk))
            if len(chunk) <= _LARGE:
                self._known[chunk] = entries
        return entries


class _Part(NamedTuple):
    id: int
    values: Values


class _Parts:
    """The parts and the headers of one kind seen lately."""

    def __init__(self) -> None:
        self._parts: deque[_Part] = deque(maxlen=16)
        self._headers: deque[Values] = deque(maxlen=8)

    def add(self, part: _Part) -> None:
        self._parts.append(part)

    def fitting(self, values: Values) -> _Part | None:
        """The largest part that is a subset of the values and makes up most of them."""
        parts = [p for p in self._parts if p.values <= values and _is_most(p.values, values)]
        return max(parts, key=lambda part: len(part.values), default=None)

    def common(self, values: Values) -> Values | None:
        """What the values have in common with headers that are much the same."""
        similar = [common for h in self._headers if _is_most(common := h & values, values)]
        if len(values) <= _MANY:
            self._headers.append(values)
        if not similar:
            return None
        common = frozenset.intersection(*similar)
        return common if _is_most(common, values) else max(similar, key=len)


def _is_most(part: Values, whole: Values) -> bool:
    return bool(part) and 4 * len(part) >= 3 * len(whole)


def _find_paths(
    connection: Connection, wanted: Iterable[tuple[int, str]]
) -> dict[tuple[int, str], int]:
    found = {}
    for kind in (CSA_IMAGE_HEADER, CSA_SERIES_HEADER):
        paths = [path for of_kind, path in wanted if of_kind == kind]
        if paths:
            among = texts_among(is_sqlite(connection), CsaPath.path.expression, paths)
            statement = select(CsaPath.path, CsaPath.id).where(CsaPath.header == kind, among)
            found.update({(kind, path): id for path, id in connection.execute(statement)})
    return found


def _insert_paths(connection: Connection, new: Sequence[tuple[int, str]]) -> None:
    rows = [
        (id, kind, path, path.rpartition("[")[0] if path.endswith("]") else None)
        for id, (kind, path) in zip(allocate_ids(connection, _PATH, len(new)), new, strict=True)
    ]
    columns = ("id", "header", "path", "list_path")
    insert_new(connection, _PATH, columns, rows, "header", "path")
