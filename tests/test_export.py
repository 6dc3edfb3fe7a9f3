"""`dicom-graph export`, as a user runs it."""

import csv
import io
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from dicom_graph.cli.app import app
from dicom_graph.dicom.volume import read_geometries, read_volume
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from dicom_graph.store.migrate import upgrade
from tests.dicom.slices import make_slices

pytestmark = pytest.mark.slow


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database that the command finds by its variable, with its tables."""
    url = f"sqlite:///{tmp_path}/database.sqlite3"
    monkeypatch.setenv("DICOM_GRAPH_DATABASE_URL", url)
    monkeypatch.chdir(tmp_path)
    upgrade(Database(url))
    return url


@pytest.fixture
def series(tmp_path: Path, url: str) -> list[Path]:
    """A series of three slices in the database; its UID is 1.2.3."""
    paths = make_slices(tmp_path / "files", [0.0, 2.0, 4.0], SeriesInstanceUID="1.2.3")
    import_folder(url, tmp_path / "files")
    return paths


def import_folder(url: str, folder: Path) -> None:
    database = Database(url)
    assert not run_import(database, JobRequest((str(folder),), Mode.FULL)).failures
    database.close_writer()


def export(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["export", *map(str, arguments)])


def test_volumes(series: list[Path], tmp_path: Path) -> None:
    (geometry,) = read_geometries(series)
    truth = read_volume(geometry).array
    for name in ("volume.nii.gz", "volume.nii", "volume.npy"):
        done = export("1.2.3", "--to", name)
        assert done.exit_code == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "volume.npy"), truth)
    for name in ("volume.nii.gz", "volume.nii"):
        nifti = nibabel.load(tmp_path / name)
        np.testing.assert_array_equal(np.asarray(nifti.dataobj), truth)
        np.testing.assert_allclose(nifti.affine, geometry.affine)
    assert not list(tmp_path.glob(".*partial"))


def test_a_file_is_not_overwritten(series: list[Path], tmp_path: Path) -> None:
    target = tmp_path / "series.zip"
    target.write_text("mine")
    refused = export("1.2.3", "--to", target)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert target.read_text() == "mine"
    assert export("1.2.3", "--to", target, "--force").exit_code == 0
    with zipfile.ZipFile(target) as zipped:
        assert sorted(map(zipped.read, zipped.namelist())) == sorted(p.read_bytes() for p in series)


def test_a_failure_leaves_nothing(series: list[Path], tmp_path: Path) -> None:
    series[1].unlink()
    before = set(tmp_path.iterdir())
    done = export("1.2.3", "--to", "volume.npy")
    assert done.exit_code == 1
    assert "1 of 3 images are gone" in done.stderr
    unknown = export("9.9", "--to", "volume.npy")
    assert (unknown.exit_code, len(unknown.stderr.splitlines())) == (1, 1)
    assert set(tmp_path.iterdir()) == before
    lacking = export("1.2.3", "--to", "series.zip")
    assert lacking.exit_code == 1
    assert "MISSING.txt" in lacking.stderr


def test_several_stacks_want_a_choice(series: list[Path], url: str, tmp_path: Path) -> None:
    make_slices(tmp_path / "more", [0.0], size=(5, 7), SeriesInstanceUID="1.2.3")
    import_folder(url, tmp_path / "more")
    done = export("1.2.3", "--to", "volume.npy")
    assert done.exit_code == 1
    assert "1: 7 × 5 × 1" in done.stderr
    assert export("1.2.3", "--to", "volume.npy", "--stack", "1").exit_code == 0
    assert np.load(tmp_path / "volume.npy").shape == (7, 5, 1)


def test_a_table(series: list[Path], tmp_path: Path) -> None:
    done = export("1.2.3", "--to", "series.csv", "--column", "ImageType")
    assert done.exit_code == 0, done.stderr
    text = (tmp_path / "series.csv").read_text()
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["SeriesInstanceUID"], row["EchoTime"]) == ("1.2.3", "2.5")
    assert row["ImageType"] == "ORIGINAL\\PRIMARY\\M"
    wrong = export("1.2.3", "--to", "other.csv", "--column", "EchoTim")
    assert (wrong.exit_code, "EchoTime" in wrong.stderr) == (2, True)
    assert export("1.2.3", "--to", "volume.xyz").exit_code == 2
