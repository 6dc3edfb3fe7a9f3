"""Posting lists: from an element to the headers, or the shared sets, that hold it.

What is written together lies together: a row names an element, the first of the new headers that
hold it, and how far the others are from that. A row for each header and element would take three
times the space on SQLite, and four times on PostgreSQL. What different writers insert stays apart,
so that none waits for another; who deletes headers that were written together waits.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, FromClause, Select, Table, literal, select, true

from dicom_graph.store.sql.bulk_statements import (
    delete_rows,
    insert_rows,
    lock_in_ranges,
    update_rows,
)
from dicom_graph.store.sql.functions import each_distance
from dicom_graph.store.sql.many_values import join_in_order
from dicom_graph.store.tables.headers import Posting

Holding = tuple[int, Iterable[int]]
"""The id of a header, or a shared set, and the elements that it holds."""
_KEY = ("element_id", "first_id")
_COLUMNS = (*_KEY, "distances")


class Postings(NamedTuple):
    """Elements and their holders as a statement reads them: `source`, with a row for each pair."""

    source: FromClause
    element_id: ColumnElement[int]
    first_id: ColumnElement[int]
    holder_id: ColumnElement[int]

    def holders(self) -> Select[Any]:
        """The ids of holders."""
        return select(self.holder_id).select_from(self.source)

    def up_to(self, key: Any, elements: Any = None) -> FromClause:
        """The join from elements over their holders to rows of another table, read last by SQLite.

        `key`: the column there that a holder's id is looked up in; `elements`: a column of ids,
        without which they are all elements.
        """
        start = self.source
        if elements is not None:
            start = elements.table.join(start, self.element_id == elements)
        return join_in_order(start, key, self.holder_id)


def postings(model: type[Posting]) -> Postings:
    """The pairs of elements and holders, under names that no other part of a statement has."""
    table = model.__table__.alias()
    distance = each_distance(table.c.distances)
    return Postings(
        table.join(distance, true()),
        table.c.element_id,
        table.c.first_id,
        table.c.first_id + distance.c.value,
    )


def is_held(
    model: type[Posting], elements: Any, holder_id: ColumnElement[Any]
) -> ColumnElement[bool]:
    """Whether a holder, a column of the statement around, has one of the elements (a SELECT)."""
    held = postings(model)
    near = held.first_id.between(holder_id - (model.SPAN - 1), holder_id)
    found = select(literal(1)).select_from(held.source)
    return found.where(held.element_id.in_(elements), near, held.holder_id == holder_id).exists()


def insert_postings(
    connection: Connection, model: type[Posting], holdings: Iterable[Holding]
) -> None:
    """Note which elements new holders have; their ids ascend."""
    rows = [
        (element, run[0], [id - run[0] for id in run] if len(run) > 1 else None)
        for element, ids in sorted(_by_element(holdings).items())
        for run in _runs(ids, model.SPAN)
    ]
    insert_rows(connection, _table(model), _COLUMNS, rows)


def delete_postings(
    connection: Connection, model: type[Posting], holdings: Iterable[Holding]
) -> None:
    """Forget which elements these holders have, which are deleted; their ids ascend."""
    table = _table(model)
    gone = {element: set(ids) for element, ids in sorted(_by_element(holdings).items())}
    ranges = [
        (element, run[0] - model.SPAN + 1, run[-1])
        for element, ids in gone.items()
        for run in _runs(sorted(ids), model.SPAN)
    ]
    deleted: set[tuple[int, int]] = set()
    updated: dict[tuple[int, int], list[int]] = {}
    for element, first, written in lock_in_ranges(connection, table, _COLUMNS, ranges):
        distances = [0] if written is None else written
        left = [distance for distance in distances if first + distance not in gone[element]]
        if not left:
            deleted.add((element, first))
        elif len(left) < len(distances):
            updated[element, first] = left
    delete_rows(connection, table, _KEY, sorted(deleted))
    rows = [(*key, distances) for key, distances in updated.items()]
    update_rows(connection, table, _KEY, ("distances",), rows)


def _table(model: type[Posting]) -> Table:
    return model.__table__  # type: ignore[return-value]


def _by_element(holdings: Iterable[Holding]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for holder, elements in holdings:
        for element in elements:
            found[element].append(holder)
    return found


def _runs(ids: Sequence[int], span: int) -> Iterator[Sequence[int]]:
    """Ascending ids in parts, each less than `span` from its first to its last."""
    if ids[-1] - ids[0] < span:
        yield ids
        return
    run: list[int] = []
    for id in ids:
        if run and id - run[0] >= span:
            yield run
            run = []
        run.append(id)
    yield run
