"""Pixel data that is not compressed: cells of a bit, samples high in a cell, lengths that lie."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from dicom_graph.dicom.confidentiality.deidentify import BurnedInError, write_deidentified
from dicom_graph.dicom.confidentiality.profile import Replacements
from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.nifti import write_npy
from dicom_graph.dicom.pixels.arrays import PixelLayout, describe_pixels, iter_frames, read_pixels
from dicom_graph.dicom.pixels.image_file import open_image
from dicom_graph.dicom.pixels.raw_frames import raw_frames
from dicom_graph.dicom.pixels.rendering import render_image
from dicom_graph.dicom.volume import read_geometries, read_volume
from tests.dicom.encoded import J2K_LOSSLESS, LOSSLESS_SV1, RLE, j2k, jpeg, rle_frame
from tests.dicom.encoded import make_compressed as make_encoded
from tests.dicom.raw_files import IMPLICIT, write
from tests.dicom.test_rendering import opened
from tests.support import dcmtk
from tests.support.data import SHARED, needs_shared
from tests.support.slices import make_image

ENCODINGS = [
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
]  # fmt: skip


def pack(bits: np.ndarray) -> bytes:
    """Cells of one bit, the first in the lowest bit, one after the other (PS3.5 8.1.1)."""
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    return packed + bytes(len(packed) % 2)


def make_bits(path: Path, bits: np.ndarray, syntax: str, vr: str = "OW", **elements: Any) -> Path:
    raw = pack(bits)
    if syntax == ExplicitVRBigEndian and vr == "OW":
        raw = np.frombuffer(raw, "<u2").astype(">u2").tobytes()
    blank = np.zeros(bits.shape, np.uint8)
    one_bit = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0} | elements
    make_image(path, blank, **one_bit)
    data_set = pydicom.dcmread(path)
    data_set.PixelData = raw
    data_set["PixelData"].VR = vr
    data_set.file_meta.TransferSyntaxUID = syntax
    # Without this pydicom keeps the values in the byte order that they were read in.
    data_set.set_original_encoding(None, None)
    data_set.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("syntax", ENCODINGS)
@pytest.mark.parametrize(
    "shape", [(3, 5, 7), (1, 5, 7), (8, 1, 1), (5, 3, 5), (2, 8, 8), (4, 9, 31)]
)
def test_one_bit_frames_begin_and_end_within_bytes(
    tmp_path: Path, syntax: str, shape: tuple[int, int, int]
) -> None:
    bits = np.random.default_rng(shape[0]).integers(0, 2, shape).astype(np.uint8)
    for vr in ("OW",) if syntax == ImplicitVRLittleEndian else ("OW", "OB"):
        path = make_bits(tmp_path / "a.dcm", bits, syntax, vr)
        np.testing.assert_array_equal(read_pixels(path).array, bits)
        for index, frame in enumerate(iter_frames(path)):
            np.testing.assert_array_equal(frame, bits[index])
        for index in range(shape[0]):
            np.testing.assert_array_equal(read_pixels(path, index).array[0], bits[index])
            picture = np.asarray(opened(render_image(path, index, size=max(shape[1:]))))
            assert picture.shape == shape[1:]


def test_one_bit_frames_are_pictures_and_a_volume(tmp_path: Path) -> None:
    bits = np.random.default_rng(1).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    path = make_bits(tmp_path / "a.dcm", bits, ExplicitVRLittleEndian)
    for index, frame in enumerate(bits):
        np.testing.assert_array_equal(np.asarray(opened(render_image(path, index))), 255 * frame)
    volume = read_volume(read_geometries([path])[0])
    np.testing.assert_array_equal(volume.array.squeeze().transpose(2, 1, 0), bits)
    with open(tmp_path / "a.npy", "wb") as file:
        write_npy(volume.geometry, file)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy").squeeze().transpose(2, 1, 0), bits)


def test_one_bit_frames_that_are_not_there(tmp_path: Path) -> None:
    """105 bits need 14 bytes: a frame more is not made of padding, or of what comes behind."""
    bits = np.ones((3, 5, 7), np.uint8)
    path = make_bits(
        tmp_path / "a.dcm", bits, ExplicitVRLittleEndian, NumberOfFrames=4,
        DataSetTrailingPadding=b"\xff" * 64,
    )  # fmt: skip
    np.testing.assert_array_equal(read_pixels(path, 2).array[0], bits[2])
    with pytest.raises(CorruptPixelsError, match="ends early"):
        read_pixels(path, 3)


@needs_shared
def test_a_segmentation_is_read_frame_by_frame() -> None:
    assert SHARED is not None
    path = SHARED / "derived" / "data" / "segmentations" / "liver.dcm"
    expected = pydicom.dcmread(path).pixel_array
    np.testing.assert_array_equal(read_pixels(path).array, expected)
    np.testing.assert_array_equal(read_pixels(path, 2).array[0], expected[2])


# The cells of a sample of 12 bits in 16, by the place of its highest bit.
SAMPLES = np.array([[0, 1, 2047], [2048, 4094, 4095]], np.uint16)


@pytest.mark.parametrize("high", [11, 12, 14, 15])
@pytest.mark.parametrize("noise", [0, 0xFFFF])
def test_high_bit_tells_where_in_a_cell_the_sample_lies(
    tmp_path: Path, high: int, noise: int
) -> None:
    """PS3.5 8.1.1 has just this as an example; the other bits are no data."""
    shift = high - 11
    mask = 0xFFF << shift
    cells = (SAMPLES << shift) | np.uint16(noise & ~mask & 0xFFFF)
    path = make_image(tmp_path / "a.dcm", cells, BitsStored=12, HighBit=high)
    np.testing.assert_array_equal(read_pixels(path).array[0], SAMPLES)
    drawn = dcmtk.picture(path, "+Ww", "2048", "4096")
    ours = np.asarray(opened(render_image(path)))
    assert drawn[0, 0] == ours[0, 0] == 0
    np.testing.assert_array_equal(read_volume(read_geometries([path])[0]).array[..., 0].T, SAMPLES)


@pytest.mark.parametrize("syntax", ENCODINGS)
def test_high_samples_are_signed(tmp_path: Path, syntax: str) -> None:
    samples = np.array([[-2048, -1, 0], [1, 1000, 2047]], np.int16)
    cells = samples << 4
    written = cells.byteswap() if syntax == ExplicitVRBigEndian else cells
    path = make_image(tmp_path / "a.dcm", written, syntax, BitsStored=12, HighBit=15)
    np.testing.assert_array_equal(read_pixels(path).array[0], samples)
    np.testing.assert_array_equal(read_volume(read_geometries([path])[0]).array[..., 0].T, samples)


@pytest.mark.parametrize("high", [None, 0, 5, 10, 16, 200])
def test_a_high_bit_that_cannot_be_is_that_of_the_lowest_bits(
    tmp_path: Path, high: int | None
) -> None:
    path = make_image(tmp_path / "a.dcm", SAMPLES, BitsStored=12, HighBit=high)
    np.testing.assert_array_equal(read_pixels(path).array[0], SAMPLES)


def test_high_bit_of_compressed_cells(tmp_path: Path) -> None:
    """Cells that were compressed whole keep it; a codestream of the samples alone has no room."""
    cells = SAMPLES << 4
    high = {"BitsStored": 12, "HighBit": 15}
    for syntax, frame in (
        (RLE, rle_frame(cells)),
        (LOSSLESS_SV1, jpeg(cells, bits=16, predictor=1)),
        (LOSSLESS_SV1, jpeg(SAMPLES, bits=12, predictor=1)),
        (J2K_LOSSLESS, j2k(cells)),
        (J2K_LOSSLESS, j2k(SAMPLES, 12)),
    ):
        path = make_encoded(tmp_path / "a.dcm", [frame], cells, syntax, **high)
        np.testing.assert_array_equal(read_pixels(path).array[0], SAMPLES)


def with_syntax(path: Path, syntax: str, **elements: Any) -> Path:
    """The file as it is, with another transfer syntax in its meta information."""
    before = pydicom.dcmread(path).file_meta.TransferSyntaxUID
    raw = path.read_bytes()
    old, new = (each.encode() + bytes(len(each) % 2) for each in (before, syntax))
    start = raw.index(b"\x02\x00\x10\x00UI")
    head = raw[:start] + b"\x02\x00\x10\x00UI" + len(new).to_bytes(2, "little") + new
    length = int.from_bytes(raw[140:144], "little") + len(new) - len(old)
    head = head[:140] + length.to_bytes(4, "little") + head[144:]
    path.write_bytes(head + raw[start + 8 + len(old) :])
    return path


ASKED = [read_pixels, describe_pixels, render_image, lambda path: read_geometries([path])]


@pytest.mark.parametrize("n_frames", [1, 3])
@pytest.mark.parametrize("bits", [8, 16])
def test_undefined_length_under_a_native_syntax_is_an_error(
    tmp_path: Path, bits: int, n_frames: int
) -> None:
    """Never pixels: item tags would be the first of them."""
    frame = np.full((2, 2), 7, f"u{bits // 8}")
    path = make_encoded(tmp_path / "a.dcm", [rle_frame(frame)] * n_frames, frame, RLELossless)
    with_syntax(path, ExplicitVRLittleEndian)
    for ask in ASKED:
        with pytest.raises(CorruptPixelsError, match=r"undefined length.*Explicit VR Little End"):
            ask(path)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless, "1.2.840.10008.1.2.4.50"])
@pytest.mark.parametrize("shape", [(2, 2), (3, 4, 5)])
def test_defined_length_under_a_compressed_syntax_is_an_error(
    tmp_path: Path, syntax: str, shape: tuple[int, ...]
) -> None:
    path = with_syntax(make_image(tmp_path / "a.dcm", np.zeros(shape, np.uint16)), syntax)
    for ask in ASKED:
        with pytest.raises(CorruptPixelsError, match=r"length of \d+ bytes.*wants fragments"):
            ask(path)


@pytest.mark.parametrize("syntax", ENCODINGS)
def test_undefined_length_in_every_native_encoding(tmp_path: Path, syntax: str) -> None:
    """pydicom does not write such files: the length is put in by hand."""
    path = make_image(tmp_path / "a.dcm", np.full((8, 8), 3, np.uint16), syntax)
    whole = path.read_bytes()
    start = 144 + int.from_bytes(whole[140:144], "little")
    meta, data_set = whole[:start], whole[start:]
    is_deflated = syntax == DeflatedExplicitVRLittleEndian
    data_set = zlib.decompress(data_set, -15) if is_deflated else data_set
    value = data_set[-128:]
    assert value == np.full(64, 3, np.uint16).tobytes()
    data_set = data_set[:-132] + b"\xff\xff\xff\xff" + encapsulate([value])
    data_set += b"\xfe\xff\xdd\xe0\0\0\0\0"
    if is_deflated:
        packer = zlib.compressobj(wbits=-15)
        data_set = packer.compress(data_set) + packer.flush()
    path.write_bytes(meta + data_set)
    for ask in ASKED:
        with pytest.raises(CorruptPixelsError, match=r"undefined length.* one of the two is wrong"):
            ask(path)


def test_what_lies_behind_the_pixel_data_is_no_pixel(tmp_path: Path) -> None:
    """A length that is too short: the bytes after it are of another element."""
    path = make_image(
        tmp_path / "a.dcm", np.zeros((4, 4), np.uint8), Rows=8,
        DataSetTrailingPadding=b"NAME" * 20,
    )  # fmt: skip
    with pytest.raises(CorruptPixelsError, match="ends early"):
        read_pixels(path)


@pytest.mark.parametrize(
    ("rows", "columns"), [(0, 4), (4, 0), (None, 4), (65_535, 65_535), (65_535, 1), (1, 65_535)]
)
def test_sizes_that_the_pixel_data_does_not_have(
    tmp_path: Path, rows: int | None, columns: int
) -> None:
    path = make_image(tmp_path / "a.dcm", np.zeros((4, 4), np.uint8), Rows=rows, Columns=columns)
    with pytest.raises(CorruptPixelsError, match=r"missing, or no number above 0|ends early"):
        next(iter_frames(path))


@pytest.mark.parametrize("samples", [2, 4, 5])
def test_other_numbers_of_samples_are_not_read(tmp_path: Path, samples: int) -> None:
    path = make_image(tmp_path / "a.dcm", np.zeros((4, 20), np.uint8), SamplesPerPixel=samples)
    with pytest.raises(CorruptPixelsError, match=f"SamplesPerPixel is {samples}"):
        read_pixels(path)


@pytest.mark.parametrize("is_planar", [False, True])
def test_colours_by_pixel_and_by_plane(tmp_path: Path, is_planar: bool) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (2, 5, 7, 3)).astype(np.uint8)
    written = np.moveaxis(colours, 3, 1) if is_planar else colours
    path = make_image(
        tmp_path / "a.dcm", np.zeros((2, 5, 7), np.uint8), SamplesPerPixel=3,
        PhotometricInterpretation="RGB", PlanarConfiguration=int(is_planar),
        PixelData=None,
    )  # fmt: skip
    data_set = pydicom.dcmread(path)
    data_set.PixelData = written.tobytes()
    data_set.save_as(path)
    np.testing.assert_array_equal(read_pixels(path).array, colours)


@pytest.mark.parametrize("is_subsampled", [False, True])
def test_ybr_full_422_with_and_without_all_its_samples(tmp_path: Path, is_subsampled: bool) -> None:
    """pydicom's arithmetic, for what it reads: of full samples it says what to change."""
    path = make_image(
        tmp_path / "a.dcm", np.zeros((2, 4, 6), np.uint8), SamplesPerPixel=3,
        PhotometricInterpretation="YBR_FULL_422", PlanarConfiguration=0,
    )  # fmt: skip
    data_set = pydicom.dcmread(path)
    values = np.random.default_rng(2).integers(0, 256, (2, 4, 6, 2 if is_subsampled else 3))
    data_set.PixelData = values.astype(np.uint8).tobytes()
    data_set.save_as(path)
    if not is_subsampled:
        data_set.PhotometricInterpretation = "YBR_FULL"
    np.testing.assert_array_equal(read_pixels(path).array, data_set.pixel_array)


@pytest.mark.parametrize("is_subsampled", [False, True])
def test_ybr_partial_422_is_what_dcmtk_draws(tmp_path: Path, is_subsampled: bool) -> None:
    """Retired, and in old ultrasound. Its range is that of CCIR 601-2 (PS3.3 C.7.6.3.1.2)."""
    path = make_image(
        tmp_path / "a.dcm", np.zeros((2, 6), np.uint8), SamplesPerPixel=3,
        PhotometricInterpretation="YBR_PARTIAL_422", PlanarConfiguration=0,
    )  # fmt: skip
    data_set = pydicom.dcmread(path)
    values = np.random.default_rng(2).integers(16, 236, (2, 6, 2)).astype(np.uint8)
    data_set.PixelData = values.tobytes()
    data_set.save_as(path)
    drawn = dcmtk.picture(path).astype(int)
    if not is_subsampled:
        pairs = values.reshape(-1, 4)
        data_set.PixelData = pairs[:, [0, 2, 3, 1, 2, 3]].tobytes()
        data_set.save_as(path)
    pixels = read_pixels(path)
    assert pixels.photometric_interpretation == "RGB"
    # dcmtk counts with factors of four digits, and cuts.
    assert np.abs(pixels.array[0] - drawn).max() <= 2
    assert render_image(path)


def test_hue_saturation_and_value_are_what_dcmtk_draws(tmp_path: Path) -> None:
    """Retired (PS3.3 of 2004, C.7.6.3.1.2)."""
    path = make_image(
        tmp_path / "a.dcm", np.zeros((32, 32), np.uint8), SamplesPerPixel=3,
        PhotometricInterpretation="HSV", PlanarConfiguration=0,
    )  # fmt: skip
    data_set = pydicom.dcmread(path)
    values = np.random.default_rng(2).integers(0, 256, (32, 32, 3)).astype(np.uint8)
    data_set.PixelData = values.tobytes()
    data_set.save_as(path)
    # dcmtk divides the hue by 256, others by 255.
    difference = np.abs(read_pixels(path).array[0].astype(int) - dcmtk.picture(path))
    assert difference.max() <= 6


def test_pixels_of_an_unknown_vr_are_little_endian(tmp_path: Path) -> None:
    """In a big endian file, too (PS3.5 6.2.2)."""
    path = make_image(tmp_path / "a.dcm", np.array([[1, 2], [3, 770]], np.uint16))
    data_set = pydicom.dcmread(path)
    data_set["PixelData"].VR = "UN"
    data_set.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    data_set.set_original_encoding(None, None)
    data_set.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(read_pixels(path).array[0], [[1, 2], [3, 770]])


@pytest.mark.parametrize("bits", [8, 16])
def test_the_big_endian_pixels_of_ge_are_those_of_dcmtk(tmp_path: Path, bits: int) -> None:
    """The private transfer syntax 1.2.840.113619.5.2, which DCMTK and GDCM know."""
    values = np.arange(5, 105, dtype=f"u{bits // 8}").reshape(4, 25)
    values[0, 0] = (1 << bits) - 1
    stored = values.astype(">u2") if bits == 16 else values.ravel().view("u2").byteswap()
    words = [(2, 1), (16, 4), (17, 25), (256, bits), (257, bits), (258, bits - 1), (259, 0)]
    elements = [IMPLICIT.element(0x00280000 | tag, "US", IMPLICIT.words(n)) for tag, n in words]
    elements.insert(1, IMPLICIT.element(0x00280004, "CS", b"MONOCHROME2 "))
    elements.append(IMPLICIT.element(0x00280301, "CS", b"NO"))
    elements.append(IMPLICIT.element(0x7FE00010, "OW", stored.tobytes()))
    data_set = IMPLICIT.identity() + b"".join(elements)
    path = write(tmp_path / "ge.dcm", "1.2.840.113619.5.2", data_set)
    dcmtk.run("dcmconv", "+te", path, tmp_path / "plain.dcm")
    expected = pydicom.dcmread(tmp_path / "plain.dcm").pixel_array
    np.testing.assert_array_equal(expected, values)
    for found in (read_pixels(path).array, *iter_frames(path)):
        np.testing.assert_array_equal(found.reshape(values.shape), expected)
    with path.open("rb") as file, open_image(path) as image:
        description = describe_pixels(path)
        frames = raw_frames(image, PixelLayout(image, rescaled=False).format, description)
        for frame in frames or ():
            np.testing.assert_array_equal(frame.read(file), expected)
    # Its pixels are not looked through for what may lie beside the samples.
    with pytest.raises(BurnedInError, match="GE"):
        write_deidentified(path, str(tmp_path / "out.dcm"), Replacements({}, {}))
