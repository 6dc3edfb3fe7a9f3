"""HTTP and WebSocket as uvicorn speaks them, without endless patience for clients.

The class attributes are set by `web.server` from the settings.
"""

import asyncio
from asyncio import TimerHandle
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

_BYTES_PER_SECOND = 1024


class _Stall:
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


class _Watching(asyncio.Protocol):
    """What both protocols do about a client that does not take what waits for it."""

    stall_seconds = 60.0
    _stall: _Stall

    def pause_writing(self) -> None:
        """The client reads more slowly than the server writes."""
        super().pause_writing()
        self._stall.begin()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._stall.end()
        super().resume_writing()


class PatientHttp(_Watching, HttpToolsProtocol):
    """Closes a connection that does not send the head of a request within `head_seconds`, and one
    whose client does not take the answer.
    """

    head_seconds = 20.0
    _head: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The client has to ask for something."""
        super().connection_made(transport)
        self._stall = _Stall(transport, self.stall_seconds)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_timers()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        """A further request on the connection."""
        super().on_message_begin()
        if self._head is None:
            self._await_head()

    def on_headers_complete(self) -> None:
        """The head is whole; for the body see `web.pace`."""
        self._stop_head()
        super().on_headers_complete()

    def handle_websocket_upgrade(self) -> None:
        """From here on another protocol has the connection."""
        self._stop_timers()
        super().handle_websocket_upgrade()

    def timeout_keep_alive_handler(self) -> None:
        """There is no further request."""
        if not self.transport.is_closing():
            self._stall.close()

    def _await_head(self) -> None:
        self._head = self.loop.call_later(self.head_seconds, self._stall.close)

    def _stop_head(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _stop_timers(self) -> None:
        self._stop_head()
        self._stall.end()


class PatientWebSocket(_Watching, WebSocketsSansIOProtocol):
    """Cuts a connection off whose client does not take what it follows."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The HTTP protocol hands the connection over."""
        self._stall = _Stall(cast(asyncio.Transport, transport), self.stall_seconds)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stall.end()
        super().connection_lost(exc)

    def keepalive_timeout(self) -> None:
        """The client does not answer."""
        super().keepalive_timeout()
        self._stall.close()
