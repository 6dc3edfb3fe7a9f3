"""A field of many objects as graphql-core answers it: for each object by itself."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any, cast

from graphql import GraphQLObjectType
from graphql.execution import Executor
from graphql.pyutils import Path

from dicom_graph.graph.execution.selection import Selected
from dicom_graph.store.answer_budget import AnswerBudget

_AT_ONCE = 200
"""Objects that are answered at the same time: each is a task, a path and more."""


async def answer_each(
    executor: Executor[Any],
    budget: AnswerBudget,
    type_: GraphQLObjectType,
    selected: Selected,
    objects: Sequence[Any],
    paths: Sequence[Path],
) -> list[Any]:
    """A field of each object, which has the path at its place. Raises what one of them does."""
    found: list[Any] = []
    for start in range(0, len(objects), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        found += await _some(executor, budget, type_, selected, objects[part], paths[part])
    return found


async def _some(
    executor: Executor[Any],
    budget: AnswerBudget,
    type_: GraphQLObjectType,
    selected: Selected,
    objects: Sequence[Any],
    paths: Sequence[Path],
) -> list[Any]:
    found: list[Any] = []
    awaited: dict[int, Awaitable[Any]] = {}
    try:
        with budget.busy():
            for at, (each, path) in enumerate(zip(objects, paths, strict=True)):
                here = Path(path, selected.alias, type_.name)
                value = executor.execute_field(type_, each, selected.details, here, None)
                if executor.is_awaitable(value):
                    awaited[at] = asyncio.ensure_future(value)
                found.append(value)
                if not at & 7 and budget.is_turn_over():
                    await budget.next_turn()
        for at, value in zip(awaited, await asyncio.gather(*awaited.values()), strict=True):
            found[at] = value
    except BaseException:
        for waiting in awaited.values():
            cast(asyncio.Future[Any], waiting).cancel()
        await asyncio.gather(*awaited.values(), return_exceptions=True)
        raise
    return found
