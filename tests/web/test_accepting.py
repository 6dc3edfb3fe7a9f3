"""In which order connections begin that come at once, and which are closed."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_network

import pytest

from dicom_graph.access.addresses import Network
from dicom_graph.web import accepting
from dicom_graph.web.accepting import Acceptor

MONITOR = b"GET /readyz HTTP/1.1\r\n"
ASKS = b"GET /graphql HTTP/1.1\r\n"


class _Protocol(asyncio.Protocol):
    def __init__(self, site: "Site") -> None:
        self._site = site

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._site.begun.append(transport.get_extra_info("peername")[1])
        self._site.news.set()


class Site:
    """A listener, and the ports of the clients whose connections have begun, in that order."""

    def __init__(self, stack: ExitStack) -> None:
        self.begun: list[int] = []
        self.news = asyncio.Event()
        self.listener = stack.enter_context(socket.socket())
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(400)
        self._stack = stack

    def connect(self, sent: bytes = b"", source: str = "127.0.0.1") -> socket.socket:
        end = self._stack.enter_context(socket.socket())
        end.bind((source, 0))
        end.connect(self.listener.getsockname())
        end.sendall(sent)
        return end

    def many(self, count: int, sent: bytes = b"", source: str = "127.0.0.1") -> list[int]:
        return [port_of(self.connect(sent, source)) for _ in range(count)]

    @contextmanager
    def accepting(self, limit: int = 1000, trusted: tuple[Network, ...] = ()) -> Iterator[None]:
        made = Acceptor(self.listener, lambda: _Protocol(self), limit, trusted)
        made.start()
        yield
        made.stop()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.begun) < count:
                self.news.clear()
                await self.news.wait()


@pytest.fixture
def site() -> Iterator[Site]:
    with ExitStack() as stack:
        yield Site(stack)


def port_of(end: socket.socket) -> int:
    return int(end.getsockname()[1])


async def test_who_asks_for_health_begins_first_and_who_is_silent_last(site: Site) -> None:
    gone = site.connect()
    silent, asking = site.many(100), site.many(150, ASKS)
    monitor = port_of(site.connect(MONITOR))
    other = port_of(site.connect(source="127.0.0.2"))
    gone.close()
    with site.accepting():
        await site.until(252)
    assert len(site.begun) == 252
    assert site.begun[0] == monitor
    places = {port: place for place, port in enumerate(site.begun)}
    in_one_round = 1 + 127
    assert set(site.begun[1:in_one_round]) <= set(asking)
    # Another client's turn comes, whatever crowd was there before.
    assert places[other] <= in_one_round + 1
    assert [port for port in site.begun if port in asking] == asking
    assert [port for port in site.begun if port in silent] == silent


async def test_who_speaks_late_does_not_wait_for_the_silent(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accepting, "_BEGUN_IN_ONE_ROUND", 2)
    monkeypatch.setattr(accepting, "_LEAST_IN_ONE_ROUND", 2)
    silent = [site.connect() for _ in range(100)]
    with site.accepting():
        await site.until(1)
        silent[-1].sendall(MONITOR)
        silent[-2].close()
        await site.until(99)
    assert site.begun.index(port_of(silent[-1])) < 50
    assert len(site.begun) == 99


async def test_of_too_many_silent_ones_those_of_the_crowd_are_closed(site: Site) -> None:
    first = port_of(site.connect(source="127.0.0.2"))
    crowd = site.many(200)
    last = port_of(site.connect(MONITOR))
    with site.accepting(limit=20):
        await site.until(20)
        await asyncio.sleep(0.02)
    assert len(site.begun) == 20
    assert {first, last, crowd[-1]} <= set(site.begun)
    assert site.begun[0] == last


async def test_who_asks_is_never_closed_for_others(site: Site) -> None:
    asking = {*site.many(120, ASKS)}
    silent = {*site.many(60)}
    asking |= {*site.many(20, ASKS)}
    with site.accepting(limit=20):
        async with asyncio.timeout(20):
            while not asking <= set(site.begun):
                site.news.clear()
                await site.news.wait()
    assert len(silent & set(site.begun)) <= 20


async def test_connections_of_proxies_are_not_silent(site: Site) -> None:
    site.many(30)
    trusted = site.many(30, source="127.0.0.3")
    with site.accepting(limit=40, trusted=(ip_network("127.0.0.3/32"),)):
        await site.until(40)
    assert site.begun[:30] == trusted
