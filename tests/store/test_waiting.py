"""Who waits for SQLite's locks says so and for whom, and goes on once they are free."""

import logging
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_graph.store import engine_setup
from dicom_graph.store.engine import Database
from dicom_graph.store.migrate import prepare, upgrade
from dicom_graph.store.sql import connections
from tests.support.waiting import until


def test_a_wait_for_the_write_lock_is_told_once_it_is_long(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_setup, "SILENT_MILLISECONDS", 50)
    path = tmp_path / "database.sqlite3"
    database = Database(f"sqlite:///{path}")
    written = threading.Event()

    def write() -> None:
        with database.writer.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE t (x INTEGER)")
        written.set()

    caplog.set_level(logging.WARNING, "dicom_graph.store")
    database.check()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    thread = threading.Thread(target=write)
    thread.start()
    try:
        until(lambda: caplog.messages)
        # It is this one, which the kernel tells of no lock of its own.
        assert caplog.messages == [f"waiting for another process, which writes to {path}"]
        assert not written.is_set()
    finally:
        other.execute("ROLLBACK")
        thread.join()
        other.close()
    assert written.is_set()
    caplog.clear()
    with database.writer.begin() as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    with database.read_sync() as connection:
        assert connection.exec_driver_sql("SELECT x FROM t").scalars().all() == [1]
    assert caplog.messages == []
    database.close_writer()


_HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("BEGIN IMMEDIATE")
connection.execute("PRAGMA user_version = 1")
print("held", flush=True)
sys.stdin.read(1)
"""


@contextmanager
def held(path: Path, pragma: str) -> Iterator[int]:
    """Another process has the database's write lock; its id."""
    command = [sys.executable, "-c", _HOLD, str(path), pragma]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process.pid
        process.communicate(b"x")


@pytest.mark.skipif(not os.path.exists("/proc/locks"), reason="no /proc/locks")
@pytest.mark.parametrize("pragma", ["PRAGMA locking_mode=NORMAL", "PRAGMA locking_mode=EXCLUSIVE"])
def test_the_process_that_is_waited_for_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, pragma: str
) -> None:
    for each in (engine_setup, connections):
        monkeypatch.setattr(each, "SILENT_MILLISECONDS", 50)
    path = tmp_path / "database.sqlite3"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.close_writer()
    caplog.set_level(logging.WARNING, "dicom_graph.store")
    with held(path, pragma) as process:
        if "NORMAL" in pragma:
            # Whoever only looks does not wait.
            prepare(database)
            assert caplog.messages == []
            database.close_writer()

        def write() -> None:
            with database.writer.begin():
                pass

        thread = threading.Thread(target=write)
        thread.start()
        until(lambda: caplog.messages)
    thread.join()
    (message,) = caplog.messages
    assert message.startswith(f"waiting for process {process} (python")
    assert message.endswith(str(path))
    database.close_writer()
