"""Trees that are odd: each oddity is a line in the report, and none a hang."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_graph.dicom.files.reading import read_instance
from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import JobCounts, JobOrigin, JobRequest
from tests.support.contents import contents
from tests.support.make import make_file, make_series

Import = Callable[..., Report]
ROOT = Path(__file__).resolve().parents[2]
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


@contextmanager
def deep_folder(folder: Path, length: int) -> Iterator[Path]:
    """A folder whose path has about so many characters; walked into, as no call takes more."""
    folder.mkdir()
    here = os.getcwd()
    os.chdir(folder)
    path = str(folder)
    try:
        while len(path) < length - 110:
            name = os.urandom(50).hex()
            os.mkdir(name)
            os.chdir(name)
            path = f"{path}/{name}"
        yield Path(path)
    finally:
        os.chdir(here)


def test_a_path_of_4000_characters_is_taken_or_reported(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    """PostgreSQL's indexes hold no path of that length that cannot be compressed."""
    make_file(tmp_path / "a.dcm")
    with deep_folder(tmp_path / "deep", 4000) as folder:
        shutil.copy(tmp_path / "a.dcm", "1.dcm")
        assert len(str(folder)) > 3800
    report = import_files(tmp_path / "deep")
    assert report.counts.found == report.counts.created + report.counts.failed == 1
    assert len(contents(database)["files"]) == report.counts.created
    again = import_files(tmp_path / "deep", sync=True)
    assert again.counts.existing == report.counts.created
    assert again.counts.missing == 0


@on_sqlite
def test_a_path_that_is_too_long_for_the_system_is_reported(
    import_files: Import, tmp_path: Path
) -> None:
    make_file(tmp_path / "deep.dcm")
    with deep_folder(tmp_path / "deep", 4600):
        shutil.copy(tmp_path / "deep.dcm", "1.dcm")
    report = import_files(tmp_path / "deep")
    assert report.counts == JobCounts(found=1, failed=1)
    assert "too long" in report.failures[0].message
    assert report.failures[0].code == "BAD_PATH"


@on_sqlite
def test_a_file_that_changes_while_it_is_read_fails_and_is_taken_the_next_time(
    import_files: Import, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = make_series(tmp_path / "a", 3)

    def read_and_change(path: str, *arguments: object) -> object:
        instance = read_instance(path, *arguments)  # type: ignore[arg-type]
        if path == str(paths[1]):
            with open(path, "ab") as file:
                file.write(b"\0")
        return instance

    with monkeypatch.context() as patch:
        patch.setattr("dicom_graph.importing.content.read_instance", read_and_change)
        report = import_files(tmp_path / "a")
    assert report.counts == JobCounts(found=3, created=2, failed=1)
    assert "changed while it was read" in report.failures[0].message
    assert report.failures[0].code == "CHANGED"
    assert report.failures[0].path == str(paths[1])


@on_sqlite
def test_a_file_that_changed_since_it_was_found_is_taken_as_it_is_now(
    import_files: Import, database: Database, tmp_path: Path
) -> None:
    paths = make_series(tmp_path / "a", 3)

    def rewrite(counts: JobCounts) -> None:
        if counts.created == 1:
            make_file(paths[2], ImageComments="longer than before")

    request = JobRequest((str(tmp_path / "a"),), origin=JobOrigin.PYTHON)
    assert (
        run_import(database, request, ImportOptions(batch_size=1), progress=rewrite).counts.created
        == 3
    )
    assert import_files(tmp_path / "a", mode=request.mode).counts == JobCounts(found=3, existing=3)


@on_sqlite
def test_a_pipe_that_is_named_itself_is_skipped(import_files: Import, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert import_files(tmp_path / "pipe").counts == JobCounts(found=1, skipped=1)
    assert import_files("/dev/zero").counts == JobCounts(found=1, skipped=1)


_AS_NOBODY = """
import os, sys
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
folder = sys.argv[1]
tree = folder + "/tree"
hidden, closed = tree + "/hidden", tree + "/closed"
def run():
    database = Database(f"sqlite:///{folder}/database.sqlite3")
    upgrade(database)
    report = run_import(database, JobRequest((tree,), origin=JobOrigin.PYTHON, sync=True))
    database.close_writer()
    print(report.counts.existing, report.counts.created, report.counts.missing)
    for failure in report.failures:
        print(os.path.relpath(failure.path, tree), failure.message)
# As root first: what Python imports on the way may be root's alone.
run()
os.chmod(hidden, 0)
os.chmod(closed, 0o400)
for name in os.listdir(folder):
    os.chown(folder + "/" + name, 65534, 65534)
os.setgid(65534); os.setuid(65534)
run()
"""


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else"
)
@pytest.mark.slow
def test_folders_without_permission_are_reported_and_nothing_in_them_is_missing() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in ("1.dcm", "hidden/2.dcm", "closed/3.dcm", "closed/sub/4.dcm"):
            make_file(folder / "tree" / path)
        for path in [folder, *folder.rglob("*")]:
            os.chown(path, 65534, 65534)
        done = subprocess.run(
            [sys.executable, "-c", _AS_NOBODY, name], cwd=ROOT, env=os.environ, text=True,
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second, *failures = done.stdout.splitlines()
    assert first == "0 4 0"
    assert second == "1 0 0"
    assert sorted(failures) == [
        "closed/3.dcm Permission denied", "closed/sub Permission denied",
        "hidden Permission denied",
    ]  # fmt: skip
