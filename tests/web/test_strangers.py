"""Clients that have not logged in take what they can get: users always find a place."""

import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket
from websockets.typing import Subprotocol

from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest, create_job
from dicom_graph.store.migrate import upgrade
from tests.faults.streams import opening
from tests.support.people import PASSWORD, Person, add_person
from tests.support.raw import connect
from tests.support.server import Server, running_server
from tests.support.waiting import until

ASK = {"query": "{ __typename }"}
ANSWER = {"data": {"__typename": "Query"}}
PROTOCOL = [Subprotocol("graphql-transport-ws")]
FEW: dict[str, Any] = {"max_requests": 8, "max_streams": 8, "max_connections": 24}


def head(method: str, path: str, *fields: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


def with_field(request: bytes, field: str) -> bytes:
    return request.replace(b"\r\n", f"\r\n{field}\r\n".encode(), 1)


SLOW_LOGIN = head(
    "POST", "/login", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 90"
)
SLOW_QUERY = head("POST", "/graphql", "Content-Type: application/json", "Content-Length: 90")
UPGRADE = head(
    "GET", "/graphql", "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol: graphql-transport-ws",
)  # fmt: skip
UNREAD = head("GET", "/static/graphiql/graphiql.min.js") * 3


class Site:
    """A server with few places and, unless it is open, one user."""

    def __init__(self, server: Server, person: Person | None) -> None:
        self.server = server
        self.url = server.url
        self.person = person

    def ask(self, **options: Any) -> httpx.Response:
        given = {"headers": self.person.bearer if self.person else {}, "timeout": 20} | options
        return httpx.post(f"{self.url}/graphql", json=ASK, **given)

    def log_in(self, **options: Any) -> httpx.Response:
        with httpx.Client(base_url=self.url, timeout=20, **options) as client:
            page = client.get("/login").text
            form = page.partition('name="form" value="')[2].partition('"')[0]
            fields = {"form": form, "name": "Jo", "password": PASSWORD}
            return client.post("/login", data=fields, headers={"origin": self.url})

    def follow(self, headers: dict[str, str] | None = None) -> ClientConnection:
        url = f"{self.server.websocket_url}/graphql"
        return connect_websocket(url, subprotocols=PROTOCOL, additional_headers=headers)


@contextmanager
def site(folder: Path, *, is_open: bool = False, **given: Any) -> Iterator[Site]:
    url = f"sqlite:///{folder / 'database.sqlite3'}"
    database = Database(url)
    upgrade(database)
    person = None if is_open else add_person(database, "Jo", "EDITOR")
    with running_server(Settings(database_url=url, _env_file=None, **(FEW | given))) as server:
        yield Site(server, person)
    database.close_writer()


@contextmanager
def crowd(url: str, sent: bytes, count: int, source: str = "127.0.0.1") -> Iterator[list[Any]]:
    """So many connections that send something and then nothing more, and read nothing."""
    ends = []
    with ExitStack() as stack:
        for _ in range(count):
            end = stack.enter_context(connect(url, source))
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            with suppress(OSError):
                end.sendall(sent)
            ends.append(end)
        time.sleep(0.2)
        yield ends


CROWDS = {
    "nothing": b"",
    "half a head": SLOW_QUERY[:-2],
    "slow logins": SLOW_LOGIN,
    "half a login": SLOW_LOGIN + b"name=",
    "silent WebSockets": UPGRADE,
    "unread pages": UNREAD,
    "idle connections": head("GET", "/login"),
    "refused requests": head("GET", "/graphql"),
    "slow queries without a name": SLOW_QUERY,
    "event streams without a name": with_field(SLOW_QUERY, "Accept: text/event-stream"),
}  # fmt: skip


def quick(names: Iterable[str], *few: str) -> list[Any]:
    """All names, of which the suite takes a few each time."""
    return [name if name in few else pytest.param(name, marks=pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", quick(CROWDS, "half a head", "slow logins", "silent WebSockets"))
def test_users_find_a_place_beside_a_crowd(tmp_path: Path, name: str) -> None:
    """More of them than there are places of any kind, from the same address as the user."""
    with site(tmp_path) as served, crowd(served.url, CROWDS[name], 60):
        person = served.person
        assert person is not None
        for _ in range(3):
            assert served.ask().json() == ANSWER
            assert served.ask(headers=person.cookie).json() == ANSWER
            assert served.ask(headers={}, auth=("Jo", PASSWORD)).json() == ANSWER
            assert served.log_in().status_code == 303
            assert httpx.get(f"{served.url}/healthz").status_code == 200
            assert httpx.get(f"{served.url}/readyz").status_code == 200
        for headers, token in ((person.bearer, None), (None, person.bearer)):
            with served.follow(headers) as followed:
                _query_over(followed, token)


def _query_over(followed: ClientConnection, payload: dict[str, str] | None) -> None:
    followed.send(json.dumps({"type": "connection_init", "payload": payload or {}}))
    assert json.loads(followed.recv(20))["type"] == "connection_ack"
    followed.send(json.dumps({"id": "1", "type": "subscribe", "payload": ASK}))
    assert json.loads(followed.recv(20))["payload"] == ANSWER


WRONG: dict[str, dict[str, Any]] = {
    "passwords": {"auth": ("Jo", "wrong")},
    "names": {"auth": ("nobody", "wrong")},
    "tokens": {"headers": {"Authorization": "Bearer wrong"}},
    "sessions": {"headers": {"Cookie": "dicom_graph_session=wrong"}},
    "streams": {"headers": {"Authorization": "Bearer wrong", "Accept": "text/event-stream"}},
}


@pytest.mark.parametrize("name", quick(WRONG, "tokens"))
def test_users_find_a_place_beside_wrong_credentials(tmp_path: Path, name: str) -> None:
    stop = threading.Event()
    seen: set[int] = set()

    def guess() -> None:
        with httpx.Client(timeout=20) as client:
            while not stop.is_set():
                with suppress(httpx.TransportError):
                    seen.add(client.post(url, json=ASK, **WRONG[name]).status_code)

    with site(tmp_path) as served:
        url = f"{served.url}/graphql"
        assert served.ask().json() == ANSWER
        threads = [threading.Thread(target=guess) for _ in range(30)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(20):
                assert served.ask().json() == ANSWER
            # Nor are they shut out for good.
            until(lambda: seen & {401, 429})
        finally:
            stop.set()
            for thread in threads:
                thread.join()
    assert seen <= {401, 429, 503}


def test_who_made_room_is_told_so(tmp_path: Path) -> None:
    with site(tmp_path) as served, crowd(served.url, SLOW_LOGIN, 3) as ends:
        answer = ends[0].recv(1 << 16)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"connection: close" in answer.lower()
        assert b"OVERLOADED" in answer
        ends[1].settimeout(0.3)
        with pytest.raises(TimeoutError):
            ends[1].recv(1)


def test_behind_a_proxy_the_address_it_names_counts(tmp_path: Path) -> None:
    """All connections come from one address. One client wants all, and each time more."""
    with site(tmp_path, trusted_proxies=["127.0.0.1/32"]) as served:
        greedy = with_field(SLOW_LOGIN, "X-Forwarded-For: 203.0.113.7")
        other = with_field(SLOW_LOGIN, "X-Forwarded-For: 2001:db8:1:2::9")
        with crowd(served.url, other, 1) as (waiting,), crowd(served.url, greedy, 20):
            waiting.settimeout(0.3)
            with pytest.raises(TimeoutError):
                waiting.recv(1)
            assert served.log_in().status_code == 303
            assert served.ask().json() == ANSWER


def test_one_address_makes_no_room_among_others(tmp_path: Path) -> None:
    """Who is slow from another address keeps its place beside a crowd."""
    with (
        site(tmp_path) as served,
        crowd(served.url, SLOW_LOGIN, 1, "127.0.0.3") as (waiting,),
        crowd(served.url, SLOW_LOGIN, 30, "127.0.0.2"),
    ):
        waiting.settimeout(0.3)
        with pytest.raises(TimeoutError):
            waiting.recv(1)


def test_a_user_is_never_cut_off_for_strangers(tmp_path: Path) -> None:
    with site(tmp_path) as served:
        assert served.person is not None
        slow = with_field(SLOW_QUERY, f"Authorization: Bearer {served.person.token}")
        with crowd(served.url, slow, 1) as (waiting,), served.follow(served.person.bearer) as idle:
            _query_over(idle, None)
            for sent in (SLOW_LOGIN, UPGRADE, b""):
                with crowd(served.url, sent, 40):
                    pass
            body = json.dumps(ASK).encode()
            waiting.sendall(body + b" " * (90 - len(body)))
            assert waiting.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
            idle.send(json.dumps({"id": "2", "type": "subscribe", "payload": ASK}))
            assert "__typename" in str(idle.recv(20)) + str(idle.recv(20))


@pytest.mark.slow
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize("sent", [SLOW_QUERY, UPGRADE, SLOW_LOGIN, b"", UNREAD])
def test_a_server_that_asks_nobody_for_a_name(tmp_path: Path, sent: bytes, source: str) -> None:
    """There everybody is a user, and whoever waits for seconds gives way."""
    with (
        site(tmp_path, is_open=True, max_requests=4, max_streams=4) as served,
        crowd(served.url, sent, 60, source),
    ):
        assert httpx.get(f"{served.url}/healthz").status_code == 200
        until(lambda: _is_answered(served), 10)
        until(lambda: _is_followed(served), 10)


def _is_answered(served: Site) -> bool:
    return served.ask().status_code == 200


def _is_followed(served: Site) -> bool:
    try:
        with served.follow() as followed:
            _query_over(followed, None)
    except (InvalidStatus, ConnectionClosed):
        return False
    return True


def test_health_is_told_where_all_connections_are_in_use(tmp_path: Path) -> None:
    """Each is a user's, with something under way."""
    with site(tmp_path, max_connections=8, max_streams=20) as served, ExitStack() as stack:
        assert served.person is not None
        slow = with_field(SLOW_QUERY, f"Authorization: Bearer {served.person.token}")
        id = _waiting_job(tmp_path)
        for _ in range(4):
            followed = stack.enter_context(served.follow(served.person.bearer))
            for message in opening(id):
                followed.send(message)
            assert [json.loads(followed.recv(20))["type"] for _ in range(2)][1] == "next"
        stack.enter_context(crowd(served.url, slow, 4))
        began = time.monotonic()
        answer = served.ask()
        # The four that send nothing give way after two seconds.
        if time.monotonic() - began < 1:
            assert answer.status_code == 503
            assert "DICOM_GRAPH_MAX_CONNECTIONS" in answer.text
        stack.enter_context(crowd(served.url, b"", 40))
        for path in ("/healthz", "/readyz"):
            assert httpx.get(served.url + path).status_code == 200


def _waiting_job(folder: Path) -> int:
    database = Database(f"sqlite:///{folder / 'database.sqlite3'}")
    with database.writer.begin() as connection:
        id = create_job(connection, JobRequest(("/nowhere",), origin=JobOrigin.PYTHON))
    database.close_writer()
    return id
