"""Every way into the server, for everybody: who may, and who may not.

A new route or field of the schema needs a line here, or a test fails.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dicom_graph.graph.schema import schema
from dicom_graph.settings import Settings
from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from dicom_graph.store.sql.types import utc_now
from dicom_graph.web.app import create_app
from dicom_graph.web.pages import ADDRESSES
from tests.support.people import HOUR, PASSWORD, Person, add_person
from tests.support.samples import mostly_slow
from tests.support.server import Server, running_server
from tests.support.waiting import until

EVERYBODY, VIEWER, IMPORTER, EDITOR, ADMIN = range(5)
ROLES = ["VIEWER", "IMPORTER", "EDITOR", "ADMIN"]
WHO = [
    "nobody", *(who for role in ROLES for who in (role, f"{role} on the page", f"limited {role}")),
    "blind", "blind token", "disabled", "expired", "revoked", "disabled on the page",
    "expired on the page", "forged", "small token", "large token",
]  # fmt: skip
NOTHING = "UGF0aWVudDo5OQ=="
JOB = "SW1wb3J0Sm9iOjk5"


class Row(NamedTuple):
    """Who may: from which role on; whether also one of that role who is limited to groups, or who
    sees no identities.
    """

    needs: int
    limited: bool = True
    blind: bool = True


IMPORTS = Row(IMPORTER, limited=False, blind=False)
EDITS = Row(EDITOR, limited=False, blind=False)
ROUTES = {
    ("GET", "/"): Row(VIEWER),
    ("GET", "/graphql"): Row(VIEWER),
    ("POST", "/graphql"): Row(VIEWER),
    ("WS", "/graphql"): Row(VIEWER),
    ("GET", "/login"): Row(EVERYBODY),
    ("POST", "/login"): Row(EVERYBODY),
    ("GET", "/logout"): Row(VIEWER),
    ("POST", "/logout"): Row(VIEWER),
    ("POST", "/upload"): IMPORTS,
    **{
        ("GET", path): Row(VIEWER)
        for path in (
            "/images/{uid:path}/frames/{frame}.png",
            "/images/{uid:path}/preview.png",
            "/images/{uid:path}/header.json",
            "/images/{uid:path}/bulkdata/{value}",
            "/images/{uid:path}.dcm",
            "/images/{uid:path}.npy",
            "/series/{uid:path}/volume.npy",
            "/series/{uid:path}/volume.nii.gz",
            "/series/{uid:path}/volume.json",
            "/series/{uid:path}/volume.bval",
            "/series/{uid:path}/volume.bvec",
            "/series/{uid:path}/preview.png",
            "/series/{uid:path}/mosaic.png",
            "/series/{uid:path}/thumbnail.png",
            "/series.zip",
            *(
                f"/{table}.{form}"
                for table in ("patients", "studies", "series", "images", "elements")
                for form in ("csv", "parquet", "arrow")
            ),
            "/series/{uid:path}.zip",
            "/studies/{uid:path}.zip",
            "/patients/{uid:path}.zip",
            *(path for path in ADDRESSES if path != "/"),
        )
    },
    ("GET", "/healthz"): Row(EVERYBODY),
    ("GET", "/readyz"): Row(EVERYBODY),
    ("GET", "/static"): Row(EVERYBODY),
    ("GET", "/metrics"): Row(VIEWER),
}
FIELDS = {
    "query": {
        "bidsPlan": (Row(VIEWER), "bidsPlan { name }"),
        "patients": (Row(VIEWER), "patients { totalCount }"),
        "studies": (Row(VIEWER), "studies { totalCount }"),
        "series": (Row(VIEWER), "series { totalCount }"),
        "images": (Row(VIEWER), "images { totalCount }"),
        "dataElements": (Row(VIEWER), "dataElements { totalCount }"),
        "dataElementValues": (Row(VIEWER), "dataElementValues { totalCount }"),
        "headers": (Row(VIEWER), "headers { totalCount }"),
        "search": (Row(VIEWER), 'search(text: "a") { series { node { id } } }'),
        "dataElementDefinitions": (Row(VIEWER), "dataElementDefinitions { totalCount }"),
        "importJobs": (Row(VIEWER), "importJobs { totalCount }"),
        "facet": (Row(VIEWER), 'facet(entity: SERIES, field: MODALITY) { count }'),
        "patientByUid": (Row(VIEWER), 'patientByUid(uid: "1") { uid }'),
        "studyByUid": (Row(VIEWER), 'studyByUid(uid: "1") { uid }'),
        "seriesByUid": (Row(VIEWER), 'seriesByUid(uid: "1") { uid }'),
        "imageByUid": (Row(VIEWER), 'imageByUid(uid: "1") { uid }'),
        "importJob": (Row(VIEWER), f'importJob(id: "{JOB}") {{ id }}'),
        "node": (Row(VIEWER), f'node(id: "{NOTHING}") {{ id }}'),
        "compareHeaders": (
            Row(VIEWER), f'compareHeaders(ids: ["{NOTHING}", "{NOTHING}"]) {{ nodes {{ id }} }}'
        ),
        "viewer": (Row(VIEWER), "viewer { name }"),
        "entityFields": (Row(VIEWER), "entityFields(entity: SERIES) { name }"),
        "protocols": (Row(VIEWER, limited=False, blind=False), "protocols { totalCount }"),
        "importRoots": (IMPORTS, "importRoots"),
        "importFolder": (IMPORTS, 'importFolder(path: "/") { path }'),
        "auditEntries": (Row(ADMIN, limited=False, blind=False), "auditEntries { totalCount }"),
        "nodes": (Row(VIEWER), f'nodes(ids: ["{NOTHING}"]) {{ id }}'),
    },
    "mutation": {
        "importPath": (IMPORTS, 'importPath(input: { path: "/nowhere" }) { errors { code } }'),
        **{
            f"{verb}Import": (
                IMPORTS, f'{verb}Import(input: {{ id: "{JOB}" }}) {{ errors {{ code }} }}'
            )
            for verb in ("cancel", "retry")
        },
        "uploadImages": (IMPORTS, "uploadImages(input: { files: [] }) { errors { code } }"),
        "createProtocol": (EDITS, 'createProtocol(input: { name: "" }) { errors { code } }'),
        **{
            f"{verb}Protocol": (
                EDITS, f'{verb}Protocol(input: {{ id: "{NOTHING}" }}) {{ errors {{ code }} }}'
            )
            for verb in ("update", "delete")
        },
        "syncPath": (EDITS, 'syncPath(input: { path: "/nowhere" }) { errors { code } }'),
        **{
            f"{verb}{entity}": (
                EDITS, f'{verb}{entity}(input: {{ id: "{NOTHING}" }}) {{ errors {{ code }} }}'
            )
            for verb in ("update", "delete")
            for entity in ("Patient", "Study", "Series", "Image")
        },
        **{
            f"create{entity}": (
                EDITS, f'create{entity}(input: {{ uid: "no UID\\\\" }}) {{ errors {{ code }} }}'
            )
            for entity in ("Patient", "Study", "Series")
        },
        **{
            f"move{entity}": (
                EDITS,
                f'move{entity}(input: {{ id: "{NOTHING}", patientId: null }}) {{'
                " errors { code } }",
            )
            for entity in ("Study", "Series")
        },
        "storeFiles": (
            EDITS,
            f'storeFiles(input: {{ id: "{NOTHING}", storage: COPY }}) {{ errors {{ code }} }}',
        ),
        "refresh": (EDITS, f'refresh(input: {{ id: "{NOTHING}" }}) {{ errors {{ code }} }}'),
    },
    "subscription": {
        "importProgress": (
            Row(VIEWER, limited=False, blind=False), f'importProgress(jobId: "{JOB}") {{ id }}',
        ),
    },
}  # fmt: skip


class Somebody(NamedTuple):
    """Who comes in, as which role, and how."""

    role: int
    limited: bool
    headers: dict[str, str]
    blind: bool = False

    def may(self, row: Row) -> bool:
        is_enough = (row.limited or not self.limited) and (row.blind or not self.blind)
        return self.role >= row.needs and is_enough


class Site(NamedTuple):
    """A server with users of all kinds."""

    server: Server
    database: Database
    people: dict[str, Person]
    client: httpx.Client

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """The answer to somebody; what they have of cookies lies in their headers alone."""
        self.client.cookies.clear()
        return self.client.request(method, self.server.url + path, **given)

    def everybody(self) -> dict[str, Somebody]:
        found = {"nobody": Somebody(EVERYBODY, False, {})}
        for number, role in enumerate(ROLES, 1):
            person, limited = self.people[role], self.people[f"limited {role}"]
            found[role] = Somebody(number, False, person.bearer)
            found[f"{role} on the page"] = Somebody(number, False, person.cookie)
            found[f"limited {role}"] = Somebody(number, True, limited.bearer)
        for name in ("blind", "blind token"):
            found[name] = Somebody(ADMIN, False, self.people[name].bearer, blind=True)
        for name in ("disabled", "expired", "revoked"):
            found[name] = Somebody(EVERYBODY, False, self.people[name].bearer)
        for name in ("disabled", "expired"):
            found[f"{name} on the page"] = Somebody(EVERYBODY, False, self.people[name].cookie)
        found["forged"] = Somebody(EVERYBODY, False, {"Authorization": "Bearer dgt_no"})
        found["small token"] = Somebody(VIEWER, False, self.people["small token"].bearer)
        found["large token"] = Somebody(VIEWER, False, self.people["large token"].bearer)
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Site]:
    url = f"sqlite:///{tmp_path_factory.mktemp('site') / 'database.sqlite3'}"
    settings = Settings(database_url=url, _env_file=None)
    with running_server(settings) as server:
        database = Database(url)
        people = {role: add_person(database, role, role) for role in ROLES}
        for role in ROLES:
            people[f"limited {role}"] = add_person(database, f"limited {role}", role, limited=True)
        people["blind"] = add_person(database, "blind", "ADMIN", deidentified=True)
        people["blind token"] = add_person(database, "c", "ADMIN", deidentified_token=True)
        people["disabled"] = add_person(database, "disabled", "ADMIN")
        people["expired"] = add_person(database, "expired", "ADMIN", lasts=-HOUR)
        people["revoked"] = add_person(database, "revoked", "ADMIN")
        people["small token"] = add_person(database, "a", "ADMIN", token_role="VIEWER")
        people["large token"] = add_person(database, "b", "VIEWER", token_role="ADMIN")
        with database.writer.begin() as connection:
            accounts.change_user(connection, "disabled", disabled_at=utc_now())
            accounts.revoke_token(connection, people["revoked"].token_id)
        _wait_until_names_are_asked_for(server)
        with httpx.Client(timeout=60) as client:
            made = Site(server, database, people, client)
            assert list(made.everybody()) == WHO
            yield made
        database.close_writer()


def _wait_until_names_are_asked_for(server: Server) -> None:
    """The server started before there was a user, and looks once a second."""
    until(lambda: httpx.get(f"{server.url}/graphql?query={{__typename}}").status_code == 401)


def test_every_route_has_a_row() -> None:
    found = set()
    for route in create_app(Settings(_env_file=None)).routes:
        if isinstance(route, WebSocketRoute):
            found.add(("WS", route.path))
        elif isinstance(route, Mount):
            found.add(("GET", route.path))
        else:
            assert isinstance(route, Route)
            # An endpoint that is no function takes any method; GraphQL answers to these two.
            methods = route.methods or {"GET", "POST"}
            found |= {(method, route.path) for method in methods - {"HEAD"}}
    assert found == set(ROUTES)


def test_every_root_field_has_a_row() -> None:
    built = schema._schema
    roots = {
        "query": built.query_type, "mutation": built.mutation_type,
        "subscription": built.subscription_type,
    }  # fmt: skip
    for operation, root in roots.items():
        assert root is not None
        assert set(root.fields) == set(FIELDS[operation])


@pytest.mark.parametrize("who", mostly_slow(WHO, 3))
def test_routes(site: Site, who: str) -> None:
    somebody = site.everybody()[who]
    for (method, path), row in ROUTES.items():
        if method == "WS" or (method, path) == ("POST", "/logout"):
            continue
        asked = "/static/login.css" if path == "/static" else re.sub(r"{.*?}", "1", path)
        answer = site.ask(
            method, asked, headers=somebody.headers,
            json={"query": "{ __typename }"} if method == "POST" else None,
            params={"query": "{ __typename }"} if path == "/graphql" else None,
        )  # fmt: skip
        refused = {401: "UNAUTHENTICATED", 403: "FORBIDDEN"}
        is_refused = f'"code": "{refused.get(answer.status_code)}"' in answer.text
        assert is_refused != somebody.may(row), (method, path, answer.text)
        if is_refused:
            assert answer.status_code == (401 if somebody.role == EVERYBODY else 403)


@pytest.mark.parametrize("path", ["/nothing", "/graphql/x", "/login/x/../../graphql", "//graphql"])
def test_what_is_not_there_tells_nobody_anything(site: Site, path: str) -> None:
    answer = httpx.get(f"{site.server.url}{path}")
    assert answer.status_code in (401, 404)
    assert "data" not in answer.text


def _codes(answer: Any) -> set[str]:
    return {error.get("extensions", {}).get("code") for error in answer.get("errors", ())}


@pytest.mark.parametrize("who", mostly_slow(WHO, 3))
def test_fields_over_http(site: Site, who: str) -> None:
    somebody = site.everybody()[who]
    for operation in ("query", "mutation"):
        for name, (row, text) in FIELDS[operation].items():
            body = {"query": f"{operation} {{ {text} }}"}
            answer = site.ask("POST", "/graphql", json=body, headers=somebody.headers).json()
            refused = _codes(answer) & {"UNAUTHENTICATED", "FORBIDDEN"}
            assert bool(refused) != somebody.may(row), (operation, name, answer)


def _over_websocket(
    site: Site, query: str, headers: dict[str, str], payload: dict[str, Any] | None = None
) -> list[Any]:
    """What a server says to one operation; raises where it closes instead."""
    url = f"{site.server.websocket_url}/graphql"
    with connect(
        url, additional_headers=headers, subprotocols=[Subprotocol("graphql-transport-ws")]
    ) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": payload or {}}))
        assert json.loads(socket.recv())["type"] == "connection_ack"
        operation = {"id": "1", "type": "subscribe", "payload": {"query": query}}
        socket.send(json.dumps(operation))
        message = json.loads(socket.recv())
    payload = message["payload"]
    return payload if isinstance(payload, list) else payload.get("errors", [])


@pytest.mark.parametrize(
    "where", ["header", pytest.param("connection_init", marks=pytest.mark.slow)]
)
def test_fields_over_websocket(site: Site, where: str) -> None:
    rows = [
        (operation, name, *FIELDS[operation][name])
        for operation, name in (
            ("query", "patients"), ("mutation", "importPath"), ("subscription", "importProgress"),
        )
    ]  # fmt: skip
    for who, somebody in site.everybody().items():
        in_header = where == "header" or "Cookie" in somebody.headers
        headers = somebody.headers if in_header else {}
        payload = None if in_header else somebody.headers
        for operation, name, row, text in rows:
            query = f"{operation} {{ {text} }}"
            if somebody.role == EVERYBODY:
                with pytest.raises((InvalidStatus, ConnectionClosedError)) as caught:
                    _over_websocket(site, query, headers, payload)
                if isinstance(caught.value, ConnectionClosedError):
                    assert caught.value.rcvd is not None
                    assert caught.value.rcvd.code == 4403
                continue
            errors = _over_websocket(site, query, headers, payload)
            refused = _codes({"errors": errors}) & {"UNAUTHENTICATED", "FORBIDDEN"}
            assert bool(refused) != somebody.may(row), (who, name, errors)


def test_nothing_is_answered_before_connection_init(site: Site) -> None:
    url = f"{site.server.websocket_url}/graphql"
    with connect(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        operation = {"id": "1", "type": "subscribe", "payload": {"query": "{ __typename }"}}
        socket.send(json.dumps(operation))
        with pytest.raises(ConnectionClosedError) as caught:
            socket.recv()
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4401


def test_the_password_over_http_basic(site: Site) -> None:
    url = f"{site.server.url}/graphql"
    body = {"query": "{ __typename }"}
    for _ in range(3):
        answer = httpx.post(url, json=body, auth=("EDITOR", PASSWORD))
        assert answer.json() == {"data": {"__typename": "Query"}}
    for name, password in (("EDITOR", "wrong"), ("nobody", PASSWORD), ("disabled", PASSWORD)):
        answer = httpx.post(url, json=body, auth=(name, password))
        assert answer.status_code == 401
        assert 'Basic realm="dicom-graph"' in answer.headers["www-authenticate"]
