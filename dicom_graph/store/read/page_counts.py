"""Counts of related entities that ride in the statement of a page.

They are counted for the rows of the page alone, whatever it has skipped, since the page is a
statement of its own within.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, FromClause, Select, cast, func, null, select

from dicom_graph.store.formats import Columns
from dicom_graph.store.read.pages import Keys, PageRequest, key_name, order_by
from dicom_graph.store.read.relations import ENTITY_TABLES, RELATIONS

_COUNTS = {relation: f"count_{relation.replace('.', '_')}" for relation in RELATIONS}
_PATIENT = "patient_id"

Where = Callable[[str, FromClause], list[ColumnElement[bool]]]
"""What narrows the entities of a kind, beside the relation."""


def count_name(relation: str) -> str:
    """The name that the number of entities has in a row, which a relation of its own leads to."""
    return _COUNTS[relation]


def with_counts(
    page: Select[Any], keys: Keys, request: PageRequest, columns: Columns, where: Where
) -> Select[Any]:
    """The same page in the same order, with the counts that are among the columns.

    `keys`: what the page is sorted by, which are columns of it by their names.
    """
    asked = [relation for relation, name in _COUNTS.items() if columns and name in columns]
    if not asked:
        return page
    if _PATIENT not in page.selected_columns:
        # Relations of studies may be narrowed to a patient: none here.
        page = page.add_columns(cast(null(), BigInteger).label(_PATIENT))
    rows = page.subquery("counted")
    counts = [_count(relation, rows, where).label(_COUNTS[relation]) for relation in asked]
    names = [rows.c[key_name(place)] for place in range(len(keys))]
    return select(*rows.c, *counts).order_by(*order_by(keys, request, names))


def _count(relation: str, rows: FromClause, where: Where) -> ColumnElement[int]:
    child_name, condition = RELATIONS[relation]
    child = ENTITY_TABLES[child_name].alias(f"of_{_COUNTS[relation]}")
    related = condition(child, rows), *where(child_name, child)
    counted = select(func.count()).select_from(child).where(*related)
    return counted.correlate(rows).scalar_subquery()
