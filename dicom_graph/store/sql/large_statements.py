"""Statements that clients make large: put together and written as SQL in a thread, and not kept.

A filter of 250 conditions on elements takes 0.5 s of that, and 20 MB where it is kept. All that is
kept of others is bounded in bytes: what SQLAlchemy wrote by `WrittenStatements`; what sqlite3 and
psycopg prepared by keeping no text of more than `_LONG` characters.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, Dialect, Engine, Select, event
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.util import await_only

T = TypeVar("T")
_APART = "dicom_graph_apart"
_LONG = 16_384
_MEMORY_OF_A_CHARACTER = 100
"""Bytes that a statement takes that is kept with its key, for each character of its SQL, about."""
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="dicom-graph-statements")


async def apart(make: Callable[[], T]) -> T:
    """What a function makes of a large condition, in the thread for that."""
    return await asyncio.get_running_loop().run_in_executor(_THREAD, make)


async def made_apart(connection: AsyncConnection, make: Callable[[], Select[Any]]) -> Select[Any]:
    """The same for a statement of a connection; it is written as SQL there, and not kept."""
    statement = await apart(make)
    await connection.execution_options(compiled_cache=None)
    return statement.execution_options(**{_APART: True})


class WrittenStatements(MutableMapping[Any, Any]):
    """SQLAlchemy's memory of statements that it wrote, of `max_bytes` together, about."""

    def __init__(self, max_bytes: int = 32 << 20) -> None:
        self._max_bytes = max_bytes
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self.n_bytes = 0

    def __getitem__(self, key: Any) -> Any:
        found = self._kept[key]
        self._kept.move_to_end(key)
        return found

    def __setitem__(self, key: Any, written: Any) -> None:
        if _weight(written) > _LONG * _MEMORY_OF_A_CHARACTER:
            return
        self.pop(key, None)
        self._kept[key] = written
        self.n_bytes += _weight(written)
        while self.n_bytes > self._max_bytes:
            del self[next(iter(self._kept))]

    def __delitem__(self, key: Any) -> None:
        self.n_bytes -= _weight(self._kept.pop(key))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def _weight(written: Any) -> int:
    return len(str(written)) * _MEMORY_OF_A_CHARACTER


def bound_statements(engine: Engine) -> None:
    """Write large statements of an asynchronous engine apart, and keep none that is long."""
    _write_apart(engine.dialect)
    event.listen(engine, "before_cursor_execute", _keep_none_that_is_long)


def is_spent(connection: AsyncConnection) -> bool:
    """Whether the connection keeps a long statement, and so is better closed."""
    inner = connection.sync_connection
    return inner is not None and not inner.invalidated and _APART in inner.info


def _write_apart(dialect: Dialect) -> None:
    write = dialect.statement_compiler

    def write_apart(dialect: Dialect, statement: Any, **options: Any) -> Any:
        is_apart = statement is not None and statement.get_execution_options().get(_APART)
        if not is_apart:
            return write(dialect, statement, **options)
        return await_only(apart(partial(write, dialect, statement, **options)))

    dialect.statement_compiler = write_apart  # type: ignore[assignment]


def _keep_none_that_is_long(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:
    is_long = len(statement) > _LONG
    if connection.dialect.name == "sqlite":
        # sqlite3 keeps the last 128 statements of a connection, and cannot be told which.
        if is_long:
            connection.info[_APART] = True
    else:
        connection.connection.driver_connection.prepare_threshold = None if is_long else 5  # type: ignore[union-attr]
