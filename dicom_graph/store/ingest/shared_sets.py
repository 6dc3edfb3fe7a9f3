"""Which elements a header shares with others of its series, and which are its own.

A shared set is always a subset of the headers that use it, so no header needs tombstones.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, Table, select

from dicom_graph.store.dialect import allocate_ids, insert_rows
from dicom_graph.store.idlist import pack_ids, unpack_ids
from dicom_graph.store.tables import ElementSet, ElementSetMember

_SET: Table = ElementSet.__table__  # type: ignore[assignment]
_MEMBER: Table = ElementSetMember.__table__  # type: ignore[assignment]
_REMEMBERED_SERIES = 200

Ids = frozenset[int]


class SharedSets:
    """The sets of the series lately written."""

    def __init__(self) -> None:
        self._sets: dict[int, dict[int, Ids]] = {}

    def forget(self) -> None:
        """After a rollback: nothing remembered is sure to be in the database."""
        self._sets.clear()

    def choose(
        self, connection: Connection, series_id: int | None, headers: Sequence[Ids]
    ) -> list[tuple[int | None, Ids]]:
        """For each header of one series: the id of its shared set, and its own elements."""
        if series_id is None:
            return [(None, header) for header in headers]
        sets = self._of_series(connection, series_id)
        best = [_largest_subset(sets, header) for header in headers]
        common = _worth_sharing(headers, [len(sets.get(id or 0, ())) for id in best], sets)
        if common is not None:
            new_id = self._insert(connection, series_id, common)
            best = [_largest_subset(sets, header) or new_id for header in headers]
        return [
            (id, header - sets[id] if id is not None else header)
            for id, header in zip(best, headers, strict=True)
        ]

    def _of_series(self, connection: Connection, series_id: int) -> dict[int, Ids]:
        known = self._sets.get(series_id)
        if known is not None:
            return known
        if len(self._sets) >= _REMEMBERED_SERIES:
            del self._sets[next(iter(self._sets))]
        statement = select(_SET.c.id, _SET.c.members).where(_SET.c.series_id == series_id)
        sets = self._sets[series_id] = {
            id: frozenset(unpack_ids(members)) for id, members in connection.execute(statement)
        }
        return sets

    def _insert(self, connection: Connection, series_id: int, members: Ids) -> int:
        (set_id,) = allocate_ids(connection, _SET, 1)
        row = (set_id, series_id, pack_ids(members))
        insert_rows(connection, _SET, ("id", "series_id", "members"), [row])
        rows = [(element_id, set_id) for element_id in sorted(members)]
        insert_rows(connection, _MEMBER, ("element_id", "set_id"), rows)
        self._sets[series_id][set_id] = members
        return set_id


def _largest_subset(sets: dict[int, Ids], header: Ids) -> int | None:
    fitting = [id for id, members in sets.items() if members <= header]
    return max(fitting, key=lambda id: len(sets[id])) if fitting else None


def _worth_sharing(
    headers: Sequence[Ids], covered: Sequence[int], sets: dict[int, Ids]
) -> Ids | None:
    """The common elements of all headers, if a set of them saves more rows than it costs."""
    common = frozenset.intersection(*headers)
    if len(headers) == 1 and not covered[0] and sets:
        # An image alone that no set fits: what it shares with the series serves the next one too.
        newest = common & next(reversed(sets.values()))
        common = newest if len(newest) > len(common) // 2 else common
    saved = sum(max(len(common) - already, 0) for already in covered)
    return common if common and saved >= len(common) else None
