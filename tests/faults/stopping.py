"""SIGTERM: what runs ends well, what follows is told, and the next server goes on."""

import json
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
from pydicom import dcmread
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from dicom_graph.store.engine import Database
from tests.faults.databases import PROTOCOL
from tests.faults.files import large_series
from tests.faults.ground import COUNT, Ground, Served, wait
from tests.faults.streams import FOLLOW
from tests.support.contents import Tables, assert_consistent
from tests.support.make import make_series

_MEGABYTES = 40


def drained(ground: Ground) -> str:
    """With one server process and with two; in short with one on SQLite, two on PostgreSQL."""
    return drained_by(ground, signal.SIGTERM, 1 if ground.kind == "sqlite" else 2)


def drained_by(ground: Ground, number: signal.Signals, in_short: int) -> str:
    """The same by any signal that ends a server; `in_short`: so many processes."""
    counts = (1, 2) if ground.is_whole else (in_short,)
    seen = [f"{count} in {_drained(ground, count, number):.1f} s" for count in counts]
    return f"server processes drained: {', '.join(seen)}, all with status 0"


def _drained(ground: Ground, workers: int, number: signal.Signals) -> float:
    name = f"workers-{workers}"
    tree = ground.folder / name / "tree"
    make_series(tree, 200)
    settings = {"batch_size": 2, "import_processes": 1}
    with ground.database(f"{name}-database") as url:
        with ground.process(url, "--workers", str(workers), **settings) as served:
            _, uid, _ = large_series(ground, served, url, _MEGABYTES)
            job = served.begin_import(tree)
            wait(lambda: served.job(job)["created"] >= 4, 60)
            took = _stop(served, uid, job, number)
        with ground.process(url, **settings) as served:
            wait(lambda: served.job(job)["status"] == "COMPLETED", 120)
            found = served.job(job)
            assert (found["found"], found["failures"]) == (200, [])
            assert found["created"] + found["existing"] == 200
        _assert_all_there(url, tree)
    return took


def worker_killed(ground: Ground) -> str:
    """Both of two server processes are killed, one after the other: who replaced them answers."""
    with ground.database() as url, ground.process(url, "--workers", "2") as served:
        assert served.process is not None
        wait(lambda: len(_workers(served)) == 2, 30)
        first = _workers(served)
        for killed in first:
            killed.kill()
            wait(lambda: _answers(served), 60)
        back = wait(lambda: len(_workers(served)) == 2, 30)
        assert not set(first) & set(_workers(served))
        wait(lambda: _answers(served), 60)
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(30) == 0
    return f"two others after {back:.1f} s, and status 0 in the end"


def _answers(served: Served) -> bool:
    """A request that the killed process had taken breaks off."""
    try:
        return served.code(COUNT) is None
    except httpx.TransportError:
        return False


def _workers(served: Served) -> list[psutil.Process]:
    """The processes that have the server's socket."""
    assert served.process is not None
    port = int(served.url.rpartition(":")[2])
    return [
        child
        for child in psutil.Process(served.process.pid).children()
        if child.is_running() and _listens(child, port)
    ]


def _listens(process: psutil.Process, port: int) -> bool:
    try:
        found = process.net_connections("tcp")
    except psutil.Error:
        return False
    return any(each.status == psutil.CONN_LISTEN and each.laddr.port == port for each in found)


def _stop(served: Served, uid: str, job: str, number: signal.Signals) -> float:
    """Stop the server while it is asked for three things; returns how long that took."""
    assert served.process is not None
    seen: dict[str, Any] = {}
    began = threading.Barrier(4)
    follow = {"query": FOLLOW, "variables": {"id": job}}
    asking: list[Callable[[], None]] = [
        lambda: seen.update(bytes=_download(served, uid, began)),
        lambda: seen.update(code=_follow(served, follow, began)),
        lambda: seen.update(events=_events(served, follow, began)),
    ]
    threads = [threading.Thread(target=each) for each in asking]
    for thread in threads:
        thread.start()
    began.wait(30)
    served.process.send_signal(number)
    at = time.monotonic()
    wait(lambda: not _is_listening(served), 10)
    for thread in threads:
        thread.join(30)
    assert served.process.wait(30) == 0
    took = time.monotonic() - at
    assert seen["bytes"] == _MEGABYTES << 20, seen
    assert seen["code"] in (1001, 1012), seen
    assert seen["events"][-1] == "complete", seen
    return took


def _download(served: Served, uid: str, began: threading.Barrier) -> int:
    """How many bytes come of a download that takes some seconds."""
    count = 0
    with httpx.stream("GET", f"{served.url}/images/{uid}.dcm", timeout=30) as answer:
        for number, chunk in enumerate(answer.iter_raw(1 << 20)):
            if number == 0:
                began.wait(30)
            count += len(chunk)
            time.sleep(0.05)
    return count


def _follow(served: Served, operation: dict[str, Any], began: threading.Barrier) -> int:
    """The code with which the server closes a WebSocket."""
    with connect(served.websocket_url, subprotocols=[PROTOCOL]) as followed:
        followed.send(json.dumps({"type": "connection_init"}))
        followed.send(json.dumps({"id": "1", "type": "subscribe", "payload": operation}))
        for _ in range(2):
            followed.recv(30)
        began.wait(30)
        try:
            while True:
                followed.recv(30)
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd is not None else 1006


def _events(served: Served, operation: dict[str, Any], began: threading.Barrier) -> list[str]:
    """The kinds of events that come until the server ends the stream."""
    found: list[str] = []
    headers = {"accept": "text/event-stream"}
    url = f"{served.url}/graphql"
    with httpx.stream("POST", url, json=operation, headers=headers, timeout=30) as answer:
        for line in answer.iter_lines():
            if line.startswith("event:"):
                found.append(line.partition(":")[2].strip())
                if len(found) == 1:
                    began.wait(30)
    return found


def _is_listening(served: Served) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), 1):
            return True
    except OSError:
        return False


def _assert_all_there(url: str, tree: Path) -> None:
    database = Database(url)
    assert_consistent(database)
    uids = {dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in tree.iterdir()}
    assert uids <= {row["uid"] for row in Tables(database, "image")["image"]}
    database.close_writer()
