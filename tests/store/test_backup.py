"""Backups: whole, of one moment, and never in place of something else by accident."""

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.store.backup import back_up
from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from tests.support.commands import Run, assert_one_line
from tests.support.contents import assert_consistent, contents
from tests.support.make import make_series

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])


def opened(path: Path) -> Database:
    return Database(f"sqlite:///{path}")


@on_sqlite
def test_a_backup_holds_all(
    database: Database, import_files: Callable[..., Report], tmp_path: Path
) -> None:
    make_series(tmp_path / "files", 5)
    import_files(tmp_path / "files")
    target = tmp_path / "copy.sqlite3"
    assert back_up(database, target) == target.stat().st_size
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy.sqlite3"]
    assert target.stat().st_mode & 0o077 == 0
    assert contents(opened(target)) == contents(database)


@on_sqlite
def test_a_backup_while_an_import_writes_is_of_one_moment(
    database: Database, tmp_path: Path
) -> None:
    """Each batch is one transaction: a backup has all of it or nothing."""
    make_series(tmp_path / "files", 120)
    began = threading.Event()
    request = JobRequest((str(tmp_path / "files"),), Mode.FULL, origin=JobOrigin.PYTHON)
    options = ImportOptions(batch_size=4, processes=1)
    importer = threading.Thread(
        target=run_import,
        args=(database, request, options),
        kwargs={"progress": lambda _: began.set()},
    )
    importer.start()
    began.wait(30)
    sizes = []
    for number in range(3):
        target = tmp_path / f"{number}.sqlite3"
        back_up(database, target)
        with sqlite3.connect(target) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        tables = assert_consistent(opened(target))
        (job,) = tables["import_job"]
        assert job["images_created"] == len(tables["image"])
        sizes.append(len(tables["image"]))
    importer.join()
    assert all(size % 4 == 0 for size in sizes)
    assert sizes == sorted(sizes)
    back_up(database, tmp_path / "last.sqlite3")
    assert contents(opened(tmp_path / "last.sqlite3")) == contents(database)


@on_sqlite
def test_nothing_is_replaced_by_accident(database: Database, tmp_path: Path) -> None:
    target = tmp_path / "copy.sqlite3"
    target.write_text("precious")
    with pytest.raises(DatabaseError, match="--force"):
        back_up(database, target)
    assert target.read_text() == "precious"
    back_up(database, target, force=True)
    assert target.read_bytes().startswith(b"SQLite format 3")
    with pytest.raises(DatabaseError, match="itself"):
        back_up(database, Path(str(database.url.database)), force=True)


@on_sqlite
def test_a_folder_that_is_not_there(database: Database, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="No such file"):
        back_up(database, tmp_path / "nowhere" / "copy.sqlite3")


@on_postgresql
def test_postgresql_has_its_own(database: Database, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match="pg_dump --format=custom"):
        back_up(database, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.slow
def test_the_command(run: Run, tmp_path: Path) -> None:
    make_series(tmp_path / "files", 2)
    assert run("import", tmp_path / "files").returncode == 0
    done = run("db", "backup", tmp_path / "copy.sqlite3")
    assert (done.returncode, done.stderr) == (0, "")
    assert_one_line(run("db", "backup", tmp_path / "copy.sqlite3"), "exists", "--force")
    restored = f"sqlite:///{tmp_path / 'copy.sqlite3'}"
    again = run("import", tmp_path / "files", "--database", restored)
    assert "2 existing" in again.stdout
    missing = run("db", "backup", tmp_path / "x", "--database", f"sqlite:///{tmp_path}/none")
    assert_one_line(missing, "there is no database at", "to back up")
