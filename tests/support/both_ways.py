"""Answers of graphql-core's own executor and of ours, compared."""

import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.execution.executor import MemoizingExecutor, PlainExecutor
from dicom_graph.graph.schema import schema

COMPARED = bool(os.environ.get("DICOM_GRAPH_TEST_BOTH_WAYS"))
"""Whether every query that a test executes is executed both ways."""
_BY_CHANCE = {
    ErrorCode.TIMEOUT, ErrorCode.TOO_SLOW, ErrorCode.OVERLOADED, ErrorCode.DECODER_CRASHED,
}  # fmt: skip
_AT_RANDOM = ("internal error",)


async def by(executor: type, execute: Callable[[], Awaitable[Any]]) -> Any:
    """The result with one executor."""
    kept = schema.execution_context_class
    schema.execution_context_class = executor  # type: ignore[assignment]
    try:
        return await execute()
    finally:
        schema.execution_context_class = kept


def is_undecided(*results: Any) -> bool:
    """Whether the machine had a say: what is slow, or takes much, ends where it happens to be."""
    errors = [error for result in results for error in result.errors or ()]
    return any((error.extensions or {}).get("code") in _BY_CHANCE for error in errors)


def difference(expected: Any, found: Any) -> str | None:
    """What two results differ in; None where they are the same."""
    values = [json.loads(json.dumps(result.data, default=str)) for result in (expected, found)]
    if values[0] != values[1]:
        return f"data: {json.dumps(values[0])[:1500]}\n  not {json.dumps(values[1])[:1500]}"
    errors = [nulled(result.data, result.errors or ()) for result in (expected, found)]
    return None if errors[0] == errors[1] else f"errors: {errors[0]}\n  not {errors[1]}"


def nulled(data: Any, errors: Any) -> set[tuple[str, str | None]]:
    """Which places are null by an error, and by which where the field there has failed itself.

    Of several fields below, any may be the one that fails first (GraphQL 6.4.4).
    """
    found = set()
    for error in errors:
        value, place, path = data, [], error.path or []
        for step in path:
            if value is None:
                break
            value = value[step]
            place.append(step)
        message = error.message
        if any(message.startswith(each) for each in _AT_RANDOM):
            message = ""  # It has an id of its own each time.
        found.add((repr(place), message if place == list(path) else None))
    return found


async def checked(query: str, execute: Callable[[], Awaitable[Any]]) -> None:
    """Raises AssertionError where the two differ in a query, or any other document without a
    mutation.
    """
    if "mutation" in query or "subscription" in query:
        return
    expected = await by(PlainExecutor, execute)
    found = await by(MemoizingExecutor, execute)
    wrong = difference(expected, found)
    assert wrong is None or is_undecided(expected, found), f"{query}\n{wrong}"
