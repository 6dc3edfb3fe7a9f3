"""A server that reads a large SQLite file takes little memory for it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import psutil

from dicom_graph.store.engine import Database
from dicom_graph.store.migrate import upgrade

_MIB = 1 << 20


async def test_readers_share_the_systems_cache_of_pages(tmp_path: Path) -> None:
    """Ten connections read 24 MB each, of a file that is not mapped to memory."""
    path = tmp_path / "large.sqlite3"
    database = Database(f"sqlite:///{path}")
    upgrade(database)
    database.close_writer()
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE large (id INTEGER PRIMARY KEY, value BLOB)")
        rows = ((b"x" * 3000,) for _ in range(8000))
        other.executemany("INSERT INTO large (value) VALUES (?)", rows)
    process = psutil.Process()
    opened = [await database.reader.connect() for _ in range(10)]
    try:
        before = process.memory_full_info().uss
        for connection in opened:
            await connection.exec_driver_sql("PRAGMA mmap_size=0")
            await connection.exec_driver_sql("SELECT sum(length(hex(value))) FROM large")
        assert process.memory_full_info().uss - before < 120 * _MIB
    finally:
        for connection in opened:
            await connection.close()
        await database.reader.dispose()
