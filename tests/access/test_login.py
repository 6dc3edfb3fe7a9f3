"""Logging in on the page, staying in, and what other sites cannot make a browser do."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from dicom_graph.importing.foreground import run_import
from dicom_graph.settings import Settings
from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from tests.support.make import make_series
from tests.support.people import PASSWORD, QUICK, add_person
from tests.support.server import Server, running_server
from tests.support.waiting import until

ASK = {"query": "{ __typename }"}
ANSWER = {"data": {"__typename": "Query"}}
BROWSER = {"accept": "text/html,*/*;q=0.8"}


@pytest.fixture
def site(database_url: str) -> Iterator[Server]:
    """A server with one user, Jo."""
    database = Database(database_url)
    add_person(database, "Jo", "EDITOR")
    settings = Settings(database_url=database_url, _env_file=None)
    with running_server(settings) as server:
        yield server
    database.close_writer()


def browser(server: Server) -> httpx.Client:
    return httpx.Client(base_url=server.url, verify=False)


def fill_in(client: httpx.Client, password: str = PASSWORD, **fields: str) -> httpx.Response:
    """Open the form, fill it in and send it."""
    page = client.get("/login", params={"next": "/graphql"})
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text))
    origin = {"origin": str(client.base_url).rstrip("/")}
    data = hidden | {"name": "Jo", "password": password} | fields
    return client.post("/login", data=data, headers=origin)


def test_from_the_page_to_the_form_and_back(site: Server) -> None:
    with browser(site) as client:
        asked = client.get("/graphql?query={a}", headers=BROWSER)
        assert asked.status_code == 303
        assert asked.headers["location"] == "/login?next=%2Fgraphql%3Fquery%3D%7Ba%7D"
        assert client.post("/graphql", json=ASK).status_code == 401
        done = fill_in(client)
        assert (done.status_code, done.headers["location"]) == (303, "/graphql")
        (cookie,) = [c for c in done.headers.get_list("set-cookie") if "session" in c]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        assert client.post("/graphql", json=ASK).json() == ANSWER
        assert 'data-viewer="Jo, editor"' in client.get("/graphql", headers=BROWSER).text
        assert "<b>" not in client.get("/logout").text
        assert "Jo, editor" in client.get("/logout").text
        stolen = dict(client.cookies)
        assert client.post("/graphql", json=ASK).json() == ANSWER
        assert client.post("/logout").headers["location"] == "/login"
        assert client.post("/graphql", json=ASK).status_code == 401
        for name, value in stolen.items():
            client.cookies.set(name, value)
        assert client.post("/graphql", json=ASK).status_code == 401


def test_a_wrong_password_is_said_without_telling_which_was_wrong(site: Server) -> None:
    with browser(site) as client:
        answers = [fill_in(client, password="wrong"), fill_in(client, name="nobody")]
        assert [answer.status_code for answer in answers] == [401, 401]
        texts = {re.sub(r'value="[^"]*"', "", answer.text) for answer in answers}
        assert len(texts) == 1
        assert "Wrong name or password." in texts.pop()


def test_guessing_has_to_wait(site: Server) -> None:
    with browser(site) as client:
        for _ in range(6):
            assert fill_in(client, password="wrong").status_code == 401
        refused = fill_in(client)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
        assert client.post("/graphql", json=ASK, auth=("Jo", PASSWORD)).status_code == 429


def test_a_form_that_this_browser_did_not_get_is_refused(site: Server) -> None:
    with browser(site) as client:
        data = {"name": "Jo", "password": PASSWORD, "form": "x", "next": "/"}
        assert client.post("/login", data=data).status_code == 403
        assert fill_in(client, form="x").status_code == 403
        assert "dicom_graph_session" not in client.cookies


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "/\r\nX: y", "x"]
)
def test_a_login_leads_nowhere_else(site: Server, target: str) -> None:
    with browser(site) as client:
        done = fill_in(client, next=target)
        assert (done.status_code, done.headers["location"]) == (303, "/")


FOREIGN: list[dict[str, str]] = [
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site", "origin": "http://other.localhost"},
]


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_another_site_cannot_use_a_session(site: Server) -> None:
    with browser(site) as client:
        fill_in(client)
        for headers in FOREIGN:
            for path, given in (("/graphql", {"json": ASK}), ("/logout", {}), ("/login", {})):
                options: dict[str, Any] = given
                answer = client.post(path, headers=headers, **options)
                assert answer.status_code == 403, (headers, path)
                assert "access-control-allow-origin" not in answer.headers
        own = {"origin": site.url, "sec-fetch-site": "same-origin"}
        assert client.post("/graphql", json=ASK, headers=own).json() == ANSWER
        cookie = {"Cookie": f"dicom_graph_session={client.cookies['dicom_graph_session']}"}
    protocol = [Subprotocol("graphql-transport-ws")]
    url = f"{site.websocket_url}/graphql"
    foreign = Origin("https://evil.example")
    with (
        pytest.raises(InvalidStatus),
        connect(url, additional_headers=cookie, subprotocols=protocol, origin=foreign),
    ):
        pass
    own_origin = Origin(site.url)
    with connect(url, additional_headers=cookie, subprotocols=protocol, origin=own_origin):
        pass


def test_a_new_password_and_a_disabled_user_end_sessions(site: Server) -> None:
    database = Database(site.settings.database_url)
    with browser(site) as client:
        for change in (
            {"password_hash": QUICK.hash(PASSWORD)}, {"disabled_at": accounts.utc_now()},
        ):  # fmt: skip
            fill_in(client)
            assert client.post("/graphql", json=ASK).json() == ANSWER
            with database.writer.begin() as connection:
                accounts.change_user(connection, "Jo", **change)
            until(lambda: client.post("/graphql", json=ASK).status_code == 401)
        assert fill_in(client).status_code == 401
    database.close_writer()


@pytest.mark.parametrize(
    ("value", "status"),
    [("Basic", 401), ("Basic ???", 401), ("Basic Sm8=", 401), ("Digest x", 401), ("Bearer", 401),
     ("Bearer \x80", 401), ("Basic /w==", 401), ("", 401)],
)  # fmt: skip
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_authorization_that_cannot_be_read(site: Server, value: str, status: int) -> None:
    headers = {"authorization": value.encode("latin-1")}
    answer = httpx.post(f"{site.url}/graphql", json=ASK, headers=headers)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_page_is_not_asked_for_basic(site: Server) -> None:
    asked = httpx.post(f"{site.url}/graphql", json=ASK, headers={"sec-fetch-site": "same-origin"})
    assert asked.status_code == 401
    assert "Basic" not in asked.headers["www-authenticate"]


def test_the_first_user_closes_an_open_server(server: Server) -> None:
    assert httpx.post(f"{server.url}/graphql", json=ASK).json() == ANSWER
    database = Database(server.settings.database_url)
    add_person(database, "first")
    database.close_writer()
    until(lambda: httpx.post(f"{server.url}/graphql", json=ASK).status_code == 401)


def proxied(url: str, **settings: Any) -> Settings:
    return Settings(database_url=url, proxy_user_header="X-Remote-User", _env_file=None, **settings)


def test_a_trusted_proxy_names_users(database_url: str) -> None:
    database = Database(database_url)
    add_person(database, "known", "EDITOR")
    add_person(database, "gone")
    with database.writer.begin() as connection:
        accounts.change_user(connection, "gone", disabled_at=accounts.utc_now())
    settings = proxied(database_url, trusted_proxies="10.0.0.0/8, 127.0.0.1")
    with running_server(settings) as server, httpx.Client(base_url=server.url) as client:
        for name, status in (("known", 200), ("gone", 401), ("stranger", 401), ("", 401)):
            headers = {"X-Remote-User": name}
            assert client.post("/graphql", json=ASK, headers=headers).status_code == status, name
        assert client.post("/graphql", json=ASK).status_code == 401
    with running_server(settings.model_copy(update={"proxy_role": "viewer"})) as server:
        url = f"{server.url}/graphql"
        for name, status in (("é" * 256, 200), ("é" * 257, 401), ("a" * 257, 401)):
            longest = {"X-Remote-User": name.encode("latin-1")}
            assert httpx.post(url, json=ASK, headers=longest).status_code == status
        headers = {"X-Remote-User": "stranger"}
        assert httpx.post(url, json=ASK, headers=headers).json() == ANSWER
        change = {"query": 'mutation { importPath(input: {path: "/"}) { errors { code } } }'}
        answer = httpx.post(url, json=change, headers=headers).json()
        assert answer["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        assert "stranger is viewer" in answer["errors"][0]["message"]
    database.close_writer()


def test_viewers_in_no_group_see_nothing_once_there_is_a_group(
    database_url: str, tmp_path: Path
) -> None:
    for patient in "AB":
        make_series(tmp_path / patient, 1, PatientID=patient)
    database = Database(database_url)
    run_import(database, JobRequest((str(tmp_path),), Mode.NORMAL))
    for name, role in (
        ("alone", "VIEWER"),
        ("member", "VIEWER"),
        ("free", "VIEWER"),
        ("carrier", "IMPORTER"),
        ("chief", "ADMIN"),
    ):
        add_person(database, name, role)
    editor = add_person(database, "reader", "EDITOR", token_role="VIEWER")
    token = add_person(database, "robot", "VIEWER", token_role="ADMIN")
    query = {"query": "{ patients { nodes { uid } } images { totalCount } }"}

    def seen(server: Server, headers: dict[str, str]) -> list[str]:
        answer = httpx.post(f"{server.url}/graphql", json=query, headers=headers).json()["data"]
        assert answer["images"]["totalCount"] == len(answer["patients"]["nodes"])
        return sorted(each["uid"] for each in answer["patients"]["nodes"])

    def all_seen(ungrouped: str) -> dict[str, list[str]]:
        given = proxied(
            database_url,
            trusted_proxies="127.0.0.1",
            proxy_role="viewer",
            ungrouped_viewers=ungrouped,
        )
        with running_server(given) as server:
            names = ("alone", "stranger", "member", "free", "carrier", "chief")
            found = {name: seen(server, {"X-Remote-User": name}) for name in names}
            alone = httpx.BasicAuth("alone", PASSWORD)
            answer = httpx.post(f"{server.url}/graphql", json=query, auth=alone).json()["data"]
            assert sorted(p["uid"] for p in answer["patients"]["nodes"]) == found["alone"]
            assert seen(server, editor.bearer) == ["A", "B"]
            assert seen(server, token.bearer) == seen(server, token.cookie) == found["alone"]
        return found

    everything = {
        name: ["A", "B"] for name in ("alone", "stranger", "member", "free", "carrier", "chief")
    }
    outside: dict[str, list[str]] = {"alone": [], "stranger": []}
    assert all_seen("auto") == everything
    assert all_seen("nothing") == everything | outside | {"member": [], "free": []}
    with database.writer.begin() as connection:
        accounts.add_group(connection, "cohort")
        accounts.add_grant(connection, "cohort", "patient", "A")
        for name in ("member", "free"):
            accounts.add_member(connection, "cohort", name)
        accounts.change_user(connection, "free", limited=False)
    assert all_seen("auto") == everything | outside | {"member": ["A"]}
    assert all_seen("all") == everything | {"member": ["A"]}
    database.close_writer()


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(("proxy", "secure"), [("127.0.0.1", True), ("10.0.0.1", False)])
def test_cookies_are_secure_where_a_trusted_proxy_has_tls(
    database_url: str, proxy: str, secure: bool
) -> None:
    settings = Settings(database_url=database_url, trusted_proxies=proxy, _env_file=None)
    with running_server(settings) as server:
        headers = {"X-Forwarded-Proto": "https"}
        cookie = httpx.get(f"{server.url}/login", headers=headers).headers["set-cookie"]
        assert ("Secure" in cookie) == secure


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_nobody_else_may_name_users(database_url: str) -> None:
    settings = proxied(database_url, trusted_proxies="10.0.0.0/8", proxy_role="admin")
    with running_server(settings) as server:
        for headers in (
            {"X-Remote-User": "root"}, {"X-Remote-User": "root", "X-Forwarded-For": "10.0.0.1"},
        ):  # fmt: skip
            answer = httpx.post(f"{server.url}/graphql", json=ASK, headers=headers)
            assert answer.status_code == 401


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_other_origins_are_for_who_is_named_only(database_url: str, tmp_path: Path) -> None:
    settings = Settings(
        database_url=database_url, allowed_origins="https://viewer.example", _env_file=None
    )
    with running_server(settings) as server:
        for origin, allowed in (("https://viewer.example", True), ("https://evil.example", False)):
            headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
            answer = httpx.post(f"{server.url}/graphql", json=ASK, headers=headers)
            assert answer.status_code == (200 if allowed else 403)
            assert answer.headers.get("access-control-allow-origin") == (
                origin if allowed else None
            )
            preflight = headers | {
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "authorization,content-type",
            }
            answer = httpx.options(f"{server.url}/graphql", headers=preflight)
            assert answer.status_code == (200 if allowed else 400)
