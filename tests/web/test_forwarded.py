"""Behind proxies: whose word counts on where a request comes from, and how it was addressed."""

from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.web.forwarded import client_address
from tests.support.people import PASSWORD, add_person
from tests.support.server import running_server
from tests.support.waiting import until

PROXIES = [ip_network("10.0.0.0/8"), ip_network("127.0.0.1"), ip_network("2001:db8::/32")]
ASK = {"query": "{ __typename }"}


def address(peer: str | None, *lines: str) -> str:
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]
    client = None if peer is None else (peer, 1)
    return client_address({"client": client, "headers": headers}, PROXIES)


@pytest.mark.parametrize(
    ("peer", "lines", "expected"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["6.6.6.6"], "192.0.2.1"),  # nobody that is trusted
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["6.6.6.6", "192.0.2.7"], "192.0.2.7"),  # the proxy added a line
        ("10.0.0.1", ["6.6.6.6, 192.0.2.7"], "192.0.2.7"),  # or to the line
        ("10.0.0.1", ["6.6.6.6,7.7.7.7", "8.8.8.8 ,\t192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["6.6.6.6", "192.0.2.7, 10.0.0.2"], "192.0.2.7"),  # two proxies
        ("10.0.0.1", ["6.6.6.6", "192.0.2.7", "10.0.0.3", "127.0.0.1"], "192.0.2.7"),
        ("10.0.0.1", ["10.6.6.6, 192.0.2.7, 10.0.0.2"], "192.0.2.7"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),  # a proxy asks for itself
        ("10.0.0.1", ["192.0.2.7:4711"], "192.0.2.7"),
        ("10.0.0.1", ["[2001:db9::7]:443, 10.0.0.2:80"], "2001:db9::7"),
        ("10.0.0.1", ["[2001:DB9:0::7]"], "2001:db9::7"),
        ("10.0.0.1", ["6.6.6.6, 2001:db9::7"], "2001:db9::7"),
        ("10.0.0.1", ["192.0.2.7, 2001:db8::5"], "192.0.2.7"),
        ("10.0.0.1", ["192.0.2.7, [::ffff:10.0.0.9]:1"], "192.0.2.7"),
        ("::ffff:10.0.0.1", ["6.6.6.6, 192.0.2.7"], "192.0.2.7"),
        ("::ffff:192.0.2.1", ["6.6.6.6"], "192.0.2.1"),
        ("2001:db8::1", ["::ffff:192.0.2.7"], "192.0.2.7"),
        ("fe80::1%eth0", ["6.6.6.6"], "fe80::1"),
        # What names no address counts as the proxy that wrote it; nothing before it counts.
        ("10.0.0.1", ["6.6.6.6, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, unix:"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6,"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6", ""], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, _hidden, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["6.6.6.6, 192.0.2.7:x"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, 192.0.2.777"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, 192.0.2.7%0"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, [192.0.2.7"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, \xff\xfe\x01"], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6, " * 5000 + "192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["6.6.6.6, " + "9" * 60_000], "10.0.0.1"),
        ("10.0.0.1", ["6.6.6.6" + ", 10.0.0.2" * 5000], "6.6.6.6"),
        # Without an address there is no telling whether it is a proxy.
        (None, ["6.6.6.6"], ""),
        ("", ["6.6.6.6"], ""),
        ("/run/socket", ["6.6.6.6"], "/run/socket"),
    ],
)
def test_the_last_hop_that_no_trusted_proxy_is(
    peer: str | None, lines: list[str], expected: str
) -> None:
    assert address(peer, *lines) == expected


@pytest.mark.parametrize("name", ["Forwarded", "X-Real-IP", "X-Forwarded_For", "Client-IP"])
def test_no_other_header_names_the_client(name: str) -> None:
    headers = [(name.lower().encode(), b"for=6.6.6.6")]
    assert client_address({"client": ("10.0.0.1", 1), "headers": headers}, PROXIES) == "10.0.0.1"


def settings(url: str, proxies: str = "127.0.0.1", **more: Any) -> Settings:
    return Settings(database_url=url, trusted_proxies=proxies, _env_file=None, **more)


@pytest.fixture
def user(database_url: str) -> str:
    """A user, Jo, in the database of the URL."""
    database = Database(database_url)
    add_person(database, "Jo", "EDITOR")
    database.close_writer()
    return database_url


def test_guessing_is_slowed_down_whatever_the_client_writes(user: str, tmp_path: Path) -> None:
    audit = tmp_path / "audit.jsonl"
    with (
        running_server(settings(user, audit="on", audit_file=audit)) as server,
        httpx.Client(base_url=server.url) as client,
    ):

        def guess(forged: str, true: str) -> int:
            headers = [("X-Forwarded-For", forged), ("X-Forwarded-For", true)]
            login = ("Jo", "wrong")
            return client.post("/graphql", json=ASK, auth=login, headers=headers).status_code

        codes = [guess(f"6.6.{n}.6", "192.0.2.7") for n in range(8)]
        assert codes[:6] == [401] * 6
        assert codes[-1] == 429
        assert guess("192.0.2.7", "192.0.2.8") == 401  # another client does not wait
        until(lambda: audit.exists() and "192.0.2.8" in audit.read_text())
        assert '"address": "192.0.2.7"' in audit.read_text()
        assert "6.6." not in audit.read_text()
        headers = {"X-Forwarded-For": "6.6.6.6, 192.0.2.9"}
        good = client.post("/graphql", json=ASK, auth=("Jo", PASSWORD), headers=headers)
        assert good.status_code == 200
        until(lambda: "192.0.2.9" in audit.read_text())


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("proxies", "lines", "secure"),
    [
        ("127.0.0.1", ["https"], True), ("127.0.0.1", ["http", "https"], True),
        ("127.0.0.1", ["http,HTTPS"], True), ("127.0.0.1", ["https", "http"], False),
        ("127.0.0.1", ["https, http"], False), ("127.0.0.1", ["https, nonsense"], False),
        ("127.0.0.1", ["https,"], False), ("10.0.0.1", ["https"], False),
    ],
)  # fmt: skip
def test_the_last_scheme_counts(
    database_url: str, proxies: str, lines: list[str], secure: bool
) -> None:
    with running_server(settings(database_url, proxies)) as server:
        headers = [("X-Forwarded-Proto", line) for line in lines]
        cookie = httpx.get(f"{server.url}/login", headers=headers).headers["set-cookie"]
        assert ("Secure" in cookie) == secure


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize(
    ("proxies", "lines", "status"),
    [
        ("127.0.0.1", ["graph.example"], 200),
        ("127.0.0.1", ["evil.example", "graph.example"], 200),
        ("127.0.0.1", ["evil.example, graph.example"], 200),
        ("127.0.0.1", ["graph.example", "evil.example"], 400),
        ("127.0.0.1", ["graph.example, evil.example:443"], 400),
        # No name: the host that the proxy asked for counts, which is not the page's.
        ("127.0.0.1", ["graph.example,"], 403),
        ("127.0.0.1", ["graph.example, <b>"], 403),
        ("127.0.0.1", [], 403),
        ("10.0.0.1", ["graph.example"], 403),
    ],
)
def test_the_last_host_counts(
    database_url: str, proxies: str, lines: list[str], status: int
) -> None:
    given = settings(database_url, proxies, allowed_hosts="127.0.0.1,graph.example")
    with running_server(given) as server:
        headers = [("X-Forwarded-Host", line) for line in lines]
        headers.append(("Origin", "https://graph.example"))
        answer = httpx.post(f"{server.url}/graphql", json=ASK, headers=headers)
        assert answer.status_code == status


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_redirect_leads_to_where_the_client_was(database_url: str) -> None:
    given = settings(database_url, allowed_hosts="127.0.0.1,graph.example")
    with running_server(given) as server:
        headers = {"X-Forwarded-Host": "graph.example", "X-Forwarded-Proto": "https"}
        answer = httpx.get(f"{server.url}/healthz/", headers=headers)
        assert answer.headers["location"] == "https://graph.example/healthz"


@pytest.mark.parametrize(
    ("names", "status"),
    [(["Jo"], 200), (["Jo", "Jo"], 200), (["root", "Jo"], 401), (["Jo", "root"], 401),
     (["Jo, root"], 401), (["", "Jo"], 401)],
)  # fmt: skip
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_user_beside_the_one_that_the_proxy_names_is_nobody(
    user: str, names: list[str], status: int
) -> None:
    with running_server(settings(user, proxy_user_header="X-Remote-User")) as server:
        headers = [("X-Remote-User", name) for name in names]
        answer = httpx.post(f"{server.url}/graphql", json=ASK, headers=headers)
        assert answer.status_code == status
