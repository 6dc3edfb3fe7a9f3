"""How slices become volumes: order, the fourth axis, and what is warned of."""

import os
import pickle

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import EnhancedMRImageStorage

from dicom_graph.dicom.errors import (
    CorruptPixelsError,
    FileGoneError,
    FrameRangeError,
    PixelError,
    VolumeError,
)
from dicom_graph.dicom.pixels.rendering import render_image
from dicom_graph.dicom.volume import (
    AxisName,
    iter_slices,
    read_geometries,
    read_slice,
    read_volume,
)
from tests.support.data import SHARED, needs_shared
from tests.support.make import make_file, put_raw
from tests.support.slices import AXIAL, make_image, make_slices


def first_column(volume):
    """The first voxel of every slice: with `make_slices`, the index of the file it came from."""
    return volume.array[0, 0].T.tolist()


def warned(geometry, *words):
    return any(all(word in warning for word in words) for warning in geometry.warnings)


def test_slices_are_in_the_order_of_position_not_of_number(tmp_path):
    paths = make_slices(tmp_path, [6.0, 0.0, 9.0, 3.0])
    (geometry,) = read_geometries(paths)
    assert first_column(read_volume(geometry)) == [1, 3, 0, 2]
    assert geometry.warnings == ()
    assert geometry.slice_offsets == (0, 3, 6, 9)


def test_the_affine_is_that_of_the_standard(tmp_path):
    """PS3.3 C.7.6.2.1.1, then from LPS+ to RAS+."""
    row, column = np.array([0.6, 0.8, 0.0]), np.array([0.0, 0.0, -1.0])
    normal = np.cross(row, column)
    corners = [np.array([5.0, -7.0, 11.0]) + 2.5 * k * normal for k in range(3)]
    paths = make_slices(
        tmp_path, corners, ImageOrientationPatient=[*row, *column], PixelSpacing=[0.5, 0.25]
    )
    (geometry,) = read_geometries(paths)
    for i, j, k in [(0, 0, 0), (2, 0, 0), (0, 1, 0), (1, 1, 2)]:
        lps = corners[k] + i * 0.25 * row + j * 0.5 * column
        found = geometry.affine @ [i, j, k, 1]
        np.testing.assert_allclose(found, [-lps[0], -lps[1], lps[2], 1], atol=1e-9)
    assert geometry.spacing == pytest.approx((0.25, 0.5, 2.5))
    assert np.linalg.det(geometry.affine) > 0
    assert geometry.shape == (3, 2, 3)
    assert geometry.axes == ("column", "row", "slice")


@pytest.mark.parametrize(
    ("each", "name", "values"),
    [
        (lambda t: {"TemporalPositionIdentifier": 3 - t}, AxisName.TIME, None),
        (lambda t: {"AcquisitionNumber": 3 - t}, AxisName.TIME, None),
        (lambda t: {"AcquisitionTime": f"1200{(2 - t) * 7:02}.5"}, AxisName.TIME, (0, 7, 14)),
        (lambda t: {"EchoTime": 30.0 - 10 * t}, AxisName.ECHO, (10, 20, 30)),
        (lambda t: {"InversionTime": 300 - 100 * t}, AxisName.INVERSION_TIME, (100, 200, 300)),
        (lambda t: {"FlipAngle": 30 - 10 * t}, AxisName.FLIP_ANGLE, (10, 20, 30)),
        (
            lambda t: {"TriggerTime": 30 - 10 * t, "CardiacNumberOfImages": 3},
            AxisName.PHASE,
            (10, 20, 30),
        ),
        (
            lambda t: {"DiffusionBValue": [0.0, 500.0, 1000.0][t], "AcquisitionNumber": 3 - t},
            AxisName.B_VALUE,
            (1000, 500, 0),
        ),
    ],
)
def test_what_repeats_is_told_apart(tmp_path, each, name, values):
    positions = [z for _ in range(3) for z in (0.0, 3.0)]
    paths = make_slices(
        tmp_path, positions, each=lambda index: each(index // 2), RepetitionTime=2000
    )
    (geometry,) = read_geometries(paths)
    assert geometry.shape == (3, 2, 2, 3)
    assert geometry.fourth_axis.name is name
    assert geometry.fourth_axis.values == pytest.approx(values or (0, 2, 4))
    assert first_column(read_volume(geometry)) == [[4, 5], [2, 3], [0, 1]]
    assert geometry.axes[3] == name


def test_repeats_in_time_of_several_echoes_are_a_volume_for_each_echo(tmp_path):
    positions = [z for _ in range(4) for z in (0.0, 3.0)]
    paths = make_slices(
        tmp_path,
        positions,
        each=lambda i: {"EchoTime": (10.0, 20.0)[i // 2 % 2], "AcquisitionNumber": i // 4 + 1},
    )
    geometries = read_geometries(paths)
    assert [geometry.shape for geometry in geometries] == [(3, 2, 2, 2)] * 2
    assert sorted(geometry.label.split(", ")[1] for geometry in geometries) == [
        "TE 10 ms", "TE 20 ms",
    ]  # fmt: skip
    assert all(geometry.fourth_axis.name is AxisName.TIME for geometry in geometries)


def test_magnitude_and_phase_are_volumes_apart(tmp_path):
    kinds = (["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"])
    paths = make_slices(
        tmp_path, [0.0, 3.0, 0.0, 3.0], each=lambda index: {"ImageType": kinds[index // 2]}
    )
    geometries = read_geometries(paths)
    assert {geometry.label for geometry in geometries} == {
        "ORIGINAL\\PRIMARY\\M, TE 2.5 ms",
        "ORIGINAL\\PRIMARY\\P, TE 2.5 ms",
    }
    assert [geometry.shape for geometry in geometries] == [(3, 2, 2)] * 2


def test_an_unfinished_time_point_is_a_volume_of_its_own(tmp_path):
    positions = [0.0, 3.0, 6.0, 0.0, 3.0, 6.0, 0.0, 3.0]
    paths = make_slices(
        tmp_path, positions, each=lambda index: {"TemporalPositionIdentifier": index // 3 + 1}
    )
    main, rest = read_geometries(paths)
    assert (main.shape, rest.shape) == ((3, 2, 3, 2), (3, 2, 2))
    assert warned(main, "2 slices belong to no complete volume")
    assert first_column(read_volume(rest)) == [6, 7]


def test_a_copy_of_an_image_is_taken_once(tmp_path):
    paths = make_slices(tmp_path, [0.0, 3.0])
    copy = tmp_path / "copy.dcm"
    copy.write_bytes(paths[0].read_bytes())
    (geometry,) = read_geometries([*paths, copy])
    assert geometry.shape == (3, 2, 2)
    assert warned(geometry, "more than once")


def test_missing_slices_are_said_and_none_is_invented(tmp_path):
    (geometry,) = read_geometries(make_slices(tmp_path, [0.0, 2.0, 4.0, 10.0, 12.0]))
    assert geometry.shape[2] == 5
    assert geometry.spacing[2] == pytest.approx(2.0)
    assert warned(geometry, "2 slices are missing", "after slice 2")
    assert geometry.slice_offsets == (0, 2, 4, 10, 12)


def test_uneven_slices_are_said(tmp_path):
    (geometry,) = read_geometries(make_slices(tmp_path, [0.0, 2.0, 4.7, 6.0]))
    assert geometry.spacing[2] == pytest.approx(2.0)
    assert warned(geometry, "unevenly", "1.3 to 2.7 mm")


def test_slices_off_their_line_are_said(tmp_path):
    corners = [[0.0, 0.0, 0.0], [2.0, 0.0, 3.0], [0.0, 0.0, 6.0]]
    (geometry,) = read_geometries(make_slices(tmp_path, corners))
    assert warned(geometry, "do not lie on a line", "2.00 mm")


def test_a_header_that_states_another_spacing_is_said(tmp_path):
    (geometry,) = read_geometries(make_slices(tmp_path, [0.0, 5.0], SpacingBetweenSlices=2.5))
    assert geometry.spacing[2] == pytest.approx(5.0)
    assert warned(geometry, "2.5 mm", "5 mm apart")


def test_rounded_positions_are_even(tmp_path):
    positions = [round(index * 10 / 3, 2) for index in range(7)]
    (geometry,) = read_geometries(make_slices(tmp_path, positions))
    assert geometry.warnings == ()
    assert geometry.spacing[2] == pytest.approx(10 / 3, abs=1e-3)


def test_sizes_are_kept_apart_and_said(tmp_path):
    paths = make_slices(tmp_path / "a", [0.0, 3.0, 6.0], SeriesInstanceUID="1.2.3")
    paths += make_slices(tmp_path / "b", [9.0], size=(4, 4), SeriesInstanceUID="1.2.3")
    main, other = read_geometries(paths)
    assert (main.shape, other.shape) == ((3, 2, 3), (4, 4, 1))
    assert warned(main, "2 sizes", "3 × 2")
    assert warned(other, "2 sizes")


def test_a_localizer_gives_a_volume_for_each_direction(tmp_path):
    directions = (AXIAL, [0.0, 1.0, 0.0, 0.0, 0.0, -1.0], [1.0, 0.0, 0.0, 0.0, 0.0, -1.0])
    paths = make_slices(
        tmp_path, [0.0] * 3, each=lambda index: {"ImageOrientationPatient": directions[index]}
    )
    geometries = read_geometries(paths)
    assert [geometry.shape for geometry in geometries] == [(3, 2, 1)] * 3
    assert {geometry.orientation for geometry in geometries} == {"LPS", "PIR", "LIP"}
    assert all(warned(geometry, "3 orientations") for geometry in geometries)


def test_images_without_position_are_as_numbered_and_say_so(tmp_path):
    paths = make_slices(
        tmp_path, [0.0, 0.0, 0.0], each=lambda index: {"InstanceNumber": 3 - index,
        "ImagePositionPatient": None, "ImageOrientationPatient": None},
    )  # fmt: skip
    (geometry,) = read_geometries(paths)
    assert not geometry.has_positions
    assert warned(geometry, "no position")
    assert warned(geometry, "InstanceNumber")
    assert first_column(read_volume(geometry)) == [2, 1, 0]


def test_a_cine_is_a_series_in_time(tmp_path):
    frames = np.arange(4 * 6, dtype=np.uint16).reshape(4, 2, 3)
    path = make_image(tmp_path / "a.dcm", frames, FrameTime=40)
    (geometry,) = read_geometries([path])
    assert geometry.shape == (3, 2, 1, 4)
    assert geometry.fourth_axis.values == pytest.approx((0, 0.04, 0.08, 0.12))
    np.testing.assert_array_equal(read_volume(geometry).array[:, :, 0].T, frames)


def test_a_dose_lies_by_its_frame_offsets():
    from pydicom.data import get_testdata_file

    path = get_testdata_file("rtdose.dcm")
    data_set = pydicom.dcmread(path)
    (geometry,) = read_geometries([path])
    assert geometry.shape == (10, 10, 15)
    offsets = np.array(data_set.GridFrameOffsetVector, float)
    np.testing.assert_allclose(geometry.slice_offsets, offsets - offsets[0])


def enhanced(path, places, stacks=None, **elements):
    """An enhanced MR image of frames filled with their number; a place is (z, time index)."""
    frames = np.stack([np.full((2, 3), number, np.uint16) for number in range(len(places))])
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = AXIAL
    measures.PixelSpacing, measures.SliceThickness = [2.0, 1.5], 3.0
    shared.PlaneOrientationSequence = Sequence([orientation])
    shared.PixelMeasuresSequence = Sequence([measures])
    groups = []
    for number, (z, time) in enumerate(places):
        item, content, position, values = Dataset(), Dataset(), Dataset(), Dataset()
        content.TemporalPositionIndex = time
        content.StackID = stacks[number] if stacks else "1"
        position.ImagePositionPatient = [0.0, 0.0, z]
        values.RescaleSlope, values.RescaleIntercept = number + 1, -number
        item.FrameContentSequence = Sequence([content])
        item.PlanePositionSequence = Sequence([position])
        item.PixelValueTransformationSequence = Sequence([values])
        groups.append(item)
    return make_image(
        path, frames, SOPClassUID=EnhancedMRImageStorage, ImageType=["ORIGINAL", "PRIMARY"],
        SharedFunctionalGroupsSequence=Sequence([shared]),
        PerFrameFunctionalGroupsSequence=Sequence(groups), **elements,
    )  # fmt: skip


def test_enhanced_frames_lie_by_their_functional_groups(tmp_path):
    places = [(6.0, 2), (0.0, 1), (3.0, 1), (0.0, 2), (6.0, 1), (3.0, 2)]
    (geometry,) = read_geometries([enhanced(tmp_path / "a.dcm", places)])
    assert geometry.shape == (3, 2, 3, 2)
    expected = [
        [number * (number + 1) - number for number in row] for row in ((1, 2, 4), (3, 5, 0))
    ]
    assert first_column(read_volume(geometry)) == expected
    assert geometry.spacing == pytest.approx((1.5, 2.0, 3.0))


def test_enhanced_stacks_are_kept_apart(tmp_path):
    places = [(0.0, 1), (3.0, 1), (6.0, 1), (100.0, 1), (103.0, 1)]
    path = enhanced(tmp_path / "a.dcm", places, stacks="11122")
    assert [geometry.shape[2] for geometry in read_geometries([path])] == [3, 2]


def test_a_mosaic_that_cannot_be_taken_apart_says_so(tmp_path):
    paths = make_slices(tmp_path, [0.0], ImageType=["ORIGINAL", "PRIMARY", "M", "MOSAIC"])
    (geometry,) = read_geometries(paths)
    assert geometry.shape == (3, 2, 1)
    assert warned(geometry, "mosaic")


@needs_shared
def test_a_mosaic_has_no_padding_tiles():
    path = SHARED / "nih" / "dicom" / "20180918Si" / "mr_0003" / "epi_pe_ap-00001.dcm"
    (geometry,) = read_geometries([path])
    large = pydicom.dcmread(path).pixel_array
    assert geometry.shape == (72, 72, 5)
    for k in range(5):
        row, column = divmod(k, 3)
        tile = large[72 * row : 72 * (row + 1), 72 * column : 72 * (column + 1)]
        np.testing.assert_array_equal(read_slice(geometry, k), tile)


def test_slices_one_by_one_are_the_volume(tmp_path):
    positions = [z for _ in range(2) for z in (0.0, 3.0, 6.0)]
    paths = make_slices(
        tmp_path, positions, each=lambda index: {"TemporalPositionIdentifier": index // 3}
    )
    (geometry,) = read_geometries(paths)
    array = read_volume(geometry).array
    slices = list(iter_slices(geometry))
    for number, values in enumerate(slices):
        time, k = divmod(number, 3)
        np.testing.assert_array_equal(values, array[:, :, k, time].T)
        np.testing.assert_array_equal(values, read_slice(geometry, k, time))
    assert len(slices) == 6
    assert geometry.nbytes == array.nbytes
    assert geometry.dtype == array.dtype
    with pytest.raises(FrameRangeError, match="no slice 3"):
        read_slice(geometry, 3)
    with pytest.raises(FrameRangeError, match="fourth axis"):
        read_slice(geometry, 0, 2)


def test_slices_of_different_slopes_share_a_type(tmp_path):
    paths = make_slices(tmp_path, [0.0, 3.0], each=lambda i: {"RescaleSlope": (1, 0.5)[i]})
    (geometry,) = read_geometries(paths)
    assert geometry.dtype == np.float32
    np.testing.assert_allclose(read_volume(geometry).array[0, 0], [0, 0.5])


def test_a_file_that_is_gone_or_changed_says_so(tmp_path):
    paths = make_slices(tmp_path, [0.0, 3.0, 6.0])
    (geometry,) = read_geometries(paths)
    uid = str(pydicom.dcmread(paths[1]).SOPInstanceUID)
    os.utime(paths[1], ns=(0, 0))
    with pytest.raises(FileGoneError, match="has changed") as caught:
        read_volume(geometry)
    assert uid in str(caught.value)
    assert caught.value.path == os.fspath(paths[1])
    paths[1].unlink()
    with pytest.raises(FileGoneError, match="No such file"):
        read_volume(geometry)
    with pytest.raises(FileGoneError):
        read_geometries(paths)


def test_what_makes_no_volume_says_so(tmp_path):
    with pytest.raises(VolumeError, match="no images"):
        read_geometries([])
    with pytest.raises(VolumeError, match="pixel data"):
        read_geometries([make_file(tmp_path / "a.dcm")])
    slide = make_image(tmp_path / "b.dcm", np.zeros((2, 3), np.uint8), TotalPixelMatrixColumns=9)
    with pytest.raises(VolumeError, match="slide"):
        read_geometries([slide])


def test_a_header_that_claims_endless_frames_is_refused(tmp_path):
    path = make_image(tmp_path / "a.dcm", np.zeros((2, 3), np.uint16), NumberOfFrames=2**31 - 1)
    with pytest.raises(CorruptPixelsError, match="too short"):
        read_geometries([path])


@pytest.mark.parametrize("value", [["a", "b", "c"], [1.0, 2.0], ["nan", "1", "1"], None])
def test_positions_without_sense_are_none(tmp_path, value):
    paths = make_slices(tmp_path, [0.0])
    data_set = pydicom.dcmread(paths[0])
    if value is None:
        del data_set.ImagePositionPatient
    else:
        text = "\\".join(map(str, value)).encode()
        data_set._dict[0x00200032] = pydicom.dataelem.RawDataElement(
            pydicom.tag.Tag(0x00200032), "DS", len(text), text, 0, False, True
        )
    data_set.save_as(paths[0])
    (geometry,) = read_geometries(paths)
    assert not geometry.has_positions


def test_letters_for_numbers_are_no_reason_to_show_nothing(tmp_path):
    """IS and DS with letters are met in real files."""
    paths = make_slices(tmp_path, [0.0, 3.0])
    for path in paths:
        data_set = pydicom.dcmread(path)
        put_raw(data_set, 0x00200013, "IS", b"1A")
        put_raw(data_set, 0x00180081, "DS", b"short ")
        put_raw(data_set, 0x00281050, "DS", b"dark")
        put_raw(data_set, 0x00080032, "TM", b"noon")
        data_set.save_as(path)
    (geometry,) = read_geometries(paths)
    assert first_column(read_volume(geometry)) == [0, 1]
    assert render_image(paths[0])


def test_orientations_without_a_plane_are_none(tmp_path):
    for orientation in ([0.0] * 6, [1.0, 0.0, 0.0, 1.0, 0.0, 0.0]):
        paths = make_slices(tmp_path, [0.0, 3.0], ImageOrientationPatient=orientation)
        (geometry,) = read_geometries(paths)
        assert np.isfinite(geometry.affine).all()
        assert not geometry.has_positions


def test_a_geometry_can_be_pickled(tmp_path):
    (geometry,) = read_geometries(make_slices(tmp_path, [0.0, 3.0]))
    copy = pickle.loads(pickle.dumps(geometry))
    assert first_column(read_volume(copy)) == [0, 1]


def test_errors_are_of_one_family():
    for error in (VolumeError, FileGoneError, FrameRangeError, CorruptPixelsError):
        assert issubclass(error, PixelError)
