"""Many who follow an import, and some who do not listen."""

import asyncio
import json
import resource
import socket
import threading
import time

from websockets.asyncio.client import ClientConnection, connect

from dicom_graph.graph.node import global_id
from dicom_graph.importing.job import JobRun
from dicom_graph.importing.options import ImportOptions
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import (
    ClaimedJob,
    Failure,
    JobCounts,
    JobOrigin,
    JobRequest,
    claim_job,
    create_job,
    save_progress,
)
from tests.faults.clients import connected
from tests.faults.databases import PROTOCOL
from tests.faults.ground import Ground, Served, wait
from tests.support.make import make_series

FOLLOW = """subscription ($id: ID!) {
  importProgress(jobId: $id) { status processed failures { path } } }"""
_AT_ONCE = 50


def many(ground: Ground) -> str:
    """So many clients follow one import over WebSocket: each hears its end."""
    _allow_files(2 * ground.clients + 200)
    tree = ground.folder / "tree"
    make_series(tree, 20)
    with ground.database() as url, ground.process(url, max_streams=ground.clients) as served:
        database = Database(url)
        request = JobRequest((str(tree),), Mode.FULL, origin=JobOrigin.PYTHON)
        with database.writer.begin() as connection:
            id = create_job(connection, request)
        before = served.resident_bytes()
        began = time.monotonic()
        heard, after = asyncio.run(_follow_all(ground, served, database, id))
        took = time.monotonic() - began
        assert heard == ["COMPLETED"] * ground.clients
        database.close_writer()
    each = (after - before) / ground.clients / 1024
    return (
        f"{ground.clients} clients heard the end, {took:.1f} s in all; the server took "
        f"{before >> 20} MB before and {after >> 20} MB with them, {each:.0f} kB each"
    )


def _allow_files(number: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(number, hard), hard))


async def _follow_all(
    ground: Ground, served: Served, database: Database, id: int
) -> tuple[list[str], int]:
    """The last status that each heard, and the server's memory once all follow."""
    gate = asyncio.Semaphore(_AT_ONCE)
    sockets = await asyncio.gather(
        *(_begin(gate, served.websocket_url, id) for _ in range(ground.clients))
    )
    memory = await asyncio.to_thread(served.resident_bytes)
    importing = asyncio.create_task(asyncio.to_thread(_run, database, id))
    async with asyncio.timeout(120):
        heard = await asyncio.gather(*map(_hear, sockets))
    await importing
    return heard, memory


async def _begin(gate: asyncio.Semaphore, url: str, id: int) -> ClientConnection:
    async with gate:
        made = await connect(url, subprotocols=[PROTOCOL], open_timeout=60, max_queue=None)
        for message in opening(id):
            await made.send(message)
        assert json.loads(await made.recv())["type"] == "connection_ack"
        assert json.loads(await made.recv())["type"] == "next"
        return made


def opening(id: int) -> list[str]:
    """The messages of graphql-transport-ws that begin to follow a job."""
    payload = {"query": FOLLOW, "variables": {"id": global_id("ImportJob", id)}}
    subscribe = {"id": "1", "type": "subscribe", "payload": payload}
    return [json.dumps({"type": "connection_init"}), json.dumps(subscribe)]


async def _hear(made: ClientConnection) -> str:
    status = ""
    async for text in made:
        message = json.loads(text)
        if message["type"] == "complete":
            break
        status = message["payload"]["data"]["importProgress"]["status"]
    await made.close()
    return status


def _run(database: Database, id: int) -> None:
    JobRun(database, claimed(database, id), ImportOptions(processes=1, batch_size=5)).run()


def claimed(database: Database, id: int) -> ClaimedJob:
    """A job that this process runs from now on."""
    with database.writer.begin() as connection:
        job = claim_job(connection, id)
    assert job is not None
    return job


def unread(ground: Ground) -> str:
    """Clients that follow and never read: little memory is kept for them, then they are cut off."""
    with (
        ground.database() as url,
        ground.process(url, max_streams=ground.clients, stall_seconds=3) as served,
    ):
        database = Database(url)
        with database.writer.begin() as connection:
            id = create_job(connection, JobRequest((url,), origin=JobOrigin.PYTHON))
        claimed(database, id)
        before = served.resident_bytes()
        ends = [_never_read(served, id) for _ in range(ground.clients)]
        stop = threading.Event()
        telling = threading.Thread(target=_tell_much, args=(database, id, stop))
        telling.start()
        began = time.monotonic()
        most = 0
        left = list(ends)
        while left and time.monotonic() - began < 90:
            most = max(most, served.resident_bytes())
            # Whether the server has gone is known without reading: it takes nothing any more.
            left = [end for end in left if not _is_reset(end)]
            time.sleep(0.2)
        stop.set()
        telling.join()
        assert not left, f"{len(left)} are still followed"
        wait(lambda: served.code("{ importJobs { totalCount } }") is None, 10)
        database.close_writer()
    return (
        f"cut off after {time.monotonic() - began:.0f} s; {(most - before) >> 20} MB more at most"
    )


def _never_read(served: Served, id: int) -> socket.socket:
    end = connected(served, small=True)
    end.sendall(
        b"GET /graphql HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        b"Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n"
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += end.recv(1)
    for message in opening(id):
        end.sendall(_frame(message.encode()))
    return end


def _frame(text: bytes) -> bytes:
    """A client's frame (RFC 6455 5.2), masked with zeros."""
    length = len(text)
    head = bytes([0x81, 0x80 | length]) if length < 126 else b"\x81\xfe" + length.to_bytes(2, "big")
    return head + bytes(4) + text


def _is_reset(end: socket.socket) -> bool:
    """A pong is written: to a connection that was cut off that fails, soon."""
    try:
        end.sendall(b"\x8a\x80" + bytes(4))
    except OSError:
        return True
    return False


def _tell_much(database: Database, id: int, stop: threading.Event) -> None:
    """Each moment of the job is larger by some hundred paths."""
    counts = JobCounts()
    while not stop.wait(0.2):
        counts.failed += 500
        failures = [Failure(f"/{'long' * 50}/{n}", "no reason") for n in range(500)]
        with database.writer.begin() as connection:
            save_progress(connection, id, counts, failures)
