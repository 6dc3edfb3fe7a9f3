"""The database is gone, silent, locked, replaced or full, and then is well again."""

import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import make_url
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from dicom_graph.store.engine import Database
from tests.faults.ground import COUNT, CannotBeMade, Ground, Link, Served, import_here, wait
from tests.support.contents import assert_consistent, contents
from tests.support.make import make_series

PROTOCOL = Subprotocol("graphql-transport-ws")
_FAST = 15.0
"""Seconds within which a client is told, with a machine that is busy."""


@contextmanager
def _breakable(kind: str, url: str) -> Iterator[tuple[str, Callable[[], None], Callable[[], None]]]:
    """A URL, what makes its database go, and what brings it back."""
    if kind == "postgresql":
        link = Link(url)
        yield link.url, link.cut, link.restrict_to_owner
        link.cut()
        return
    folder = Path(str(make_url(url).database)).parent
    hidden = folder.with_name("hidden")
    yield url, lambda: folder.rename(hidden), lambda: _put_back(hidden, folder)


def _put_back(hidden: Path, folder: Path) -> None:
    assert not folder.exists() or not os.listdir(folder), "a new database was made in its place"
    if folder.exists():
        folder.rmdir()
    hidden.rename(folder)


def _is_told(served: Served) -> None:
    """Of a database that is gone, in all ways."""
    began = time.monotonic()
    assert served.code(COUNT) == "UNAVAILABLE"
    ready = served.get("/readyz")
    assert ready.status_code == 503
    assert "database" in ready.json()["errors"][0]["message"]
    for path in ("/images/1.2.3.dcm", "/series/1.2.3.zip", "/series.csv"):
        answer = served.get(path)
        assert answer.status_code == 503, (path, answer.status_code, answer.text)
        assert answer.json()["errors"][0]["code"] == "UNAVAILABLE"
        assert "Retry-After" in answer.headers
    assert served.get("/healthz").status_code == 200
    assert time.monotonic() - began < 5 * _FAST


def gone(ground: Ground) -> str:
    """In the midst of an import. All is told at once, and the import goes on by itself."""
    tree = ground.folder / "tree"
    make_series(tree, 150)
    with (
        ground.database() as real,
        ground.database("unhurt") as unhurt,
        _breakable(ground.kind, real) as (url, go, come),
        ground.server(url, batch_size=2) as served,
        connect(served.websocket_url, subprotocols=[PROTOCOL]) as open_one,
    ):
        open_one.send(json.dumps({"type": "connection_init"}))
        assert json.loads(open_one.recv(30))["type"] == "connection_ack"
        import_here(unhurt, tree)
        job = served.begin_import(tree)
        wait(lambda: served.job(job)["created"] >= 4, 60)
        go()
        _is_told(served)
        _is_told_over_websocket(served, open_one)
        time.sleep(ground.seconds)
        come()
        back = wait(served.is_ready, 30)
        wait(lambda: served.job(job)["status"] not in ("RUNNING", "PENDING", "INTERRUPTED"), 120)
        found = served.job(job)
        assert (found["status"], found["created"], found["failures"]) == ("COMPLETED", 150, [])
        _assert_same(real, unhurt)
    return f"told at once, ready again after {back:.1f} s, and the import lost nothing"


def _is_told_over_websocket(served: Served, open_one: ClientConnection) -> None:
    for id in range(2):
        subscribe = {"id": str(id), "type": "subscribe", "payload": {"query": COUNT}}
        open_one.send(json.dumps(subscribe))
        message = json.loads(open_one.recv(_FAST))
        told = message["payload"]
        errors = told if message["type"] == "error" else told["errors"]
        assert errors[0]["extensions"]["code"] == "UNAVAILABLE"
        if message["type"] == "next":
            assert json.loads(open_one.recv(_FAST))["type"] == "complete"
        # Who is asking is looked up again after a second.
        time.sleep(1.1)
    with pytest.raises(InvalidHandshake):
        connect(served.websocket_url, subprotocols=[PROTOCOL], open_timeout=_FAST)


def _assert_same(url: str, other: str) -> None:
    databases = Database(url), Database(other)
    assert_consistent(databases[0])
    assert contents(databases[0]) == contents(databases[1])
    for database in databases:
        database.close_writer()


def silent(ground: Ground) -> str:
    """A network that swallows all: requests end by their time, and what comes after is well."""
    if ground.kind == "sqlite":
        raise CannotBeMade("SQLite has no network")
    with ground.database() as real:
        link = Link(real)
        with ground.server(link.url, max_seconds=2) as served:
            served.data(COUNT)
            link.silence()
            began = time.monotonic()
            assert served.code(COUNT) in ("UNAVAILABLE", "TIMEOUT")
            took = time.monotonic() - began
            assert took < 2 * _FAST
            assert served.get("/readyz").status_code == 503
            link.cut()
            link.restrict_to_owner()
            back = wait(served.is_ready, 60)
            served.data(COUNT)
        link.cut()
    return f"told after {took:.1f} s, ready again after {back:.1f} s"


UPDATE = """mutation ($id: ID!) { updatePatient(input: {id: $id, givenName: "Janet"}) {
  patient { name } errors { code } } }"""


@contextmanager
def _locking(kind: str, url: str) -> Iterator[tuple[Callable[[], object], Callable[[], object]]]:
    """What takes the lock that a writer needs, and what gives it back."""
    if kind == "sqlite":
        path = str(make_url(url).database)
        with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as other:
            yield lambda: other.execute("BEGIN IMMEDIATE"), lambda: other.execute("ROLLBACK")
        return
    with psycopg.connect(url) as connection:
        statement = "LOCK TABLE patient IN EXCLUSIVE MODE"
        yield lambda: connection.execute(statement), connection.rollback


def locked(ground: Ground) -> str:
    """Another program holds a lock: reading goes on, a change is told, an import waits."""
    tree, more = ground.folder / "tree", ground.folder / "more"
    make_series(tree, 3)
    make_series(more, 3, PatientID="p2")
    with (
        ground.database() as url,
        ground.server(url, max_seconds=2) as served,
        _locking(ground.kind, url) as (lock, unlock),
    ):
        import_here(url, tree)
        patient = served.data("{ patients { nodes { id } } }")["patients"]["nodes"][0]["id"]
        job = served.begin_import(more)
        lock()
        assert served.data(COUNT)["images"]["totalCount"] >= 3
        began = time.monotonic()
        assert served.code(UPDATE, id=patient) == "UNAVAILABLE"
        took = time.monotonic() - began
        assert took < _FAST
        time.sleep(ground.seconds)
        unlock()
        wait(lambda: served.job(job)["status"] == "COMPLETED", 60)
        assert served.data(COUNT)["images"]["totalCount"] == 6
        assert served.code(UPDATE, id=patient) is None
    return f"reading went on, a change was told after {took:.1f} s, the import waited"


def replaced(ground: Ground) -> str:
    """Another file lies in the database's place: the server uses neither."""
    if ground.kind != "sqlite":
        raise CannotBeMade("only SQLite is a file")
    make_series(ground.folder / "tree", 2)
    with ground.database() as url, ground.database("other") as other:
        import_here(url, ground.folder / "tree")
        path = Path(str(make_url(url).database))
        with ground.server(url) as served:
            assert served.data(COUNT)["images"]["totalCount"] == 2
            kept = path.with_name("kept")
            path.rename(kept)
            shutil.copy(str(make_url(other).database), path)
            assert served.code(COUNT) == "UNAVAILABLE"
            assert "restart the server" in served.get("/readyz").json()["errors"][0]["message"]
            path.unlink()
            assert served.code(COUNT) == "UNAVAILABLE"
            assert not path.exists()
            kept.rename(path)
            wait(served.is_ready, 10)
            assert served.data(COUNT)["images"]["totalCount"] == 2
    return "neither file was used, and the first is again when it is back"


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of a few megabytes. Raises CannotBeMade."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("mount") is None:
        raise CannotBeMade("only root may mount a small disk")
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotBeMade(f"a small disk cannot be mounted: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path, leave: int = 0) -> Path:
    """A file that takes what room there is, but for some bytes."""
    ballast = folder / "ballast"
    room = os.statvfs(folder)
    with ballast.open("wb") as file:
        file.write(bytes(max(0, room.f_bavail * room.f_frsize - leave)))
    return ballast


def full(ground: Ground) -> str:
    """The database's disk is full: reading goes on, and with room the import does."""
    if ground.kind != "sqlite":
        raise CannotBeMade("the disk of the test's PostgreSQL cannot be filled")
    tree = ground.folder / "tree"
    make_series(tree, 60, ImageComments="x" * 1000)
    for number, path in enumerate(sorted(tree.iterdir())):
        path.write_bytes(path.read_bytes().replace(b"x" * 1000, f"{number:04}".encode() * 250))
    with small_disk(ground.folder / "disk", 16) as disk, ground.database("unhurt") as unhurt:
        import_here(unhurt, tree)
        url = f"sqlite:///{disk / 'database.sqlite3'}"
        with ground.server(url, batch_size=10) as served:
            served.data(COUNT)
            ballast = fill(disk, leave=150_000)
            job = served.begin_import(tree)
            wait(lambda: _is_interrupted(served, job), 60)
            seen = served.job(job)
            count = served.data(COUNT)["images"]["totalCount"]
            assert count == seen["created"] < 60
            ballast.unlink()
            wait(lambda: served.job(job)["status"] == "COMPLETED", 60)
            assert served.data(COUNT)["images"]["totalCount"] == 60
        _assert_same(url, unhurt)
    return f"told after {count} of 60 images ({seen['error']}), and completed with room"


def _is_interrupted(served: Served, job: str) -> bool:
    """Told as soon as even that can be written, so that the disk needs a little room."""
    found: dict[str, Any] = served.job(job)
    assert found["status"] != "FAILED", found
    return found["status"] == "INTERRUPTED" and "full" in (found["error"] or "")
