"""JPEG XL (ISO 18181-1 and -2): the size and image metadata at the head of a codestream."""

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels.codestream.description import Bytes, Codestream, Coding

_BARE = b"\xff\x0a"
_CONTAINER = b"\x00\x00\x00\x0cJXL \x0d\x0a\x87\x0a"
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_SIZES = ((9, 1), (13, 1), (18, 1), (30, 1))
_LONGEST_HEADER = 4_096
_BOX_HEADER, _MAX_BOXES = 8, 1_000
_GREY = 1


def is_jpeg_xl(frame: bytes) -> bool:
    """Whether it begins like a codestream, or like a container of one."""
    return frame.startswith((_BARE, _CONTAINER))


def read_jpeg_xl(frame: bytes) -> Codestream:
    """The head of a JPEG XL stream. Raises CorruptPixelsError.

    Animations and previews, which a frame of DICOM has not, are refused. Extra channels (opacity
    and the like) count as samples.
    """
    bits = _Bits(_head(frame))
    if bits.take(16) != int.from_bytes(_BARE, "little"):
        raise CorruptPixelsError("the compressed frame is no JPEG XL codestream")
    rows, columns = _size(bits)
    if bits.take(1):
        return Codestream(Coding.JPEG_XL, rows, columns, 3, 8)
    if bits.take(1):
        orientation = bits.take(3) + 1
        if bits.take(1):
            _size(bits)
        if bits.take(1) or bits.take(1):
            raise CorruptPixelsError("the JPEG XL stream has a preview, or is an animation")
        if orientation != 1:
            raise CorruptPixelsError("the JPEG XL stream is turned or mirrored")
    precision = _bit_depth(bits)
    bits.take(1)
    n_extra = bits.choose((None, 0), (None, 1), (4, 2), (12, 1))
    if n_extra:
        raise CorruptPixelsError(f"the JPEG XL stream has {n_extra} channels beside its colours")
    bits.take(1)
    return Codestream(Coding.JPEG_XL, rows, columns, 1 if _is_grey(bits) else 3, precision)


def bare_jpeg_xl(frame: bytes) -> bytes:
    """The codestream without the boxes of a container. Raises CorruptPixelsError."""
    return _codestream(frame, len(frame))


def _head(frame: bytes) -> bytes:
    return _codestream(frame, _LONGEST_HEADER)


def _codestream(frame: bytes, longest: int) -> bytes:
    """The first bytes of the codestream, which a container may hold in several boxes."""
    if not frame.startswith(_CONTAINER):
        return frame[:longest]
    parts = b""
    start = len(_CONTAINER)
    for _ in range(_MAX_BOXES):
        # A byte of padding may follow the boxes.
        if len(frame) - start < _BOX_HEADER or len(parts) >= longest:
            break
        source = Bytes(frame, start)
        length, kind = source.number(4), source.take(4)
        if length == 1:
            length = source.number(8)
        elif length == 0:
            length = len(frame) - start
        if not source.position - start <= length <= len(frame) - start:
            raise CorruptPixelsError("a box of the JPEG XL container does not lie within it")
        content = frame[source.position : start + length]
        if kind == b"jxlc":
            return content[:longest]
        if kind == b"jxlp":
            # Four bytes of number before each part.
            parts += content[4 : 4 + longest]
        start += length
    if not parts:
        raise CorruptPixelsError("the JPEG XL container has no codestream")
    return parts


def _size(bits: "_Bits") -> tuple[int, int]:
    """SizeHeader: (rows, columns)."""
    is_small = bits.take(1)
    rows = 8 * (bits.take(5) + 1) if is_small else bits.choose(*_SIZES)
    ratio = bits.take(3)
    if ratio:
        times, by = _RATIOS[ratio]
        return rows, rows * times // by
    return rows, 8 * (bits.take(5) + 1) if is_small else bits.choose(*_SIZES)


def _bit_depth(bits: "_Bits") -> int:
    if bits.take(1):
        depth = bits.choose((None, 32), (None, 16), (None, 24), (6, 1))
        bits.take(4)
        return depth
    return bits.choose((None, 8), (None, 10), (None, 12), (6, 1))


def _is_grey(bits: "_Bits") -> bool:
    """ColourEncoding: its colour space, where it is told."""
    if bits.take(1):
        return False
    bits.take(1)
    return bits.choose((None, 0), (None, 1), (4, 2), (6, 18)) == _GREY


class _Bits:
    """Bits of a JPEG XL header, the lowest of each byte first."""

    def __init__(self, data: bytes) -> None:
        self._left = int.from_bytes(data, "little")
        self._n_left = 8 * len(data)

    def take(self, count: int) -> int:
        """The next `count` bits as a number."""
        if count > self._n_left:
            raise CorruptPixelsError("the JPEG XL stream ends within its header")
        value = self._left & ((1 << count) - 1)
        self._left >>= count
        self._n_left -= count
        return value

    def choose(self, *ways: tuple[int | None, int]) -> int:
        """U32: two bits choose among (number of bits, offset), or (None, value)."""
        count, offset = ways[self.take(2)]
        return offset if count is None else self.take(count) + offset
