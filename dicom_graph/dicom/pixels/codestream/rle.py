"""RLE (PS3.5 Annex G): the header of 64 bytes tells how many segments there are, and where."""

import struct
from itertools import pairwise

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels.codestream.description import Codestream, Coding

_HEADER = 64
_MAX_SEGMENTS = 15


def read_rle(frame: bytes, samples: int) -> Codestream:
    """The header of an RLE frame of so many samples a pixel. Raises CorruptPixelsError.

    A segment is one byte of one sample, so the precision is a multiple of 8.
    """
    if len(frame) < _HEADER:
        raise CorruptPixelsError("the RLE frame is shorter than its header")
    n_segments, *offsets = struct.unpack("<16I", frame[:_HEADER])
    if not 1 <= n_segments <= _MAX_SEGMENTS or n_segments % max(samples, 1):
        raise CorruptPixelsError(
            f"the RLE frame has {n_segments} segments, which is not right for {samples} samples"
        )
    starts = [*offsets[:n_segments], len(frame)]
    if starts[0] != _HEADER or any(a > b for a, b in pairwise(starts)):
        raise CorruptPixelsError("the RLE frame has segments that do not lie within it, in order")
    return Codestream(
        Coding.RLE,
        None,
        None,
        samples,
        8 * n_segments // max(samples, 1),
        segments=tuple(pairwise(starts)),
    )
