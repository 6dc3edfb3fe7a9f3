"""Which elements of headers are read otherwise today."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, Table

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.dicom.elements.contents import Element, make_sequence
from dicom_graph.dicom.elements.time_zone import TimeZones
from dicom_graph.dicom.parsing.rereading import DataSetContext, StoredElement
from dicom_graph.store.reindex.stored import CONTEXT, StoredElements, StoredHeader, in_order
from dicom_graph.store.sql.bulk_statements import ids_by_key
from dicom_graph.store.tables.headers import ElementDigest

_DIGEST: Table = ElementDigest.__table__  # type: ignore[assignment]
Key = tuple[object, ...]
Changes = dict[int, Element]
"""The elements that take the places of stored ones, by the ids of these."""


_REMEMBERED = 100_000


class _Around(NamedTuple):
    """What an element is read in: an image's transfer syntax, which flags make a candidate of it,
    and the data set; of the data set itself, that around it.
    """

    syntax: str | None
    candidates: int
    data_set: DataSetContext | None = None

    @property
    def context(self) -> DataSetContext:
        """The data set, where there is one."""
        assert self.data_set is not None
        return self.data_set


@dataclass
class Rereader:
    """Reads the elements of headers again; what is equal is read once.

    `lost`: how many elements it met whose bytes only their file has.
    """

    stored: StoredElements
    max_raw: int
    lost: int = 0
    _zones: TimeZones = field(default_factory=TimeZones)
    _known: dict[Key, Element | None] = field(default_factory=dict)
    _contexts: BoundedCache[Key, DataSetContext] = field(default_factory=lambda: BoundedCache(1000))
    _waiting: dict[Key, tuple[StoredElement, tuple[Element, ...]]] = field(default_factory=dict)
    _is_sure: bool = True

    def changes(self, connection: Connection, headers: Sequence[StoredHeader]) -> list[Changes]:
        """Of headers."""
        if not self.stored.has_candidates:
            return [{} for _ in headers]
        if len(self._known) > _REMEMBERED:
            self._known.clear()
        sets = {header.shared_set_id: header.members for header in headers}
        every = {id for header in headers for id in header.own}.union(*sets.values())
        flags = self.stored.flags(connection, every)
        self.stored.load(connection, flags)
        shared = {id: _flagged(members, flags) for id, members in sets.items()}
        flagged = [shared[header.shared_set_id] + _flagged(header.own, flags) for header in headers]
        around = [
            _Around(header.syntax, self.stored.candidates_of(header.format_id))
            for header in headers
        ]
        found: list[Changes] = []
        unsure = []
        for place in range(len(headers)):
            self._is_sure = True
            found.append(self._level(connection, flagged[place], flags, around[place]))
            if not self._is_sure:
                unsure.append(place)
        self._look_up(connection)
        for place in unsure:
            found[place] = self._level(connection, flagged[place], flags, around[place])
        return found

    def _level(
        self,
        connection: Connection,
        flagged: Sequence[int],
        flags: Mapping[int, int],
        around: "_Around",
    ) -> Changes:
        """The changes of a data set, of whose elements some are flagged.

        What has to be looked up first is left out, and `_is_sure` false.
        """
        candidates = [id for id in flagged if flags[id] & around.candidates]
        if not candidates:
            return {}
        rows = self.stored.load(connection, flagged)
        deciding = [rows[id] for id in flagged if flags[id] & CONTEXT]
        inside = around._replace(data_set=self._context(around, deciding))
        found: Changes = {}
        for id in candidates:
            row = rows[id]
            read = self._leaf if row.items is None else self._sequence
            element = read(connection, row, inside)
            if element is not None:
                found[id] = element
        return found

    def _context(self, around: "_Around", deciding: Sequence[StoredElement]) -> DataSetContext:
        """What many data sets have alike is worked out once."""
        outer = around.data_set
        key = (outer or around.syntax, *(row.id for row in deciding))
        context = self._contexts.get(key)
        if context is None:
            context = outer.inside() if outer is not None else DataSetContext(around.syntax)
            for row in deciding:
                context.learn(row)
            self._contexts[key] = context
        return context

    def _leaf(
        self, connection: Connection, row: StoredElement, around: "_Around"
    ) -> Element | None:
        context = around.context
        key = (row.id, *context.key)
        if key in self._known:
            return self._known[key]
        self._is_sure = False
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
            self._known[key] = None if is_same else made[-1]
        self._waiting.clear()

    def _sequence(
        self, connection: Connection, row: StoredElement, around: "_Around"
    ) -> Element | None:
        key = (row.id, around.candidates, *around.context.key)
        if key in self._known:
            return self._known[key]
        items = row.items or ()
        inner = {id for item in items for id in item}
        flags = self.stored.flags(connection, inner)
        is_sure, self._is_sure = self._is_sure, True
        changes = [self._level(connection, _flagged(item, flags), flags, around) for item in items]
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
        if self._is_sure:
            self._known[key] = element
        self._is_sure = self._is_sure and is_sure
        return element


def _flagged(ids: Iterable[int], flags: Mapping[int, int]) -> tuple[int, ...]:
    return tuple(id for id in ids if id in flags)


def _kept(row: StoredElement, digest: bytes) -> Element:
    """An element that stays as it is: it is stored, so its digest and warnings are enough."""
    element = Element(
        row.tag, row.definition, digest, vm=row.vm, length=row.length, warning=row.warning,
        has_local_time=False,
    )  # fmt: skip
    element.has_warnings = row.has_warnings
    return element
