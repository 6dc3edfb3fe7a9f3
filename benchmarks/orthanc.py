"""How fast Orthanc takes the same files, beside dicom-graph.

    python -m benchmarks.orthanc PATH [--mode full] [--connections 4] [--repeat 3]

Needs Orthanc on the path (Debian: `apt-get install orthanc`); without it says so and ends.

Starts Orthanc on free ports with a temporary configuration: SQLite index and storage in a
temporary folder, no compression, no plugins, no DICOM network, the rest as it comes. Each file's
bytes are then sent to its REST API, `POST /instances`, as Orthanc's own import script does, but
over so many kept connections at once. Prints of the best round

- images/s: instances created, per second from the first request to the last answer;
- CPU ms per image: what its processes computed meanwhile, which other work on the machine changes
  little;
- bytes per image of Orthanc's index, write-ahead log included, and of its storage. Orthanc keeps
  whole files, and of a header the main tags in the index; it opens files for the others.

And the same of dicom-graph: the import of `benchmarks.ingest` into SQLite in one go, in the same
round. It keeps all elements in its database and leaves the files where they are.
"""

import argparse
import http.client
import json
import logging
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import func, select

from benchmarks.data_folder import add_data_folder, data_folder
from benchmarks.ingest import database_bytes, find_files, warm
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.tables.entities import Image

_START_SECONDS = 60
_STOP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Taken:
    """What one program took, in how many seconds; the bytes of its index and of kept files."""

    images: int
    seconds: float
    cpu_seconds: float
    index_bytes: int
    kept_bytes: int = 0

    @property
    def rate(self) -> float:
        """Images per second."""
        return self.images / self.seconds


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    options = _options(arguments)
    program = shutil.which("Orthanc") or shutil.which("orthanc")
    if program is None:
        print("skipped: Orthanc is not installed (Debian: apt-get install orthanc)")
        return
    logging.disable()
    files = find_files(options.data)
    warm(files)
    theirs, ours = [], []
    for _ in range(options.repeat):
        theirs.append(measure_orthanc(program, files, options.connections))
        ours.append(measure_ours(options.data, Mode[options.mode.upper()]))
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    print(f"files       {len(files):,}")
    print(_line(version.stdout.partition("\n")[0], theirs))
    print(_line(f"dicom-graph, {options.mode}", ours))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.orthanc", description="Import speed.")
    add_data_folder(parser)
    parser.add_argument("--mode", choices=[mode.name.lower() for mode in Mode], default="full")
    parser.add_argument("--connections", type=int, default=4, metavar="N", help="at once (4)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rounds (3)")
    options = parser.parse_args(arguments)
    options.data = data_folder(parser, options)
    if options.repeat < 1 or options.connections < 1:
        parser.error("--repeat and --connections must be at least 1")
    return options


def _line(name: str, rounds: list[Taken]) -> str:
    best = max(rounds, key=lambda taken: taken.rate)
    if not best.images:
        return f"{name}: took none of the files"
    rates = ", ".join(f"{taken.rate:,.0f}" for taken in rounds)
    line = (
        f"{name:<26} {best.rate:>8,.0f} images/s (rounds: {rates}), "
        f"{1000 * best.cpu_seconds / best.images:.1f} CPU ms/image, "
        f"index {best.index_bytes / best.images:,.0f} bytes/image"
    )
    kept = f", files kept {best.kept_bytes / best.images:,.0f}" if best.kept_bytes else ""
    return line + kept


def measure_orthanc(program: str, files: list[str], connections: int) -> Taken:
    """Send all files to an empty Orthanc."""
    with tempfile.TemporaryDirectory(prefix="dicom-graph-orthanc-") as name:
        folder = Path(name)
        with _running(program, folder) as (process, port):
            cpu, start = _cpu_seconds(process), time.perf_counter()
            with ThreadPoolExecutor(connections) as threads:
                parts = [files[first::connections] for first in range(connections)]
                created = sum(threads.map(lambda part: _send(port, part), parts))
            seconds = time.perf_counter() - start
            cpu = _cpu_seconds(process) - cpu
            index = sum(path.stat().st_size for path in folder.glob("db/index*"))
        kept = sum(path.stat().st_size for path in folder.glob("storage/*/**/*") if path.is_file())
    return Taken(created, seconds, cpu, index, kept)


@contextmanager
def _running(program: str, folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """An Orthanc and its port, stopped in the end."""
    port = _free_port()
    configuration = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "db"),
        "StorageCompression": False,
        "Plugins": [],
        "HttpPort": port,
        "DicomServerEnabled": False,
        "AuthenticationEnabled": False,
        "RemoteAccessAllowed": False,
    }
    (folder / "orthanc.json").write_text(json.dumps(configuration))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [program, str(folder / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait(process, port, folder / "log")
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"Orthanc did not start:\n{log.read_text(errors='replace')[-2000:]}")


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _own_cpu_seconds() -> float:
    """Of this process and of those that it has ended."""
    usages = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _send(port: int, files: list[str]) -> int:
    """Send files over one connection; returns how many became new instances."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    created = 0
    for file in files:
        connection.request("POST", "/instances", Path(file).read_bytes())
        answer = connection.getresponse()
        content = answer.read()
        created += answer.status == 200 and json.loads(content).get("Status") == "Success"
    connection.close()
    return created


def measure_ours(path: Path, mode: Mode) -> Taken:
    """Import all files into an empty SQLite database."""
    with tempfile.TemporaryDirectory(prefix="dicom-graph-benchmark-") as folder:
        database = Database(f"sqlite:///{folder}/database.sqlite3")
        upgrade(database)
        request = JobRequest((str(path),), mode, origin=JobOrigin.PYTHON)
        cpu, start = _own_cpu_seconds(), time.perf_counter()
        run_import(database, request)
        database.close_writer()
        seconds, cpu = time.perf_counter() - start, _own_cpu_seconds() - cpu
        with database.read_sync() as connection:
            images = connection.execute(select(func.count()).select_from(Image)).scalar_one()
        database.close_writer()
        return Taken(images, seconds, cpu, database_bytes(database))


if __name__ == "__main__":
    main()
