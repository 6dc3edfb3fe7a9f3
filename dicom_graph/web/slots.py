"""Places that clients take: which client may have one more, and which must give up its own."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

_Line = dict[str, dict["Slot", float]]


class Slot:
    """A place in a pool. `holder`: the client that has it; `give_up` ends what the place is for."""

    __slots__ = ("_give_up", "holder", "pool", "rank", "waits_since")

    def __init__(self, holder: str, give_up: Callable[[], None]) -> None:
        self.holder = holder
        self.rank = 0
        self.pool: Pool | None = None
        self.waits_since: float | None = None
        self._give_up = give_up

    def leave(self) -> None:
        """Give the place back; it may be taken again, also in another pool."""
        if self.pool is not None:
            self.pool.remove(self)

    def wait(self, rank: int = 0) -> None:
        """From now on it may be ended for a newcomer: nothing happens here until the client does
        something.
        """
        if self.pool is not None and self.waits_since is None:
            self.rank = rank
            self.pool.enqueue(self)

    def work(self) -> None:
        """The client did what was waited for."""
        if self.pool is not None and self.waits_since is not None:
            self.pool.dequeue(self)

    def evict(self) -> None:
        """Leave for somebody else."""
        self.leave()
        self._give_up()


class EvictionStep(NamedTuple):
    """Whom to look at: places of some ranks, the rank with most of them first, that have waited for
    so many seconds.
    """

    ranks: tuple[int, ...]
    seconds: float


class Pool:
    """So many places. Where all are taken, the place that waits longest for its client is given up.

    It is one of the holder of most places among those who have more than the newcomer, or one of
    the newcomer's own. `steps`: in which order places are looked at. `is_shared`: the last quarter
    of the places is for holders of less than a quarter. `name`: what limits them, for a person.
    """

    def __init__(
        self,
        limit: int,
        name: str = "",
        steps: Sequence[EvictionStep] = (EvictionStep((0,), 0.0),),
        *,
        is_shared: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self.name = name
        self._steps = steps
        self._is_shared = is_shared
        self._clock = clock
        self._held: Counter[str] = Counter()
        self._count = 0
        ranks = sorted({rank for step in steps for rank in step.ranks})
        self._lines: dict[int, _Line] = {rank: {} for rank in ranks}
        self._lengths = dict.fromkeys(ranks, 0)

    def __len__(self) -> int:
        return self._count

    def take(self, place: Slot) -> bool:
        """Whether there is a place, or one could be made."""
        if not self._has_room(place.holder) and not self.make_room(place.holder):
            return False
        self._held[place.holder] += 1
        self._count += 1
        place.pool = self
        return True

    def make_room(self, holder: str) -> bool:
        """End what waits for its client, for a newcomer; False where nothing may be ended."""
        for step in self._steps:
            for rank in sorted(step.ranks, key=self._lengths.__getitem__, reverse=True):
                found = self._longest(self._lines[rank], holder, self._clock() - step.seconds)
                if found is not None:
                    found.evict()
                    return True
        return False

    def _longest(self, line: _Line, holder: str, before: float) -> Slot | None:
        own = self._held[holder]
        ripe = [
            (self._held[other], -since, place)
            for other, places in line.items()
            for place, since in [next(iter(places.items()))]
            if since <= before and (other == holder or self._held[other] > own)
        ]
        return max(ripe, key=lambda found: found[:2])[2] if ripe else None

    def remove(self, place: Slot) -> None:
        """A place is free again."""
        self.dequeue(place)
        place.pool = None
        self._count -= 1
        self._held[place.holder] -= 1
        if not self._held[place.holder]:
            del self._held[place.holder]

    def enqueue(self, place: Slot) -> None:
        """A place waits for its client."""
        place.waits_since = self._clock()
        line = self._lines[place.rank]
        line.setdefault(place.holder, {})[place] = place.waits_since
        self._lengths[place.rank] += 1

    def dequeue(self, place: Slot) -> None:
        """A place waits no more."""
        if place.waits_since is None:
            return
        place.waits_since = None
        line = self._lines[place.rank]
        del line[place.holder][place]
        self._lengths[place.rank] -= 1
        if not line[place.holder]:
            del line[place.holder]

    def _has_room(self, holder: str) -> bool:
        if not self._is_shared or self._held[holder] < max(1, self.limit // 4):
            return self._count < self.limit
        return self._count < self.limit - self.limit // 4
