"""When requests begin to run: those of strangers a few in each round of the event loop.

A crowd sends thousands at once. Without this they would all begin in one round, and users who come
after them, `/healthz` and users as well, would wait until each has begun.
"""

import asyncio
from collections.abc import Callable

from dicom_graph.web.fair_queue import FairQueue

_IN_ONE_ROUND = 8


class StartQueue:
    """Requests that wait to begin; the clients that they are from take turns."""

    def __init__(self) -> None:
        self._waiting: FairQueue[tuple[Callable[[], None], Callable[[], bool]]] = FairQueue()
        self._begun = 0

    def add(self, holder: str, begin: Callable[[], None], is_gone: Callable[[], bool]) -> None:
        """Call `begin` now, or in a later round unless `is_gone` says then that it is in vain.

        `holder`: the client.
        """
        if self._begun < _IN_ONE_ROUND and not self._waiting:
            self._begin(begin)
        else:
            self._waiting.add(holder, (begin, is_gone))

    def _begin(self, begin: Callable[[], None]) -> None:
        if not self._begun:
            asyncio.get_running_loop().call_soon(self._go_on)
        self._begun += 1
        begin()

    def _go_on(self) -> None:
        """A round is over."""
        self._begun = 0
        while self._waiting and self._begun < _IN_ONE_ROUND:
            begin, is_gone = self._waiting.next()
            if not is_gone():
                self._begin(begin)
