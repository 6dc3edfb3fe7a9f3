"""NIfTI and npy files, read back by nibabel and numpy."""

import io

import nibabel
import numpy as np
import pytest

from dicom_graph.dicom.errors import FileGoneError, VolumeError
from dicom_graph.dicom.nifti import n_slices, write_nifti, write_npy
from dicom_graph.dicom.volume import read_geometries, read_volume
from tests.support.data import SHARED, needs_shared
from tests.support.slices import make_image, make_slices

FOLDERS = [
    "nih/dicom/20180918GE/mr_0004",
    "siemens/files/rsfmri",
    "enhanced/dicom/Philips",
    "varied/data/generic/compressed_jpegls/001",
    "varied/data/generic/rgb/001",
    "derived/data/segmentations/ct-3slice",
]


def geometry_of(folder):
    paths = [path for path in sorted((SHARED / folder).iterdir()) if path.suffix == ".dcm"]
    return read_geometries(paths)[0]


def written_nifti(geometry, path):
    with path.open("wb") as file:
        write_nifti(geometry, file, compress=path.suffix == ".gz")
    return nibabel.load(path)


@needs_shared
@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_nibabel_reads_the_volume_back(folder, name, tmp_path):
    geometry = geometry_of(folder)
    image = written_nifti(geometry, tmp_path / name)
    values = np.asanyarray(image.dataobj)
    if values.dtype.names:
        values = np.stack([values[colour] for colour in "RGB"], axis=-1)
    array = read_volume(geometry).array
    assert values.dtype == array.dtype
    np.testing.assert_array_equal(values, array)
    np.testing.assert_allclose(image.affine, geometry.affine, atol=1e-4)
    np.testing.assert_allclose(image.get_qform(), geometry.affine, atol=1e-3)
    assert image.get_sform(coded=True)[1] == image.get_qform(coded=True)[1] == 1
    assert image.header.get_zooms()[:3] == pytest.approx(geometry.spacing)


@needs_shared
@pytest.mark.parametrize("folder", FOLDERS)
def test_numpy_reads_the_volume_back(folder, tmp_path):
    geometry = geometry_of(folder)
    with (tmp_path / "a.npy").open("wb") as file:
        write_npy(geometry, file)
    array = np.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(array, read_volume(geometry).array)
    assert array.dtype == geometry.dtype
    assert array.shape == geometry.shape


def test_time_is_in_seconds(tmp_path):
    positions = [z for _ in range(3) for z in (0.0, 3.0)]
    paths = make_slices(
        tmp_path, positions, each=lambda i: {"AcquisitionNumber": i // 2}, RepetitionTime=2500
    )
    (geometry,) = read_geometries(paths)
    image = written_nifti(geometry, tmp_path / "a.nii")
    assert image.header.get_zooms() == pytest.approx((1.5, 2.0, 3.0, 2.5))
    assert image.header.get_xyzt_units() == ("mm", "sec")


def test_a_shear_has_no_qform(tmp_path):
    corners = [[0.0, float(k), 3.0 * k] for k in range(3)]
    (geometry,) = read_geometries(make_slices(tmp_path, corners))
    image = written_nifti(geometry, tmp_path / "a.nii")
    assert image.header["qform_code"] == 0
    assert image.header["sform_code"] == 1
    np.testing.assert_allclose(image.affine, geometry.affine, atol=1e-5)


def test_without_positions_both_codes_are_unset(tmp_path):
    path = make_image(tmp_path / "a.dcm", np.zeros((2, 3), np.uint16))
    (geometry,) = read_geometries([path])
    header = written_nifti(geometry, tmp_path / "a.nii").header
    assert (int(header["qform_code"]), int(header["sform_code"])) == (0, 0)


class OnlyWrites:
    """A stream that cannot seek, and remembers its largest piece."""

    def __init__(self):
        self.data = bytearray()
        self.largest = 0

    def write(self, data):
        self.data += data
        self.largest = max(self.largest, len(data))
        return len(data)


def test_it_streams_slice_by_slice(tmp_path):
    paths = make_slices(tmp_path, [float(z) for z in range(20)], size=(64, 64))
    (geometry,) = read_geometries(paths)
    done = []
    for write, options in ((write_nifti, {"compress": False}), (write_npy, {})):
        stream = OnlyWrites()
        write(geometry, stream, progress=done.append, **options)
        assert stream.largest <= 64 * 64 * 2
        assert len(stream.data) >= geometry.nbytes
    assert done == [*range(1, 21), *range(1, 21)]
    assert n_slices(geometry) == 20


def test_the_same_volume_gives_the_same_bytes(tmp_path):
    (geometry,) = read_geometries(make_slices(tmp_path, [0.0, 3.0]))
    first, second = io.BytesIO(), io.BytesIO()
    write_nifti(geometry, first)
    write_nifti(geometry, second)
    assert first.getvalue() == second.getvalue()


def test_a_file_that_goes_while_writing_is_an_error(tmp_path):
    paths = make_slices(tmp_path, [0.0, 3.0])
    (geometry,) = read_geometries(paths)
    paths[1].unlink()
    with pytest.raises(FileGoneError):
        write_nifti(geometry, io.BytesIO())


def test_what_nifti_cannot_hold_is_refused(tmp_path):
    path = make_image(tmp_path / "a.dcm", np.zeros((1, 40_000), np.uint8))
    with pytest.raises(VolumeError, match="32767"):
        write_nifti(read_geometries([path])[0], io.BytesIO())
