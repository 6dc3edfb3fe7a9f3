"""Which elements of headers are read otherwise today."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sqlalchemy import Connection, Table

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.dicom.elements import Element, make_sequence
from dicom_graph.dicom.rereading import DataSetContext, StoredElement
from dicom_graph.dicom.time_zone import TimeZones
from dicom_graph.store.reindex.stored import CANDIDATE, CONTEXT, StoredElements, in_order
from dicom_graph.store.sql.bulk_statements import ids_by_key
from dicom_graph.store.tables.archive import ElementDigest

_DIGEST: Table = ElementDigest.__table__  # type: ignore[assignment]
Key = tuple[object, ...]
Changes = dict[int, Element]
"""The elements that take the places of stored ones, by the ids of these."""


@dataclass
class Rereader:
    """Reads the elements of headers again; what is equal is read once.

    `lost`: how many elements it met whose bytes only their file has.
    """

    stored: StoredElements
    max_raw: int
    lost: int = 0
    _zones: TimeZones = field(default_factory=TimeZones)
    _known: BoundedCache[Key, tuple[Element | None]] = field(
        default_factory=lambda: BoundedCache(20_000)
    )
    _waiting: dict[Key, tuple[StoredElement, tuple[Element, ...]]] = field(default_factory=dict)

    def changes(
        self, connection: Connection, headers: Iterable[tuple[Iterable[int], str | None]]
    ) -> list[Changes]:
        """Of headers, each as the ids of its elements and its transfer syntax."""
        given = [(list(ids), syntax) for ids, syntax in headers]
        if not self.stored.has_candidates:
            return [{} for _ in given]
        every = {id for ids, _ in given for id in ids}
        flags = self.stored.flags(connection, every)
        self.stored.load(connection, flags)
        for ids, syntax in given:
            for _ in self._level(connection, ids, flags, DataSetContext(syntax)):
                pass
        self._look_up(connection)
        return [
            dict(self._level(connection, ids, flags, DataSetContext(syntax)))
            for ids, syntax in given
        ]

    def _level(
        self,
        connection: Connection,
        ids: Iterable[int],
        flags: dict[int, int],
        context: DataSetContext,
    ) -> Iterator[tuple[int, Element]]:
        """The changes of a data set. At the first time leaves only wait to be looked up."""
        flagged = [id for id in ids if id in flags]
        if not any(flags[id] & CANDIDATE for id in flagged):
            return
        rows = self.stored.load(connection, flagged)
        for id in flagged:
            if flags[id] & CONTEXT:
                context.learn(rows[id])
        for id in flagged:
            if flags[id] & CANDIDATE:
                row = rows[id]
                read = self._leaf if row.items is None else self._sequence
                element = read(connection, row, context)
                if element is not None:
                    yield id, element

    def _leaf(
        self, connection: Connection, row: StoredElement, context: DataSetContext
    ) -> Element | None:
        key = (row.id, *context.key)
        known = self._known.get(key)
        if known is not None:
            return known[0]
        if key not in self._waiting:
            made = context.read(row, self.max_raw, self._zones)
            self.lost += not made
            self._waiting[key] = row, made
        return None

    def _look_up(self, connection: Connection) -> None:
        digests = {each.digest for _, made in self._waiting.values() for each in made}
        ids = ids_by_key(connection, _DIGEST, "digest", digests)
        for key, (row, made) in self._waiting.items():
            is_same = not made or row.id in {ids.get(each.digest) for each in made}
            self._known[key] = (None if is_same else made[-1],)
        self._waiting.clear()

    def _sequence(
        self, connection: Connection, row: StoredElement, context: DataSetContext
    ) -> Element | None:
        key = (row.id, *context.key)
        known = self._known.get(key)
        if known is not None:
            return known[0]
        items = row.items or ()
        inner = {id for item in items for id in item}
        flags = self.stored.flags(connection, inner)
        changes = [dict(self._level(connection, item, flags, context.inside())) for item in items]
        element = None
        if any(changes):
            digests = self.stored.digests(connection, inner)
            rows = self.stored.load(connection, inner)
            kept = {id: _kept(rows[id], digests[id]) for id in inner}
            new = tuple(
                in_order(changed.get(id, kept[id]) for id in item)
                for item, changed in zip(items, changes, strict=True)
            )
            creator = row.definition.private_creator
            element = make_sequence(row.tag, creator, new, row.problem)
        if not self._waiting:
            self._known[key] = (element,)
        return element


def _kept(row: StoredElement, digest: bytes) -> Element:
    """An element that stays as it is: it is stored, so its digest and warnings are enough."""
    element = Element(
        row.tag, row.definition, digest, vm=row.vm, length=row.length, warning=row.warning,
        has_local_time=False,
    )  # fmt: skip
    element.has_warnings = row.has_warnings
    return element
