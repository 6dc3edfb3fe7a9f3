"""Mosaics of UIH: against the slices that they were made of, and as dcm2niix takes them apart."""

import subprocess
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_graph.dicom.volume import read_geometries, read_volume
from dicom_graph.dicom.volume.acquisition import read_acquisition
from tests.support.slices import make_image

ACROSS, DOWN, ROWS, COLUMNS, STEP = 3, 2, 6, 8, 2.5


def mosaic(
    path: Path,
    slices: np.ndarray,
    *,
    corners: bool = True,
    times: list[float] | None = None,
    **elements: Any,
) -> Path:
    """A file of as many slices as fit into three columns and two rows of tiles."""
    whole = np.zeros((DOWN * ROWS, ACROSS * COLUMNS), np.uint16)
    items = []
    for k, pixels in enumerate(slices):
        row, column = k // ACROSS * ROWS, k % ACROSS * COLUMNS
        whole[row : row + ROWS, column : column + COLUMNS] = pixels
        item = Dataset()
        if corners:
            item.ImagePositionPatient = [-10.0, -20.0, -5.0 + STEP * k]
        if times is not None:
            item.AcquisitionDate, item.AcquisitionTime = "20200101", f"1200{times[k]:09.6f}"
        items.append(item)
    private = Dataset()
    block = private.private_block(0x0065, "Image Private Header", create=True)
    block.add_new(0x50, "DS", str(len(slices)))
    block.add_new(0x51, "SQ", items)
    made = make_image(
        path, whole, Manufacturer="UIH", ImageType=["ORIGINAL", "PRIMARY", "EPI", "VFRAME"],
        ImagePositionPatient=[-10, -20, -5], ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        PixelSpacing=[2, 2], SliceThickness=STEP, SpacingBetweenSlices=STEP, **elements,
    )  # fmt: skip
    header = dcmread(made)
    header.update(private)
    header.save_as(made)
    return made


def volume(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.integers(1, 4000, (5, ROWS, COLUMNS)).astype(np.uint16)


def test_slices_are_where_their_items_say(tmp_path: Path) -> None:
    truth = [volume(0), volume(1)]
    paths = [
        mosaic(tmp_path / f"{n}.dcm", each, SeriesInstanceUID="1.2", InstanceNumber=n + 1,
               AcquisitionNumber=n + 1)
        for n, each in enumerate(truth)
    ]  # fmt: skip
    (geometry,) = read_geometries(paths)
    assert geometry.shape == (COLUMNS, ROWS, 5, 2)
    assert geometry.spacing == pytest.approx((2, 2, STEP))
    np.testing.assert_allclose(geometry.affine @ [0, 0, 0, 1], [10, 20, -5, 1])
    np.testing.assert_allclose(geometry.affine @ [0, 0, 4, 1], [10, 20, 5, 1])
    array = read_volume(geometry).array
    for n, slices in enumerate(truth):
        np.testing.assert_array_equal(array[..., n].transpose(2, 1, 0), slices)


def test_as_dcm2niix_takes_it_apart(tmp_path: Path) -> None:
    path = mosaic(tmp_path / "in" / "1.dcm", volume(3))
    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "out", "-o", str(tmp_path)]
    done = subprocess.run([*command, str(path.parent)], check=False, capture_output=True)
    expected = nibabel.load(tmp_path / "out.nii")
    (geometry,) = read_geometries([path])
    assert geometry.shape == expected.shape, done.stdout
    # It turns the rows over.
    np.testing.assert_array_equal(
        read_volume(geometry).array, np.asarray(expected.dataobj)[:, ::-1]
    )


def test_each_slice_has_its_time(tmp_path: Path) -> None:
    clock = [0.0, 1.2, 0.4, 1.6, 0.8]
    paths = [
        mosaic(tmp_path / f"{n}.dcm", volume(n), times=[2 * n + time for time in clock],
               SeriesInstanceUID="1.2", InstanceNumber=n + 1, AcquisitionNumber=n + 1,
               RepetitionTime=2000)
        for n in range(2)
    ]  # fmt: skip
    (geometry,) = read_geometries(paths)
    found = read_acquisition(geometry)
    assert found.slice_timing == pytest.approx(clock)
    assert found.repetition_time == 2


def test_without_corners_it_is_one_image_with_a_warning(tmp_path: Path) -> None:
    (geometry,) = read_geometries([mosaic(tmp_path / "1.dcm", volume(0), corners=False)])
    assert geometry.shape[:2] == (ACROSS * COLUMNS, DOWN * ROWS)
    assert any("mosaic" in warning for warning in geometry.warnings)
