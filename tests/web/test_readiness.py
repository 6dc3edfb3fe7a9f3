"""/readyz says 200 where questions can be answered, and 503 with a reason wherever they cannot."""

import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from dicom_graph.importing.foreground import Report
from tests.support.make import make_series
from tests.support.server import Server

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])
QUERY = "{ images(first: 100) { nodes { uid header { elements { value } } } } }"


def file_of(server: Server) -> Path:
    return Path(str(make_url(server.settings.database_url).database))


def readiness(server: Server) -> tuple[int, str]:
    answer = httpx.get(f"{server.url}/readyz", timeout=30)
    told = answer.json()
    return answer.status_code, told["errors"][0]["message"] if "errors" in told else told["status"]


def has_errors(server: Server) -> bool:
    answer = httpx.post(f"{server.url}/graphql", json={"query": QUERY}, timeout=30)
    return "errors" in answer.json()


def execute(server: Server, *statements: str) -> None:
    """In the database of the server, beside it."""
    if server.settings.database_url.startswith("postgresql"):
        with psycopg.connect(server.settings.database_url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)
        return
    with closing(sqlite3.connect(file_of(server), isolation_level=None)) as other:
        for statement in statements:
            other.execute(statement)


def truncate(part: float) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, int(path.stat().st_size * part))


def overwrite(path: Path) -> None:
    """The same file, of other bytes."""
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


def replace(path: Path) -> None:
    path.unlink()
    path.write_bytes(os.urandom(8192))


def zero_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(100))


@on_sqlite
@pytest.mark.parametrize(
    "damage",
    [truncate(0.9), truncate(0.5), truncate(0.01), truncate(0), overwrite, replace, zero_header,
     Path.unlink],
    ids=["end", "half", "most", "all", "overwritten", "replaced", "header", "removed"],
)  # fmt: skip
def test_a_damaged_file_is_not_ready(
    server: Server, import_files: Callable[..., Report], tmp_path: Path,
    damage: Callable[[Path], None],
) -> None:  # fmt: skip
    make_series(tmp_path / "tree", 40)
    import_files(tmp_path / "tree")
    assert readiness(server) == (200, "ok")
    assert not has_errors(server)
    execute(server, "PRAGMA wal_checkpoint(TRUNCATE)")
    damage(file_of(server))
    status, reason = readiness(server)
    assert status == 503
    assert "database" in reason
    assert has_errors(server)
    assert httpx.get(f"{server.url}/healthz").status_code == 200


@pytest.mark.parametrize(
    "statement",
    ["DROP TABLE header_element", "DROP TABLE data_element_value", "DROP TABLE import_batch",
     "DROP TABLE csa_number", "ALTER TABLE series RENAME COLUMN description TO told",
     "ALTER TABLE image RENAME COLUMN number TO no"],
)  # fmt: skip
def test_a_missing_table_is_not_ready(server: Server, statement: str) -> None:
    assert readiness(server) == (200, "ok")
    execute(server, statement)
    status, reason = readiness(server)
    assert status == 503
    assert "cannot be read as this version needs it" in reason


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE alembic_version SET version_num = '0009'", "revision 0009"),
        ("UPDATE alembic_version SET version_num = '9999'", "revision 9999"),
        ("INSERT INTO alembic_version VALUES ('9999')", " and 9999"),
        ("DELETE FROM alembic_version", "revision none"),
        ("DROP TABLE alembic_version", "revision none"),
    ],
)
def test_tables_of_another_version_are_not_ready(server: Server, statement: str, told: str) -> None:
    execute(server, statement)
    status, reason = readiness(server)
    assert status == 503
    assert told in reason


@on_postgresql
def test_what_may_not_be_read_is_not_ready(server: Server, database_url: str) -> None:
    """A table of another owner; the server's user is made an ordinary one."""
    execute(
        server,
        "CREATE ROLE nobody_special NOSUPERUSER",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO nobody_special",
        f'ALTER DATABASE "{make_url(database_url).database}" SET role = nobody_special',
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()",
    )
    try:
        assert readiness(server) == (200, "ok")
        execute(server, "SET ROLE postgres", "REVOKE SELECT ON image FROM nobody_special")
        status, reason = readiness(server)
        assert status == 503
        assert "cannot be read" in reason
    finally:
        execute(
            server, "SET ROLE postgres", "DROP OWNED BY nobody_special",
            f'ALTER DATABASE "{make_url(database_url).database}" RESET role',
            "DROP ROLE nobody_special",
        )  # fmt: skip


@on_sqlite
def test_a_file_that_another_writes_is_ready(server: Server) -> None:
    with closing(sqlite3.connect(file_of(server), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert readiness(server) == (200, "ok")
        other.execute("ROLLBACK")


@on_postgresql
@pytest.mark.slow
def test_a_locked_table_is_not_ready_and_nobody_waits_for_long(server: Server) -> None:
    with psycopg.connect(server.settings.database_url) as other:
        other.execute("LOCK TABLE image IN ACCESS EXCLUSIVE MODE")
        answers: list[tuple[int, str]] = []
        threads = [
            threading.Thread(target=lambda: answers.append(readiness(server))) for _ in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert [status for status, _ in answers] == [503] * 30
        assert httpx.get(f"{server.url}/healthz").status_code == 200
        other.rollback()
    assert readiness(server) == (200, "ok")
    # One look was enough for all who asked: there are places for questions.
    assert not has_errors(server)


@on_sqlite
def test_a_file_that_is_put_back_is_ready_again(server: Server, tmp_path: Path) -> None:
    path = file_of(server)
    kept = tmp_path / "kept"
    os.rename(path, kept)
    assert readiness(server)[0] == 503
    os.rename(kept, path)
    assert readiness(server) == (200, "ok")
