"""A server without introspection names nothing of its schema that was not named to it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from graphql import GraphQLEnumType, GraphQLInputObjectType, GraphQLObjectType
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dicom_graph.graph.schema import schema
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.migrate import upgrade
from tests.support.server import Server, running_server

WRONG_DOCUMENTS = [
    "{ patient { uid } }", "{ sereis { totalCount } }", "{ series }", "{ series { totalCuont } }",
    "{ series { nodes { echoTim } } }", "{ series { nodes { uid { x } } } }",
    "{ series(frist: 1) { totalCount } }", "{ series(first: {}) { totalCount } }",
    "{ series(filter: 5) { totalCount } }", "{ series(filter: { modalty: {} }) { totalCount } }",
    '{ series(filter: { modality: "MR" }) { totalCount } }',
    '{ series(filter: { modality: { equals: "MR" } }) { totalCount } }',
    '{ series(filter: { sequenceType: { eq: MPRAG } }) { totalCount } }',
    "{ series(orderBy: [{ feild: ID }]) { totalCount } }",
    "{ series(orderBy: [{ field: ECHO_TIM }]) { totalCount } }",
    "{ series(orderBy: [{ field: {} }]) { totalCount } }",
    '{ images(filter: { header: { element: { keywrd: "x" } } }) { totalCount } }',
    '{ images(filter: { header: { csa: [{ text: {} }] } }) { totalCount } }',
    '{ facet(entity: SERIE, field: UID) { value } }', '{ facet(field: UID) { value } }',
    '{ facet(entity: SERIES, field: ECHO_TIM) { value } }',
    '{ series { aggregate(field: ECHO_TIM) { min } } }',
    '{ facet(entity: IMAGE, keyword: "EchoTim") { value } }',
    '{ node(id: "U2VyaWVzOjE=") { ... on Serie { uid } } }',
    '{ node(id: "U2VyaWVzOjE=") { ... on Role { uid } } }',
    '{ node(id: "U2VyaWVzOjE=") { ... on SeriesFilter { uid } } }',
    "query ($x: Serie) { series(filter: $x) { totalCount } }",
    "query ($x: Int) { series(filter: $x) { totalCount } }",
    "query ($x: Query) { __typename }",
    "mutation { importPath { job { id } } }", "mutation { importPath(input: {}) { job { id } } }",
    'mutation { importPath(input: { path: "/x", mode: FUL }) { job { id } } }',
    "mutation { updateSeries(input: { id: 5, echoTim: 1 }) { errors { code } } }",
    "mutation { importPaths { job { id } } }", "mutation { uploadImages { job { id } } }",
    "subscription { importProgres { status } }", "subscription { importProgress { status } }",
    "{ series(first: 1, first: 2) { totalCount } }", "{ series @skp(if: true) { totalCount } }",
    "{ a: series { totalCount } a: images { totalCount } }", "{ ...F } fragment F on Queri { x }",
    "fragment F on Series { study { id } } { series { nodes { ...F study { id: uid } } } }",
]  # fmt: skip
WRONG_VARIABLES: list[dict[str, Any]] = [
    {"f": {"modalty": {"eq": "MR"}}}, {"f": {"modality": "MR"}}, {"f": {"modality": {"eq": 5}}},
    {"f": {"modality": {"equals": "MR"}}}, {"f": {"sequenceType": {"eq": "MPRAG"}}},
    {"f": {"patient": {"nam": {}}}}, {"f": []}, {"f": "x"}, {"f": {"and": [{"ro": []}]}},
    {"f": {"images": {"some": {"numbr": {}}}}}, {"f": {"study": {"date": {"eq": "yesterday"}}}},
]  # fmt: skip


def names() -> set[str]:
    """What the schema calls its parts, but for words that are also English, and codes of errors,
    which every answer may have.
    """
    found: set[str] = set()
    for name, kind in schema._schema.type_map.items():
        found.add(name)
        if isinstance(kind, GraphQLEnumType) and name != "ErrorCode":
            found.update(kind.values)
        if isinstance(kind, GraphQLObjectType | GraphQLInputObjectType):
            for field, value in kind.fields.items():
                found.add(field)
                found.update(getattr(value, "args", {}))
    return {name for name in found if not re.fullmatch("_.*|[A-Z]?[a-z]+|[A-Z]+", name)}


NAMES = names()


def told(sent: str, answer: str) -> set[str]:
    """The names in an answer that were not sent; every error has its request's id."""
    words = set(re.findall(r"\w+", answer.replace('"requestId"', ""))) & NAMES
    return words - set(re.findall(r"\w+", sent))


@pytest.fixture(scope="module", params=[False, True], ids=["closed", "open"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    url = f"sqlite:///{tmp_path_factory.mktemp('names') / 'database.sqlite3'}"
    database = Database(url)
    upgrade(database)
    database.close_writer()
    with running_server(
        Settings(database_url=url, introspection=request.param, max_batch=100, _env_file=None)
    ) as running:
        yield running


def answers(server: Server) -> Iterator[tuple[str, str]]:
    """What was sent and answered, each way."""
    with httpx.Client(base_url=server.url, timeout=30) as client:
        for document in WRONG_DOCUMENTS:
            answer = client.post("/graphql", json={"query": document})
            assert answer.status_code == 400 or "errors" in answer.json(), document
            yield document, answer.text
        whole = [{"query": document} for document in WRONG_DOCUMENTS]
        yield json.dumps(whole), client.post("/graphql", json=whole).text
        query = "query ($f: SeriesFilter) { series(filter: $f) { totalCount } }"
        for variables in WRONG_VARIABLES:
            body = {"query": query, "variables": variables}
            answer = client.post("/graphql", json=body)
            assert "errors" in answer.json(), variables
            yield json.dumps(body), answer.text
            given = json.dumps(variables["f"])
            answer = client.get("/series.csv", params={"filter": given})
            assert answer.status_code == 400, given
            yield given, answer.text
        for column in ("EchoTim", "PatientNam", "Sequence[0].EchoTim"):
            answer = client.get("/series.csv", params={"column": column})
            assert answer.status_code == 400
            yield column, answer.text


def test_only_an_open_server_suggests_names(server: Server) -> None:
    found = [
        (sent, names)
        for sent, answer in answers(server)
        if (names := told(sent, answer)) or "did you mean" in answer.lower()
    ]
    if server.settings.introspection:
        assert len(found) > 30
    else:
        assert found == []


def test_nor_by_websocket_or_event(server: Server) -> None:
    found = set()
    url = f"{server.websocket_url}/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        socket.send('{"type": "connection_init"}')
        socket.recv()
        for number, document in enumerate(WRONG_DOCUMENTS):
            payload = {"query": document}
            socket.send(json.dumps({"id": str(number), "type": "subscribe", "payload": payload}))
            message = str(socket.recv())
            kind = json.loads(message)["type"]
            assert kind == "error" or "errors" in json.loads(message)["payload"], message
            found |= told(document, message)
            if kind == "next":
                assert "complete" in str(socket.recv())
    for document in WRONG_DOCUMENTS:
        headers = {"Accept": "text/event-stream"}
        answer = httpx.post(f"{server.url}/graphql", json={"query": document}, headers=headers)
        found |= told(document, answer.text)
    assert bool(found) == server.settings.introspection


def test_what_was_sent_is_named_in_full(server: Server) -> None:
    answer = httpx.post(f"{server.url}/graphql", json={"query": "{ sereis { nodes { uidd } } }"})
    assert "'sereis'" in answer.text
    query = "query ($f: SeriesFilter) { series(filter: $f) { totalCount } }"
    body = {"query": query, "variables": {"f": {"modalty": {"eq": "MR"}}}}
    answer = httpx.post(f"{server.url}/graphql", json=body)
    assert "'modalty'" in answer.text
    assert "'SeriesFilter'" in answer.text
