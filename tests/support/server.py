"""A server that runs in a thread of the test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from dicom_graph.settings import Settings
from dicom_graph.web.app import create_app
from dicom_graph.web.server import make_server


@dataclass
class Server:
    """A running server: its address, its settings, and its application."""

    url: str
    settings: Settings
    uvicorn: uvicorn.Server

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http://", "ws://", 1)


@contextmanager
def running_server(settings: Settings) -> Iterator[Server]:
    """A server on a free port of this machine, stopped in the end as by SIGTERM."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = make_server(create_app(settings), settings)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                thread.join(0.02)
            yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", settings, server)
        finally:
            server.should_exit = True
            thread.join()
