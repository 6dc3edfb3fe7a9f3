"""Imports in batches by workers: the same end and the same report as in one process."""

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event, func, select, text

from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.foreground import Report, read_report, run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.importing.queue.batch import BatchLedger, BatchOptions, BatchRunner
from dicom_graph.importing.queue.library import QUEUE, Queue, RetryLater
from dicom_graph.importing.queue.runner import QueueRunner
from dicom_graph.importing.queue.schema import upgrade_queue
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.batches import MAX_LOST, claim_batch
from dicom_graph.store.jobs.control import cancel_job
from dicom_graph.store.jobs.jobs import JobLostError, JobOrigin, JobRequest, JobStatus, create_job
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.tables.imports import ImportBatch
from tests.support.contents import assert_consistent, contents
from tests.support.make import make_file, make_series
from tests.support.postgres import postgres_database
from tests.support.waiting import until

pytestmark = pytest.mark.slow

BAD = bytes(128) + b"DICM" + b"\xff" * 99
OPTIONS = BatchOptions(imports=ImportOptions(batch_size=3), files=7)


@pytest.fixture(scope="module")
def queue_template(postgres_url: str) -> Iterator[str]:
    """A database with its tables, the queue's too, to be copied."""
    with postgres_database(postgres_url) as url:
        database = Database(url)
        upgrade(database)
        upgrade_queue(database)
        database.close_writer()
        yield url


@pytest.fixture
def new_database(postgres_url: str, queue_template: str) -> Iterator[Callable[[], Database]]:
    """Makes databases with a queue."""
    with ExitStack() as stack:

        def make() -> Database:
            url = stack.enter_context(postgres_database(postgres_url, queue_template))
            database = Database(url)
            stack.callback(database.close_writer)
            return database

        yield make


@pytest.fixture
def database(new_database: Callable[[], Database]) -> Database:
    return new_database()


def submit(database: Database, *paths: Path, **options: Any) -> int:
    """Queue an import, as a server does."""
    request = JobRequest(tuple(map(str, paths)), Mode.FULL, **options)
    return QueueRunner(database, stalled_after=30).submit(request)


def work(
    database: Database,
    options: BatchOptions = OPTIONS,
    *,
    concurrency: int = 1,
    stop: threading.Event | None = None,
    after: Callable[[int, int], None] = lambda job_id, number: None,
) -> None:
    """Run what is queued, in this process, until nothing is left."""
    queue = Queue(database)
    runner = BatchRunner(database, queue, options, stop or threading.Event())

    def run(job_id: int, number: int, tried: int) -> None:
        runner.run(job_id, number, tried)
        after(job_id, number)

    async def main() -> None:
        async with queue.app(run).open_async() as app:
            while await app.job_manager.list_jobs_async(queue=QUEUE, status="todo"):
                await app.run_worker_async(
                    queues=[QUEUE],
                    wait=False,
                    concurrency=concurrency,
                    delete_jobs="successful",
                    install_signal_handlers=False,
                )

    asyncio.run(main())


def run_queued(database: Database, *paths: Path, **options: Any) -> Report:
    job_id = submit(database, *paths, **options)
    work(database)
    return read_report(database, job_id)


def run_alone(database: Database, *paths: Path, **options: Any) -> Report:
    request = JobRequest(tuple(map(str, paths)), Mode.FULL, origin=JobOrigin.PYTHON, **options)
    return run_import(database, request)


def assert_same(one: Report, other: Report) -> None:
    assert (one.status, one.error, one.counts) == (other.status, other.error, other.counts)
    assert sorted(map(str, one.failures)) == sorted(map(str, other.failures))


def batches(database: Database) -> list[dict[str, Any]]:
    with database.read_sync() as connection:
        return [dict(row) for row in connection.execute(select(ImportBatch.__table__)).mappings()]


def make_tree(folder: Path) -> Path:
    """Folders of several sizes and all that is not simply an image."""
    make_series(folder / "large", 30, PatientID="p1")
    make_series(folder / "small", 3, PatientID="p2", SeriesNumber=2)
    make_series(folder / "small" / "below", 2, PatientID="p3", SeriesNumber=3)
    for number in range(5):
        make_file(folder / "single" / f"{number}" / "image", PatientID=f"q{number}")
    (folder / "large" / "0007.txt").write_text("no DICOM")
    (folder / "large" / "0029.dcm.part").write_bytes(BAD)
    (folder / "empty").mkdir()
    os.mkfifo(folder / "small" / "pipe")
    (folder / "small" / "again").symlink_to(folder / "large")
    (folder / "small" / "nowhere").symlink_to(folder / "nothing")
    (folder / "small" / "loop").symlink_to(folder / "small" / "loop")
    strange = os.fsdecode(os.fsencode(folder) + b"/bytes \xff")
    os.mkdir(strange)
    (Path(strange) / "image").write_bytes((folder / "small" / "0001.dcm").read_bytes())
    return folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "tree")


def test_a_queued_import_equals_one_in_a_single_process(
    tree: Path, database: Database, new_database: Callable[[], Database]
) -> None:
    other = new_database()
    queued, alone = run_queued(database, tree), run_alone(other, tree)
    assert queued.status is JobStatus.COMPLETED
    assert queued.counts.created == 40
    assert queued.counts.failed == 4
    assert_same(queued, alone)
    assert contents(database) == contents(other)
    assert_consistent(database)
    assert batches(database) == []
    assert_same(run_queued(database, tree), run_alone(other, tree))
    with_pattern = {"pattern": "small/*.dcm", "verify": True}
    assert_same(run_queued(database, tree, **with_pattern), run_alone(other, tree, **with_pattern))
    several = (tree / "small" / "0001.dcm", tree / "large", tree / "no such file")
    assert_same(run_queued(database, *several), run_alone(other, *several))


def test_a_queued_sync_looks_for_what_is_gone_once_all_is_read(
    tree: Path, database: Database, new_database: Callable[[], Database]
) -> None:
    other = new_database()
    run_queued(database, tree)
    run_alone(other, tree)
    for path in sorted((tree / "large").glob("000*.dcm")):
        path.rename(tree / "single" / path.name)
    (tree / "small" / "0002.dcm").unlink()
    queued, alone = (
        run(base, tree, sync=True) for run, base in ((run_queued, database), (run_alone, other))
    )
    assert (queued.counts.missing, queued.counts.moved) == (1, 9)
    assert_same(queued, alone)
    assert_same(run_queued(database, tree, sync=True), run_alone(other, tree, sync=True))


def test_a_queued_sync_of_a_mount_that_is_not_there_fails(database: Database, tree: Path) -> None:
    run_queued(database, tree / "small" / "below")
    (tree / "small" / "below").rename(tree / "elsewhere")
    (tree / "small" / "below").mkdir()
    report = run_queued(database, tree / "small" / "below", sync=True)
    assert report.status is JobStatus.FAILED
    assert "Is it mounted?" in (report.error or "")
    assert report.counts.missing == 0
    assert batches(database) == []


def test_the_failures_of_a_queued_import_are_read_again(database: Database, tree: Path) -> None:
    first = run_queued(database, tree / "large")
    (failure,) = first.failures
    make_file(Path(failure.path))
    job_id = QueueRunner(database, stalled_after=30).retry(first.job_id)
    work(database)
    report = read_report(database, job_id)
    assert (report.status, report.counts.created, report.counts.found) == ("COMPLETED", 1, 1)


def test_a_queued_import_stops_at_its_first_failure(database: Database, tree: Path) -> None:
    report = run_queued(database, tree, stop_on_error=True)
    assert report.status is JobStatus.FAILED
    assert (report.error or "").startswith("stopped at the first failure: ")
    assert report.counts.failed == 1
    assert batches(database) == []
    work(database)
    assert read_report(database, report.job_id) == report


def test_an_import_that_no_worker_will_run_is_told(
    database: Database, tree: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job_id = submit(database, tree)
    assert [f"import {job_id} waits: no worker runs" in line for line in caplog.messages] == [True]
    caplog.clear()
    with database.writer.begin() as connection:
        connection.execute(text("INSERT INTO procrastinate_workers DEFAULT VALUES"))
    submit(database, tree)
    assert caplog.messages == []
    with database.writer.begin() as connection:
        connection.execute(
            text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
        )
    last = submit(database, tree)
    assert len(caplog.messages) == 1
    # A server that starts tells of those that wait already, and of no other.
    caplog.clear()
    runner = QueueRunner(database, stalled_after=30)
    runner.start()
    try:
        until(lambda: caplog.messages)
    finally:
        runner.stop()
    assert f"import {job_id}, {job_id + 1}, {last} waits: no worker runs" in caplog.messages[0]


def test_a_waiting_import_is_cancelled_at_once(database: Database, tree: Path) -> None:
    job_id = submit(database, tree)
    QueueRunner(database, stalled_after=30).cancel(job_id)
    work(database)
    report = read_report(database, job_id)
    assert (report.status, report.counts.processed) == (JobStatus.CANCELLED, 0)


def test_a_running_import_is_cancelled_by_the_batch_that_runs(
    database: Database, tree: Path
) -> None:
    job_id = submit(database, tree)

    def cancel(_: int, number: int) -> None:
        if number == 2:
            with database.writer.begin() as connection:
                cancel_job(connection, job_id)

    work(database, after=cancel)
    report = read_report(database, job_id)
    assert report.status is JobStatus.CANCELLED
    assert 0 < report.counts.processed < 40
    assert batches(database) == []


def test_what_is_stopped_goes_on_where_it_was(
    database: Database, new_database: Callable[[], Database], tree: Path
) -> None:
    """The plan too, though the tree has changed meanwhile."""
    job_id = submit(database, tree)
    stop = threading.Event()
    planner = BatchRunner(database, Queue(database), OPTIONS, stop)
    with StopAfter(database, stop, n_batches=3), pytest.raises(RetryLater):
        planner.run(job_id, 0, 0)
    (plan, *planned) = batches(database)
    assert plan["status"] == "PENDING"
    assert 3 <= len(planned) < 8
    make_series(tree / "a new one before", 2)
    make_series(tree / "small" / "c new one after", 2, PatientID="p9", SeriesNumber=9)
    shutil.rmtree(tree / "single" / "4")
    work(database)
    report = read_report(database, job_id)
    other = new_database()
    shutil.rmtree(tree / "a new one before")
    assert_same(report, replace(run_alone(other, tree), job_id=job_id))
    assert contents(database) == contents(other)


class StopAfter:
    """Sets an event once so many batches are planned."""

    def __init__(self, database: Database, stop: threading.Event, *, n_batches: int) -> None:
        self._database = database
        self._stop = stop
        self._left = n_batches

    def __enter__(self) -> None:
        event.listen(self._database.writer, "commit", self._count)

    def __exit__(self, *error: object) -> None:
        event.remove(self._database.writer, "commit", self._count)

    def _count(self, connection: Connection) -> None:
        found = connection.execute(select(func.count()).select_from(ImportBatch)).scalar_one()
        if found > self._left:
            self._stop.set()


def test_a_worker_that_was_taken_for_dead_writes_nothing_more(
    database: Database, new_database: Callable[[], Database], tree: Path
) -> None:
    job_id = submit(database, tree)
    runner = BatchRunner(database, Queue(database), OPTIONS, threading.Event())
    runner.run(job_id, 0, 0)
    with database.writer.begin() as connection:
        slow, _ = claim_batch(connection, job_id, 1)
    assert slow is not None
    slow_run = BatchLedger(slow, Queue(database))
    work(database)
    before = read_report(database, job_id)
    assert before.status is JobStatus.COMPLETED
    with pytest.raises(JobLostError), database.writer.begin() as connection:
        slow_run.save(connection, replace(slow.job.counts, created=7), [])
    assert read_report(database, job_id) == before


def test_a_batch_that_no_worker_survives_is_given_up_and_named(
    database: Database, tree: Path
) -> None:
    job_id = submit(database, tree / "large", tree / "small")
    BatchRunner(database, Queue(database), OPTIONS, threading.Event()).run(job_id, 0, 0)
    for _ in range(MAX_LOST):
        with database.writer.begin() as connection:
            claim_batch(connection, job_id, 1)
    work(database)
    report = read_report(database, job_id)
    assert report.status is JobStatus.FAILED
    assert "given up" in (report.error or "")
    given_up = [failure for failure in report.failures if "given up" in failure.message]
    assert [failure.path for failure in given_up] == [str(tree / "large")]
    assert report.counts.created == 28
    new_id = QueueRunner(database, stalled_after=30).retry(job_id)
    work(database)
    assert read_report(database, new_id).counts.created == 7


def test_many_batches_at_once_end_their_job_once(
    database: Database, new_database: Callable[[], Database], tree: Path
) -> None:
    ids = [submit(database, tree), submit(database, tree / "large"), submit(database, tree)]
    work(database, concurrency=4)
    reports = [read_report(database, id) for id in ids]
    assert {report.status for report in reports} == {JobStatus.COMPLETED}
    other = new_database()
    alone = [run_alone(other, path) for path in (tree, tree / "large", tree)]
    assert [r.counts.processed for r in reports] == [r.counts.processed for r in alone]
    assert contents(database) == contents(other)
    assert sum(report.counts.created for report in reports) == len(contents(other)["image"])
    assert_consistent(database)


def test_imports_that_waited_for_a_server_are_taken_over(database: Database, tree: Path) -> None:
    with database.writer.begin() as connection:
        job_id = create_job(connection, JobRequest((str(tree / "small"),), Mode.FULL))
    runner = QueueRunner(database, stalled_after=30)
    runner.start()
    try:
        until(lambda: batches(database))
    finally:
        runner.stop()
    local = JobRunner(database, roots=(Path("/"),))
    local.start()
    local.stop()
    assert read_report(database, job_id).status is JobStatus.PENDING
    work(database)
    assert read_report(database, job_id).status is JobStatus.COMPLETED
