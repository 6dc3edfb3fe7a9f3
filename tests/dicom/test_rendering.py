"""Pictures against the formulas of PS3.3 C.11.2.1, computed here in plain Python."""

import io
import math

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_graph.dicom.errors import FrameRangeError, RenderingError
from dicom_graph.dicom.pixels.arrays import read_pixels
from dicom_graph.dicom.pixels.rendering import MAX_SIDE, render, render_image
from dicom_graph.dicom.pixels.voi import Window, WindowFunction
from dicom_graph.dicom.volume import read_geometries, read_volume
from dicom_graph.dicom.volume.pictures import PreviewAxis, preview, sheet
from tests.support import dcmtk
from tests.support.data import SHARED, needs_shared
from tests.support.slices import make_image, make_slices


def opened(png):
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    return image


def linear(x, c, w):
    if x <= c - 0.5 - (w - 1) / 2:
        return 0.0
    if x > c - 0.5 + (w - 1) / 2:
        return 255.0
    return ((x - (c - 0.5)) / (w - 1) + 0.5) * 255.0


def linear_exact(x, c, w):
    if x <= c - w / 2:
        return 0.0
    return 255.0 if x > c + w / 2 else ((x - c) / w + 0.5) * 255.0


def sigmoid(x, c, w):
    # Python's exp overflows where the value is 0 already.
    return 255.0 / (1 + math.exp(min(-4 * (x - c) / w, 700)))


FUNCTIONS = {"LINEAR": linear, "LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}


def expected_picture(values, function, center, width):
    flat = [math.floor(function(float(x), center, width) + 0.5) for x in values.ravel()]
    return np.array(flat).reshape(values.shape)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("center", "width"), [(40, 400), (0.5, 1), (-3.25, 7.5), (60000, 100)])
def test_a_window_is_the_formula(tmp_path, name, center, width):
    stored = np.arange(-300, 300, 7, dtype=np.int16)[:84].reshape(7, 12)
    path = make_image(tmp_path / "a.dcm", stored)
    window = Window(center, width, WindowFunction(name))
    picture = np.asarray(opened(render_image(path, window=window)))
    np.testing.assert_array_equal(picture, expected_picture(stored, FUNCTIONS[name], center, width))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_window_of_the_header_is_used(tmp_path, name):
    stored = np.arange(600, 1200, 7, dtype=np.uint16)[:84].reshape(7, 12)
    path = make_image(
        tmp_path / "a.dcm", stored, WindowCenter=[-50, 0], WindowWidth=[300, 9],
        VOILUTFunction=name, RescaleIntercept=-1024, RescaleSlope=1,
    )  # fmt: skip
    picture = np.asarray(opened(render_image(path)))
    values = stored.astype(int) - 1024
    np.testing.assert_array_equal(picture, expected_picture(values, FUNCTIONS[name], -50, 300))


def test_a_table_of_interest_goes_before_a_window(tmp_path):
    item = Dataset()
    item.LUTDescriptor = [4, 10, 12]
    item["LUTDescriptor"].VR = "US"
    item.LUTData = [0, 1000, 2000, 4095]
    item["LUTData"].VR = "US"
    stored = np.array([[0, 10, 11], [12, 13, 50]], np.uint16)
    path = make_image(
        tmp_path / "a.dcm", stored, VOILUTSequence=Sequence([item]), WindowCenter=5, WindowWidth=9
    )
    expected = [[0, 0, round(1000 / 4095 * 255)], [round(2000 / 4095 * 255), 255, 255]]
    np.testing.assert_array_equal(np.asarray(opened(render_image(path))), expected)


def test_without_a_window_percentiles_are_the_ends(tmp_path):
    stored = np.random.default_rng(1).integers(0, 5000, (64, 64)).astype(np.uint16)
    low, high = np.percentile(stored, (1, 99))
    picture = np.asarray(opened(render_image(make_image(tmp_path / "a.dcm", stored)))).astype(int)
    expected = np.clip((stored - low) / (high - low), 0, 1) * 255
    assert np.abs(picture - expected).max() <= 0.5 + 1e-9


def test_bytes_without_a_window_are_shown_as_they_are(tmp_path):
    stored = np.arange(60, 126, dtype=np.uint8).reshape(6, 11)
    picture = np.asarray(opened(render_image(make_image(tmp_path / "a.dcm", stored))))
    np.testing.assert_array_equal(picture, stored)


@pytest.mark.parametrize("value", [0, 7])
def test_one_value_all_over_is_a_picture(tmp_path, value):
    path = make_image(tmp_path / "a.dcm", np.full((4, 4), value, np.uint16))
    assert np.ptp(np.asarray(opened(render_image(path)))) == 0


def test_monochrome1_is_inverted(tmp_path):
    stored = np.arange(0, 4096, 64, dtype=np.uint16).reshape(8, 8)
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    plain = make_image(tmp_path / "a.dcm", stored, **window)
    inverted = make_image(
        tmp_path / "b.dcm", stored, PhotometricInterpretation="MONOCHROME1", **window
    )
    first, second = (np.asarray(opened(render_image(path))) for path in (plain, inverted))
    np.testing.assert_array_equal(second, 255 - first)
    assert second[0, 0] == 255


@pytest.mark.parametrize(
    "name", ["examples_rgb_color.dcm", "examples_ybr_color.dcm", "SC_rgb_small_odd.dcm"]
)
def test_colours_are_shown_as_they_are(name):
    path = get_testdata_file(name)
    array = pydicom.dcmread(path).pixel_array
    picture = np.asarray(opened(render_image(path, 0)))
    np.testing.assert_array_equal(picture, array[0] if array.ndim == 4 else array)


def test_a_palette_is_looked_up():
    path = get_testdata_file("examples_palette.dcm")
    data_set = pydicom.dcmread(path)
    tables = [
        np.frombuffer(getattr(data_set, f"{colour}PaletteColorLookupTableData"), "<u2")
        for colour in ("Red", "Green", "Blue")
    ]
    # The colours have 8 bits, in the high bytes of the entries.
    expected = np.stack([table[data_set.pixel_array] >> 8 for table in tables], -1)
    picture = np.asarray(opened(render_image(path)))
    assert picture.shape == (350, 800, 3)
    np.testing.assert_array_equal(picture, expected)
    np.testing.assert_array_equal(picture, dcmtk.picture(path))


@pytest.mark.parametrize("bits", [4, 8, 10, 12, 16])
def test_colours_of_any_depth_are_shown_by_their_highest_bits(tmp_path, bits):
    colours = np.random.default_rng(1).integers(0, 1 << bits, (5, 7, 3))
    path = make_image(tmp_path / "a.dcm", np.zeros((5, 7), np.uint16), BitsStored=bits,
                      HighBit=bits - 1, SamplesPerPixel=3, PlanarConfiguration=0,
                      PhotometricInterpretation="RGB")  # fmt: skip
    data_set = pydicom.dcmread(path)
    data_set.PixelData = colours.astype("<u2").tobytes()
    data_set.save_as(path)
    expected = colours * 17 if bits == 4 else colours >> (bits - 8)
    np.testing.assert_array_equal(np.asarray(opened(render_image(path))), expected)


def test_pixels_become_square(tmp_path):
    stored = np.zeros((10, 30), np.uint16)
    path = make_image(tmp_path / "a.dcm", stored, PixelSpacing=[2.0, 0.5])
    assert opened(render_image(path)).size == (30, 40)
    assert opened(render_image(path, size=20)).size == (15, 20)
    ratio = make_image(tmp_path / "b.dcm", stored, PixelAspectRatio=[1, 2])
    assert opened(render_image(ratio)).size == (60, 10)


@pytest.mark.parametrize("size", [0, -5, MAX_SIDE + 1, 10**12])
def test_sizes_beyond_the_limit_are_refused(tmp_path, size):
    path = make_image(tmp_path / "a.dcm", np.zeros((4, 4), np.uint16))
    with pytest.raises(RenderingError, match=f"1 to {MAX_SIDE}"):
        render_image(path, size=size)


@pytest.mark.parametrize(
    ("center", "width", "function"),
    [(0, 0.5, "LINEAR"), (0, 0, "SIGMOID"), (0, -1, "LINEAR_EXACT"), (math.nan, 5, "LINEAR"),
     (0, math.inf, "LINEAR")],
)  # fmt: skip
def test_windows_without_sense_are_refused(center, width, function):
    with pytest.raises(RenderingError, match="window"):
        Window(center, width, WindowFunction(function))


def test_a_window_without_sense_in_the_header_is_passed_over(tmp_path):
    path = make_image(
        tmp_path / "a.dcm", np.arange(6, dtype=np.uint16).reshape(2, 3),
        WindowCenter=5, WindowWidth=0,
    )  # fmt: skip
    assert np.ptp(np.asarray(opened(render_image(path)))) == 255


def test_a_frame_that_was_not_read_is_refused(tmp_path):
    path = make_image(tmp_path / "a.dcm", np.zeros((3, 5, 4), np.uint16))
    with pytest.raises(FrameRangeError):
        render(read_pixels(path, 1), 2)
    assert opened(render(read_pixels(path, 1), 1)).size == (4, 5)


@needs_shared
@pytest.mark.parametrize("axis", ["sagittal", "coronal", "axial"])
@pytest.mark.parametrize(
    "folder",
    ["nih/dicom/20180918GE/mr_0004", "siemens/files/rsfmri", "varied/data/hitachi/anatomical/001"],
)
def test_previews_are_radiological(folder, axis):
    """Against nibabel's canonical array, turned as radiologists look at it."""
    paths = [path for path in sorted((SHARED / folder).iterdir()) if path.suffix == ".dcm"]
    (geometry,) = read_geometries(paths)
    array = read_volume(geometry).array
    first = array if array.ndim == 3 else array[..., 0]
    canonical = nibabel.as_closest_canonical(
        nibabel.Nifti1Image(np.asarray(first, np.float64), geometry.affine)
    )
    data = canonical.get_fdata()
    number = ["sagittal", "coronal", "axial"].index(axis)
    index = data.shape[number] // 3
    # Rows go down from the head or the front, columns from the patient's right or front.
    cut = np.take(data, index, number)[::-1, ::-1].T
    zooms = canonical.header.get_zooms()
    height, width = [(zooms[2], zooms[1]), (zooms[2], zooms[0]), (zooms[1], zooms[0])][number]
    scale = max(cut.shape[0] * height / width, cut.shape[1]) if height >= width else None
    window = Window(float(data.mean()), float(data.max()), WindowFunction.LINEAR_EXACT)
    picture = opened(preview(geometry, PreviewAxis(axis), index, window=window))
    shape = cut.shape
    assert picture.size[0] / picture.size[1] == pytest.approx(
        shape[1] * width / (shape[0] * height), rel=0.05
    )
    assert scale is None or max(picture.size) == pytest.approx(scale, abs=1)
    small = np.asarray(picture.resize((shape[1], shape[0]), Image.Resampling.BOX)).astype(float)
    grey = np.clip((cut - window.center) / window.width + 0.5, 0, 1) * 255
    assert np.corrcoef(small.ravel(), grey.ravel())[0, 1] > 0.97


def test_a_slice_is_previewed_as_acquired(tmp_path):
    paths = make_slices(tmp_path, [0.0, 3.0, 6.0], PixelSpacing=[1.0, 1.0])
    (geometry,) = read_geometries(paths)
    window = Window(1.0, 2.0, WindowFunction.LINEAR_EXACT)
    pictures = [opened(preview(geometry, PreviewAxis.K, k, window=window)) for k in range(3)]
    assert [int(np.asarray(picture)[0, 0]) for picture in pictures] == [0, 128, 255]
    across = np.asarray(opened(preview(geometry, PreviewAxis.I, 0, window=window)))
    assert across.shape == (9, 2)
    assert across[0, 0] == 0
    assert across[-1, 0] == 255
    with pytest.raises(FrameRangeError, match="no index 3"):
        preview(geometry, PreviewAxis.K, 3)


def test_a_sheet_has_its_slices_row_by_row(tmp_path):
    paths = make_slices(tmp_path, [float(z) for z in range(9)], size=(8, 8), PixelSpacing=[1, 1])
    (geometry,) = read_geometries(paths)
    window = Window(4.0, 8.0, WindowFunction.LINEAR_EXACT)
    picture = np.asarray(opened(sheet(geometry, n_tiles=9, window=window, size=24)))
    assert picture.shape == (24, 24)
    expected = [[math.floor((3 * row + column) / 8 * 255 + 0.5) for column in range(3)]
                for row in range(3)]  # fmt: skip
    np.testing.assert_array_equal(picture[4::8, 4::8], expected)
    with pytest.raises(RenderingError):
        sheet(geometry, n_tiles=0)
