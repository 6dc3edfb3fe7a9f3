"""Clients take turns, so that none of them waits for a crowd that is another's."""

from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """What waits, in one line for each client (`holder`)."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[T, None]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, holder: str, thing: T) -> None:
        """It waits behind what waits for the same client."""
        self._lines.setdefault(holder, {})[thing] = None
        self._count += 1

    def next(self) -> T:
        """Take the first of the client whose turn it is; there must be one."""
        holder, line = next(iter(self._lines.items()))
        thing = next(iter(line))
        self.remove(holder, thing)
        if line:
            self._lines[holder] = self._lines.pop(holder)
        return thing

    def first_of_most(self) -> T:
        """Take what waits longest of the client that has most; there must be one."""
        holder = max(self._lines, key=lambda each: len(self._lines[each]))
        thing = next(iter(self._lines[holder]))
        self.remove(holder, thing)
        return thing

    def remove(self, holder: str, thing: T) -> None:
        """It waits no more. Raises KeyError where it does not."""
        line = self._lines[holder]
        del line[thing]
        if not line:
            del self._lines[holder]
        self._count -= 1
