"""A server and workers in processes of their own, asked over GraphQL."""

import asyncio
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from gql import Client, gql
from gql.transport.websockets import WebsocketsTransport
from sqlalchemy import func, select

from dicom_graph.importing.foreground import read_report, run_import
from dicom_graph.importing.queue.runner import QueueRunner
from dicom_graph.importing.queue.schema import upgrade_queue
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest, JobStatus
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.tables.entities import Image
from tests.support.commands import BAD, COMMAND, Run, assert_one_line
from tests.support.contents import assert_consistent, contents
from tests.support.make import make_series
from tests.support.postgres import postgres_database
from tests.support.server import running_server
from tests.support.waiting import until

pytestmark = pytest.mark.slow

SETTINGS = {"queue": "procrastinate", "queue_batch_files": 10, "queue_stall_seconds": 2}


@dataclass
class Workers:
    """Workers of one database."""

    url: str
    root: Path
    environment: dict[str, str]
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def start(self, *arguments: str, **settings: Any) -> subprocess.Popen[str]:
        """A worker that works, by the time this returns."""
        given = {
            "database_url": self.url, "import_roots": self.root, "batch_size": 4,
            **SETTINGS, **settings,
        }  # fmt: skip
        process = subprocess.Popen(
            [*COMMAND, "worker", *arguments], text=True, stderr=subprocess.PIPE,
            env=self.environment | {f"DICOM_GRAPH_{k.upper()}": str(v) for k, v in given.items()},
        )  # fmt: skip
        self.processes.append(process)
        assert process.stderr is not None
        assert "works for" in process.stderr.readline()
        return process

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture
def queue_url(postgres_url: str) -> Iterator[str]:
    with postgres_database(postgres_url) as url:
        make_tables(url)
        yield url


def make_tables(url: str) -> None:
    database = Database(url)
    upgrade(database)
    upgrade_queue(database)
    database.close_writer()


@pytest.fixture
def database(queue_url: str) -> Iterator[Database]:
    opened = Database(queue_url)
    yield opened
    opened.close_writer()


@pytest.fixture
def workers(queue_url: str, environment: dict[str, str], tmp_path: Path) -> Iterator[Workers]:
    made = Workers(queue_url, tmp_path, environment)
    yield made
    made.kill()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for number in range(4):
        folder = tmp_path / "tree" / f"s{number}"
        make_series(folder, 40, PatientID=f"p{number}", SeriesNumber=number)
        (folder / "0011.txt").write_text("no DICOM")
        (folder / "0021.dcm.part").write_bytes(BAD)
    return tmp_path / "tree"


IMPORT = gql("""
mutation ($path: String!) {
  importPath(input: { path: $path, mode: FULL }) { job { id status } errors { message } }
}
""")
FOLLOW = gql("""
subscription ($id: ID!) {
  importProgress(jobId: $id) { status found processed created existing skipped failed error }
}
""")


async def import_and_follow(url: str, path: Path) -> list[dict[str, Any]]:
    """Ask a server for an import; returns all that it then says of it."""
    async with Client(transport=WebsocketsTransport(url=f"{url}/graphql")) as session:
        IMPORT.variable_values = {"path": str(path)}
        payload = (await session.execute(IMPORT))["importPath"]
        assert payload["errors"] == []
        follow = gql(FOLLOW.payload["query"])
        follow.variable_values = {"id": payload["job"]["id"]}
        return [m["importProgress"] async for m in session.subscribe(follow)]


def assert_equal_to_one_import(database: Database, tree: Path, tmp_path: Path) -> None:
    """What the workers made is what one process makes."""
    alone = Database(f"sqlite:///{tmp_path / 'alone.sqlite3'}")
    upgrade(alone)
    run_import(alone, JobRequest((str(tree),), Mode.FULL, origin=JobOrigin.PYTHON))
    assert contents(database) == contents(alone)
    alone.close_writer()
    assert_consistent(database)


async def test_two_workers_import_overlapping_folders_and_one_of_them_is_killed(
    workers: Workers, database: Database, queue_url: str, tree: Path, tmp_path: Path
) -> None:
    settings = Settings(database_url=queue_url, import_roots=[tmp_path], _env_file=None, **SETTINGS)
    with running_server(settings) as server:
        follows = [
            asyncio.create_task(import_and_follow(server.websocket_url, path))
            for path in (tree, tree / "s1", tree)
        ]
        victim, _ = await asyncio.gather(
            asyncio.to_thread(workers.start, "--concurrency", "2"), asyncio.to_thread(workers.start)
        )
        await asyncio.to_thread(until, lambda: count(database) > 30)
        victim.kill()
        heard = await asyncio.gather(*follows)
    ends = [messages[-1] for messages in heard]
    assert [end["status"] for end in ends] == ["COMPLETED"] * 3
    assert [end["processed"] for end in ends] == [168, 42, 168]
    assert [end["found"] for end in ends] == [168, 42, 168]
    assert [end["skipped"] for end in ends] == [4, 1, 4]
    assert [end["failed"] for end in ends] == [4, 1, 4]
    assert sum(end["created"] for end in ends) == 160
    assert len(heard[0]) > 2
    assert_equal_to_one_import(database, tree, tmp_path)


def count(database: Database) -> int:
    """How many images there are now."""
    with database.read_sync() as connection:
        return int(connection.execute(select(func.count()).select_from(Image)).scalar_one())


def submit(database: Database, path: Path) -> int:
    request = JobRequest((str(path),), Mode.FULL)
    return QueueRunner(database, stalled_after=2).submit(request)


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGHUP])
def test_a_worker_that_is_told_to_stop_ends_in_order_and_another_goes_on(
    workers: Workers, database: Database, tree: Path, tmp_path: Path, end: signal.Signals
) -> None:
    job_id = submit(database, tree)
    first = workers.start()
    until(lambda: count(database) > 10)
    first.send_signal(end)
    assert first.wait(30) == 0
    report = read_report(database, job_id)
    assert report.status is JobStatus.RUNNING
    assert 10 < report.counts.processed < 168
    workers.start()
    until(lambda: read_report(database, job_id).status.is_final)
    report = read_report(database, job_id)
    assert (report.status, report.counts.created) == (JobStatus.COMPLETED, 160)
    assert_equal_to_one_import(database, tree, tmp_path)


def test_a_worker_without_the_mount_leaves_an_import_to_others(
    workers: Workers, database: Database, tree: Path
) -> None:
    (tree / "s0").rename(tree / "elsewhere")
    job_id = submit(database, tree / "s0")
    process = workers.start()
    assert process.stderr is not None
    assert str(tree / "s0") in process.stderr.readline()
    (tree / "elsewhere").rename(tree / "s0")
    until(lambda: read_report(database, job_id).status.is_final)
    assert read_report(database, job_id).counts.created == 40


def test_a_queue_needs_postgresql(run: Run) -> None:
    done = run("serve", "--port", "0", queue="procrastinate")
    assert_one_line(done, "DICOM_GRAPH_QUEUE", "PostgreSQL")


def test_a_worker_needs_a_queue(run: Run) -> None:
    assert_one_line(run("worker"), "DICOM_GRAPH_QUEUE=procrastinate")


def test_without_the_library_it_is_said_how_to_get_it(
    queue_url: str, environment: dict[str, str]
) -> None:
    code = (
        "import sys; sys.modules['procrastinate'] = None\nfrom dicom_graph.cli import main; main()"
    )
    given = {"DICOM_GRAPH_DATABASE_URL": queue_url, "DICOM_GRAPH_QUEUE": "procrastinate"}
    for command in (["worker"], ["serve", "--port", "0"], ["db", "upgrade"]):
        done = subprocess.run(
            [COMMAND[0], "-c", code, *command], env=environment | given, text=True,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        assert_one_line(done, "pip install '.[queue]'")


def test_the_upgrade_makes_the_tables_of_the_queue(run: Run, postgres_url: str) -> None:
    with postgres_database(postgres_url) as url:
        given = {"database_url": url, "queue": "procrastinate"}
        assert run("db", "upgrade", database_url=url).returncode == 0
        for command in (("serve", "--port", "0"), ("worker",)):
            assert_one_line(run(*command, **given), "dicom-graph db upgrade")
        for _ in range(2):
            done = run("db", "upgrade", **given)
            assert (done.returncode, done.stderr) == (0, "")
        database = Database(url)
        job_id = submit(database, Path("/"))
        assert read_report(database, job_id).status is JobStatus.PENDING
        database.close_writer()
