"""Connections to the database, SQLite or PostgreSQL, for many readers and a writer."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from anyio import CancelScope
from sqlalchemy import Connection, Dialect, Engine, Select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection, QueuePool
from sqlalchemy.util import greenlet_spawn

from dicom_graph.settings import default_folder
from dicom_graph.store.answer_budget import current_budget
from dicom_graph.store.deadline import DEADLINE, interrupted_at
from dicom_graph.store.engine_setup import (
    CONNECT_SECONDS,
    postgres_reader,
    postgres_writer,
    sqlite_engine_without_pool,
    sqlite_reader,
    sqlite_writer,
)
from dicom_graph.store.private_files import make_folder, restrict_to_owner
from dicom_graph.store.sql.connections import tune_sqlite_reader, tune_sqlite_sweeper
from dicom_graph.store.sql.driver_errors import refuse_error
from dicom_graph.store.sql.kept_statements import KeptStatements
from dicom_graph.store.sql.large_statements import is_spent
from dicom_graph.store.sql.same_file import SameFile
from dicom_graph.store.sql.unavailable import (
    BUSY,
    UNREACHABLE,
    DatabaseUnavailable,
    unavailable_message,
)
from dicom_graph.store.views.definitions import VisibleDefinitionsCache
from dicom_graph.store.views.narrowing import WHOLE, Groups, narrowed

log = logging.getLogger(__name__)
T = TypeVar("T")
_ROWS_AT_ONCE = 200
_CONVERTED_AT_ONCE = 500
_ENDINGS = ("", "-wal", "-shm", "-journal")
"""Of the names of SQLite's files."""


class DatabaseError(Exception):
    """The database cannot be used; the message is one line and holds no password."""


class _Executing(NamedTuple):
    """What listeners to statements look at of SQLAlchemy's connection."""

    dialect: Dialect
    connection: PoolProxiedConnection
    info: dict[Any, Any]


class Database:
    """One database. Readers are asynchronous; the importer's writer is synchronous."""

    def __init__(self, url: str, *, pool_size: int = 10) -> None:
        """Raises DatabaseError for a URL that cannot be read."""
        try:
            self.url: URL = make_url(url)
        except (ArgumentError, ValueError):
            raise DatabaseError("the database URL cannot be read") from None
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.groups: Groups | None = None
        self.visible_definitions: VisibleDefinitionsCache | None = None
        self._pool_size = pool_size
        self._places = asyncio.Semaphore(pool_size)
        self._file = SameFile(self.url.database) if self.is_sqlite else None
        self._kept = KeptStatements()

    def limited_to(self, groups: Groups) -> "Database":
        """The same database, and the same connections, for questions of users who see only what
        these groups are granted.
        """
        limited = self._same()
        limited.groups = groups
        return limited

    def deidentified(self) -> "Database":
        """The same database, and the same connections, for questions of users who see no
        identities.
        """
        limited = self._same()
        limited.visible_definitions = VisibleDefinitionsCache(self.is_sqlite)
        return limited

    @asynccontextmanager
    async def for_sweep(self) -> AsyncIterator["Database"]:
        """The same database for questions that read all of it once.

        Of SQLite by connections of their own that map none of the file to memory, as much as of
        which the process would seem to take otherwise.
        """
        if not self.is_sqlite:
            yield self
            return
        sweeping = copy(self)
        sweeping.__dict__["reader"] = self._sqlite_reader(tune_sqlite_sweeper)
        try:
            yield sweeping
        finally:
            # Whoever answers a client that is gone is cancelled again and again.
            with CancelScope(shield=True):
                await sweeping.reader.dispose()

    @property
    def is_narrowed(self) -> bool:
        """Whether questions do not see everything."""
        return self.groups is not None or self.visible_definitions is not None

    def _same(self) -> "Database":
        _ = self.reader, self.writer
        return copy(self)

    @property
    def safe_url(self) -> str:
        """The URL with its password hidden."""
        return self.url.render_as_string(hide_password=True)

    @cached_property
    def writer(self) -> Engine:
        """For writing. A transaction on SQLite takes the write lock at its start."""
        if self._file is None:
            return postgres_writer(self.url)
        self._make_folder()
        return sqlite_writer(self.url, self._file)

    @contextmanager
    def read_sync(self) -> Iterator[Connection]:
        """A short connection for questions of the importer; it takes no write lock.

        Raises TypeError for users who see no identities.
        """
        if self.visible_definitions is not None:
            raise TypeError("the importer's questions see identities")
        with self.writer.connect() as connection:
            yield connection.execution_options(reading=True, groups=self.groups)

    @contextmanager
    def read_whole_sync(self) -> Iterator[Connection]:
        """The same for what the server asks for itself, whoever it is for: nothing of it is shown.

        It takes no write lock.
        """
        with self.writer.connect() as connection:
            yield connection.execution_options(reading=True, **WHOLE)

    @contextmanager
    def read_anew(self) -> Iterator[Connection]:
        """A connection to SQLite that remembers no page, for a look at the file as it is."""
        assert self._file is not None
        engine = sqlite_engine_without_pool(self.url, self._file)
        with engine.connect() as connection:
            yield connection

    @cached_property
    def reader(self) -> AsyncEngine:
        """For questions."""
        if not self.is_sqlite:
            return postgres_reader(self.url, self._pool_size)
        return self._sqlite_reader(tune_sqlite_reader)

    def _sqlite_reader(self, tune: Callable[[Any, Any], None]) -> AsyncEngine:
        assert self._file is not None
        self._make_folder()
        return sqlite_reader(self.url, self._file, self._pool_size, tune)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A short connection for one statement, or a few.

        Raises TimeoutError once the request's time is up, DatabaseUnavailable where there is no
        connection to be had within seconds.
        """
        moment = DEADLINE.get()
        async with AsyncExitStack() as stack:
            # To wait for others is not to wait for the database.
            async with asyncio.timeout_at(moment):
                await stack.enter_async_context(self._places)
            connection = await stack.enter_async_context(self._connected(moment))
            driver = connection.sync_connection.connection.driver_connection  # type: ignore[union-attr]
            alarm = stack.enter_context(interrupted_at(driver, moment))
            visible = (
                await self.visible_definitions.current(connection)
                if self.visible_definitions is not None
                else None
            )
            try:
                yield await connection.execution_options(groups=self.groups, visible=visible)
            finally:
                if is_spent(connection) or (alarm.has_rung and not connection.invalidated):
                    await connection.invalidate()

    async def rows(
        self,
        form: Hashable,
        make: Callable[[], Select[Any]],
        given: Mapping[str, Any],
        memory: int,
    ) -> list[Any]:
        """All rows of a statement that is kept by its form, each of which takes so many bytes.

        Raises what `read` does, and ResponseLimitExceeded.
        """
        budget = current_budget()
        found: list[Any] = []
        if self.visible_definitions is not None:
            # What is withheld may differ each time.
            async with self.read() as reader:
                for some in (await reader.execute(make(), given)).partitions(_ROWS_AT_ONCE):
                    found.extend(some)
                    await budget.hold_and_share(memory * len(some))
            return found
        async with self._driver() as connection:
            dialect = self.reader.sync_engine.dialect
            schema = dialect.default_schema_name or ""
            statement = self._kept.get(
                (form, self.groups), lambda: narrowed(make(), self.groups, None, schema), dialect
            )
            parameters = statement.parameters(given)
            self._tell(connection, statement.sql, parameters)
            driver = connection.driver_connection
            answered, described = await statement.execute(driver, parameters)
        for start in range(0, len(answered), _CONVERTED_AT_ONCE):
            some = statement.rows(answered[start : start + _CONVERTED_AT_ONCE], described)
            found.extend(some)
            await budget.hold_and_share(memory * len(some))
        return found

    def _tell(self, connection: PoolProxiedConnection, sql: str, parameters: Any) -> None:
        """What listens to the reader's statements is told of one. Raises UnstorableText."""
        engine = self.reader.sync_engine
        executing: Any = _Executing(engine.dialect, connection, connection.info)
        for listener in engine.dispatch.before_cursor_execute:
            listener(executing, None, sql, parameters, None, False)

    @asynccontextmanager
    async def _driver(self) -> AsyncIterator[PoolProxiedConnection]:
        """A reader's connection without SQLAlchemy's own around it; after an error another one is
        made in its place. Raises as `read` does.
        """
        moment = DEADLINE.get()
        pool = self.reader.sync_engine.pool
        if self._places.locked():
            async with asyncio.timeout_at(moment):
                await self._places.acquire()
        else:
            await self._places.acquire()
        try:
            connecting = greenlet_spawn(pool.connect)
            is_idle = isinstance(pool, QueuePool) and pool.checkedin() > 0
            connection = await (connecting if is_idle else self._in_time(connecting, moment))
            try:
                with interrupted_at(connection.driver_connection, moment) as alarm:
                    yield connection
            except BaseException as error:
                await greenlet_spawn(connection.invalidate, error)
                if isinstance(error, DBAPIError):
                    refuse_error(error.orig)
                raise
            await greenlet_spawn(connection.invalidate if alarm.has_rung else connection.close)
        finally:
            self._places.release()

    async def _in_time(self, connecting: Awaitable[T], moment: float | None) -> T:
        """A connection, in time. Raises TimeoutError, DatabaseUnavailable."""
        latest = asyncio.get_running_loop().time() + 2 * CONNECT_SECONDS
        deadline = asyncio.timeout_at(latest if moment is None else min(moment, latest))
        try:
            async with deadline:
                return await connecting
        except TimeoutError:
            if deadline.when() == moment:
                raise
            raise DatabaseUnavailable(UNREACHABLE) from None

    @asynccontextmanager
    async def _connected(self, moment: float | None) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            connecting = stack.enter_async_context(self.reader.connect())
            yield await self._in_time(connecting, moment)

    def pool_state(self) -> tuple[int, int]:
        """How many connections for questions there may be, and how many are in use."""
        pool = self.reader.sync_engine.pool
        return self._pool_size, pool.checkedout() if isinstance(pool, QueuePool) else 0

    def check(self) -> None:
        """Raises DatabaseError where no connection can be made."""
        try:
            with self.writer.connect():
                pass
        except (SQLAlchemyError, OSError, DatabaseUnavailable) as error:
            raise DatabaseError(f"cannot open {self.safe_url}: {_reason(error)}") from error

    async def close(self) -> None:
        """Close all connections."""
        if "reader" in self.__dict__:
            await self.reader.dispose()
        self.close_writer()

    def close_writer(self) -> None:
        """Close the writer's connections."""
        if "writer" in self.__dict__:
            self.writer.dispose()

    @property
    def path(self) -> Path | None:
        """SQLite's file; None for PostgreSQL."""
        return Path(self.url.database).absolute() if self.is_sqlite and self.url.database else None

    def own_files(self) -> frozenset[tuple[int, int]]:
        """SQLite's files by device and inode.

        A process that opens and closes them otherwise loses the locks that it has on them.
        """
        found = set()
        for end in _ENDINGS if self.path is not None else ():
            with suppress(OSError):
                status = os.stat(f"{self.path}{end}")
                found.add((status.st_dev, status.st_ino))
        return frozenset(found)

    def protect(self) -> None:
        """Take from others what they may do with SQLite's files, and with a folder that is ours."""
        if self.path is None:
            return
        # What the path is a link to is the file.
        file = os.path.realpath(self.path)
        mended = [name for end in _ENDINGS if restrict_to_owner(name := f"{file}{end}")]
        folder = os.path.dirname(file)
        if folder == os.path.realpath(default_folder()) and restrict_to_owner(folder):
            mended.append(folder)
        if mended:
            log.warning("others could read %s: now only the owner can", ", ".join(mended))

    def _make_folder(self) -> None:
        if self.path is not None:
            try:
                make_folder(self.path.parent)
            except OSError as error:
                raise DatabaseError(f"cannot open {self.safe_url}: {error.strerror}") from error


def _reason(error: BaseException) -> str:
    if unavailable_message(error) == BUSY:
        return BUSY
    original = getattr(error, "orig", None) or error
    return str(original).strip().splitlines()[0] if str(original).strip() else type(error).__name__
