"""`dicom-graph sync`, `watch` and `jobs` as a shell sees them."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import JobRequest, create_job
from dicom_graph.store.migrate import upgrade
from tests.support.commands import BAD, COMMAND, Run, assert_one_line
from tests.support.contents import Tables
from tests.support.make import make_file, make_series
from tests.support.waiting import until

pytestmark = pytest.mark.slow


def test_sync_reports_what_is_gone(run: Run, tmp_path: Path) -> None:
    paths = make_series(tmp_path / "a", 3)
    assert run("import", tmp_path / "a").returncode == 0
    paths[0].unlink()
    dry = run("sync", tmp_path / "a", "--dry-run")
    assert (dry.returncode, dry.stdout) == (0, f"{paths[0]}\n")
    assert dry.stderr == "1 known files are gone\n"
    done = run("sync", tmp_path / "a")
    assert done.returncode == 0
    assert done.stdout.endswith(", 1 images missing, 0 files moved\n")
    assert run("sync", tmp_path / "a", "--dry-run").stdout == ""
    assert run("sync", tmp_path / "a", "--dry-run", "--prune").stdout == f"{paths[0]}\n"
    report = json.loads(run("sync", tmp_path / "a", "--prune", "--json").stdout)
    assert (report["missing"], report["existing"]) == (1, 2)


def test_sync_refuses_a_folder_that_looks_unmounted(run: Run, tmp_path: Path) -> None:
    make_file(tmp_path / "a" / "1.dcm")
    run("sync", tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert_one_line(run("sync", tmp_path / "a"), "does not exist")
    (tmp_path / "a").mkdir()
    done = run("sync", tmp_path / "a", "--prune")
    assert done.returncode == 1
    assert "is empty, but the database knows files there" in done.stdout
    assert_one_line(run("sync", tmp_path / "a", "--dry-run"), "is empty")


def test_jobs_are_listed_shown_cancelled_and_retried(run: Run, tmp_path: Path) -> None:
    make_file(tmp_path / "a" / "1.dcm")
    (tmp_path / "a" / "bad.dcm").write_bytes(BAD)
    url = f"sqlite:///{tmp_path}/home/.dicom-graph/database.sqlite3"
    assert run("import", tmp_path / "a").returncode == 1
    make_file(tmp_path / "a" / "bad.dcm")
    done = run("jobs", "retry", "1", "--json")
    assert (done.returncode, json.loads(done.stdout)["created"]) == (0, 1)
    assert_one_line(run("jobs", "retry", "2"), "no file of import 2 failed")
    database = Database(url)
    with database.writer.begin() as connection:
        create_job(connection, JobRequest((str(tmp_path),)))
    database.close_writer()
    assert run("jobs", "cancel", "3").stdout == "cancelled\n"
    assert_one_line(run("jobs", "cancel", "3"), "has ended")
    lines = run("jobs", "list", "--last", "2").stdout.splitlines()[1:]
    assert [line.split()[0] for line in lines] == ["3", "2"]
    assert "CANCELLED" in lines[0]
    assert "1 failed" in run("jobs", "show", "1").stdout
    assert_one_line(run("jobs", "show", "9"), "no import 9")


def test_watch_follows_a_folder_until_it_is_told_to_end(
    environment: dict[str, str],
    tmp_path: Path,
) -> None:
    make_file(tmp_path / "a" / "1.dcm")
    url = f"sqlite:///{tmp_path}/a.sqlite3"
    database = Database(url)
    upgrade(database)
    for number, end in enumerate((signal.SIGTERM, signal.SIGINT, signal.SIGHUP), 2):
        process = subprocess.Popen(
            [*COMMAND, "watch", str(tmp_path / "a"), "--settle", "0.2", "--json"],
            env=environment | {"DICOM_GRAPH_DATABASE_URL": url}, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["status"] == "COMPLETED"
            make_file(tmp_path / "a" / f"{number}.dcm")
            until(lambda n=number: len(Tables(database, "image")["image"]) == n)
            process.send_signal(end)
            _, errors = process.communicate(timeout=30)
        finally:
            process.kill()
        assert (process.returncode, errors) == (0, "")
    jobs = Tables(database, "import_job")["import_job"]
    assert {job["origin"] for job in jobs} == {"WATCH"}
    assert {job["status"] for job in jobs} <= {"COMPLETED", "CANCELLED"}
    database.close_writer()


def test_watch_refuses_a_folder_that_is_not_there(run: Run, tmp_path: Path) -> None:
    assert_one_line(run("watch", tmp_path / "nothing"), "does not exist")
