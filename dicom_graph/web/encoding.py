"""JSON of large answers, written in turns of the event loop."""

import json
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Any

from dicom_graph.store.turns import turns

LARGE = 262_144
"""Bytes; less is written at once, in a few milliseconds."""
_AT_ONCE = 2000
"""Values that are written at once."""
_CHARACTERS_IN_ONE = 64


def dumps(value: object) -> str:
    """The JSON of a value that is not large, in ASCII."""
    return json.dumps(value, separators=(",", ":"))


async def written(value: object) -> AsyncGenerator[bytes, None]:
    """The JSON of a value, the same as `dumps` gives it, in parts."""
    ours = turns()
    for part in _parts(value):
        yield part.encode("ascii")
        if ours.is_over():
            await ours.next_turn()


def is_large(value: object) -> bool:
    """Whether a value is to be written in parts."""
    return _count(value) > _AT_ONCE


def _parts(value: object) -> Iterator[str]:
    if not isinstance(value, dict | list) or not is_large(value):
        yield dumps(value)
    elif isinstance(value, dict):
        comma = "{"
        for name, each in value.items():
            yield f"{comma}{dumps(name)}:"
            yield from _parts(each)
            comma = ","
        yield "}"
    else:
        comma = "["
        for some in _together(value):
            yield comma
            yield from _parts(some[0]) if len(some) == 1 else [dumps(some)[1:-1]]
            comma = ","
        yield "]"


def _together(items: Iterable[Any]) -> Iterator[list[Any]]:
    """The items of a list: small ones in lists, large ones alone."""
    some: list[Any] = []
    count = 0
    for item in items:
        size = _count(item)
        if some and count + size > _AT_ONCE:
            yield some
            some, count = [], 0
        some.append(item)
        count += size
    if some:
        yield some


def _count(value: object) -> int:
    """How many values there are in a value, or some number above `_AT_ONCE`."""
    count, waiting = 0, [value]
    while waiting and count <= _AT_ONCE:
        each = waiting.pop()
        count += 1
        if isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, str):
            count += len(each) // _CHARACTERS_IN_ONE
    return count
