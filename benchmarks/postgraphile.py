"""What an answer costs, beside PostGraphile 5 on the same PostgreSQL database.

    python -m benchmarks.postgraphile [--data FOLDER] [--postgraphile FOLDER] [--seconds 3]

Imports the files of a folder into a PostgreSQL server of its own, starts `dicom-graph serve` and
PostGraphile on it, and asks each the same questions over HTTP, one client, one after the other,
with other variables each time. Prints for each question the processor time of an answer in ms,
that of the server and of PostgreSQL's processes together, and the ratio of the two; what only
dicom-graph can answer has no ratio. Of its elements those that were read before may be in memory,
as in use.

PostGraphile lies in a folder where `npm install postgraphile@5 node@22` was run; without it only
dicom-graph is measured, which is said.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.data_folder import SHARED, add_data_folder, data_folder
from benchmarks.ingest import private_postgres
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade

_COMMAND = [sys.executable, "-c", "from dicom_graph.cli import main; main()"]
_PORTS = (18651, 18652)
_START_SECONDS = 60
_WARM = 30


class Question(NamedTuple):
    """A question in both schemas, with `$offset`, which goes over `places`."""

    name: str
    ours: str
    theirs: str | None
    places: int = 1


QUESTIONS = [
    Question(
        "25 series, 5 fields",
        "series(first: 25, offset: $offset) { nodes { uid modality description date echoTime } }",
        "allSeries(first: 25, offset: $offset) { nodes { "
        "uid modality description date echoTime } }",
        places=20,
    ),
    Question(
        "and the number of their images",
        "series(first: 25, offset: $offset) { nodes { uid modality description date nImages } }",
        "allSeries(first: 25, offset: $offset) { nodes { uid modality description date "
        "imagesBySeriesId { totalCount } } }",
        places=20,
    ),
    Question(
        "600 images, 5 fields",
        "images(first: 600, offset: $offset) { nodes { uid number date time numberOfFrames } }",
        "allImages(first: 600, offset: $offset) { nodes { uid number date time numberOfFrames } }",
        places=50,
    ),
    Question(
        "10 studies, 5 series, 10 images",
        "studies(first: 10, offset: $offset) { nodes { uid description series(first: 5) { nodes { "
        "uid modality images(first: 10) { nodes { uid number } } } } } }",
        "allStudies(first: 10, offset: $offset) { nodes { uid description "
        "seriesByStudyId(first: 5) { nodes { uid modality imagesBySeriesId(first: 10) { nodes { "
        "uid number } } } } } }",
        places=10,
    ),
    Question(
        "all elements of 100 headers",
        "images(first: 100, offset: $offset) { nodes { header { elements { "
        "tag keyword vr vm name value } } } }",
        None,
        places=500,
    ),
    Question(
        "the walk over six levels",
        "patients(first: 5, offset: $offset) { nodes { uid studies(first: 2) { nodes { uid "
        "series(first: 2) { nodes { uid images(first: 2) { nodes { uid header { elements { "
        "tag value } } } } } } } } } }",
        None,
        places=5,
    ),
    Question("__typename", "__typename @skip(if: $no) ", None),
]


class Server(NamedTuple):
    """A server that answers GraphQL on a port of this machine, and its process."""

    port: int
    process: psutil.Process


def main() -> None:
    """Measure as the options say."""
    options = _options()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="dg"))
        url = stack.enter_context(private_postgres(folder))
        _fill(url, options.data)
        postgres = psutil.Process(int((Path(folder) / "postmaster.pid").read_text().split()[0]))
        ours = stack.enter_context(_dicom_graph(url))
        theirs = None
        if options.postgraphile is None:
            print("no --postgraphile: npm install postgraphile@5 node@22 in a folder, and give it")
        else:
            theirs = stack.enter_context(_postgraphile(options.postgraphile, folder))
        print(f"{'ms of processor time an answer':34}{'ours':>9}{'theirs':>9}{'ratio':>8}")
        for question in QUESTIONS:
            of_us = _cost(ours, postgres, question.ours, question.places, options.seconds)
            line = f"{question.name:34}{of_us:9.2f}"
            if theirs is not None and question.theirs is not None:
                of_them = _cost(theirs, postgres, question.theirs, question.places, options.seconds)
                line += f"{of_them:9.2f}{of_us / of_them:8.2f}"
            print(line, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_data_folder(parser, SHARED)
    parser.add_argument("--postgraphile", type=Path, help="where npm installed it")
    parser.add_argument("--seconds", type=float, default=3.0, help="for each question")
    options = parser.parse_args()
    options.data = data_folder(parser, options)
    return options


def _fill(url: str, data: Path) -> None:
    database = Database(url)
    upgrade(database)
    report = run_import(database, JobRequest((str(data),), Mode.FULL, origin=JobOrigin.PYTHON))
    database.close_writer()
    if not report.counts.created:
        sys.exit(f"no DICOM images in {data}")
    print(f"{report.counts.created:,} images of {data}")


@contextmanager
def _dicom_graph(url: str) -> Iterator[Server]:
    command = [*_COMMAND, "serve", "--database", url, "--port", str(_PORTS[0])]
    with _running(command, _PORTS[0], cwd=None) as server:
        yield server


@contextmanager
def _postgraphile(folder: Path, postgres: str) -> Iterator[Server]:
    modules = folder.resolve() / "node_modules"
    command = [
        str(modules / ".bin" / "node"), str(modules / "postgraphile" / "dist" / "cli-run.js"),
        "-P", "postgraphile/presets/amber", "-s", "public", "-n", "127.0.0.1",
        "-p", str(_PORTS[1]), "-c", f"postgres:///postgres?host={postgres}&user=postgres",
    ]  # fmt: skip
    with _running(command, _PORTS[1], cwd=folder) as server:
        yield server


@contextmanager
def _running(command: list[str], port: int, cwd: Path | None) -> Iterator[Server]:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdout=quiet, stderr=quiet, cwd=cwd) as started:
        server = Server(port, psutil.Process(started.pid))
        try:
            _await(server, started)
            yield server
        finally:
            started.terminate()


def _await(server: Server, started: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and started.poll() is None:
        try:
            _Client(server.port).ask("query { __typename }", {})
            return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"the server on port {server.port} does not start")


class _Client:
    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, query: str, variables: dict[str, object]) -> bytes:
        """The answer. Exits where it holds errors."""
        body = json.dumps({"query": query, "variables": variables})
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", "/graphql", body, headers)
        answer = self._connection.getresponse().read()
        if b'"errors"' in answer[:200]:
            sys.exit(f"{query}: {answer[:500]!r}")
        return answer


def _cost(
    server: Server, postgres: psutil.Process, selection: str, places: int, seconds: float
) -> float:
    """The processor time of an answer, of the server and the database, in ms."""
    client = _Client(server.port)
    query = (
        f"query ($offset: Int, $no: Boolean = false) {{ {selection} __typename @skip(if: $no) }}"
    )
    if "$offset" not in selection:
        query = "query ($no: Boolean = false) { __typename @skip(if: $no) }"

    def ask(number: int) -> None:
        given = {"offset": number * 7 % places} if "$offset" in selection else {}
        client.ask(query, given)

    for number in range(_WARM):
        ask(number)
    before, begin, count = _used(server.process, postgres), time.monotonic(), 0
    while time.monotonic() - begin < seconds:
        ask(count)
        count += 1
    return (_used(server.process, postgres) - before) * 1000 / count


def _used(*processes: psutil.Process) -> float:
    """The processor time of processes and those below them, ended ones too, in seconds."""
    total = 0.0
    for process in processes:
        for each in (process, *process.children(recursive=True)):
            try:
                times = each.cpu_times()
            except psutil.NoSuchProcess:
                continue
            total += times.user + times.system
        ended = process.cpu_times()
        total += ended.children_user + ended.children_system
    return total


if __name__ == "__main__":
    os.environ.setdefault("DICOM_GRAPH_LOG_LEVEL", "WARNING")
    main()
