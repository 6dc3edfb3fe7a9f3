"""Texts that no database holds, wherever a text may come from: one clear answer on both databases,
and never an error of the server.
"""

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    is_required_input_field,
)
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dicom_graph.graph.schema import schema
from dicom_graph.settings import Settings
from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from tests.support.archive import filled_database
from tests.support.commands import Run
from tests.support.csa import csa
from tests.support.make import make_data_set, save
from tests.support.people import PASSWORD, add_person
from tests.support.server import Server, running_server
from tests.support.waiting import until

ODD = ["\x00", "a\x00b", "\ud800", "x\udfffy"]
SCALARS: dict[str, Any] = {"Int": 1, "Float": 1.0, "Boolean": True, "BigInt": "1"}


def _fill(folder: Path) -> None:
    data_set = make_data_set(PatientName="A^B", PatientID="P", StudyDescription="s")
    block = data_set.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x10, "OB", csa([("B_value", "IS", 1, ["1000"])]))
    save(data_set, folder / "one.dcm")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("odd")
    (folder / "stored").mkdir()
    with filled_database(request, folder, _fill) as url:
        settings = Settings(
            database_url=url, import_roots=[folder], storage_root=folder / "stored", max_batch=9,
            _env_file=None,
        )  # fmt: skip
        with running_server(settings) as server:
            yield server


def _values(type_: Any, seen: set[tuple[str, str]]) -> Iterator[Any]:
    """Values of an input type, each with `ODD` at one of the places where a text can be.

    A field of an input type is one place, however it is reached; `seen`: those already made.
    """
    named = get_named_type(type_)
    if isinstance(type_, GraphQLNonNull):
        yield from _values(type_.of_type, seen)
    elif isinstance(type_, GraphQLList):
        yield from ([value] for value in _values(type_.of_type, seen))
    elif isinstance(named, GraphQLInputObjectType):
        for name, field in named.fields.items():
            if (named.name, name) not in seen:
                seen.add((named.name, name))
                for value in _values(field.type, seen):
                    yield {**_required(named, name), name: value}
    elif not isinstance(named, GraphQLEnumType) and named.name not in SCALARS:
        yield "ODD"


def _plain(type_: Any) -> Any:
    named = get_named_type(type_)
    if isinstance(type_, GraphQLNonNull):
        return _plain(type_.of_type)
    if isinstance(type_, GraphQLList):
        return []
    if isinstance(named, GraphQLInputObjectType):
        return _required(named, "")
    if isinstance(named, GraphQLEnumType):
        return next(iter(named.values))
    return SCALARS.get(named.name, "U2VyaWVzOjE=")


def _required(type_: GraphQLInputObjectType, but: str) -> dict[str, Any]:
    return {
        name: _plain(field.type)
        for name, field in type_.fields.items()
        if name != but and is_required_input_field(field)
    }


def _selection(type_: Any) -> str:
    return "" if is_leaf_type(get_named_type(type_)) else "{ __typename }"


def questions() -> Iterator[tuple[str, dict[str, Any]]]:
    """An operation with variables for each place of the schema's arguments for a text."""
    seen: set[tuple[str, str]] = set()
    for type_ in schema._schema.type_map.values():
        if not isinstance(type_, GraphQLObjectType) or type_.name.startswith("__"):
            continue
        for name, field in type_.fields.items():
            for argument, definition in field.args.items():
                others = {
                    other: _plain(each.type)
                    for other, each in field.args.items()
                    if other != argument and is_required_argument(each)
                }
                declared = ", ".join(f"${n}: {field.args[n].type}" for n in (argument, *others))
                passed = ", ".join(f"{n}: ${n}" for n in (argument, *others))
                asked = f"{name}({passed}) {_selection(field.type)}"
                for value in _values(definition.type, seen):
                    yield _operation(type_, declared, asked), {argument: value, **others}


def _operation(type_: GraphQLObjectType, declared: str, asked: str) -> str:
    """The operation on the first object of a type that the server has."""
    root = {schema._schema.query_type: "query", schema._schema.mutation_type: "mutation",
            schema._schema.subscription_type: "subscription"}.get(type_)  # fmt: skip
    if root:
        return f"{root} ({declared}) {{ {asked} }}"
    within = {
        "Patient": "patients { nodes { %s } }", "Study": "studies { nodes { %s } }",
        "Series": "series { nodes { %s } }", "Image": "images { nodes { %s } }",
        "Header": "images { nodes { header { %s } } }", "ImportJob": "importJobs { nodes { %s } }",
        "DataElement": "dataElements(first: 3) { nodes { %s } }",
        "PixelData": "images { nodes { pixels { %s } } }",
    }.get(type_.name, "series { %s }" if type_.name == "SeriesConnection" else "")  # fmt: skip
    return f"query ({declared}) {{ {within % asked} }}" if within else ""


def put(value: Any, odd: str) -> Any:
    """A value with a text in the place that is meant for it."""
    if isinstance(value, dict):
        return {name: put(each, odd) for name, each in value.items()}
    if isinstance(value, list):
        return [put(each, odd) for each in value]
    return odd if value == "ODD" else value


QUESTIONS = [question for question in questions() if question[0]]


def sent(client: httpx.Client, query: str, **variables: Any) -> httpx.Response:
    """The answer to an operation; httpx itself would not write half a surrogate pair."""
    body = json.dumps({"query": query, "variables": variables})
    return client.post("/graphql", content=body, headers={"Content-Type": "application/json"})


def codes(answer: httpx.Response) -> set[str]:
    assert answer.status_code < 500, answer.text
    body = answer.json()
    return {error["extensions"]["code"] for error in body.get("errors", ())}


@pytest.mark.slow
def test_every_argument_of_the_schema(site: Server) -> None:
    assert len(QUESTIONS) > 150
    with httpx.Client(base_url=site.url, timeout=60) as client:
        for number, (query, variables) in enumerate(QUESTIONS):
            if query.startswith("subscription"):
                continue
            odd = ODD[number % len(ODD)]
            answer = sent(client, query, **put(variables, odd))
            found = codes(answer)
            assert not found & {"INTERNAL", "UNAVAILABLE", "TIMEOUT"}, (
                query,
                variables,
                answer.text,
            )
            assert not found & {"BAD_SYNTAX"}, (query, answer.text)


@pytest.mark.parametrize("odd", ["\\u0000", "a\\u0000b"])
@pytest.mark.parametrize(
    ("question", "code"),
    [
        ('patients(filter: { name: { eq: "%s" } })', "BAD_INPUT"),
        ('series(search: "%s")', "BAD_INPUT"),
        ('images(filter: { header: { csa: [{ path: "%s" }] } })', "BAD_INPUT"),
        ('images(filter: { header: { csa: [{ path: "B_value", text: { eq: "%s" } }] } })',
         "BAD_INPUT"),
        ('images(filter: { header: { element: { privateCreator: "%s" } } })', "BAD_INPUT"),
        ('studies(filter: { description: { in: ["a", "%s"] } })', "BAD_INPUT"),
        ('images(orderBy: [{ element: { keyword: "%s" } }])', "BAD_INPUT"),
        ('series(after: "%s")', "BAD_CURSOR"),
    ],
)  # fmt: skip
def test_a_condition_is_refused_on_both_databases(
    site: Server, question: str, code: str, odd: str
) -> None:
    query = f"{{ {question % odd} {{ totalCount nodes {{ id }} }} }}"
    answer = httpx.post(f"{site.url}/graphql", json={"query": query})
    assert codes(answer) == {code}, answer.text
    # The same in variables, in a batch, and as a default.
    document = f'query ($x: String = "{odd}") {{ patients(search: $x) {{ totalCount }} }}'
    batch = [{"query": query}, {"query": document}]
    for each, expected in zip(
        httpx.post(f"{site.url}/graphql", json=batch).json(), (code, "BAD_INPUT"), strict=True
    ):
        assert each["errors"][0]["extensions"]["code"] == expected


@pytest.mark.parametrize("odd", ODD)
def test_no_object_has_such_a_uid(site: Server, odd: str) -> None:
    query = """query ($u: String!) { patientByUid(uid: $u) { id } studyByUid(uid: $u) { id }
      seriesByUid(uid: $u) { id } imageByUid(uid: $u) { id } }"""
    with httpx.Client(base_url=site.url) as client:
        answer = sent(client, query, u=odd).json()
    assert set(answer["data"].values()) == {None}


@pytest.mark.parametrize("odd", ODD)
def test_over_a_websocket_others_go_on(site: Server, odd: str) -> None:
    url = f"{site.websocket_url}/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": {"Authorization": odd}}))
        assert "ack" in str(socket.recv())
        query = "query ($x: String) { patients(search: $x) { totalCount } }"
        for id, text, expected in (("1", odd, "BAD_INPUT"), ("2", "A", '"totalCount":1')):
            payload = {"query": query, "variables": {"x": text}}
            socket.send(json.dumps({"id": id, "type": "subscribe", "payload": payload}))
            assert expected in str(socket.recv())
            assert "complete" in str(socket.recv())


PATHS = [
    "/images/{}.dcm", "/images/{}.npy", "/images/1{}/preview.png", "/images/{}/header.json",
    "/images/1/frames/{}.png", "/series/{}.zip", "/series/{}/volume.npy", "/studies/{}.zip",
    "/studies/1.zip?patient={}", "/patients/{}.zip", "/series.zip?uid={}", "/series.csv?column={}",
    "/series.csv?filter={}", "/series.csv?{}=1", "/static/{}", "/static/graphiql/{}/start.js",
    "/login?next={}", "/graphql?query={}", "/{}", "/healthz/{}", "/upload?mode={}",
]  # fmt: skip


@pytest.mark.parametrize("odd", ["%00", "a%00b", "%ff", "%c3", "%ed%a0%80", "%c0%80"])
def test_an_address_that_is_no_text(site: Server, odd: str) -> None:
    with httpx.Client(base_url=site.url) as client:
        for path in PATHS:
            answer = client.get(path.format(odd))
            if odd in ("%00", "a%00b") and "?" not in path:
                assert answer.status_code in (400, 404), path
                continue
            assert answer.status_code == 400, path
            (error,) = answer.json()["errors"]
            assert error.get("extensions", error)["code"] == "BAD_INPUT"
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_an_address_in_any_script_is_none_of_these(site: Server) -> None:
    with httpx.Client(base_url=site.url) as client:
        for path in PATHS:
            answer = client.get(path.format("%E5%B1%B1%F0%9F%A9%BB"))
            assert "no text" not in answer.text, path
            assert answer.status_code < 500, path


@pytest.mark.parametrize("odd", ["\\u0000", "a\\u0000b", "\\ud800", "\\udc00x"])
@pytest.mark.parametrize(
    "condition",
    ['{"modality": {"eq": "%s"}}', '{"uid": {"in": ["%s"]}}', '{"patient": {"name": {"ne": "%s"}}}',
     '{"images": {"some": {"header": {"csa": [{"path": "%s"}]}}}}'],
)  # fmt: skip
def test_the_filter_of_the_table(site: Server, condition: str, odd: str) -> None:
    answer = httpx.get(f"{site.url}/series.csv", params={"filter": condition % odd})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == "BAD_INPUT"


def test_a_body_that_is_no_text(site: Server) -> None:
    headers = {"Content-Type": "application/json"}
    for body in (b'{"query": "\xff"}', b'{"query": "\x00"}', b"\x00", b"\xff\xfe{}"):
        answer = httpx.post(f"{site.url}/graphql", content=body, headers=headers)
        assert answer.status_code == 400, body


@pytest.mark.parametrize(
    ("form", "where"),
    [({"operations": "\x00", "map": "{}"}, 400), ({"operations": "{}", "map": "\x00"}, 400),
     ({"operations": '{"query": "\\u0000"}', "map": "{}"}, 200)],
)  # fmt: skip
def test_a_form_that_is_no_text(site: Server, form: dict[str, str], where: int) -> None:
    headers = {"GraphQL-Require-Preflight": "1"}
    files = {name: (None, text.encode()) for name, text in form.items()}
    answer = httpx.post(f"{site.url}/graphql", files=files, headers=headers)
    assert answer.status_code == where


@pytest.mark.parametrize("name", [b"a\x00b.dcm", b"\xff.dcm", b"\xed\xa0\x80", b""])
def test_a_name_of_an_upload_that_is_no_text(site: Server, name: bytes) -> None:
    head = b'--x\r\nContent-Disposition: form-data; name="f"; filename="' + name + b'"\r\n\r\n'
    headers = {"Content-Type": "multipart/form-data; boundary=x", "GraphQL-Require-Preflight": "1"}
    answer = httpx.post(
        f"{site.url}/upload?wait=true", content=head + b"no DICOM\r\n--x--\r\n", headers=headers,
        timeout=60,
    )  # fmt: skip
    assert answer.status_code in (200, 400), answer.text
    assert "\x00" not in answer.text


@pytest.mark.parametrize("path", ["\x00", "/tmp/\x00", "/tmp/a\ud800", "\udcff"])
def test_a_path_to_import(site: Server, path: str) -> None:
    query = """mutation ($p: String!) { importPath(input: { path: $p }) { errors { code } } }"""
    with httpx.Client(base_url=site.url) as client:
        answer = sent(client, query, p=path).json()
    assert answer["data"]["importPath"]["errors"] == [{"code": "FORBIDDEN_PATH"}]


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def closed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """A server that asks for a name, with an audit log that answers need."""
    folder = tmp_path_factory.mktemp("closed")
    with filled_database(request, folder, _fill) as url:
        database = Database(url)
        add_person(database, "Jo", "ADMIN")
        database.close_writer()
        with running_server(
            Settings(
                database_url=url, audit="required", audit_file=folder / "audit", _env_file=None
            )
        ) as server:
            yield server


@pytest.mark.parametrize(
    ("name", "password"),
    [("\x00", "x"), ("Jo\x00", PASSWORD), ("\x00Jo", PASSWORD), ("Jo", f"{PASSWORD}\x00"),
     ("Jo", "\x00"), ("\x00", "\x00")],
)  # fmt: skip
def test_a_name_or_password_that_no_database_holds_is_wrong(
    closed: Server, name: str, password: str
) -> None:
    given = base64.b64encode(f"{name}:{password}".encode()).decode()
    ask = {"query": "{ __typename }"}
    headers = {"Authorization": f"Basic {given}", "X-Forwarded-For": "x"}
    answer = httpx.post(f"{closed.url}/graphql", json=ask, headers=headers)
    assert answer.status_code in (401, 429)
    with httpx.Client(base_url=closed.url) as browser:
        form = browser.get("/login").text.partition('name="form" value="')[2].partition('"')[0]
        fields = {"form": form, "name": name, "password": password, "next": name}
        assert browser.post("/login", data=fields).status_code in (401, 429)


def test_what_was_tried_is_in_the_audit_log(closed: Server) -> None:
    headers = {"X-Request-ID": "odd-1", "Authorization": "Basic AFhZOng="}
    httpx.post(f"{closed.url}/graphql", json={}, headers=headers)
    query = '{ auditEntries(filter: { requestId: { eq: "odd-1" } }) { nodes { detail } } }'

    def found() -> Any:
        body = {"query": query}
        login = ("Jo", PASSWORD)
        answer = httpx.post(f"{closed.url}/graphql", json=body, auth=login)
        return answer.status_code == 200 and answer.json()["data"]["auditEntries"]["nodes"]

    until(lambda: found() == [{"detail": "as ?XY"}], 60)


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": b"Bearer \xff\x80"}, {"Authorization": b"Basic \xff"},
        {"Cookie": b"dicom_graph_session=\xff"}, {"Cookie": b'dicom_graph_session="\\000"'},
        {"Cookie": b'dicom_graph_session="\\355\\240\\200"'}, {"X-Request-ID": b"\xff\x01"},
        {"X-Forwarded-For": b"\xff"}, {"traceparent": b"\xff\xff"},
    ],
)  # fmt: skip
def test_headers_that_are_no_text(closed: Server, headers: dict[str, bytes]) -> None:
    answer = httpx.post(f"{closed.url}/graphql", json={}, headers=headers)  # type: ignore[arg-type]
    assert answer.status_code in (400, 401, 429), answer.text


@pytest.mark.parametrize("odd", ["\\u0000", "\\ud800"])
def test_a_token_of_a_websocket(closed: Server, odd: str) -> None:
    url = f"{closed.websocket_url}/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        payload = f'{{"Authorization": "Bearer {odd}"}}'
        socket.send(f'{{"type": "connection_init", "payload": {payload}}}')
        with pytest.raises(Exception, match="4403"):
            socket.recv()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["user", "add", "a\udcff", "--no-password"], ["user", "change", "\udcff", "--limited"],
        ["user", "disable", "\udcff"], ["user", "password", "\udcff"],
        ["token", "create", "\udcff"], ["token", "create", "jo", "--for", "\udcff"],
        ["group", "add", "\udcff"], ["group", "join", "\udcff", "\udcff"],
        ["group", "grant", "g", "--patient", "\udcff"],
        ["group", "grant", "g", "--study", "\udcff"],
        ["import", "/tmp/\udcff"], ["sync", "\udcff"], ["import", ".", "--pattern", "\udcff"],
        ["sync", ".", "--pattern", "\udcff"], ["export", "\udcff", "--to", "x.zip"],
        ["export", "1", "--to", "x.csv", "--column", "\udcff"],
        ["audit", "list", "--user", "\udcff"],
    ],
)  # fmt: skip
def test_arguments_that_are_no_text(
    run: Run, database_url: str, arguments: list[str], tmp_path: Path
) -> None:
    database = Database(database_url)
    add_person(database, "jo")
    with database.writer.begin() as connection:
        accounts.add_group(connection, "g")
    database.close_writer()
    (tmp_path / "a.txt").write_text("x")
    done = run(*arguments, database_url=database_url)
    assert done.returncode in (1, 2), (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    assert done.stderr.strip()
