"""Large conditions are made into statements in a thread, not on the event loop."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.store.read.conditions import Condition, weight
from dicom_graph.store.sql.large_statements import made_apart

_LARGE = 5
"""Each takes about a millisecond."""


async def made(
    connection: AsyncConnection, wanted: Condition | None, make: Callable[[], Select[Any]]
) -> Select[Any]:
    """The statement of a condition, for a connection; `make` uses nothing that others change."""
    return make() if weight(wanted) <= _LARGE else await made_apart(connection, make)
