"""Syncs: what is gone is marked or pruned, what has moved is noticed, and a mount that is not
there marks nothing.
"""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, func, select

from dicom_graph.importing.foreground import Report
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobCounts, JobStatus
from dicom_graph.store.tables.entities import Image
from tests.support.contents import Tables, assert_consistent, contents
from tests.support.make import make_file, make_series

Import = Callable[..., Report]
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.fixture
def sync(import_files: Import) -> Import:
    """Sync paths: `sync(path, …, prune=True)`."""

    def run(*paths: Path | str, **options: Any) -> Report:
        return import_files(*paths, sync=True, **options)

    return run


def missing_images(database: Database) -> set[str]:
    """The UIDs of the images that are marked as missing."""
    with database.read_sync() as connection:
        statement = select(Image.uid).where(Image.missing_since.is_not(None))
        return set(connection.execute(statement).scalars())


def files_of(database: Database) -> dict[str, bool]:
    """All files that the database knows, and whether each is marked as gone."""
    tables = Tables(database, "directory", "file")
    folders = {row["id"]: row["path"] for row in tables["directory"]}
    return {
        os.path.join(folders[row["directory_id"]], row["name"]): row["missing_since"] is not None
        for row in tables["file"]
    }


def make_tree(folder: Path) -> dict[str, Path]:
    """Images 1.1 to 1.6 in two series, by UID."""
    return {
        f"1.{number}": make_file(
            folder / f"s{number % 2}" / f"{number}.dcm",
            SOPInstanceUID=f"1.{number}",
            StudyInstanceUID="1.9",
            SeriesInstanceUID=f"1.2.{number % 2}",
            InstanceNumber=number,
        )
        for number in range(1, 7)
    }


def test_an_image_whose_file_is_gone_is_marked_until_it_is_back(
    sync: Import, database: Database, tmp_path: Path
) -> None:
    files = make_tree(tmp_path / "a")
    assert sync(tmp_path / "a").counts == JobCounts(found=6, created=6)
    before = contents(database)
    kept = shutil.copy2(files["1.3"], tmp_path / "kept")
    files["1.3"].unlink()
    assert sync(tmp_path / "a").counts == JobCounts(found=5, existing=5, missing=1)
    assert missing_images(database) == {"1.3"}
    assert files_of(database)[str(files["1.3"])]
    assert len(assert_consistent(database)["image"]) == 6
    assert sync(tmp_path / "a").counts == JobCounts(found=5, existing=5)
    shutil.copy2(kept, files["1.3"])
    assert sync(tmp_path / "a").counts == JobCounts(found=6, existing=6)
    assert missing_images(database) == set()
    assert contents(database) == before


def test_a_plain_import_marks_nothing_but_clears_a_mark(
    sync: Import, import_files: Import, database: Database, tmp_path: Path
) -> None:
    files = make_tree(tmp_path / "a")
    import_files(tmp_path / "a")
    kept = shutil.copy2(files["1.3"], tmp_path / "kept")
    files["1.3"].unlink()
    assert import_files(tmp_path / "a").counts == JobCounts(found=5, existing=5)
    assert missing_images(database) == set()
    sync(tmp_path / "a")
    assert missing_images(database) == {"1.3"}
    shutil.copy2(kept, files["1.3"])
    assert import_files(tmp_path / "a").counts == JobCounts(found=6, existing=6)
    assert missing_images(database) == set()


def test_prune_deletes_what_is_gone_and_nothing_else(
    sync: Import, database: Database, tmp_path: Path
) -> None:
    files = make_tree(tmp_path / "a")
    other = make_file(tmp_path / "b" / "1.dcm", SOPInstanceUID="2.1")
    sync(tmp_path / "a", tmp_path / "b")
    before = contents(database)
    files["1.1"].unlink()
    files["1.2"].unlink()
    sync(tmp_path / "a")
    assert sync(tmp_path / "a", prune=True).counts == JobCounts(found=4, existing=4, missing=2)
    tables = assert_consistent(database)
    assert set(tables.uids("image").values()) == {"1.3", "1.4", "1.5", "1.6", "2.1"}
    assert set(files_of(database)) == {str(f) for u, f in files.items() if u > "1.2"} | {str(other)}
    owners = {row["image_id"] for row in tables["header"] if row["image_id"] is not None}
    assert owners == set(tables.uids("image"))
    make_tree(tmp_path / "a")
    sync(tmp_path / "a")
    assert contents(database)["headers"] == before["headers"]


def test_prune_leaves_what_is_missing_elsewhere(
    sync: Import, database: Database, tmp_path: Path
) -> None:
    files = make_tree(tmp_path / "a")
    other = make_file(tmp_path / "b" / "1.dcm", SOPInstanceUID="2.1")
    make_file(tmp_path / "b" / "2.dcm", SOPInstanceUID="2.2")
    sync(tmp_path)
    other.unlink()
    sync(tmp_path / "b")
    files["1.1"].unlink()
    assert sync(tmp_path / "a", prune=True).counts.missing == 1
    assert missing_images(database) == {"2.1"}


def test_an_image_with_another_file_left_is_not_missing(
    sync: Import, database: Database, tmp_path: Path
) -> None:
    first = make_file(tmp_path / "a" / "1.dcm", SOPInstanceUID="1.2")
    second = tmp_path / "a" / "copy.dcm"
    shutil.copy2(first, second)
    assert sync(tmp_path / "a").counts == JobCounts(found=2, created=1, existing=1)
    first.unlink()
    assert sync(tmp_path / "a").counts == JobCounts(found=1, existing=1)
    assert missing_images(database) == set()
    assert files_of(database) == {str(first): True, str(second): False}
    make_file(tmp_path / "a" / "3.dcm", SOPInstanceUID="1.3")
    second.unlink()
    assert sync(tmp_path / "a").counts.missing == 1
    assert missing_images(database) == {"1.2"}


def test_a_file_that_says_otherwise_is_none_of_an_image(
    sync: Import, import_files: Import, database: Database, tmp_path: Path
) -> None:
    """Another patient's, another header's, another length's: each with the image's UID."""
    others: dict[str, dict[str, Any]] = {
        "1.1": {"PatientID": "other"}, "1.2": {"EchoTime": 77}, "1.3": {"PixelData": bytes(8)},
    }  # fmt: skip
    own = {}
    for uid, differs in others.items():
        same: dict[str, Any] = {"SeriesInstanceUID": f"9.{uid}", "StudyInstanceUID": "9.9"}
        bits = {"BitsAllocated": 8} if "PixelData" in differs else {}
        own[uid] = make_file(tmp_path / "a" / uid, SOPInstanceUID=uid, **same, **bits)
        make_file(tmp_path / "b" / uid, SOPInstanceUID=uid, **same | bits | differs)
    sync(tmp_path / "a")
    sync(tmp_path / "b")
    assert missing_images(database) == set()
    kept = {uid: Path(shutil.move(path, tmp_path / uid)) for uid, path in own.items()}
    assert sync(tmp_path).counts.moved == 3
    for path in kept.values():
        path.unlink()
    assert sync(tmp_path).counts.missing == 3
    assert missing_images(database) == set(others)
    # Neither reading the others again nor a third one of the kind makes an image whole.
    for uid in own:
        shutil.copy2(tmp_path / "b" / uid, tmp_path / "b" / f"{uid}.copy")
    assert import_files(tmp_path / "b").counts.existing == 6
    assert missing_images(database) == set(others)
    assert sync(tmp_path / "b", verify=True).counts.updated == 3
    assert missing_images(database) == set()
    assert contents(database)["patient"].keys() == {"patient-1", "other"}


def test_prune_deletes_an_image_of_which_only_a_contradicting_file_is_left(
    sync: Import, database: Database, tmp_path: Path
) -> None:
    """That file is another image then, for the next sync; a copy, or one elsewhere, keeps it."""
    tree = tmp_path / "tree"
    same = {"StudyInstanceUID": "1.9", "SeriesInstanceUID": "1.2"}
    own = [make_file(tree / "a" / uid, SOPInstanceUID=uid, **same) for uid in ("1.1", "1.2", "1.3")]
    for path in own:
        make_file(tree / "b" / path.name, SOPInstanceUID=path.name, PatientID="other", EchoTime=7)
    for folder in ("a", "c"):
        make_file(tree / folder / "kept", SOPInstanceUID=f"{folder.encode().hex()}.1", **same)
    shutil.copy2(own[1], tree / "copy")
    elsewhere = Path(shutil.copy2(own[2], tree / "c"))
    sync(tree / "a")
    sync(tree)
    kept = {"61.1", "63.1"}
    for path in (elsewhere, *own):
        path.unlink()
    sync(tree / "c")
    assert sync(tree / "a", prune=True).counts.missing == 1
    assert contents(database)["image"].keys() == {"1.2", "1.3", *kept}
    assert missing_images(database) == {"1.3"}
    assert sync(tree / "b").counts == JobCounts(found=3, existing=2, created=1)
    assert contents(database)["image"].keys() == {"1.1", "1.2", "1.3", *kept}
    assert contents(database)["patient"].keys() == {"patient-1", "other"}
    assert sync(tree, prune=True).counts.missing == 1
    assert contents(database)["image"].keys() == {"1.1", "1.2", *kept}
    assert_consistent(database)


@pytest.mark.parametrize("option", [{"verify": True}, {}, {"verify": True, "sync": True}])
def test_a_contradicting_file_that_is_read_again_does_not_become_the_image(
    import_files: Import, database: Database, tmp_path: Path, option: dict[str, bool]
) -> None:
    """Neither as it is nor after a change, also where a copy of the image's own is left alone."""
    tree = tmp_path / "tree"
    same = {"SOPInstanceUID": "1.1", "StudyInstanceUID": "1.9", "SeriesInstanceUID": "1.2"}
    own = make_file(tree / "a" / "own", **same, InstanceNumber=3)
    other = make_file(tree / "b" / "other", **same, PatientID="other", InstanceNumber=77)
    import_files(tree / "a")
    import_files(tree / "b")
    before = contents(database)
    assert import_files(tree / "b", **option).counts == JobCounts(found=1, existing=1)
    make_file(other, **same, PatientID="third", InstanceNumber=78)
    assert import_files(tree, **option).counts == JobCounts(found=2, existing=2)
    assert contents(database)["image"]["1.1"]["number"] == 3
    assert contents(database)["series"] == before["series"]
    # The own one may say otherwise, and the other still not.
    make_file(own, **same, InstanceNumber=5)
    assert import_files(tree, **option).counts == JobCounts(found=2, existing=1, updated=1)
    assert import_files(tree / "b", **option).counts.updated == 0
    assert contents(database)["image"]["1.1"]["number"] == 5
    assert_consistent(database)


def test_files_that_move_stay_those_of_their_images(
    sync: Import, database: Database, tmp_path: Path
) -> None:
    files = make_tree(tmp_path / "a")
    sync(tmp_path / "a")
    before = contents(database)
    (tmp_path / "a" / "s1").rename(tmp_path / "a" / "0moved")
    files["1.2"].rename(tmp_path / "a" / "z.dcm")
    assert sync(tmp_path / "a").counts == JobCounts(found=6, existing=6, moved=4)
    assert missing_images(database) == set()
    found = {str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.dcm")}
    assert {os.path.relpath(path, tmp_path / "a") for path in files_of(database)} == found
    after = contents(database)
    assert {k: after[k] for k in after if k != "files"} == {
        k: before[k] for k in before if k != "files"
    }


def test_a_copy_that_is_gone_is_no_move(sync: Import, tmp_path: Path) -> None:
    first = make_file(tmp_path / "a" / "1.dcm", SOPInstanceUID="1.2")
    second = Path(shutil.copy2(first, tmp_path / "a" / "2.dcm"))
    sync(tmp_path / "a")
    first.unlink()
    os.utime(second, ns=(1, 1))
    counts = sync(tmp_path / "a").counts
    assert (counts.moved, counts.missing, counts.updated) == (0, 0, 1)


def test_a_file_overwritten_by_another_image_leaves_its_image_missing(
    sync: Import, database: Database, tmp_path: Path
) -> None:
    path = make_file(tmp_path / "a" / "1.dcm", SOPInstanceUID="1.1")
    sync(tmp_path / "a")
    make_file(path, SOPInstanceUID="1.234")
    assert sync(tmp_path / "a").counts == JobCounts(found=1, created=1, missing=1)
    assert missing_images(database) == {"1.1"}
    assert sync(tmp_path / "a", prune=True).counts == JobCounts(found=1, existing=1, missing=1)
    assert set(assert_consistent(database).uids("image").values()) == {"1.234"}


def take_away(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))


def empty(folder: Path) -> None:
    take_away(folder)
    folder.mkdir()


def make_unreadable(folder: Path) -> None:
    take_away(folder)
    folder.symlink_to(folder)


@pytest.mark.parametrize(
    ("unmount", "word"),
    [(take_away, "does not exist"), (empty, "is empty"), (make_unreadable, "cannot be read")],
)
def test_a_mount_that_is_not_there_marks_nothing(
    sync: Import,
    database: Database,
    tmp_path: Path,
    unmount: Callable[[Path], None],
    word: str,
) -> None:
    make_tree(tmp_path / "a")
    sync(tmp_path / "a")
    unmount(tmp_path / "a")
    for prune in (False, True):
        report = sync(tmp_path / "a", prune=prune)
        assert report.status is JobStatus.FAILED
        assert report.error is not None
        assert word in report.error
        assert report.counts.missing == 0
    assert missing_images(database) == set()
    assert len(files_of(database)) == 6


def test_a_mount_that_goes_during_the_sync_marks_nothing(
    database: Database, sync: Import, tmp_path: Path
) -> None:
    from dicom_graph.importing.foreground import run_import
    from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest

    make_tree(tmp_path / "a")
    sync(tmp_path / "a")
    gone = []

    def unmount(counts: JobCounts) -> None:
        if not gone:
            take_away(tmp_path / "a")
            gone.append(True)

    request = JobRequest((str(tmp_path / "a"),), Mode.FULL, origin=JobOrigin.PYTHON, sync=True)
    report = run_import(database, request, progress=unmount)
    assert report.status is JobStatus.FAILED
    assert "does not exist" in str(report.error)
    assert missing_images(database) == set()


@on_sqlite
def test_an_empty_folder_that_nothing_is_known_of_is_fine(sync: Import, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert sync(tmp_path / "a").status is JobStatus.COMPLETED
    make_file(tmp_path / "ab" / "1.dcm")
    sync(tmp_path / "ab")
    assert sync(tmp_path / "a").status is JobStatus.COMPLETED


def test_a_folder_that_cannot_be_listed_stays_as_it_is(
    sync: Import, database: Database, tmp_path: Path
) -> None:
    make_tree(tmp_path / "a")
    sync(tmp_path / "a")
    (tmp_path / "a" / "s1").rename(tmp_path / "elsewhere")
    (tmp_path / "a" / "s1").symlink_to("s1")
    report = sync(tmp_path / "a", prune=True)
    assert (report.counts.missing, report.counts.existing, report.counts.failed) == (0, 3, 1)
    assert len(files_of(database)) == 6


def test_what_a_pattern_leaves_out_stays_as_it_is(
    sync: Import, database: Database, tmp_path: Path
) -> None:
    files = make_tree(tmp_path / "a")
    sync(tmp_path / "a")
    files["1.1"].unlink()
    assert sync(tmp_path / "a", pattern="s0/*").counts == JobCounts(found=3, existing=3, missing=1)
    assert missing_images(database) == {"1.1"}


def test_a_sync_of_many_folders_sends_few_statements(
    sync: Import, database: Database, tmp_path: Path
) -> None:
    for number in range(60):
        make_file(tmp_path / "a" / f"{number:02}" / "1.dcm", SeriesInstanceUID="1.2")
    sync(tmp_path / "a")
    shutil.rmtree(tmp_path / "a" / "07")
    statements: list[str] = []

    def record(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(database.writer, "before_cursor_execute", record)
    assert sync(tmp_path / "a").counts == JobCounts(found=59, existing=59, missing=1)
    assert len(statements) < 60


@pytest.mark.parametrize("mode", list(Mode))
def test_verify_reads_again_and_writes_what_differs(
    import_files: Import, database: Database, tmp_path: Path, mode: Mode
) -> None:
    files = make_tree(tmp_path / "a")
    import_files(tmp_path / "a", mode=mode)
    before = Tables(database, "image")["image"]
    assert import_files(tmp_path / "a", mode=mode, verify=True).counts == JobCounts(
        found=6, existing=6
    )
    assert Tables(database, "image")["image"] == before
    path = files["1.3"]
    status = path.stat()
    content = path.read_bytes()
    old = b"IS\x02\x003 "
    assert content.count(old) == 1
    path.write_bytes(content.replace(old, b"IS\x02\x0077"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert import_files(tmp_path / "a", mode=mode).counts == JobCounts(found=6, existing=6)
    assert contents(database)["image"]["1.3"]["number"] == 3
    counts = import_files(tmp_path / "a", mode=mode, verify=True).counts
    assert counts == JobCounts(found=6, existing=5, updated=1)
    assert contents(database)["image"]["1.3"]["number"] == 77
    assert_consistent(database)


def test_nothing_is_lost_from_a_large_folder(
    sync: Import, database: Database, tmp_path: Path
) -> None:
    paths = make_series(tmp_path / "a", 30)
    for path in paths:
        for copy in range(20):
            os.link(path, path.with_name(f"{path.stem}-{copy}.dcm"))
    sync(tmp_path / "a")
    for path in paths[:25]:
        for copy in path.parent.glob(f"{path.stem}*"):
            copy.unlink()
    assert sync(tmp_path / "a").counts.missing == 25
    with database.read_sync() as connection:
        statement = select(func.count()).select_from(Image).where(Image.missing_since.is_(None))
        assert connection.execute(statement).scalar_one() == 5
