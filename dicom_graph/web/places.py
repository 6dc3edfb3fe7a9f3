"""Places that clients take: who may have one more, and who must go for that."""

import time
from collections import Counter
from collections.abc import Callable, Sequence

_Line = dict[str, dict["Place", float]]


class Place:
    """A place in a pool. `holder`: the client that has it; `rank`: which of the pool's patiences is
    its own; `give_up` ends what the place is for, and is called once at most.
    """

    __slots__ = ("_give_up", "holder", "pool", "rank", "waits_since")

    def __init__(self, holder: str, give_up: Callable[[], None], rank: int = 0) -> None:
        self.holder = holder
        self.rank = rank
        self.pool: Pool | None = None
        self.waits_since: float | None = None
        self._give_up = give_up

    def leave(self) -> None:
        """Give the place back; it may be taken again, also in another pool."""
        if self.pool is not None:
            self.pool.remove(self)

    def wait(self) -> None:
        """From now on nothing happens here until the client does something."""
        if self.pool is not None and self.waits_since is None:
            self.pool.put_in_line(self)

    def work(self) -> None:
        """The client did what was waited for."""
        if self.pool is not None and self.waits_since is not None:
            self.pool.take_from_line(self)

    def evict(self) -> None:
        """Leave for somebody else."""
        self.leave()
        self._give_up()


class Pool:
    """So many places. Where all are taken, whoever waits longest for its client gives up its own.

    It is one of the holder of most places among those who have more than the newcomer, or one of
    the newcomer's own. `patience`: the seconds that a place of each rank may wait undisturbed;
    places of a lower rank go first. `is_shared`: the last quarter of the places is for holders of
    less than a quarter. `name`: what limits them, for a person.
    """

    def __init__(
        self,
        limit: int,
        name: str = "",
        patience: Sequence[float] = (0.0,),
        *,
        is_shared: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limit = limit
        self.name = name
        self._patience = patience
        self._is_shared = is_shared
        self._clock = clock
        self._held: Counter[str] = Counter()
        self._count = 0
        self._lines: list[_Line] = [{} for _ in patience]

    def __len__(self) -> int:
        return self._count

    def take(self, place: Place) -> bool:
        """Whether there is a place, or one could be made."""
        if not self._has_room(place.holder) and not self.make_room(place.holder):
            return False
        self._held[place.holder] += 1
        self._count += 1
        place.pool = self
        return True

    def make_room(self, holder: str) -> bool:
        """End what waits for its client, for a newcomer; False where nothing may be ended."""
        now, own = self._clock(), self._held[holder]
        for line, patience in zip(self._lines, self._patience, strict=True):
            ripe = [
                (self._held[other], -since, place)
                for other, places in line.items()
                for place, since in [next(iter(places.items()))]
                if now - since >= patience and (other == holder or self._held[other] > own)
            ]
            if ripe:
                max(ripe, key=lambda found: found[:2])[2].evict()
                return True
        return False

    def remove(self, place: Place) -> None:
        """A place is free again."""
        self.take_from_line(place)
        place.pool = None
        self._count -= 1
        self._held[place.holder] -= 1
        if not self._held[place.holder]:
            del self._held[place.holder]

    def put_in_line(self, place: Place) -> None:
        """A place waits for its client."""
        place.waits_since = self._clock()
        line = self._lines[place.rank]
        line.setdefault(place.holder, {})[place] = place.waits_since

    def take_from_line(self, place: Place) -> None:
        """A place waits no more."""
        if place.waits_since is None:
            return
        place.waits_since = None
        line = self._lines[place.rank]
        del line[place.holder][place]
        if not line[place.holder]:
            del line[place.holder]

    def _has_room(self, holder: str) -> bool:
        if not self._is_shared or self._held[holder] < max(1, self.limit // 4):
            return self._count < self.limit
        return self._count < self.limit - self.limit // 4
