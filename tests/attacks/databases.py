"""A database that others may read, that cannot be read, or whose users are gone."""

import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import make_url

from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.migrate import prepare
from tests.access.people import add_person
from tests.attacks.registry import Attack
from tests.faults.ground import CannotBeMade, Ground, import_here, wait
from tests.make import make_series

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


def unreadable(ground: Ground) -> str:
    """A truncated file, and a table that is not there: /readyz does not say that all is well."""
    make_series(ground.folder / "tree", 20)
    with ground.database() as url:
        import_here(url, ground.folder / "tree")
        with ground.server(url) as served:
            assert served.is_ready()
            if ground.kind == "sqlite":
                path = Path(str(make_url(url).database))
                with closing(sqlite3.connect(path)) as other:
                    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                os.truncate(path, path.stat().st_size // 2)
            else:
                with psycopg.connect(url, autocommit=True) as connection:
                    connection.execute("DROP TABLE data_element_value")
            answer = served.get("/readyz")
            assert answer.status_code == 503
            assert served.get("/healthz").status_code == 200
    return f"503: {answer.json()['errors'][0]['message']}"


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
