"""Crowds of clients that nobody knows, and a user who is answered beside them."""

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import psutil

from dicom_graph.store.engine import Database
from tests.faults.ground import COUNT, Ground, Served
from tests.support.people import PASSWORD, Person, add_person

FORM = "Content-Type: application/x-www-form-urlencoded"


@contextmanager
def guarded(ground: Ground, open_files: int | None = None, **settings: int) -> Iterator["Site"]:
    """A server in a process of its own that knows one user."""
    with ground.database() as url:
        database = Database(url)
        person = add_person(database, "Jo", "EDITOR")
        database.close_writer()
        with ground.process(url, open_files=open_files, **settings) as served:
            yield Site(served, person)


@dataclass
class Site:
    """A server, its user, and how that is answered."""

    served: Served
    person: Person
    times: list[float] = field(default_factory=list)
    most: int = 0

    def ask(self) -> None:
        """A query of the user, over a new connection; it must be answered."""
        began = time.monotonic()
        answer = httpx.post(
            f"{self.served.url}/graphql", json={"query": COUNT}, headers=self.person.bearer,
            timeout=30,
        )  # fmt: skip
        assert answer.status_code == 200, answer.text
        assert "errors" not in answer.json(), answer.text
        self.times.append(time.monotonic() - began)
        self.most = max(self.most, self.resident())

    def log_in(self, source: str = "127.0.0.1") -> None:
        """The user logs in on the page, from an address of this machine."""
        transport = httpx.HTTPTransport(local_address=source)
        with httpx.Client(base_url=self.served.url, timeout=30, transport=transport) as client:
            form = client.get("/login").text.partition('name="form" value="')[2].partition('"')[0]
            fields = {"form": form, "name": "Jo", "password": PASSWORD}
            answer = client.post("/login", data=fields, headers={"origin": self.served.url})
        assert answer.status_code == 303, answer.text

    def is_healthy(self) -> bool:
        """What a load balancer asks."""
        return httpx.get(f"{self.served.url}/healthz", timeout=30).status_code == 200

    def resident(self) -> int:
        """Bytes of the server's own process."""
        assert self.served.process is not None
        return int(psutil.Process(self.served.process.pid).memory_info().rss)

    def told(self) -> str:
        """What was seen, in short."""
        return (
            f"{len(self.times)} queries of a user answered, {statistics.median(self.times):.2f} s, "
            f"{max(self.times):.2f} s at most; {self.most >> 20} MB at most"
        )


def head(method: str, path: str, *fields: str) -> bytes:
    """The head of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


def upgrade() -> bytes:
    """The beginning of a WebSocket."""
    return head(
        "GET", "/graphql", "Connection: Upgrade", "Upgrade: websocket",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol: graphql-transport-ws",
    )  # fmt: skip


@contextmanager
def crowd(served: Served, sent: bytes, count: int) -> Iterator[list[socket.socket]]:
    """So many connections that send something and nothing more, and read nothing."""
    with ExitStack() as stack:
        ends = []
        for _ in range(count):
            with suppress(OSError):
                ends.append(stack.enter_context(connected(served)))
                ends[-1].sendall(sent)
        yield ends


def connected(served: Served) -> socket.socket:
    address = urlsplit(served.url)
    return socket.create_connection((str(address.hostname), int(address.port or 80)), 30)


@contextmanager
def again_and_again(*attempts: Callable[[], object]) -> Iterator[None]:
    """Each in a thread of its own, until the end; what the server does about it is no error."""
    stop = threading.Event()

    def run(attempt: Callable[[], object]) -> None:
        while not stop.is_set():
            with suppress(OSError, httpx.HTTPError):
                attempt()

    threads = [threading.Thread(target=run, args=(attempt,)) for attempt in attempts]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()
