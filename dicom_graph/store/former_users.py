"""Former users: a database that had some is not taken for a new one, which is open to everybody.

Both databases number users, and remember the last number where all users are gone. Where SQLite's
file itself is gone or emptied, a mark beside it tells, which is made as soon as there is a user.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from dicom_graph.store.accounts import has_users
from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.private_files import open_new
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.tables.accounts import User

log = logging.getLogger(__name__)
_TABLE = User.__tablename__
_ENDING = ".had-users"
_NOTE = """\
There were users in the database that this file lies beside. Without them everybody could do
everything: as long as this file is here, dicom-graph refuses the database if it has no user.
`dicom-graph db open-to-all` removes it.
"""


class UsersGoneError(DatabaseError):
    """The database had users, and now has none."""

    def __init__(self, database: Database) -> None:
        super().__init__(
            f"{database.safe_url} had users, and now has none: was it emptied, removed or replaced?"
            " Without users everybody could do everything. Put it back, or a backup in its place. "
            "If it is meant to begin anew: `dicom-graph db open-to-all`"
        )


def is_marked(database: Database) -> bool:
    """Whether there is a mark beside SQLite's file; the database itself is not asked."""
    return any(map(os.path.lexists, _marks(database)))


def mark(database: Database) -> None:
    """Make the mark, where there is none."""
    for path in _marks(database)[:1]:
        if not is_marked(database):
            try:
                with suppress(FileExistsError), open(path, "x", opener=open_new) as file:
                    file.write(_NOTE)
            except OSError as error:
                log.warning("%s cannot be written: %s", path, error.strerror)


def require_file(database: Database) -> None:
    """Raises UsersGoneError where SQLite's file is gone or empty, and had users."""
    if database.path is None or not is_marked(database):
        return
    try:
        is_empty = os.path.getsize(database.path) == 0
    except OSError as error:
        is_empty = isinstance(error, FileNotFoundError | NotADirectoryError)
    if is_empty:
        raise UsersGoneError(database)


def require_users(database: Database, connection: Connection) -> None:
    """Raises UsersGoneError where there were users and are none; where there are, marks that."""
    has_table = inspect(connection).has_table(_TABLE)
    if has_table and has_users(connection):
        mark(database)
    elif is_marked(database) or (has_table and _last_number(connection)):
        raise UsersGoneError(database)


def open_to_all(database: Database) -> None:
    """A database without users is meant to be so: what says that there were some goes.

    Raises DatabaseError where there are users.
    """
    path = database.path
    if path is None or (path.exists() and path.stat().st_size > 0):
        with database.writer.begin() as connection:
            if inspect(connection).has_table(_TABLE):
                if has_users(connection):
                    raise DatabaseError("there are users, and they have to say who they are")
                _forget_numbers(connection)
    for marked in _marks(database):
        marked.unlink(missing_ok=True)


def _marks(database: Database) -> list[Path]:
    """Where a mark may lie: the path may be a link, which may go as well."""
    if database.path is None:
        return []
    places = dict.fromkeys((database.path, Path(os.path.realpath(database.path))))
    return [place.with_name(place.name + _ENDING) for place in places]


def _last_number(connection: Connection) -> int | None:
    """The number of the user that was added last, or None."""
    if is_sqlite(connection):
        statement = text("SELECT seq FROM sqlite_sequence WHERE name = :name")
        return connection.execute(statement, {"name": _TABLE}).scalar()
    # NULL also for users who may not ask.
    statement = text("SELECT pg_sequence_last_value(pg_get_serial_sequence(:name, 'id')::regclass)")
    return connection.execute(statement, {"name": _TABLE}).scalar()


def _forget_numbers(connection: Connection) -> None:
    if is_sqlite(connection):
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": _TABLE})
    else:
        connection.execute(
            text("SELECT setval(pg_get_serial_sequence(:name, 'id')::regclass, 1, false)"),
            {"name": _TABLE},
        )
