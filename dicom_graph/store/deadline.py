"""Until when the statements of a request, and what it has decoded, may run."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dicom_graph.store.sql.connections import interrupt

DEADLINE: ContextVar[float | None] = ContextVar("deadline", default=None)
"""A time of the event loop's clock; None for no end. What a request starts inherits it."""
_AGAIN_AFTER = 0.5


@contextmanager
def interrupted_at(driver_connection: Any, moment: float | None) -> Iterator[None]:
    """From a moment on, the statements of a driver's connection end with TimeoutError."""
    if moment is None:
        yield
        return
    alarm = _Alarm(driver_connection)
    alarm.set(moment)
    try:
        yield
    finally:
        alarm.stop()


class _Alarm:
    """Rings until it is stopped: a statement may have begun just after it rang."""

    def __init__(self, driver_connection: Any) -> None:
        self._driver = driver_connection
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None
        self._ringing: asyncio.Task[None] | None = None

    def set(self, moment: float) -> None:
        self._handle = self._loop.call_at(moment, self._ring)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _ring(self) -> None:
        self._ringing = self._loop.create_task(interrupt(self._driver))
        self.set(self._loop.time() + _AGAIN_AFTER)
