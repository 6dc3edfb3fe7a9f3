"""Who waits for SQLite's write lock says so, and goes on once it is free."""

import logging
import sqlite3
import threading
from pathlib import Path

import pytest

from dicom_graph.store import engine
from dicom_graph.store.engine import Database
from tests.waiting import until


def test_a_wait_for_the_write_lock_is_told_once_it_is_long(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_SILENT_MILLISECONDS", 50)
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
        assert caplog.messages == [f"waiting for another process that writes to {path}"]
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
