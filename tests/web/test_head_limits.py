"""Heads of requests without an end, and whatever else is not the body: little is taken of it."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dicom_graph.settings import Settings
from tests.support.raw import connect, endless, exchange, read_all, send_all, statuses
from tests.support.server import Server, running_server

HOST = b"Host: localhost\r\n"
GET = b"GET /healthz HTTP/1.1\r\n" + HOST
JSON = b"Content-Type: application/json\r\n"
POST = b"POST /graphql HTTP/1.1\r\n" + HOST + JSON
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
QUERY = b'{"query": "{ __typename }"}'
CHUNK = b"%x\r\n%s\r\n" % (len(QUERY), QUERY)
UPGRADE = (
    b"GET /graphql HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("heads")
    url = f"sqlite:///{folder / 'database.sqlite3'}"
    with running_server(Settings(database_url=url, _env_file=None)) as server:
        yield server


ENDLESS: dict[str, tuple[list[bytes], bytes]] = {
    "fields": ([GET], b"a: b\r\n"),
    "fields of HTTP/1.0": ([b"GET /healthz HTTP/1.0\r\n"], b"a: b\r\n"),
    "a field's value": ([GET, b"a: "], b"b"),
    "a field's name": ([GET], b"a"),
    "spaces before a value": ([GET, b"a:"], b" "),
    "an address": ([b"GET /"], b"a"),
    "a query": ([b"GET /graphql?query="], b"%20"),
    "a cookie for each page": ([GET], b"Cookie: a=b; c=d\r\n"),
    "empty lines": ([], b"\r\n"),
    "line feeds": ([], b"\n"),
    "a second head": ([GET, b"\r\n", GET], b"a: b\r\n"),
    "empty lines after a request": ([GET, b"\r\n"], b"\r\n"),
    "the head of a WebSocket": ([UPGRADE], b"a: b\r\n"),
    "a trailer": ([CHUNKED, CHUNK, b"0\r\n"], b"a: b\r\n"),
    "a field of a trailer": ([CHUNKED, CHUNK, b"0\r\na: "], b"b"),
    "an extension of a chunk": ([CHUNKED, b"1;a="], b"b"),
    "extensions of the last chunk": ([CHUNKED, CHUNK, b"0"], b";a=b"),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_what_has_no_end_gets_431(served: Server, name: str) -> None:
    with connect(served.url) as end:
        parts, then = ENDLESS[name]
        send_all(end, endless(*parts, then=then))
        answer = read_all(end)
    assert statuses(answer)[-1] == 431, answer[:300]
    body = json.loads(answer.rpartition(b"\r\n\r\n")[2])
    assert body["errors"][0]["code"] == "HEAD_TOO_LARGE"
    assert httpx.get(f"{served.url}/readyz").status_code == 200


@pytest.mark.parametrize(
    "then",
    [b"A", b"\0", b"a: b\r\n b\r\n", b"GET / HTTP/9.9\r\n"],
    ids=["a method", "zeros", "folded fields", "no version"],
)
def test_what_is_no_head_is_closed(served: Server, then: bytes) -> None:
    with connect(served.url) as end:
        send_all(end, endless(GET if b":" in then else b"", then=then))
        assert statuses(read_all(end))[-1] in (400, 431)


def head_of(size: int, n_fields: int) -> bytes:
    """A whole head of so many bytes."""
    start, end = GET + b"Connection: close\r\n", b"\r\n"
    rest, lines = size - len(start) - len(end), []
    for number in range(n_fields):
        name = b"x-%d: " % number
        length = rest // n_fields if number else rest - rest // n_fields * (n_fields - 1)
        lines.append(name + b"b" * (length - len(name) - 2) + b"\r\n")
    head = b"".join([start, *lines, end])
    assert len(head) == size
    return head


@pytest.mark.parametrize("n_fields", [1, 4, 100])
@pytest.mark.parametrize(("size", "status"), [(64_000, 200), (65_536, 200), (66_000, 431)])
def test_the_limit(served: Server, size: int, status: int, n_fields: int) -> None:
    head = head_of(size, n_fields)
    assert statuses(exchange(served.url, head)) == [status]
    pieces = [head[at : at + 1000] for at in range(0, size, 1000)]
    with connect(served.url) as end:
        for piece in pieces:
            end.sendall(piece)
            time.sleep(0.001)
        assert statuses(read_all(end)) == [status]


def test_the_limit_is_a_setting(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'database.sqlite3'}"
    given = Settings(database_url=url, max_head_bytes=8192, _env_file=None)
    with running_server(given) as server:
        assert statuses(exchange(server.url, head_of(8000, 2))) == [200]
        assert statuses(exchange(server.url, head_of(9000, 2))) == [431]
        assert statuses(exchange(server.url, head_of(20_000, 2))) == [431]


@pytest.mark.parametrize(("n_fields", "status"), [(198, 200), (201, 431), (2000, 431)])
def test_so_many_fields(served: Server, n_fields: int, status: int) -> None:
    head = GET + b"Connection: close\r\n" + b"a: b\r\n" * (n_fields - 2) + b"\r\n"
    assert statuses(exchange(served.url, head)) == [status]


def test_requests_ahead_of_their_answers_end_with_the_connection(served: Server) -> None:
    """Whoever sends thousands at once gets some answers, each whole, and asks again for others."""
    request = POST + b"Content-Length: %d\r\n\r\n" % len(QUERY) + QUERY
    found = statuses(exchange(served.url, request * 5000))
    assert 1 <= len(found) <= 50
    assert set(found) == {200}


def test_a_few_requests_ahead_are_all_answered(served: Server) -> None:
    request = POST + b"Content-Length: %d\r\n\r\n" % len(QUERY) + QUERY
    last = request.replace(b"Host", b"Connection: close\r\nHost", 1)
    assert statuses(exchange(served.url, request * 5 + last)) == [200] * 6


def test_an_answer_is_not_broken_by_what_follows(served: Server) -> None:
    """The next head is wrong while the answer to the first is still being made."""
    request = POST + b"Content-Length: %d\r\n\r\n" % len(QUERY) + QUERY
    for bad in (b"\0\0\0\r\n\r\n", GET + b"a: " + b"b" * 70_000, UPGRADE + b"\r\n"):
        found = statuses(exchange(served.url, request + bad))
        assert found[0] == 200, bad[:20]
        assert len(found) == 1 or found[1] in (400, 431)


def test_a_body_behind_an_upgrade_is_no_request(served: Server) -> None:
    """A proxy that passes `Upgrade` on would take the answer to the second as its own."""
    inner = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: %d\r\n\r\n" % len(inner)
    with connect(served.url) as end:
        end.sendall(head)
        time.sleep(0.1)
        send_all(end, [inner])
        assert len(statuses(read_all(end))) == 1


def test_a_trailer_is_no_head(tmp_path: Path) -> None:
    """What comes after the body must not say who sent it."""
    url = f"sqlite:///{tmp_path / 'database.sqlite3'}"
    given = Settings(
        database_url=url, proxy_user_header="X-User", proxy_role="admin",
        trusted_proxies=["127.0.0.1/32"], _env_file=None,
    )  # fmt: skip
    close = b"Connection: close\r\n"
    for field in (b"X-User: boss\r\n", b"x-forwarded-for: 1.2.3.4\r\nX-User: boss\r\n"):
        head = CHUNKED.replace(JSON, JSON + close)
        with running_server(given) as server:
            assert statuses(exchange(server.url, head + CHUNK + b"0\r\n" + field + b"\r\n")) == [
                401
            ]
            named = head.replace(JSON, JSON + field)
            assert statuses(exchange(server.url, named + CHUNK + b"0\r\n\r\n")) == [200]


def test_what_comes_after_an_answer_does_not_come_for_ever(tmp_path: Path) -> None:
    """The rest of a body that nobody reads, empty lines, and half a head do not keep a connection
    open, however slowly they come.
    """
    url = f"sqlite:///{tmp_path / 'database.sqlite3'}"
    given = Settings(database_url=url, request_seconds=0.5, _env_file=None)
    rest = b"POST /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 100000\r\n\r\n"
    with running_server(given) as server:
        for head, drip in ((rest, b"x"), (GET + b"\r\n", b"\r\n"), (GET + b"\r\n" + GET, b"a")):
            with connect(server.url) as end:
                end.sendall(head)
                assert end.recv(1 << 16)
                end.settimeout(0.05)
                assert any(_is_closed_after(end, drip) for _ in range(200)), head


def _is_closed_after(end: socket.socket, drip: bytes) -> bool:
    try:
        end.sendall(drip)
        return not end.recv(1 << 16)
    except TimeoutError:
        return False
    except OSError:
        return True
