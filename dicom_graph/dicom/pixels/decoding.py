"""Compressed frames as arrays, by imagecodecs, which has a permissive decoder for each coding.

libjpeg-turbo decodes JPEG, also of 12 bits and lossless, CharLS JPEG-LS, OpenJPEG JPEG 2000 and
HTJ2K, libjxl JPEG XL. What a codestream says of itself is held against the header first: a decoder
takes the memory that the codestream asks for.
"""

import re
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.pixels.processing import convert_color_space

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.dicom.errors import CorruptPixelsError, UnsupportedSyntaxError
from dicom_graph.dicom.pixels.codestream import (
    Codestream,
    Coding,
    coding_of,
    read_codestream,
    stripped_frame,
)
from dicom_graph.dicom.pixels.frame_format import FrameFormat
from dicom_graph.dicom.pixels.native import native_values
from dicom_graph.dicom.pixels.unused_bits import samples_alone

Array = NDArray[Any]

DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"
UNCOMPRESSED_FRAMES = "1.2.840.10008.1.2.1.98"
"""Transfer syntaxes whose fragments hold frames as native pixel data has them."""
NEW_SYNTAXES = {
    DEFLATED_FRAMES: "Deflated Image Frame Compression",
    "1.2.840.10008.1.2.4.110": "JPEG XL Lossless",
    "1.2.840.10008.1.2.4.111": "JPEG XL JPEG Recompression",
    "1.2.840.10008.1.2.4.112": "JPEG XL",
}
"""The names (PS3.6 A) of transfer syntaxes that pydicom's dictionary does not have yet."""
_UNDECODABLE = frozenset(
    f"1.2.840.10008.1.2.4.{number}"
    # Retired processes of JPEG: arithmetic coding, and hierarchical ones. JPEG 2000 Part 2.
    for number in (52, 54, 56, 58, 59, 60, 61, 62, 63, 64, 65, 66, 92, 93)
)
_YBR = ("YBR_FULL", "YBR_FULL_422")
_YBR_PARTIAL = ("YBR_PARTIAL", "YBR_PARTIAL_422")
_TO_YBR_PARTIAL = np.array(
    [[0.2568, 0.5041, 0.0979], [-0.1482, -0.2910, 0.4392], [0.4392, -0.3678, -0.0714]]
)
"""From R, G and B (PS3.3 C.7.6.3.1.2); 16, 128 and 128 are added, of 8 bits."""
_DECODED_TO_RGB = ("YBR_ICT", "YBR_RCT", "XYB")
_BASELINE, _EXTENDED, _PROGRESSIVE, _LOSSLESS = range(4)
_OVERHEAD_BYTES = 64 << 20
_OVERHEAD_PER_VALUE = 32
_RLE_EXCESS = 130
_STUFFED = b"\xff\0"
_END_OF_IMAGE = b"\xff\xd9"
_LONG_ENOUGH = 65_536
"""Bytes of a JPEG stream whose decoding takes longer than handing it to a thread."""
_FILLING = b"\xa5" * 64
"""Begins with a bit that is set, where libjpeg fills up with zeros."""
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")


def can_decode(syntax_uid: str) -> bool:
    """Whether frames of an encapsulated transfer syntax can be decoded."""
    if syntax_uid in (DEFLATED_FRAMES, UNCOMPRESSED_FRAMES):
        return True
    return coding_of(syntax_uid) is not None and syntax_uid not in _UNDECODABLE


def decode_frame(data: bytes, syntax_uid: str, layout: FrameFormat) -> tuple[Array, str]:
    """The stored values of a frame, (rows, columns[, samples]), and their colour space.

    The values have the type of the layout; the bits beyond BitsStored are cleared; colours told as
    YBR are RGB. Raises UnsupportedSyntaxError, CorruptPixelsError and MemoryError.
    """
    if syntax_uid in (DEFLATED_FRAMES, UNCOMPRESSED_FRAMES):
        if syntax_uid == DEFLATED_FRAMES:
            data = _inflated(data, -(-layout.values * layout.allocated // 8))
        return to_rgb(layout.samples_of(native_values(data, layout)), layout.photometric)
    stream = read_codestream(data, syntax_uid, layout.samples)
    check_agreement(stream, layout)
    decoded = _decoded(data, stream, layout)
    return to_rgb(_stored(decoded, stream, layout), _photometric(stream, layout))


def bare_frame_of(data: bytes, syntax_uid: str, layout: FrameFormat) -> bytes:
    """A compressed frame that holds the samples and nothing beside them.

    Raises UnsupportedSyntaxError, CorruptPixelsError where something lies in the bits beside the
    samples (an old overlay, PS3.5 8.1.1), and MemoryError.
    """
    if syntax_uid in (DEFLATED_FRAMES, UNCOMPRESSED_FRAMES):
        length = -(-layout.values * layout.allocated // 8)
        is_deflated = syntax_uid == DEFLATED_FRAMES
        bare = samples_alone(_inflated(data, length) if is_deflated else data[:length], layout)
        return _deflated(bare) if is_deflated else bare
    stream = read_codestream(data, syntax_uid, layout.samples)
    check_agreement(stream, layout)
    if stream.precision > layout.stored:
        decoded = _decoded(data, stream, layout)
        if _has_more(decoded, _stored(decoded.copy(), stream, layout), stream, layout):
            raise CorruptPixelsError(
                f"the {stream.coding} stream has something in the bits beside the samples"
            )
    return stripped_frame(data, stream, layout.rows, layout.columns)


def _has_more(decoded: Array, stored: Array, stream: Codestream, layout: FrameFormat) -> bool:
    """Whether decoded samples have more bits than those that are stored, and their sign."""
    kind = f"u{layout.dtype.itemsize}"
    below = layout.bits_below if stream.precision > layout.high else 0
    of_stream = (1 << stream.precision) - 1
    of_sample = ((1 << layout.stored) - 1) << below
    found = decoded.astype(kind) & np.array(of_stream, kind)
    extended = (np.ascontiguousarray(stored).view(kind) << below) & np.array(of_stream, kind)
    alone = extended & np.array(of_sample, kind)
    return not (np.array_equal(found, extended) or np.array_equal(found, alone))


def _decoded(data: bytes, stream: Codestream, layout: FrameFormat) -> Array:
    """The samples as they come out of the decoder. Raises CorruptPixelsError, MemoryError."""
    try:
        decoded = _DECODERS[stream.coding](data, stream, layout)
    except (CorruptPixelsError, MemoryError):
        raise
    except Exception as error:
        # Each decoder raises errors of its own.
        raise CorruptPixelsError(f"the {stream.coding} stream is broken: {error}") from error
    if decoded.shape != layout.shape:
        raise CorruptPixelsError(
            f"the {stream.coding} stream decodes to {decoded.shape}, not to {layout.shape}"
        )
    return decoded


def check_agreement(stream: Codestream, layout: FrameFormat) -> None:
    """Hold a codestream against the header. Raises CorruptPixelsError, UnsupportedSyntaxError."""
    told = (stream.rows, stream.columns, stream.samples)
    if stream.rows is None:
        told = (layout.rows, layout.columns, stream.samples)
    if told != (layout.rows, layout.columns, layout.samples):
        raise CorruptPixelsError(
            f"the {stream.coding} stream has {_size(*told)}, "
            f"the header says {_size(layout.rows, layout.columns, layout.samples)}"
        )
    is_exact = stream.coding is Coding.RLE
    if stream.precision > layout.allocated or (is_exact and stream.precision != layout.allocated):
        raise CorruptPixelsError(
            f"the {stream.coding} stream has {stream.precision} bits a sample, "
            f"BitsAllocated is {layout.allocated}"
        )
    if stream.overhead_bytes > _OVERHEAD_BYTES + _OVERHEAD_PER_VALUE * layout.values:
        raise CorruptPixelsError(
            f"the {stream.coding} stream is cut into so many tiles, layers or precincts that "
            f"decoding it takes {stream.overhead_bytes >> 20} MB beside its pixels"
        )
    if stream.process not in (_BASELINE, _EXTENDED, _PROGRESSIVE, _LOSSLESS):
        raise UnsupportedSyntaxError(f"no decoder for JPEG of the process SOF{stream.process}")


def to_rgb(values: Array, photometric: str) -> tuple[Array, str]:
    """Colours as RGB, with their colour space then; all else as it is."""
    if photometric in _YBR and values.ndim == 3:
        return np.asarray(convert_color_space(values, "YBR_FULL", "RGB")), "RGB"
    if photometric in _YBR_PARTIAL and values.ndim == 3 and values.dtype == np.uint8:
        colours = (values - np.array([16.0, 128.0, 128.0])) @ np.linalg.inv(_TO_YBR_PARTIAL).T
        return np.rint(colours).clip(0, 255).astype(np.uint8), "RGB"
    if photometric == "HSV" and values.ndim == 3 and values.dtype == np.uint8:
        # Retired; its hue goes once around in 256 steps.
        image = Image.frombytes("HSV", values.shape[1::-1], values.tobytes())
        return np.array(image.convert("RGB")), "RGB"
    return values, photometric


def _size(rows: int | None, columns: int | None, samples: int) -> str:
    return f"{rows} rows, {columns} columns and {samples} sample{'s' * (samples > 1)} a pixel"


def _stored(decoded: Array, stream: Codestream, layout: FrameFormat) -> Array:
    """The samples in the type of the layout.

    Only JPEG 2000 tells whether samples are signed, and not always right; others hold signed
    samples as the bits that they are. A codestream of whole cells keeps what HighBit says.
    """
    if decoded.dtype.kind == "f":
        raise CorruptPixelsError(f"the {stream.coding} stream has numbers that are no integers")
    width = layout.dtype.itemsize
    bits = decoded.astype(f"{decoded.dtype.kind}{width}", copy=False)
    if layout.allocated == 1:
        return bits
    is_told = decoded.dtype.kind == layout.dtype.kind
    values = np.ascontiguousarray(bits).view(layout.dtype)
    if stream.precision > layout.high:
        values = layout.samples_of(values)
    elif not is_told or stream.precision > layout.stored:
        unused = 8 * width - min(stream.precision, layout.stored)
        values = (values << unused) >> unused
    return values if values.flags.writeable else values.copy()


def _photometric(stream: Codestream, layout: FrameFormat) -> str:
    """The colour space of the decoded frame.

    A JPEG stream that names its components R, G and B, or says that it is JFIF, is believed before
    the header, as pydicom does it.
    """
    told = layout.photometric
    if layout.samples != 3:
        return told
    if stream.coding is Coding.JPEG_XL:
        return "RGB"
    if stream.coding in (Coding.JPEG, Coding.JPEG_LS):
        if bytes(stream.component_ids) in (b"RGB", b"rgb"):
            return "RGB"
        # JPEG has no partial range (ISO 10918-5), which dcmtk takes for a full one too, and not the
        # transforms of JPEG 2000: a header that tells these was left as it was.
        if told not in _YBR and (stream.is_jfif or told.startswith("YBR_PARTIAL")):
            return "YBR_FULL"
    return "RGB" if told in _DECODED_TO_RGB else told


def _jpeg(data: bytes, stream: Codestream, layout: FrameFormat) -> Array:
    # A sample takes a bit or more, of the other processes a block of 8 × 8 does.
    blocks = -(-layout.rows // 8) * -(-layout.columns // 8)
    if 8 * len(data) < (layout.values if stream.process == _LOSSLESS else blocks):
        raise CorruptPixelsError("the JPEG stream is too short for its pixels")
    # libjpeg fills up what is missing, silently, also before an end marker. If anything is, what
    # comes behind the data of a scan makes a difference. Nothing less than decoding shows that, so
    # it is done once for a frame, not each time that a window or a slice of it is asked for.
    key = len(data), hash(data)
    if _WHOLE.get(key):
        return _jpeg_components(data, layout.samples)
    filled = _filled(data, stream)
    if len(data) < _LONG_ENOUGH:
        array, other = (_jpeg_components(each, layout.samples) for each in (data, filled))
    else:
        beside = _beside().submit(_jpeg_components, filled, layout.samples)
        array = _jpeg_components(data, layout.samples)
        other = beside.result()
    if not np.array_equal(array, other):
        raise CorruptPixelsError("the JPEG stream is cut short")
    _WHOLE[key] = True
    return array


_WHOLE: BoundedCache[tuple[int, int], bool] = BoundedCache(4096)
"""JPEG streams that lack nothing, by their length and hash, which has a secret of this process."""


@cache
def _beside() -> ThreadPoolExecutor:
    """A thread that decodes beside this one: libjpeg works without Python's lock."""
    return ThreadPoolExecutor(1, "jpeg")


def _filled(data: bytes, stream: Codestream) -> bytes:
    """A JPEG stream with more data behind those of each scan.

    Some lies behind the restart marker that would be next, where the scan has any.
    """
    parts = []
    copied = 0
    for begin, end in stream.scans:
        scan = data[begin:end].rstrip(b"\xff")
        if end == len(data) and scan.endswith(b"\0") and not scan.endswith(_STUFFED):
            # That makes its length even. Data end with bits that are set (ISO 10918-1 F.1.2.3).
            scan = scan[:-1].rstrip(b"\xff")
        restart = bytes((0xFF, 0xD0 + len(_RESTART.findall(scan)) % 8))
        parts += [data[copied:begin], scan, _FILLING, restart, _FILLING]
        copied = end
    return b"".join((*parts, data[copied:] if stream.has_end else _END_OF_IMAGE))


def _jpeg_components(data: bytes, samples: int) -> Array:
    """The components as they are: the header tells what they mean."""
    space = "GRAYSCALE" if samples == 1 else "RGB"
    return np.asarray(imagecodecs.jpeg8_decode(data, colorspace=space, outcolorspace=space))


def _jpeg_ls(data: bytes, stream: Codestream, layout: FrameFormat) -> Array:
    return np.asarray(imagecodecs.jpegls_decode(data if stream.has_end else data + _END_OF_IMAGE))


def _jpeg_2000(data: bytes, stream: Codestream, layout: FrameFormat) -> Array:
    bare = data[stream.start : stream.end]
    return np.asarray(imagecodecs.jpeg2k_decode(bare, planar=False, verbose=0, numthreads=1))


def _jpeg_xl(data: bytes, stream: Codestream, layout: FrameFormat) -> Array:
    return np.asarray(imagecodecs.jpegxl_decode(data, numthreads=1))


def _rle(data: bytes, stream: Codestream, layout: FrameFormat) -> Array:
    """Each segment is a byte of a sample of all pixels, the highest byte first (PS3.5 G.2)."""
    pixels, width = layout.rows * layout.columns, layout.allocated // 8
    planes = np.empty((layout.samples, pixels, width), np.uint8)
    for number, (start, end) in enumerate(stream.segments):
        plane = imagecodecs.packbits_decode(data[start:end], out=pixels + _RLE_EXCESS)
        if len(plane) < pixels:
            raise CorruptPixelsError(f"segment {number} of the RLE frame is too short")
        sample, byte = divmod(number, width)
        planes[sample, :, byte] = np.frombuffer(plane, np.uint8, pixels)
    values = planes.view(f">u{width}").reshape(layout.samples, layout.rows, layout.columns)
    native = values.astype(f"u{width}", copy=False)
    return native[0] if layout.samples == 1 else np.moveaxis(native, 0, 2)


def _inflated(data: bytes, length: int) -> bytes:
    """The bytes of a deflated frame, maybe with one of padding. Raises CorruptPixelsError."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        inflated = inflater.decompress(data, length + 2)
    except zlib.error as error:
        raise CorruptPixelsError(f"the deflated frame is broken: {error}") from None
    if not length <= len(inflated) <= length + 1:
        relation = "less" if len(inflated) < length else "more"
        raise CorruptPixelsError(f"the deflated frame holds {relation} than {length} bytes")
    return inflated


def _deflated(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflater.compress(data) + deflater.flush()
    return deflated + bytes(len(deflated) % 2)


_DECODERS: dict[Coding, Callable[[bytes, Codestream, FrameFormat], Array]] = {
    Coding.JPEG: _jpeg,
    Coding.JPEG_LS: _jpeg_ls,
    Coding.JPEG_2000: _jpeg_2000,
    Coding.JPEG_XL: _jpeg_xl,
    Coding.RLE: _rle,
}
