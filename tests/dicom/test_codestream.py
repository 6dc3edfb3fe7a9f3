"""What compressed frames say of themselves, against headers of pydicom's files and by hand."""

import struct

import imagecodecs
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.data import get_testdata_file
from pydicom.encaps import generate_frames

from dicom_graph.dicom.errors import CorruptPixelsError, UnsupportedSyntaxError
from dicom_graph.dicom.pixels.codestream import Coding, coding_of, frame_precision, read_codestream

JPEG, LOSSLESS, JPEG_LS, J2K, HTJ2K, JPEG_XL, RLE = (
    f"1.2.840.10008.1.2.{each}" for each in ("4.50", "4.70", "4.80", "4.90", "4.201", "4.110", "5")
)
FILES = (
    "JPEG-lossy.dcm", "JPEG2000.dcm", "GDCMJ2K_TextGBR.dcm", "JPEGLSNearLossless_16.dcm",
    "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm", "SC_rgb_jls_lossy_line.dcm",
    "SC_rgb_dcmtk_+eb+cy+s4.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_rgb_small_odd_jpeg.dcm",
    "SC_rgb_rle_16bit.dcm", "examples_ybr_color.dcm", "rtdose_rle.dcm",
)  # fmt: skip


def sof(marker: int, rows: int, columns: int, precision: int = 8, samples: int = 1) -> bytes:
    """A frame header segment of JPEG or JPEG-LS."""
    body = struct.pack(">BHHB", precision, rows, columns, samples)
    body += b"".join(bytes((number + 1, 0x11, 0)) for number in range(samples))
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(*parts: bytes) -> bytes:
    return b"\xff\xd8" + b"".join(parts) + b"\xff\xd9"


SCAN = segment(0xDA, b"\1\1\0\0\x3f\0") + b"\x12\xff\x00\x34\xff\xd0\x56"


@pytest.mark.parametrize("name", FILES)
def test_it_agrees_with_the_header(name: str) -> None:
    data_set = get_testdata_file(name, read=True)
    assert isinstance(data_set, Dataset)
    n_frames = int(data_set.get("NumberOfFrames") or 1)
    syntax = data_set.file_meta.TransferSyntaxUID
    for frame in generate_frames(data_set.PixelData, number_of_frames=n_frames):
        found = read_codestream(frame, syntax, data_set.SamplesPerPixel)
        assert found.samples == data_set.SamplesPerPixel
        assert found.precision == data_set.BitsStored
        if found.coding is not Coding.RLE:
            assert (found.rows, found.columns) == (data_set.Rows, data_set.Columns)


@pytest.mark.parametrize("marker", [0xC0, 0xC1, 0xC2, 0xC3, 0xF7])
def test_jpeg_frame_header_is_found_behind_other_segments(marker: int) -> None:
    thumbnail = jpeg(sof(0xC0, 9, 9), SCAN)
    stream = jpeg(
        segment(0xE0, b"JFIF\0" + thumbnail),
        segment(0xFE, b"\xff\xc0"),
        sof(marker, 5, 7, 12),
        SCAN,
    )
    found = read_codestream(stream, LOSSLESS)
    assert (found.rows, found.columns, found.samples, found.precision) == (5, 7, 1, 12)
    assert found.coding is (Coding.JPEG_LS if marker == 0xF7 else Coding.JPEG)
    assert frame_precision(stream, JPEG_LS) == 12


@pytest.mark.parametrize(
    "stream",
    [
        jpeg(sof(0xC3, 5, 7), SCAN, sof(0xC3, 60_000, 60_000), SCAN),
        jpeg(sof(0xC0, 5, 7), sof(0xC0, 5, 7), SCAN),
        jpeg(sof(0xC1, 5, 7), SCAN, segment(0xDC, b"\xff\xff")),
        jpeg(sof(0xC1, 0, 7), SCAN, segment(0xDC, b"\0\5")),
        jpeg(segment(0xDE, sof(0xC0, 5, 7)[4:]), sof(0xC0, 5, 7), SCAN),
        jpeg(segment(0xF8, b"\4\4\0\1\0\0\0\1\0\0"), sof(0xF7, 0, 0), SCAN),
        jpeg(SCAN, sof(0xC0, 5, 7)),
        jpeg(),
        b"\xff\xd8\xff\xc0\0",
        b"\xff\xd8\xff\xc0\0\0",
        b"",
    ],
    ids=[
        "second-after-a-scan", "second-before-it", "lines-redefined", "lines-later",
        "hierarchical", "oversize", "scan-first", "empty", "cut", "length-0", "nothing",
    ],
)  # fmt: skip
def test_jpeg_that_contradicts_itself_is_refused(stream: bytes) -> None:
    with pytest.raises(CorruptPixelsError):
        read_codestream(stream, LOSSLESS)


def siz(
    rows: int, columns: int, *, samples: int = 1, depth: int = 8, signed: bool = False,
    tile: tuple[int, int] | None = None, offset: int = 0, capabilities: int = 0,
) -> bytes:  # fmt: skip
    """The main header of a JPEG 2000 codestream."""
    height, width = tile or (rows + offset, columns + offset)
    body = struct.pack(
        ">H8IH", capabilities, columns + offset, rows + offset, offset, offset, width, height, 0, 0,
        samples,
    )  # fmt: skip
    body += bytes((depth - 1 | signed << 7, 1, 1)) * samples
    return b"\xff\x4f" + segment(0x51, body)


def cod(layers: int = 1, levels: int = 5, precincts: bytes = b"") -> bytes:
    body = bytes((bool(precincts), 0)) + struct.pack(">H", layers)
    return segment(0x52, body + bytes((0, levels, 4, 4, 0, 1)) + precincts)


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + kind + content


def jp2(rows: int, columns: int, samples: int, stream: bytes, more: bytes = b"") -> bytes:
    header = box(b"ihdr", struct.pack(">IIHBBBB", rows, columns, samples, 7, 7, 0, 0))
    signature = box(b"jP  ", b"\r\n\x87\n") + box(b"ftyp", b"jp2 \0\0\0\0jp2 ")
    return signature + box(b"jp2h", header + more) + box(b"jp2c", stream)


@pytest.mark.parametrize("offset", [0, 3])
@pytest.mark.parametrize("is_htj2k", [False, True])
def test_jpeg_2000(offset: int, is_htj2k: bool) -> None:
    stream = siz(5, 7, samples=3, depth=12, signed=True, offset=offset, capabilities=is_htj2k << 14)
    for frame in (stream + cod(), jp2(5, 7, 3, stream + cod())):
        found = read_codestream(frame, HTJ2K if is_htj2k else J2K)
        assert (found.rows, found.columns, found.samples, found.precision) == (5, 7, 3, 12)
        assert found.is_signed
        assert found.has_high_throughput is is_htj2k
        assert frame[found.start : found.end] == stream + cod()


@pytest.mark.parametrize(
    "frame",
    [
        jp2(50_000, 50_000, 1, siz(5, 7)),
        jp2(5, 7, 3, siz(5, 7)),
        jp2(5, 7, 1, siz(5, 7), box(b"pclr", b"\x04\x00\x03\x07\x07\x07" + bytes(3072))),
        jp2(5, 7, 1, b""),
        siz(5, 7, samples=0),
        siz(5000, 5000, tile=(1, 1)),
        siz(5, 7, tile=(0, 7)),
        siz(5, 7)[:30],
        siz(5, 7) + cod(levels=33),
        b"\xff\x4f\xff\x52",
    ],
    ids=[
        "ihdr-size", "ihdr-samples", "palette", "no-codestream", "no-samples", "many-tiles",
        "no-tile-size", "cut", "levels", "no-siz",
    ],
)  # fmt: skip
def test_jpeg_2000_that_contradicts_itself_is_refused(frame: bytes) -> None:
    with pytest.raises(CorruptPixelsError):
        read_codestream(frame, J2K)


def test_jpeg_2000_tells_what_tiles_layers_and_precincts_cost() -> None:
    plain = read_codestream(siz(512, 512) + cod(), J2K).overhead_bytes
    assert plain < 1 << 20
    for costly in (
        siz(512, 512, tile=(4, 4)) + cod(),
        siz(512, 512) + cod(layers=65_535, precincts=b"\x44" * 6),
        siz(512, 512) + cod(precincts=b"\0" * 6),
    ):
        assert read_codestream(costly, J2K).overhead_bytes > 100 * plain
    in_a_tile = segment(0x90, struct.pack(">HIBB", 0, 0, 0, 1)) + cod(precincts=b"\0" * 6)
    assert read_codestream(siz(512, 512) + cod() + in_a_tile, J2K).overhead_bytes > 100 * plain


@pytest.mark.parametrize("is_lossless", [True, False])
@pytest.mark.parametrize("samples", [1, 3])
@pytest.mark.parametrize(
    "size", [(1, 1), (8, 8), (8, 256), (64, 128), (90, 60), (255, 257), (1200, 1000), (33, 5000)]
)
def test_jpeg_xl(size: tuple[int, int], samples: int, is_lossless: bool) -> None:
    """Sizes have several forms: short ones, and columns told as a ratio to the rows."""
    array = np.zeros((*size, samples) if samples > 1 else size, np.uint8)
    for has_container in (False, True):
        frame = imagecodecs.jpegxl_encode(
            array, lossless=is_lossless, distance=None if is_lossless else 1.0, effort=1,
            usecontainer=has_container,
        )  # fmt: skip
        found = read_codestream(bytes(frame), JPEG_XL)
        assert (found.rows, found.columns, found.samples, found.precision) == (*size, samples, 8)


@pytest.mark.parametrize("bits", [9, 10, 12, 16])
def test_jpeg_xl_of_more_bits(bits: int) -> None:
    array = np.arange(64, dtype=np.uint16).reshape(8, 8)
    frame = bytes(imagecodecs.jpegxl_encode(array, lossless=True, bitspersample=bits))
    assert frame_precision(frame, JPEG_XL) == bits


def test_jpeg_xl_that_is_no_frame_of_an_image() -> None:
    animation = imagecodecs.jpegxl_encode(np.zeros((3, 8, 8, 3), np.uint8), lossless=True)
    with_alpha = imagecodecs.jpegxl_encode(np.zeros((8, 8, 4), np.uint8), lossless=True)
    for frame in (bytes(animation), bytes(with_alpha), b"\xff\x0a", b"\xff\x0a\x7f"):
        with pytest.raises(CorruptPixelsError, match="JPEG XL"):
            read_codestream(frame, JPEG_XL)


def test_streams_of_endless_segments_are_given_up() -> None:
    for frame, syntax in (
        (b"\xff\xd8" + b"\xff\xfe\0\2" * 1_000_000, JPEG),
        (siz(5, 7) + b"\xff\x64\0\2" * 1_000_000, J2K),
        (box(b"jP  ", b"\r\n\x87\n") + box(b"free", b"") * 1_000_000, J2K),
    ):
        with pytest.raises(CorruptPixelsError, match="over"):
            read_codestream(frame, syntax)


def rle(offsets: list[int], n_segments: int, size: int) -> bytes:
    header = [n_segments, *offsets, *[0] * (15 - len(offsets))]
    return struct.pack("<16I", *header) + bytes(size)


def test_rle_has_a_segment_for_each_byte_of_a_sample() -> None:
    assert frame_precision(rle([64, 70], 2, 10), RLE) == 16
    assert frame_precision(rle([64, 66, 68], 3, 10), RLE, 3) == 8
    for wrong in (
        rle([64], 0, 10), rle([64], 16, 10), rle([64, 70], 2, 2), rle([64, 20], 2, 10), bytes(10),
    ):  # fmt: skip
        with pytest.raises(CorruptPixelsError):
            read_codestream(wrong, RLE)
    with pytest.raises(CorruptPixelsError, match="not right for 3 samples"):
        read_codestream(rle([64, 70], 2, 10), RLE, 3)


def test_a_frame_of_another_coding_is_refused_by_name() -> None:
    with pytest.raises(CorruptPixelsError, match="is JPEG 2000, and not JPEG as"):
        read_codestream(siz(5, 7), JPEG)
    with pytest.raises(CorruptPixelsError, match="is JPEG, and not JPEG 2000"):
        read_codestream(jpeg(sof(0xC0, 5, 7)), J2K)
    with pytest.raises(CorruptPixelsError, match="something else"):
        read_codestream(b"GIF89a", JPEG_XL)


def test_syntaxes_without_a_coding_are_unsupported() -> None:
    for syntax in ("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.102", "1.2.3"):
        assert coding_of(syntax) is None
        with pytest.raises(UnsupportedSyntaxError):
            read_codestream(jpeg(), syntax)
