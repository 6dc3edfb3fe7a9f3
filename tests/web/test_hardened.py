"""What scanners such as graphql-cop look for, what each response carries, and how much is taken."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dicom_graph.settings import Settings, SettingsError
from dicom_graph.web.app import create_app
from tests.conformance.graphql_cop import CHECKS, Check
from tests.support.server import Server, running_server

TYPENAME = "{ __typename }"
ANSWER = {"data": {"__typename": "Query"}}
MUTATION = 'mutation { importPath(input: { path: "/" }) { errors { code } } }'
RESPONSE_JSON = "application/graphql-response+json"


def settings(folder: Path, **given: Any) -> Settings:
    return Settings(
        database_url=f"sqlite:///{folder / 'database.sqlite3'}", _env_file=None, **given
    )


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(settings(tmp_path_factory.mktemp("plain"))) as server:
        yield f"{server.url}/graphql"


@pytest.fixture(scope="module")
def hardened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    given = settings(
        tmp_path_factory.mktemp("hard"), introspection=False, graphiql=False, get_queries=False
    )
    with running_server(given) as server:
        yield f"{server.url}/graphql"


def post(url: str, query: Any, **options: Any) -> Any:
    return httpx.post(url, json={"query": query}, **options).json()


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.title)
def test_what_graphql_cop_looks_for(plain: str, hardened: str, check: Check) -> None:
    """A hardened server has no finding; any other only what helps to explore."""
    assert not check.is_found(hardened)
    assert check.is_found(plain) == check.is_choice


def test_a_batch_that_is_refused_names_the_setting(plain: str) -> None:
    answer = httpx.post(plain, json=[{"query": TYPENAME}] * 10)
    assert answer.status_code == 400
    assert "DICOM_GRAPH_MAX_BATCH" in answer.text


def test_no_other_site_can_make_a_form_ask(plain: str) -> None:
    for given in (
        {"data": {"query": TYPENAME}}, {"params": {"query": TYPENAME}},
        {"content": json.dumps({"query": TYPENAME}), "headers": {"content-type": "text/plain"}},
        {"files": {"operations": (None, json.dumps({"query": TYPENAME}))}},
    ):  # fmt: skip
        options: dict[str, Any] = given
        assert httpx.post(plain, **options).status_code == 400
    answer = httpx.get(plain, params={"query": MUTATION})
    assert 400 <= answer.status_code < 500


def test_a_hardened_server_tells_nothing_of_itself(hardened: str) -> None:
    assert post(hardened, TYPENAME) == ANSWER
    assert "mean" not in json.dumps(post(hardened, "{ patient { uid } }"))


@pytest.mark.parametrize(
    ("method", "path", "options"),
    [
        ("POST", "/graphql", {"json": {"query": TYPENAME}}),
        ("POST", "/graphql", {"json": {"query": "{"}}),
        ("POST", "/graphql", {"content": b"x" * 2_000_000}),
        ("GET", "/graphql", {"headers": {"accept": "text/html"}}),
        ("GET", "/login", {}),
        ("GET", "/healthz", {}),
        ("GET", "/nothing", {}),
        ("PUT", "/graphql", {}),
        ("GET", "/healthz", {"headers": {"host": "evil.example"}}),
        ("POST", "/graphql", {"headers": {"sec-fetch-site": "cross-site"}}),
    ],
)
def test_each_response_has_the_headers(
    plain: str, method: str, path: str, options: dict[str, Any]
) -> None:
    headers = httpx.request(method, plain.replace("/graphql", path), **options).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not any(name.startswith("access-control-") for name in headers)
    assert "server" not in headers


def test_scripts_may_be_cached(plain: str) -> None:
    answer = httpx.get(plain.replace("/graphql", "/static/graphiql/start.js"))
    assert "max-age" in answer.headers["cache-control"]


def test_the_answer_is_of_the_type_that_is_asked_for(plain: str) -> None:
    for accept, type_, bad in (
        (RESPONSE_JSON, RESPONSE_JSON, 400), ("application/json", "application/json", 200),
        ("*/*", "application/json", 200),
        (f"{RESPONSE_JSON}, application/json;q=0.9", RESPONSE_JSON, 400),
    ):  # fmt: skip
        headers = {"accept": accept}
        good = httpx.post(plain, json={"query": TYPENAME}, headers=headers)
        assert (good.status_code, good.json()) == (200, ANSWER)
        assert good.headers["content-type"] == f"{type_}; charset=utf-8"
        wrong = httpx.post(plain, json={"query": "{ nope }"}, headers=headers)
        assert wrong.status_code == bad
        assert wrong.json().keys() == {"errors"}


def test_events_over_http(plain: str) -> None:
    headers = {"accept": "text/event-stream"}
    answer = httpx.post(plain, json={"query": TYPENAME}, headers=headers)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert "no-store" in answer.headers["cache-control"]
    events = [line for line in answer.text.splitlines() if line]
    assert events[:2] == ["event: next", 'data: {"data":{"__typename":"Query"}}']
    assert events[2] == "event: complete"
    refused = httpx.get(plain, params={"query": MUTATION}, headers=headers)
    assert '"errors"' in refused.text
    assert "FORBIDDEN_PATH" not in refused.text


def test_a_body_that_is_too_large(plain: str) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b" " * 50_000

    for content in (b" " * 1_048_577, chunks()):
        headers = {"content-type": "application/json"}
        answer = httpx.post(plain, content=content, headers=headers)
        assert answer.status_code == 413
        error = answer.json()["errors"][0]
        assert error["extensions"]["code"] == "BODY_TOO_LARGE"
        assert "at most 1,048,576" in error["message"]


def test_a_message_that_is_too_large(plain: str) -> None:
    url = plain.replace("http", "ws", 1)
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        socket.send(" " * 1_048_577)
        with pytest.raises(ConnectionClosedError) as caught:
            socket.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009


def test_one_request_too_many(tmp_path: Path) -> None:
    """A body that does not end keeps its request open."""
    with running_server(settings(tmp_path, max_requests=2, max_streams=1)) as server:
        asyncio.run(_one_request_too_many(server))


async def _one_request_too_many(server: Server) -> None:
    host, _, port = server.url.removeprefix("http://").partition(":")
    head = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    waiting = []
    for _ in range(2):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(
            head.replace("\r\n\r\n", "\r\nContent-Type: application/json\r\n\r\n").encode()
        )
        await writer.drain()
        waiting.append((reader, writer))
    async with httpx.AsyncClient() as client:
        for _ in range(100):
            answer = await client.post(f"{server.url}/graphql", json={"query": TYPENAME})
            if answer.status_code == 503:
                break
            await asyncio.sleep(0.02)
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert "2 others" in answer.json()["errors"][0]["message"]
        assert (await client.get(f"{server.url}/readyz")).status_code == 200
        for _, writer in waiting:
            writer.close()
            await writer.wait_closed()
        for _ in range(100):
            answer = await client.post(f"{server.url}/graphql", json={"query": TYPENAME})
            if answer.status_code == 200:
                break
            await asyncio.sleep(0.02)
        assert answer.json() == ANSWER
    await asyncio.to_thread(_one_websocket_too_many, f"{server.websocket_url}/graphql")


def _one_websocket_too_many(url: str) -> None:
    protocol = [Subprotocol("graphql-transport-ws")]
    with (
        connect(url, subprotocols=protocol),
        pytest.raises(InvalidStatus),
        connect(url, subprotocols=protocol),
    ):
        pass


def test_batches_where_they_are_turned_on(tmp_path: Path) -> None:
    with running_server(settings(tmp_path, max_batch=3)) as server:
        url = f"{server.url}/graphql"
        assert httpx.post(url, json=[{"query": TYPENAME}] * 3).json() == [ANSWER] * 3
        refused = httpx.post(url, json=[{"query": TYPENAME}] * 4)
        assert refused.status_code == 400
        assert "4 operations; 1 to 3" in refused.text
        assert httpx.post(url, json=[1]).status_code == 400


def test_trusted_documents(tmp_path: Path) -> None:
    other = "query Count { patients { totalCount } }"
    path = tmp_path / "documents.json"
    path.write_text(json.dumps({"type": TYPENAME, "count": other}))
    digest = hashlib.sha256(TYPENAME.encode()).hexdigest()
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": digest}}
    with running_server(settings(tmp_path, trusted_documents=path)) as server:
        url = f"{server.url}/graphql"
        for body in (
            {"documentId": "type"}, {"documentId": f"sha256:{digest}"}, {"query": TYPENAME},
            {"extensions": persisted},
        ):  # fmt: skip
            assert httpx.post(url, json=body).json() == ANSWER
        by_get = {"extensions": json.dumps(persisted)}
        assert httpx.get(url, params=by_get).json() == ANSWER
        assert httpx.get(url, params={"documentId": "type"}).json() == ANSWER
        answer = post(url, "{ patients { totalCount } }")
        assert answer["errors"][0]["extensions"]["code"] == "UNTRUSTED_DOCUMENT"
        assert httpx.post(url, json={"documentId": "nothing"}).status_code == 400
        protocol = [Subprotocol("graphql-transport-ws")]
        with connect(url.replace("http", "ws", 1), subprotocols=protocol) as socket:
            socket.send('{"type": "connection_init"}')
            socket.recv()
            for payload, words in (
                ({"documentId": "type"}, '"__typename":"Query"'),
                ({"query": other}, '"totalCount":0'),
                ({"query": "{ images { totalCount } }"}, "UNTRUSTED_DOCUMENT"),
            ):
                message = {"id": "1", "type": "subscribe", "payload": payload}
                socket.send(json.dumps(message))
                assert words in socket.recv()
                if "UNTRUSTED" not in words:
                    assert "complete" in socket.recv()


@pytest.mark.parametrize("content", ["[]", '{"a": 1}', "{", None])
def test_trusted_documents_that_cannot_be_read(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "documents.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match=r"DICOM_GRAPH_TRUSTED_DOCUMENTS: .*documents\.json"):
        create_app(settings(tmp_path, trusted_documents=path))
