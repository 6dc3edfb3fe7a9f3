"""`dicom-graph export`, as a user runs it."""

import csv
import io
import zipfile
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from dicom_graph.cli.app import app
from dicom_graph.dicom.volume import read_geometries, read_volume
from dicom_graph.errors import BadInput
from dicom_graph.exports.file_names import NamePattern
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from dicom_graph.store.migrate import upgrade
from tests.support.slices import make_slices

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


def files_of(folder: Path) -> set[str]:
    """Without those of the database, some of which are there only while it is open."""
    return {path.name for path in folder.iterdir() if not path.name.startswith("database.")}


def test_a_failure_leaves_nothing(series: list[Path], tmp_path: Path) -> None:
    series[1].unlink()
    before = files_of(tmp_path)
    done = export("1.2.3", "--to", "volume.npy")
    assert done.exit_code == 1
    assert "1 of 3 images are gone" in done.stderr
    unknown = export("9.9", "--to", "volume.npy")
    assert (unknown.exit_code, len(unknown.stderr.splitlines())) == (1, 1)
    assert files_of(tmp_path) == before
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
    assert export("1.2.3", "--to", "volume.csv", "--stack", "1").exit_code == 2


def test_many_series(url: str, tmp_path: Path) -> None:
    """Names, sidecars, one that fails, what is there already, and what a killed run left."""
    files = {}
    for uid, number in (("1.2.3", 1), ("1.2.4", 2), ("1.2.5", 3)):
        named = {"SeriesInstanceUID": uid, "SeriesNumber": number, "PatientID": "A/B: ../x"}
        folder = tmp_path / "files" / uid
        files[uid] = make_slices(
            folder, [0.0, 2.0], StudyDate="20200102", SeriesDescription="T1 µ/w", **named
        )
    make_slices(tmp_path / "files/1.2.5/b", [0.0], size=(5, 7), SeriesInstanceUID="1.2.5")
    import_folder(url, tmp_path / "files")
    files["1.2.4"][0].unlink()
    left = tmp_path / "out" / "A_B_.._x" / ".01_T1_µ_w_20200102.nii.gz.999999999.partial"
    left.parent.mkdir(parents=True)
    left.touch()
    name = "{patientId}/{seriesNumber:02}_{description}_{studyDate}"
    arguments = ("--to", tmp_path / "out", "--name", name, "--jobs", 2)
    chosen = '{"modality": {"eq": "MR"}}'
    done = export("--filter", chosen, *arguments)
    assert done.exit_code == 1
    assert "1.2.4 failed: " in done.stderr
    assert "2 series written, 0 were there, 1 failed" in done.stderr
    whole = {
        "01_T1_µ_w_20200102.json", "01_T1_µ_w_20200102.nii.gz", "03_T1_µ_w_20200102.json",
        "03_T1_µ_w_20200102.nii.gz", "03_T1_µ_w_20200102_stack1.json",
        "03_T1_µ_w_20200102_stack1.nii.gz",
    }  # fmt: skip
    assert {path.name for path in left.parent.iterdir()} == whole
    for uid, number in (("1.2.3", 1), ("1.2.5", 3)):
        nifti = nibabel.load(left.parent / f"0{number}_T1_µ_w_20200102.nii.gz")
        truth = read_volume(read_geometries(files[uid])[0]).array
        np.testing.assert_array_equal(np.asarray(nifti.dataobj), truth)
    before = {path: path.stat().st_mtime_ns for path in left.parent.iterdir()}
    again = export("1.2.3", "1.2.5", "1.2.5", *arguments)
    assert (again.exit_code, "2 were there" in again.stderr) == (0, True), again.stderr
    assert {path: path.stat().st_mtime_ns for path in left.parent.iterdir()} == before
    arrays = export("1.2.3", *arguments, "--form", "npy", "--no-sidecars")
    assert arrays.exit_code == 0
    assert np.load(left.parent / "01_T1_µ_w_20200102.npy").shape == (3, 2, 2)


def test_many_series_are_refused_before_anything_is_written(url: str, tmp_path: Path) -> None:
    for uid, description in (("1.2.3", "One"), ("1.2.4", "ONE"), ("1.2.5", "..")):
        make_slices(
            tmp_path / "files" / uid, [0.0], SeriesInstanceUID=uid, SeriesDescription=description
        )
    import_folder(url, tmp_path / "files")
    out = tmp_path / "out"
    for arguments, told in (
        (("--filter", "{}", "--name", "{description}"), "1.2.3"),
        (("--filter", "{}", "--name", "{description"), "pattern"),
        (("--filter", "{}", "--name", "{descriptio}"), "description"),
        (("--filter", "{}", "--name", "{description.__class__}"), "no field"),
        (("--filter", "{}", "--name", "../{seriesUid}"), "below the folder"),
        (("--filter", "{}", "--name", "/{seriesUid}"), "below the folder"),
        (("--filter", "{}", "--name", "{number:x y}"), "pattern"),
        (("--filter", '{"modalit": {"eq": "MR"}}'), "modality"),
        (("1.2.3", "9.9"), "9.9"),
        ((), "--filter"),
        (("--filter", "{}", "--stack", "1"), "--stack"),
    ):
        refused = export(*arguments, "--to", out)
        assert (refused.exit_code, told in refused.stderr) == (2, True), (arguments, refused.stderr)
        assert not out.exists()
    single = export("1.2.3", "1.2.4", "--to", tmp_path / "one.nii.gz")
    assert (single.exit_code, "--to FOLDER" in single.stderr) == (2, True)


def test_a_long_value_takes_no_other_from_a_name() -> None:
    for long in ("x" * 300, "日" * 100):
        series = SimpleNamespace(description=long, number=7)
        rows = {"series": series, "study": None, "patient": None}
        name = NamePattern("{description}_{number}").name(rows)
        assert name.endswith(f"{long[0]}_7")
        assert len(name.encode()) <= 180
    with pytest.raises(BadInput, match="no conversions"):
        NamePattern("{number!r}")
