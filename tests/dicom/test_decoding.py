"""Frames of each transfer syntax: what was put in comes out; what contradicts the header does not.

The encoders are those of imagecodecs, or dcmtk's; the values are numpy's.
"""

import io
import re
import zlib
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import generate_frames

from dicom_graph.dicom.errors import CorruptPixelsError, UnsupportedSyntaxError
from dicom_graph.dicom.pixels.arrays import describe_pixels, read_pixels
from dicom_graph.dicom.pixels.codestream import read_codestream
from tests.dicom.encoded import (
    BASELINE,
    DEFLATED,
    EXTENDED,
    HTJ2K,
    HTJ2K_LOSSY,
    HTJ2K_RPCL,
    J2K,
    J2K_LOSSLESS,
    JPEG_LS,
    JPEG_XL,
    JPEG_XL_LOSSY,
    JPEG_XL_RECOMPRESSED,
    LOSSLESS,
    LOSSLESS_SV1,
    NEAR_LOSSLESS,
    PROGRESSIVE,
    RLE,
    UNCOMPRESSED,
    j2k,
    jpeg,
    make_compressed,
    rle_frame,
)
from tests.support import dcmtk
from tests.support.slices import make_image

ROWS, COLUMNS = 37, 29


def grey(bits: int, dtype: type = np.uint16, *, seed: int = 1) -> np.ndarray:
    """Noise on a ramp, from the lowest value of so many bits to the highest."""
    low, high = (0, 1 << bits) if np.dtype(dtype).kind == "u" else (-(1 << bits - 1), 1 << bits - 1)
    values = np.random.default_rng(seed).integers(low, high, (ROWS, COLUMNS))
    values[0, :2] = low, high - 1
    return values.astype(dtype)


def smooth(bits: int = 8, samples: int = 1) -> np.ndarray:
    """A picture that a lossy codec keeps nearly as it is."""
    y, x = np.mgrid[:64, :48] / 64
    planes = [(np.sin(3 * x + each) * np.cos(2 * y) + 1) / 2 for each in range(samples)]
    picture = (np.stack(planes, -1) * ((1 << bits) - 1)).astype(
        np.uint8 if bits == 8 else np.uint16
    )
    return picture[..., 0] if samples == 1 else picture


COLOURS = np.random.default_rng(3).integers(0, 256, (ROWS, COLUMNS, 3)).astype(np.uint8)
COLOURS_16 = np.random.default_rng(4).integers(0, 65_536, (ROWS, COLUMNS, 3)).astype(np.uint16)


def jls(array: np.ndarray, level: int = 0) -> bytes:
    return bytes(imagecodecs.jpegls_encode(array, level, out=4 * array.nbytes + 1000))


def by_pillow(array: np.ndarray, **options: object) -> bytes:
    """JPEG 2000 without loss, in tiles, in layers, or in the boxes of a JP2 file."""
    given = {"irreversible": False, "no_jp2": True, "mct": 0} | options
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, "JPEG2000", **given)
    return buffer.getvalue()


def htj2k(array: np.ndarray) -> bytes:
    return bytes(imagecodecs.htj2k_encode(array, reversible=True))


def jxl(array: np.ndarray, **options: object) -> bytes:
    return bytes(imagecodecs.jpegxl_encode(array, lossless=True, **options))


def deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


LOSSLESS_CASES = {
    "jpeg-8": (grey(8, np.uint8), LOSSLESS_SV1, lambda a: jpeg(a, predictor=1), 8),
    "jpeg-12": (grey(12), LOSSLESS, lambda a: jpeg(a, bits=12, predictor=4), 12),
    "jpeg-16": (grey(16), LOSSLESS_SV1, lambda a: jpeg(a, bits=16, predictor=1), 16),
    "jpeg-rgb": (COLOURS, LOSSLESS_SV1, lambda a: jpeg(a, predictor=1), 8),
    "jpeg-rgb-16": (COLOURS_16, LOSSLESS, lambda a: jpeg(a, bits=16, predictor=6), 16),
    "jpeg-ls-8": (grey(8, np.uint8), JPEG_LS, jls, 8),
    "jpeg-ls-16": (grey(16), JPEG_LS, jls, 16),
    "jpeg-ls-rgb": (COLOURS, JPEG_LS, jls, 8),
    "j2k-8": (grey(8, np.uint8), J2K_LOSSLESS, j2k, 8),
    "j2k-12": (grey(12), J2K_LOSSLESS, lambda a: j2k(a, 12), 12),
    "j2k-signed": (grey(16, np.int16), J2K, j2k, 16),
    "j2k-rgb": (COLOURS, J2K_LOSSLESS, j2k, 8),
    "j2k-rct": (COLOURS, J2K_LOSSLESS, lambda a: j2k(a, mct=True), 8),
    "j2k-tiles": (grey(8, np.uint8), J2K, lambda a: by_pillow(a, tile_size=(16, 16)), 8),
    "jp2-layers": (COLOURS, J2K, lambda a: by_pillow(a, no_jp2=False, quality_layers=[2, 1]), 8),
    "htj2k-8": (grey(8, np.uint8), HTJ2K, htj2k, 8),
    "htj2k-16": (grey(16), HTJ2K_RPCL, htj2k, 16),
    "htj2k-signed": (grey(16, np.int16), HTJ2K, htj2k, 16),
    "htj2k-rgb": (COLOURS, HTJ2K_LOSSY, htj2k, 8),
    "jpeg-xl-8": (grey(8, np.uint8), JPEG_XL, jxl, 8),
    "jpeg-xl-12": (grey(12), JPEG_XL, lambda a: jxl(a, bitspersample=12), 12),
    "jpeg-xl-16": (grey(16), JPEG_XL_LOSSY, lambda a: jxl(a, usecontainer=True), 16),
    "jpeg-xl-rgb": (COLOURS, JPEG_XL, jxl, 8),
    "jpeg-xl-bare": (COLOURS_16, JPEG_XL, lambda a: jxl(a, usecontainer=False), 16),
    "rle-8": (grey(8, np.uint8), RLE, rle_frame, 8),
    "rle-16": (grey(16), RLE, rle_frame, 16),
    "rle-signed": (grey(12, np.int16), RLE, rle_frame, 12),
    "rle-32": (grey(32, np.uint32), RLE, rle_frame, 32),
    "rle-rgb": (COLOURS, RLE, rle_frame, 8),
    "deflated": (grey(16), DEFLATED, lambda a: deflate(a.tobytes()), 16),
    "deflated-rgb": (COLOURS, DEFLATED, lambda a: deflate(a.tobytes()), 8),
    "uncompressed": (grey(12, np.int16), UNCOMPRESSED, lambda a: a.tobytes(), 12),
}


@pytest.mark.parametrize("case", LOSSLESS_CASES)
def test_what_was_put_in_comes_out(tmp_path: Path, case: str) -> None:
    array, syntax, encode, bits = LOSSLESS_CASES[case]
    frames = [encode(array), encode(array[::-1].copy())]
    path = make_compressed(tmp_path / "a.dcm", frames, array, syntax, BitsStored=bits)
    pixels = read_pixels(path, rescaled=False)
    assert pixels.array.dtype == array.dtype
    np.testing.assert_array_equal(pixels.array, [array, array[::-1]])
    described = describe_pixels(path)
    assert described.shape == pixels.array.shape
    assert described.transfer_syntax_name != syntax


def negatives(n_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Signed values, and the bits that they are as unsigned ones."""
    values = grey(n_bits, np.int16)
    return values, values.view(np.uint16) & ((1 << n_bits) - 1)


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (LOSSLESS_SV1, lambda a, bits: jpeg(a, bits=bits, predictor=1)),
        (JPEG_LS, lambda a, bits: jls(a)),
        (J2K_LOSSLESS, lambda a, bits: j2k(a, bits)),
        (JPEG_XL, lambda a, bits: jxl(a, bitspersample=bits)),
    ],
    ids=["jpeg", "jpeg-ls", "j2k", "jpeg-xl"],
)
def test_signed_values_in_a_codestream_of_unsigned_ones(
    tmp_path: Path, syntax: str, encode: object, bits: int
) -> None:
    values, as_bits = negatives(bits)
    frame = encode(as_bits, bits)  # type: ignore[operator]
    path = make_compressed(tmp_path / "a.dcm", [frame], values, syntax, BitsStored=bits)
    np.testing.assert_array_equal(read_pixels(path).array[0], values)


def test_overlays_above_the_bits_stored_are_cleared_in_every_syntax(tmp_path: Path) -> None:
    stored = grey(12)
    cells = stored | 0x3000
    encoders = {
        LOSSLESS_SV1: lambda: jpeg(cells, bits=16, predictor=1), JPEG_LS: lambda: jls(cells),
        J2K_LOSSLESS: lambda: j2k(cells), HTJ2K: lambda: htj2k(cells), JPEG_XL: lambda: jxl(cells),
        RLE: lambda: rle_frame(cells), DEFLATED: lambda: deflate(cells.tobytes()),
    }  # fmt: skip
    for syntax, encode in encoders.items():
        path = make_compressed(tmp_path / "a.dcm", [encode()], cells, syntax, BitsStored=12)
        np.testing.assert_array_equal(read_pixels(path).array[0], stored, err_msg=syntax)


@pytest.mark.parametrize("bits", [8, 12])
def test_jpeg_extended(tmp_path: Path, bits: int) -> None:
    """12 bits are dcmtk's to the last bit, and near to what was put in."""
    array = smooth(bits)
    path = make_compressed(
        tmp_path / "a.dcm", [jpeg(array, bits=bits)], array, EXTENDED, BitsStored=bits
    )
    found = read_pixels(path).array[0]
    np.testing.assert_array_equal(found, dcmtk.decompressed(path).pixel_array)
    assert np.abs(found.astype(int) - array).max() <= 1 << (bits - 7)


@pytest.mark.parametrize("option", ["+ee", "+ep", "+es", "+el", "+e1"])
def test_every_process_of_jpeg_that_dcmtk_writes(tmp_path: Path, option: str) -> None:
    """Extended, progressive, spectral selection, lossless, lossless with prediction 1."""
    plain = make_image(tmp_path / "plain.dcm", smooth())
    dcmtk.run("dcmcjpeg", option, plain, tmp_path / "a.dcm")
    expected = dcmtk.decompressed(tmp_path / "a.dcm").pixel_array
    np.testing.assert_array_equal(read_pixels(tmp_path / "a.dcm").array[0], expected)


@pytest.mark.parametrize("command", ["dcmcrle", "dcmcjpls"])
def test_what_dcmtk_compresses_without_loss(tmp_path: Path, command: str) -> None:
    for name, array in (("grey", grey(12, np.int16)), ("rgb", COLOURS)):
        plain = make_image(tmp_path / f"{name}.dcm", array)
        dcmtk.run(command, plain, tmp_path / "a.dcm")
        np.testing.assert_array_equal(read_pixels(tmp_path / "a.dcm").array[0], array)


def test_a_jpeg_that_jpeg_xl_compressed_again(tmp_path: Path) -> None:
    """Of colours in YBR its decoder makes RGB."""
    picture = smooth(samples=3)
    whole = bytes(imagecodecs.jpeg8_encode(picture, 95))
    frame = bytes(imagecodecs.jpegxl_encode_jpeg(whole, usecontainer=True))
    path = make_compressed(
        tmp_path / "a.dcm", [frame], picture, JPEG_XL_RECOMPRESSED,
        PhotometricInterpretation="YBR_FULL_422",
    )  # fmt: skip
    pixels = read_pixels(path)
    assert pixels.photometric_interpretation == "RGB"
    assert np.abs(pixels.array[0].astype(int) - picture).max() < 16


@pytest.mark.parametrize("told", ["YBR_ICT", "YBR_RCT", "YBR_PARTIAL_420", "RGB"])
def test_a_jpeg_under_the_colour_space_of_another_coding(tmp_path: Path, told: str) -> None:
    """What a conversion from JPEG 2000 leaves in the header; JFIF says that it is YCbCr."""
    written = io.BytesIO()
    Image.fromarray(smooth(samples=3)).save(written, "jpeg", quality=95, subsampling=0)
    frame = written.getvalue() + bytes(len(written.getvalue()) % 2)
    path = make_compressed(
        tmp_path / "a.dcm", [frame], smooth(samples=3), BASELINE, PhotometricInterpretation=told
    )
    decoded = np.asarray(Image.open(written)).astype(int)
    assert np.abs(read_pixels(path).array[0].astype(int) - decoded).max() <= 2


def test_near_lossless_is_near(tmp_path: Path) -> None:
    array = grey(8, np.uint8)
    path = make_compressed(tmp_path / "a.dcm", [jls(array, 3)], array, NEAR_LOSSLESS)
    assert np.abs(read_pixels(path).array[0].astype(int) - array).max() <= 3


def test_a_jpeg_ls_stream_under_a_syntax_of_jpeg(tmp_path: Path) -> None:
    array = grey(8, np.uint8)
    path = make_compressed(tmp_path / "a.dcm", [jls(array)], array, LOSSLESS_SV1)
    np.testing.assert_array_equal(read_pixels(path).array[0], array)


ENCODED = {
    BASELINE: lambda a: jpeg(a), LOSSLESS_SV1: lambda a: jpeg(a, predictor=1), JPEG_LS: jls,
    J2K_LOSSLESS: j2k, HTJ2K: htj2k, JPEG_XL: jxl,
}  # fmt: skip


@pytest.mark.parametrize("syntax", ENCODED)
@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"Rows": 38}, "37 rows, 29 columns"),
        ({"Columns": 28}, "37 rows, 29 columns"),
        ({"Rows": 29, "Columns": 37}, "37 rows, 29 columns"),
        ({"SamplesPerPixel": 3, "PlanarConfiguration": 0}, "1 sample a pixel"),
        ({"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}, "8 bits a sample"),
    ],
    ids=["rows", "columns", "turned", "samples", "bits"],
)
def test_a_codestream_that_contradicts_the_header_is_not_decoded(
    tmp_path: Path, syntax: str, changed: dict[str, int], told: str
) -> None:
    array = grey(8, np.uint8)
    path = make_compressed(tmp_path / "a.dcm", [ENCODED[syntax](array)], array, syntax, **changed)
    with pytest.raises(CorruptPixelsError, match=told):
        read_pixels(path)


@pytest.mark.parametrize("syntax", [J2K_LOSSLESS, HTJ2K, JPEG_XL, JPEG_LS, LOSSLESS_SV1])
def test_more_bits_than_a_cell_has(tmp_path: Path, syntax: str) -> None:
    encoders = ENCODED | {LOSSLESS_SV1: lambda a: jpeg(a, bits=16, predictor=1)}
    array = grey(8, np.uint8)
    frame = encoders[syntax](grey(16))
    path = make_compressed(tmp_path / "a.dcm", [frame], array, syntax)
    with pytest.raises(CorruptPixelsError, match="16 bits a sample, BitsAllocated is 8"):
        read_pixels(path)


@pytest.mark.parametrize("syntax", [*ENCODED, RLE, DEFLATED, UNCOMPRESSED])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.97])
def test_a_frame_that_is_cut_short_is_an_error(tmp_path: Path, syntax: str, share: float) -> None:
    """Never pixels: libjpeg would fill up what is missing, silently."""
    encoders = ENCODED | {
        RLE: rle_frame, DEFLATED: lambda a: deflate(a.tobytes()), UNCOMPRESSED: np.ndarray.tobytes,
    }  # fmt: skip
    array = grey(8, np.uint8)
    whole = encoders[syntax](array)
    cut = whole[: int(len(whole) * share) // 2 * 2]
    path = make_compressed(tmp_path / "a.dcm", [cut or b"\0\0"], array, syntax)
    with pytest.raises(CorruptPixelsError, match="frame 0"):
        read_pixels(path)


@pytest.mark.parametrize("syntax", [*ENCODED, EXTENDED, "colour", "restarts"])
def test_a_frame_that_is_cut_short_and_ends_with_an_end_marker(tmp_path: Path, syntax: str) -> None:
    """As a program writes that mends the end alone. The whole frame is what it was."""
    array, told = grey(8, np.uint8), {}
    if syntax == "colour":
        array, syntax = COLOURS, BASELINE
        whole = jpeg(array)
    elif syntax == "restarts":
        syntax, written = BASELINE, io.BytesIO()
        Image.fromarray(array).save(written, "jpeg", quality=95, restart_marker_blocks=2)
        whole = written.getvalue()
        assert b"\xff\xd3" in whole
    elif syntax == EXTENDED:
        array, told = grey(12), {"BitsStored": 12}
        whole = jpeg(array, bits=12)
    else:
        whole = ENCODED[syntax](array)
    path = tmp_path / "a.dcm"
    pixels = read_pixels(make_compressed(path, [whole], array, syntax, **told))
    assert pixels.array[0].shape == array.shape
    data = whole.removesuffix(b"\xff\xd9")
    begin = data.rfind(b"\xff\xda") + 14
    restarts = [match.start() for match in re.finditer(rb"\xff[\xd0-\xd7]", data[begin:])][::7]
    middle = (len(data) - begin) // 2
    for kept in (middle, len(data) - begin - 8, *restarts, *(each + 2 for each in restarts)):
        frame = data[: begin + kept] + b"\xff\xd9"
        make_compressed(path, [frame + b"\0" * (len(frame) % 2)], array, syntax, **told)
        with pytest.raises(CorruptPixelsError, match="frame 0"):
            read_pixels(path)


@pytest.mark.parametrize("syntax", [BASELINE, LOSSLESS_SV1])
def test_that_a_jpeg_frame_lacks_nothing_is_found_out_once(
    tmp_path: Path, syntax: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, decoded = imagecodecs.jpeg8_decode, []

    def counted(data: bytes, **options: object) -> object:
        decoded.append(data)
        return decode(data, **options)

    monkeypatch.setattr(imagecodecs, "jpeg8_decode", counted)
    array = grey(8, np.uint8, seed=int(syntax[-1]) + 90)
    frame = ENCODED[syntax](array)
    path = make_compressed(tmp_path / "a.dcm", [frame], array, syntax)
    first = read_pixels(path).array
    assert len(decoded) == 2
    np.testing.assert_array_equal(read_pixels(path).array, first)
    assert len(decoded) == 3
    cut = frame[:-30] + b"\xff\xd9"
    make_compressed(path, [cut + b"\0" * (len(cut) % 2)], array, syntax)
    for _ in range(2):
        with pytest.raises(CorruptPixelsError, match="cut short"):
            read_pixels(path)


def test_a_progressive_jpeg_that_lacks_scans_or_parts_of_them(tmp_path: Path) -> None:
    """Cut between its scans it would be a picture of less detail (ISO 10918-1 G.1); the whole one
    is what Pillow decodes.
    """
    written = io.BytesIO()
    Image.fromarray(smooth()).save(written, "jpeg", quality=95, progressive=True)
    whole = written.getvalue()
    path = tmp_path / "a.dcm"
    make_compressed(path, [whole + b"\0" * (len(whole) % 2)], smooth(), PROGRESSIVE)
    np.testing.assert_array_equal(read_pixels(path).array[0], np.asarray(Image.open(written)))
    starts = [match.start() for match in re.finditer(b"\xff\xda", whole)]
    assert len(starts) > 4
    tables = [whole.rfind(b"\xff\xc4", 0, start) for start in starts]
    missing = [whole[:table] + b"\xff\xd9" for table in tables[1:]]
    # In each scan but the last, which the test above cuts, some bytes are lost.
    lost = [whole[: table - 6] + whole[table:] for table in tables[1:]]
    for frame in (*missing, *lost):
        make_compressed(path, [frame + b"\0" * (len(frame) % 2)], smooth(), PROGRESSIVE)
        with pytest.raises(CorruptPixelsError, match="cut short"):
            read_pixels(path)


def test_a_jpeg_without_one_of_its_components(tmp_path: Path) -> None:
    """Cut between the scans of its components (ISO 10918-1 B.2.3)."""
    plain = make_image(tmp_path / "plain.dcm", COLOURS)
    dcmtk.run("dcmcjpeg", "+e1", plain, tmp_path / "whole.dcm")
    header = dcmread(tmp_path / "whole.dcm")
    (frame,) = generate_frames(header.PixelData, number_of_frames=1)
    found = read_codestream(frame, LOSSLESS_SV1, 3)
    assert found.component_ids
    scan = frame.index(b"\xff\xda")
    cut = frame[: scan + 4] + b"\1" + frame[scan + 5 : scan + 7] + frame[scan + 11 :]
    with pytest.raises(CorruptPixelsError, match="scans are missing"):
        read_codestream(cut, LOSSLESS_SV1, 3)


@pytest.mark.parametrize("syntax", [BASELINE, LOSSLESS_SV1, JPEG_LS])
def test_a_whole_frame_whose_end_marker_is_missing(tmp_path: Path, syntax: str) -> None:
    array = smooth()
    frame = ENCODED[syntax](array)
    assert frame.endswith(b"\xff\xd9")
    whole = make_compressed(tmp_path / "whole.dcm", [frame], array, syntax)
    path = make_compressed(tmp_path / "a.dcm", [frame[:-2]], array, syntax)
    np.testing.assert_array_equal(read_pixels(path).array, read_pixels(whole).array)


@pytest.mark.parametrize("expanded", [0.5, 1.5, 1000.0])
def test_rle_segments_expand_to_the_pixels_and_no_more(tmp_path: Path, expanded: float) -> None:
    array = np.zeros((64, 64), np.uint8)
    n_runs = int(64 * 64 * expanded) // 128
    frame = rle_frame(array)[:64] + b"\x81\x00" * n_runs
    path = make_compressed(tmp_path / "a.dcm", [frame], array, RLE)
    with pytest.raises(CorruptPixelsError):
        read_pixels(path)


@pytest.mark.parametrize("n_bytes", [100, 64 * 64 - 1, 64 * 64 + 2, 50_000_000])
def test_a_deflated_frame_holds_the_pixels_and_no_more(tmp_path: Path, n_bytes: int) -> None:
    path = make_compressed(
        tmp_path / "a.dcm", [deflate(bytes(n_bytes))], np.zeros((64, 64), np.uint8), DEFLATED
    )
    relation = "less" if n_bytes < 64 * 64 else "more"
    with pytest.raises(CorruptPixelsError, match=f"holds {relation} than 4096 bytes"):
        read_pixels(path)


def test_one_bit_frames_of_deflated_and_other_syntaxes(tmp_path: Path) -> None:
    """Each frame begins with a byte of its own here, unlike in native pixel data."""
    bits = np.random.default_rng(5).integers(0, 2, (3, 5, 7)).astype(np.uint8)
    packed = [np.packbits(frame, bitorder="little").tobytes() for frame in bits]
    one_bit = {"BitsAllocated": 1, "BitsStored": 1, "HighBit": 0}
    for syntax, frames in (
        (DEFLATED, [deflate(frame) for frame in packed]),
        (UNCOMPRESSED, packed),
        (J2K_LOSSLESS, [j2k(frame, 1) for frame in bits]),
    ):
        path = make_compressed(tmp_path / "a.dcm", frames, bits[0], syntax, **one_bit)
        np.testing.assert_array_equal(read_pixels(path).array, bits, err_msg=syntax)


@pytest.mark.parametrize("number", [52, 54, 56, 58, 61, 65, 66, 92, 94, 100, 107, 204])
def test_syntaxes_that_are_not_decoded_say_so(tmp_path: Path, number: int) -> None:
    syntax = f"1.2.840.10008.1.2.4.{number}"
    path = make_compressed(tmp_path / "a.dcm", [b"\0\0"], np.zeros((2, 2), np.uint8), syntax)
    for ask in (read_pixels, describe_pixels):
        with pytest.raises(UnsupportedSyntaxError, match=syntax):
            ask(path)
