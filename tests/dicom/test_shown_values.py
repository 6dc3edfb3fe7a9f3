"""Which values a picture shows dark or light: PresentationLUTShape, and padding left out."""

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_graph.dicom.pixels.arrays import read_pixels
from dicom_graph.dicom.pixels.rendering import render_image
from dicom_graph.dicom.pixels.voi import Window, WindowFunction
from dicom_graph.dicom.volume import read_geometries
from dicom_graph.dicom.volume.pictures import preview, sheet
from tests.dicom.test_rendering import opened
from tests.support import dcmtk
from tests.support.make import make_data_set, save
from tests.support.slices import make_image

MONOCHROME = np.array([[0, 50, 100], [150, 200, 255]], np.uint8)
SHAPES = [None, "IDENTITY", "INVERSE", "OD"]


@pytest.mark.parametrize("window", [None, (128, 256)])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_presentation_lut_shape_is_believed_before_the_photometric_interpretation(
    tmp_path, photometric, shape, window
):
    """As dcmtk draws it: PS3.3 C.11.6.1.2 defines INVERSE by the values, not by the other."""
    center, width = window or (None, None)
    path = make_image(
        tmp_path / "a.dcm", MONOCHROME, PhotometricInterpretation=photometric,
        PresentationLUTShape=shape, WindowCenter=center, WindowWidth=width,
    )  # fmt: skip
    is_inverted = shape == "INVERSE" or (shape != "IDENTITY" and photometric == "MONOCHROME1")
    expected = 255 - MONOCHROME if is_inverted else MONOCHROME
    np.testing.assert_array_equal(np.asarray(opened(render_image(path))), expected)
    np.testing.assert_array_equal(read_pixels(path).array[0], MONOCHROME)
    drawn = dcmtk.picture(path, *(["+Wi", "1"] if window else [])).astype(int)
    assert np.abs(drawn - expected).max() <= 1
    shown = preview(read_geometries([path])[0], window=WHOLE_RANGE)
    np.testing.assert_array_equal(np.asarray(opened(shown)), expected)


def test_colours_have_no_presentation_lut(tmp_path):
    colours = np.random.default_rng(1).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    path = make_image(tmp_path / "a.dcm", colours, PresentationLUTShape="INVERSE")
    np.testing.assert_array_equal(np.asarray(opened(render_image(path))), colours)


WHOLE_RANGE = Window(127.5, 255, WindowFunction.LINEAR_EXACT)
INSIDE = np.random.default_rng(9).integers(1000, 1500, (20, 20))


@pytest.mark.parametrize(
    ("dtype", "elements", "paddings"),
    [
        (np.int16, {"PixelPaddingValue": -2000}, [-2000]),
        (np.int16, {"PixelPaddingValue": -2000, "RescaleSlope": 2, "RescaleIntercept": 9}, [-2000]),
        (np.int16, {"PixelPaddingValue": -2000, "RescaleSlope": -0.3}, [-2000]),
        (np.uint16, {"PixelPaddingValue": 0, "PixelPaddingRangeLimit": 200}, [0, 7, 200]),
        (np.uint16, {"PixelPaddingValue": 4095, "PixelPaddingRangeLimit": 4000, "BitsStored": 12,
                     "HighBit": 11, "PhotometricInterpretation": "MONOCHROME1"}, [4095, 4000]),
        (np.uint16, {"PixelPaddingValue": 65_535}, [65_535]),
        (np.uint16, {"PixelPaddingRangeLimit": 200}, []),
    ],
    ids=["value", "rescaled", "fraction", "range", "monochrome1", "highest", "limit-alone"],
)  # fmt: skip
def test_padding_is_not_in_the_default_window(tmp_path, dtype, elements, paddings):
    """PS3.3 C.7.5.1.1.2: the picture is that of the image without it."""
    values = INSIDE.astype(dtype)
    stored = np.concatenate([values, *(np.full((20, 20), each, dtype) for each in paddings)])
    alone = make_image(tmp_path / "alone.dcm", values, **elements)
    with_padding = make_image(tmp_path / "a.dcm", stored, **elements)
    expected = np.asarray(opened(render_image(alone)))
    picture = np.asarray(opened(render_image(with_padding)))
    np.testing.assert_array_equal(picture[:20], expected)
    assert expected.min() == 0
    assert expected.max() == 255
    geometry = read_geometries([with_padding])[0]
    for shown in (preview(geometry), sheet(geometry, size=20 * (1 + len(paddings)))):
        np.testing.assert_array_equal(np.asarray(opened(shown))[:20], expected)


def test_padding_whose_sign_was_mistaken(tmp_path):
    """-2000 written as US 63,536, as some scanners do."""
    stored = np.concatenate([INSIDE, np.full((20, 20), -2000)]).astype(np.int16)
    path = make_image(tmp_path / "a.dcm", stored, PixelPaddingValue=-2000)
    expected = render_image(path)
    data_set = pydicom.dcmread(path)
    data_set.add_new("PixelPaddingValue", "US", 63_536)
    data_set.save_as(path)
    assert render_image(path) == expected


def test_padding_through_a_modality_table(tmp_path):
    item = Dataset()
    item.LUTDescriptor, item.ModalityLUTType = [2000, 0, 16], "US"
    item["LUTDescriptor"].VR = "US"
    item.LUTData = [*range(40_000, 39_000, -1), *range(1000)]
    item["LUTData"].VR = "US"
    values = INSIDE.astype(np.uint16)
    pictures = []
    for stored in (values, np.concatenate([values, np.full((20, 20), 5, np.uint16)])):
        path = make_image(tmp_path / "a.dcm", stored, PixelPaddingValue=5,
                          ModalityLUTSequence=Sequence([item]))  # fmt: skip
        pictures.append(np.asarray(opened(render_image(path)))[:20])
    np.testing.assert_array_equal(*pictures)


@pytest.mark.parametrize(("prefix", "dtype"), [("Float", "f4"), ("DoubleFloat", "f8")])
def test_padding_of_float_pixels(tmp_path, prefix, dtype):
    values = np.random.default_rng(2).random((20, 20)).astype(dtype)
    padding = np.array([[-1e30] * 20, [np.nan] * 20, [-5e29] * 20], dtype)
    pictures = []
    for stored in (values, np.concatenate([values, padding])):
        data_set = make_data_set(
            Rows=len(stored), Columns=20, SamplesPerPixel=1, BitsAllocated=8 * stored.itemsize,
            PhotometricInterpretation="MONOCHROME2",
        )  # fmt: skip
        setattr(data_set, f"{prefix}PixelData", stored.tobytes())
        setattr(data_set, f"{prefix}PixelPaddingValue", float(padding[0, 0]))
        setattr(data_set, f"{prefix}PixelPaddingRangeLimit", float(padding[2, 0]))
        path = save(data_set, tmp_path / "a.dcm")
        pictures.append(np.asarray(opened(render_image(path)))[:20])
    np.testing.assert_array_equal(*pictures)


def test_an_image_of_padding_alone_is_shown_all_the_same(tmp_path):
    stored = np.full((4, 4), 7, np.uint16)
    path = make_image(tmp_path / "a.dcm", stored, PixelPaddingValue=7)
    assert np.unique(np.asarray(opened(render_image(path)))).tolist() == [128]


def test_a_window_of_the_header_is_taken_as_it_is(tmp_path):
    stored = np.array([[0, 500], [1000, 2000]], np.uint16)
    pictures = []
    for padding in (None, 0):
        path = make_image(tmp_path / "a.dcm", stored, WindowCenter=1000, WindowWidth=2001,
                          PixelPaddingValue=padding)  # fmt: skip
        pictures.append(render_image(path))
    assert pictures[0] == pictures[1]
