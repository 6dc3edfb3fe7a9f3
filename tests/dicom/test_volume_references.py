"""Volumes against dcm2niix, and against the NIfTI files beside the shared data.

Both sides are brought to canonical (RAS+) orientation by nibabel, as dcm2niix turns rows over.
"""

import subprocess
from pathlib import Path

import dcm2niix
import nibabel
import numpy as np
import pytest

from dicom_graph.dicom.volume import AxisName, read_geometries, read_volume
from tests.support.data import NIBABEL_DATA, SHARED, file_bytes, needs_shared

pytestmark = [needs_shared, pytest.mark.slow]

SERIES = [
    "derived/data/segmentations/23x38x3/image",
    "derived/data/segmentations/23x38x3/multiframe",
    "derived/data/segmentations/ct-3slice",
    "enhanced/dicom/Philips",
    "enhanced/dicom/Siemens/XA10",
    "nih/dicom/20180918GE/mr_0004",
    "nih/dicom/20180918GE/mr_0007",
    "nih/dicom/20180918Si/mr_0003",
    "nih/dicom/20180918Si/mr_0005",
    "siemens/files/rsfmri",
    "varied/data/failing/slicecount/001",
    "varied/data/failing/sliceorientation/001",
    "varied/data/generic/anatomical/001_implicit",
    "varied/data/generic/anatomical/002_non_isotropic",
    "varied/data/generic/compressed/001",
    "varied/data/generic/compressed_jpeg/001",
    "varied/data/generic/compressed_jpegls/001",
    "varied/data/generic/compressed_rle/001",
    "varied/data/generic/rgb/001",
    "varied/data/hitachi/anatomical/001",
    "varied/data/hyperfine/anatomical/001",
    "varied/data/philips_enhanced/fmri/001",
]


def files(folder):
    not_dicom = {".npy", ".gz", ".nii", ".json"}
    return [path for path in sorted((SHARED / folder).iterdir()) if path.suffix not in not_dicom]


def by_dcm2niix(folder, out, *options):
    # Philips' RescaleSlope as the standard has it (-p n), not the private one.
    command = [dcm2niix.bin, "-z", "n", "-f", "%s_%p_%e", *options, "-o", str(out), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return [nibabel.load(path) for path in sorted(Path(out).glob("*.nii"))]


def canonical(array, affine):
    """The array with its first three axes along RAS+, and the affine for it."""
    orientation = nibabel.io_orientation(affine)
    turned = nibabel.apply_orientation(array, orientation)
    change = nibabel.orientations.inv_ornt_aff(orientation, array.shape[:3])
    return turned, affine @ change


def canonical_image(image):
    data = np.asanyarray(image.dataobj)
    if data.dtype.names:
        data = np.stack([data[name] for name in data.dtype.names], axis=-1)
    return canonical(np.squeeze(data), image.affine)


def canonical_volume(volume):
    return canonical(np.asarray(volume.array), volume.geometry.affine)


def assert_same(volume, image):
    values, affine = canonical_volume(volume)
    expected, expected_affine = canonical_image(image)
    assert values.shape == expected.shape
    np.testing.assert_allclose(affine, expected_affine, atol=1e-3)
    # dcm2niix has float32 slopes, on whole numbers both are exact.
    tolerance = 1e-6 * float(np.abs(expected).max()) if values.dtype.kind == "f" else 0
    np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("folder", SERIES)
def test_volumes_are_those_of_dcm2niix(folder, tmp_path):
    # Slices of different slopes: with -p n it would apply the first slope to all.
    options = () if "non_isotropic" in folder else ("-p", "n")
    references = by_dcm2niix(SHARED / folder, tmp_path, *options)
    geometries = read_geometries(files(folder))
    volumes = [read_volume(geometry) for geometry in geometries]
    assert len(volumes) == len(references)
    for reference in references:
        _, affine = canonical_image(reference)
        distances = []
        for volume in volumes:
            _, own = canonical_volume(volume)
            values = float(np.asarray(reference.dataobj).astype(np.float64, copy=False).mean()
                           ) if reference.get_data_dtype().names is None else 0.0  # fmt: skip
            distances.append(np.abs(own - affine).max() + abs(volume.array.mean() - values) / 1e4)
        assert_same(volumes[int(np.argmin(distances))], reference)


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("nih/dicom/20180918GE/mr_0004", "nih/reference/DCM2NIIX_regression_test_4.nii"),
        ("nih/dicom/20180918GE/mr_0005", "nih/reference/DCM2NIIX_regression_test_5.nii"),
        ("nih/dicom/20180918GE/mr_0006", "nih/reference/DCM2NIIX_regression_test_6.nii"),
        ("nih/dicom/20180918GE/mr_0007", "nih/reference/DCM2NIIX_regression_test_7.nii"),
        ("nih/dicom/20180918Si/mr_0003", "nih/reference/EPI_PE=AP_3.nii"),
        ("nih/dicom/20180918Si/mr_0004", "nih/reference/EPI_PE=PA_4.nii"),
        ("nih/dicom/20180918Si/mr_0005", "nih/reference/EPI_PE=RL_5.nii"),
        ("nih/dicom/20180918Si/mr_0006", "nih/reference/EPI_PE=LR_6.nii"),
        ("enhanced/dicom/Siemens/XA10", "enhanced/reference/Siemens_REST1_w_SMS_PF7-8_6.nii"),
    ],
)
def test_volumes_are_the_references_beside_the_data(folder, name):
    (geometry,) = read_geometries(files(folder))
    assert_same(read_volume(geometry), nibabel.load(SHARED / name))


@pytest.mark.parametrize(
    "name",
    [
        "generic/anatomical/001", "generic/anatomical/001_implicit",
        "generic/compressed_j2k/001", "generic/compressed_jpeg/001", "generic/compressed_rle/001",
        "hitachi/anatomical/001", "hyperfine/anatomical/001", "philips_enhanced/fmri/001",
        "philips_enhanced/fmri/001_implicit",
    ],
)  # fmt: skip
def test_volumes_are_the_ground_truth_of_another_program(name):
    (geometry,) = read_geometries(files(f"varied/data/{name}"))
    volume = read_volume(geometry)
    truth = nibabel.load(SHARED / "varied" / "data" / f"{name}_ground_truth.nii.gz")
    values, affine = canonical_volume(volume)
    expected, expected_affine = canonical_image(truth)
    assert values.shape == expected.shape
    np.testing.assert_allclose(affine, expected_affine, atol=1e-3)
    if "philips" not in name:
        np.testing.assert_allclose(values, expected, rtol=1e-5, atol=1e-3)


def test_a_tilted_gantry_is_a_shear():
    """dcm2niix writes its file of the voxels as acquired without the shear; its own affine then
    puts the last slice 3 × 1.2 mm beside where the header has it. Here the affine is the header's:
    each slice's first voxel lies at its ImagePositionPatient.
    """
    import pydicom

    paths = files("varied/data/failing/gantrytilting/001")
    (geometry,) = read_geometries(paths)
    assert any("14.0°" in warning and "tilt" in warning for warning in geometry.warnings)
    for k, path in enumerate(paths):
        position = geometry.affine @ [0, 0, k, 1]
        corner = [float(each) for each in pydicom.dcmread(path).ImagePositionPatient]
        np.testing.assert_allclose(position[:3] * [-1, -1, 1], corner, atol=1e-6)


def test_voxels_of_a_tilted_gantry_are_as_acquired(tmp_path):
    folder = "varied/data/failing/gantrytilting/001"
    references = by_dcm2niix(SHARED / folder, tmp_path, "-p", "n")
    (geometry,) = read_geometries(files(folder))
    values, _ = canonical_volume(read_volume(geometry))
    expected = [canonical_image(image)[0] for image in references]
    assert any(each.shape == values.shape and np.array_equal(each, values) for each in expected)


def test_two_orientations_are_two_volumes_that_say_so():
    geometries = read_geometries(files("varied/data/failing/sliceorientation/001"))
    assert [geometry.shape for geometry in geometries] == [(288, 288, 2)] * 2
    assert {geometry.orientation for geometry in geometries} == {"PIR", "LPS"}
    for geometry in geometries:
        assert any("2 orientations" in warning for warning in geometry.warnings)


def test_a_series_of_other_series_among_it_keeps_apart():
    paths = [*files("nih/dicom/20180918Si/mr_0003"), *files("nih/dicom/20180918Si/mr_0004")]
    assert [geometry.shape for geometry in read_geometries(paths)] == [(72, 72, 5, 2)] * 2


@pytest.mark.parametrize(
    ("folder", "step"),
    [
        ("nih/dicom/20180918GE/mr_0004", 5.0),
        ("siemens/files/rsfmri", 2.0),
        ("enhanced/dicom/Siemens/XA10", 0.5),
        ("varied/data/philips_enhanced/fmri/001", 3.0),
    ],
)
def test_the_step_of_time_is_that_of_dcm2niix(folder, step, tmp_path):
    (reference,) = by_dcm2niix(SHARED / folder, tmp_path, "-p", "n")
    (geometry,) = read_geometries(files(folder))
    assert geometry.fourth_axis.name is AxisName.TIME
    assert geometry.fourth_axis.unit == "s"
    assert geometry.fourth_axis.step == pytest.approx(float(reference.header.get_zooms()[3]))
    assert geometry.fourth_axis.step == pytest.approx(step, rel=1e-4)


def test_diffusion_has_b_values(tmp_path):
    paths = []
    for b in (1000, 0):
        path = tmp_path / f"{b}.dcm"
        path.write_bytes(file_bytes(NIBABEL_DATA / f"siemens_dwi_{b}.dcm.gz"))
        paths.append(path)
    (tmp_path / "out").mkdir()
    by_dcm2niix(tmp_path, tmp_path / "out", "-p", "n")
    geometries = read_geometries(paths)
    written = sorted((tmp_path / "out").glob("*.nii"))
    assert len(geometries) == len(written)
    for path, geometry in zip(written, geometries, strict=True):
        assert_same(read_volume(geometry), nibabel.load(path))
