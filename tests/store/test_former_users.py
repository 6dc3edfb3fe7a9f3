"""A database that had users and has none is not taken for a new one, which is open to everybody."""

import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import make_url, text

from dicom_graph.settings import Settings
from dicom_graph.store.backup import back_up
from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.former_users import UsersGoneError, is_marked, open_to_all
from dicom_graph.store.migrate import prepare, upgrade
from tests.support.commands import Run, assert_one_line
from tests.support.people import add_person
from tests.support.server import running_server
from tests.support.waiting import until

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])
QUERY = {"query": "{ patients { totalCount } }"}


def path_of(url: str) -> Path:
    return Path(str(make_url(url).database))


def with_a_user(url: str) -> None:
    """The database has a user, and was closed; a start since then has seen that."""
    database = Database(url)
    add_person(database, "jo", "ADMIN")
    prepare(database)
    database.close_writer()


def start(url: str) -> None:
    """What every command and every server does first."""
    database = Database(url)
    try:
        prepare(database)
    finally:
        database.close_writer()


def remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)


def empty(path: Path) -> None:
    remove(path)
    path.touch()


def replace_by_new(path: Path) -> None:
    """By a database of this version without a user."""
    remove(path)
    made = Database(f"sqlite:///{path}.new")
    upgrade(made)
    made.close_writer()
    os.rename(f"{path}.new", path)


def replace_by_tables_of_another(path: Path) -> None:
    remove(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE t (a)")


def replace_by_garbage(path: Path) -> None:
    remove(path)
    path.write_bytes(os.urandom(10_000))


def delete_users(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for table in ("web_session", "access_token", "account"):
            other.execute(f"DELETE FROM {table}")


def drop_users(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DROP TABLE account")


DAMAGES = [
    remove, empty, replace_by_new, replace_by_tables_of_another, replace_by_garbage, delete_users,
    drop_users,
]  # fmt: skip
each_damage = pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)


@on_sqlite
@each_damage
def test_no_start_takes_it_for_a_new_one(database_url: str, damage: Callable[[Path], None]) -> None:
    with_a_user(database_url)
    path = path_of(database_url)
    damage(path)
    before = path.read_bytes() if path.exists() else None
    for _ in range(2):
        with pytest.raises(DatabaseError) as told:
            start(database_url)
        if damage is not replace_by_garbage:
            assert "had users, and now has none" in str(told.value)
            assert "db open-to-all" in str(told.value)
    assert (path.read_bytes() if path.exists() else None) == before or damage in (
        replace_by_new, replace_by_tables_of_another, delete_users, drop_users,
    )  # fmt: skip


@on_sqlite
@pytest.mark.slow
@each_damage
def test_a_running_server_does_not_become_open(
    database_url: str, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """Also where nobody has asked it anything before."""
    with_a_user(database_url)
    settings = Settings(database_url=database_url, import_roots=[tmp_path], _env_file=None)
    with running_server(settings) as server:
        damage(path_of(database_url))
        for _ in range(2):
            answer = httpx.post(f"{server.url}/graphql", json=QUERY, timeout=30)
            assert answer.status_code in (401, 503), answer.text
            assert "totalCount" not in answer.text


@on_sqlite
def test_a_file_whose_log_was_removed(database_url: str, tmp_path: Path) -> None:
    """Its users were in the log alone."""
    path = path_of(database_url)
    database = Database(database_url)
    add_person(database, "jo", "ADMIN")
    prepare(database)
    shutil.copy(path, tmp_path / "without-log")
    database.close_writer()
    remove(path)
    os.rename(tmp_path / "without-log", path)
    with pytest.raises(UsersGoneError):
        start(database_url)


EMPTIED = ["DELETE FROM account", "TRUNCATE account CASCADE"]


@on_postgresql
@pytest.mark.parametrize("statement", EMPTIED)
def test_emptied_tables_of_postgresql(database_url: str, tmp_path: Path, statement: str) -> None:
    with_a_user(database_url)
    settings = Settings(database_url=database_url, import_roots=[tmp_path], _env_file=None)
    with running_server(settings) as server:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute("DELETE FROM web_session")
            connection.execute("DELETE FROM access_token")
            connection.execute(statement)  # type: ignore[call-overload]
        answer = httpx.post(f"{server.url}/graphql", json=QUERY, timeout=30)
        assert answer.status_code == 401, answer.text
    with pytest.raises(UsersGoneError):
        start(database_url)


def test_a_new_database_can_be_made_to_ask_for_names(database_url: str, tmp_path: Path) -> None:
    """For what leaves no trace: a mount that is not there, a database that was made anew."""
    settings = Settings(
        database_url=database_url, import_roots=[tmp_path], login="required", _env_file=None
    )
    with running_server(settings) as server:
        assert httpx.post(f"{server.url}/graphql", json=QUERY).status_code == 401
        database = Database(database_url)
        jo = add_person(database, "jo")
        database.close_writer()
        answer = httpx.post(f"{server.url}/graphql", json=QUERY, headers=jo.bearer)
        assert answer.json() == {"data": {"patients": {"totalCount": 0}}}


def test_what_never_had_users_is_made_anew(database_url: str) -> None:
    start(database_url)
    path = path_of(database_url)
    if database_url.startswith("sqlite"):
        remove(path)
        start(database_url)
        assert path.exists()
    assert not is_marked(Database(database_url))


def test_users_that_are_there_are_no_obstacle(database_url: str) -> None:
    with_a_user(database_url)
    for _ in range(2):
        start(database_url)
    with pytest.raises(DatabaseError, match="there are users"):
        open_to_all(Database(database_url))


def test_a_database_is_opened_on_purpose(database_url: str) -> None:
    with_a_user(database_url)
    database = Database(database_url)
    with database.writer.begin() as connection:
        for table in ("web_session", "access_token", "account"):
            connection.execute(text(f"DELETE FROM {table}"))
    with pytest.raises(UsersGoneError):
        start(database_url)
    open_to_all(database)
    start(database_url)
    with_a_user(database_url)
    start(database_url)
    database.close_writer()


@on_sqlite
def test_a_backup_is_put_back_and_a_database_is_moved(database_url: str, tmp_path: Path) -> None:
    with_a_user(database_url)
    path = path_of(database_url)
    database = Database(database_url)
    back_up(database, tmp_path / "backup")
    database.close_writer()
    remove(path)
    with pytest.raises(UsersGoneError):
        back_up(Database(database_url), tmp_path / "backup", force=True)
    shutil.copy(tmp_path / "backup", path)
    start(database_url)
    elsewhere = tmp_path / "elsewhere" / "index.sqlite3"
    elsewhere.parent.mkdir()
    os.rename(path, elsewhere)
    start(f"sqlite:///{elsewhere}")
    assert is_marked(Database(f"sqlite:///{elsewhere}"))
    with pytest.raises(UsersGoneError):
        start(database_url)
    open_to_all(Database(database_url))
    start(database_url)


@on_sqlite
def test_a_path_that_is_a_link(database_url: str, tmp_path: Path) -> None:
    path = path_of(database_url)
    real = tmp_path / "volume" / "real.sqlite3"
    real.parent.mkdir()
    os.rename(path, real)
    path.symlink_to(real)
    with_a_user(database_url)
    real.unlink()
    with pytest.raises(UsersGoneError):
        start(database_url)
    path.unlink()
    with pytest.raises(UsersGoneError):
        start(database_url)


@pytest.mark.slow
def test_no_command_goes_on(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "d" / "index.sqlite3"
    given = {"database_url": f"sqlite:///{path}"}
    assert run("user", "add", "jo", "--no-password", **given).returncode == 0
    mark = path.with_name("index.sqlite3.had-users")
    assert stat.S_IMODE(mark.stat().st_mode) == 0o600
    remove(path)
    for command in (
        ["serve", "--port", "0"], ["import", str(tmp_path)], ["sync", str(tmp_path)],
        ["user", "add", "al", "--no-password"], ["user", "list"], ["audit", "list"],
        ["db", "upgrade"], ["db", "prune"], ["db", "backup", str(tmp_path / "b")], ["jobs", "list"],
    ):  # fmt: skip
        assert_one_line(run(*command, **given), "had users, and now has none", "open-to-all")
    assert not path.exists()
    assert run("db", "open-to-all", **given).returncode == 0
    assert run("db", "upgrade", **given).returncode == 0
    assert path.exists()
    assert run("jobs", "list", **given).returncode == 0


def test_a_server_marks_what_it_finds(database_url: str, tmp_path: Path) -> None:
    """Users that no command of ours has added."""
    settings = Settings(database_url=database_url, import_roots=[tmp_path], _env_file=None)
    database = Database(database_url)
    with running_server(settings) as server:
        assert httpx.post(f"{server.url}/graphql", json=QUERY).status_code == 200
        add_person(database, "jo")
        until(lambda: httpx.post(f"{server.url}/graphql", json=QUERY).status_code == 401)
    assert is_marked(database) == database.is_sqlite
    database.close_writer()
