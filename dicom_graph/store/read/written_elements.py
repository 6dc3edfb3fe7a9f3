"""The JSON of elements in answers, kept as long as it takes little memory."""

from typing import Any

_BESIDE = 800
"""Bytes of memory that one takes beside its text, about."""
_MAX_SELECTIONS = 200


class WrittenElements:
    """By selection, and by the id of the element; all is forgotten where it becomes too much."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._n_bytes = 0
        self._known: dict[tuple[Any, ...], dict[int, Any]] = {}

    def of(self, selection: tuple[Any, ...]) -> dict[int, Any]:
        """What elements were written to under a selection, by id."""
        if selection not in self._known and len(self._known) >= _MAX_SELECTIONS:
            self._forget()
        return self._known.setdefault(selection, {})

    def add(self, n_bytes: int) -> None:
        """Count the bytes of one that was added."""
        self._n_bytes += 2 * n_bytes + _BESIDE

    def trim(self) -> None:
        """Forget all where it is too much."""
        if self._n_bytes > self._max_bytes:
            self._forget()

    def _forget(self) -> None:
        self._known.clear()
        self._n_bytes = 0
