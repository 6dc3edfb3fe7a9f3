"""Imports in batches by workers: the same end and the same report as in one process."""

import asyncio
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from dicom_graph.importing.queue.batch import BatchOptions, BatchRunner
from dicom_graph.importing.queue.library import QUEUE, Queue
from dicom_graph.importing.queue.runner import QueueRunner
from dicom_graph.importing.queue.schema import upgrade_queue
from dicom_graph.importing.run import Report, read_report, run_import
from dicom_graph.store.batches import claim_batch
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.job_control import cancel_job
from dicom_graph.store.jobs import JobLostError, JobOrigin, JobRequest, JobStatus
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.tables import ImportBatch, ImportJob
from tests.conftest import postgres_database
from tests.contents import assert_consistent, contents
from tests.make import make_file, make_series

BAD = bytes(128) + b"DICM" + b"\xff" * 99
OPTIONS = BatchOptions(batch_size=3, batch_files=7)


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
    """Run what is queued, in this process, until nothing is left that can be begun now."""
    queue = Queue(database)
    runner = BatchRunner(database, queue, options, stop or threading.Event())

    def run(job_id: int, number: int, tried: int) -> None:
        runner.run(job_id, number, tried)
        after(job_id, number)

    async def main() -> None:
        async with queue.app(run).open_async() as app:
            await app.run_worker_async(
                queues=[QUEUE], wait=False, concurrency=concurrency, delete_jobs="successful",
                install_signal_handlers=False,
            )  # fmt: skip

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
