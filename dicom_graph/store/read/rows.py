"""Rows that are many: fetched and made into something in turns of the event loop, and counted."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import CursorResult

from dicom_graph.store.answer_budget import current_budget

T = TypeVar("T")
U = TypeVar("U")
_AT_ONCE = 200
ROW_MEMORY = 1500
"""About the bytes of memory of an entity's row and of the object that is made of it."""
SMALL_ROW = 400
"""The same of a row of few columns."""
ROWS_AT_ONCE = 10_000
"""Of one statement, about; what it reads is in memory before it is counted."""
SERIES_AT_ONCE = 50


async def in_parts(result: CursorResult[*tuple[Any, ...]]) -> AsyncIterator[Sequence[Any]]:
    """The rows of a statement, some hundred at a time. Raises ResponseLimitExceeded."""
    budget = current_budget()
    for rows in result.partitions(_AT_ONCE):
        await budget.hold_and_share(0)
        yield rows


async def all_rows(result: CursorResult[*tuple[Any, ...]], memory: int = ROW_MEMORY) -> list[Any]:
    """All rows of a statement, each of which takes so many bytes. Raises ResponseLimitExceeded."""
    budget = current_budget()
    found: list[Any] = []
    for rows in result.partitions(_AT_ONCE):
        found.extend(rows)
        await budget.hold_and_share(memory * len(rows))
    return found


async def made_in_turns(items: Iterable[T], make: Callable[[T], U]) -> list[U]:
    """What is made of each. Raises ResponseLimitExceeded."""
    budget = current_budget()
    made: list[U] = []
    for item in items:
        made.append(make(item))
        if budget.is_turn_over():
            await budget.next_turn()
    return made
