"""Small image files that ask a decoder for much more than they hold, or for something else."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

from tests.dicom.encoded import (
    BASELINE,
    DEFLATED,
    HTJ2K,
    J2K_LOSSLESS,
    JPEG_LS,
    JPEG_XL,
    LOSSLESS_SV1,
    RLE,
    j2k,
    jpeg,
    make_compressed,
    rle,
)
from tests.dicom.test_codestream import box, cod, jp2, segment, siz, sof
from tests.support.slices import make_image

SMALL = np.zeros((64, 64), np.uint8)
HUGE = 65_500
Make = Callable[[Path], Path]
_JPEG_SIZE = struct.pack(">HH", 64, 64)


def claiming(stream: bytes, rows: int = HUGE, columns: int = HUGE) -> bytes:
    """A JPEG or JPEG-LS stream of 64 × 64 pixels that claims to have others."""
    place = stream.index(_JPEG_SIZE)
    return stream[:place] + struct.pack(">HH", rows, columns) + stream[place + 4 :]


def jls(array: Any) -> bytes:
    return bytes(imagecodecs.jpegls_encode(array, out=10_000))


def j2k_claiming(stream: bytes, place: int, value: int) -> bytes:
    """A JPEG 2000 codestream with another number in its SIZ segment."""
    return stream[:place] + struct.pack(">I", value) + stream[place + 4 :]


def bomb() -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(bytes(200 << 20)) + packer.flush()


def of(frame: Callable[[], bytes], syntax: str, **elements: Any) -> Make:
    """An image of 64 × 64 pixels by its header, with one such frame."""
    return lambda path: make_compressed(path, [frame()], SMALL, syntax, **elements)


def lossless() -> bytes:
    return jpeg(SMALL, predictor=1)


def after_soc(stream: bytes, more: bytes) -> bytes:
    """A codestream whose coding style (COD) is another."""
    start = stream.index(b"\xff\x52")
    end = start + 2 + struct.unpack_from(">H", stream, start + 2)[0]
    return stream[:start] + more + stream[end:]


def tile_part(stream: bytes, more: bytes) -> bytes:
    """A codestream whose first tile has a header segment of its own."""
    start = stream.index(b"\xff\x90")
    length = struct.unpack_from(">I", stream, start + 6)[0]
    length = length + len(more) if length else 0
    head = stream[: start + 6] + struct.pack(">I", length) + stream[start + 10 : start + 12]
    return head + more + stream[start + 12 :]


def one_tile(stream: bytes, size: int) -> bytes:
    """A JPEG 2000 codestream of one tile that claims so many rows and columns."""
    for place in (8, 12, 24, 28):
        stream = j2k_claiming(stream, place, size)
    return stream


SIZE_IN_HEADER = {"Rows": HUGE, "Columns": HUGE}
LARGE = 6000
LARGE_IN_HEADER = {"Rows": LARGE, "Columns": LARGE}
DIFFERS: dict[str, Make] = {
    "jpeg-lossless": of(lambda: claiming(lossless()), LOSSLESS_SV1),
    "jpeg-baseline": of(lambda: claiming(jpeg(SMALL)), BASELINE),
    "jpeg-ls": of(lambda: claiming(jls(SMALL)), JPEG_LS),
    "jpeg-wide": of(lambda: claiming(lossless(), 64, HUGE), LOSSLESS_SV1),
    "second-frame-header": of(
        lambda: lossless()[:-2] + sof(0xC3, HUGE, HUGE) + b"\xff\xd9", LOSSLESS_SV1
    ),
    "frame-header-first": of(
        lambda: lossless()[:2] + sof(0xC3, HUGE, HUGE) + lossless()[2:], LOSSLESS_SV1
    ),
    "lines-later": of(
        lambda: lossless()[:-2] + segment(0xDC, b"\xff\xdc") + b"\xff\xd9", LOSSLESS_SV1
    ),
    "lines-unknown": of(lambda: claiming(lossless(), 0, 64), LOSSLESS_SV1),
    "jpeg-ls-oversize": of(
        lambda: jls(SMALL)[:2] + segment(0xF8, b"\4\4" + struct.pack(">II", HUGE, HUGE))
        + jls(SMALL)[2:], JPEG_LS,
    ),
    "j2k": of(lambda: j2k_claiming(j2k_claiming(j2k(SMALL), 8, HUGE), 12, HUGE), J2K_LOSSLESS),
    "j2k-offset": of(lambda: j2k_claiming(j2k(SMALL), 8, 0xFFFFFFFF), J2K_LOSSLESS),
    "htj2k": of(
        lambda: j2k_claiming(bytes(imagecodecs.htj2k_encode(SMALL)), 12, HUGE), HTJ2K
    ),
    "jp2-box": of(lambda: jp2(HUGE, HUGE, 1, j2k(SMALL)), J2K_LOSSLESS),
    "jp2-codestream": of(
        lambda: jp2(64, 64, 1, j2k_claiming(j2k(SMALL), 8, HUGE)), J2K_LOSSLESS
    ),
    "jp2-palette": of(
        lambda: jp2(64, 64, 1, j2k(SMALL), box(b"pclr", b"\0\1\xff" + b"\x25" * 255)),
        J2K_LOSSLESS,
    ),
    "j2k-tiles": of(
        lambda: j2k_claiming(j2k_claiming(j2k(SMALL), 24, 1), 28, 1), J2K_LOSSLESS
    ),
    "j2k-components": of(lambda: siz(64, 64, samples=16_384) + cod(), J2K_LOSSLESS),
    "j2k-layers": of(
        lambda: after_soc(j2k(SMALL), cod(65_535, 6, b"\x11" * 7)), J2K_LOSSLESS
    ),
    "j2k-precincts-of-a-tile": of(
        lambda: tile_part(j2k(SMALL), cod(65_535, 5, b"\x00" * 6)), J2K_LOSSLESS
    ),
    "jpeg-xl": of(
        lambda: bytes(imagecodecs.jpegxl_encode(np.zeros((4000, 4000), np.uint8))), JPEG_XL
    ),
    "rle": of(lambda: rle([b"\x81\0" * 1_000_000]), RLE),
    "rle-segments": of(lambda: rle([b"\x81\0" * 32] * 15), RLE),
    "deflated": of(bomb, DEFLATED),
}  # fmt: skip
"""The header says 64 × 64, the frame asks for far more, or for a size told elsewhere."""

AGREES: dict[str, Make] = {
    "jpeg-lossless": of(lambda: claiming(lossless()), LOSSLESS_SV1, **SIZE_IN_HEADER),
    "jpeg-ls": of(lambda: claiming(jls(SMALL)), JPEG_LS, **SIZE_IN_HEADER),
    "j2k": of(
        lambda: j2k_claiming(j2k_claiming(j2k(SMALL), 8, HUGE), 12, HUGE), J2K_LOSSLESS,
        **SIZE_IN_HEADER,
    ),
    "rle": of(lambda: rle([b"\x81\0" * 500]), RLE, **SIZE_IN_HEADER),
    "jpeg-large": of(lambda: claiming(lossless(), LARGE, LARGE), LOSSLESS_SV1, **LARGE_IN_HEADER),
    "baseline-large": of(
        lambda: claiming(jpeg(SMALL), LARGE, LARGE), BASELINE, **LARGE_IN_HEADER
    ),
    "j2k-large": of(lambda: one_tile(j2k(SMALL), LARGE), J2K_LOSSLESS, **LARGE_IN_HEADER),
    "j2k-large-tiles": of(
        lambda: j2k_claiming(j2k_claiming(j2k(SMALL), 8, LARGE), 12, LARGE), J2K_LOSSLESS,
        **LARGE_IN_HEADER,
    ),
    "jpeg-ls-large": of(lambda: claiming(jls(SMALL), LARGE, LARGE), JPEG_LS, **LARGE_IN_HEADER),
    "rle-large": of(lambda: rle([b"\x81\0" * 500]), RLE, **LARGE_IN_HEADER),
    "deflated-large": of(lambda: zlib.compress(bytes(4096), wbits=-15), DEFLATED,
                         **LARGE_IN_HEADER),
    "native": lambda path: make_image(path, SMALL, **SIZE_IN_HEADER),
    "native-large": lambda path: make_image(path, SMALL, **LARGE_IN_HEADER),
    "one-bit": lambda path: make_image(
        path, SMALL, BitsAllocated=1, BitsStored=1, HighBit=0, **LARGE_IN_HEADER
    ),
    "frames": lambda path: make_image(path, SMALL, NumberOfFrames=2_147_483_647, Rows=32_768),
}  # fmt: skip
"""Header and frame agree on a size that the file does not hold."""
