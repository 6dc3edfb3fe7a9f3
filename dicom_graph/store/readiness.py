"""Whether questions can be answered: the tables of this version are there, and can be read."""

import asyncio
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, ScalarSelect, Select, Table, select

from dicom_graph.store.engine import Database
from dicom_graph.store.migrate import head, revision
from dicom_graph.store.sql.driver_errors import DRIVER_ERRORS
from dicom_graph.store.sql.unavailable import UNREACHABLE, DatabaseUnavailable, unavailable_message
from dicom_graph.store.tables.accounts import User
from dicom_graph.store.tables.audit import AuditEntry
from dicom_graph.store.tables.base import Base

ALL_IN_USE = "all connections to the database are in use: try again later"
UNREADABLE = "the database cannot be read as this version needs it: its administrator must look"
_TABLES: tuple[type[Base], ...] = (User, AuditEntry)
"""So that they are known, with all others."""


class Readiness:
    """Looks at the database, once for all who ask at the same time."""

    def __init__(self, database: Database, seconds: float = 5.0) -> None:
        """`seconds`: how long a caller waits at most."""
        self._database = database
        self._seconds = seconds
        self._looking: asyncio.Task[str | None] | None = None

    async def problem(self) -> str | None:
        """Why questions cannot be answered; None where they can."""
        task = self._looking
        if task is None or task.done():
            task = self._looking = asyncio.create_task(self._look())
        done, _ = await asyncio.wait({task}, timeout=self._seconds)
        if not done:
            n_connections, n_used = self._database.pool_state()
            return ALL_IN_USE if n_used >= n_connections else UNREACHABLE
        return task.result()

    async def _look(self) -> str | None:
        try:
            if self._database.is_sqlite:
                return await asyncio.to_thread(self._look_at_file)
            async with self._database.read() as connection:
                return await connection.run_sync(_why_unreadable)
        except (*DRIVER_ERRORS, OSError, DatabaseUnavailable) as error:
            return unavailable_message(error) or UNREADABLE

    def _look_at_file(self) -> str | None:
        with self._database.read_anew() as connection:
            return _why_unreadable(connection)


def _why_unreadable(connection: Connection) -> str | None:
    found = revision(connection)
    if found != head():
        return (
            f"the tables are at revision {found or 'none'}, this version needs {head()}: run "
            "`dicom-graph db upgrade`, or the version that they are of"
        )
    connection.execute(_a_row_of_each())
    return None


@cache
def _a_row_of_each() -> Select[*tuple[Any, ...]]:
    """Fails where a table or column is missing or broken at its start, or may not be read."""
    tables = Base.metadata.sorted_tables
    return select(
        *(_a_row_of(table) for table in tables), *(_has_columns(table) for table in tables)
    )


def _has_columns(table: Table) -> ColumnElement[bool]:
    return select(*table.c).select_from(table).exists()


def _a_row_of(table: Table) -> ScalarSelect[Any]:
    # The last one, which is in no index that SQLite could read instead.
    column = list(table.c)[-1]
    return select(column).select_from(table).limit(1).scalar_subquery()
