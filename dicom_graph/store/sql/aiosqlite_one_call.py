"""SQLite for many readers: a statement and its rows in one turn of the connection's thread.

aiosqlite waits for its thread for the cursor, the statement, the rows and the end of the cursor,
each time through the event loop. A statement of a page takes less time than that.
"""

import sqlite3
from collections import deque
from collections.abc import Sequence
from typing import Any

import aiosqlite
from sqlalchemy.connectors.asyncio import AsyncIODBAPICursor
from sqlalchemy.dialects.sqlite.aiosqlite import (
    AsyncAdapt_aiosqlite_connection,
    AsyncAdapt_aiosqlite_cursor,
    AsyncAdapt_aiosqlite_dbapi,
)


class _Cursor:
    """What a statement left behind."""

    description: Any = None
    rowcount = -1
    lastrowid = 0
    arraysize = 1


class _OneCallCursor(AsyncAdapt_aiosqlite_cursor):
    __slots__ = ()
    _cursor: Any
    _connection: Any

    def _make_new_cursor(self, connection: Any) -> Any:
        return _Cursor()

    def _aenter_cursor(self, cursor: AsyncIODBAPICursor) -> AsyncIODBAPICursor:
        return cursor

    async def _execute_async(self, operation: Any, parameters: Any) -> Any:
        async with self._adapt_connection._execute_mutex:
            self._rows = await self._connection._execute(self._run, operation, parameters)

    def _run(self, operation: str, parameters: Sequence[Any] | None) -> deque[Any]:
        cursor = self._connection._conn.cursor()
        try:
            cursor.execute(operation, () if parameters is None else parameters)
            self._cursor.description = cursor.description
            self._cursor.rowcount = cursor.rowcount
            self._cursor.lastrowid = cursor.lastrowid
            return deque(cursor.fetchall() if cursor.description else ())
        finally:
            cursor.close()

    async def _executemany_async(self, operation: Any, seq_of_parameters: Any) -> Any:
        raise NotImplementedError("readers do not write")

    async def _async_soft_close(self) -> None:
        pass

    def close(self) -> None:
        self._rows.clear()


class _OneCallConnection(AsyncAdapt_aiosqlite_connection):
    __slots__ = ()
    _cursor_cls = _OneCallCursor


class OneCallModule(AsyncAdapt_aiosqlite_dbapi):
    """The driver, for `create_async_engine(…, module=OneCallModule())`."""

    def __init__(self) -> None:
        super().__init__(aiosqlite, sqlite3)

    def connect(self, *arguments: Any, **options: Any) -> AsyncAdapt_aiosqlite_connection:
        """A connection whose cursors take one turn."""
        made = super().connect(*arguments, **options)
        return _OneCallConnection(self, made._connection)
