"""Arrays of images against pydicom's own, and by the formulas of the standard."""

import os
import pickle
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.pixels import apply_color_lut, apply_modality_lut
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
)

from dicom_graph.dicom.errors import (
    CorruptPixelsError,
    FileGoneError,
    FrameRangeError,
    NoPixelDataError,
    PixelError,
    UnsupportedSyntaxError,
)
from dicom_graph.dicom.pixels.arrays import (
    PIXEL_TAGS,
    decoded_bytes,
    describe_pixels,
    iter_frames,
    read_pixels,
)
from dicom_graph.dicom.pixels.frame_format import read_format
from dicom_graph.dicom.pixels.image_file import open_image
from dicom_graph.dicom.pixels.raw_frames import raw_frames
from tests.support.data import (
    SHARED,
    file_bytes,
    is_image,
    needs_shared,
    nibabel_dicom_files,
    pydicom_files,
    sampled,
    shared_files,
)
from tests.support.dcmtk import decompressed
from tests.support.make import make_data_set, make_file, save
from tests.support.samples import mostly_slow
from tests.support.slices import make_image

FILES = mostly_slow(
    (*pydicom_files(), *sampled(shared_files(), "nih", 2), *nibabel_dicom_files()),
    8,
    lambda path: f"{path.parent.name}-{path.name}",
)


def pydicom_array(path):
    """pydicom's array and data set; or None and why it has none.

    Of JPEG with 12 bits, which no decoder of pydicom's decodes as dcmtk does, it is dcmtk's.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = pydicom.dcmread(path, force=True)
        meta = data_set.__dict__.get("file_meta") or {}
        if meta.get("TransferSyntaxUID") == JPEGExtended12Bit:
            return data_set, decompressed(path).pixel_array
        try:
            return data_set, data_set.pixel_array
        except Exception as error:
            return data_set, error


def with_frames(array, frames):
    return array if frames > 1 else array[None]


@pytest.fixture
def plain_path(request, tmp_path):
    """The file, unzipped where it was not."""
    path = request.param
    if not is_image(path):
        pytest.skip("no image")
    if path.suffix != ".gz":
        return path
    plain = tmp_path / path.stem
    plain.write_bytes(file_bytes(path))
    return plain


@pytest.mark.parametrize("plain_path", FILES, indirect=True)
def test_stored_values_are_those_of_pydicom(plain_path):
    _, expected = pydicom_array(plain_path)
    if isinstance(expected, Exception):
        with pytest.raises(PixelError) as caught:
            read_pixels(plain_path, rescaled=False)
        assert caught.value.path == os.fspath(plain_path)
        return
    pixels = read_pixels(plain_path, rescaled=False)
    described = describe_pixels(plain_path, rescaled=False)
    assert described.shape == pixels.array.shape
    assert described.dtype == pixels.array.dtype.name
    assert described.nbytes == pixels.array.nbytes
    assert described.transfer_syntax_uid
    expected = with_frames(expected, described.frames)
    assert pixels.array.dtype == expected.dtype.newbyteorder("=")
    np.testing.assert_array_equal(pixels.array, expected)
    last = described.frames - 1
    alone = read_pixels(plain_path, last, rescaled=False)
    np.testing.assert_array_equal(alone.array[0], expected[last])
    assert alone.first_frame == last


@pytest.mark.parametrize("plain_path", FILES, indirect=True)
def test_values_are_what_pydicom_makes_of_the_stored_ones(plain_path):
    data_set, stored = pydicom_array(plain_path)
    if isinstance(stored, Exception) or "PerFrameFunctionalGroupsSequence" in data_set:
        pytest.skip("no array, or values of each frame, which pydicom leaves alone")
    if data_set.get("Modality") == "RTDOSE":
        pytest.skip("pydicom leaves DoseGridScaling alone")
    pixels = read_pixels(plain_path)
    described = describe_pixels(plain_path)
    assert (described.shape, described.dtype) == (pixels.array.shape, pixels.array.dtype.name)
    if data_set.PhotometricInterpretation == "PALETTE COLOR":
        expected = apply_color_lut(stored, data_set)
    else:
        expected = apply_modality_lut(stored, data_set)
    expected = with_frames(expected, described.frames)
    if pixels.array.dtype.kind == "f":
        np.testing.assert_allclose(pixels.array, expected, rtol=1e-6, atol=1e-4)
    else:
        np.testing.assert_array_equal(pixels.array, expected)


@pytest.mark.parametrize("plain_path", FILES, indirect=True)
def test_raw_frames_are_the_decoded_ones(plain_path):
    try:
        with open_image(plain_path, PIXEL_TAGS) as image:
            image.require_pixels()
            description = describe_pixels(plain_path, rescaled=False)
            frames = raw_frames(image, read_format(image.header, image.keyword), description)
        expected = read_pixels(plain_path, rescaled=False).array
    except PixelError:
        pytest.skip("no pixels")
    if frames is None:
        pytest.skip("not as they are")
    with open(plain_path, "rb") as file:
        for frame, values in zip(frames, expected, strict=True):
            np.testing.assert_array_equal(frame.read(file), values)


@needs_shared
def test_each_frame_has_its_own_slope():
    path = SHARED / "enhanced" / "dicom" / "Philips" / "IM_0027_fMAP.dcm"
    data_set = pydicom.dcmread(path)
    values = read_pixels(path).array
    for frame in (0, 63):
        item = data_set.PerFrameFunctionalGroupsSequence[frame].PixelValueTransformationSequence[0]
        expected = data_set.pixel_array[frame] * float(item.RescaleSlope)
        expected += float(item.RescaleIntercept)
        np.testing.assert_allclose(values[frame], expected, rtol=1e-6, atol=1e-4)
        np.testing.assert_array_equal(read_pixels(path, frame).array[0], values[frame])
    assert item.RescaleIntercept == -500


def test_a_dose_is_scaled():
    path = get_testdata_file("rtdose.dcm")
    data_set = pydicom.dcmread(path)
    expected = data_set.pixel_array * float(data_set.DoseGridScaling)
    np.testing.assert_allclose(read_pixels(path).array, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "bits", "slope", "intercept", "expected"),
    [
        (np.uint16, 12, 1, -1024, np.int16),
        (np.uint16, 16, 1, -1024, np.int32),
        (np.int16, 16, 1, 0, np.int16),
        (np.uint8, 8, 2, 0, np.uint16),
        (np.uint8, 8, -1, 0, np.int16),
        (np.uint16, 16, 0.5, 0, np.float32),
        (np.uint32, 32, 0.5, 0, np.float64),
        (np.uint32, 32, 1, -1, np.int64),
        (np.uint16, 16, 0, 7, np.uint32),
    ],
)
def test_integers_stay_whole_and_exact(tmp_path, dtype, bits, slope, intercept, expected):
    low = 0 if np.dtype(dtype).kind == "u" else -(1 << (bits - 1))
    stored = np.array([[low, 0, 1], [5, 6, low + (1 << bits) - 1]], dtype)
    path = make_image(
        tmp_path / "a.dcm", stored, BitsStored=bits, HighBit=bits - 1,
        RescaleSlope=slope, RescaleIntercept=intercept,
    )  # fmt: skip
    array = read_pixels(path).array[0]
    assert array.dtype == expected
    exact = [[int(value) * (slope or 1) + intercept for value in row] for row in stored]
    np.testing.assert_array_equal(array, exact)


def test_a_modality_table_is_applied(tmp_path):
    item = Dataset()
    item.LUTDescriptor = [4, 10, 16]
    item["LUTDescriptor"].VR = "US"
    item.ModalityLUTType = "US"
    item.LUTData = [100, 200, 300, 60000]
    item["LUTData"].VR = "US"
    path = make_image(
        tmp_path / "a.dcm", np.array([[0, 10, 11], [12, 13, 99]], np.uint16),
        ModalityLUTSequence=Sequence([item]),
    )  # fmt: skip
    array = read_pixels(path).array[0]
    np.testing.assert_array_equal(array, [[100, 100, 200], [300, 60000, 60000]])


def test_overlays_in_unused_bits_are_left_out(tmp_path):
    stored = np.array([[0x1001, 0x2FFF], [0x0005, 0xF000]], np.uint16)
    path = make_image(tmp_path / "a.dcm", stored, BitsStored=12, HighBit=11)
    np.testing.assert_array_equal(read_pixels(path).array[0], stored & 0xFFF)


@pytest.mark.parametrize(("keyword", "dtype"), [("Float", "f4"), ("DoubleFloat", "f8")])
def test_float_pixels(tmp_path, keyword, dtype):
    values = np.array([[0.5, -1e30], [np.nan, 3.25]], dtype)
    data_set = make_data_set(
        Rows=2, Columns=2, SamplesPerPixel=1, PhotometricInterpretation="MONOCHROME2",
        BitsAllocated=8 * values.itemsize,
    )  # fmt: skip
    setattr(data_set, f"{keyword}PixelData", values.tobytes())
    array = read_pixels(save(data_set, tmp_path / "a.dcm")).array
    assert array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(array[0], values)


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_other_encodings_hold_the_same(tmp_path, syntax):
    stored = np.arange(6, dtype=np.int16).reshape(2, 3) - 3
    written = stored.byteswap() if syntax == ExplicitVRBigEndian else stored
    path = make_image(tmp_path / "a.dcm", written, syntax)
    np.testing.assert_array_equal(read_pixels(path).array[0], stored)


def test_one_frame_of_many_is_decoded_alone(tmp_path):
    """The other frames' bytes are beyond the end of the file: reading them would fail."""
    frames = np.arange(4 * 6, dtype=np.uint16).reshape(4, 2, 3)
    path = make_image(tmp_path / "a.dcm", frames)
    path.write_bytes(path.read_bytes()[:-24])
    np.testing.assert_array_equal(read_pixels(path, 1).array[0], frames[1])
    with pytest.raises(CorruptPixelsError, match="frame 3"):
        read_pixels(path, 3)


def test_frames_one_by_one_are_the_array():
    path = get_testdata_file("examples_ybr_color.dcm")
    expected = read_pixels(path).array
    for index, frame in enumerate(iter_frames(path)):
        np.testing.assert_array_equal(frame, expected[index])
    assert index == len(expected) - 1


def test_the_estimate_covers_the_array(tmp_path):
    path = make_image(tmp_path / "a.dcm", np.zeros((5, 64, 64), np.uint16), RescaleSlope=0.5)
    assert decoded_bytes(path) >= read_pixels(path).array.nbytes
    assert decoded_bytes(path, 0) < decoded_bytes(path)


def test_a_header_that_claims_terabytes_says_so_without_decoding(tmp_path):
    path = make_image(
        tmp_path / "a.dcm", np.zeros((2, 3), np.uint16),
        Rows=65535, Columns=65535, NumberOfFrames=1000,
    )  # fmt: skip
    assert decoded_bytes(path) > 8e12


def test_what_is_no_image_says_so(tmp_path):
    with pytest.raises(NoPixelDataError, match="no pixel data"):
        read_pixels(make_file(tmp_path / "a.dcm"))
    (tmp_path / "text").write_text("this is not DICOM at all, " * 20)
    with pytest.raises(PixelError):
        read_pixels(tmp_path / "text")


def test_a_file_that_is_gone_says_so(tmp_path):
    with pytest.raises(FileGoneError, match="No such file") as caught:
        read_pixels(tmp_path / "gone.dcm")
    assert caught.value.path == os.fspath(tmp_path / "gone.dcm")


@pytest.mark.parametrize("frame", [-1, 1, 10**9])
def test_a_frame_out_of_range_says_so(tmp_path, frame):
    path = make_image(tmp_path / "a.dcm", np.zeros((2, 3), np.uint16))
    for ask in (read_pixels, describe_pixels, decoded_bytes):
        with pytest.raises(FrameRangeError, match=f"no frame {frame}: the image has 1"):
            ask(path, frame)


def test_a_syntax_without_decoder_is_named(tmp_path):
    mpeg = "1.2.840.10008.1.2.4.102"
    path = tmp_path / "a.dcm"
    data_set = pydicom.dcmread(get_testdata_file("SC_rgb_rle.dcm"))
    data_set.file_meta.TransferSyntaxUID = mpeg
    data_set.save_as(path)
    with pytest.raises(
        UnsupportedSyntaxError, match=r"MPEG-4 .*\(1\.2\.840\.10008\.1\.2\.4\.102\)"
    ):
        read_pixels(path)


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "MR_small_RLE.dcm", "SC_rgb_jpeg_gdcm.dcm"])
def test_a_corrupt_stream_says_so_and_names_the_syntax(tmp_path, name):
    raw = bytearray(Path(get_testdata_file(name)).read_bytes())
    with open_image(get_testdata_file(name)) as image:
        start, syntax = image.value_start, image.syntax_name
    raw[start + 40 :] = b"\xaa" * len(raw[start + 40 :])
    (tmp_path / "a.dcm").write_bytes(raw)
    with pytest.raises(CorruptPixelsError) as caught:
        read_pixels(tmp_path / "a.dcm")
    assert syntax in str(caught.value)


def test_a_truncated_file_says_so():
    with pytest.raises(CorruptPixelsError):
        read_pixels(get_testdata_file("MR_truncated.dcm"))


def test_arrays_and_errors_come_from_another_process(tmp_path):
    path = make_image(tmp_path / "a.dcm", np.arange(6, dtype=np.uint16).reshape(2, 3))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        pixels = pool.submit(read_pixels, path).result()
        np.testing.assert_array_equal(pixels.array, [[[0, 1, 2], [3, 4, 5]]])
        with pytest.raises(FileGoneError) as caught:
            pool.submit(read_pixels, tmp_path / "gone").result()
    assert caught.value.path == os.fspath(tmp_path / "gone")


def test_a_description_can_be_pickled(tmp_path):
    path = make_image(
        tmp_path / "a.dcm", np.zeros((2, 3), np.uint16), WindowCenter=5, WindowWidth=9
    )
    described = pickle.loads(pickle.dumps(describe_pixels(path)))
    assert (described.windows[0].center, described.windows[0].width) == (5, 9)


def test_what_pydicom_warns_of_is_kept_quiet(recwarn):
    """Its warnings quote values, which are patient data."""
    with pytest.raises(CorruptPixelsError, match="NumberOfFrames"):
        describe_pixels(get_testdata_file("badVR.dcm"))
    assert not recwarn.list
