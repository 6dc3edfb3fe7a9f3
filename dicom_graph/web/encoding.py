"""JSON of large answers, written in turns of the event loop."""

from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Any

from dicom_graph.json_text import JsonList, dumps
from dicom_graph.store.event_loop_turns import turns

LARGE = 262_144
"""Bytes; more is sent piece by piece, as its client takes it."""
_AT_ONCE = 20_000
"""Values that are written at once."""
_BYTES_IN_ONE = 64


async def written(value: object) -> AsyncGenerator[bytes, None]:
    """The JSON of a value, the same as `dumps` returns, in parts."""
    ours = turns()
    for part in _parts(value):
        yield part
        if ours.is_over():
            await ours.next_turn()


def is_large(value: object) -> bool:
    """Whether a value is to be written in parts."""
    return _count(value) > _AT_ONCE


def _parts(value: object) -> Iterator[bytes]:
    if type(value) is JsonList or not isinstance(value, dict | list) or not is_large(value):
        yield dumps(value)
    elif isinstance(value, dict):
        comma = b"{"
        for name, each in value.items():
            yield b"%b%b:" % (comma, dumps(name))
            yield from _parts(each)
            comma = b","
        yield b"}"
    else:
        comma = b"["
        for some in _together(value):
            yield comma
            yield from _parts(some[0]) if len(some) == 1 else [dumps(some)[1:-1]]
            comma = b","
        yield b"]"


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
        if type(each) is JsonList:
            count += each.n_bytes // _BYTES_IN_ONE
        elif isinstance(each, dict):
            waiting.extend(each.values())
        elif isinstance(each, list):
            waiting.extend(each)
        elif isinstance(each, str):
            count += len(each) // _BYTES_IN_ONE
    return count
