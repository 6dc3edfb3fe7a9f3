"""A database that others may read, that cannot be read, or whose users are gone."""

import os
import sqlite3
import stat
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.migrate import prepare
from tests.attacks.registry import Attack
from tests.faults.ground import CannotBeMade, Ground, Served, import_here, wait
from tests.support.make import make_series
from tests.support.people import add_person

_QUERY = {"query": "{ patients { nodes { name } } }"}
_OPEN = 0o077


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def readable(ground: Ground) -> str:
    """Under umask 0: a new database and what is stored; then what was made readable before."""
    if ground.kind != "sqlite":
        raise CannotBeMade("only SQLite is a file")
    tree, root = ground.folder / "tree", ground.folder / "root"
    make_series(tree, 3)
    root.mkdir()
    url = f"sqlite:///{ground.folder}/made/here/index.sqlite3"
    before = os.umask(0)
    try:
        with ground.server(url, storage_root=root) as served:
            job = served.begin_import(tree, storage="COPY")
            wait(lambda: served.job(job)["status"] == "COMPLETED", 60)
            kept = [*(ground.folder / "made").rglob("*"), *root.rglob("*")]
            assert all(not _mode(path) & _OPEN for path in kept), kept
        for path in kept:
            if path.is_file():
                path.chmod(0o666)
        with ground.server(url, storage_root=root) as served:
            wait(lambda: not any(_mode(path) & _OPEN for path in kept if path.exists()), 60)
    finally:
        os.umask(before)
    return f"{len(kept)} files and folders: the owner's alone, and mended at the next start"


def _truncated(part: float) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, int(path.stat().st_size * part))


def _foreign(path: Path) -> None:
    """Another program's database in its place."""
    path.unlink()
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE places (id INTEGER PRIMARY KEY, url TEXT)")


def _overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(os.urandom(path.stat().st_size))


def _no_database(path: Path) -> None:
    path.write_text("dear diary\n" * 1000)


def _read_only(path: Path) -> None:
    for each in path.parent.glob(f"{path.name}*"):
        each.chmod(0o400)
    path.parent.chmod(0o500)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _without_a_page(path: Path) -> None:
    """Of a table alone, whatever else is whole."""
    with closing(sqlite3.connect(path)) as other:
        (number,) = other.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'data_element_value'"
        ).fetchone()
        (size,) = other.execute("PRAGMA page_size").fetchone()
    with path.open("r+b") as file:
        file.seek((number - 1) * size)
        file.write(os.urandom(size))


LOCKS = {
    "locked": ["BEGIN EXCLUSIVE"],
    "locked and written": ["BEGIN IMMEDIATE", "UPDATE series SET description = 'x'"],
    "read for long": ["BEGIN", "SELECT count(*) FROM image"],
}
"""What another program does to the file of a database, and does not end."""


def _statement(text: str) -> Callable[[Path], None]:
    def execute(path: Path) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute(text)

    return execute


_MISSING = ("data_element_value", "header", "audit", "image")
FILE_DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": _truncated(0.5), "nearly whole": _truncated(0.95), "emptied": _truncated(0),
    "foreign": _foreign, "no database": _no_database, "overwritten": _overwritten,
    "removed": Path.unlink, "a folder": _folder, "read only": _read_only,
    "another version": _statement("UPDATE alembic_version SET version_num = '9999'"),
    "without a page": _without_a_page, "a pipe": _pipe,
} | {f"without {table}": _statement(f"DROP TABLE {table}") for table in _MISSING}  # fmt: skip
"""What is done to the file of a database, by the name of a case."""
STATEMENTS = {
    "another version": "UPDATE alembic_version SET version_num = '9999'",
    "renamed": "ALTER TABLE image RENAME TO picture",
    "without a column": "ALTER TABLE series DROP COLUMN description CASCADE",
    "locked": "LOCK TABLE image IN ACCESS EXCLUSIVE MODE",
} | {f"without {table}": f"DROP TABLE {table} CASCADE" for table in _MISSING}
"""What is done in a database of PostgreSQL."""
_ALL = """{ images(first: 100) { nodes { uid header { elements { value values { raw } } } } }
  series { nodes { description } } auditEntries { nodes { id } } }"""


def unreadable(ground: Ground) -> str:
    """Ready is what answers: wherever a question fails, /readyz says so, with a reason."""
    make_series(ground.folder / "tree", 20)
    seen = {}
    damages = [*FILE_DAMAGES, *LOCKS] if ground.kind == "sqlite" else [*STATEMENTS]
    for number, name in enumerate(damages):
        with ground.database(f"database{number}") as url, ExitStack() as stack:
            import_here(url, ground.folder / "tree")
            with ground.server(url) as served:
                assert served.is_ready()
                assert _answers(served)
                _damage(url, name, stack)
                answer = served.get("/readyz")
                is_ready = answer.status_code == 200
                assert is_ready or answer.json()["errors"][0]["message"], name
                # Who only reads waits for no lock of SQLite.
                assert is_ready or ground.kind != "sqlite" or name not in LOCKS, name
                # Tables of another version may still answer; they are not ready either.
                assert not is_ready or _answers(served), name
                assert served.get("/healthz").status_code == 200
                seen[name] = answer.status_code
                stack.close()
        (ground.folder / f"database{number}").chmod(0o700)
    told = ", ".join(f"{name} {status}" for name, status in seen.items())
    return f"{len(seen)} kinds of damage: {told}"


def _answers(served: Served) -> bool:
    return not served.ask(_ALL).get("errors")


def _damage(url: str, name: str, stack: ExitStack) -> None:
    if url.startswith("postgresql"):
        connection = stack.enter_context(psycopg.connect(url, autocommit=name != "locked"))
        connection.execute(STATEMENTS[name])
        return
    path = Path(str(make_url(url).database))
    if name in LOCKS:
        other = stack.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
        for statement in LOCKS[name]:
            other.execute(statement).fetchone()
        return
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    FILE_DAMAGES[name](path)


def emptied(ground: Ground) -> str:
    """The users are gone, under a running server and before a start: nobody is let in."""
    with ground.database() as url:
        database = Database(url)
        add_person(database, "jo", "ADMIN")
        database.close_writer()
        with ground.server(url) as served:
            if ground.kind == "sqlite":
                path = Path(str(make_url(url).database))
                for end in ("-wal", "-shm"):
                    Path(f"{path}{end}").unlink(missing_ok=True)
                os.truncate(path, 0)
            else:
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute("TRUNCATE account CASCADE")
            answer = httpx.post(f"{served.url}/graphql", json=_QUERY, timeout=60)
            assert answer.status_code in (401, 503), answer.text
        with pytest.raises(DatabaseError, match="had users, and now has none"):
            prepare(Database(url))
    return f"running: {answer.status_code}, and no start takes it for a new one"


ATTACKS: dict[str, Attack] = {
    "readable-files": readable,
    "unreadable-database": unreadable,
    "emptied-database": emptied,
}
