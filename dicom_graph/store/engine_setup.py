"""SQLAlchemy's engines for either database: how connections are made, tuned and watched."""

import logging
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from dicom_graph.store.deadline import DEADLINE
from dicom_graph.store.sql.aiosqlite_one_call import OneCallModule
from dicom_graph.store.sql.connections import (
    SILENT_MILLISECONDS,
    began_writing,
    limit_waiting,
    tune_sqlite_connection,
)
from dicom_graph.store.sql.driver_errors import refuse_condition
from dicom_graph.store.sql.large_statements import WrittenStatements, bound_statements
from dicom_graph.store.sql.lock_holder import lock_holder
from dicom_graph.store.sql.pings import ping_doubtful
from dicom_graph.store.sql.same_file import SameFile
from dicom_graph.store.sql.types import read_json
from dicom_graph.store.storable import refuse_unstorable
from dicom_graph.store.views.narrowing import narrow_statement

log = logging.getLogger(__name__)
CONNECT_SECONDS = 5
_POSTGRES_LINK = {
    "connect_timeout": CONNECT_SECONDS,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 20_000,
}
"""Half a minute, and who is gone without a word is noticed; the URL may say otherwise."""


def postgres_writer(url: URL) -> Engine:
    """An engine for writing to PostgreSQL."""
    engine = create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=_link(url),
    )
    event.listen(engine, "begin", _limit_waiting)
    _watch_statements(engine)
    return engine


def sqlite_writer(url: URL, file: SameFile) -> Engine:
    """An engine for writing to SQLite: a transaction takes the write lock at its start."""
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        connect_args={"timeout": 60},
        hide_parameters=True,
    )
    event.listen(engine, "connect", tune_sqlite_connection)
    _watch_file(engine, file)
    event.listen(engine, "begin", _begin_immediate)
    _watch_statements(engine)
    return engine


def sqlite_engine_without_pool(url: URL, file: SameFile) -> Engine:
    """An engine of which each connection is new, and remembers no page of SQLite's file."""
    engine = create_engine(
        url.set(drivername="sqlite+pysqlite"),
        poolclass=NullPool,
        connect_args={"timeout": CONNECT_SECONDS},
        hide_parameters=True,
    )
    event.listen(engine, "connect", tune_sqlite_connection)
    _watch_file(engine, file)
    return engine


def postgres_reader(url: URL, pool_size: int) -> AsyncEngine:
    """An engine for questions to PostgreSQL."""
    engine = create_async_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        connect_args=_link(url),
        json_deserializer=read_json,
        execution_options={"compiled_cache": WrittenStatements()},
    )
    _listen_to_reader(engine)
    event.listen(engine.sync_engine, "checkout", ping_doubtful)
    return engine


def sqlite_reader(
    url: URL, file: SameFile, pool_size: int, tune: Callable[[Any, Any], None]
) -> AsyncEngine:
    """An engine for questions to SQLite; `tune` is called with each new connection."""
    engine = create_async_engine(
        url.set(drivername="sqlite+aiosqlite"),
        module=OneCallModule(),
        # Readers begin no transaction, so there is none to end.
        pool_reset_on_return=None,
        isolation_level="AUTOCOMMIT",
        skip_autocommit_rollback=True,
        pool_size=pool_size,
        max_overflow=0,
        connect_args={"timeout": CONNECT_SECONDS},
        hide_parameters=True,
        json_deserializer=read_json,
        execution_options={"compiled_cache": WrittenStatements()},
    )
    event.listen(engine.sync_engine, "connect", tune)
    _watch_file(engine.sync_engine, file)
    _listen_to_reader(engine)
    return engine


def _link(url: URL) -> dict[str, int]:
    return {k: v for k, v in _POSTGRES_LINK.items() if k not in url.query}


def _watch_file(engine: Engine, file: SameFile) -> None:
    event.listen(engine, "do_connect", file.before_connect)
    event.listen(engine, "connect", file.on_connect)
    event.listen(engine, "checkout", file.on_checkout)


def _listen_to_reader(engine: AsyncEngine) -> None:
    bound_statements(engine.sync_engine)
    event.listen(engine.sync_engine, "handle_error", refuse_condition)
    _watch_statements(engine.sync_engine)


def _watch_statements(engine: Engine) -> None:
    event.listen(engine, "before_execute", narrow_statement, retval=True)
    event.listen(engine, "before_cursor_execute", refuse_unstorable)


def _limit_waiting(connection: Connection) -> None:
    """Within a request by its time, which the thread that writes for it inherits."""
    moment = DEADLINE.get()
    limit_waiting(
        connection, None if moment is None else max(1, int(1000 * (moment - time.monotonic())))
    )


def _begin_immediate(connection: Connection) -> None:
    reading = connection.get_execution_options().get("reading", False)
    if reading:
        connection.exec_driver_sql("BEGIN")
        return
    if DEADLINE.get() is None:
        limit_waiting(connection, SILENT_MILLISECONDS)
        if began_writing(connection):
            return
        path = str(connection.engine.url.database)
        log.warning("waiting for %s, which writes to %s", lock_holder(path), path)
    _limit_waiting(connection)
    connection.exec_driver_sql("BEGIN IMMEDIATE")
