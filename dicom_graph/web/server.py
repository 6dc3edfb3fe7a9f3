"""uvicorn, as dicom-graph runs it."""

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from starlette.applications import Starlette

from dicom_graph.settings import Settings
from dicom_graph.web.protocol import PatientHttp, PatientWebSocket


class Server(uvicorn.Server):
    """Before it waits for running requests to end, it ends those that would not: event streams.

    WebSockets get the close code 1012 by uvicorn itself; what runs after the time is cancelled.
    """

    def __init__(self, config: uvicorn.Config, end_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._end_streams = end_streams
        self.on_shutdown: Callable[[], None] = lambda: None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more connections, let the open ones end, then stop the application."""
        self.on_shutdown()
        asyncio.get_running_loop().call_soon(self._end_streams)
        await super().shutdown(sockets)


def make_server(application: Starlette, settings: Settings) -> Server:
    """The server of an application, to be run on sockets that listen."""
    stall = {"stall_seconds": settings.stall_seconds}
    head = {"head_seconds": settings.request_seconds}
    config = uvicorn.Config(
        application,
        http=type("Http", (PatientHttp,), stall | head),
        ws=type("WebSocket", (PatientWebSocket,), stall),
        log_config=None,
        # `web.observed` has its own, without UIDs and queries.
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=settings.shutdown_seconds,
        # Whom a proxy may speak for is decided in `web.authentication`.
        proxy_headers=False,
        ws_max_size=settings.max_body_bytes,
    )
    return Server(config, application.state.service.store.jobs.close)
