"""What SQLite and PostgreSQL spell differently; `store.bulk` has the statements for many rows.

The rest of the store is one code for both: it calls these functions, or uses what SQLAlchemy
spells for each.
"""

import json
import logging
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from sqlalchemy import (
    BigInteger,
    Column,
    ColumnClause,
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Integer,
    Join,
    Select,
    SmallInteger,
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
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DataError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.sql.selectable import TableValuedAlias

from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.sql.lock_holder import lock_holder
from dicom_graph.store.sql.regular_expressions import BadPattern, check_pattern, re2_search
from dicom_graph.store.storable import UnstorableText, is_storable

log = logging.getLogger(__name__)
SILENT_MILLISECONDS = 3000
"""So long a wait for SQLite's locks is nothing to tell of."""
_PATIENCE, _LONG_PATIENCE = 20_000, 60_000
"""Milliseconds for which a request, or an import, waits for another writer."""
_OPENING_MILLISECONDS = 10_000
_WRITERS_LOCK = 5_318_008_137
DRIVER_ERRORS = (SQLAlchemyError, sqlite3.Error, psycopg.Error)
"""What any statement may raise: the bulk statements go to the drivers without SQLAlchemy."""
REFUSED = (
    DataError, sqlite3.DataError, psycopg.DataError, psycopg.errors.ProgramLimitExceeded,
    OverflowError, UnicodeError, UnstorableText,
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

    Of 2048 to 8192 bytes, pages of 4096 take the least, by some percent, and the least time. The
    log is copied into the file every 16 MB: a page that many batches touch is copied once then,
    which makes imports a tenth faster.
    """
    cursor = connection.cursor()
    for pragma in (
        "page_size=4096",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "cache_size=-65536",
        "temp_store=MEMORY",
        "mmap_size=268435456",
        "wal_autocheckpoint=4000",
    ):
        cursor.execute(f"PRAGMA {pragma}")
        if pragma.startswith("page_size"):
            _use_wal(cursor)
    cursor.close()
    connection.create_function("fold_case", 1, _fold_case, deterministic=True)
    connection.create_function("re2_search", 2, re2_search, deterministic=True)
    connection.create_function("distances_as_json", 1, _distances_as_json, deterministic=True)
    # sqlite3 would otherwise begin transactions by itself, and later than ours must.
    connection.isolation_level = None


def tune_sqlite_reader(connection: Any, record: Any) -> None:
    """The same for one of many connections that only read.

    Pages that are not mapped to memory are in the system's cache. To keep 64 MB of them in each of
    ten connections as well took 660 MB, and no look-up in 640 MB was faster for it.
    """
    tune_sqlite_connection(connection, record)
    connection.execute("PRAGMA cache_size=-4096").close()


def _use_wal(cursor: Any) -> None:
    """Patiently: SQLite does not wait for others that open a new database at the same moment, and
    one process may have the file for itself.
    """
    cursor.execute("PRAGMA busy_timeout")
    patience = cursor.fetchone()[0]
    begun = time.monotonic()
    is_told = False
    cursor.execute(f"PRAGMA busy_timeout = {min(patience, SILENT_MILLISECONDS)}")
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError:
            waited = 1000 * (time.monotonic() - begun)
            if waited >= max(patience, _OPENING_MILLISECONDS):
                raise
            if waited >= SILENT_MILLISECONDS and not is_told:
                is_told = True
                _tell_of_holder(cursor)
            time.sleep(0.05)
    cursor.execute(f"PRAGMA busy_timeout = {patience}")


def _tell_of_holder(cursor: Any) -> None:
    cursor.execute("PRAGMA database_list")
    path = cursor.fetchone()[2]
    log.warning("waiting for %s, which lets nobody else open %s", lock_holder(path), path)


def _fold_case(text: str | None) -> str | None:
    return text.lower() if isinstance(text, str) else text


def _distances_as_json(packed: bytes) -> str:
    return str(unpack_ids(packed))


class FilterError(ValueError):
    """A condition that cannot be asked of this database; the message says why."""


_OF_CHARACTERS = (
    psycopg.errors.CharacterNotInRepertoire, psycopg.errors.UntranslatableCharacter,
)  # fmt: skip
_TOO_LARGE = re.compile(
    "parser stack overflow|Expression tree is too large|too many SQL variables|"
    "number of parameters must be between"
)


def refuse_condition(context: ExceptionContext) -> None:
    """Listens to errors: says what the database has against a condition, or that time was up."""
    refuse_error(context.original_exception)


def refuse_error(error: BaseException | None) -> None:
    """The same of an error of the driver. Raises TimeoutError, UnstorableText, FilterError."""
    if is_interrupted(error):
        raise TimeoutError from None
    if isinstance(error, _OF_CHARACTERS):
        raise UnstorableText("a text with a character that the database does not hold") from None
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


def began_writing(connection: Connection) -> bool:
    """Begin a transaction with SQLite's write lock; returns whether others left it in time."""
    cursor = connection.connection.cursor()
    try:
        cursor.execute("BEGIN IMMEDIATE")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY:
            return False
        # Again, so that the error is one of SQLAlchemy's.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    finally:
        cursor.close()
    return True


def is_deadlock(error: BaseException) -> bool:
    """Whether a transaction was given up for another one that it waited for, and may try again."""
    original = getattr(error, "orig", None) or error
    return isinstance(original, psycopg.errors.DeadlockDetected)


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


def lock_writers(connection: Connection, *, alone: bool) -> None:
    """Until the transaction ends, write beside others that may write, or `alone`.

    SQLite has one writer at a time anyway.
    """
    if not is_sqlite(connection):
        lock = func.pg_advisory_xact_lock if alone else func.pg_advisory_xact_lock_shared
        connection.execute(select(lock(_WRITERS_LOCK)))


def compact(connection: Any) -> bool:
    """Give the space of deleted rows back to the disk, on a driver's connection to SQLite.

    Returns False where others are using the database. PostgreSQL does so by itself.
    """
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError:
        return False
    return True


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


def each_distance(distances: ColumnElement[Any]) -> TableValuedAlias:
    """A row with its `value` for each of the distances of a row before it; 0 where it has none."""
    return _EachDistance(distances).table_valued(Column("value", SmallInteger))


class _EachDistance(FunctionElement[Any]):
    inherit_cache = True


@compiles(_EachDistance, "sqlite")
def _each_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    distances = compiler.process(element.clauses, **options)
    unpacked = f"distances_as_json({distances})"
    return f"json_each(CASE WHEN {distances} IS NULL THEN '0' ELSE {unpacked} END)"


@compiles(_EachDistance, "postgresql")
def _each_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    distances = compiler.process(element.clauses, **options)
    return f"LATERAL (SELECT v.value FROM unnest(coalesce({distances}, '{{0}}')) AS v(value))"


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


def holds_none_of(sqlite: bool, text: ColumnElement[Any], characters: str) -> ColumnElement[bool]:
    """Whether a text has no character of a class, written as between the brackets of a regular
    expression; `^` at its start means all others. A `-` stands at its end, or for a range.
    """
    if sqlite:
        return ~text.op("GLOB", is_comparison=True)(f"*[{characters}]*")
    return ~text.op("~", is_comparison=True)(f"[{characters}]")


def matches_regex(sqlite: bool, text: ColumnElement[Any], pattern: str) -> ColumnElement[bool]:
    """By PostgreSQL's regular expressions; on SQLite by RE2. Raises FilterError.

    SQLAlchemy would take Python's on SQLite, some of which never come to an end.
    """
    if not sqlite:
        return text.regexp_match(pattern)
    try:
        check_pattern(pattern)
    except BadPattern as error:
        raise FilterError(str(error)) from None
    return func.re2_search(pattern, text, type_=Integer) == 1


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
    rows = _items(sqlite, column)
    item = cast(rows.c.value, Float(53)) if number and not sqlite else rows.c.value
    return select(literal(1)).select_from(rows).where(condition(item)).exists()


def array_count(
    sqlite: bool, column: ColumnElement[Any], among: Sequence[str]
) -> ColumnElement[int]:
    """How many of these texts a JSON array of texts holds."""
    rows = _items(sqlite, column)
    held = select(func.count(rows.c.value.distinct())).select_from(rows)
    return held.where(rows.c.value.in_(among)).scalar_subquery()


def _items(sqlite: bool, column: ColumnElement[Any]) -> TableValuedAlias:
    each = func.json_each if sqlite else func.jsonb_array_elements_text
    return each(column).table_valued("value", name="items")


def first_number(sqlite: bool, column: ColumnElement[Any]) -> ColumnElement[float]:
    """The first item of a JSON array of numbers."""
    item = func.json_extract(column, "$[0]") if sqlite else column.op("->>")(0)
    return cast(item, Float(53))
