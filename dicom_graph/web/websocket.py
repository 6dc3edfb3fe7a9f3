"""WebSockets (RFC 6455) as uvicorn speaks them, without endless patience or memory for clients.

The class attributes are set by `web.server` from the settings.
"""

import asyncio
import logging
from typing import Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import MAX_LINE_LENGTH, MAX_NUM_HEADERS

from dicom_graph.web.connections import CONNECTION, Connection, Connections
from dicom_graph.web.incoming_memory import IncomingMemory
from dicom_graph.web.stalled_clients import StallDetection, StallTimeout

MAX_FIELDS, MAX_LINE = MAX_NUM_HEADERS, MAX_LINE_LENGTH
_PIECE = 4096
_MAX_WAITING = 8
_MAX_UNHEARD = 65_536
_STRANGERS_BYTES = 16_384
_TRY_AGAIN_LATER = 1013


class LimitedWebSocketProtocol(StallDetection, WebSocketsSansIOProtocol):
    """Cuts a connection off whose client does not take what it follows.

    Messages are read as the application takes them. Before it is known who a client is, its
    messages may be small only.
    """

    incoming = IncomingMemory(128 << 20)
    register = Connections(4096)
    _connection: Connection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The HTTP protocol hands the connection over."""
        self._stall = StallTimeout(cast(asyncio.Transport, transport), self.stall_seconds)
        self._share = self.incoming.share()
        self._held = bytearray()
        self._begun = 0
        self._queued = 0
        self._unheard = 0
        super().connection_made(transport)

    def adopt(self, connection: Connection) -> None:
        """It is this connection."""
        self._connection = connection
        if hasattr(self, "scope"):
            cast(dict[str, Any], self.scope)[CONNECTION] = connection

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stall.end()
        self._held.clear()
        self._share.hold(0)
        if self._connection is not None:
            self.register.remove(self._connection)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Keep it until it is looked at."""
        self._held += data
        self._look()

    async def run_asgi(self) -> None:
        """Answer, unless the client is gone already."""
        if not self.disconnected:
            await super().run_asgi()

    async def receive(self) -> Any:
        """The next message."""
        message = await self.queue.get()
        self._queued -= _size(message)
        self._look()
        return message

    async def send(self, message: Any) -> None:
        """Send a message, and wait until the client has taken nearly all of it."""
        await super().send(message)
        if message["type"] == "websocket.send":
            await self.writable.wait()

    def resume_writing(self) -> None:
        """The client has caught up."""
        super().resume_writing()
        self._unheard = 0
        self._look()

    def handle_text(self, event: Frame) -> None:
        """A message, or its first part."""
        super().handle_text(event)
        self._gather()

    def handle_bytes(self, event: Frame) -> None:
        """A message, or its first part."""
        super().handle_bytes(event)
        self._gather()

    def handle_cont(self, event: Frame) -> None:
        """A further part of a message, which may be very small."""
        cast(bytearray, self.frames[0]).extend(event.data)
        if event.fin:
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        """A message is whole."""
        self._begun = 0
        self._queued += sum(map(len, self.frames))
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """What came is no WebSocket; or not even the beginning of one."""
        if self.conn.close_sent is None:
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            self.handshake_complete = self.close_sent = True
            self.transport.close()
        else:
            super().handle_parser_exception()

    def keepalive_timeout(self) -> None:
        """The client does not answer."""
        super().keepalive_timeout()
        self._stall.close()

    def _look(self) -> None:
        """Look at what came, as long as little waits for the application or for the client."""
        while self._held and self.queue.qsize() < _MAX_WAITING and self._unheard < _MAX_UNHEARD:
            piece = bytes(self._held[:_PIECE])
            del self._held[:_PIECE]
            if not self.writable.is_set():
                # Pings are answered whether or not the client reads the answers.
                self._unheard += len(piece)
            self._begun += len(piece)
            self.conn.max_message_size = self._most
            super().data_received(piece)
            if self.transport.is_closing():
                self._held.clear()
                return
        if not self._share.hold(len(self._held) + self._begun + self._queued):
            self._overloaded()
        self._read(not self._held and self.queue.empty())

    @property
    def _most(self) -> int:
        """The size of the largest message that is taken now."""
        most = self.config.ws_max_size
        is_known = self._connection is None or self._connection.is_user
        return most if is_known else min(most, _STRANGERS_BYTES)

    def _read(self, wanted: bool) -> None:
        if self.transport.is_closing() or wanted is not self.read_paused:
            return
        self.read_paused = not wanted
        if wanted:
            self.transport.resume_reading()
        else:
            self.transport.pause_reading()

    def _gather(self) -> None:
        """Parts of a message are put together as they come: each by itself takes more memory."""
        if self.frames:
            self.frames = [bytearray(self.frames[0])]  # type: ignore[list-item]

    def _overloaded(self) -> None:
        logging.getLogger(__name__).warning("a WebSocket was closed: too much comes in")
        self._held.clear()
        self.shutdown_with(_TRY_AGAIN_LATER)

    def shutdown_with(self, code: int) -> None:
        """Close the WebSocket from this side, at once."""
        self.stop_keepalive()
        if self.handshake_complete and not self.close_sent:
            self.queue.put_nowait({"type": "websocket.disconnect", "code": code})
            self.conn.send_close(code)
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
        self._stall.close()


def _size(message: Any) -> int:
    return len(message.get("text") or message.get("bytes") or "")
