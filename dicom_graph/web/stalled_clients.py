"""Clients that do not take the bytes that wait for them."""

import asyncio
from asyncio import TimerHandle

_BYTES_PER_SECOND = 1024


class StallTimeout:
    """Cuts a connection off whose client takes less than a kilobyte a second of what waits for it.

    That is looked at every `seconds`, while the server holds back what comes next.
    """

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport = transport
        self._seconds = seconds
        self._waiting = 0
        self._timer: TimerHandle | None = None

    def begin(self) -> None:
        """More waits for the client than should."""
        self._waiting = self._transport.get_write_buffer_size()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def end(self) -> None:
        """Little waits for the client, or it is gone."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Close the connection, also where the client never takes the rest."""
        self._transport.close()
        asyncio.get_running_loop().call_later(self._seconds, self._transport.abort)

    def _look(self) -> None:
        taken = self._waiting - self._transport.get_write_buffer_size()
        if taken < self._seconds * _BYTES_PER_SECOND:
            self._transport.abort()
        else:
            self.begin()


class StallDetection(asyncio.Protocol):
    """What a protocol does about a client that does not take what waits for it."""

    stall_seconds = 60.0
    _stall: StallTimeout

    def pause_writing(self) -> None:
        """The client reads more slowly than the server writes."""
        super().pause_writing()
        self._stall.begin()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._stall.end()
        super().resume_writing()
