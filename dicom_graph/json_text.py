"""JSON of answers, by orjson; what its types do not hold is written by the standard library."""

import json
from typing import Any

import orjson

_OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATETIME

_KINDS: tuple[type[Any], ...] = (int, float, dict, list)


class JsonList(list[Any]):
    """A list that knows the JSON of its items already, and the `n_bytes` of its own, about."""

    __slots__ = ("_parts", "n_bytes")

    def __init__(self, items: list[Any], parts: list[bytes], size: int) -> None:
        """`size`: the bytes of all parts."""
        super().__init__(items)
        self._parts = parts
        self.n_bytes = 2 + size + len(parts)

    def json(self) -> bytes:
        """Its JSON."""
        return b"[%b]" % b",".join(self._parts)


def dumps(value: object) -> bytes:
    """The JSON of a value, in UTF-8.

    An integer beyond 64 bits is written with all its digits, half of a surrogate pair as an escape,
    a number that is none as null.
    """
    try:
        return orjson.dumps(value, default=_plain, option=_OPTIONS)
    except TypeError:  # orjson's own error is one.
        return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False).encode()


def _plain(value: Any) -> Any:
    if type(value) is JsonList:
        return orjson.Fragment(value.json())
    if isinstance(value, str):
        return str.__str__(value)
    for kind in _KINDS:
        if isinstance(value, kind):
            return kind(value)
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _finite(value: Any) -> Any:
    """The same with null for numbers that are none."""
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return list(map(_finite, value))
    return value
