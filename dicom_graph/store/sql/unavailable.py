"""Errors that mean: the database cannot be used now, whatever it was asked."""

import sqlite3

import psycopg
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

UNREACHABLE = "the database does not answer: try again later"
BUSY = "another process writes to the database and does not end: try again later"
FULL = "the disk of the database is full: nothing was changed"
UNUSABLE = "the database cannot read or write its files: its server's administrator must look"
GONE = (
    "the file of the database is gone or emptied, or another one lies in its place: restart the "
    "server"
)

_OF_SQLITE = {
    sqlite3.SQLITE_BUSY: BUSY,
    sqlite3.SQLITE_LOCKED: BUSY,
    sqlite3.SQLITE_PROTOCOL: BUSY,
    sqlite3.SQLITE_FULL: FULL,
    sqlite3.SQLITE_PERM: UNUSABLE,
    sqlite3.SQLITE_READONLY: UNUSABLE,
    sqlite3.SQLITE_IOERR: UNUSABLE,
    sqlite3.SQLITE_CANTOPEN: UNUSABLE,
    sqlite3.SQLITE_CORRUPT: UNUSABLE,
    sqlite3.SQLITE_NOTADB: UNUSABLE,
}
_OF_POSTGRESQL = {
    "25006": UNUSABLE,
    "53100": FULL,
    "55P03": BUSY,
    "57P01": UNREACHABLE,
    "57P02": UNREACHABLE,
    "57P03": UNREACHABLE,
    "XX001": UNUSABLE,
    "XX002": UNUSABLE,
}
_CLASSES_OF_POSTGRESQL = {"08": UNREACHABLE, "53": UNREACHABLE, "58": UNUSABLE}


class DatabaseUnavailable(Exception):
    """The database cannot be used now; the message is for a client."""


def unavailable_message(error: BaseException | None) -> str | None:
    """What a client may be told; None where the database is not to blame, or works.

    Of PostgreSQL by SQLSTATE: an error of a connection that was lost, or never made, has none.
    """
    if isinstance(error, DatabaseUnavailable):
        return str(error)
    if isinstance(error, PoolTimeoutError):
        return UNREACHABLE
    original = getattr(error, "orig", None) or error
    if isinstance(original, sqlite3.Error):
        return _OF_SQLITE.get((getattr(original, "sqlite_errorcode", None) or 0) & 0xFF)
    if isinstance(original, psycopg.InterfaceError):
        return UNREACHABLE
    if not isinstance(original, psycopg.Error):
        return None
    state = original.sqlstate
    if state is None:
        return UNREACHABLE if isinstance(original, psycopg.OperationalError) else None
    return _OF_POSTGRESQL.get(state) or _CLASSES_OF_POSTGRESQL.get(state[:2])
