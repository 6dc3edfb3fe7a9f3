"""How many questions a server answers, and how its memory holds.

    python -m benchmarks.load [FOLDER] [--images 2000] [--clients 1 10 50 200] [--workers 1 2]
    python -m benchmarks.load [FOLDER] --postgres --seconds 10
    python -m benchmarks.load [FOLDER] --minutes 10 --clients 50 --workers 2

Imports so many files multiplied from FOLDER (`benchmarks.tree`), starts `dicom-graph serve` with
each number of workers, and lets each number of clients ask over loopback: a page of 25 series, the
walk over six levels from patients to elements, and a picture. A client keeps one connection and
asks again as soon as it is answered; all run in this one process, so they take a part of the
machine. Prints for each the answers per second, the median and the 99th percentile of their times,
and the errors: what is not status 200, or holds `errors`, or does not come; one is enough for exit
status 1. What is answered in the first second is not counted.

With `--minutes`, all three are asked in turn for so long, and with `--mixed` many more: headers as
JSON and as tables, searches, tables of series, archives, files and pictures of many images. The
resident memory of the server and its processes is printed each minute, or every `--every` seconds:
the sum, so what they share is counted in each; and in brackets that of the server's own process.
"""

import argparse
import asyncio
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from benchmarks.data_folder import DATA, add_data_folder, data_folder
from benchmarks.ingest import private_postgres
from benchmarks.memory import resident_bytes
from benchmarks.tree import multiply
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade

_COMMAND = [sys.executable, "-c", "from dicom_graph.cli import main; main()"]
_WARM_SECONDS = 1.0
_TIMEOUT = 60.0
_PAGE = "{ series(first: 25) { nodes { uid modality description date nImages echoTime } } }"
_WALK = """{ patients(first: 5) { nodes { uid studies(first: 2) { nodes { uid
series(first: 2) { nodes { uid images(first: 2) { nodes { uid
header { elements { tag value } } } } } } } } } } }"""

_SEARCH = """{{ images(first: 50, filter: {{ header: {{ element: {{ keyword: "InstanceNumber",
number: {{ gte: {0} }} }} }} }}) {{ totalCount nodes {{ uid number }} }} }}"""


class Question(NamedTuple):
    """What a client sends, and its name."""

    name: str
    request: bytes


@dataclass
class Run:
    """What became of one load."""

    times: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def line(self) -> str:
        """Answers per second, times in ms, errors."""
        if len(self.times) < 2:
            return f"{len(self.times)} answers, {len(self.errors)} errors"
        cuts = statistics.quantiles(self.times, n=100)
        rate = len(self.times) / self.seconds
        return (
            f"{rate:8,.0f} /s  p50 {1000 * cuts[49]:8.1f} ms  p99 {1000 * cuts[98]:8.1f} ms  "
            f"{len(self.errors)} errors"
        )


class Client:
    """One connection of HTTP/1.1, kept open."""

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self, request: bytes) -> str | None:
        """What is wrong with the answer, if anything."""
        try:
            async with asyncio.timeout(_TIMEOUT):
                return await self._ask(request)
        except (OSError, ValueError, EOFError, TimeoutError) as error:
            self.close()
            return type(error).__name__

    async def _ask(self, request: bytes) -> str | None:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, limit=1 << 20)
        reader, writer = self._streams
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = re.search(rb"content-length: (\d+)", head)
        body = await reader.readexactly(int(length[1])) if length else b""
        if b"transfer-encoding: chunked" in head:
            body = await _read_chunks(reader)
        if b"connection: close" in head:
            self.close()
        if not head.startswith(b"http/1.1 200 ") or b'"errors"' in body[:200] + body[-2000:]:
            return f"{head[:16].decode()} {body[:200].decode(errors='replace')}"
        return None

    def close(self) -> None:
        """Also where it is broken."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    """The last part of a body that comes in chunks."""
    body = b""
    while size := int(await reader.readline(), 16):
        body = (body + await reader.readexactly(size))[-4096:]
        await reader.readexactly(2)
    await reader.readexactly(2)
    return body


def main() -> int:
    """Import, serve, ask, print."""
    options = _options()
    n_errors = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dicom-graph-load-")))
        url = f"sqlite:///{folder / 'database.sqlite3'}"
        if options.postgres:
            # Its own user must be able to enter the folder.
            server = stack.enter_context(tempfile.TemporaryDirectory(prefix="dicom-graph-pg-"))
            url = stack.enter_context(private_postgres(server))
        _fill(url, options.data, folder / "files", options.images)
        for workers in options.workers:
            with _served(url, workers, folder) as (address, pid):
                questions = _mixed(address) if options.mixed else _questions(address)
                if options.minutes:
                    runs = [_hold(address, questions, options, pid)]
                else:
                    runs = _measure(address, questions, options.clients, options.seconds, workers)
                print(f"memory of {workers} workers: {resident_bytes(pid) >> 20} MB")
            n_errors += sum(len(run.errors) for run in runs)
    return 1 if n_errors else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.load", description=str(__doc__).partition("\n")[0]
    )
    add_data_folder(parser, DATA)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 10, 50, 200])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=10, help="for each load")
    parser.add_argument("--minutes", type=float, help="how long memory is looked at")
    parser.add_argument("--mixed", action="store_true", help="more kinds of questions, of more")
    parser.add_argument("--every", type=float, default=60, help="seconds between two looks at it")
    parser.add_argument("--postgres", action="store_true", help="a private PostgreSQL")
    options = parser.parse_args()
    options.data = data_folder(parser, options)
    return options


def _fill(url: str, source: Path, target: Path, count: int) -> None:
    multiply(source, target, count)
    database = Database(url)
    upgrade(database)
    run_import(database, JobRequest((str(target),), Mode.FULL, origin=JobOrigin.PYTHON))
    database.close_writer()


@contextmanager
def _served(url: str, workers: int, folder: Path) -> Iterator[tuple[str, int]]:
    """The address of a server, and its process."""
    given = ["--port", "0", "--workers", str(workers), "--database", url]
    log = folder / "serve.log"
    with log.open("wb") as stderr:
        server = subprocess.Popen([*_COMMAND, "serve", *given], stderr=stderr)
    try:
        address = _address(log, server)
        while not _is_ready(address):
            assert server.poll() is None, log.read_text()
            time.sleep(0.1)
        yield address, server.pid
    finally:
        server.terminate()
        server.wait()


def _address(log: Path, server: subprocess.Popen[bytes]) -> str:
    while True:
        found = re.search(r"serves (http://\S+)/graphql", log.read_text())
        if found is not None:
            return found[1]
        assert server.poll() is None, log.read_text()
        time.sleep(0.1)


def _is_ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/readyz").status_code == 200
    except httpx.TransportError:
        return False


def _questions(address: str) -> list[Question]:
    query = "{ images(first: 1) { nodes { uid } } }"
    answer = httpx.post(f"{address}/graphql", json={"query": query}).json()
    uid = answer["data"]["images"]["nodes"][0]["uid"]
    return [
        Question("a page of series", _post(_PAGE)),
        Question("the six-level walk", _post(_WALK)),
        Question("a picture", _get(f"/images/{uid}/preview.png")),
    ]


def _mixed(address: str) -> list[Question]:
    """Many kinds of questions, each of many images and series."""
    query = "{ images(first: 400) { nodes { uid } } series(first: 100) { nodes { uid } } }"
    data = httpx.post(f"{address}/graphql", json={"query": query}).json()["data"]
    images = [node["uid"] for node in data["images"]["nodes"]]
    series = [node["uid"] for node in data["series"]["nodes"]]
    questions = []
    for number, image in enumerate(images):
        of, uid = f'imageByUid(uid: "{image}")', series[number % len(series)]
        questions += [
            Question("a header", _post(f"{{ {of} {{ header {{ json }} }} }}")),
            Question(
                "a table", _post(f"{{ {of} {{ header {{ table {{ path name value }} }} }} }}")
            ),
            Question("a page", _post(_PAGE.replace("25", str(1 + number % 100)))),
            Question("the walk", _post(_WALK.replace("first: 2", f"first: {1 + number % 4}"))),
            Question("a search", _post(_SEARCH.format(number))),
            Question("a file", _get(f"/images/{image}.dcm")),
            Question("a picture", _get(f"/images/{image}/preview.png")),
        ]
        if number % 20 == 0:
            questions += [
                Question("an archive", _get(f"/series/{uid}.zip")),
                Question("a table of series", _get("/series.csv")),
                Question("a header's file", _get(f"/images/{image}/header.json")),
            ]
    return questions


def _post(query: str) -> bytes:
    body = json.dumps({"query": query}).encode()
    head = (
        "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


def _measure(
    address: str,
    questions: Sequence[Question],
    clients: Sequence[int],
    seconds: float,
    workers: int,
) -> list[Run]:
    runs = []
    for question in questions:
        for number in clients:
            run = asyncio.run(_load(address, [question], number, seconds))
            print(
                f"{question.name:20} {workers} workers {number:4} clients {run.line()}", flush=True
            )
            for error in sorted(set(run.errors))[:3]:
                print(f"  {error}")
            runs.append(run)
    return runs


async def _load(address: str, questions: Sequence[Question], clients: int, seconds: float) -> Run:
    """So many clients ask for so long, after a second that does not count."""
    parts = urlsplit(address)
    run = Run()
    began = time.perf_counter() + _WARM_SECONDS

    async def ask_on(number: int) -> None:
        client = Client(str(parts.hostname), int(parts.port or 80))
        turn = number
        while (start := time.perf_counter()) < began + seconds:
            wrong = await client.ask(questions[turn % len(questions)].request)
            end = time.perf_counter()
            turn += 1
            if wrong is not None:
                run.errors.append(wrong)
            elif end >= began:
                run.times.append(end - start)
                run.seconds = end - began
        client.close()

    await asyncio.gather(*map(ask_on, range(clients)))
    return run


def _hold(
    address: str, questions: Sequence[Question], options: argparse.Namespace, pid: int
) -> Run:
    """Ask all questions in turn, and print the memory now and then."""
    whole = Run()
    began = time.perf_counter()
    while time.perf_counter() - began < 60 * options.minutes:
        seconds = min(options.every, 60 * options.minutes)
        run = asyncio.run(_load(address, questions, options.clients[-1], seconds))
        elapsed = (time.perf_counter() - began) / 60
        own = resident_bytes(pid, children=False) >> 20
        print(
            f"{elapsed:5.1f} min {resident_bytes(pid) >> 20:6} MB ({own} MB) {run.line()}",
            flush=True,
        )
        whole.errors += run.errors
    return whole


if __name__ == "__main__":
    sys.exit(main())
