"""The import as a Python call."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import dcmread
from typer.testing import CliRunner

import dicom_graph
from dicom_graph.cli.app import app
from dicom_graph.importing.safe_files import StorageError
from dicom_graph.settings import SettingsError
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import JobCounts, JobStatus
from tests.support.contents import Tables
from tests.support.make import make_file, make_series

on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


def test_the_report_tells_counts_failures_and_created_images(
    database_url: str, tmp_path: Path
) -> None:
    first = make_file(tmp_path / "a" / "0000.dcm")
    dicom_graph.import_path(first, database=database_url)
    paths = make_series(tmp_path / "a", 4)
    (tmp_path / "a" / "bad.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 99)
    told: list[int] = []
    report = dicom_graph.import_path(
        tmp_path / "a", mode="full", database=database_url, pattern="*.dcm",
        progress=lambda counts: told.append(counts.processed),
    )  # fmt: skip
    assert report.status is JobStatus.COMPLETED
    assert report.counts == JobCounts(found=6, created=4, updated=1, failed=1)
    assert [failure.path for failure in report.failures] == [str(tmp_path / "a" / "bad.dcm")]
    uids = {str(dcmread(path).SOPInstanceUID) for path in paths}
    assert set(report.created_images()) == uids
    assert set(report.created_images()) == uids, "it can be read again"
    assert told[-1] == 6
    assert (
        list(dicom_graph.import_path(tmp_path / "a", database=database_url).created_images()) == []
    )
    database = Database(database_url)
    jobs = Tables(database)["import_job"]
    database.close_writer()
    assert [(job["origin"], job["mode"]) for job in jobs] == [
        ("PYTHON", "NORMAL"), ("PYTHON", "FULL"), ("PYTHON", "NORMAL"),
    ]  # fmt: skip


def test_created_images_come_in_pages(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dicom_graph.importing.api._PAGE", 3)
    for folder in "ab":
        make_series(tmp_path / folder / "x", 6)
    report = dicom_graph.import_path(tmp_path, database=database_url)
    found = list(report.created_images())
    assert len(found) == len(set(found)) == 12


@on_sqlite
def test_not_persistent_stops_at_the_first_failure(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "bad.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 99)
    for how in ({"persistent": False}, {"stop_on_error": True}):
        report = dicom_graph.import_path(tmp_path, database=database_url, **how)
        assert report.status is JobStatus.FAILED
        assert "bad.dcm" in (report.error or "")


@pytest.mark.parametrize("storage", ["copy", "move"])
def test_storage(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str
) -> None:
    (tmp_path / "root").mkdir()
    source = make_file(tmp_path / "a" / "1.dcm")
    with pytest.raises(StorageError, match="DICOM_GRAPH_STORAGE_ROOT"):
        dicom_graph.import_path(source, storage=storage, database=database_url)
    monkeypatch.setenv("DICOM_GRAPH_STORAGE_ROOT", str(tmp_path / "root"))
    report = dicom_graph.import_path(source, storage=storage, database=database_url)
    assert report.counts == JobCounts(found=1, created=1)
    assert source.exists() is (storage == "copy")
    assert len(list((tmp_path / "root").rglob("*.dcm"))) == 1


@on_sqlite
def test_wrong_arguments(database_url: str, tmp_path: Path) -> None:
    for options, error, reason in (
        ({"mode": "most"}, ValueError, "minimal, normal, full"),
        ({"storage": "cloud"}, ValueError, "in_place, copy, move"),
        ({"database": "mysql://x"}, SettingsError, "sqlite"),
    ):
        with pytest.raises(error, match=reason):
            dicom_graph.import_path(tmp_path, **({"database": database_url} | options))
    with pytest.raises(FileNotFoundError, match="nothing"):
        dicom_graph.import_path(tmp_path / "nothing", database=database_url)
    with pytest.raises(AttributeError):
        dicom_graph.import_nothing  # noqa: B018


def test_the_package_alone_loads_no_library() -> None:
    code = "import sys, dicom_graph; print({'sqlalchemy', 'pydicom'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "set()"


def test_the_settings_hold_for_mode_and_storage_that_are_not_given(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "root").mkdir()
    monkeypatch.setenv("DICOM_GRAPH_STORAGE_ROOT", str(tmp_path / "root"))
    monkeypatch.setenv("DICOM_GRAPH_IMPORT_MODE", "FULL")
    monkeypatch.setenv("DICOM_GRAPH_IMPORT_STORAGE", "copy")
    path = make_file(tmp_path / "a" / "1.dcm")
    dicom_graph.import_path(path, database=database_url)
    dicom_graph.import_path(path, database=database_url, mode="minimal", storage="in_place")
    monkeypatch.setenv("DICOM_GRAPH_DATABASE_URL", database_url)
    runner = CliRunner()
    for options in ([], ["--mode", "normal", "--storage", "in-place"]):
        assert runner.invoke(app, ["import", str(path), *options]).exit_code == 0
    assert runner.invoke(app, ["sync", str(path.parent)]).exit_code == 0
    database = Database(database_url)
    jobs = Tables(database)["import_job"]
    database.close_writer()
    assert [(job["mode"], job["storage"]) for job in jobs] == [
        ("FULL", "COPY"), ("MINIMAL", "IN_PLACE"), ("FULL", "COPY"), ("NORMAL", "IN_PLACE"),
        ("FULL", "IN_PLACE"),
    ]  # fmt: skip
    monkeypatch.delenv("DICOM_GRAPH_STORAGE_ROOT")
    with pytest.raises(SettingsError, match="DICOM_GRAPH_STORAGE_ROOT"):
        dicom_graph.import_path(path)
