"""Until when the statements of a request, and what it has decoded, may run."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from dicom_graph.store.sql.connections import UNABLE_TO_INTERRUPT, interrupt

DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)
"""A time of the event loop's clock; None for no end. What a request starts inherits it."""
_AGAIN_AFTER = 0.5


@contextmanager
def interrupted_at(driver_connection: Any, moment: float | None) -> Iterator["Alarm"]:
    """From a moment on, the statements of a driver's connection end with TimeoutError.

    A connection whose alarm has rung is for nobody else: the interruption may arrive late.
    """
    alarm = Alarm(driver_connection)
    if moment is not None:
        alarm.set(moment)
    try:
        yield alarm
    finally:
        alarm.stop()


class Alarm:
    """Rings until it is stopped: a statement may have begun just after it rang."""

    def __init__(self, driver_connection: Any) -> None:
        self._driver = driver_connection
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._ringing: asyncio.Task[None] | None = None

    @property
    def has_rung(self) -> bool:
        """Whether the connection was interrupted, or is about to be."""
        return self._ringing is not None

    def set(self, moment: float) -> None:
        """Ring at a time of the event loop's clock."""
        self._handle = self._loop.call_at(moment, self._ring)

    def stop(self) -> None:
        """Ring no more."""
        if self._handle is not None:
            self._handle.cancel()

    def _ring(self) -> None:
        self._ringing = self._loop.create_task(self._interrupt())
        self.set(self._loop.time() + _AGAIN_AFTER)

    async def _interrupt(self) -> None:
        # The connection may be closed meanwhile; where it is not, the alarm rings again.
        with suppress(*UNABLE_TO_INTERRUPT):
            await interrupt(self._driver)
