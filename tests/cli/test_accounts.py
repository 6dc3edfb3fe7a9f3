"""Users, tokens and groups on the command line, and what `serve` refuses."""

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from dicom_graph.cli import main
from dicom_graph.store.engine import Database
from tests.cli.test_cli import assert_one_line, serving
from tests.support.contents import Tables
from tests.support.waiting import until

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery\n"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DICOM_GRAPH_")}
    return kept | {"HOME": str(tmp_path)}


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    database_url: str,
    tmp_path: Path,
) -> Run:
    """Run `dicom-graph` on a database, in this process; `given` goes to its standard input."""
    for name in [name for name in os.environ if name.startswith("DICOM_GRAPH_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("DICOM_GRAPH_DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["dicom-graph", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(given))
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, int(ended.value.code or 0), out, err)

    return run


def done(result: subprocess.CompletedProcess[str]) -> str:
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def test_users(run: Run, database_url: str) -> None:
    done(run("user", "add", "Jo", "--role", "editor", given=PASSWORD))
    done(run("user", "add", "robot", "--no-password", "--deidentified"))
    assert_one_line(run("user", "add", "Jo", given=PASSWORD), "there is a user Jo already")
    assert_one_line(run("user", "add", "Al", given="short\n"), "5 characters", "10")
    assert_one_line(run("user", "add", "a:b", given=PASSWORD), "no colon")
    assert_one_line(run("user", "disable", "nobody"), "there is no user nobody")
    done(run("user", "change", "robot", "--role", "importer", "--limited"))
    assert_one_line(run("user", "change", "robot"), "what to change")
    done(run("user", "disable", "Jo"))
    lines = done(run("user", "list")).splitlines()
    assert lines[0].split() == ["name", "role", "password", "sees", "created", "disabled"]
    assert lines[1].split()[:4] == ["Jo", "editor", "yes", "everything"]
    assert len(lines[1].split()) == 6
    assert "robot  importer  no" in lines[2]
    assert "its groups, no identities" in lines[2]
    done(run("user", "enable", "Jo"))
    before = _hash(database_url)
    done(run("user", "password", "Jo", given="another long password\n"))
    assert before.startswith("$argon2id$")
    assert _hash(database_url) != before


def _hash(url: str) -> str:
    database = Database(url)
    (row,) = (row for row in Tables(database, "account")["account"] if row["name"] == "Jo")
    database.close_writer()
    return str(row["password_hash"])


def test_tokens(run: Run, database_url: str) -> None:
    done(run("user", "add", "robot", "--no-password", "--role", "importer"))
    text = done(run("token", "create", "robot", "--for", "nightly", "--role", "importer")).strip()
    assert text.startswith("dgt_")
    assert_one_line(run("token", "create", "nobody"), "there is no user nobody")
    listed = done(run("token", "list"))
    assert "nightly" in listed
    assert text not in listed
    database = Database(database_url)
    (row,) = Tables(database, "access_token")["access_token"]
    assert text not in str(row)
    database.close_writer()
    done(run("token", "revoke", str(row["id"])))
    assert_one_line(run("token", "revoke", "99"), "there is no token 99")
    assert done(run("token", "list")).splitlines()[1].split()[-1].startswith("20")


def test_groups(run: Run) -> None:
    done(run("user", "add", "Jo", given=PASSWORD))
    done(run("group", "add", "cohort"))
    done(run("group", "join", "cohort", "Jo"))
    done(run("group", "grant", "cohort", "--patient", "p 1", "--study", "1.2.3"))
    done(run("group", "grant", "cohort", "--patient", "p 1"))
    assert_one_line(run("group", "grant", "cohort"), "--patient")
    assert_one_line(run("group", "add", "cohort"), "already")
    assert_one_line(run("group", "join", "nothing", "Jo"), "there is no group nothing")
    assert_one_line(run("group", "revoke", "cohort", "--study", "9"), "no such grant")
    listed = done(run("group", "list"))
    assert [line.split() for line in listed.splitlines()[1:]] == [
        ["cohort", "Jo", "patient", "p", "1"], ["study", "1.2.3"],
    ]  # fmt: skip
    done(run("group", "revoke", "cohort", "--study", "1.2.3"))
    done(run("group", "leave", "cohort", "Jo"))
    assert "its groups" in done(run("user", "list"))
    done(run("group", "remove", "cohort"))
    assert len(done(run("group", "list")).splitlines()) == 1


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_another_address_needs_names(
    run: Run, environment: dict[str, str], database_url: str, tmp_path: Path
) -> None:
    for host in ("0.0.0.0", "::"):
        refused = run("serve", "--port", "0", "--host", host)
        assert_one_line(refused, host, "dicom-graph user add", "--insecure")
    given = environment | {"DICOM_GRAPH_DATABASE_URL": database_url}
    ask = {"json": {"query": "{ __typename }"}, "headers": {"host": "0.0.0.0"}}
    with serving(given, tmp_path, "--host", "0.0.0.0", "--insecure") as (address, _):
        assert "INSECURE" in (tmp_path / "serve.log").read_text()
        assert httpx.post(address, **ask).status_code == 200
    done(run("user", "add", "Jo", "--role", "admin", given=PASSWORD))
    with serving(given, tmp_path, "--host", "0.0.0.0") as (address, _):
        assert "INSECURE" not in (tmp_path / "serve.log").read_text()
        assert httpx.post(address, **ask).status_code == 401
        answer = httpx.post(address, auth=("Jo", PASSWORD.strip()), **ask)
        assert answer.json() == {"data": {"__typename": "Query"}}
        text = done(run("token", "create", "Jo", "--role", "viewer")).strip()
        headers = ask["headers"] | {"authorization": f"Bearer {text}"}
        assert httpx.post(address, json=ask["json"], headers=headers).status_code == 200
        done(run("token", "revoke", "1"))
        until(lambda: httpx.post(address, json=ask["json"], headers=headers).status_code == 401)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_proxy_header_that_anybody_could_send_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DICOM_GRAPH_PROXY_USER_HEADER=X-User\n")
    assert_one_line(run("user", "list"), "DICOM_GRAPH_TRUSTED_PROXIES")
    (tmp_path / ".env").write_text("DICOM_GRAPH_TRUSTED_PROXIES=anywhere\n")
    assert_one_line(run("user", "list"), "DICOM_GRAPH_TRUSTED_PROXIES: ")


def test_the_first_group_says_whom_it_shuts_out(run: Run) -> None:
    for name, role in (("ann", "viewer"), ("bob", "viewer"), ("eve", "editor")):
        done(run("user", "add", name, "--role", role, given=PASSWORD))
    done(run("user", "change", "bob", "--limited"))
    assert (
        done(run("group", "add", "cohort")) == "these viewers see nothing now, in no group: ann\n"
    )
    assert done(run("group", "add", "other")) == ""
    listed = {line.split()[0]: line for line in done(run("user", "list")).splitlines()}
    assert "nothing: in no group" in listed["ann"]
    assert "its groups" in listed["bob"]
    assert "everything" in listed["eve"]


def test_a_token_that_may_less_than_it_says(run: Run) -> None:
    done(run("user", "add", "ann", given=PASSWORD))
    made = run("token", "create", "ann", "--role", "importer")
    assert made.returncode == 0
    assert len(made.stdout.split()) == 1
    assert made.stderr.startswith("dicom-graph: ann is viewer, so the token may do no more")
    assert run("token", "create", "ann", "--role", "viewer").stderr == ""


def test_the_tokens_of_a_user_who_may_less_are_named(run: Run) -> None:
    done(run("user", "add", "ann", "--role", "editor", given=PASSWORD))
    for role in ("editor", "viewer", "importer", "editor"):
        done(run("token", "create", "ann", "--role", role))
    done(run("token", "revoke", "4"))
    assert done(run("user", "change", "ann", "--limited")) == ""
    assert done(run("user", "change", "ann", "--role", "viewer")).splitlines() == [
        "token 1 of ann may do what a user of role viewer may, now",
        "token 3 of ann may do what a user of role viewer may, now",
    ]
    listed = done(run("token", "list")).splitlines()
    assert "editor, but its user is viewer" in listed[1]
    assert "but" not in listed[2]
    # They would be worth more again.
    assert done(run("user", "change", "ann", "--role", "importer")).splitlines() == [
        "token 1 of ann may do what a user of role importer may, now",
        "token 3 of ann may do what a user of role importer may, now",
    ]
