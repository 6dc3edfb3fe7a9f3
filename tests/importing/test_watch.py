"""Watching folders: what appears, changes, moves and goes, soon after it has settled."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_graph.importing.foreground import Report
from dicom_graph.importing.stable_files import StablePaths
from dicom_graph.importing.watch import Watch, WatchOptions, merged_paths
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from tests.importing.test_sync import files_of, missing_images
from tests.support.contents import Tables, contents
from tests.support.make import make_file, make_series
from tests.support.waiting import until

pytestmark = pytest.mark.slow

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


@contextmanager
def watching(
    database: Database, folder: Path, *, settle: float = 0.3, poll: bool = False
) -> Iterator[list[Report]]:
    """A watch in a thread, past its first sync: the reports so far."""
    reports: list[Report] = []
    stop = threading.Event()
    watch = Watch(
        database,
        JobRequest((str(folder),), Mode.FULL),
        options=WatchOptions(settle, poll),
        stop=stop,
        on_report=reports.append,
    )
    thread = threading.Thread(target=watch.run)
    thread.start()
    try:
        until(lambda: reports or not thread.is_alive())
        yield reports
        assert thread.is_alive()
    finally:
        stop.set()
        thread.join(timeout=60)
    assert not thread.is_alive()


def uids(database: Database) -> set[str]:
    return set(Tables(database, "image").uids("image").values())


@pytest.mark.parametrize("poll", [False, True], ids=["notes", "poll"])
def test_the_database_follows_the_folder(database: Database, tmp_path: Path, poll: bool) -> None:
    folder = tmp_path / "a"
    first = make_file(folder / "s1" / "1.dcm", SOPInstanceUID="1.1")
    os.utime(first, (1e9, 1e9))
    with watching(database, folder, poll=poll) as reports:
        assert reports[0].counts.created == 1
        make_file(folder / "2.dcm", SOPInstanceUID="1.2")
        make_file(folder / "s2" / "deep" / "3.dcm", SOPInstanceUID="1.3")
        until(lambda: uids(database) == {"1.1", "1.2", "1.3"})
        (folder / "2.dcm").unlink()
        until(lambda: missing_images(database) == {"1.2"})
        (folder / "s1").rename(folder / "s3")
        until(lambda: str(folder / "s3" / "1.dcm") in files_of(database))
        until(lambda: str(first) not in files_of(database))
        make_file(folder / "s3" / "1.dcm", SOPInstanceUID="1.1", InstanceNumber=99)
        until(lambda: contents(database)["image"]["1.1"]["number"] == 99)
    assert missing_images(database) == {"1.2"}
    origins = {row["origin"] for row in Tables(database, "import_job")["import_job"]}
    assert origins == {"WATCH"}


@on_sqlite
def test_a_burst_is_one_import_of_what_has_changed(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    for path in make_series(folder / "old", 20):
        os.utime(path, (1e9, 1e9))
    with watching(database, folder, settle=1) as reports:
        make_series(folder / "new", 10)
        until(lambda: len(uids(database)) == 30)
        until(lambda: len(reports) > 1)
    counts = [report.counts for report in reports[1:]]
    assert sum(count.created for count in counts) == 10
    assert sum(count.existing for count in counts) < 20
    assert len(reports) <= 4


@on_sqlite
def test_a_file_is_not_read_while_it_is_written(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    whole = make_file(tmp_path / "1.dcm", SeriesDescription="x" * 60).read_bytes()
    folder.mkdir()
    with watching(database, folder, settle=0.5) as reports:
        with (folder / "1.dcm").open("wb") as file:
            for start in range(0, len(whole), len(whole) // 10):
                file.write(whole[start : start + len(whole) // 10])
                file.flush()
                threading.Event().wait(0.15)
        until(lambda: len(uids(database)) == 1)
    assert [report.failures for report in reports if report.failures] == []


@on_sqlite
def test_a_root_that_goes_and_comes_back(database: Database, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    os.utime(make_file(folder / "1.dcm", SOPInstanceUID="1.1"), (1e9, 1e9))
    with watching(database, folder):
        folder.rename(tmp_path / "b")
        make_file(tmp_path / "b" / "2.dcm", SOPInstanceUID="1.2")
        threading.Event().wait(0.6)
        (tmp_path / "b").rename(folder)
        until(lambda: uids(database) == {"1.1", "1.2"})
        make_file(folder / "3.dcm", SOPInstanceUID="1.3")
        until(lambda: uids(database) == {"1.1", "1.2", "1.3"})
    assert missing_images(database) == set()


@on_sqlite
def test_a_database_inside_the_folder_is_no_change(tmp_path: Path, database: Database) -> None:
    os.utime(make_file(tmp_path / "a" / "1.dcm"), (1e9, 1e9))
    with watching(database, tmp_path) as reports:
        make_file(tmp_path / "a" / "2.dcm")
        until(lambda: len(uids(database)) == 2)
        n_reports = len(reports)
        threading.Event().wait(1.5)
        assert len(reports) <= n_reports + 1


def test_files_settle_once_they_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "1"
    path.write_text("a")
    settling = StablePaths(0.2)
    settling.add([str(path)])
    for text in ("ab", "abc", "abcd"):
        threading.Event().wait(0.1)
        path.write_text(text)
        assert settling.take() == []
    until(lambda: settling.take() == [str(path)])
    assert settling.take() == []


def test_paths_are_brought_together() -> None:
    roots = ("/r", "/q")
    assert merged_paths(["/r/a/b", "/r/a", "/r/a-b", "/q/x"], roots) == ["/q/x", "/r/a", "/r/a-b"]
    many = [f"/r/{folder}/{name}" for folder in range(3) for name in range(500)]
    assert merged_paths(many, roots) == ["/r/0", "/r/1", "/r/2"]
    spread = [f"/r/{folder}/x/y" for folder in range(1500)]
    assert merged_paths(spread, roots) == ["/r", "/q"]
    assert merged_paths([*spread, "/r/0/x"], ("/r",)) == ["/r"]
