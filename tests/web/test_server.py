"""The running server, as clients see it: over HTTP and WebSocket, from import to the values."""

import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from sqlalchemy import create_engine, text
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.typing import Origin, Subprotocol

from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from tests.support.contents import Tables
from tests.support.make import make_file, make_series
from tests.support.server import Server, running_server
from tests.support.waiting import until

JOB = """
  id status paths mode pattern stopOnError found processed created updated existing skipped failed
  error startedAt finishedAt imagesPerSecond failures { path message code }
"""
IMPORT = """
mutation ($input: ImportPathInput!) {
  importPath(input: $input) { job { id status } errors { message field code } }
}
"""
FOLLOW = f"subscription ($id: ID!) {{ importProgress(jobId: $id) {{ {JOB} }} }}"
WALK = """
{ patients { totalCount nodes { uid studies { nodes { series { nodes { modality
  images { totalCount nodes { number header {
    element(keyword: "EchoTime") { tag value values { raw } definition { vr keyword } }
    elements(keywords: ["RequestAttributesSequence"]) { items { elements { keyword value } } }
} } } } } } } } } }
"""
UNKNOWN_JOB = "SW1wb3J0Sm9iOjk5"
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])


@asynccontextmanager
async def http(server: Server) -> AsyncIterator[AsyncClientSession]:
    transport = AIOHTTPTransport(f"{server.url}/graphql")
    async with Client(transport=transport, fetch_schema_from_transport=True) as session:
        yield session


@asynccontextmanager
async def websocket(server: Server) -> AsyncIterator[AsyncClientSession]:
    transport = WebsocketsTransport(
        f"{server.websocket_url}/graphql",
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
    )
    async with Client(transport=transport) as session:
        yield session


async def start_import(server: Server, path: Path | str, **options: Any) -> dict[str, Any]:
    """The payload of `importPath`."""
    async with http(server) as session:
        query = GraphQLRequest(IMPORT, variable_values={"input": {"path": str(path), **options}})
        return dict((await session.execute(query))["importPath"])


async def follow(server: Server, job_id: str) -> list[dict[str, Any]]:
    """All that `importProgress` tells of a job, to its end."""
    async with websocket(server) as session:
        query = GraphQLRequest(FOLLOW, variable_values={"id": job_id})
        return [result["importProgress"] async for result in session.subscribe(query)]


async def ask(server: Server, query: str, **variables: Any) -> Any:
    async with http(server) as session:
        return await session.execute(GraphQLRequest(query, variable_values=variables))


async def test_import_follow_and_walk_to_the_values(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    make_series(folder, 3)
    (folder / "notes.txt").write_text("no DICOM")
    (folder / "bad.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 99)
    payload = await start_import(server, folder, mode="FULL")
    assert payload["errors"] == []
    told = await follow(server, payload["job"]["id"])
    last = told[-1]
    assert last["status"] == "COMPLETED"
    assert [job["status"] for job in told[:-1]].count("COMPLETED") == 0
    counts = {"found": 5, "processed": 5, "created": 3, "updated": 0, "existing": 0, "skipped": 1,
              "failed": 1}  # fmt: skip
    assert {name: last[name] for name in counts} == counts
    assert [failure["path"] for failure in last["failures"]] == [str(folder / "bad.dcm")]
    assert last["failures"][0]["code"] == "TRUNCATED"
    assert last["imagesPerSecond"] > 0
    assert last["startedAt"] <= last["finishedAt"]
    assert (last["paths"], last["mode"]) == ([str(folder)], "FULL")
    data = await ask(server, WALK)
    (patient,) = data["patients"]["nodes"]
    (study,) = patient["studies"]["nodes"]
    (series,) = study["series"]["nodes"]
    assert (patient["uid"], series["modality"]) == ("patient-1", "MR")
    assert [image["number"] for image in series["images"]["nodes"]] == [1, 2, 3]
    element = series["images"]["nodes"][0]["header"]["element"]
    assert element["value"] == 2.5
    assert element["values"] == [{"raw": "2.5"}]
    assert element["definition"] == {"vr": "DS", "keyword": "EchoTime"}


async def test_import_with_pattern_and_stop_on_error(server: Server, tmp_path: Path) -> None:
    make_series(tmp_path / "a", 2)
    (tmp_path / "a" / "0000.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 99)
    options = {"pattern": "*.dcm", "stopOnError": True, "mode": "MINIMAL"}
    payload = await start_import(server, tmp_path / "a", **options)
    last = (await follow(server, payload["job"]["id"]))[-1]
    assert (last["status"], last["failed"], last["created"]) == ("FAILED", 1, 0)
    assert "0000.dcm" in last["error"]
    assert (last["pattern"], last["stopOnError"], last["mode"]) == ("*.dcm", True, "MINIMAL")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/", "outside the import roots"),
        ("{root}/../elsewhere", "outside the import roots"),
        ("{root}/nothing", "does not exist"),
        ("", "not a path"),
        ("{root}/a\x00b", "not a path"),
    ],
)
@on_sqlite
async def test_a_wrong_path_is_an_error_in_the_payload_and_starts_nothing(
    server: Server, tmp_path: Path, path: str, message: str
) -> None:
    payload = await start_import(server, path.format(root=tmp_path))
    (error,) = payload["errors"]
    assert payload["job"] is None
    assert (error["field"], error["code"]) == ("path", "FORBIDDEN_PATH")
    assert message in error["message"]
    data = await ask(server, "{ importJobs { totalCount } }")
    assert data["importJobs"]["totalCount"] == 0


async def test_a_wrong_pattern_is_an_error_in_the_payload(server: Server, tmp_path: Path) -> None:
    for pattern in ("", "x" * 1001, "a\x00b", "a\nb", "\ud800"):
        payload = await start_import(server, tmp_path, pattern=pattern)
        (error,) = payload["errors"]
        assert payload["job"] is None
        assert (error["field"], error["code"]) == ("pattern", "BAD_PATTERN")
    assert Tables(Database(server.settings.database_url))["import_job"] == []


async def test_import_jobs_are_listed_latest_first(server: Server, tmp_path: Path) -> None:
    ids = []
    for name in ("a", "b"):
        make_file(tmp_path / name / "1.dcm")
        payload = await start_import(server, tmp_path / name)
        ids.append(payload["job"]["id"])
        await follow(server, ids[-1])
    query = f"""query ($id: ID!) {{ importJobs {{ totalCount nodes {{ id paths }} }}
      importJob(id: $id) {{ {JOB} }} }}"""
    data = await ask(server, query, id=ids[0])
    assert [job["id"] for job in data["importJobs"]["nodes"]] == ids[::-1]
    assert data["importJobs"]["totalCount"] == 2
    assert data["importJob"]["paths"] == [str(tmp_path / "a")]
    assert data["importJob"]["created"] == 1


@on_sqlite
async def test_unknown_jobs(server: Server, tmp_path: Path) -> None:
    data = await ask(server, "query ($id: ID!) { importJob(id: $id) { id } }", id=UNKNOWN_JOB)
    assert data["importJob"] is None
    for job_id, message in (
        (UNKNOWN_JOB, "no such import job"), ("UGF0aWVudDox", "Patient"), ("?", "not an id"),
    ):  # fmt: skip
        with pytest.raises(TransportQueryError, match=message):
            await follow(server, job_id)


async def request(server: Server, method: str = "POST", **options: Any) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.request(method, f"{server.url}/graphql", **options)


def raw(body: bytes, content_type: str = "application/json") -> dict[str, Any]:
    return {"content": body, "headers": {"content-type": content_type}}


BAD_REQUESTS: dict[str, tuple[str, dict[str, Any], str]] = {
    "malformed": ("POST", raw(b'{"query": '), "JSON"),
    "no text": ("POST", raw(b"\xc3\x28"), "JSON"),
    "deep": ("POST", raw(b"[" * 100_000), "JSON"),
    "a text": ("POST", raw(b'"{ __typename }"'), "JSON object"),
    "a number": ("POST", raw(b"5"), "JSON object"),
    "null": ("POST", raw(b"null"), "No GraphQL query"),
    "a list": ("POST", raw(b"[]"), "Batching"),
    "nothing": ("POST", raw(b"{}"), "No GraphQL query"),
    "query no text": ("POST", raw(b'{"query": 5}'), "`query`"),
    "bad variables": ("POST", raw(b'{"query": "{a}", "variables": "x"}'), "`variables`"),
    "no JSON": ("POST", raw(b"{ __typename }", "text/plain"), "Content-Type: application/json"),
    "GET without query": ("GET", {}, "No GraphQL query"),
    "GET with bad variables": (
        "GET", {"params": {"query": "{__typename}", "variables": "{"}}, "JSON",
    ),
    "mutation over GET": (
        "GET", {"params": {"query": 'mutation { importPath(input: {path: "/"}) { job { id } } }'}},
        "mutations are not allowed",
    ),
    "subscription over POST": (
        "POST", {"json": {"query": f'subscription {{ importProgress(jobId: "{UNKNOWN_JOB}") '
                                   "{ id } }"}}, "subscriptions are not allowed",
    ),
    "subscription over GET": (
        "GET", {"params": {"query": f'subscription {{ importProgress(jobId: "{UNKNOWN_JOB}") '
                                    "{ id } }"}}, "subscriptions are not allowed",
    ),
    "unknown operation": (
        "POST", {"json": {"query": "query A { __typename }", "operationName": "B"}}, '"B"',
    ),
    "several operations": (
        "POST", {"json": {"query": "query A { __typename } query B { __typename }"}},
        "2 operations",
    ),
    "no operation": (
        "POST", {"json": {"query": "fragment F on Query { __typename }"}}, "no operation",
    ),
    "an operation named by an object": (
        "POST", {"json": {"query": "query A { __typename }", "operationName": {}}}, "operation",
    ),
    "an operation named by a list": (
        "POST", {"json": {"query": "query A { __typename }", "operationName": ["A"]}}, "operation",
    ),
}  # fmt: skip


@on_sqlite
async def test_bad_requests_are_refused_with_a_reason(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for name, (method, options, reason) in BAD_REQUESTS.items():
        response = await request(server, method, **options)
        assert response.status_code == 400, name
        assert reason in response.json()["errors"][0]["message"], name
        assert response.headers["content-type"].startswith("application/json"), name
        assert "Traceback" not in response.text
        # As events, where a subscription is right.
        if method == "POST" and not name.startswith("subscription"):
            options.setdefault("headers", {})["accept"] = "text/event-stream"
            response = await request(server, method, **options)
            assert reason in response.text.replace('\\"', '"'), name
            assert "INTERNAL" not in response.text, name
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert (await request(server, "PUT")).status_code == 405


@on_sqlite
async def test_events_are_for_who_prefers_them(server: Server) -> None:
    # What urql 5 sends, and graphql-sse; then what RFC 9110 says of weights and of order.
    of_urql = (
        "application/graphql-response+json, application/graphql+json, application/json, "
        "text/event-stream, multipart/mixed"
    )
    for accept, is_stream in (
        (of_urql, False), ("text/event-stream", True), ("text/event-stream, multipart/mixed", True),
        ("text/event-stream, application/json", True),
        ("application/json;q=0.5, text/event-stream", True),
        ("text/event-stream;q=0.5, application/json", False), ("text/event-stream;q=0", False),
        ("*/*", False),
    ):  # fmt: skip
        headers = {"accept": accept}
        answer = await request(server, json={"query": "{ __typename }"}, headers=headers)
        kind = "text/event-stream" if is_stream else "application/"
        assert answer.headers["content-type"].startswith(kind), accept
        assert ("event: next" in answer.text) == is_stream, accept


@on_sqlite
async def test_wrong_queries_are_graphql_errors(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for query, reason in (
        ("{", "Syntax Error"), ("{ nope }", "Cannot query field 'nope'"),
        ("{ patientByUid { uid } }", "uid"), ('{ node(id: "x") { id } }', "not an id"),
    ):  # fmt: skip
        response = await request(server, json={"query": query})
        answer = response.json()
        assert response.status_code in (200, 400)
        assert reason in answer["errors"][0]["message"]
        assert not any((answer.get("data") or {}).values())
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_uids_that_no_patient_has(server: Server) -> None:
    query = "query ($u: String!) { patientByUid(uid: $u) { uid } }"
    for uid in ("", "\x00", "\ud800", "'; --", "x" * 100_000):
        body = json.dumps({"query": query, "variables": {"u": uid}})
        answer = (await request(server, **raw(body.encode()))).json()
        assert answer == {"data": {"patientByUid": None}}


async def test_an_internal_error_gives_an_id_and_no_patient_data(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    with Database(server.settings.database_url).writer.begin() as connection:
        connection.execute(text("ALTER TABLE patient RENAME TO gone"))
    query = "query ($u: String!) { patientByUid(uid: $u) { uid } }"
    variables = {"u": "ZYXWV^SECRET"}
    response = await request(server, json={"query": query, "variables": variables})
    (error,) = response.json()["errors"]
    assert error["message"].startswith("internal error ")
    assert error["extensions"]["code"] == "INTERNAL"
    assert error["extensions"]["id"] in caplog.text
    assert "patient_1" not in response.text
    assert "SECRET" not in response.text + caplog.text
    assert all(word not in response.text for word in ("gone", "SELECT", "Traceback", "table"))


async def test_health(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        for path in ("/healthz", "/readyz"):
            response = await client.get(path)
            assert (response.status_code, response.json()) == (200, {"status": "ok"})


@on_postgresql
async def test_readyz_tells_when_the_database_is_gone_and_when_it_is_back(
    server: Server, postgres_url: str
) -> None:
    name = server.settings.database_url.rpartition("/")[2].partition("?")[0]
    driver_url = postgres_url.replace("postgresql://", "postgresql+psycopg://", 1)
    admin = create_engine(driver_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": name},
        )
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.get("/healthz")).status_code == 200
            answer = await client.post("/graphql", json={"query": "{ patients { totalCount } }"})
            assert answer.json()["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
            assert (await client.get("/readyz")).status_code == 200
            answer = await client.post("/graphql", json={"query": "{ patients { totalCount } }"})
            assert answer.json() == {"data": {"patients": {"totalCount": 0}}}
    admin.dispose()


@on_sqlite
async def test_graphiql_and_its_files_are_served(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url) as client:
        page = await client.get("/graphql", headers={"accept": "text/html,*/*;q=0.8"})
        assert page.status_code == 200
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "data-viewer" not in page.text
        (example,) = re.findall('data-example="(.*?)"', page.text, re.DOTALL)
        answer = await client.post("/graphql", json={"query": unescape(example)})
        assert answer.json() == {"data": {"series": {"nodes": []}}}
        for name in ("graphiql.min.js", "graphiql.min.css", "start.js"):
            assert f"static/graphiql/{name}" in page.text
            file = await client.get(f"/static/graphiql/{name}")
            assert file.status_code == 200
            assert len(file.content) > 100
        assert (await client.get("/static/../graphql.py")).status_code == 404
        home = await client.get("/")
        assert home.is_redirect
        assert home.headers["location"] == "/graphql"
        page = await client.get("/", headers={"accept": "text/html"})
        assert page.status_code == 200
        assert "static/app/" in page.text


@on_sqlite
async def test_a_query_by_get(server: Server) -> None:
    response = await request(server, "GET", params={"query": "{ __typename }"})
    assert response.json() == {"data": {"__typename": "Query"}}
    assert response.headers["content-type"].startswith("application/json")


@on_sqlite
async def test_the_legacy_websocket_protocol_is_refused(server: Server) -> None:
    url = f"{server.websocket_url}/graphql"
    async with connect(url, subprotocols=[Subprotocol("graphql-ws")]) as legacy:
        with pytest.raises(ConnectionClosedError) as caught:
            await legacy.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4406


@on_sqlite
async def test_another_site_cannot_open_a_websocket(server: Server) -> None:
    options = {"subprotocols": [Subprotocol("graphql-transport-ws")]}
    url = f"{server.websocket_url}/graphql"
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, origin=Origin("https://elsewhere.example"), **options)
    assert caught.value.response.status_code == 403
    async with connect(url, origin=Origin(server.url), **options) as same_site:
        await same_site.send('{"type": "connection_init"}')
        assert json.loads(await same_site.recv())["type"] == "connection_ack"


async def test_a_server_that_stops_during_an_import_leaves_it_to_the_next(
    database_url: str, tmp_path: Path
) -> None:
    make_series(tmp_path / "a", 200)
    settings = Settings(
        database_url=database_url, import_roots=[tmp_path], batch_size=1, _env_file=None
    )
    database = Database(database_url)

    def job() -> dict[str, Any]:
        return Tables(database, "import_job")["import_job"][0]

    with running_server(settings) as server:
        job_id = (await start_import(server, tmp_path / "a"))["job"]["id"]
        until(lambda: job()["images_created"] > 0)
    assert job()["status"] == "INTERRUPTED"
    assert 0 < job()["images_created"] < 200
    with running_server(settings) as server:
        last = (await follow(server, job_id))[-1]
    assert (last["status"], last["created"], last["existing"]) == ("COMPLETED", 200, 0)
    database.close_writer()
