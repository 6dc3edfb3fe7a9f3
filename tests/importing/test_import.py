"""An import from paths to its report: what counts as what, and what a failure does to the rest."""

import errno
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from sqlalchemy import event

from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobCounts, JobOrigin, JobRequest, JobStatus
from tests.support.contents import Tables, assert_consistent, contents
from tests.support.make import make_data_set, make_file, make_series, save

Import = Callable[..., Report]
on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


def reasons(report: Report) -> dict[str, str]:
    """Why each file failed, by its name."""
    return {os.path.basename(failure.path): failure.message for failure in report.failures}


def make_bad_files(folder: Path) -> None:
    """Files that are DICOM, but of which no image can be made."""
    whole = make_file(folder / "truncated.dcm", SeriesDescription="x" * 60).read_bytes()
    (folder / "truncated.dcm").write_bytes(whole[: whole.index(b"x" * 60) + 10])
    (folder / "garbage.dcm").write_bytes(bytes(128) + b"DICM" + bytes(range(256)) * 4)
    save(make_data_set(SOPInstanceUID=None), folder / "no-uid.dcm")
    (folder / "dangling.dcm").symlink_to(folder / "nothing")


def test_report_of_a_mixed_tree(import_files: Import, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    make_series(folder / "series", 3)
    make_bad_files(folder)
    (folder / "notes.txt").write_text("no DICOM")
    (folder / "empty").touch()
    report = import_files(folder)
    assert report.status is JobStatus.COMPLETED
    assert report.counts == JobCounts(found=9, created=3, skipped=2, failed=4)
    found = reasons(report)
    assert found.keys() == {"truncated.dcm", "garbage.dcm", "no-uid.dcm", "dangling.dcm"}
    assert "ends" in found["truncated.dcm"]
    assert "SOPInstanceUID" in found["no-uid.dcm"]
    assert found["dangling.dcm"] == "a link that leads to no file"
    assert {os.path.basename(failure.path): failure.code for failure in report.failures} == {
        "truncated.dcm": "TRUNCATED", "garbage.dcm": "TRUNCATED", "no-uid.dcm": "NO_IDENTITY",
        "dangling.dcm": "FILE_GONE",
    }  # fmt: skip
    assert all(Path(failure.path).parent == folder for failure in report.failures)


@on_sqlite
def test_a_dicomdir_is_skipped(import_files: Import, tmp_path: Path) -> None:
    from pydicom.data import get_testdata_file

    shutil.copy(str(get_testdata_file("DICOMDIR")), tmp_path / "IM1")
    assert import_files(tmp_path / "IM1").counts == JobCounts(found=1, skipped=1)


@on_sqlite
def test_a_file_is_known_by_its_content_not_its_name(import_files: Import, tmp_path: Path) -> None:
    make_file(tmp_path / "a" / "notes.txt")
    (tmp_path / "a" / "image.dcm").write_text("notes")
    assert import_files(tmp_path / "a").counts == JobCounts(found=2, created=1, skipped=1)


def test_a_second_run_creates_nothing(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    make_series(tmp_path / "a", 5)
    import_files(tmp_path / "a")
    before = contents(database)
    assert import_files(tmp_path / "a").counts == JobCounts(found=5, existing=5)
    assert contents(database) == before


@on_sqlite
def test_several_paths_are_one_import(import_files: Import, tmp_path: Path) -> None:
    make_series(tmp_path / "a", 2)
    path = make_file(tmp_path / "b" / "1.dcm")
    assert import_files(tmp_path / "a", path, path).counts == JobCounts(
        found=4, created=3, existing=1
    )


def rewrite_unnoticed(path: Path, old: bytes, new: bytes) -> None:
    """Other bytes of the same size, with the same modification time."""
    before = path.stat()
    content = path.read_bytes()
    assert old in content
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_a_known_file_is_not_opened_again(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    path = make_file(tmp_path / "a" / "1.dcm", SeriesDescription="AAAA")
    import_files(path)
    before = contents(database)
    rewrite_unnoticed(path, b"AAAA", b"BBBB")
    assert import_files(path).counts == JobCounts(found=1, existing=1)
    assert contents(database) == before


def element_values(database: Database, keyword: str) -> set[str | None]:
    """The texts of a keyword among the elements that images hold."""
    tables = Tables(database)
    keywords = {row["id"]: row["keyword"] for row in tables["data_element_definition"]}
    held = {id for header in tables["header"] for id in tables.element_ids(header)}
    return {
        row["text"]
        for row in tables["data_element_value"]
        if row["element_id"] in held and keywords[row["definition_id"]] == keyword
    }


@pytest.mark.parametrize("second", [Mode.FULL, Mode.NORMAL, Mode.MINIMAL])
def test_a_changed_file_updates_its_image(
    import_files: Import, database: Database, tmp_path: Path, second: Mode
) -> None:
    path = tmp_path / "a" / "1.dcm"
    make_file(path, SOPInstanceUID="1.2", ImageComments="before", InstanceNumber=1)
    import_files(path)
    make_file(path, SOPInstanceUID="1.2", ImageComments="and after", InstanceNumber=2)
    report = import_files(path, mode=second)
    assert report.counts == JobCounts(found=1, updated=1)
    assert element_values(database, "ImageComments") == {"and after"}
    assert contents(database)["image"]["1.2"]["number"] == 2
    assert import_files(path).counts == JobCounts(found=1, existing=1)
    assert_consistent(database)


def test_a_changed_file_moves_its_image_to_the_series_it_names_now(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    path = tmp_path / "a" / "1.dcm"
    make_file(path, SOPInstanceUID="1.2", SeriesInstanceUID="1.2.3")
    import_files(path)
    make_file(path, SOPInstanceUID="1.2", SeriesInstanceUID="1.2.345", ImageComments="moved")
    assert import_files(path).counts == JobCounts(found=1, updated=1)
    assert contents(database)["image"]["1.2"]["series_id"] == "1.2.345"


@on_sqlite
def test_the_source_files_are_left_alone(import_files: Import, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    make_series(folder, 3)
    make_bad_files(folder)
    files = [path for path in sorted(folder.iterdir()) if path.exists()]
    before = [(path, path.stat().st_mtime_ns, path.read_bytes()) for path in files]
    import_files(folder)
    import_files(folder, mode=Mode.FULL)
    assert [(path, path.stat().st_mtime_ns, path.read_bytes()) for path in files] == before


@on_sqlite
def test_a_file_without_permission_fails_and_the_rest_goes_on(
    import_files: Import, tmp_path: Path
) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    first = make_series(tmp_path / "a", 2)[0]
    first.chmod(0)
    hidden = make_file(tmp_path / "a" / "hidden" / "1.dcm").parent
    hidden.chmod(0)
    report = import_files(tmp_path / "a")
    hidden.chmod(0o700)
    assert report.counts == JobCounts(found=3, created=1, failed=2)
    assert {f.path: f.message for f in report.failures} == {
        str(first): "Permission denied", str(hidden): "Permission denied",
    }  # fmt: skip


@on_sqlite
def test_a_file_that_cannot_be_read_fails_and_the_rest_goes_on(
    import_files: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_series(tmp_path / "a", 2)
    broken = make_file(tmp_path / "a" / "0000.dcm").stat()
    read = os.read

    def read_from_failing_disk(descriptor: int, size: int) -> bytes:
        if os.path.samestat(os.fstat(descriptor), broken):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", read_from_failing_disk)
    report = import_files(tmp_path / "a")
    assert report.counts == JobCounts(found=3, created=2, failed=1)
    assert reasons(report) == {"0000.dcm": "Input/output error"}
    assert report.failures[0].code == "CANNOT_READ"


@on_sqlite
def test_a_file_that_vanishes_meanwhile_fails_and_the_rest_goes_on(
    database: Database, tmp_path: Path
) -> None:
    paths = make_series(tmp_path / "a", 3)
    request = JobRequest((str(tmp_path / "a"),), origin=JobOrigin.PYTHON)
    report = run_import(
        database,
        request,
        ImportOptions(batch_size=1),
        progress=lambda counts: paths[1].unlink(missing_ok=True),
    )
    assert report.counts == JobCounts(found=3, created=2, failed=1)
    assert reasons(report) == {paths[1].name: "No such file or directory"}


@on_sqlite
def test_a_path_that_does_not_exist_is_a_failure(import_files: Import, tmp_path: Path) -> None:
    report = import_files(tmp_path / "nothing")
    assert report.counts == JobCounts(found=1, failed=1)
    assert reasons(report) == {"nothing": "No such file or directory"}


def test_stop_on_error_keeps_what_was_taken_before(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    make_series(folder, 4)
    (folder / "0002a.dcm").write_bytes(bytes(128) + b"DICM" + bytes(range(256)) * 4)
    report = import_files(folder, stop_on_error=True)
    assert report.status is JobStatus.FAILED
    assert (report.counts.created, report.counts.failed) == (2, 1)
    assert report.error is not None
    assert "0002a.dcm" in report.error
    assert len(contents(database)["image"]) == 2
    (folder / "0002a.dcm").unlink()
    assert import_files(folder, stop_on_error=True).counts == JobCounts(
        found=4, created=2, existing=2
    )


@on_sqlite
@pytest.mark.parametrize(
    ("pattern", "taken"),
    [
        ("*.dcm", {"a.dcm", "sub/b.dcm", "sub/deep/c.dcm"}),
        ("?.dcm", {"a.dcm", "sub/b.dcm", "sub/deep/c.dcm"}),
        ("[bc].dcm", {"sub/b.dcm", "sub/deep/c.dcm"}),
        ("sub/*", {"sub/b.dcm", "sub/deep/c.dcm", "sub/d.ima"}),
        ("*/deep/*.dcm", {"sub/deep/c.dcm"}),
        ("*.DCM", set()),
    ],
)
def test_pattern(
    import_files: Import, database: Database, tmp_path: Path, pattern: str, taken: set[str]
) -> None:
    folder = tmp_path / "a"
    for name in ("a.dcm", "sub/b.dcm", "sub/deep/c.dcm", "sub/d.ima"):
        make_file(folder / name)
    report = import_files(folder, pattern=pattern)
    assert report.counts == JobCounts(found=len(taken), created=len(taken))
    files = {os.path.relpath(os.path.join(*key), folder) for key in contents(database)["files"]}
    assert files == taken


def make_strange_tree(folder: Path) -> None:
    make_series(folder, 2)
    (folder / "loop").symlink_to(folder)
    (folder / "self").symlink_to(folder / "self")
    (folder / "sub").mkdir()
    (folder / "sub" / "up").symlink_to("..")
    os.mkfifo(folder / "pipe.dcm")
    listener = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(folder)  # A socket's path has at most 107 bytes.
    listener.bind("socket")
    os.chdir(here)
    listener.close()


@on_sqlite
def test_loops_pipes_and_sockets_end(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    make_strange_tree(folder)
    report = import_files(folder)
    assert report.counts == JobCounts(found=5, created=2, skipped=2, failed=1)
    assert reasons(report).keys() == {"self"}
    assert len(contents(database)["files"]) == 2


@on_sqlite
def test_a_link_to_a_folder_is_followed_once(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    make_series(tmp_path / "elsewhere", 2)
    (tmp_path / "a").mkdir()
    for name in ("one", "two"):
        (tmp_path / "a" / name).symlink_to(tmp_path / "elsewhere")
    assert import_files(tmp_path / "a").counts == JobCounts(found=2, created=2)


def test_names_that_are_not_utf8_fail_and_the_rest_goes_on(
    import_files: Import, tmp_path: Path
) -> None:
    good = make_file(tmp_path / "a" / "1.dcm")
    folder = os.fsencode(tmp_path / "a")
    try:
        shutil.copy(good, folder + b"/caf\xe9.dcm")
    except OSError:
        pytest.skip("the file system takes no such name")
    os.mkdir(folder + b"/\xff")
    shutil.copy(good, folder + b"/\xff/2.dcm")
    report = import_files(tmp_path / "a")
    assert report.counts == JobCounts(found=3, created=1, failed=2)
    assert sorted(failure.path for failure in report.failures) == [
        f"{tmp_path}/a/\\xff/2.dcm", f"{tmp_path}/a/caf\\xe9.dcm",
    ]  # fmt: skip
    assert all("UTF-8" in failure.message for failure in report.failures)


def test_unusual_names_are_kept(import_files: Import, database: Database, tmp_path: Path) -> None:
    names = ["ünï codé", "new\nline", "quote'\"", "-dash", "100%", "back\\slash", "日本"]
    for name in names:
        make_file(tmp_path / "a" / name / name)
    assert import_files(tmp_path / "a").counts.created == len(names)
    found = {(os.path.basename(folder), name) for folder, name in contents(database)["files"]}
    assert found == {(name, name) for name in names}


def strange_values() -> dict[str, dict[str, Any]]:
    text = "".join(Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
    return {
        "nul": {"PatientID": "a\x00b", "PatientName": "c\x00d", "StudyDescription": "\x00e"},
        "long": {"StudyDescription": text, "ImageComments": text * 5},
        "numbers": {"SeriesNumber": 2**31 - 1, "InstanceNumber": -(2**31), "EchoTime": 1e300},
        "surrogate": {"SpecificCharacterSet": "ISO_IR 192", "StudyDescription": "\N{SNOWMAN}"},
        "backslashes": {"ImageType": ["A", "", "B"], "SeriesDescription": "%s {0} ' ; --"},
    }


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_strange_values_are_taken(import_files: Import, database: Database, tmp_path: Path) -> None:
    for name, elements in strange_values().items():
        make_file(tmp_path / "a" / name, **elements)
    report = import_files(tmp_path / "a")
    assert report.failures == []
    assert report.counts.created == len(strange_values())
    assert_consistent(database)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("keyword", ["PatientID", "PatientName"])
def test_a_value_that_the_database_cannot_hold_costs_only_its_file(
    import_files: Import, database: Database, tmp_path: Path, keyword: str
) -> None:
    """PostgreSQL's indexes hold no text of more than 2.7 kB; SQLite's do."""
    make_series(tmp_path / "a", 3)
    make_file(tmp_path / "a" / "0002a.dcm", **{keyword: strange_values()["long"]["ImageComments"]})
    report = import_files(tmp_path / "a")
    assert report.status is JobStatus.COMPLETED
    assert report.counts.created + report.counts.failed == report.counts.found == 4
    assert report.counts.created >= 3
    assert set(reasons(report)) <= {"0002a.dcm"}
    assert len(assert_consistent(database)["image"]) == report.counts.created


@on_postgresql
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_stop_on_error_stops_at_a_value_that_the_database_cannot_hold(
    import_files: Import, tmp_path: Path
) -> None:
    make_series(tmp_path / "a", 3)
    make_file(tmp_path / "a" / "0002a.dcm", PatientID=strange_values()["long"]["ImageComments"])
    report = import_files(tmp_path / "a", stop_on_error=True)
    assert report.status is JobStatus.FAILED
    assert (report.counts.created, report.counts.failed) == (2, 1)
    assert reasons(report).keys() == {"0002a.dcm"}


def test_images_that_a_fuller_mode_completes_are_updated_together(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    make_series(tmp_path / "a", 20)
    import_files(tmp_path / "a", mode=Mode.MINIMAL)
    statements: list[str] = []
    event.listen(database.writer, "before_cursor_execute", lambda *args: statements.append(args[2]))
    report = import_files(tmp_path / "a", mode=Mode.FULL)
    assert report.counts == JobCounts(found=20, updated=20)
    assert len([one for one in statements if one.startswith("UPDATE image ")]) == 1
    headers = {row["image_id"] for row in Tables(database, "header")["header"]}
    assert headers == {row["id"] for row in Tables(database, "image")["image"]}
