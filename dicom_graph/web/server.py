"""uvicorn, as dicom-graph runs it."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette
from uvicorn.server import HANDLED_SIGNALS

from dicom_graph.access.addresses import Network
from dicom_graph.settings import Settings
from dicom_graph.signals import ending_signals
from dicom_graph.web.accepting import BACKLOG, Acceptor
from dicom_graph.web.connections import Connections
from dicom_graph.web.protocol import LimitedHttpProtocol
from dicom_graph.web.start_queue import StartQueue
from dicom_graph.web.websocket import LimitedWebSocketProtocol

_TICKS = 600


class Server(uvicorn.Server):
    """Before it waits for running requests to end, it ends those that would not: event streams.

    WebSockets get the close code 1012 by uvicorn itself; what runs after the time is cancelled.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        end_streams: Callable[[], None],
        is_quiet: Callable[[], bool],
        max_waiting: int,
        trusted: Sequence[Network] = (),
    ) -> None:
        """`max_waiting`: connections that are taken and have not begun; `trusted`: proxies."""
        super().__init__(config)
        self._max_waiting = max_waiting
        self._trusted = trusted
        self._acceptors: list[Acceptor] = []
        self._end_streams = end_streams
        self._is_quiet = is_quiet
        self.on_shutdown: Callable[[], None] = lambda: None
        self.on_quiet: Callable[[], None] = lambda: None
        self.on_each_tick: Callable[[], None] = lambda: None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        if not sockets or os.name != "posix":
            await super().startup(sockets)
            return
        await super().startup([])
        for each in sockets:
            acceptor = Acceptor(each, self._make_protocol, self._max_waiting, self._trusted)
            acceptor.start()
            self._acceptors.append(acceptor)

    def _make_protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """SIGHUP ends the server as SIGTERM does."""
        is_main = threading.current_thread() is threading.main_thread()
        others = set(ending_signals()) - set(HANDLED_SIGNALS) if is_main else set()
        originals = {each: signal.signal(each, self.handle_exit) for each in others}
        with super().capture_signals():
            yield
        for each, original in originals.items():
            signal.signal(each, original)

    async def on_tick(self, counter: int) -> bool:
        """Called ten times a second; once in a minute it tells where no request is under way."""
        self.on_each_tick()
        if counter % _TICKS == 0 and self._is_quiet():
            self.on_quiet()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, let the open ones end, then stop the application."""
        self.on_shutdown()
        for each in self._acceptors:
            each.stop()
        asyncio.get_running_loop().call_soon(self._end_streams)
        await super().shutdown(sockets)


def make_server(application: Starlette, settings: Settings) -> Server:
    """The server of an application, to be run on sockets that listen."""
    allowed = application.state.descriptors
    shared = {
        "stall_seconds": settings.stall_seconds,
        "incoming": application.state.incoming,
        "register": Connections(
            allowed.connections, settings.trusted_proxies, application.state.admission.make_room
        ),
    }
    head = {
        "head_seconds": settings.request_seconds,
        "max_head_bytes": settings.max_head_bytes,
        "is_known": staticmethod(application.state.admission.is_known),
        "starting": StartQueue(),
    }
    config = uvicorn.Config(
        application,
        http=type("Http", (LimitedHttpProtocol,), shared | head),
        ws=type("WebSocket", (LimitedWebSocketProtocol,), shared),
        log_config=None,
        # `web.middleware.observability` has its own, without UIDs and queries.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        # Whom a proxy may speak for is decided in `web.middleware.authentication`.
        proxy_headers=False,
        ws_max_size=settings.max_body_bytes,
        backlog=BACKLOG,
    )
    admission = application.state.admission
    return Server(
        config,
        application.state.services.store.jobs.close,
        lambda: admission.is_quiet,
        allowed.waiting,
        settings.trusted_proxies,
    )
