"""Files and folders that give no answer: each is a failure, and the import goes on."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from dicom_graph.dicom.elements.contents import MAX_RAW
from dicom_graph.dicom.mode import Mode
from dicom_graph.importing.discover import Discovery
from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.importing.read_ahead import PENDING, ReadAhead
from dicom_graph.importing.reader import Result
from dicom_graph.importing.timeouts import CallTimeout, TimedCalls, TimeoutFailure, heartbeat
from dicom_graph.importing.watch import Watch, WatchOptions
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import FileRecord, ReadFile
from dicom_graph.store.jobs.jobs import JobCounts, JobOrigin, JobRequest, JobStatus, Storage
from tests.faults.ground import Ground
from tests.importing.test_read_ahead import needs_proc, readers_of, record, records
from tests.support.commands import COMMAND
from tests.support.contents import assert_consistent, contents
from tests.support.hanging import Hang, Mount, hanging_mount, needs_fuse
from tests.support.make import make_data_set, make_series, put_raw, save
from tests.support.waiting import until

pytestmark = pytest.mark.slow
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
SECONDS = 4.0
"""For a file: no more, as each that hangs takes so long, and no less, as machines may be busy."""
NO_ANSWER = "no answer within 4 s"


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    with hanging_mount(tmp_path / "mount") as mounted:
        yield mounted


def content(tmp_path: Path, **elements: object) -> bytes:
    """An image whose header takes more than one read."""
    data_set = make_data_set(**elements)
    put_raw(data_set, 0x00291010, "OB", bytes(200_000))
    return save(data_set, tmp_path / "original.dcm").read_bytes()


def fill(mount: Mount, folder: Path, **hangs: Hang) -> None:
    """Files `a`, `b`, … by name, of which some hang."""
    for number, (name, hang) in enumerate(hangs.items()):
        mount.add(f"{name}.dcm", content(folder, InstanceNumber=number), hang)


def run(
    database: Database,
    *paths: Path,
    processes: int = 2,
    stop: threading.Event | None = None,
    root: Path | None = None,
    **options: object,
) -> Report:
    request = JobRequest(tuple(map(str, paths)), origin=JobOrigin.PYTHON, **options)  # type: ignore[arg-type]
    return run_import(
        database,
        request,
        ImportOptions(processes=processes, storage_root=root, file_seconds=SECONDS),
        stop=stop,
    )


def failed(report: Report) -> list[str]:
    """The names of what gave no answer; nothing else failed."""
    assert all(NO_ANSWER in failure.message for failure in report.failures), report.failures
    return sorted(os.path.basename(failure.path) for failure in report.failures)


@needs_fuse
@pytest.mark.parametrize(
    ("database_kind", "processes"), [("sqlite", 1), ("sqlite", 2), ("postgresql", 2)]
)
def test_what_hangs_fails_and_all_else_is_taken(
    database: Database, mount: Mount, tmp_path: Path, processes: int
) -> None:
    ok = Hang.NOTHING
    fill(mount, tmp_path, a=ok, b=Hang.LOOK, c=ok, d=Hang.OPEN, e=ok, f=Hang.READ, g=Hang.END, h=ok)
    mount.add_folder("list", Hang.LIST)
    mount.add_folder("more")
    mount.add("more/1.dcm", content(tmp_path))
    report = run(database, mount.folder, processes=processes)
    assert report.status is JobStatus.COMPLETED
    assert failed(report) == ["b.dcm", "d.dcm", "f.dcm", "g.dcm", "list"]
    assert (report.counts.created, report.counts.failed) == (5, 5)
    assert_consistent(database)
    assert readers_of(os.getpid()) == []


def read_by_processes(files: list[FileRecord], during: Callable[[int], None]) -> list[Result]:
    """What processes alone read; `during` is called with the number of each result."""
    ahead = ReadAhead(Mode.NORMAL, MAX_RAW, 2, few=0, seconds=SECONDS)
    found: list[Result] = []

    def take(results: Iterator[object]) -> None:
        for result in results:
            if result is not PENDING:
                during(len(found))
                found.append(result)  # type: ignore[arg-type]

    try:
        for file in files:
            ahead.put(file)
            take(ahead.ready())
        take(ahead.rest())
    finally:
        ahead.close()
    return found


@needs_fuse
def test_a_process_that_hangs_is_replaced_and_reads_no_file_twice_or_never(
    mount: Mount, tmp_path: Path
) -> None:
    good = records(make_series(tmp_path / "good", 300)[0].parent)
    fill(mount, tmp_path, a=Hang.OPEN, b=Hang.END, c=Hang.NOTHING)
    bad = [record(mount.folder / f"{name}.dcm") for name in "abc"]
    files = [*good[:40], bad[0], *good[40:41], bad[1], bad[2], *good[41:]]
    found = read_by_processes(files, lambda number: None)
    late = [number for number, result in enumerate(found) if isinstance(result, TimeoutFailure)]
    assert late == [40, 42]
    read = [result for result in found if isinstance(result, ReadFile)]
    assert [result.file.name for result in read] == [
        file.name for file in files if file not in bad[:2]
    ]
    assert readers_of(os.getpid()) == []


@needs_proc
def test_a_process_that_is_stopped_is_replaced(tmp_path: Path) -> None:
    """As one that the system holds: it neither reads nor ends by itself."""
    files = records(make_series(tmp_path / "good", 200)[0].parent) * 8
    stopped: list[int] = []

    def during(number: int) -> None:
        if number == 300:
            stopped.append(readers_of(os.getpid())[0])
            os.kill(stopped[0], signal.SIGSTOP)

    found = read_by_processes(files, during)
    assert len(found) == len(files)
    # It may have been at no file just then; if it was at one, that is to blame, and no other.
    assert sum(isinstance(result, ReadFile) for result in found) >= len(files) - 1
    assert stopped
    assert stopped[0] not in readers_of(os.getpid())


@needs_proc
def test_a_process_that_answers_nonsense_is_replaced(tmp_path: Path) -> None:
    """As one that was made to read its own orders, by a link to /proc."""
    files = records(make_series(tmp_path / "good", 200)[0].parent) * 4

    def during(number: int) -> None:
        if number == 200:
            victim = readers_of(os.getpid())[0]
            Path(f"/proc/{victim}/fd/1").write_bytes(b"\0\0\0\4\0\1\2\3")

    found = read_by_processes(files, during)
    assert sum(isinstance(result, ReadFile) for result in found) == len(files)


@on_sqlite
@needs_proc
def test_an_import_of_a_link_to_proc_comes_to_its_end(database: Database, tmp_path: Path) -> None:
    make_series(tmp_path / "tree", 3)
    (tmp_path / "tree" / "0002a").symlink_to("/proc/self/fd")
    (tmp_path / "tree" / "kmsg.dcm").symlink_to("/proc/kmsg")
    for processes in (1, 2):
        report = run(database, tmp_path / "tree", processes=processes, verify=True)
        assert report.status is JobStatus.COMPLETED
        # What the process has open at a moment may be further names of the same files.
        assert report.counts.created == (3 if processes == 1 else 0)


@needs_fuse
@on_sqlite
def test_a_file_that_says_it_has_no_size_is_not_read_for_ever(
    database: Database, mount: Mount, tmp_path: Path
) -> None:
    fill(mount, tmp_path, a=Hang.NOTHING, b=Hang.ENDLESS)
    report = run(database, mount.folder)
    assert report.counts == JobCounts(found=2, created=1, skipped=1)


@needs_fuse
@on_sqlite
@pytest.mark.parametrize("processes", [1, 2])
def test_what_cannot_even_be_killed_is_left(
    database: Database, tmp_path: Path, processes: int
) -> None:
    with hanging_mount(tmp_path / "mount", is_deaf=True) as mount:
        fill(
            mount, tmp_path, a=Hang.NOTHING, b=Hang.OPEN, c=Hang.NOTHING, d=Hang.END, e=Hang.NOTHING
        )
        report = run(database, mount.folder, processes=processes)
        assert report.status is JobStatus.COMPLETED
        assert failed(report) == ["b.dcm", "d.dcm"]
        assert report.counts.created == 3
    until(lambda: not readers_of(os.getpid()))


@needs_fuse
@on_sqlite
def test_a_mount_that_hangs_ends_the_import_with_a_reason(
    database: Database, mount: Mount, tmp_path: Path
) -> None:
    for number in range(12):
        mount.add(f"{number:02}.dcm", content(tmp_path), Hang.OPEN)
    make_series(tmp_path / "z", 2)
    request = JobRequest((str(mount.folder), str(tmp_path / "z")), origin=JobOrigin.PYTHON)
    report = run_import(database, request, ImportOptions(processes=2, file_seconds=0.5))
    assert report.status is JobStatus.FAILED
    assert "10 files one after the other gave no answer" in str(report.error)
    assert report.counts.failed == 10
    # And one file that answers makes the others go on.
    mount.change("05.dcm", Hang.NOTHING)
    report = run_import(database, request, ImportOptions(processes=2, file_seconds=1.5))
    assert report.status is JobStatus.COMPLETED
    assert (report.counts.created, report.counts.failed) == (3, 11)


@needs_fuse
@on_sqlite
def test_known_files_that_hang_when_verified_stay_as_they_are(
    database: Database, mount: Mount, tmp_path: Path
) -> None:
    fill(mount, tmp_path, a=Hang.NOTHING, b=Hang.NOTHING)
    assert run(database, mount.folder).counts.created == 2
    before = contents(database)
    mount.change("a.dcm", Hang.READ)
    report = run(database, mount.folder, verify=True)
    assert failed(report) == ["a.dcm"]
    assert report.counts.existing == 1
    assert contents(database) == before


@needs_fuse
def test_a_sync_takes_nothing_that_hangs_for_gone(
    database: Database, mount: Mount, tmp_path: Path
) -> None:
    mount.add_folder("f")
    for name in ("f/1.dcm", "f/2.dcm", "3.dcm", "4.dcm"):
        mount.add(name, content(tmp_path))
    assert run(database, mount.folder, sync=True).counts.created == 4
    mount.change("f", Hang.LIST)
    mount.change("3.dcm", Hang.LOOK)
    report = run(database, mount.folder, sync=True, prune=True)
    assert report.counts.missing == 0
    assert report.status in (JobStatus.COMPLETED, JobStatus.FAILED)
    assert report.status is JobStatus.COMPLETED or NO_ANSWER in str(report.error)
    assert len(contents(database)["files"]) == 4


@needs_fuse
@on_sqlite
@pytest.mark.parametrize("storage", [Storage.COPY, Storage.MOVE])
def test_a_copy_that_hangs_leaves_the_file_where_it_is(
    database: Database, mount: Mount, tmp_path: Path, storage: Storage
) -> None:
    """The header can be read, the bytes after it cannot."""
    root = tmp_path / "root"
    root.mkdir()
    data_set = make_data_set(PixelData=bytes(300_000), BitsAllocated=8)
    mount.add("a.dcm", save(data_set, tmp_path / "o.dcm").read_bytes(), Hang.END)
    make_series(tmp_path / "good", 3)
    report = run(database, mount.folder, tmp_path / "good", storage=storage, root=root)
    assert report.status is JobStatus.COMPLETED
    assert report.counts.created == 3
    assert [os.path.basename(failure.path) for failure in report.failures] == ["a.dcm"]
    assert (mount.folder / "a.dcm").exists()
    assert len([path for path in root.rglob("*.dcm") if ".dicom-graph-work" not in str(path)]) == 3


@needs_fuse
@on_sqlite
def test_an_import_of_a_path_that_hangs_itself(
    database: Database, mount: Mount, tmp_path: Path
) -> None:
    fill(mount, tmp_path, a=Hang.LOOK)
    mount.add_folder("f", Hang.LOOK)
    make_series(tmp_path / "good", 2)
    report = run(database, mount.folder / "a.dcm", mount.folder / "f", tmp_path / "good")
    assert report.status is JobStatus.COMPLETED
    assert failed(report) == ["a.dcm", "f"]
    assert report.counts.created == 2


@needs_fuse
@on_sqlite
def test_a_watch_goes_on_past_a_file_that_hangs(
    database: Database, mount: Mount, tmp_path: Path
) -> None:
    fill(mount, tmp_path, a=Hang.NOTHING)
    reports: list[Report] = []
    stop = threading.Event()
    options = WatchOptions(0.2, poll=True, imports=ImportOptions(file_seconds=SECONDS, processes=1))
    watch = Watch(
        database, JobRequest((str(mount.folder),)), options=options, stop=stop,
        on_report=reports.append,
    )  # fmt: skip
    thread = threading.Thread(target=watch.run, daemon=True)
    thread.start()
    try:
        until(lambda: reports)
        mount.add("b.dcm", content(tmp_path), Hang.READ)
        mount.add("c.dcm", content(tmp_path))
        until(lambda: sum(report.counts.created for report in reports) == 2)
        until(lambda: any(report.failures for report in reports))
        assert {name for report in reports for name in failed(report)} == {"b.dcm"}
    finally:
        stop.set()
        thread.join(30)
    assert not thread.is_alive()


COMMANDS = [
    ["import"], ["import", "--verify"], ["sync"], ["watch"], ["watch", "--poll"],
    ["import", "--storage", "copy"],
]  # fmt: skip
SIGNALS = [signal.SIGTERM, signal.SIGINT]
WAITS = [
    pytest.param(command, hang, SIGNALS[(i + j) % 2], id=f"{' '.join(command)}-{hang.name}")
    for i, command in enumerate(COMMANDS)
    for j, hang in enumerate([Hang.READ, Hang.LIST, Hang.LOOK])
]
"""Each command with each hang; each command, and each hang, with either signal."""


@pytest.mark.parametrize(("command", "hang", "number"), WAITS)
@needs_fuse
def test_a_signal_ends_a_command_that_waits_for_what_hangs(
    mount: Mount, tmp_path: Path, environment: dict[str, str], command: list[str], hang: Hang,
    number: signal.Signals,
) -> None:  # fmt: skip
    (tmp_path / "root").mkdir()
    mount.add("a.dcm", content(tmp_path))
    mount.add_folder("f", hang)
    mount.add("g.dcm", content(tmp_path), hang)
    process = subprocess.Popen(
        [*COMMAND, *command, str(mount.folder)],
        env=environment | {"DICOM_GRAPH_STORAGE_ROOT": str(tmp_path / "root")},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=tmp_path,
    )  # fmt: skip
    try:
        until(lambda: mount.is_waited_for() or process.poll() is not None)
        assert process.poll() is None
        process.send_signal(number)
        assert process.wait(40) == (0 if command[0] == "watch" else 130)
    finally:
        process.kill()
        process.wait()


@needs_fuse
@on_sqlite
def test_sigterm_ends_a_server_whose_import_hangs(
    database_url: str, mount: Mount, tmp_path: Path
) -> None:
    mount.add("a.dcm", content(tmp_path), Hang.READ)
    ground = Ground(tmp_path / "ground", "sqlite", lambda folder: nullcontext(database_url))
    ground.folder.mkdir()
    with ground.process(database_url, import_roots=tmp_path) as served:
        served.begin_import(mount.folder)
        until(mount.is_waited_for)
        assert served.process is not None
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(60) == 0


def test_calls_give_what_they_give_and_raise_what_they_raise() -> None:
    calls = TimedCalls(SECONDS)
    assert calls.run(lambda a, b: a + b, 1, b=2) == 3
    with pytest.raises(ZeroDivisionError):
        calls.run(lambda: 1 // 0)
    with pytest.raises(TimeoutError, match="of its own"):
        calls.run(_raise, TimeoutError("of its own"))
    assert calls.run(lambda: calls.run(lambda: 5)) == 5


def _raise(error: Exception) -> None:
    raise error


def test_a_call_is_given_up_only_if_it_shows_no_sign_of_life() -> None:
    calls = TimedCalls(1.0)
    ended = threading.Event()

    def slow() -> str:
        for _ in range(15):
            time.sleep(0.2)
            heartbeat()
        return "done"

    assert calls.run(slow) == "done"
    with pytest.raises(CallTimeout):
        calls.run(ended.wait)
    # The thread that was left takes nothing with it.
    assert calls.run(lambda: 7) == 7
    ended.set()


def test_what_is_raised_while_waiting_ends_the_wait() -> None:
    ended = threading.Event()

    class Told(Exception):
        pass

    calls = TimedCalls(60, lambda: _raise(Told()))
    with pytest.raises(Told):
        calls.run(ended.wait)
    ended.set()


@needs_fuse
def test_a_walk_names_what_it_cannot_look_at(mount: Mount) -> None:
    for number in range(8):
        mount.add(f"{number}", b"", Hang.LOOK if number > 1 else Hang.NOTHING)
    (folder,) = Discovery((str(mount.folder),), calls=TimedCalls(0.5)).folders()
    assert [file.name for file in folder.files] == ["0", "1"]
    assert [os.path.basename(failure.path) for failure in folder.failures] == [
        "2", "3", "4", "mount",
    ]  # fmt: skip
    assert "the last 3 names" in folder.failures[-1].message
