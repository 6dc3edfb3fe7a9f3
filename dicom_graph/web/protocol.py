"""HTTP as uvicorn speaks it, without endless patience or memory for clients.

The class attributes are set by `web.server` from the settings.
"""

import asyncio
import json
from asyncio import TimerHandle
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import cast

import httptools
from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from dicom_graph.error_codes import ErrorCode
from dicom_graph.web.connections import CONNECTION, Connection, Connections
from dicom_graph.web.head_limits import HeadSizeCounter, RequestRefused
from dicom_graph.web.health import ALWAYS_ANSWERED
from dicom_graph.web.incoming_memory import IncomingMemory
from dicom_graph.web.stalled_clients import StallDetection, StallTimeout
from dicom_graph.web.start_queue import StartQueue
from dicom_graph.web.websocket import MAX_FIELDS, MAX_LINE, LimitedWebSocketProtocol

_MAX_PIPELINED = 8
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 16 << 20
_CODES = {
    HTTPStatus.BAD_REQUEST: ErrorCode.BAD_REQUEST,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: ErrorCode.HEAD_TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE: ErrorCode.OVERLOADED,
}


class _TooFarAhead(Exception):
    """More requests than are taken ahead of the answers."""


class LimitedHttpProtocol(StallDetection, HttpToolsProtocol):
    """Closes a connection that does not send the head of a request within `head_seconds`, and one
    whose client does not take the answer.

    A head of more than `max_head_bytes` gets 431: first line and fields together, and whatever else
    is not the body. Of requests that are sent ahead of the answers a few are taken; then the
    connection is closed once they are answered (RFC 9112 9.3.2).
    """

    head_seconds = 20.0
    max_head_bytes = 65_536
    incoming = IncomingMemory(128 << 20)
    register = Connections(4096)
    is_known: Callable[[Scope], bool] = staticmethod(lambda scope: False)
    starting = StartQueue()
    _connection: Connection | None = None
    _timer: TimerHandle | None = None
    _refused: RequestRefused | None = None
    _is_deaf = False
    _early: bytearray | None = None
    """What came after the head of a WebSocket that has not begun yet."""
    _lingers_for = _LINGER_BYTES

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The client has to ask for something."""
        super().connection_made(transport)
        self._stall = StallTimeout(transport, self.stall_seconds)
        self._meter = HeadSizeCounter(self.max_head_bytes, self.incoming.share())
        host = self.client[0] if self.client else ""
        self._connection = self.register.add(host, transport.abort)
        if self._connection is None:
            self._is_deaf = True
            transport.abort()
        else:
            self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_timer()
        self._stall.end()
        self._meter.close()
        if self._connection is not None:
            self.register.remove(self._connection)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Look at it piece by piece, so that nothing too large gets into the parser."""
        if self._is_deaf:
            self._drop(data)
            return
        if self._early is not None:
            self._early += data
            if len(self._early) > self.max_head_bytes:
                self.transport.abort()
            return
        self._unset_keepalive_if_required()
        rest = memoryview(data)
        try:
            while rest and not self._is_deaf:
                piece, rest = rest[: self._meter.room], rest[self._meter.room :]
                try:
                    self.parser.feed_data(piece)
                except httptools.HttpParserUpgrade as upgrade:
                    self._upgrade(bytes(piece[upgrade.args[0] :]) + bytes(rest))
                    return
                self._meter.fed(len(piece))
        except RequestRefused as refused:
            self._refuse(refused)
        except httptools.HttpParserError as error:
            told = error.__context__
            if isinstance(told, _TooFarAhead):
                self._close_when_answered()
            else:
                bad = RequestRefused(HTTPStatus.BAD_REQUEST, "the request is not HTTP/1.1")
                self._refuse(told if isinstance(told, RequestRefused) else bad)
        self._await_more()

    def on_message_begin(self) -> None:
        """A further request on the connection."""
        super().on_message_begin()
        self._meter.begin()
        cast(dict[str, object], self.scope)[CONNECTION] = self._connection

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._meter.add(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; those of a trailer are dropped (RFC 9110 6.5.1)."""
        self._meter.add(len(name) + len(value), is_field=True)
        if self._meter.is_open:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; for the body see `web.middleware.slow_bodies`."""
        self._stop_timer()
        if len(self.pipeline) >= _MAX_PIPELINED:
            raise _TooFarAhead
        self._meter.end()
        assert self._connection is not None
        self._connection.busy()
        if not self._connection.is_user and self.is_known(cast(Scope, self.scope)):
            self._connection.know()
        super().on_headers_complete()
        if self._connection.is_spare and self.cycle is not None:
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._meter.add_body()
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._stop_timer()
        self._meter.end_message()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is sent; the next request may come."""
        self._meter.answered()
        super().on_response_complete()
        if not self._is_free or self._connection is None or self.transport.is_closing():
            return
        self._connection.idle()
        if self._refused is not None:
            self._unset_keepalive_if_required()
            self._tell(self._refused)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        """Begin to answer a request; a stranger's, where there are many, in a later round."""
        begin = partial(super()._start_asgi_task, cycle, app)
        if cycle.scope["path"] in ALWAYS_ANSWERED:
            begin()
        else:
            self._begin(begin)

    def _begin(self, begin: Callable[[], None]) -> None:
        assert self._connection is not None
        if self._connection.is_user:
            begin()
        else:
            self.starting.add(self._connection.holder, begin, self.transport.is_closing)

    def handle_websocket_upgrade(self) -> None:
        """From here on another protocol has the connection."""
        lines = [len(name) + len(value) + 4 for name, value in self.headers]
        if len(lines) > MAX_FIELDS or max([len(self.url) + 16, *lines]) > MAX_LINE:
            status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise RequestRefused(
                status, f"a WebSocket begins with up to {MAX_FIELDS} lines of {MAX_LINE:,} bytes"
            )
        self._stop_timer()
        self._stall.end()
        self._meter.close()
        super().handle_websocket_upgrade()
        protocol = self.transport.get_protocol()
        assert isinstance(protocol, LimitedWebSocketProtocol)
        assert self._connection is not None
        protocol.adopt(self._connection)

    def timeout_keep_alive_handler(self) -> None:
        """There is no further request."""
        if not self.transport.is_closing():
            self._stall.close()

    @property
    def _is_free(self) -> bool:
        """Whether no request is under way."""
        return self.cycle is None or (self.cycle.response_complete and not self.pipeline)

    def _upgrade(self, rest: bytes) -> None:
        if not self._should_upgrade():
            # It is answered as if it had not asked for that; what follows is not HTTP any more.
            self._close_when_answered()
        elif not self._is_free:
            self._refuse(RequestRefused(HTTPStatus.BAD_REQUEST, "another request is under way"))
        else:
            self._stop_timer()
            self._early = bytearray(rest)
            self._begin(self._open_websocket)

    def _open_websocket(self) -> None:
        assert self._early is not None
        rest, self._early = bytes(self._early), None
        try:
            self.handle_websocket_upgrade()
        except RequestRefused as refused:
            self._refuse(refused)
            return
        if rest and not self.transport.is_closing():
            cast(asyncio.Protocol, self.transport.get_protocol()).data_received(rest)

    def _refuse(self, refused: RequestRefused) -> None:
        """Answer, after all that came before, and take nothing more."""
        self._is_deaf = True
        self._stop_timer()
        if self._is_free:
            self._tell(refused)
        elif self._meter.is_open:
            self._refused = refused
        elif self.pipeline or self.cycle.response_started:
            self.transport.abort()
        else:
            # A request is under way whose rest is not taken.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            self._tell(refused)

    def _tell(self, refused: RequestRefused) -> None:
        self.transport.write(self._answer(refused))
        # A client that still sends would lose the answer if the connection were closed at once.
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.transport.abort)
        if self._connection is not None:
            self._connection.idle()

    def _answer(self, refused: RequestRefused) -> bytes:
        error = {"message": str(refused), "code": _CODES[refused.status]}
        body = json.dumps({"errors": [error]}).encode()
        head = [
            f"HTTP/1.1 {refused.status.value} {refused.status.phrase}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            "cache-control: no-store",
            "x-content-type-options: nosniff",
            "connection: close",
        ]
        return "\r\n".join([*head, "", ""]).encode() + body

    def _close_when_answered(self) -> None:
        self._is_deaf = True
        self._stop_timer()
        self.cycle.keep_alive = False

    def _drop(self, data: bytes) -> None:
        self._lingers_for -= len(data)
        if self._lingers_for < 0:
            self.transport.abort()

    def _await_more(self) -> None:
        """Start the clock of what has to come next."""
        if self._is_deaf or self.transport.is_closing():
            return
        if self._meter.is_open and not self._meter.n_bytes:
            if self._is_free and self.timeout_keep_alive_task is None and self._timer is None:
                self.timeout_keep_alive_task = self.loop.call_later(
                    self.timeout_keep_alive, self.timeout_keep_alive_handler
                )
        elif self._meter.is_open or self._is_free:
            self._start_timer()

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self._end_late)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_late(self) -> None:
        self._timer = None
        if self._is_free:
            self._stall.close()
        else:
            # The next head is late, but the answer before it has not come yet either.
            self._start_timer()
