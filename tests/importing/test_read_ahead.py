"""Files read by several processes give what one process reads, in the same order, whatever
happens to those processes."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from struct import Struct

import pytest

from dicom_graph.dicom.elements.contents import MAX_RAW, Element
from dicom_graph.importing.discover import Discovery
from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.importing.read_ahead import PENDING, ReadAhead
from dicom_graph.importing.reader import FileReader, Result
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import BatchWriter, FileRecord, Mode, ReadFile
from dicom_graph.store.jobs.jobs import Failure, JobCounts, JobOrigin, JobRequest, JobStatus
from dicom_graph.store.migrate import upgrade
from tests.support.contents import assert_consistent, contents
from tests.support.data import nibabel_dicom_files, pydicom_files
from tests.support.make import make_file, make_series
from tests.support.samples import mostly_slow
from tests.support.waiting import until

Import = Callable[..., Report]
needs_proc = pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="needs Linux's /proc")
_READER = "dicom_graph.importing.reading_process"


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Series, and beside their images what is skipped and what fails."""
    folder = tmp_path_factory.mktemp("tree")
    for number in range(3):
        series = folder / f"s{number}"
        make_series(series, 60, PatientID=f"p{number}", SeriesNumber=number, ImageComments="ä" * 9)
        (series / "0010.txt").write_text("no DICOM")
        (series / "0020.dcm.part").write_bytes(bytes(128) + b"DICM" + b"\xff" * 99)
    return folder


def records(*paths: Path) -> list[FileRecord]:
    """The files below some paths, as an import finds them."""
    folders = Discovery(tuple(map(str, paths))).folders()
    return [file for folder in folders for file in folder.files]


def record(path: Path) -> FileRecord:
    return FileRecord(str(path.parent), path.name, 1, 1)


def read_here(files: Sequence[FileRecord], mode: Mode) -> list[Result]:
    reader = FileReader(mode)
    return [reader.read(file) for file in files]


def read_ahead(files: Sequence[FileRecord], mode: Mode, processes: int = 2) -> Iterator[Result]:
    """Read by processes alone, as an import does."""
    ahead = ReadAhead(mode, MAX_RAW, processes, few=0)
    try:
        for file in files:
            ahead.put(file)
            yield from (result for result in ahead.ready() if result is not PENDING)
        yield from (result for result in ahead.rest() if result is not PENDING)
    finally:
        ahead.close()


def told(result: Result) -> object:
    """All that a result says."""
    if not isinstance(result, ReadFile):
        return result
    return (
        result.file, result.entities, result.mode, result.transfer_syntax_uid, result.warnings,
        list(map(all_of, result.elements)),
    )  # fmt: skip


def all_of(element: Element) -> object:
    return (
        element.tag, element.definition, element.digest, element.values, element.vm,
        element.packed, element.sha256, element.length, element.warning, element.has_warnings,
        None if element.items is None else [list(map(all_of, item)) for item in element.items],
    )  # fmt: skip


@pytest.mark.parametrize("mode", mostly_slow(reversed(Mode), 3))
def test_processes_read_what_one_process_reads_in_the_same_order(tree: Path, mode: Mode) -> None:
    real = [record(path) for path in (*pydicom_files(), *nibabel_dicom_files())]
    files = [*records(tree), *real]
    for found, expected in zip(read_ahead(files, mode), read_here(files, mode), strict=True):
        assert told(found) == told(expected)


@pytest.mark.slow
def test_a_database_filled_by_processes_equals_one_filled_by_one(
    tree: Path, database: Database, tmp_path: Path
) -> None:
    real = [record(path) for path in pydicom_files()]
    files = [*records(tree), *real]
    write(database, read_ahead(files, Mode.FULL, processes=3))
    alone = Database(f"sqlite:///{tmp_path / 'alone.sqlite3'}")
    upgrade(alone)
    write(alone, iter(read_here(files, Mode.FULL)))
    assert_consistent(database)
    assert contents(database) == contents(alone)
    alone.close_writer()


def write(database: Database, results: Iterator[Result]) -> None:
    files = [result for result in results if isinstance(result, ReadFile)]
    writer = BatchWriter()
    for start in range(0, len(files), 50):
        with database.writer.begin() as connection:
            writer.write(connection, files[start : start + 50], None)


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    file = record(make_file(tmp_path / "1.dcm"))
    ahead = ReadAhead(Mode.NORMAL, MAX_RAW, 2, few=0)
    waiting = most = 0
    try:
        for _ in range(6000):
            ahead.put(file)
            waiting += 1
            waiting -= sum(result is not PENDING for result in ahead.ready())
            most = max(most, waiting)
    finally:
        ahead.close()
    assert 0 < most < 2500


def readers_of(parent: int) -> list[int]:
    """The reading processes of a process."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                command = Path(f"/proc/{entry}/cmdline").read_bytes()
                status = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if _READER.encode() in command and status[0] != "Z" and int(status[1]) == parent:
                found.append(int(entry))
    return found


@pytest.mark.slow
@needs_proc
def test_a_killed_process_loses_nothing(tree: Path) -> None:
    files = records(tree) * 6
    found = []
    for number, result in enumerate(read_ahead(files, Mode.NORMAL)):
        found.append(told(result))
        if number in (100, 500):
            os.kill(readers_of(os.getpid())[0], signal.SIGKILL)
    assert found == list(map(told, read_here(files, Mode.NORMAL)))


@contextmanager
def deadly(path: Path) -> Iterator[list[int]]:
    """A file that takes long to read, and whose readers are killed meanwhile; returns who was."""
    make_file(path)
    with path.open("ab") as file:
        file.write(Struct("<HH2sHL").pack(0x7FE1, 0x1010, b"OB", 0, 2 << 30))
        file.truncate(file.tell() + (2 << 30))
    killed: list[int] = []
    ended = threading.Event()

    def kill() -> None:
        while not ended.wait(0.01):
            for pid in readers_of(os.getpid()):
                if has_open(pid, path):
                    os.kill(pid, signal.SIGSEGV)
                    killed.append(pid)
                    until(lambda: not any(has_open(pid, path) for pid in readers_of(os.getpid())))

    thread = threading.Thread(target=kill)
    thread.start()
    try:
        yield killed
    finally:
        ended.set()
        thread.join()


def has_open(pid: int, path: Path) -> bool:
    try:
        names = os.listdir(f"/proc/{pid}/fd")
        return any(os.readlink(f"/proc/{pid}/fd/{name}") == str(path) for name in names)
    except OSError:
        return False


@needs_proc
def test_a_file_that_kills_its_reader_fails_and_the_rest_goes_on(
    tree: Path, tmp_path: Path
) -> None:
    good = records(tree)
    deadly_file = tmp_path / "deadly.dcm"
    files = [*good[:70], record(deadly_file), *good[70:]]
    with deadly(deadly_file) as killed:
        found = list(map(told, read_ahead(files, Mode.FULL)))
    assert len(killed) == 2
    culprit = found.pop(70)
    assert isinstance(culprit, Failure)
    assert culprit.path == str(deadly_file)
    assert "SIGSEGV" in culprit.message
    assert found == list(map(told, read_here(good, Mode.FULL)))


@pytest.fixture(scope="module")
def large_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """So many files that other processes have started long before the last is read."""
    folder = tmp_path_factory.mktemp("large")
    originals = [(path.name, path.read_bytes()) for path in make_series(folder / "000", 40)]
    for number in range(1, 80):
        (folder / f"{number:03}").mkdir()
        for name, content in originals:
            root = b"1.2.826.0.1.%013d" % number
            changed = content.replace(b"1.2.826.0.1.3680043.8.498", root)
            (folder / f"{number:03}" / name).write_bytes(changed)
    return folder


@needs_proc
def test_an_import_that_is_cancelled_leaves_no_process(
    database: Database, large_tree: Path
) -> None:
    stop = threading.Event()
    seen: set[int] = set()

    def progress(counts: JobCounts) -> None:
        seen.update(readers_of(os.getpid()))
        if seen and counts.processed > 1000:
            stop.set()

    request = JobRequest((str(large_tree),), origin=JobOrigin.PYTHON)
    report = run_import(database, request, ImportOptions(processes=2), stop=stop, progress=progress)
    assert report.status is JobStatus.CANCELLED
    assert report.counts.processed < report.counts.found
    assert len(seen) == 2
    assert readers_of(os.getpid()) == []
    assert len(assert_consistent(database)["image"]) == report.counts.created


def test_stop_on_error_keeps_just_what_was_taken_before(
    import_files: Import, database: Database, large_tree: Path
) -> None:
    bad = large_tree / "060" / "0007a.dcm"
    bad.write_bytes(bytes(128) + b"DICM" + bytes(range(256)) * 4)
    try:
        report = import_files(large_tree, mode=Mode.MINIMAL, stop_on_error=True)
    finally:
        bad.unlink()
    assert report.status is JobStatus.FAILED
    assert [failure.path for failure in report.failures] == [str(bad)]
    assert report.counts.created == 60 * 40 + 7
    assert len(contents(database)["files"]) == report.counts.created


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_no_process_outlives_a_killed_import(
    database: Database, database_url: str, large_tree: Path
) -> None:
    command = "from dicom_graph.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", command, "import", str(large_tree)],
        env=os.environ
        | {"DICOM_GRAPH_DATABASE_URL": database_url, "DICOM_GRAPH_IMPORT_PROCESSES": "2"},
        stdout=subprocess.DEVNULL,
    )
    readers: list[int] = []
    try:
        until(lambda: process.poll() is not None or bool(readers_of(process.pid)))
        readers = readers_of(process.pid)
    finally:
        process.kill()
        process.wait()
    assert readers
    until(lambda: not any(os.path.exists(f"/proc/{pid}/fd/0") for pid in readers))
    assert run_import(database, JobRequest((str(large_tree),))).status is JobStatus.COMPLETED
    assert_consistent(database)
