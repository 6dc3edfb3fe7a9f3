"""What dicom-graph keeps only its owner may read, whatever the umask; what was not so is mended."""

import logging
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dicom_graph.access.audit import AuditLog, AuditMode
from dicom_graph.importing.foreground import run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.importing.private_storage import StoragePermissionsRepair
from dicom_graph.importing.uploads import Upload
from dicom_graph.importing.work_folder import WORK_FOLDER
from dicom_graph.settings import default_folder
from dicom_graph.store.backup import back_up
from dicom_graph.store.engine import Database
from dicom_graph.store.former_users import mark
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest, Storage
from dicom_graph.store.migrate import prepare
from dicom_graph.store.private_files import make_folder, open_new, open_or_make, restrict_to_owner
from tests.support.commands import Run
from tests.support.make import make_file, make_series

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])
each_umask = pytest.mark.parametrize("umask", [0o000, 0o022, 0o077, 0o277], ids=oct)


@contextmanager
def masked(umask: int) -> Iterator[None]:
    before = os.umask(umask)
    try:
        yield
    finally:
        os.umask(before)


def mode(path: Path | str) -> int:
    return stat.S_IMODE(os.stat(path).st_mode)


def modes_below(root: Path) -> set[int]:
    """Of all files and folders below a root, without itself."""
    return {mode(path) for path in root.rglob("*")}


@each_umask
def test_the_files_of_a_new_database(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "a" / "b" / "index.sqlite3"
    database = Database(f"sqlite:///{path}")
    with masked(umask):
        prepare(database)
        mark(database)
        found = {file.name: mode(file) for file in path.parent.iterdir()}
    database.close_writer()
    assert found.keys() == {f"index.sqlite3{end}" for end in ("", "-wal", "-shm", ".had-users")}
    assert set(found.values()) == {0o600}
    assert (mode(path.parent), mode(path.parent.parent)) == (0o700, 0o700)


@on_sqlite
def test_a_database_that_others_could_read_is_mended_and_its_folder_is_left(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    path = database.path
    assert path is not None
    prepare(database)
    for end in ("", "-wal", "-shm"):
        os.chmod(f"{path}{end}", 0o664)
    path.parent.chmod(0o755)
    caplog.set_level(logging.INFO)
    prepare(database)
    assert {mode(f"{path}{end}") for end in ("", "-wal", "-shm")} == {0o600}
    assert mode(path.parent) == 0o755
    (line,) = [r.getMessage() for r in caplog.records if "only the owner" in r.getMessage()]
    assert str(path) in line
    caplog.clear()
    prepare(database)
    assert "only the owner" not in caplog.text


def test_the_default_folder_is_ours_and_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    tmp_path.chmod(0o755)
    folder = default_folder()
    folder.mkdir(mode=0o755)
    folder.chmod(0o755)
    database = Database(f"sqlite:///{folder}/database.sqlite3")
    prepare(database)
    database.close_writer()
    assert mode(folder) == 0o700
    assert mode(tmp_path) == 0o755


@on_sqlite
@each_umask
def test_a_backup(database: Database, tmp_path: Path, umask: int) -> None:
    with masked(umask):
        back_up(database, tmp_path / "copy")
        assert mode(tmp_path / "copy") == 0o600
        (tmp_path / "copy").chmod(0o644)
        back_up(database, tmp_path / "copy", force=True)
    assert mode(tmp_path / "copy") == 0o600


def store(database: Database, storage: Storage, tree: Path, root: Path) -> None:
    request = JobRequest((str(tree),), Mode.MINIMAL, origin=JobOrigin.PYTHON, storage=storage)
    report = run_import(database, request, ImportOptions(storage_root=root, processes=1))
    assert not report.failures
    assert report.counts.created


@on_sqlite
@each_umask
@pytest.mark.parametrize("storage", [Storage.COPY, Storage.MOVE])
def test_stored_files_and_their_folders(
    database: Database, tmp_path: Path, umask: int, storage: Storage
) -> None:
    make_series(tmp_path / "tree", 3)
    for path in (tmp_path / "tree").iterdir():
        path.chmod(0o644)
    root = tmp_path / "root"
    root.mkdir(mode=0o755)
    with masked(umask):
        store(database, storage, tmp_path / "tree", root)
    assert modes_below(root) == {0o600, 0o700}
    assert mode(root) == 0o755
    # A copy leaves its original as it was.
    assert {mode(path) for path in (tmp_path / "tree").iterdir()} <= {0o644}


@each_umask
def test_uploads(tmp_path: Path, umask: int) -> None:
    with masked(umask):
        upload = Upload(tmp_path, 1 << 20)
        with upload.file("a.dcm") as file:
            file.write(make_file(tmp_path / "o.dcm").read_bytes())
        upload.finish()
        found = modes_below(tmp_path / WORK_FOLDER)
        upload.discard()
    assert found == {0o600, 0o700}
    assert mode(tmp_path / WORK_FOLDER) == 0o700


def test_what_was_stored_when_others_could_read_it_is_mended(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """But nothing that lies there otherwise, and not the root."""
    root = tmp_path / "root"
    root.mkdir()
    make_series(tmp_path / "tree", 3, PatientID="DOE^JANE")
    store(database, Storage.COPY, tmp_path / "tree", root)
    mine = make_file(root / "my" / "own" / "folder" / "scan.dcm")
    flat = make_file(root / "flat.dcm")
    request = JobRequest((str(mine), str(flat)), Mode.MINIMAL, origin=JobOrigin.PYTHON)
    assert run_import(database, request, ImportOptions(processes=1)).counts.created == 2
    for path in [root, *root.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    caplog.set_level(logging.INFO)
    StoragePermissionsRepair(database, root).run()
    stored = [path for path in root.rglob("*.dcm") if path not in (mine, flat)]
    assert len(stored) == 3
    assert {mode(path) for path in stored} == {0o600}
    assert {mode(parent) for path in stored for parent in list(path.parents)[:3]} == {0o700}
    assert mode(root / WORK_FOLDER) == 0o700
    assert {mode(path) for path in (mine, flat)} == {0o644}
    assert {mode(path) for path in (root, root / "my", mine.parent)} == {0o755}
    assert "3 stored files" in caplog.text
    assert "DOE" not in caplog.text
    caplog.clear()
    StoragePermissionsRepair(database, root).run()
    assert caplog.text == ""


def test_the_file_of_the_audit_log_keeps_its_group(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be let in on purpose, to ship the log elsewhere; everybody is not."""
    file = tmp_path / "audit.jsonl"
    file.touch()
    file.chmod(0o646)
    log = AuditLog(database, AuditMode.ON, file)
    log.start()
    log.stop()
    assert mode(file) == 0o640
    assert "everybody could read" in caplog.text


@each_umask
def test_the_means(tmp_path: Path, umask: int) -> None:
    with masked(umask):
        make_folder(tmp_path / "a" / "b")
        make_folder(tmp_path / "a" / "b")
        os.close(open_new(str(tmp_path / "new")))
        for _ in range(2):
            with open(tmp_path / "kept", "a", opener=open_or_make) as file:
                file.write("x")
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b")) == (0o700, 0o700)
    assert (mode(tmp_path / "new"), mode(tmp_path / "kept")) == (0o600, 0o600)
    assert (tmp_path / "kept").read_text() == "xx"
    with pytest.raises(FileExistsError):
        open_new(str(tmp_path / "new"))
    with pytest.raises(FileExistsError):
        make_folder(tmp_path / "new")


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    other.chmod(0o644)
    (tmp_path / "link").symlink_to(other)
    assert not restrict_to_owner(tmp_path / "link")
    assert not restrict_to_owner(tmp_path / "nothing")
    assert mode(other) == 0o644
    assert restrict_to_owner(other)
    assert mode(other) == 0o600


_LOCKS = """
import sqlite3, sys
from dicom_graph.store.private_files import restrict_to_owner
path = sys.argv[1]
connection = sqlite3.connect(path, isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
restrict_to_owner(path)
print("locked", flush=True)
sys.stdin.read()
"""


def test_sqlite_keeps_its_locks(tmp_path: Path) -> None:
    """They go with the first descriptor of the file that the process closes."""
    path = tmp_path / "plain.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a)")
    path.chmod(0o644)
    process = subprocess.Popen(
        [sys.executable, "-c", _LOCKS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"locked\n"
    try:
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            sqlite3.connect(path, timeout=0.2).execute("INSERT INTO t VALUES (1)")
    finally:
        process.communicate()
    assert mode(path) == 0o600


@on_sqlite
def test_an_import_does_not_touch_the_database_itself(
    database: Database, import_files: Callable[..., object], tmp_path: Path
) -> None:
    """Its folder is imported, and a link to it: SQLite's locks would go."""
    make_series(tmp_path / "tree", 2)
    path = database.path
    assert path is not None
    (tmp_path / "tree" / "link.dcm").symlink_to(path)
    report = import_files(path.parent)
    assert report.counts.created == 2  # type: ignore[attr-defined]
    assert not report.failures  # type: ignore[attr-defined]


@pytest.mark.slow
def test_an_export_follows_the_umask(run: Run, tmp_path: Path) -> None:
    """Its name and place are the user's choice, and so is who may read it."""
    make_series(tmp_path / "tree", 2, SeriesInstanceUID="1.2.3")
    assert run("import", tmp_path / "tree").returncode == 0
    with masked(0o022):
        assert run("export", "1.2.3", "--to", tmp_path / "a.csv").returncode == 0
    with masked(0o077):
        assert run("export", "1.2.3", "--to", tmp_path / "b.csv").returncode == 0
    assert (mode(tmp_path / "a.csv"), mode(tmp_path / "b.csv")) == (0o644, 0o600)


def test_what_is_not_ours_keeps_its_rights(tmp_path: Path, run: Run) -> None:
    """A file that was named by mistake is no database, and a device is everybody's."""
    path = tmp_path / "other"
    path.write_text("root:x:0:0\n" * 100)
    path.chmod(0o644)
    done = run("jobs", "list", "--database", f"sqlite:///{path}")
    assert done.returncode == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    before = os.stat("/dev/null").st_mode
    assert not restrict_to_owner("/dev/null")
    assert os.stat("/dev/null").st_mode == before
