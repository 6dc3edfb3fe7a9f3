"""Which elements a header shares with others of its series, and which are its own.

A shared set is always a subset of the headers that use it, so no header needs tombstones.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, Table, select

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.store.postings import insert_postings
from dicom_graph.store.sql.bulk_statements import allocate_ids, insert_rows
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.id_list import pack_ids, unpack_ids
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.tables.headers import ElementSet, ElementSetMember

_SET: Table = ElementSet.__table__  # type: ignore[assignment]
_REMEMBERED_SERIES = 100

Ids = frozenset[int]
Choice = tuple[int | None, Ids]
"""The id of a header's shared set, and the elements beyond it."""


class SharedSets:
    """The sets of the series lately written."""

    def __init__(self) -> None:
        self._sets: BoundedCache[int, dict[int, Ids]] = BoundedCache(_REMEMBERED_SERIES)

    def forget(self) -> None:
        """After a rollback: nothing remembered is sure to be in the database."""
        self._sets.clear()

    def choose(
        self, connection: Connection, headers: Mapping[int | None, Sequence[Ids]]
    ) -> dict[int | None, list[Choice]]:
        """For the headers of each series their shared sets and own elements, in their order."""
        sets = self._of_series(connection, [id for id in headers if id is not None])
        best = {
            id: [_largest_subset(known, header) for header in headers[id]]
            for id, known in sets.items()
        }
        new = {
            id: common
            for id, known in sets.items()
            if (common := _worth_sharing(headers[id], best[id], known)) is not None
        }
        self._insert(connection, new, sets)
        for id in new:
            best[id] = [_largest_subset(sets[id], header) for header in headers[id]]
        return {
            id: [
                (set_id, header - sets[id][set_id]) if set_id is not None else (None, header)
                for set_id, header in zip(best[id], of_series, strict=True)
            ]
            if id is not None
            else [(None, header) for header in of_series]
            for id, of_series in headers.items()
        }

    def _of_series(
        self, connection: Connection, series_ids: Sequence[int]
    ) -> dict[int, dict[int, Ids]]:
        sets = {id: known for id in series_ids if (known := self._sets.get(id)) is not None}
        unknown = [id for id in series_ids if id not in sets]
        if not unknown:
            return sets
        sets.update({id: {} for id in unknown})
        condition = among(is_sqlite(connection), _SET.c.series_id, unknown)
        statement = select(_SET.c.series_id, _SET.c.id, _SET.c.members).where(condition)
        for series_id, id, members in connection.execute(statement.order_by(_SET.c.id)):
            sets[series_id][id] = frozenset(unpack_ids(members))
        self._sets.update((id, sets[id]) for id in unknown)
        return sets

    def _insert(
        self, connection: Connection, new: dict[int, Ids], sets: dict[int, dict[int, Ids]]
    ) -> None:
        """Insert a new set of each of these series, and add it to those known."""
        ids = allocate_ids(connection, _SET, len(new))
        rows = []
        for id, (series_id, common) in zip(ids, new.items(), strict=True):
            rows.append((id, series_id, pack_ids(common)))
            sets[series_id][id] = common
        insert_rows(connection, _SET, ("id", "series_id", "members"), rows)
        members = zip(ids, new.values(), strict=True)
        insert_postings(connection, ElementSetMember, members)


def _largest_subset(sets: dict[int, Ids], header: Ids) -> int | None:
    fitting = [id for id, members in sets.items() if members <= header]
    return max(fitting, key=lambda id: len(sets[id])) if fitting else None


def _worth_sharing(
    headers: Sequence[Ids], best: Sequence[int | None], sets: dict[int, Ids]
) -> Ids | None:
    """The common elements of all headers, if a set of them saves more pairs than it has."""
    covered = [len(sets[id]) if id is not None else 0 for id in best]
    common = frozenset.intersection(*headers)
    if len(headers) == 1 and not covered[0] and sets:
        # An image alone that no set fits: what it shares with the series serves the next one too.
        newest = common & next(reversed(sets.values()))
        common = newest if len(newest) > len(common) // 2 else common
    saved = sum(max(len(common) - already, 0) for already in covered)
    return common if common and saved >= len(common) else None
