"""Compressed images that the tests make, with encoders of imagecodecs."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from pydicom._uid_dict import UID_dictionary
from pydicom.encaps import encapsulate
from pydicom.uid import UID

from tests.support.make import make_data_set, save

BASELINE, EXTENDED, SPECTRAL, PROGRESSIVE, LOSSLESS, LOSSLESS_SV1 = (
    f"1.2.840.10008.1.2.4.{number}" for number in (50, 51, 53, 55, 57, 70)
)
JPEG_LS, NEAR_LOSSLESS, J2K_LOSSLESS, J2K, HTJ2K, HTJ2K_RPCL, HTJ2K_LOSSY = (
    f"1.2.840.10008.1.2.4.{number}" for number in (80, 81, 90, 91, 201, 202, 203)
)
JPEG_XL, JPEG_XL_RECOMPRESSED, JPEG_XL_LOSSY = (
    f"1.2.840.10008.1.2.4.{number}" for number in (110, 111, 112)
)
RLE, DEFLATED, UNCOMPRESSED = (f"1.2.840.10008.1.2.{each}" for each in ("5", "8.1", "1.98"))


KNOWN_TO_PYDICOM = {UID(each) for each in UID_dictionary}


def jpeg(array: Any, *, bits: int = 8, predictor: int | None = None) -> bytes:
    """JPEG, lossless where a predictor is given; the components are left as they are."""
    space = "GRAYSCALE" if array.ndim == 2 else "RGB"
    options = {} if predictor is None else {"lossless": True, "predictor": predictor}
    return bytes(
        imagecodecs.jpeg8_encode(
            array, 95, colorspace=space, outcolorspace=space, bitspersample=bits, **options
        )
    )


def j2k(array: Any, bits: int | None = None, **options: Any) -> bytes:
    """A JPEG 2000 codestream without loss."""
    given = {"codecformat": "J2K", "reversible": True, "mct": False} | options
    return bytes(imagecodecs.jpeg2k_encode(array, bitspersample=bits, **given))


def pack_bits(plane: bytes) -> bytes:
    """A segment of RLE, of literal runs alone."""
    parts = [plane[start : start + 128] for start in range(0, len(plane), 128)]
    packed = b"".join(bytes((len(part) - 1,)) + part for part in parts)
    return packed + bytes(len(packed) % 2)


def rle(segments: Sequence[bytes]) -> bytes:
    """A frame of RLE with these segments."""
    starts = np.cumsum([64, *map(len, segments)])[: len(segments)]
    header = struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(segments)))
    return header + b"".join(segments)


def rle_frame(array: Any) -> bytes:
    """A frame of RLE (PS3.5 G): for each sample its bytes, the highest first."""
    samples = [array] if array.ndim == 2 else [array[..., each] for each in range(3)]
    width = array.dtype.itemsize
    return rle(
        [
            pack_bits(np.ascontiguousarray(sample.astype(f">u{width}")).view("u1")
                      .reshape(-1, width)[:, byte].tobytes())
            for sample in samples
            for byte in range(width)
        ]
    )  # fmt: skip


def make_compressed(
    path: Path, frames: Sequence[bytes], like: Any, syntax: str, **elements: Any
) -> Path:
    """An image of these compressed frames, whose header fits an array like `like`.

    `fragments`, `has_table`: as pydicom's `encapsulate` has them; `value`: the pixel data's value
    instead.
    """
    value = elements.pop("value", None)
    options = {
        "fragments_per_frame": elements.pop("fragments", 1),
        "has_bot": elements.pop("has_table", True),
    }
    like = np.asarray(like)
    is_colour, bits = like.ndim == 3, 8 * like.dtype.itemsize
    defaults = {
        "Rows": like.shape[0],
        "Columns": like.shape[1],
        "BitsAllocated": bits,
        "BitsStored": bits,
        "HighBit": elements.get("BitsStored", bits) - 1,
        "PixelRepresentation": int(like.dtype.kind == "i"),
        "SamplesPerPixel": 3 if is_colour else 1,
        "PhotometricInterpretation": "RGB" if is_colour else "MONOCHROME2",
        "PlanarConfiguration": 0 if is_colour else None,
        "NumberOfFrames": len(frames) if len(frames) != 1 else None,
    }
    data_set = make_data_set(**(defaults | elements))
    data_set.PixelData = encapsulate(list(frames), **options) if value is None else value
    data_set["PixelData"].VR = "OB"
    data_set["PixelData"].is_undefined_length = True
    if syntax in KNOWN_TO_PYDICOM:
        return save(data_set, path, syntax)
    raw = save(data_set, path, UNCOMPRESSED).read_bytes()
    path.write_bytes(with_syntax(raw, syntax))
    return path


def with_syntax(raw: bytes, syntax: str) -> bytes:
    """A file with another TransferSyntaxUID, also one that pydicom does not know and not write."""
    group_length = struct.unpack_from("<I", raw, 140)[0]
    element = raw.index(b"\x02\x00\x10\x00UI")
    length = struct.unpack_from("<H", raw, element + 6)[0]
    value = syntax.encode() + bytes(len(syntax) % 2)
    return b"".join(
        (
            raw[:140],
            struct.pack("<I", group_length + len(value) - length),
            raw[144 : element + 6],
            struct.pack("<H", len(value)),
            value,
            raw[element + 8 + length :],
        )
    )
