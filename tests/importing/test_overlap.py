"""Two processes that import overlapping trees at the same moment."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydicom import dcmread
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobCounts, JobRequest
from dicom_graph.store.migrate import upgrade
from tests.support.contents import assert_consistent, contents
from tests.support.make import make_series
from tests.support.waiting import until

pytestmark = pytest.mark.slow

_COMMAND = "from dicom_graph.cli import main; main()"
_IMAGES = 60


def start_import(url: str, root: Path, storage: str, *paths: Path) -> subprocess.Popen[str]:
    environment = os.environ | {
        "DICOM_GRAPH_DATABASE_URL": url, "DICOM_GRAPH_STORAGE_ROOT": str(root),
        "DICOM_GRAPH_BATCH_SIZE": "5",
    }  # fmt: skip
    arguments = [*map(str, paths), "--mode", "full", "--storage", storage, "--json"]
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "import", *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("storage", ["in-place", "copy"])
def test_overlapping_imports_at_once(
    database: Database, database_url: str, tmp_path: Path, storage: str
) -> None:
    (tmp_path / "root").mkdir()
    folders = {name: tmp_path / "tree" / name for name in ("mine", "both", "yours")}
    for name, folder in folders.items():
        make_series(folder, _IMAGES, PatientID=name)
    both = folders["both"]
    processes = [
        start_import(database_url, tmp_path / "root", storage, both, folders[name])
        for name in ("mine", "yours")
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    reports: list[dict[str, Any]] = [json.loads(output) for output, _ in outputs]
    assert [report["found"] for report in reports] == [2 * _IMAGES] * 2
    assert sum(report["created"] for report in reports) == 3 * _IMAGES
    assert sum(report["existing"] for report in reports) == _IMAGES
    assert_consistent(database)
    found = contents(database)
    files = {os.path.join(*key) for key in found["files"]}
    if storage == "copy":
        assert files == set(map(str, (tmp_path / "root").rglob("*.dcm")))
    else:
        assert files == set(map(str, (tmp_path / "tree").rglob("*.dcm")))
    one_by_one = Database(f"sqlite:///{tmp_path}/one-by-one.sqlite3")
    upgrade(one_by_one)
    run_import(one_by_one, JobRequest((str(tmp_path / "tree"),), Mode.FULL))
    for part, expected in contents(one_by_one).items():
        assert part == "files" or found[part] == expected, part
    one_by_one.close_writer()


@pytest.mark.parametrize("database_kind", ["postgresql"])
def test_a_deadlock_with_another_writer_costs_nothing(database: Database, tmp_path: Path) -> None:
    """PostgreSQL ends one of the two: on a slow machine perhaps the other, so it is tried again."""
    for attempt in range(5):
        files = make_series(tmp_path / str(attempt), 2)
        request = JobRequest((str(tmp_path / str(attempt)),), Mode.NORMAL)
        run_import(database, request)
        reports: list[Report] = []
        again = partial(_import_again, database, replace(request, mode=Mode.FULL), reports)
        is_import_ended = _deadlock(database, sorted(map(_uid, files)), again)
        assert [report.counts for report in reports] == [JobCounts(found=2, updated=2)]
        assert [report.failures for report in reports] == [[]]
        if is_import_ended:
            break
    else:
        pytest.fail("the import was never the one that PostgreSQL ended")
    assert_consistent(database)


def _uid(file: Path) -> str:
    return str(dcmread(file).SOPInstanceUID)


def _import_again(database: Database, request: JobRequest, reports: list[Report]) -> None:
    reports.append(run_import(database, request))


def _deadlock(database: Database, uids: list[str], write: Callable[[], None]) -> bool:
    """Hold the second image, and want the first when the import waits; whether that succeeded."""
    touch = text("UPDATE image SET number = number WHERE uid = :uid")
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )

    def is_waiting() -> bool:
        with database.read_sync() as watching:  # a transaction sees one moment of it
            return watching.execute(waiting).scalar_one() == 1

    thread = threading.Thread(target=write)
    try:
        with database.writer.begin() as connection:
            connection.execute(touch, {"uid": uids[1]})
            thread.start()
            until(is_waiting)

            connection.execute(touch, {"uid": uids[0]})
    except DBAPIError as error:
        if not isinstance(error.orig, psycopg.errors.DeadlockDetected):
            raise
        return False
    finally:
        thread.join(60)
    return True
