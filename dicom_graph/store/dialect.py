"""Everything in which SQLite and PostgreSQL differ.

The rest of the store is one code for both: it calls these functions, or uses what SQLAlchemy
spells for each.
"""

import datetime as dt
import json
import re
import sqlite3
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import chain
from typing import Any

import psycopg
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnClause,
    ColumnElement,
    Connection,
    Date,
    DateTime,
    Float,
    FromClause,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Time,
    cast,
    func,
    insert,
    literal,
    select,
    true,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import JSON, TypeEngine

from dicom_graph.store.types import Id, UtcDateTime, microseconds

Row = Sequence[Any]
_CHUNK = 500
_VARIABLES = 800
_WAL_ATTEMPTS = 200
_PATIENCE, _LONG_PATIENCE = 20_000, 60_000
"""Milliseconds for which a request, or an import, waits for another writer."""
_WRITERS_LOCK = 5_318_008_137
_SURROGATE = re.compile("[\ud800-\udfff]")
DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error, psycopg.Error)
"""What any statement may raise: the bulk statements go to the drivers without SQLAlchemy."""
REFUSED = (
    DataError, sqlite3.DataError, psycopg.DataError, psycopg.errors.ProgramLimitExceeded,
    psycopg.errors.DeadlockDetected, OverflowError, UnicodeError,
)  # fmt: skip
"""What a batch raises for values that the database cannot hold, where each alone may do."""


def describe_error(error: BaseException) -> str:
    """One line without values of rows, which the text of most errors may hold."""
    original = getattr(error, "orig", None) or error
    if isinstance(original, sqlite3.OperationalError | psycopg.OperationalError):
        return str(original).strip().partition("\n")[0] or type(original).__name__
    return type(original).__name__


def tune_sqlite_connection(connection: Any, _record: Any) -> None:
    """WAL, so that readers and the writer do not wait for each other; transactions are ours.

    Of 2048 to 8192 bytes, pages of 4096 take the least, by some percent, and the least time.
    """
    cursor = connection.cursor()
    for pragma in (
        "page_size=4096",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "cache_size=-65536",
        "temp_store=MEMORY",
        "mmap_size=268435456",
    ):
        cursor.execute(f"PRAGMA {pragma}")
        if pragma.startswith("page_size"):
            _use_wal(cursor)
    cursor.close()
    connection.create_function("fold_case", 1, _fold_case, deterministic=True)
    # sqlite3 would otherwise begin transactions by itself, and later than ours must.
    connection.isolation_level = None


def _use_wal(cursor: Any) -> None:
    """Patiently: SQLite does not wait for others that open a new database at the same moment."""
    for attempt in range(_WAL_ATTEMPTS):
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError:
            if attempt == _WAL_ATTEMPTS - 1:
                raise
            time.sleep(0.05)


def _fold_case(text: str | None) -> str | None:
    return text.lower() if isinstance(text, str) else text


class FilterError(ValueError):
    """A condition that cannot be asked of this database; the message says why."""


_TOO_LARGE = re.compile(
    "parser stack overflow|Expression tree is too large|too many SQL variables|"
    "number of parameters must be between"
)


def refuse_condition(context: ExceptionContext) -> None:
    """Listens to errors: says what the database has against a condition, or that time was up."""
    error = context.original_exception
    if is_interrupted(error):
        raise TimeoutError from None
    if isinstance(error, psycopg.errors.InvalidRegularExpression):
        raise FilterError(f"`regex`: {error.diag.message_primary}") from None
    if isinstance(error, DRIVER_ERRORS) and _TOO_LARGE.search(str(error)):
        raise FilterError("the filter has more parts than the database takes") from None


def limit_waiting(connection: Connection, milliseconds: int | None) -> None:
    """How long the transaction that begins may wait for other writers, None for long.

    SQLite waits for its write lock, PostgreSQL for any lock.
    """
    patience = _LONG_PATIENCE if milliseconds is None else min(milliseconds, _PATIENCE)
    cursor = connection.connection.cursor()
    if is_sqlite(connection):
        cursor.execute(f"PRAGMA busy_timeout = {patience}")
    elif milliseconds is not None:
        cursor.execute(f"SET LOCAL lock_timeout = {patience}")
    cursor.close()


def is_interrupted(error: BaseException | None) -> bool:
    """Whether a statement ended because its time was up."""
    original = getattr(error, "orig", None) or error
    is_told = isinstance(original, sqlite3.OperationalError) and str(original) == "interrupted"
    return is_told or isinstance(original, psycopg.errors.QueryCanceled)


async def interrupt(driver_connection: Any) -> None:
    """End the statement that a reader's connection is executing, from another task."""
    if isinstance(driver_connection, psycopg.AsyncConnection):
        await driver_connection.cancel_safe(timeout=5)
    else:
        await driver_connection.interrupt()


def is_sqlite(connection: Connection) -> bool:
    """Whether the connection is to SQLite."""
    return connection.dialect.name == "sqlite"


def ids_by_key(
    connection: Connection, table: Table, key: str, keys: Iterable[Hashable]
) -> dict[Any, int]:
    """The ids of the rows whose `key` column is among `keys`."""
    wanted = list(keys)
    if not wanted:
        return {}
    if is_sqlite(connection):
        return _ids_sqlite(connection, table, key, wanted)
    cursor = connection.connection.cursor()
    cursor.execute(f'SELECT "{key}", id FROM "{table.name}" WHERE "{key}" = ANY(%s)', (wanted,))
    return _keyed(cursor.fetchall())


def _ids_sqlite(
    connection: Connection, table: Table, key: str, wanted: list[Hashable]
) -> dict[Any, int]:
    found: dict[Any, int] = {}
    cursor = connection.connection.cursor()
    for start in range(0, len(wanted), _CHUNK):
        chunk = wanted[start : start + _CHUNK]
        marks = ",".join("?" * len(chunk))
        cursor.execute(f'SELECT "{key}", id FROM "{table.name}" WHERE "{key}" IN ({marks})', chunk)
        found.update(cursor.fetchall())
    return found


def _keyed(rows: Iterable[tuple[Any, int]]) -> dict[Any, int]:
    return {bytes(key) if isinstance(key, memoryview) else key: id for key, id in rows}


def allocate_ids(connection: Connection, table: Table, count: int) -> list[int]:
    """Ids for new rows, never given before, not even to rows since deleted."""
    if count == 0:
        return []
    cursor = connection.connection.cursor()
    if is_sqlite(connection):
        # Safe: the transaction holds SQLite's write lock.
        cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table.name,))
        row = cursor.fetchone()
        first = (row[0] if row else 0) + 1
        return list(range(first, first + count))
    cursor.execute(
        "WITH found AS MATERIALIZED (SELECT pg_get_serial_sequence(%s, 'id')::regclass AS name) "
        "SELECT nextval(name) FROM found, generate_series(1, %s)",
        (table.name, count),
    )
    return [row[0] for row in cursor.fetchall()]


def insert_rows(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Row]
) -> None:
    """Insert rows that are known to be new: many in one prepared statement, or COPY."""
    if not rows:
        return
    adapted = _adapted(connection, table, columns, rows)
    names = ", ".join(f'"{name}"' for name in columns)
    cursor = connection.connection.cursor()
    target = f'"{table.name}" ({names})'
    if is_sqlite(connection):
        _insert_sqlite(cursor, target, len(columns), adapted)
    else:
        _copy(cursor, target, adapted)


def _insert_sqlite(cursor: Any, target: str, width: int, rows: Sequence[Row]) -> None:
    """Several rows in a statement: a third less time than one by one, where they are narrow."""
    insert = f"INSERT INTO {target} VALUES "
    marks = f"({', '.join('?' * width)})"
    at_once = _VARIABLES // width
    whole = len(rows) - len(rows) % at_once
    if whole:
        statement = insert + ", ".join([marks] * at_once)
        for start in range(0, whole, at_once):
            values = list(chain.from_iterable(rows[start : start + at_once]))
            cursor.execute(statement, values)
    cursor.executemany(insert + marks, rows[whole:])


def insert_new(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Row], *key: str
) -> set[Any]:
    """Insert rows whose `key`, of one column or several, may be written by somebody else now.

    Gives the first column of the keys that were inserted; the others exist. They are inserted in
    the order of the whole key, so that two writers wait for each other in one order and never
    deadlock. Inside SQLite's write lock no one else writes, so there all are new.
    """
    keys = [row[columns.index(key[0])] for row in rows]
    if is_sqlite(connection) or not rows:
        insert_rows(connection, table, columns, rows)
        return set(keys)
    names = ", ".join(f'"{name}"' for name in columns)
    order = ", ".join(f'"{name}"' for name in key)
    cursor = connection.connection.cursor()
    # Nearly always it is empty: to look is much cheaper than to truncate.
    cursor.execute(
        f'CREATE TEMP TABLE IF NOT EXISTS "new_{table.name}" '
        f'(LIKE "{table.name}") ON COMMIT DELETE ROWS; DELETE FROM "new_{table.name}"'
    )
    _copy(cursor, f'"new_{table.name}" ({names})', _adapted(connection, table, columns, rows))
    cursor.execute(
        f'INSERT INTO "{table.name}" ({names}) SELECT {names} FROM "new_{table.name}" '
        f'ORDER BY {order} ON CONFLICT DO NOTHING RETURNING "{key[0]}"'
    )
    return {bytes(k) if isinstance(k, memoryview) else k for (k,) in cursor.fetchall()}


def lock_writers(connection: Connection, *, alone: bool) -> None:
    """Until the transaction ends, write beside others that may write, or `alone`.

    SQLite has one writer at a time anyway.
    """
    if not is_sqlite(connection):
        lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
        connection.execute(select(lock(_WRITERS_LOCK)))


def delete_rows(
    connection: Connection, table: Table, columns: Sequence[str], keys: Sequence[Row]
) -> None:
    """Delete the rows whose columns equal one of the keys, whatever their number."""
    if not keys:
        return
    cursor = connection.connection.cursor()
    if is_sqlite(connection):
        where = " AND ".join(f'"{name}" = ?' for name in columns)
        cursor.executemany(f'DELETE FROM "{table.name}" WHERE {where}', keys)
        return
    arrays = ", ".join("%s" for _ in columns)
    names = ", ".join(f'"{name}"' for name in columns)
    where = " AND ".join(f'"{table.name}"."{name}" = keys."{name}"' for name in columns)
    cursor.execute(
        f'DELETE FROM "{table.name}" USING unnest({arrays}) AS keys({names}) WHERE {where}',
        [list(values) for values in zip(*keys, strict=True)],
    )


def make_temporary_ids(connection: Connection, name: str, ids: Select[Any]) -> Table:
    """A table of ids that only this connection sees; to be dropped in the same transaction."""
    id = Column("id", Id, primary_key=True, autoincrement=False)
    table = Table(name, MetaData(), id, prefixes=["TEMPORARY"])
    table.create(connection)
    connection.execute(insert(table).from_select(["id"], ids))
    if not is_sqlite(connection):
        connection.exec_driver_sql(f'ANALYZE "{name}"')
    return table


def compact(connection: Any) -> bool:
    """Give the space of deleted rows back to the disk, on a driver's connection to SQLite.

    Gives False where others are using the database. PostgreSQL does so by itself.
    """
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError:
        return False
    return True


def _copy(cursor: Any, target: str, rows: Iterable[Row]) -> None:
    with cursor.copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _adapted(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Row]
) -> Sequence[Row]:
    """Rows as the driver takes them: JSON as text; on SQLite dates and times as text too."""
    sqlite = is_sqlite(connection)
    adapters = [
        (place, adapter)
        for place, name in enumerate(columns)
        if (adapter := _adapter(table.c[name].type, sqlite)) is not None
    ]
    if not adapters:
        return rows
    result = []
    for row in rows:
        values = list(row)
        for place, adapter in adapters:
            if values[place] is not None:
                values[place] = adapter(values[place])
        result.append(values)
    return result


def _adapter(column_type: TypeEngine[Any], sqlite: bool) -> Callable[[Any], Any] | None:
    if isinstance(column_type, JSON):
        return json.dumps
    if not sqlite:
        return None
    if isinstance(column_type, UtcDateTime):
        return microseconds
    if isinstance(column_type, DateTime):
        return _sqlite_datetime
    if isinstance(column_type, Date):
        return dt.date.isoformat
    if isinstance(column_type, Time):
        return _sqlite_time
    return None


def _sqlite_datetime(value: dt.datetime) -> str:
    return value.isoformat(sep=" ", timespec="microseconds")


def _sqlite_time(value: dt.time) -> str:
    return value.isoformat(timespec="microseconds")


def parent_table(sqlite: bool, parents: Sequence[tuple[int, int | None]]) -> FromClause:
    """Pairs as a table (`id`, `patient_id`), from one parameter whatever their number."""
    pairs = [list(parent) for parent in parents]
    columns: list[ColumnElement[Any]]
    if sqlite:
        rows = func.json_each(literal(json.dumps(pairs))).table_valued("value", name="pairs")
        columns = [func.json_extract(rows.c.value, f"$[{n}]") for n in (0, 1)]
    else:
        elements = func.jsonb_array_elements(cast(literal(pairs, JSONB), JSONB))
        rows = elements.table_valued("value", name="pairs")
        columns = [rows.c.value.op("->>")(n) for n in (0, 1)]
    id, patient_id = (cast(column, BigInteger) for column in columns)
    return select(id.label("id"), patient_id.label("patient_id")).subquery("parents")


def among(sqlite: bool, column: ColumnElement[Any], ids: Sequence[int]) -> ColumnElement[bool]:
    """Whether the column is one of the ids, from one parameter whatever their number."""
    if sqlite:
        rows = func.json_each(literal(json.dumps(list(ids)))).table_valued("value")
        return column.in_(select(rows.c.value))
    return column == func.any(literal(list(ids), ARRAY(BigInteger)))


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
    # NUL and lone surrogates are in no text of PostgreSQL, and refused as parameters.
    possible = [text for text in texts if "\x00" not in text and not _SURROGATE.search(text)]
    rows = func.jsonb_array_elements_text(cast(literal(possible, JSONB), JSONB)).table_valued(
        "value"
    )
    return column.in_(select(rows.c.value))


def first_of_each(
    sqlite: bool,
    parents: FromClause,
    child: FromClause,
    page_of_parent: Callable[[FromClause], Select[Any]],
    *,
    by_parent: bool = False,
) -> tuple[FromClause, FromClause]:
    """Join each parent to its page of children; gives the join and the child's columns.

    `page_of_parent(child)` selects one parent's page. PostgreSQL takes it as LATERAL; SQLite,
    which has none, as a correlated IN. Both read just the page, which a window function would not.
    `by_parent`: what the page is sorted by depends on the parent.
    """
    if sqlite:
        inner = child.alias("page_child")
        page = page_of_parent(inner)
        if by_parent:
            # SQLite's ORDER BY knows the columns of its own query only, not those around it.
            keyed = page.correlate(parents).subquery()
            return parents.join(child, child.c.id.in_(select(keyed.c.id))), child
        page = page.with_only_columns(inner.c.id)
        return parents.join(child, child.c.id.in_(page.correlate(parents))), child
    page_table = page_of_parent(child).correlate(parents).lateral("page")
    return parents.join(page_table, true()), page_table


def fold_case(text: Any) -> ColumnElement[Any]:
    """The text in lower case, letters beyond ASCII too."""
    return _FoldCase(text)


class _FoldCase(FunctionElement[str]):
    type = String()
    inherit_cache = True


@compiles(_FoldCase, "sqlite")
def _fold_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"fold_case({compiler.process(element.clauses, **options)})"


@compiles(_FoldCase, "postgresql")
def _fold_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    # The columns' own collation knows ASCII only; before 17 the cluster's locale has to do.
    is_modern = (compiler.dialect.server_version_info or (0,)) >= (17,)
    collation = "pg_c_utf8" if is_modern else "default"
    text = compiler.process(element.clauses, **options)
    return f'lower(CAST({text} AS TEXT) COLLATE "{collation}")'


class SmallestNull(ColumnClause[Any]):
    """A column in an index, NULL before all values; SQLite has it so, and no word for it."""

    inherit_cache = True


@compiles(SmallestNull)
def _column_alone(element: Any, compiler: Any, **_options: Any) -> str:
    return str(compiler.preparer.quote(element.name))


@compiles(SmallestNull, "postgresql")
def _nulls_first(element: Any, compiler: Any, **_options: Any) -> str:
    return f"{compiler.preparer.quote(element.name)} NULLS FIRST"


def position_of(part: Any, text: ColumnElement[Any]) -> ColumnElement[int]:
    """Where a part begins in the text, from 1; 0 where it does not occur."""
    return _Position(text, part)


class _Position(FunctionElement[int]):
    type = Integer()
    inherit_cache = True


@compiles(_Position, "sqlite")
def _instr(element: Any, compiler: Any, **options: Any) -> str:
    return f"instr({compiler.process(element.clauses, **options)})"


@compiles(_Position, "postgresql")
def _strpos(element: Any, compiler: Any, **options: Any) -> str:
    return f"strpos({compiler.process(element.clauses, **options)})"


def matches_regex(text: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """PostgreSQL's regular expressions."""
    return text.regexp_match(pattern)


def array_length(sqlite: bool, column: ColumnElement[Any]) -> ColumnElement[int]:
    """The length of a JSON array; NULL where there is none."""
    return func.json_array_length(column) if sqlite else func.jsonb_array_length(column)


def array_items(
    sqlite: bool,
    column: ColumnElement[Any],
    condition: Callable[[ColumnElement[Any]], ColumnElement[bool]],
    *,
    number: bool = False,
) -> ColumnElement[bool]:
    """Whether an item of a JSON array of texts (or numbers) fulfils the condition."""
    if sqlite:
        rows = func.json_each(column).table_valued("value", name="items")
        item: ColumnElement[Any] = rows.c.value
    else:
        rows = func.jsonb_array_elements_text(column).table_valued("value", name="items")
        item = cast(rows.c.value, Float(53)) if number else rows.c.value
    return select(literal(1)).select_from(rows).where(condition(item)).exists()


def first_number(sqlite: bool, column: ColumnElement[Any]) -> ColumnElement[float]:
    """The first item of a JSON array of numbers."""
    item = func.json_extract(column, "$[0]") if sqlite else column.op("->>")(0)
    return cast(item, Float(53))
