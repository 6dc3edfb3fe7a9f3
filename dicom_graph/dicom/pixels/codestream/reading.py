"""Which coding a transfer syntax means, and the description of a frame in it."""

from dicom_graph.dicom.errors import CorruptPixelsError, UnsupportedSyntaxError
from dicom_graph.dicom.pixels.codestream.description import Codestream, Coding
from dicom_graph.dicom.pixels.codestream.jpeg import read_jpeg
from dicom_graph.dicom.pixels.codestream.jpeg2000 import is_jpeg_2000, read_jpeg_2000
from dicom_graph.dicom.pixels.codestream.jpegxl import is_jpeg_xl, read_jpeg_xl
from dicom_graph.dicom.pixels.codestream.rle import read_rle

_PREFIX = "1.2.840.10008.1.2."
_CODINGS = {
    "5": Coding.RLE,
    # The retired processes of JPEG too.
    **{f"4.{number}": Coding.JPEG for number in range(50, 67)},
    "4.70": Coding.JPEG,
    **{f"4.{number}": Coding.JPEG_LS for number in (80, 81)},
    **{f"4.{number}": Coding.JPEG_2000 for number in (90, 91, 92, 93, 201, 202, 203)},
    **{f"4.{number}": Coding.JPEG_XL for number in (110, 111, 112)},
}
_FAMILY = {Coding.JPEG, Coding.JPEG_LS}


def coding_of(syntax_uid: str) -> Coding | None:
    """The coding of a transfer syntax; None for native ones, for video, and for unknown ones."""
    return _CODINGS.get(str(syntax_uid).removeprefix(_PREFIX))


def read_codestream(frame: bytes, syntax_uid: str, samples: int = 1) -> Codestream:
    """What a frame of compressed pixel data (its fragments joined) says of itself.

    `samples`: SamplesPerPixel (0028,0002), which RLE does not tell. JPEG and JPEG-LS are told apart
    by the stream, as files are met that have the one's syntax and the other's bytes.

    Raises UnsupportedSyntaxError for a syntax that is not one of `Coding`, and CorruptPixelsError
    where the frame is not what its syntax says, or contradicts itself.
    """
    coding = coding_of(syntax_uid)
    if coding is None:
        raise UnsupportedSyntaxError(f"frames of the transfer syntax {syntax_uid} are not known")
    if coding is Coding.RLE:
        return read_rle(frame, samples)
    found = _coding_of_bytes(frame)
    if found is not coding and not {found, coding} <= _FAMILY:
        raise CorruptPixelsError(
            f"the compressed frame is {found or 'something else'}, and not {coding} as the "
            "transfer syntax says"
        )
    if coding is Coding.JPEG_2000:
        return read_jpeg_2000(frame)
    return read_jpeg_xl(frame) if coding is Coding.JPEG_XL else read_jpeg(frame)


def frame_precision(frame: bytes, syntax_uid: str, samples: int = 1) -> int:
    """The bits of a sample in a compressed frame, the most of all components; nothing is decoded.

    The same arguments and errors as `read_codestream`. Of RLE it is 8, 16, 24 or 32: each sample is
    stored in whole bytes.
    """
    return read_codestream(frame, syntax_uid, samples).precision


def _coding_of_bytes(frame: bytes) -> Coding | None:
    if frame.startswith(b"\xff\xd8"):
        return Coding.JPEG
    if is_jpeg_2000(frame):
        return Coding.JPEG_2000
    return Coding.JPEG_XL if is_jpeg_xl(frame) else None
