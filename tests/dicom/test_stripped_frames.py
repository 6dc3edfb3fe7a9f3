"""Compressed pixel data of files without identities: the picture, and nothing beside it."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.encaps import generate_frames

from dicom_graph.dicom.confidentiality.deidentify import (
    BurnedInError,
    Replacements,
    identifiers_of,
    write_deidentified,
)
from dicom_graph.dicom.errors import PixelError
from dicom_graph.dicom.pixels.arrays import read_pixels
from dicom_graph.dicom.pixels.codestream import read_codestream, stripped_frame
from dicom_graph.dicom.pixels.decoding import decode_frame
from dicom_graph.dicom.pixels.frame_format import read_format
from tests.dicom import encoded
from tests.dicom.encoded import jpeg, make_compressed, pack_bits, rle
from tests.support.data import pydicom_files

SECRET = b"zaphod beeblebrox"
GREY = (np.arange(32 * 24).reshape(32, 24) * 5 % 251).astype(np.uint8)
DEEP = (np.arange(32 * 24).reshape(32, 24) * 37 % 4096).astype(np.uint16)


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def after_start(*segments: bytes) -> Callable[[bytes], bytes]:
    return lambda stream: stream[:2] + b"".join(segments) + stream[2:]


def before_scan(stream: bytes) -> bytes:
    place = stream.index(b"\xff\xda")
    return stream[:place] + segment(0xFE, SECRET) + stream[place:]


def behind(stream: bytes) -> bytes:
    return stream + SECRET


def in_main_header(stream: bytes) -> bytes:
    place = stream.index(b"\xff\x90")
    return (
        stream[:place] + struct.pack(">HHH", 0xFF64, len(SECRET) + 4, 1) + SECRET + stream[place:]
    )


def in_tile_header(stream: bytes) -> bytes:
    """A comment in the first tile-part, whose length is told as it then is."""
    place = stream.index(b"\xff\x90")
    (length,) = struct.unpack_from(">I", stream, place + 6)
    comment = struct.pack(">HHH", 0xFF64, len(SECRET) + 4, 1) + SECRET
    told = struct.pack(">I", length + len(comment))
    head = stream[place : place + 6] + told + stream[place + 10 : place + 12]
    return stream[:place] + head + comment + stream[place + 12 :]


def in_pointers(stream: bytes) -> bytes:
    """In TLM and PLM, and in a segment that nobody knows."""
    place = stream.index(b"\xff\x90")
    kinds = (0xFF55, 0xFF57, 0xFF30)
    made = [struct.pack(">HH", kind, len(SECRET) + 2) + SECRET for kind in kinds]
    return stream[:place] + b"".join(made) + stream[place:]


def jp2(stream: bytes) -> bytes:
    """In a JP2 file with boxes of XML and of a UUID around the codestream."""
    rows, columns = GREY.shape
    image = box(b"ihdr", struct.pack(">IIHBBBB", rows, columns, 1, 7, 7, 0, 0))
    return b"".join(
        (
            box(b"jP  ", b"\r\n\x87\n"), box(b"ftyp", b"jp2 \0\0\0\0jp2 "), box(b"jp2h", image),
            box(b"xml ", SECRET), box(b"jp2c", stream), box(b"uuid", bytes(16) + SECRET),
        )
    )  # fmt: skip


def jxl(stream: bytes) -> bytes:
    container = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a" + box(b"ftyp", b"jxl \0\0\0\0jxl ")
    half = len(stream) // 2
    parts = (b"\0\0\0\0" + stream[:half], b"\x80\0\0\1" + stream[half:])
    return b"".join(
        (container, box(b"Exif", SECRET), *(box(b"jxlp", part) for part in parts),
         box(b"jbrd", SECRET))
    )  # fmt: skip


SEGMENTS = [pack_bits(GREY.tobytes())]
LONGER = [pack_bits(GREY.tobytes() + SECRET)]
STREAMS: dict[str, tuple[str, bytes, Callable[[bytes], bytes]]] = {
    "JPEG comment": (encoded.BASELINE, jpeg(GREY), after_start(segment(0xFE, SECRET))),
    "JPEG comment before a scan": (encoded.BASELINE, jpeg(GREY), before_scan),
    "JPEG Exif": (encoded.BASELINE, jpeg(GREY), after_start(segment(0xE1, b"Exif\0\0" + SECRET))),
    "JFIF with a thumbnail": (
        encoded.BASELINE, jpeg(GREY),
        after_start(segment(0xE0, b"JFIF\0\1\2\0\0\1\0\1\3\2" + SECRET + b"!"),
                    segment(0xE0, b"JFXX\0\x10" + SECRET)),
    ),
    "JPEG Adobe with more": (
        encoded.BASELINE, jpeg(GREY), after_start(segment(0xEE, b"Adobe\0d\0\0\0\0\0" + SECRET)),
    ),
    "JPEG ICC": (
        encoded.LOSSLESS_SV1, jpeg(DEEP, bits=12, predictor=1),
        after_start(segment(0xE2, b"ICC_PROFILE\0\1\1" + SECRET)),
    ),
    "behind a JPEG": (encoded.LOSSLESS_SV1, jpeg(GREY, predictor=1), behind),
    "JPEG-LS comment": (
        encoded.JPEG_LS, bytes(imagecodecs.jpegls_encode(GREY)),
        after_start(segment(0xFE, SECRET)),
    ),
    "SPIFF directory": (
        encoded.JPEG_LS, bytes(imagecodecs.jpegls_encode(GREY)),
        after_start(
            segment(0xE8, b"SPIFF\0\2\0\0\1" + struct.pack(">II", *GREY.shape) + b"\x08\x08\6\2"
                    + SECRET[:8]),
            segment(0xE8, b"\0\0\0\x04" + SECRET), segment(0xE8, b"\0\0\0\1\xff\xd8"),
        ),
    ),
    "JPEG extensions": (
        encoded.BASELINE, jpeg(GREY), after_start(segment(0xF5, SECRET), segment(0xEB, SECRET)),
    ),
    "behind a JPEG-LS": (encoded.JPEG_LS, bytes(imagecodecs.jpegls_encode(GREY)), behind),
    "JPEG 2000 comment": (encoded.J2K_LOSSLESS, encoded.j2k(GREY), in_main_header),
    "JPEG 2000 tile comment": (encoded.J2K_LOSSLESS, encoded.j2k(GREY), in_tile_header),
    "JPEG 2000 pointers": (encoded.J2K_LOSSLESS, encoded.j2k(GREY), in_pointers),
    "JP2 boxes": (encoded.J2K, encoded.j2k(GREY), jp2),
    "behind a JPEG 2000": (encoded.J2K, encoded.j2k(GREY), behind),
    "JPEG XL boxes": (
        encoded.JPEG_XL, bytes(imagecodecs.jpegxl_encode(GREY, lossless=True)), jxl,
    ),
    "behind an RLE segment": (encoded.RLE, rle(SEGMENTS), behind),
    "in an RLE segment": (encoded.RLE, rle(LONGER), lambda stream: stream),
    "in the header of RLE": (
        encoded.RLE, rle(SEGMENTS), lambda stream: stream[:32] + SECRET + stream[32 + 17 :],
    ),
    "behind a deflated frame": (encoded.UNCOMPRESSED, GREY.tobytes(), behind),
}  # fmt: skip


def deidentified(path: Path, target: Path) -> Any:
    found = identifiers_of(path)
    names = Replacements(
        uids={text: f"2.25.{number}" for number, text in enumerate(found.uids)},
        patients=dict.fromkeys(found.patients, "someone"),
    )
    write_deidentified(path, str(target), names)
    return dcmread(target)


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_keeps_its_picture_alone(tmp_path: Path, name: str) -> None:
    syntax, stream, hide = STREAMS[name]
    hidden = hide(stream)
    like = DEEP if "ICC" in name else GREY
    bits = {"BitsStored": 12} if "ICC" in name else {}
    source = make_compressed(tmp_path / "source.dcm", [hidden], like, syntax, **bits)
    assert SECRET[:8] in source.read_bytes()
    deidentified(source, tmp_path / "target.dcm")
    content = (tmp_path / "target.dcm").read_bytes()
    assert SECRET[:8] not in content
    found = read_pixels(tmp_path / "target.dcm").array
    plain = make_compressed(tmp_path / "plain.dcm", [stream], like, syntax, **bits)
    np.testing.assert_array_equal(found, read_pixels(plain).array)


def test_what_lies_around_the_fragments_is_left_out(tmp_path: Path) -> None:
    """In the offset table, in fragments of no frame, and behind each frame of several."""
    frames = [jpeg(GREY, predictor=1), jpeg(255 - GREY, predictor=1)]
    table = SECRET + bytes(3)
    items = [table, *(frame + bytes(len(frame) % 2) for frame in frames), SECRET + b"!"]
    value = b"".join(b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item for item in items)
    value += b"\xfe\xff\xdd\xe0" + bytes(4)
    source = make_compressed(
        tmp_path / "a.dcm", frames, GREY, encoded.LOSSLESS_SV1, value=value,
        ExtendedOffsetTable=SECRET[:16], ExtendedOffsetTableLengths=SECRET[:16],
    )  # fmt: skip
    made = deidentified(source, tmp_path / "b.dcm")
    assert SECRET[:8] not in (tmp_path / "b.dcm").read_bytes()
    assert len(list(generate_frames(made.PixelData, number_of_frames=2))) == 2
    np.testing.assert_array_equal(made.pixel_array[1], 255 - GREY)


def padded(array: Any, bits: int) -> Any:
    """Something in one of the bits above the samples."""
    changed = array.copy()
    changed[3:9, 4:8] |= 1 << bits
    return changed


def as_rle(array: Any) -> bytes:
    return encoded.rle_frame(array)


DEPTHS: dict[str, tuple[str, Callable[[Any], bytes]]] = {
    "RLE": (encoded.RLE, as_rle),
    "JPEG lossless": (encoded.LOSSLESS_SV1, lambda array: jpeg(array, bits=16, predictor=1)),
    "JPEG-LS": (encoded.JPEG_LS, lambda array: bytes(imagecodecs.jpegls_encode(array))),
    "JPEG 2000": (encoded.J2K_LOSSLESS, lambda array: encoded.j2k(array, 16)),
}


@pytest.mark.parametrize("bit", [12, 15])
@pytest.mark.parametrize("name", DEPTHS)
def test_an_overlay_in_bits_above_the_samples_is_refused(
    tmp_path: Path, name: str, bit: int
) -> None:
    syntax, encode = DEPTHS[name]
    clean = make_compressed(tmp_path / "clean.dcm", [encode(DEEP)], DEEP, syntax, BitsStored=12)
    made = deidentified(clean, tmp_path / "a.dcm")
    np.testing.assert_array_equal(made.pixel_array, DEEP)
    frames = [encode(DEEP), encode(padded(DEEP, bit))]
    dirty = make_compressed(tmp_path / "dirty.dcm", frames, DEEP, syntax, BitsStored=12)
    with pytest.raises(BurnedInError, match="more than the samples"):
        deidentified(dirty, tmp_path / "b.dcm")
    assert not (tmp_path / "b.dcm").exists()


def test_an_overlay_below_samples_at_the_top_is_refused(tmp_path: Path) -> None:
    high = {"BitsStored": 12, "HighBit": 15}
    clean = make_compressed(tmp_path / "clean.dcm", [as_rle(DEEP << 4)], DEEP, encoded.RLE, **high)
    np.testing.assert_array_equal(
        read_pixels(clean).array[0], DEEP,
    )  # fmt: skip
    deidentified(clean, tmp_path / "a.dcm")
    dirty = make_compressed(
        tmp_path / "dirty.dcm", [as_rle(padded(DEEP << 4, 0))], DEEP, encoded.RLE, **high
    )
    with pytest.raises(BurnedInError):
        deidentified(dirty, tmp_path / "b.dcm")


@pytest.mark.parametrize("extended", [True, False])
def test_the_sign_of_signed_samples_is_no_overlay(tmp_path: Path, extended: bool) -> None:
    values = (DEEP.astype(np.int16) - 2048).astype("<i2")
    bits = values.view("<u2") if extended else values.view("<u2") & 0x0FFF
    source = make_compressed(tmp_path / "a.dcm", [as_rle(bits)], values, encoded.RLE, BitsStored=12)
    deidentified(source, tmp_path / "b.dcm")
    np.testing.assert_array_equal(read_pixels(tmp_path / "b.dcm").array[0], values)


def test_streams_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    video, broken = "1.2.840.10008.1.2.4.102", SECRET * 20
    for syntax in (video, encoded.BASELINE, encoded.J2K, "1.2.3.4.5"):
        source = make_compressed(tmp_path / "a.dcm", [broken], GREY, syntax)
        with pytest.raises(PixelError):
            deidentified(source, tmp_path / "b.dcm")


def test_streams_of_real_files_decode_to_the_same() -> None:
    """Those in pydicom's wheel: each frame, with its comments gone, by the same decoder."""
    seen = set()
    for path in pydicom_files():
        source = dcmread(path, force=True)
        syntax = source.file_meta.get("TransferSyntaxUID")
        if "PixelData" not in source or syntax is None or not syntax.is_encapsulated:
            continue
        number = int(source.get("NumberOfFrames") or 1)
        frames = list(generate_frames(source.PixelData, number_of_frames=number))
        for frame in frames:
            try:
                layout = read_format(source, "PixelData")
                want, _ = decode_frame(frame, syntax, layout)
            except PixelError:
                continue
            stream = read_codestream(frame, syntax, source.SamplesPerPixel)
            bare = stripped_frame(frame, stream, source.Rows, source.Columns)
            np.testing.assert_array_equal(decode_frame(bare, syntax, layout)[0], want, path.name)
            seen.add(str(syntax))
    assert len(seen) >= 7
