"""Many values in one parameter, as a table or a condition; and joins in the order that is fast.

SQLite takes them as JSON, PostgreSQL as an array or JSON.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    FromClause,
    Join,
    Select,
    String,
    bindparam,
    cast,
    func,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.compiler import compiles

from dicom_graph.store.storable import is_storable


def parent_table(sqlite: bool, parents: Sequence[tuple[int, int | None]]) -> FromClause:
    """Pairs as a table (`id`, `patient_id`), from the parameter `parents` whatever their number."""
    pairs = parents_parameter(sqlite, parents)
    columns: list[ColumnElement[Any]]
    if sqlite:
        given = bindparam("parents", pairs, String)
        rows = func.json_each(given).table_valued("value", name="pairs")
        columns = [func.json_extract(rows.c.value, f"$[{n}]") for n in (0, 1)]
    else:
        given = bindparam("parents", pairs, JSONB)
        elements = func.jsonb_array_elements(cast(given, JSONB))
        rows = elements.table_valued("value", name="pairs")
        columns = [rows.c.value.op("->>")(n) for n in (0, 1)]
    id, patient_id = (cast(column, BigInteger) for column in columns)
    return select(id.label("id"), patient_id.label("patient_id")).subquery("parents")


def parents_parameter(sqlite: bool, parents: Sequence[tuple[int, int | None]]) -> Any:
    """Pairs as the parameter of `parent_table`."""
    pairs = [list(parent) for parent in parents]
    return json.dumps(pairs) if sqlite else pairs


def among(
    sqlite: bool, column: ColumnElement[Any], ids: Sequence[int], name: str | None = None
) -> ColumnElement[bool]:
    """Whether the column is one of the ids, from one parameter whatever their number.

    `name`: that of the parameter, which `ids_parameter` makes.
    """
    given = ids_parameter(sqlite, ids)
    unique = name is None
    if sqlite:
        value = bindparam(name, given, String, unique=unique)
        return column.in_(select(func.json_each(value).table_valued("value").c.value))
    array: Any = ARRAY(BigInteger)
    return column == func.any(bindparam(name, given, array, unique=unique))


def ids_parameter(sqlite: bool, ids: Sequence[int]) -> Any:
    """Ids as the parameter of `among`."""
    return json.dumps(list(ids)) if sqlite else list(ids)


def pairs_among(
    sqlite: bool,
    columns: tuple[ColumnElement[int], ColumnElement[str]],
    pairs: Sequence[tuple[int, str]],
) -> ColumnElement[bool]:
    """The same for pairs of an id and a text."""
    parts: Sequence[ColumnElement[Any]]
    if sqlite:
        found = func.json_each(literal(json.dumps(pairs))).table_valued("value")
        parts = [func.json_extract(found.c.value, f"$[{n}]") for n in (0, 1)]
    else:
        ids, texts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        arrays = literal(ids, ARRAY(BigInteger)), literal(texts, ARRAY(String))
        names = Column("id", BigInteger), Column("text", String)
        table = func.unnest(*arrays).table_valued(*names).render_derived()
        parts = [table.c.id, table.c.text]
    return tuple_(*columns).in_(select(*parts))


def texts_among(
    sqlite: bool, column: ColumnElement[Any], texts: Sequence[str]
) -> ColumnElement[bool]:
    """The same for texts."""
    if sqlite:
        rows = func.json_each(literal(json.dumps(list(texts)))).table_valued("value")
        return column.in_(select(rows.c.value))
    possible = [text for text in texts if is_storable(text)]
    rows = func.jsonb_array_elements_text(cast(literal(possible, JSONB), JSONB)).table_valued(
        "value"
    )
    return column.in_(select(rows.c.value))


def first_of_each(
    sqlite: bool,
    parents: FromClause,
    child: FromClause,
    page_of_parent: Callable[[FromClause], Select[Any]],
) -> tuple[FromClause, FromClause]:
    """Join each parent to its page of children; returns the join and the child's columns.

    `page_of_parent(child)` selects one parent's page. PostgreSQL takes it as LATERAL; SQLite,
    which has none, as a correlated IN. Both read just the page, which a window function would not.
    """
    if sqlite:
        inner = child.alias("page_child")
        page = page_of_parent(inner).with_only_columns(inner.c.id)
        return parents.join(child, child.c.id.in_(page.correlate(parents))), child
    page_table = page_of_parent(child).correlate(parents).lateral("page")
    return parents.join(page_table, true()), page_table


def join_in_order(left: FromClause, key: Any, value: ColumnElement[Any]) -> Join:
    """Join the rows of another table whose `key`, a column of it, is a value of the left side.

    SQLite reads the left side first; PostgreSQL knows better what there is how often.
    """
    column = key.expression
    return _JoinInOrder(left, column.table, column == value)


class _JoinInOrder(Join):
    inherit_cache = True


@compiles(_JoinInOrder, "sqlite")
def _cross_join(join: Any, compiler: Any, **options: Any) -> str:
    # SQLAlchemy would have to be told that the condition is one.
    options.pop("from_linter", None)
    left, right = (compiler.process(side, **options) for side in (join.left, join.right))
    return f"{left} CROSS JOIN {right} ON {compiler.process(join.onclause)}"


def taken_for_many(sqlite: bool, rows: FromClause, name: str) -> FromClause:
    """The same rows, of which SQLite's planner expects many more.

    It then makes an index of them where they are joined with; it takes what it knows nothing of for
    a few rows, which it reads from end to end for each row of the other side.
    """
    if not sqlite:
        return rows
    joined = rows
    for number in range(2):
        one = func.json_each("[0]").table_valued("value", name=f"{name}_{number}")
        joined = joined.join(one, true())
    return select(*rows.c).select_from(joined).subquery(name)
