"""Statements for many rows at once, which go to the drivers without SQLAlchemy."""

import datetime as dt
import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Date,
    DateTime,
    MetaData,
    Select,
    Table,
    Time,
    insert,
)
from sqlalchemy.types import JSON, TypeEngine

from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.id_list import pack_ids, unpack_ids
from dicom_graph.store.sql.types import Distances, Id, UtcDateTime, microseconds

Row = Sequence[Any]
_CHUNK = 500
_VARIABLES = 800
_MANY_UPDATES = 100


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

    Returns the first column of the keys that were inserted; the others exist. They are inserted in
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


def lock_in_ranges(
    connection: Connection,
    table: Table,
    columns: Sequence[str],
    ranges: Sequence[tuple[int, int, int]],
) -> list[tuple[Any, ...]]:
    """Rows that nobody else changes until the transaction ends.

    `ranges`: of the first column exactly, of the second from, and to. They are locked in one order,
    that of the columns, so that two writers never deadlock.
    """
    if not ranges:
        return []
    names = ", ".join(f't."{name}"' for name in columns)
    one, other = (f't."{name}"' for name in columns[:2])
    cursor = connection.connection.cursor()
    statement = f'SELECT {names} FROM "{table.name}" AS t'
    if is_sqlite(connection):
        rows: list[tuple[Any, ...]] = []
        for keys in ranges:
            cursor.execute(f"{statement} WHERE {one} = ? AND {other} BETWEEN ? AND ?", keys)
            rows += cursor.fetchall()
        return _unpacked(table, columns, rows)
    cursor.execute(
        f"{statement} JOIN unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS r(k, low, high) "
        f"ON {one} = r.k AND {other} BETWEEN r.low AND r.high "
        f"ORDER BY {one}, {other} FOR UPDATE OF t",
        [list(values) for values in zip(*ranges, strict=True)],
    )
    return list(cursor.fetchall())


def _unpacked(
    table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Rows of SQLite with distances as numbers."""
    packed = [isinstance(table.c[name].type, Distances) for name in columns]
    return [
        tuple(
            unpack_ids(value) if is_packed and value is not None else value
            for value, is_packed in zip(row, packed, strict=True)
        )
        for row in rows
    ]


def update_rows(
    connection: Connection,
    table: Table,
    key: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Row],
    *,
    alone: bool = False,
) -> None:
    """Set columns of the rows with these keys; a row has the key's values, then the columns'.

    They are locked in their order; `alone`: in any, which is faster, as nobody else writes.
    """
    if not rows:
        return
    if alone and not is_sqlite(connection) and len(rows) >= _MANY_UPDATES:
        _update_many(connection, table, key, columns, rows)
        return
    mark = "?" if is_sqlite(connection) else "%s"
    where = " AND ".join(f'"{name}" = {mark}' for name in key)
    changes = ", ".join(f'"{name}" = {mark}' for name in columns)
    adapted = _adapted(connection, table, [*key, *columns], rows)
    width = len(key)
    connection.connection.cursor().executemany(
        f'UPDATE "{table.name}" SET {changes} WHERE {where}',
        [(*row[width:], *row[:width]) for row in adapted],
    )


def _update_many(
    connection: Connection,
    table: Table,
    key: Sequence[str],
    columns: Sequence[str],
    rows: Sequence[Row],
) -> None:
    """In one statement, from a table of the new values: PostgreSQL plans each statement anew."""
    names = ", ".join(f'"{name}"' for name in (*key, *columns))
    changed = f'"changed_{table.name}"'
    cursor = connection.connection.cursor()
    cursor.execute(f"DROP TABLE IF EXISTS {changed}")
    cursor.execute(
        f'CREATE TEMP TABLE {changed} ON COMMIT DROP AS SELECT {names} FROM "{table.name}" LIMIT 0'
    )
    _copy(cursor, f"{changed} ({names})", _adapted(connection, table, [*key, *columns], rows))
    changes = ", ".join(f'"{name}" = n."{name}"' for name in columns)
    where = " AND ".join(f't."{name}" = n."{name}"' for name in key)
    cursor.execute(f'UPDATE "{table.name}" AS t SET {changes} FROM {changed} AS n WHERE {where}')


def make_temporary_ids(connection: Connection, name: str, ids: Select[Any]) -> Table:
    """A table of ids that only this connection sees; to be dropped in the same transaction."""
    id = Column("id", Id, primary_key=True, autoincrement=False)
    table = Table(name, MetaData(), id, prefixes=["TEMPORARY"])
    table.create(connection)
    connection.execute(insert(table).from_select(["id"], ids))
    if not is_sqlite(connection):
        connection.exec_driver_sql(f'ANALYZE "{name}"')
    return table


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
    if isinstance(column_type, Distances):
        return pack_ids if sqlite else _postgres_array
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


def _postgres_array(numbers: Iterable[int]) -> str:
    return f"{{{','.join(map(str, numbers))}}}"


def _sqlite_datetime(value: dt.datetime) -> str:
    return value.isoformat(sep=" ", timespec="microseconds")


def _sqlite_time(value: dt.time) -> str:
    return value.isoformat(timespec="microseconds")
