"""Headers that hold other elements than before; elements and shared sets never change."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Table, select

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.store.ingest.elements import ElementWriter
from dicom_graph.store.postings import delete_postings, insert_postings
from dicom_graph.store.reindex.rereading import Changes
from dicom_graph.store.reindex.stored import StoredHeader
from dicom_graph.store.sql.bulk_statements import allocate_ids, insert_rows, update_rows
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.id_list import pack_ids, unpack_ids
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.tables.headers import ElementSet, ElementSetMember, Header, HeaderElement

_HEADER: Table = Header.__table__  # type: ignore[assignment]
_SET: Table = ElementSet.__table__  # type: ignore[assignment]
_Replaced = frozenset[tuple[int, int]]


class HeaderWriter:
    """Gives headers their new elements."""

    def __init__(self) -> None:
        self._elements = ElementWriter()
        self._sets: BoundedCache[tuple[int, _Replaced], int] = BoundedCache(1000)

    def forget(self) -> None:
        """After a rollback, or where others may have deleted."""
        self._elements.forget()
        self._sets.clear()

    def write(
        self, connection: Connection, changed: Sequence[tuple[StoredHeader, Changes]]
    ) -> None:
        """Write the new elements, and the headers that hold them."""
        elements = [each for _, changes in changed for each in changes.values()]
        ids = self._elements.write(connection, elements)
        went, came, rows = [], [], []
        for header, changes in sorted(changed, key=lambda pair: pair[0].id):
            new = {old: ids[element.digest] for old, element in changes.items()}
            own = [old for old in header.own if old in new]
            shared = frozenset(new.items() if not own else new.items() - {(o, new[o]) for o in own})
            if own:
                went.append((header.id, own))
                came.append((header.id, [new[old] for old in own]))
            set_id = header.shared_set_id
            if shared and set_id is not None:
                set_id = self._set(connection, set_id, header.members, shared)
            packed = pack_ids([new.get(id, id) for id in header.own])
            rows.append((header.id, set_id, packed))
        delete_postings(connection, HeaderElement, went)
        insert_postings(connection, HeaderElement, came)
        columns = ("shared_set_id", "own")
        update_rows(connection, _HEADER, ("id",), columns, rows, alone=True)

    def _set(
        self, connection: Connection, id: int, members: Sequence[int], replaced: _Replaced
    ) -> int:
        """The shared set with other elements in the places of some."""
        known = self._sets.get((id, replaced))
        if known is not None:
            return known
        new: Mapping[int, int] = dict(replaced)
        (made,) = allocate_ids(connection, _SET, 1)
        series = connection.execute(select(_SET.c.series_id).where(_SET.c.id == id)).scalar_one()
        ids = sorted(new.get(member, member) for member in members)
        columns = ("id", "series_id", "members")
        insert_rows(connection, _SET, columns, [(made, series, pack_ids(ids))])
        insert_postings(connection, ElementSetMember, [(made, ids)])
        self._sets[id, replaced] = made
        return made


class SetMembers:
    """The members of shared sets used lately."""

    def __init__(self) -> None:
        self._known: BoundedCache[int, tuple[int, ...]] = BoundedCache(300)

    def of(self, connection: Connection, ids: Sequence[int]) -> dict[int, tuple[int, ...]]:
        """The members by the ids of sets."""
        found = {id: known for id in ids if (known := self._known.get(id)) is not None}
        missing = sorted(set(ids) - found.keys())
        if missing:
            these = among(is_sqlite(connection), _SET.c.id, missing)
            rows = connection.execute(select(_SET.c.id, _SET.c.members).where(these))
            loaded = {id: tuple(unpack_ids(members)) for id, members in rows}
            found |= loaded
            self._known.update(loaded.items())
        return found
