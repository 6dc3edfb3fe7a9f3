"""A compressed frame stripped of what a decoder passes over: comments, metadata, trailing bytes.

Only what is known to be of the picture is kept, so that whatever else an encoder, or somebody,
wrote into the stream is left out. What entropy-coded data hold is not looked at.
"""

import struct

import imagecodecs
import numpy as np

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels.codestream.description import Codestream, Coding
from dicom_graph.dicom.pixels.codestream.jpeg import bare_jpeg
from dicom_graph.dicom.pixels.codestream.jpeg2000 import bare_jpeg_2000
from dicom_graph.dicom.pixels.codestream.jpegxl import bare_jpeg_xl

_LONGEST_RUN = 130


def stripped_frame(frame: bytes, stream: Codestream, rows: int, columns: int) -> bytes:
    """The frame that `stream` describes, of that size, with nothing but its picture.

    Raises CorruptPixelsError.
    """
    if stream.coding is Coding.RLE:
        return _stripped_rle(frame, stream, rows, columns)
    if stream.coding is Coding.JPEG_2000:
        return bare_jpeg_2000(frame)
    if stream.coding is Coding.JPEG_XL:
        return bare_jpeg_xl(frame)
    return bare_jpeg(frame, stream.coding)


def _stripped_rle(frame: bytes, stream: Codestream, rows: int, columns: int) -> bytes:
    """Segments end where their pixels do; where that is within a run they are encoded again."""
    segments = []
    for start, end in stream.segments:
        segment = frame[start:end]
        pixels_end = _end_of_pixels(segment, rows * columns)
        if pixels_end is not None:
            segment = segment[:pixels_end]
        else:
            plane = imagecodecs.packbits_decode(segment, out=rows * columns + _LONGEST_RUN)
            if len(plane) < rows * columns:
                raise CorruptPixelsError("a segment of the RLE frame is too short")
            pixels = np.frombuffer(plane, np.uint8, rows * columns).reshape(rows, columns)
            segment = b"".join(imagecodecs.packbits_encode(row.tobytes()) for row in pixels)
        segments.append(segment + bytes(len(segment) % 2))
    starts = np.cumsum([64, *map(len, segments)])[:-1].tolist()
    header = struct.pack("<16I", len(segments), *starts, *[0] * (15 - len(segments)))
    return header + b"".join(segments)


def _end_of_pixels(segment: bytes, length: int) -> int | None:
    """Where in a segment the runs end that hold so many bytes; None where no run ends there."""
    place = decoded = 0
    while decoded < length and place < len(segment):
        code = segment[place]
        if code < 128:
            decoded, place = decoded + code + 1, place + code + 2
        else:
            decoded, place = decoded + (257 - code if code > 128 else 0), place + 1 + (code > 128)
    return place if decoded == length and place <= len(segment) else None
