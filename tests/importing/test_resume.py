"""An import that is stopped, or whose process dies, goes on and ends as if it had not."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import func, select, update

from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.foreground import run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import (
    JobOrigin,
    JobRequest,
    JobStatus,
    claim_job,
    claimable_jobs,
    create_job,
    process_name,
)
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.imports import ImportJob
from tests.support.contents import Tables, assert_consistent, contents
from tests.support.make import make_series
from tests.support.waiting import until

pytestmark = pytest.mark.slow

_COUNTS = ("found", "images_created", "images_updated", "images_existing", "skipped", "failed")
_SERIES, _IMAGES = 4, 50
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some hundred images, and files that are skipped or fail."""
    folder = tmp_path_factory.mktemp("tree")
    for number in range(_SERIES):
        make_series(folder / f"s{number}", _IMAGES, PatientID=f"p{number}", SeriesNumber=number)
        (folder / f"s{number}" / "0010.txt").write_text("no DICOM")
        (folder / f"s{number}" / "0020.dcm.part").write_bytes(bytes(128) + b"DICM" + b"\xff" * 99)
    return folder


@contextmanager
def unhurt_import(tree: Path, folder: Path) -> Iterator[Database]:
    """A database with the tree imported at one go."""
    database = Database(f"sqlite:///{folder / 'unhurt.sqlite3'}")
    upgrade(database)
    run_import(database, JobRequest((str(tree),), Mode.FULL))
    yield database
    database.close_writer()


def count_images(database: Database) -> int:
    with database.read_sync() as connection:
        return int(connection.execute(select(func.count()).select_from(Image)).scalar_one())


def job_rows(database: Database) -> list[dict[str, Any]]:
    with database.read_sync() as connection:
        rows = connection.execute(select(ImportJob.__table__).order_by(ImportJob.id)).mappings()
        return [dict(row) for row in rows]


def report_of(database: Database) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The counts and the failures of the one job of a database."""
    (job,) = job_rows(database)
    failures = [(row["path"], row["message"]) for row in Tables(database)["import_failure"]]
    return {name: job[name] for name in _COUNTS}, failures


def test_a_killed_import_is_completed_by_the_next_ones(
    tree: Path, database: Database, database_url: str, tmp_path: Path
) -> None:
    random = Random(2)
    goals = sorted(random.sample(range(10, _SERIES * _IMAGES - 80), 3))
    for goal in goals:
        assert kill_import(tree, database, database_url, goal, random.random() / 200) == -9
        images = count_images(database)
        assert goal <= images < _SERIES * _IMAGES
        assert len(assert_consistent(database)["file"]) == images
    final = run_import(database, JobRequest((str(tree),), Mode.FULL))
    assert final.status is JobStatus.COMPLETED
    assert final.counts.existing == images
    assert final.counts.created == _SERIES * _IMAGES - images
    assert_consistent(database)
    with unhurt_import(tree, tmp_path) as unhurt:
        assert contents(database) == contents(unhurt)


def kill_import(tree: Path, database: Database, url: str, goal: int, delay: float) -> int:
    """`dicom-graph import`, killed a moment after so many images are there; its exit status."""
    command = "from dicom_graph.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "import", str(tree), "--mode", "full"],
        env=os.environ | {"DICOM_GRAPH_DATABASE_URL": url, "DICOM_GRAPH_BATCH_SIZE": "3"},
        stdout=subprocess.DEVNULL,
    )
    try:
        until(lambda: count_images(database) >= goal or process.poll() is not None)
        threading.Event().wait(delay)
    finally:
        process.kill()
    return process.wait(timeout=30)


def make_runner(database: Database) -> JobRunner:
    return JobRunner(database, roots=(Path("/"),), options=ImportOptions(batch_size=2))


def run_to_the_end(database: Database) -> None:
    """Take and run all waiting jobs, as a server does after its start."""
    runner = make_runner(database)
    runner.start()
    try:
        until(lambda: {job["status"] for job in job_rows(database)} == {"COMPLETED"})
    finally:
        runner.stop()


def submit(database: Database, tree: Path) -> int:
    with database.writer.begin() as connection:
        return create_job(connection, JobRequest((str(tree),), Mode.FULL))


def stop_within(database: Database, goal: int) -> None:
    """Start a runner, and stop it when so many files of its job are dealt with."""
    runner = make_runner(database)
    runner.start()
    try:
        until(lambda: sum(job_rows(database)[-1][name] for name in _COUNTS[1:]) >= goal)
    finally:
        runner.stop()


def test_a_stopped_server_interrupts_its_import_and_the_next_one_finishes_it(
    tree: Path, database: Database, tmp_path: Path
) -> None:
    submit(database, tree)
    for goal in (20, 90):
        stop_within(database, goal)
        (job,) = job_rows(database)
        assert job["status"] == "INTERRUPTED"
        assert job["finished_at"] is None
        assert goal <= job["images_created"] + job["skipped"] + job["failed"] < job["found"]
    started_at = job["started_at"]
    run_to_the_end(database)
    (job,) = job_rows(database)
    assert job["started_at"] == started_at
    assert job["finished_at"] is not None
    assert_consistent(database)
    with unhurt_import(tree, tmp_path) as unhurt:
        assert report_of(database) == report_of(unhurt)
        assert contents(database) == contents(unhurt)


def test_an_import_upgraded_half_way_reports_its_updates_after_a_stop(
    tree: Path, database: Database
) -> None:
    run_import(database, JobRequest((str(tree),), Mode.MINIMAL))
    submit(database, tree)
    stop_within(database, 60)
    assert job_rows(database)[-1]["status"] == "INTERRUPTED"
    run_to_the_end(database)
    job = job_rows(database)[-1]
    assert (job["images_created"], job["images_updated"]) == (0, _SERIES * _IMAGES)
    assert (job["skipped"], job["failed"]) == (_SERIES, _SERIES)


def test_what_another_import_reads_meanwhile_is_still_counted_by_the_first(
    tree: Path, database: Database
) -> None:
    job_id = submit(database, tree)
    stop_within(database, 60)
    request = JobRequest((str(tree),), Mode.FULL, origin=JobOrigin.PYTHON, verify=True)
    other = run_import(database, request).counts
    run_to_the_end(database)
    created = {job["id"]: job["images_created"] for job in job_rows(database)}
    assert created[job_id] >= 60 - 2 * _SERIES
    assert created[job_id] + other.created == _SERIES * _IMAGES
    assert_consistent(database)


_CLAIM_AND_DIE = """
import os, sys
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import claim_job
with Database(sys.argv[1]).writer.begin() as connection:
    assert claim_job(connection, int(sys.argv[2])) is not None
os.kill(os.getpid(), 9)
"""


def test_the_import_of_a_dead_process_is_taken_over(
    tree: Path, database: Database, database_url: str
) -> None:
    job_id = submit(database, tree / "s0")
    died = subprocess.run(
        [sys.executable, "-c", _CLAIM_AND_DIE, database_url, str(job_id)], check=False, timeout=60
    )
    assert died.returncode == -9
    assert job_rows(database)[0]["status"] == "RUNNING"
    run_to_the_end(database)
    assert report_of(database)[0]["images_created"] == _IMAGES


def test_the_import_of_a_living_process_is_left_alone_until_it_gives_no_sign(
    database: Database, tree: Path
) -> None:
    job_id = submit(database, tree)
    other_machine = {"owner": "another-machine:1", "heartbeat_at": utc_now()}
    with database.writer.begin() as connection:
        assert claim_job(connection, job_id) is not None
        assert job_rows_of(connection) == [process_name()]
        assert claimable_jobs(connection, JobOrigin.API) == []
        assert claim_job(connection, job_id) is None
        connection.execute(update(ImportJob).values(other_machine))
        assert claimable_jobs(connection, JobOrigin.API) == []
        silent = other_machine["heartbeat_at"].replace(year=2000)
        connection.execute(update(ImportJob).values(heartbeat_at=silent))
        assert claimable_jobs(connection, JobOrigin.API) == [job_id]
        assert claim_job(connection, job_id) is not None


def job_rows_of(connection: Any) -> list[str]:
    return list(connection.execute(select(ImportJob.owner)).scalars())


def at_once(count: int, work: Callable[[], None]) -> None:
    """Run something in threads that start together; none may fail."""
    start = threading.Barrier(count)
    failures: list[BaseException] = []

    def run() -> None:
        try:
            start.wait(timeout=30)
            work()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert failures == []
    assert not any(thread.is_alive() for thread in threads)


def test_of_many_that_want_a_job_one_gets_it(
    database: Database, database_url: str, tree: Path
) -> None:
    job_id = submit(database, tree)
    got: list[bool] = []

    def claim() -> None:
        other = Database(database_url)
        with other.writer.begin() as connection:
            got.append(claim_job(connection, job_id) is not None)
        other.close_writer()

    at_once(8, claim)
    assert sorted(got) == [False] * 7 + [True]


def test_two_servers_run_each_job_once(database: Database, database_url: str, tree: Path) -> None:
    for number in range(_SERIES):
        submit(database, tree / f"s{number}")
    other = Database(database_url)
    runners = [make_runner(database), make_runner(other)]
    for runner in runners:
        runner.start()
    try:
        until(lambda: {job["status"] for job in job_rows(database)} == {"COMPLETED"})
    finally:
        for runner in runners:
            runner.stop()
        other.close_writer()
    assert [job["images_created"] for job in job_rows(database)] == [_IMAGES] * _SERIES
    assert [job["images_existing"] for job in job_rows(database)] == [0] * _SERIES


@on_sqlite
def test_jobs_of_the_command_line_are_not_taken_by_a_server(database: Database, tree: Path) -> None:
    with database.writer.begin() as connection:
        create_job(connection, JobRequest((str(tree),), origin=JobOrigin.CLI))
    submit(database, tree / "s0")
    runner = make_runner(database)
    runner.start()
    try:
        until(lambda: job_rows(database)[1]["status"] == "COMPLETED")
    finally:
        runner.stop()
    assert job_rows(database)[0]["status"] == "PENDING"
