"""What one WebSocket, or many, may take of a server."""

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import get_introspection_query
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Subprotocol

from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest, create_job
from dicom_graph.store.migrate import upgrade
from tests.faults.streams import FOLLOW
from tests.support.people import add_person
from tests.support.raw import connect, frame, send_all
from tests.support.server import Server, running_server
from tests.support.waiting import until

ASK = {"query": "{ __typename }"}
DATA = {"data": {"__typename": "Query"}}
SLOW = (
    b"POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 90\r\n\r\n"
)
UPGRADE = (
    b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
)
SUBSCRIBE = {"id": "1", "type": "subscribe", "payload": ASK}


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A database with an import that no server runs."""
    made = f"sqlite:///{tmp_path / 'database.sqlite3'}"
    database = Database(made)
    upgrade(database)
    with database.writer.begin() as connection:
        create_job(connection, JobRequest(("/nowhere",), origin=JobOrigin.PYTHON))
    database.close_writer()
    return made


def settings(url: str, **given: Any) -> Settings:
    return Settings(database_url=url, _env_file=None, **given)


@contextmanager
def follow(server: Server, *, init: bool = True) -> Iterator[ClientConnection]:
    url, protocols = f"{server.websocket_url}/graphql", [Subprotocol("graphql-transport-ws")]
    with connect_websocket(url, subprotocols=protocols) as made:
        if init:
            made.send('{"type": "connection_init"}')
            assert json.loads(made.recv(20))["type"] == "connection_ack"
        yield made


def ask(end: ClientConnection, payload: dict[str, Any], id: str = "1") -> dict[str, Any]:
    end.send(json.dumps({"id": id, "type": "subscribe", "payload": payload}))
    return dict(json.loads(end.recv(20)))


def follow_job(end: ClientConnection, id: str) -> dict[str, Any]:
    return ask(end, {"query": FOLLOW, "variables": {"id": "SW1wb3J0Sm9iOjE="}}, id)


def code_of(message: dict[str, Any]) -> str | None:
    if message["type"] != "error":
        return None
    return str(message["payload"][0]["extensions"]["code"])


def status_over_http(server: Server) -> int:
    return httpx.post(f"{server.url}/graphql", json=ASK, timeout=20).status_code


def test_queries_over_streams_count_as_requests(url: str) -> None:
    """Two requests that do not end take both places; a stream is open, and has none either."""
    with running_server(settings(url, max_requests=2)) as server, follow(server) as end:
        with ExitStack() as stack:
            for _ in range(2):
                stack.enter_context(connect(server.url)).sendall(SLOW)
            until(lambda: status_over_http(server) == 503, 2)
            refused = ask(end, ASK)
            assert code_of(refused) == "OVERLOADED"
            assert "DICOM_GRAPH_MAX_REQUESTS" in json.dumps(refused)
            mutation = 'mutation { importPath(input: {path: "/"}) { errors { code } } }'
            assert code_of(ask(end, {"query": mutation}, "2")) == "OVERLOADED"
            events = {"accept": "text/event-stream"}
            answer = httpx.post(f"{server.url}/graphql", json=ASK, headers=events)
            assert "OVERLOADED" in answer.text
            # What lasts is no request.
            assert follow_job(end, "3")["type"] == "next"
        until(lambda: ask(end, ASK, os.urandom(4).hex()).get("payload") == DATA, 10)


@pytest.mark.slow
def test_an_answer_over_a_websocket_that_is_not_read_holds_its_place(url: str) -> None:
    aliases = " ".join(f"a{n}: __schema {{ ...Whole }}" for n in range(25))
    whole = get_introspection_query().partition("__schema")[2].rpartition("fragment FullType")
    selection = whole[0].strip()[:-1].strip()
    query = f"{{ {aliases} }} fragment Whole on __Schema {selection} fragment FullType{whole[2]}"
    given = settings(url, max_requests=1, stall_seconds=2, max_tokens=50_000)
    with running_server(given) as server, connect(server.url) as end:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        end.sendall(UPGRADE)
        end.recv(1)
        end.sendall(frame(b'{"type": "connection_init"}'))
        subscribe = {"id": "1", "type": "subscribe", "payload": {"query": query}}
        end.sendall(frame(json.dumps(subscribe).encode()))
        until(lambda: status_over_http(server) == 503, 10)
        until(lambda: status_over_http(server) == 200, 20)


def test_one_websocket_runs_so_many_operations(url: str) -> None:
    given = settings(url, max_operations=3)
    with running_server(given) as server, follow(server) as end, follow(server) as other:
        for number in range(3):
            assert follow_job(end, str(number))["type"] == "next"
        for number in (3, 4):
            refused = follow_job(end, str(number))
            assert code_of(refused) == "OVERLOADED"
            assert "DICOM_GRAPH_MAX_OPERATIONS" in json.dumps(refused)
        assert code_of(ask(end, ASK, "5")) == "OVERLOADED"
        assert ask(other, ASK)["payload"] == DATA
        end.send('{"id": "1", "type": "complete"}')
        assert follow_job(end, "6")["type"] == "next"


def test_each_further_subscription_counts_as_a_stream(url: str) -> None:
    with running_server(settings(url, max_streams=3)) as server, follow(server) as end:
        for number in range(3):
            assert follow_job(end, str(number))["type"] == "next"
        refused = follow_job(end, "3")
        assert code_of(refused) == "OVERLOADED"
        assert "DICOM_GRAPH_MAX_STREAMS" in json.dumps(refused)
        with pytest.raises(InvalidStatus), follow(server):
            pass
        assert ask(end, ASK, "4")["payload"] == DATA
        end.send('{"id": "1", "type": "complete"}')

        def has_room() -> bool:
            try:
                with follow(server):
                    return True
            except InvalidStatus:
                return False

        until(lambda: json.loads(end.recv(20))["type"] == "complete", 10)
        until(has_room, 10)


def opened(server: Server, *, init: bool = True) -> socket.socket:
    end = connect(server.url)
    end.sendall(UPGRADE)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += end.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 ")
    if init:
        end.sendall(frame(b'{"type": "connection_init"}'))
        assert b"connection_ack" in end.recv(1 << 16)
    return end


def test_a_message_in_very_small_parts(url: str) -> None:
    text = json.dumps(SUBSCRIBE | {"payload": ASK | {"operationName": None}}).encode()
    text += b" " * 200_000
    parts = [text[at : at + 1] for at in range(len(text))]
    frames = [frame(part, 0 if number else 1, fin=False) for number, part in enumerate(parts)]
    with running_server(settings(url)) as server, opened(server) as end:
        end.sendall(b"".join(frames) + frame(b"", 0))
        assert b'"__typename":"Query"' in end.recv(1 << 16)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sent", "count"),
    [
        (frame(b'{"type": "pong"}'), 100_000),
        (frame(b'{"type": "ping"}'), 100_000),
        (frame(b"", 9), 500_000),
        (frame(b"x" * 125, 9), 50_000),
        (frame(b"x", 1, fin=False) + frame(b"", 0, fin=False) * 500_000, 1),
    ],
    ids=["pongs", "pings that are messages", "pings", "large pings", "empty parts"],
)
def test_a_flood_on_one_websocket(url: str, sent: bytes, count: int) -> None:
    """Nothing of what it sends is read; others are answered, and it is cut off or done with."""
    given = settings(url, stall_seconds=1)
    with running_server(given) as server, opened(server) as end:
        end.settimeout(5)
        send_all(end, [sent * count])
        assert status_over_http(server) == 200
        with follow(server) as other:
            assert ask(other, ASK)["payload"] == DATA


@pytest.mark.parametrize("size", [16_000, 17_000, 900_000])
def test_before_a_login_messages_are_small(tmp_path: Path, url: str, size: int) -> None:
    database = Database(url)
    person = add_person(database, "Jo")
    database.close_writer()
    token = {"type": "connection_init", "payload": person.bearer}
    with running_server(settings(url)) as server, follow(server, init=False) as end:
        if size < 16_384:
            end.send(json.dumps(token) + " " * (size - 300))
            assert json.loads(end.recv(20))["type"] == "connection_ack"
            end.send(json.dumps(SUBSCRIBE) + " " * 900_000)
            assert json.loads(end.recv(20))["payload"] == DATA
            return
        end.send(json.dumps(token) + " " * size)
        with pytest.raises(ConnectionClosed) as caught:
            end.recv(20)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009


@pytest.mark.parametrize("kind", ["messages", "bodies", "chunked bodies"])
def test_what_comes_in_at_a_time_is_bounded_for_all_together(url: str, kind: str) -> None:
    """Of several that send a megabyte each, and not the end of it, the first has it all."""
    part = b" " * 600_000
    heads = {
        "bodies": SLOW.replace(b": 90\r\n", b": 1000000\r\n") + part,
        "chunked bodies": SLOW.replace(b"Content-Length: 90", b"Transfer-Encoding: chunked")
        + b"927c0\r\n" + part + b"\r\n",
        "messages": frame(part, fin=False),
    }  # fmt: skip
    with (
        running_server(settings(url, max_incoming_megabytes=1)) as server,
        ExitStack() as stack,
    ):
        ends = []
        for _ in range(3):
            made = opened(server) if kind == "messages" else connect(server.url)
            end = stack.enter_context(made)
            end.sendall(heads[kind])
            ends.append(end)
            time.sleep(0.3)
        for number, end in enumerate(ends):
            end.settimeout(0.5 if number == 0 else 20)
            answer = b""
            with suppress(OSError):
                answer = end.recv(1 << 16)
            expected = b"\x88\x02\x03\xf5" if kind == "messages" else b"HTTP/1.1 503 "
            assert answer.startswith(expected) == (number > 0), (number, answer[:200])
        assert status_over_http(server) == 200
        with follow(server) as other:
            assert ask(other, ASK)["payload"] == DATA


@pytest.mark.parametrize(
    "message",
    [
        [], 1, None, "x", {}, {"type": 1}, {"type": ["subscribe"]},
        {"type": "subscribe"}, {"type": "subscribe", "id": [1], "payload": ASK},
        {"type": "subscribe", "id": "1", "payload": [ASK]},
        {"type": "subscribe", "id": "1", "payload": {"query": 1}},
        {"type": "subscribe", "id": "1", "payload": ASK | {"variables": []}},
        {"type": "complete", "id": {}},
    ],
)  # fmt: skip
def test_what_is_no_message_ends_the_websocket(
    url: str, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    with running_server(settings(url)) as server, follow(server) as end:
        end.send(json.dumps(message))
        with pytest.raises(ConnectionClosed) as caught:
            end.recv(20)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4400
    assert "internal error" not in caplog.text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ((b"\r\n\r\n", b"\r\nX: " + b"a" * 9000 + b"\r\n\r\n"), 431),
        ((b"\r\n\r\n", b"\r\n" + b"a: b\r\n" * 150 + b"\r\n"), 431),
        ((b"/graphql ", b"/graphql?" + b"a" * 9000 + b" "), 431),
        ((b"GET", b"POST"), 405),
        ((b"Key: d", b"Key: "), 400),
    ],
)
def test_beginnings_that_are_refused(
    url: str, change: tuple[bytes, bytes], status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with running_server(settings(url)) as server, connect(server.url) as end:
        end.sendall(UPGRADE.replace(*change))
        assert end.recv(1 << 16).startswith(b"HTTP/1.1 %d " % status)
    assert "Traceback" not in caplog.text
