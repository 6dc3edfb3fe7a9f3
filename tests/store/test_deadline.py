"""When the time of a request is up: what becomes of the connection that it had."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.store.deadline import DEADLINE
from dicom_graph.store.engine import Database


@contextmanager
def time_is_up_in(seconds: float) -> Iterator[None]:
    moment = DEADLINE.set(asyncio.get_running_loop().time() + seconds)
    try:
        yield
    finally:
        DEADLINE.reset(moment)


def driver_of(connection: AsyncConnection) -> Any:
    assert connection.sync_connection is not None
    return connection.sync_connection.connection.driver_connection


async def test_an_interrupted_connection_is_for_nobody_else(database: Database) -> None:
    with time_is_up_in(0.3):
        async with database.read() as connection:
            first = driver_of(connection)
            await connection.execute(text("SELECT 1"))
            await asyncio.sleep(0.4)  # The interruption meets no statement.
    async with database.read() as connection:
        assert driver_of(connection) is not first


async def test_a_connection_that_is_closed_as_its_time_ends_is_no_error(
    database: Database,
) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    with time_is_up_in(0.3):
        async with database.read() as connection:
            await driver_of(connection).close()
            await asyncio.sleep(0.4)
            await connection.invalidate()
    await asyncio.sleep(0)
    gc.collect()  # Errors that nobody asked for are told as their tasks go.
    assert told == []
