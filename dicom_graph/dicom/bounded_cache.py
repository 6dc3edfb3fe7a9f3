"""A cache of bounded size."""

from collections.abc import Iterable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class BoundedCache(Generic[Key, Value]):
    """A bounded mapping in two generations: what a whole generation did not use is dropped."""

    def __init__(self, generation_size: int) -> None:
        self._size = generation_size
        self._young: dict[Key, Value] = {}
        self._old: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        value = self._young.get(key)
        if value is None:
            value = self._old.get(key)
            if value is not None:
                self[key] = value
        return value

    def __setitem__(self, key: Key, value: Value) -> None:
        if len(self._young) >= self._size:
            self._old, self._young = self._young, {}
        self._young[key] = value

    def update(self, items: Iterable[tuple[Key, Value]]) -> None:
        for key, value in items:
            self[key] = value

    def clear(self) -> None:
        self._young, self._old = {}, {}
