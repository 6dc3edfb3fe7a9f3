"""Imports over GraphQL: sync, cancel, retry, history, missing images, and progress for many."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update

from dicom_graph.access.principal import EVERYONE
from dicom_graph.graph.context import Context
from dicom_graph.graph.node import global_id
from dicom_graph.graph.schema import schema
from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.foreground import Report
from dicom_graph.services import Services
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest, create_job
from dicom_graph.store.read import Store
from dicom_graph.store.tables.imports import ImportJob
from tests.support.commands import BAD
from tests.support.graph import Graph
from tests.support.make import make_file, make_series
from tests.support.waiting import until

Import = Callable[..., Report]
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


@contextlib.asynccontextmanager
async def serving(database: Database, root: Path) -> AsyncIterator[Services]:
    """A services whose runner runs."""
    runner = JobRunner(database, roots=(root,))
    runner.start()
    try:
        yield Services(store=Store(database), runner=runner, import_roots=(root,))
    finally:
        await asyncio.to_thread(runner.stop)


async def ask(services: Services, query: str, **variables: Any) -> Any:
    result = await schema.execute(
        query, variable_values=variables, context_value=Context.of(services, EVERYONE)
    )
    assert result.errors is None
    assert result.data is not None
    return result.data


async def follow(
    services: Services, id: str, fields: str = "status", heard: list[Any] | None = None
) -> list[dict[str, Any]]:
    """All that the subscription says of a job, to its end; in `heard` as it comes."""
    results = await schema.subscribe(
        f"subscription ($id: ID!) {{ importProgress(jobId: $id) {{ {fields} }} }}",
        variable_values={"id": id},
        context_value=Context.of(services, EVERYONE),
    )
    found: list[Any] = [] if heard is None else heard
    async for result in results:  # type: ignore[union-attr]
        assert result.errors is None
        assert result.data is not None
        found.append(result.data["importProgress"])
    return found


SYNC = """
mutation ($path: String!, $prune: Boolean! = false) {
  syncPath(input: { path: $path, mode: FULL, prune: $prune }) {
    job { id sync prune origin } errors { message field code }
  }
}
"""
MISSING = """
{
  images(filter: { missing: true }) { nodes { uid missingSince files { missingSince path } } }
  there: images(filter: { missing: false }) { totalCount }
}
"""
BY_MISSING = """
query ($after: String, $direction: OrderDirection!) {
  images(orderBy: [{ field: MISSING_SINCE, direction: $direction }], first: 1, after: $after) {
    nodes { uid } pageInfo { endCursor }
  }
}
"""
REPORT = "status found created existing missing moved failed error"


async def test_sync_path_marks_and_prunes(database: Database, tmp_path: Path) -> None:
    paths = [
        make_file(tmp_path / "a" / f"{number}.dcm", SOPInstanceUID=f"1.{number}")
        for number in range(1, 4)
    ]
    async with serving(database, tmp_path) as services:

        async def sync(**options: Any) -> dict[str, Any]:
            payload = (await ask(services, SYNC, path=str(tmp_path / "a"), **options))["syncPath"]
            assert payload["errors"] == []
            return (await follow(services, payload["job"]["id"], REPORT))[-1]

        assert (await sync())["created"] == 3
        paths[0].unlink()
        paths[1].rename(tmp_path / "a" / "new.dcm")
        report = await sync()
        assert (report["missing"], report["moved"], report["existing"]) == (1, 1, 2)
        data = await ask(services, MISSING)
        (image,) = data["images"]["nodes"]
        assert image["uid"] == "1.1"
        assert image["missingSince"] is not None
        assert [file["missingSince"] for file in image["files"]] != [None]
        assert data["there"]["totalCount"] == 2
        for direction, place in (("ASC", 2), ("DESC", 0)):
            uids: list[str] = []
            after = None
            for _ in range(3):
                page = await ask(services, BY_MISSING, after=after, direction=direction)
                uids += [node["uid"] for node in page["images"]["nodes"]]
                after = page["images"]["pageInfo"]["endCursor"]
            assert (sorted(uids), uids[place]) == (["1.1", "1.2", "1.3"], "1.1")
        assert (await sync(prune=True))["missing"] == 1
        data = await ask(services, MISSING)
        assert (data["images"]["nodes"], data["there"]["totalCount"]) == ([], 2)
        (tmp_path / "a").rename(tmp_path / "b")
        (tmp_path / "a").mkdir()
        report = await sync()
        assert report["status"] == "FAILED"
        assert "mounted" in report["error"]
        refused = (await ask(services, SYNC, path="/"))["syncPath"]
        assert [error["code"] for error in refused["errors"]] == ["FORBIDDEN_PATH"]


CANCEL = """
mutation ($id: ID!) {
  cancelImport(input: { id: $id }) { job { status cancelRequested } errors { field code } }
}
"""
RETRY = """
mutation ($id: ID!) {
  retryImport(input: { id: $id }) { job { id retryOf { id } } errors { field code message } }
}
"""


async def test_cancel_import(graph: Graph, database: Database, tmp_path: Path) -> None:
    with database.writer.begin() as connection:
        id = global_id("ImportJob", create_job(connection, JobRequest((str(tmp_path),))))
    payload = (await graph(CANCEL, id=id))["cancelImport"]
    assert payload == {"job": {"status": "CANCELLED", "cancelRequested": True}, "errors": []}
    for bad, code in (
        (id, "JOB_HAS_ENDED"),
        (global_id("ImportJob", 99), "NO_SUCH_JOB"),
        (global_id("Image", 1), "BAD_ID"),
        ("x", "BAD_ID"),
    ):
        payload = (await graph(CANCEL, id=bad))["cancelImport"]
        assert payload == {"job": None, "errors": [{"field": "id", "code": code}]}


async def test_retry_import_is_linked_both_ways(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    make_series(tmp_path / "a", 2)
    (tmp_path / "a" / "bad.dcm").write_bytes(BAD)
    first = import_files(tmp_path / "a")
    id = global_id("ImportJob", first.job_id)
    make_file(tmp_path / "a" / "bad.dcm", SOPInstanceUID="1.2")
    async with serving(database, tmp_path) as services:
        payload = (await ask(services, RETRY, id=id))["retryImport"]
        assert payload["errors"] == []
        assert payload["job"]["retryOf"] == {"id": id}
        report = (await follow(services, payload["job"]["id"], REPORT))[-1]
        assert (report["status"], report["found"], report["created"]) == ("COMPLETED", 1, 1)
        query = "query ($id: ID!) { importJob(id: $id) { retries { id created } } }"
        retries = (await ask(services, query, id=id))["importJob"]["retries"]
        assert retries == [{"id": payload["job"]["id"], "created": 1}]
        payload = (await ask(services, RETRY, id=payload["job"]["id"]))["retryImport"]
        assert [error["code"] for error in payload["errors"]] == ["NOTHING_FAILED"]


async def test_history_is_filtered_and_ordered(
    graph: Graph, import_files: Import, database: Database, tmp_path: Path
) -> None:
    make_file(tmp_path / "a" / "1.dcm")
    (tmp_path / "a" / "bad.dcm").write_bytes(BAD)
    import_files(tmp_path / "a")
    (tmp_path / "a" / "bad.dcm").unlink()
    import_files(tmp_path / "a", sync=True)
    with database.writer.begin() as connection:
        create_job(connection, JobRequest((str(tmp_path),), origin=JobOrigin.WATCH))

    async def keys(filter: str, order: str = "ID") -> list[int]:
        query = (
            f"{{ importJobs(filter: {{ {filter} }}, orderBy: [{{ field: {order} }}]) "
            "{ nodes { id } } }"
        )
        ids = [global_id("ImportJob", key) for key in range(5)]
        return [ids.index(node["id"]) for node in (await graph(query))["importJobs"]["nodes"]]

    assert await keys("") == [1, 2, 3]
    assert await keys("status: { eq: COMPLETED }") == [1, 2]
    assert await keys("status: { in: [PENDING, RUNNING] }") == [3]
    assert await keys("origin: { eq: WATCH }") == [3]
    assert await keys("sync: true") == [2]
    assert await keys("failed: { gt: 0 }") == [1]
    assert await keys("missing: { eq: 0 }, not: { sync: true }") == [1, 3]
    assert await keys('createdAt: { lt: "2000-01-01T00:00:00" }') == []
    assert await keys("created: { gte: 1 }") == [1]
    assert await keys(f'id: {{ eq: "{global_id("ImportJob", 2)}" }}') == [2]
    assert await keys("", "FINISHED_AT") == [3, 1, 2]
    assert await keys("", "STATUS") == [1, 2, 3]


@pytest.mark.slow
async def test_a_thousand_followers_cost_one_statement_at_a_time(
    database: Database, tmp_path: Path
) -> None:
    with database.writer.begin() as connection:
        keys = [create_job(connection, JobRequest((str(tmp_path),))) for _ in range(2)]
    services = Services(store=Store(database), runner=JobRunner(database, roots=()))
    statements: list[str] = []
    event.listen(
        database.reader.sync_engine,
        "before_cursor_execute",
        lambda *args: statements.append(args[2]),
    )
    ids = [global_id("ImportJob", key) for key in keys]
    heard: list[list[Any]] = [[] for _ in range(1000)]
    followers = [
        asyncio.create_task(
            follow(services, ids[number % 2], "status found retries { id }", heard[number])
        )
        for number in range(1000)
    ]
    await eventually(lambda: all(heard))
    with database.writer.begin() as connection:
        connection.execute(update(ImportJob).values(status="CANCELLED", found=7))
    await asyncio.wait_for(asyncio.gather(*followers), 60)
    last = {"status": "CANCELLED", "found": 7, "retries": []}
    assert all(moments[-1] == last for moments in heard)
    assert all(moments[0]["status"] == "PENDING" for moments in heard)
    # One look for all at each tick, and for each moment of a job one for what hangs on it.
    assert len(statements) < 300
    for _ in range(3):
        before = len(statements)
        await asyncio.sleep(0.4)
    assert len(statements) == before


async def eventually(condition: Callable[[], object]) -> None:
    """As `until`, beside others on the event loop."""
    await asyncio.to_thread(until, condition)


@on_sqlite
async def test_followers_come_and_go(database: Database, tmp_path: Path) -> None:
    with database.writer.begin() as connection:
        id = global_id("ImportJob", create_job(connection, JobRequest((str(tmp_path),))))
    services = Services(store=Store(database), runner=JobRunner(database, roots=()))
    leaver, stayer = (asyncio.create_task(follow(services, id)) for _ in range(2))
    await asyncio.sleep(0.1)
    leaver.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await leaver
    late = asyncio.create_task(follow(services, id))
    await asyncio.sleep(0.1)
    with database.writer.begin() as connection:
        connection.execute(update(ImportJob).values(status="CANCELLED"))
    for follower in (stayer, late):
        moments = await asyncio.wait_for(follower, 30)
        assert [moment["status"] for moment in moments] == ["PENDING", "CANCELLED"]
    assert (await follow(services, id))[-1] == {"status": "CANCELLED"}


@on_sqlite
async def test_a_job_that_is_not_there_cannot_be_followed(database: Database) -> None:
    services = Services(store=Store(database), runner=JobRunner(database, roots=()))
    results = await schema.subscribe(
        "subscription ($id: ID!) { importProgress(jobId: $id) { status } }",
        variable_values={"id": global_id("ImportJob", 5)},
        context_value=Context.of(services, EVERYONE),
    )
    errors = [result.errors async for result in results]  # type: ignore[union-attr]
    assert len(errors) == 1
    assert "no such import job" in str(errors[0])
