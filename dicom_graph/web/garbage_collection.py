"""Searches for garbage in the process of a server, at moments in which nobody waits for it.

Python looks through all objects whenever there are a quarter more than the last time, which holds
the event loop for 0.1 s for each 100,000 of them. The schema alone has 200,000. What is there in a
quiet moment is left out of all later searches (`gc.freeze`), and looked through again in another.

Where many large answers are in the making there is no such moment, and Python would look through
all of them every second, for half of it. A server does that itself, a sixth of its time at most.
Young objects, which most garbage is made of, are looked at by Python as ever.
"""

import gc
import time
from collections.abc import Callable

_THOROUGH_SECONDS = 600.0
_SHARE = 1 / 5
_MIDDLE_SEARCHES = 10
"""Searches of the middle generation after which Python would look through all objects."""
_NEVER = 1 << 30


class Garbage:
    """What lives long in this process."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        work: Callable[[], float] = time.thread_time,
    ) -> None:
        """`work`: processor time. On a busy machine a search lasts many times what it takes of
        that; a pause by how long it lasted would let garbage grow, and the next search with it.
        """
        self._clock, self._work = clock, work
        self._next_thorough = self._next_search = clock()

    def take_over(self) -> None:
        """Python itself looks through young objects only from now on."""
        young, middle, _ = gc.get_threshold()
        gc.set_threshold(young, middle, _NEVER)

    def search(self) -> None:
        """Look through all objects where that is due, as often as the time that it takes allows."""
        if gc.get_count()[2] < _MIDDLE_SEARCHES or self._clock() < self._next_search:
            return
        began = self._work()
        gc.collect()
        self._next_search = self._clock() + (self._work() - began) / _SHARE

    def settle(self) -> None:
        """Leave out what is there now; nothing is done where little is new since the last time."""
        if not any(gc.get_count()[1:]):
            return
        if self._clock() >= self._next_thorough:
            self._next_thorough = self._clock() + _THOROUGH_SECONDS
            gc.unfreeze()
        gc.collect()
        gc.freeze()
