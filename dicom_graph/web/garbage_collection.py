"""Searches for garbage in the process of a server, at moments in which nobody waits for it.

Python looks through all objects whenever there are a quarter more than the last time, which holds
the event loop for 0.1 s for each 100,000 of them. The schema alone has 200,000. What is there in a
quiet moment is left out of all later searches (`gc.freeze`), and looked through again in another.
"""

import gc
import time
from collections.abc import Callable

_THOROUGH_SECONDS = 600.0


class Garbage:
    """What lives long in this process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next_thorough = clock()

    def settle(self) -> None:
        """Leave out what is there now; nothing is done where little is new since the last time."""
        if not any(gc.get_count()[1:]):
            return
        if self._clock() >= self._next_thorough:
            self._next_thorough = self._clock() + _THOROUGH_SECONDS
            gc.unfreeze()
        gc.collect()
        gc.freeze()
