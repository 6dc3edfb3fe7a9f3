"""Connections and transactions, as SQLite and PostgreSQL take them."""

import logging
import sqlite3
import time
from typing import Any

import psycopg
from sqlalchemy import (
    Connection,
    func,
    select,
)

from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.sql.lock_holder import lock_holder
from dicom_graph.store.sql.regular_expressions import re2_search

log = logging.getLogger(__name__)
SILENT_MILLISECONDS = 3000
"""So long a wait for SQLite's locks is nothing to tell of."""
_PATIENCE, _LONG_PATIENCE = 20_000, 60_000
"""Milliseconds for which a request, or an import, waits for another writer."""
_OPENING_MILLISECONDS = 10_000
_WRITERS_LOCK = 5_318_008_137


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


def tune_sqlite_sweeper(connection: Any, record: Any) -> None:
    """The same for one that reads all of a file once: none of it stays mapped to memory."""
    tune_sqlite_reader(connection, record)
    connection.execute("PRAGMA mmap_size=0").close()


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


UNABLE_TO_INTERRUPT = (psycopg.Error, ValueError)
"""What `interrupt` raises of a connection out of reach, or closed (ValueError, of aiosqlite)."""


async def interrupt(driver_connection: Any) -> None:
    """End the statement that a reader's connection is executing, from another task.

    Raises UNABLE_TO_INTERRUPT.
    """
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
