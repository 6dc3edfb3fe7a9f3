"""Turns of the event loop: long work is done in slices, and other requests come in between.

Whoever has much to do asks `is_over` from time to time, and then waits for `next_turn`. All that
want to go on share one slice of each round of the loop, so that it is never held for much longer,
however many they are.
"""

import asyncio
from collections import deque
from time import perf_counter
from weakref import WeakKeyDictionary

_SECONDS = 0.02


class EventLoopTurns:
    """The turns of one event loop."""

    def __init__(self) -> None:
        self._began = 0.0
        self._is_running = False
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._wakes = False

    def is_over(self) -> bool:
        """Whether this round of the loop has taken long enough."""
        if self._is_running:
            return perf_counter() - self._began > _SECONDS
        self._is_running = True
        self._began = perf_counter()
        asyncio.get_running_loop().call_soon(self._end)
        return False

    async def next_turn(self) -> None:
        """Go on in a later round, after those that have waited longer."""
        future = asyncio.get_running_loop().create_future()
        self._waiting.append(future)
        self._wake_soon()
        await future

    def _end(self) -> None:
        self._is_running = False

    def _wake_soon(self) -> None:
        if not self._wakes:
            self._wakes = True
            asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        # One in each round: what they do before they ask `is_over` again would add up.
        self._wakes = False
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                break
        if self._waiting:
            self._wake_soon()


_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, EventLoopTurns] = WeakKeyDictionary()


def turns() -> EventLoopTurns:
    """Those of the loop that runs."""
    loop = asyncio.get_running_loop()
    found = _TURNS.get(loop)
    if found is None:
        found = _TURNS[loop] = EventLoopTurns()
    return found
