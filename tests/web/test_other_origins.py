"""Pages of an allowed origin may all that pages of this one may; those of others nothing."""

import json
from pathlib import Path

import httpx
import pytest
from selenium.webdriver import Chrome
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from tests.conformance import other_origin
from tests.support.make import make_file
from tests.support.people import add_person
from tests.support.server import running_server

FRIEND, STRANGER = "https://viewer.example", "https://elsewhere.example"
PACKAGES = Path(__file__).parents[2] / "frontend" / "node_modules"
SENT = (
    "content-type", "authorization", "x-requested-with", "graphql-require-preflight",
    "apollo-require-preflight", "apollographql-client-name", "apollographql-client-version",
    "x-apollo-operation-name", "traceparent", "x-request-id", "range",
)  # fmt: skip


def test_other_origins(tmp_path: Path, sqlite_template: Path) -> None:
    path = tmp_path / "database.sqlite3"
    path.write_bytes(sqlite_template.read_bytes())
    url = f"sqlite:///{path}"
    (tmp_path / "storage").mkdir()
    settings = Settings(
        database_url=url,
        allowed_origins=[FRIEND],
        storage_root=tmp_path / "storage",
        _env_file=None,
    )
    database = Database(url)
    person = add_person(database, "anna", "IMPORTER")
    database.close_writer()
    image = make_file(tmp_path / "a.dcm").read_bytes()
    with running_server(settings) as server, httpx.Client(base_url=server.url) as client:
        for origin, is_allowed in ((FRIEND, True), (STRANGER, False)):
            allowed = origin if is_allowed else None
            for name in SENT:
                asked = {
                    "Origin": origin, "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": name,
                }  # fmt: skip
                for address in ("/graphql", "/upload", "/series/1.2.zip"):
                    answer = client.options(address, headers=asked)
                    assert answer.is_success == is_allowed, name
                    assert answer.headers.get("access-control-allow-origin") == allowed
                    assert "Origin" in answer.headers["vary"]
            sent = {"Origin": origin, "Sec-Fetch-Site": "cross-site", **person.bearer}
            answer = client.post("/graphql", json={"query": "{ __typename }"}, headers=sent)
            assert answer.status_code == (200 if is_allowed else 403)
            assert answer.headers.get("access-control-allow-origin") == allowed
            assert "access-control-allow-credentials" not in answer.headers
            files = {"file": ("a.dcm", image)}
            form = {**sent, "GraphQL-Require-Preflight": "1"}
            answer = client.post("/upload", files=files, headers=form)
            assert answer.is_success == is_allowed, answer.text
            answer = client.get("/images/1.2.png", headers=sent)
            policy = "cross-origin" if is_allowed else "same-origin"
            assert answer.headers["cross-origin-resource-policy"] == policy
            assert "Origin" in answer.headers["vary"]
        bare = client.get("/images/1.2.png", headers=person.bearer)
        assert bare.headers["cross-origin-resource-policy"] == "same-origin"
        assert "Origin" in bare.headers["vary"]

        graphql = f"{server.websocket_url}/graphql"
        protocols = [Subprotocol("graphql-transport-ws")]
        for origin in (FRIEND, server.url):
            with connect(graphql, origin=Origin(origin), subprotocols=protocols) as socket:
                told = {"type": "connection_init", "payload": person.bearer}
                socket.send(json.dumps(told))
                assert json.loads(socket.recv())["type"] == "connection_ack"
        for origin in (STRANGER, "null", f"{FRIEND}.evil.example"):
            with pytest.raises(InvalidStatus):
                connect(graphql, origin=Origin(origin), subprotocols=protocols)


@pytest.mark.slow
def test_a_page_on_another_origin(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """With urql and graphql-ws in Chromium. With tokens, too: `tests.conformance other_origin`."""
    missing = [path for path in other_origin.IMPORTS.values() if not (PACKAGES / path).exists()]
    if missing:
        pytest.skip(f"no {missing[0]} in {PACKAGES} (npm ci, in frontend/)")
    browser: Chrome = request.getfixturevalue("browser")
    other_origin.check(browser, PACKAGES, tmp_path, with_users=False)
