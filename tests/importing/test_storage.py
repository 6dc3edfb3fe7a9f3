"""Imports that copy or move: where files end up, and that none is lost or overwritten."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.importing.safe_files import (
    Identity,
    StorageError,
    copy_to,
    link_to,
    remove_original,
)
from dicom_graph.importing.storage import paths_to_store
from dicom_graph.importing.work_folder import WORK_FOLDER, copying_folder
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import FileRecord
from dicom_graph.store.jobs.jobs import JobCounts, JobOrigin, JobRequest, JobStatus, Mode, Storage
from tests.support.contents import assert_consistent, contents
from tests.support.make import make_data_set, make_file, make_series, save

Keep = Callable[..., Report]
both_ways = pytest.mark.parametrize("storage", [Storage.COPY, Storage.MOVE])
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty storage root."""
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


@pytest.fixture
def keep(database: Database, root: Path) -> Keep:
    """Import paths into the storage root: `keep(Storage.COPY, path, …)`."""

    def run(storage: Storage, *paths: Path, to: Path = root, **options: Any) -> Report:
        given = paths_to_store(storage, [str(path) for path in paths], to)
        request = JobRequest(given, Mode.FULL, origin=JobOrigin.PYTHON, storage=storage, **options)
        return run_import(database, request, ImportOptions(storage_root=to))

    return run


def stored(root: Path) -> dict[str, bytes]:
    """The files below a root by their relative paths, without what is on its way in."""
    files = [path for path in root.rglob("*") if path.is_file()]
    names = {str(path.relative_to(root)): path.read_bytes() for path in files}
    return {name: raw for name, raw in names.items() if not name.startswith(WORK_FOLDER)}


def left_over(root: Path) -> list[str]:
    return os.listdir(copying_folder(root))


def uid_of(path: Path) -> str:
    return str(dcmread(path, stop_before_pixels=True).SOPInstanceUID)


def reasons(report: Report) -> dict[str, str]:
    return {os.path.basename(failure.path): failure.message for failure in report.failures}


def image_files(database: Database) -> set[str]:
    return {os.path.join(*key) for key in contents(database)["files"]}


@both_ways
def test_files_are_kept_whole_at_their_default_paths(
    keep: Keep, database: Database, root: Path, tmp_path: Path, storage: Storage
) -> None:
    sources = make_series(tmp_path / "a" / "s", 5, PatientID="p 1")
    before = {uid_of(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in sources}
    (tmp_path / "a" / "notes.txt").write_text("no DICOM")
    (tmp_path / "a" / "bad.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 99)
    report = keep(storage, tmp_path / "a")
    assert report.counts == JobCounts(found=7, created=5, skipped=1, failed=1)
    files = stored(root)
    assert {Path(name).stem: raw for name, raw in files.items()} == {
        uid: raw for uid, (raw, _) in before.items()
    }
    for name in files:
        assert (root / name).stat().st_mtime_ns == before[Path(name).stem][1]
        assert len(Path(name).parts) == 4
    assert image_files(database) == {str(root / name) for name in files}
    is_there = storage is Storage.COPY
    assert all(path.exists() is is_there for path in sources)
    assert (tmp_path / "a" / "notes.txt").exists()
    assert (tmp_path / "a" / "bad.dcm").exists()
    assert left_over(root) == []
    assert_consistent(database)


@both_ways
def test_the_path_is_that_which_the_image_tells(
    keep: Keep, database: Database, root: Path, tmp_path: Path, storage: Storage
) -> None:
    for number, patient in enumerate(["../../etc", "CON", "a\x00b", "ä" * 60, "/abs", "..", "x."]):
        elements = {"PatientID": patient, "SpecificCharacterSet": "ISO_IR 192"}
        make_file(tmp_path / "a" / f"{number}.dcm", SOPInstanceUID=f"1.2.{number}", **elements)
    make_file(tmp_path / "a" / "none.dcm", PatientID=None, SeriesInstanceUID=None)
    report = keep(storage, tmp_path / "a")
    assert (report.counts.created, report.counts.failed) == (8, 0)
    assert len(stored(root)) == 8
    assert {path.name for path in tmp_path.iterdir()} <= {"a", "root", *_database_files(tmp_path)}
    for name in stored(root):
        assert all(len(part.encode()) <= 255 for part in Path(name).parts)


def _database_files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.name.startswith("database")}


def test_a_copied_tree_is_known_from_both_sides(
    keep: Keep, database: Database, root: Path, tmp_path: Path
) -> None:
    make_series(tmp_path / "a", 4)
    keep(Storage.COPY, tmp_path / "a")
    before, inodes = contents(database), {p: p.stat().st_ino for p in root.rglob("*.dcm")}
    assert keep(Storage.COPY, tmp_path / "a").counts == JobCounts(found=4, existing=4)
    assert {path: path.stat().st_ino for path in root.rglob("*.dcm")} == inodes
    in_place = run_import(database, JobRequest((str(root),), Mode.FULL, origin=JobOrigin.PYTHON))
    assert in_place.counts == JobCounts(found=4, existing=4)
    assert contents(database) == before


@both_ways
def test_what_was_imported_in_place_is_taken_into_the_root(
    keep: Keep, database: Database, root: Path, tmp_path: Path, storage: Storage
) -> None:
    sources = make_series(tmp_path / "a", 3)
    run_import(database, JobRequest((str(tmp_path / "a"),), Mode.FULL, origin=JobOrigin.PYTHON))
    assert image_files(database) == set(map(str, sources))
    assert keep(storage, tmp_path / "a").counts == JobCounts(found=3, existing=3)
    assert image_files(database) == {str(root / name) for name in stored(root)}
    assert len(stored(root)) == 3


@both_ways
def test_a_copy_of_a_stored_image_is_the_same_image(
    keep: Keep, root: Path, tmp_path: Path, storage: Storage
) -> None:
    first = make_file(tmp_path / "a" / "1.dcm")
    second = tmp_path / "a" / "2.dcm"
    shutil.copyfile(first, second)
    third = shutil.copyfile(first, make_file(tmp_path / "b" / "3.dcm"))
    report = keep(storage, tmp_path / "a")
    assert report.counts == JobCounts(found=2, created=1, existing=1)
    assert keep(storage, tmp_path / "b").counts == JobCounts(found=1, existing=1)
    assert len(stored(root)) == 1
    assert [p.exists() for p in (first, second, third)] == [storage is Storage.COPY] * 3


@both_ways
@pytest.mark.parametrize("patient", ["patient-1", "another"])
def test_other_content_of_the_same_uid_stays_where_it_is(
    keep: Keep, database: Database, root: Path, tmp_path: Path, storage: Storage, patient: str
) -> None:
    """Also where the other file belongs elsewhere by its own header."""
    uids = {"SOPInstanceUID": "1.2.3", "SeriesInstanceUID": "1.2", "StudyInstanceUID": "1.1"}
    make_file(tmp_path / "a" / "1.dcm", **uids, ImageComments="mine")
    keep(storage, tmp_path / "a")
    before, files = contents(database), stored(root)
    other = make_file(tmp_path / "b" / "2.dcm", **uids, PatientID=patient, ImageComments="other")
    raw = other.read_bytes()
    report = keep(storage, other)
    assert report.counts == JobCounts(found=1, failed=1)
    assert "other content" in reasons(report)["2.dcm"]
    assert next(iter(files)) in reasons(report)["2.dcm"]
    assert other.read_bytes() == raw
    assert (contents(database), stored(root)) == (before, files)


@both_ways
def test_a_stray_file_at_the_target_is_not_overwritten(
    keep: Keep, root: Path, tmp_path: Path, storage: Storage
) -> None:
    elements = {"SOPInstanceUID": "1.2.3.4", "SeriesInstanceUID": "1.2", "StudyInstanceUID": "1.1"}
    source = make_file(tmp_path / "a" / "1.dcm", **elements)
    stray = root / "patient-1" / "1.1" / "1.2" / "1.2.3.4.dcm"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"stray")
    assert keep(storage, source).counts == JobCounts(found=1, failed=1)
    assert stray.read_bytes() == b"stray"
    assert source.exists()


@on_sqlite
def test_a_move_never_touches_links(keep: Keep, root: Path, tmp_path: Path) -> None:
    real = make_file(tmp_path / "real" / "1.dcm")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file.dcm").symlink_to(real)
    (tmp_path / "a" / "folder").symlink_to(real.parent)
    report = keep(Storage.MOVE, tmp_path / "a")
    assert report.counts.failed == report.counts.found == 2
    assert all("symbolic link" in message for message in reasons(report).values())
    assert real.exists()
    assert (tmp_path / "a" / "file.dcm").is_symlink()
    with pytest.raises(StorageError, match="symbolic link"):
        keep(Storage.MOVE, tmp_path / "a" / "folder")
    assert keep(Storage.COPY, tmp_path / "a").counts == JobCounts(found=2, created=1, existing=1)
    assert real.exists()
    assert (tmp_path / "a" / "file.dcm").is_symlink()
    assert not any(path.is_symlink() for path in root.rglob("*"))


@on_sqlite
def test_a_path_through_a_link_is_moved_from_where_it_lies(
    keep: Keep, root: Path, tmp_path: Path
) -> None:
    source = make_file(tmp_path / "real" / "sub" / "1.dcm")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert keep(Storage.MOVE, tmp_path / "link" / "sub").counts == JobCounts(found=1, created=1)
    assert not source.exists()
    assert len(stored(root)) == 1


@both_ways
@on_sqlite
def test_what_lies_in_the_root_is_left_there(
    keep: Keep, database: Database, root: Path, tmp_path: Path, storage: Storage
) -> None:
    make_series(tmp_path / "a", 2)
    keep(storage, tmp_path / "a")
    files, before = stored(root), contents(database)
    for path in (root, root / "patient-1", next(root.rglob("*.dcm"))):
        with pytest.raises(StorageError, match="below the storage root"):
            keep(storage, path)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "into").symlink_to(root / "patient-1")
    assert keep(storage, tmp_path / "b").counts == JobCounts(found=2, failed=2)
    keep(storage, tmp_path)
    assert (stored(root), contents(database)) == (files, before)


@on_sqlite
def test_without_a_root_nothing_is_done(database: Database, tmp_path: Path) -> None:
    source = make_file(tmp_path / "a" / "1.dcm")
    for storage in (Storage.COPY, Storage.MOVE):
        with pytest.raises(StorageError, match="DICOM_GRAPH_STORAGE_ROOT"):
            paths_to_store(storage, [str(source)], None)
        with pytest.raises(StorageError, match="DICOM_GRAPH_STORAGE_ROOT"):
            run_import(database, JobRequest((str(source),), storage=storage))
    assert source.exists()


@on_sqlite
def test_a_root_that_is_gone_is_not_made_anew(keep: Keep, root: Path, tmp_path: Path) -> None:
    source = make_file(tmp_path / "a" / "1.dcm")
    root.rmdir()
    report = keep(Storage.MOVE, source)
    assert report.status is JobStatus.FAILED
    assert "is not there" in (report.error or "")
    assert source.exists()
    assert not root.exists()


@on_sqlite
def test_hard_links_of_a_moved_file_do_not_reach_the_stored_one(
    keep: Keep, root: Path, tmp_path: Path
) -> None:
    source = make_file(tmp_path / "a" / "1.dcm")
    backup = tmp_path / "backup.dcm"
    os.link(source, backup)
    raw = backup.read_bytes()
    assert keep(Storage.MOVE, tmp_path / "a").counts.created == 1
    assert not source.exists()
    backup.write_bytes(b"changed")
    assert list(stored(root).values()) == [raw]


@on_sqlite
def test_a_move_that_the_database_refuses_leaves_the_file(
    keep: Keep, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save(make_data_set(SOPInstanceUID=None), tmp_path / "a" / "1.dcm")
    assert keep(Storage.MOVE, tmp_path / "a").counts == JobCounts(found=1, failed=1)
    assert source.exists()
    assert stored(root) == {}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_file_that_the_database_cannot_hold_is_not_removed(
    keep: Keep, database: Database, tmp_path: Path
) -> None:
    import random

    text = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz", k=9000))
    odd = make_file(tmp_path / "a" / "odd.dcm", PatientID=text)
    make_series(tmp_path / "a", 2)
    report = keep(Storage.MOVE, tmp_path / "a")
    assert report.counts.processed == 3
    assert odd.exists() is ("odd.dcm" in reasons(report))


@both_ways
def test_of_two_files_of_one_uid_the_first_is_kept(
    keep: Keep, database: Database, root: Path, tmp_path: Path, storage: Storage
) -> None:
    """Also within one batch, and where their headers name other patients."""
    for number in range(20):
        for copy in "12":
            make_file(
                tmp_path / "a" / f"{number:02}-{copy}.dcm",
                SOPInstanceUID=f"1.{number}", SeriesInstanceUID=f"1.9.{number}",
                ImageComments=f"{number}-{copy}", PatientID=f"p{copy}" if number % 2 else "p",
            )  # fmt: skip
    report = keep(storage, tmp_path / "a")
    assert report.counts == JobCounts(found=40, created=20, failed=20)
    assert set(reasons(report)) == {f"{number:02}-2.dcm" for number in range(20)}
    found = {str(dcmread(root / name).ImageComments) for name in stored(root)}
    assert found == {f"{number}-1" for number in range(20)}
    assert all(image["warnings"] is None for image in contents(database)["image"].values())


@on_sqlite
def test_a_file_that_changes_meanwhile_is_not_taken(
    database: Database, root: Path, tmp_path: Path
) -> None:
    paths = make_series(tmp_path / "a", 70)
    request = JobRequest((str(tmp_path / "a"),), origin=JobOrigin.PYTHON, storage=Storage.MOVE)

    def change(_counts: JobCounts) -> None:
        # Read with the others, but stored after the first part of them.
        if paths[-1].exists():
            os.utime(paths[-1], ns=(1, 1))

    report = run_import(database, request, ImportOptions(storage_root=root), progress=change)
    assert (report.counts.created, report.counts.failed) == (69, 1)
    assert "changed" in reasons(report)[paths[-1].name]
    assert paths[-1].exists()
    assert len(stored(root)) == 69


@pytest.mark.parametrize("bring", [copy_to, link_to])
def test_a_file_that_changes_after_it_was_read_is_not_taken(
    root: Path, tmp_path: Path, bring: Callable[..., bool | None]
) -> None:
    source = make_file(tmp_path / "a" / "1.dcm")
    status = source.stat()
    record = FileRecord(str(source.parent), source.name, status.st_size, status.st_mtime_ns)
    os.utime(source, ns=(1, 1))
    with pytest.raises(StorageError, match="changed"):
        bring(record, str(root / "temporary"), str(root / "target"))
    assert os.listdir(root) == []
    assert source.exists()


def test_an_original_that_changed_or_whose_copy_did_is_not_removed(
    root: Path, tmp_path: Path
) -> None:
    source = make_file(tmp_path / "a" / "1.dcm")
    target = root / "1.dcm"
    shutil.copy2(source, target)
    was, kept = Identity.of(source.stat()), Identity.of(target.stat())
    os.utime(target, ns=(1, 1))
    with pytest.raises(StorageError, match="changed"):
        remove_original(str(source), was, str(target), kept)
    kept = Identity.of(target.stat())
    os.utime(source, ns=(1, 1))
    with pytest.raises(StorageError, match="changed"):
        remove_original(str(source), was, str(target), kept)
    with pytest.raises(StorageError, match="itself"):
        remove_original(str(target), kept, str(target), kept)
    assert source.exists()
    assert target.exists()
    remove_original(str(source), Identity.of(source.stat()), str(target), kept)
    assert not source.exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own of 1 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("this system lets us mount no file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@both_ways
@on_sqlite
def test_a_full_disk_ends_the_import_with_its_reason_and_loses_nothing(
    keep: Keep, database: Database, small_disk: Path, tmp_path: Path, storage: Storage
) -> None:
    """The root is another device, so that a move must copy."""
    sources = make_series(tmp_path / "a", 12, PixelData=b"\0" * 200_000, BitsAllocated=8)
    raws = {uid_of(path): path.read_bytes() for path in sources}
    report = keep(storage, tmp_path / "a", to=small_disk)
    assert report.status is JobStatus.FAILED
    assert "No space left" in (report.error or "")
    assert 0 < report.counts.created < 12
    kept = {Path(name).stem: raw for name, raw in stored(small_disk).items()}
    there = {uid_of(path): path.read_bytes() for path in sources if path.exists()}
    assert kept.items() <= raws.items()
    assert kept | there == raws
    assert len(there) == (12 if storage is Storage.COPY else 12 - report.counts.created)
    assert len(image_files(database)) == report.counts.created
    assert left_over(small_disk) == []
    subprocess.run(["mount", "-o", "remount,size=9m", str(small_disk)], check=True)
    again = keep(storage, tmp_path / "a", to=small_disk)
    assert again.status is JobStatus.COMPLETED
    assert again.counts.created == 12 - report.counts.created
    assert {Path(name).stem: raw for name, raw in stored(small_disk).items()} == raws


@on_sqlite
def test_a_source_that_cannot_be_removed_is_told(
    keep: Keep, small_disk: Path, root: Path, tmp_path: Path
) -> None:
    source = make_file(small_disk / "1.dcm")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    report = keep(Storage.MOVE, small_disk)
    assert report.counts == JobCounts(found=1, failed=1)
    assert "may not be written" in reasons(report)["1.dcm"]
    assert source.exists()


@on_sqlite
def test_what_a_killed_import_left_is_removed_and_what_a_living_one_writes_is_not(
    keep: Keep, root: Path, tmp_path: Path
) -> None:
    import dicom_graph.importing.work_folder as work

    keep(Storage.COPY, make_file(tmp_path / "a" / "1.dcm"))
    dead = subprocess.Popen(["true"])
    dead.wait()
    mine, host = work.unique_name(), work.unique_name().split("+")[0]
    names = {
        "dead": f"{host}+{dead.pid}+x+1", "elsewhere": "another-host+1+x+1", "mine": mine,
        "before-a-restart": f"{host}+{os.getpid()}+x+1", "foreign": "notes",
        "alive": f"{host}+{os.getppid()}+x+1",
    }  # fmt: skip
    for name in names.values():
        (copying_folder(root) / name).touch()
    keep(Storage.COPY, make_file(tmp_path / "b" / "1.dcm"))
    left = {names["elsewhere"], names["mine"], names["foreign"], names["alive"]}
    assert set(left_over(root)) == left
