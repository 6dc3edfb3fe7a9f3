"""`dicom-graph export`, as a user runs it."""

import csv
import io
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest

from dicom_graph.dicom.volume import read_geometries, read_volume
from tests.commands import Run
from tests.dicom.slices import make_slices


@pytest.fixture
def series(tmp_path: Path, run: Run) -> list[Path]:
    """A series of three slices in the default database; its UID is 1.2.3."""
    paths = make_slices(tmp_path / "files", [0.0, 2.0, 4.0], SeriesInstanceUID="1.2.3")
    assert run("import", tmp_path / "files").returncode == 0
    return paths


def test_volumes(series: list[Path], run: Run, tmp_path: Path) -> None:
    (geometry,) = read_geometries(series)
    truth = read_volume(geometry).array
    for name in ("volume.nii.gz", "volume.nii", "volume.npy"):
        done = run("export", "1.2.3", "--to", name)
        assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "volume.npy"), truth)
    for name in ("volume.nii.gz", "volume.nii"):
        nifti = nibabel.load(tmp_path / name)
        np.testing.assert_array_equal(np.asarray(nifti.dataobj), truth)
        np.testing.assert_allclose(nifti.affine, geometry.affine)
    assert not list(tmp_path.glob(".*partial"))


def test_a_file_is_not_overwritten(series: list[Path], run: Run, tmp_path: Path) -> None:
    target = tmp_path / "series.zip"
    target.write_text("mine")
    refused = run("export", "1.2.3", "--to", target)
    assert refused.returncode == 2
    assert "--force" in refused.stderr
    assert target.read_text() == "mine"
    assert run("export", "1.2.3", "--to", target, "--force").returncode == 0
    with zipfile.ZipFile(target) as zipped:
        assert sorted(map(zipped.read, zipped.namelist())) == sorted(p.read_bytes() for p in series)


def test_a_failure_leaves_nothing(series: list[Path], run: Run, tmp_path: Path) -> None:
    series[1].unlink()
    before = set(tmp_path.iterdir())
    done = run("export", "1.2.3", "--to", "volume.npy")
    assert done.returncode == 1
    assert "1 of 3 images are gone" in done.stderr
    unknown = run("export", "9.9", "--to", "volume.npy")
    assert (unknown.returncode, len(unknown.stderr.splitlines())) == (1, 1)
    assert set(tmp_path.iterdir()) == before
    lacking = run("export", "1.2.3", "--to", "series.zip")
    assert lacking.returncode == 1
    assert "MISSING.txt" in lacking.stderr


def test_several_stacks_want_a_choice(series: list[Path], run: Run, tmp_path: Path) -> None:
    make_slices(tmp_path / "more", [0.0], size=(5, 7), SeriesInstanceUID="1.2.3")
    assert run("import", tmp_path / "more").returncode == 0
    done = run("export", "1.2.3", "--to", "volume.npy")
    assert done.returncode == 1
    assert "1: 7 × 5 × 1" in done.stderr
    assert run("export", "1.2.3", "--to", "volume.npy", "--stack", "1").returncode == 0
    assert np.load(tmp_path / "volume.npy").shape == (7, 5, 1)


def test_a_table(series: list[Path], run: Run, tmp_path: Path) -> None:
    done = run("export", "1.2.3", "--to", "series.csv", "--column", "ImageType")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "series.csv").read_text()
    (row,) = csv.DictReader(io.StringIO(text))
    assert (row["SeriesInstanceUID"], row["EchoTime"]) == ("1.2.3", "2.5")
    assert row["ImageType"] == "ORIGINAL\\PRIMARY\\M"
    wrong = run("export", "1.2.3", "--to", "other.csv", "--column", "EchoTim")
    assert (wrong.returncode, "EchoTime" in wrong.stderr) == (2, True)
    assert run("export", "1.2.3", "--to", "volume.xyz").returncode == 2
