"""What is said where something small is wrong: it names what to do."""

import csv
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from dicom_graph.cli.app import app
from dicom_graph.settings import Settings, SettingsError, load_settings
from dicom_graph.store.backup import back_up
from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.migrate import prepare, upgrade
from tests.support.make import make_file
from tests.support.people import PASSWORD, add_person
from tests.support.server import running_server

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


def test_a_backup_of_no_database_names_the_source(tmp_path: Path) -> None:
    source = tmp_path / "gone.sqlite3"
    with pytest.raises(DatabaseError, match=f"no database at {source}") as caught:
        back_up(Database(f"sqlite:///{source}"), tmp_path / "target.sqlite3")
    assert "target" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    ["jobs list", "user list", "token list", "group list", "audit list", "db prune", "db reindex",
     "export --filter {} --to -", "bids plan", "store-files 1.2 --storage copy",
     "sync --dry-run /"],
)  # fmt: skip
def test_a_command_that_looks_makes_no_database(tmp_path: Path, command: str) -> None:
    """Of a wrong path it would say that nothing is there."""
    path = tmp_path / "folder" / "wrong.sqlite3"
    done = CliRunner().invoke(app, [*command.split(), "--database", str(path)])
    assert (done.exit_code, list(tmp_path.iterdir())) == (2, [])
    assert f"no database at {path}" in done.stderr


def test_a_database_of_a_newer_version(database_url: str) -> None:
    database = Database(database_url)
    upgrade(database)
    with database.writer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        for check in (prepare, upgrade):
            with pytest.raises(DatabaseError, match="newer version of dicom-graph") as caught:
                check(database)
            assert "db upgrade" not in str(caught.value)
    finally:
        with database.writer.begin() as connection:
            head = "UPDATE alembic_version SET version_num = (SELECT '0001')"
            connection.execute(text(head))
        database.close_writer()


def test_database_is_a_url_or_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for given in ("a b.sqlite3", str(tmp_path / "a b.sqlite3")):
        expected = f"sqlite:///{tmp_path / 'a b.sqlite3'}"
        assert load_settings(database_url=given).database_url == expected
    with pytest.raises(SettingsError, match="--database: must start with sqlite") as caught:
        load_settings(database_url="mysql://host/name")
    assert "DICOM_GRAPH_DATABASE_URL" not in str(caught.value)


def test_commands_say_where_they_wrote_and_what_they_list(tmp_path: Path) -> None:
    run = CliRunner().invoke
    at = ["--database", str(tmp_path / "index.sqlite3")]
    make_file(tmp_path / "a" / "1.dcm", SeriesInstanceUID="1.2.3", EchoTime="3")
    (tmp_path / "a" / "bad.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 99)
    done = run(app, ["import", str(tmp_path / "a"), *at])
    assert done.stdout.splitlines()[-1] == f"written to sqlite:///{tmp_path}/index.sqlite3"
    run(app, ["jobs", "retry", "1", *at])
    heads, retry, first = run(app, ["jobs", "list", *at]).stdout.splitlines()
    assert heads.split() == ["id", "begun", "(UTC)", "origin", "status", "what"]
    assert "the failures of 1: " in retry
    assert first.endswith(str(tmp_path / "a"))
    assert "failures" not in first
    target = tmp_path / "out.csv"
    columns = ["--column", "EchoTime", "--column", "Rows", "--column", "Rows"]
    done = run(app, ["export", "1.2.3", "--to", str(target), *columns, *at])
    assert f"{target}: {target.stat().st_size:,} bytes" in done.output
    names = next(csv.reader(target.open(encoding="utf-8")))
    assert len(names) == len(set(names))
    assert {"EchoTime", "Rows"} <= set(names)


def test_files_are_stored_by_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = CliRunner().invoke
    at = ["--database", str(tmp_path / "index.sqlite3")]
    paths = [
        make_file(tmp_path / "a" / f"{i}.dcm", SeriesInstanceUID="1.2.3", PatientID="P 1")
        for i in range(5)
    ]
    was = [path.read_bytes() for path in paths]
    run(app, ["import", str(tmp_path / "a"), *at])
    copy = ["store-files", "1.2.3", "--storage", "copy", *at]
    assert "DICOM_GRAPH_STORAGE_ROOT" in str(run(app, copy).exception)
    (tmp_path / "root").mkdir()
    monkeypatch.setenv("DICOM_GRAPH_STORAGE_ROOT", str(tmp_path / "root"))
    assert "5 files found" in run(app, copy).stdout
    assert [path.read_bytes() for path in paths] == was
    stored = sorted(tmp_path.glob("root/**/*.dcm"))
    assert sorted(path.read_bytes() for path in stored) == sorted(was)
    assert "already" in run(app, copy).stderr
    gone = run(app, ["store-files", "1.2.3", "--of", "study", "--storage", "move", *at])
    assert gone.exit_code == 2
    assert "no study 1.2.3" in gone.stderr
    assert "and 2 more" in run(app, ["jobs", "list", *at]).stdout
    make_file(tmp_path / "b" / "1.dcm", PatientID="P 2")
    run(app, ["import", str(tmp_path / "b"), *at])
    done = run(app, ["store-files", "P 2", "--of", "patient", "--storage", "move", *at])
    assert done.exit_code == 0
    assert not list((tmp_path / "b").iterdir())
    assert len(list(tmp_path.glob("root/**/*.dcm"))) == len(paths) + 1


@on_sqlite
def test_refusals_name_the_setting(database_url: str) -> None:
    database = Database(database_url)
    add_person(database, "Jo")
    settings = Settings(
        database_url=database_url, proxy_user_header="X-Remote-User",
        trusted_proxies="127.0.0.1", _env_file=None,
    )  # fmt: skip
    with running_server(settings) as server:
        answer = httpx.get(f"{server.url}/healthz", headers={"host": "pacs.example"})
        assert answer.status_code == 400
        assert "DICOM_GRAPH_ALLOWED_HOSTS" in answer.json()["errors"][0]["message"]
        ask = {"query": "{ __typename }"}
        headers = {"X-Remote-User": "Jo"}
        url = f"{server.url}/graphql"
        answer = httpx.post(url, json=ask, headers=headers, auth=("nginx", "of its own"))
        assert answer.status_code == 401
        assert 'proxy_set_header Authorization ""' in answer.json()["errors"][0]["message"]
        plain = httpx.post(url, json=ask, auth=("Jo", "wrong"))
        assert "proxy" not in plain.json()["errors"][0]["message"]
        assert httpx.post(url, json=ask, headers=headers).status_code == 200
        assert httpx.post(url, json=ask, auth=("Jo", PASSWORD)).status_code == 200
    database.close_writer()
