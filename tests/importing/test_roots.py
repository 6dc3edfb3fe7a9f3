"""What the API may import, and what it follows inside of that."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.options import ImportOptions
from dicom_graph.importing.roots import ForbiddenPathError, check_path, resolve_roots
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import JobRequest
from tests.support.contents import Tables, contents
from tests.support.make import make_file
from tests.support.waiting import until


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An import root with a folder in it, beside a folder that is outside."""
    (tmp_path / "root" / "inside").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    return tmp_path / "root"


def refused(path: str, *roots: Path) -> str:
    with pytest.raises(ForbiddenPathError) as caught:
        check_path(path, resolve_roots(roots))
    return str(caught.value)


def test_a_root_and_what_lies_in_it_are_allowed(root: Path) -> None:
    roots = resolve_roots([root])
    assert check_path(str(root), roots) == str(root)
    assert check_path(f"{root}/inside/", roots) == str(root / "inside")
    assert check_path(f"{root}/inside/../inside", roots) == str(root / "inside")


@pytest.mark.parametrize(
    "path", ["/", "/etc", "{root}/..", "{root}/../outside", "{root}/inside/../../outside",
             "{root}-beside", "."],
)  # fmt: skip
def test_what_lies_outside_is_refused(root: Path, path: str) -> None:
    Path(f"{root}-beside").mkdir()
    assert "outside the import roots" in refused(path.format(root=root), root)


def test_without_roots_everything_is_refused(root: Path) -> None:
    assert "outside" in refused(str(root))


def test_a_link_that_leads_outside_is_refused(root: Path) -> None:
    (root / "link").symlink_to(root.parent / "outside")
    assert "outside the import roots" in refused(f"{root}/link", root)
    assert "outside the import roots" in refused(f"{root}/link/below", root)


def test_a_root_may_be_a_link(root: Path) -> None:
    link = root.parent / "link-to-root"
    link.symlink_to(root)
    roots = resolve_roots([link])
    assert check_path(f"{link}/inside", roots) == str(root / "inside")
    assert check_path(f"{root}/inside", roots) == str(root / "inside")


def test_inside_the_message_says_what_does_not_exist(root: Path) -> None:
    assert refused(f"{root}/nothing", root) == f"{root}/nothing does not exist"
    (root / "dangling").symlink_to(root / "nothing")
    assert "does not exist" in refused(f"{root}/dangling", root)


def test_outside_the_message_does_not_tell_what_exists(root: Path) -> None:
    outside = root.parent / "outside"
    there = refused(str(outside), root)
    absent = refused(f"{outside}-not", root)
    assert there.replace(str(outside), "X") == absent.replace(f"{outside}-not", "X")


@pytest.mark.parametrize(
    "name", ["", "  ", "{root}/a\x00b", "\x00", "{root}/\ud800", "{root}/" + "x" * 5000,
             "{root}/" + "x/" * 3000],
)  # fmt: skip
def test_what_is_no_path_is_refused(root: Path, name: str) -> None:
    assert refused(name.format(root=root), root)


def test_a_home_folder_is_resolved_before_it_is_checked(root: Path) -> None:
    assert "outside the import roots" in refused("~", root)


@pytest.fixture
def run_api_import(database: Database) -> Callable[..., Tables]:
    """Import a path as the API does, within roots; returns the tables when the job has ended."""

    def run(path: Path, *roots: Path, **options: Any) -> Tables:
        runner = JobRunner(
            database, roots=resolve_roots(roots), options=ImportOptions(batch_size=500)
        )
        job_id = runner.submit(JobRequest((str(path),), **options))
        runner.start()
        try:
            until(lambda: _status(database, job_id) not in ("PENDING", "RUNNING"))
        finally:
            runner.stop()
        return Tables(database)

    return run


def _status(database: Database, job_id: int) -> str:
    return next(row["status"] for row in Tables(database)["import_job"] if row["id"] == job_id)


def test_the_api_does_not_follow_links_out_of_the_roots(
    root: Path, database: Database, run_api_import: Callable[..., Tables]
) -> None:
    secret = make_file(root.parent / "outside" / "secret.dcm", PatientID="secret")
    make_file(root / "inside" / "mine.dcm", PatientID="mine")
    make_file(root / "elsewhere" / "linked.dcm", PatientID="linked")
    for name, target in (
        ("folder", secret.parent), ("file.dcm", secret), ("up", root.parent),
        ("within", root / "elsewhere"),
    ):  # fmt: skip
        os.symlink(target, root / "inside" / name)
    tables = run_api_import(root / "inside", root)
    assert contents(database)["patient"].keys() == {"mine", "linked"}
    (job,) = tables["import_job"]
    assert (job["images_created"], job["skipped"], job["failed"]) == (2, 3, 0)


def test_a_file_that_leads_out_of_the_roots_by_now_counts_as_gone(
    root: Path, database: Database, run_api_import: Callable[..., Tables]
) -> None:
    """Itself a link, behind a folder that is one, or through two; links that stay inside do not."""
    outside = make_file(root.parent / "outside" / "1.dcm", PatientID="secret").parent
    for name in ("kept", "linked", "file", "folder", "chain", "deep/er"):
        make_file(root / name / "1.dcm", SOPInstanceUID=f"1.2.{len(name)}.{ord(name[0])}")
        os.utime(root / name / "1.dcm", ns=(1, 1))
    run_api_import(root, root, sync=True)
    kept = (root / "linked" / "1.dcm").rename(root / "real.dcm")
    (root / "linked" / "1.dcm").symlink_to(kept)
    for name in ("file", "chain"):
        (root / name / "1.dcm").unlink()
    for name in ("folder", "deep/er"):
        shutil.rmtree(root / name)
    (root / "file" / "1.dcm").symlink_to(outside / "1.dcm")
    (root / "chain" / "link").symlink_to("../../outside")
    (root / "chain" / "1.dcm").symlink_to("link/1.dcm")
    (root / "folder").symlink_to(outside)
    (root / "deep" / "er").symlink_to("../../outside")
    tables = run_api_import(root, root, sync=True)
    folders = {row["id"]: row["path"] for row in tables["directory"]}
    marked = {
        os.path.relpath(folders[row["directory_id"]], root): row["missing_since"] is not None
        for row in tables["file"]
    }
    assert marked == {
        ".": False, "kept": False, "linked": False, "file": True, "folder": True, "chain": True,
        "deep/er": True,
    }  # fmt: skip
    assert "secret" not in contents(database)["patient"]
    missing = [row for row in tables["image"] if row["missing_since"] is not None]
    assert len(missing) == 4


def test_a_waiting_import_that_is_outside_by_now_reads_nothing(
    root: Path, run_api_import: Callable[..., Tables]
) -> None:
    make_file(root / "inside" / "1.dcm")
    tables = run_api_import(root / "inside", root.parent / "outside")
    (job,) = tables["import_job"]
    assert tables["image"] == []
    assert (job["failed"], job["status"]) == (1, "COMPLETED")
    assert "outside the import roots" in tables["import_failure"][0]["message"]
