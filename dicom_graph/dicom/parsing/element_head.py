"""What precedes a value: tag, VR and length (PS3.5 7.1), also where the VR is not the standard's.

Such an element takes one of three layouts: a length of 16 bits after the VR, one of 32 bits after
two reserved bytes, as PS3.5 7.1.2 wants it of all VRs to come, or one of 32 bits in place of a VR.
DCMTK and pydicom go by the two bytes alone, and differ. Here that layout is taken after which
another element begins; where that cannot be told, the one that DCMTK takes.
"""

from struct import Struct
from typing import NamedTuple

from dicom_graph.dicom.elements.values import ALL_VRS
from dicom_graph.dicom.errors import UnreadableFileError
from dicom_graph.dicom.parsing.byte_source import ByteSource

_LONG_NAMES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR"}) | {
    "UT", "UV",
}  # fmt: skip
HEADS_OF_32_BITS = frozenset(vr.encode() for vr in _LONG_NAMES)
HEADS_OF_16_BITS = frozenset(vr.encode() for vr in ALL_VRS - _LONG_NAMES)
"""VRs, by how many bits the length has that follows them."""
_IMPLICIT = {True: Struct("<HHL").unpack_from, False: Struct(">HHL").unpack_from}
_EXPLICIT = {True: Struct("<HH2sH").unpack_from, False: Struct(">HH2sH").unpack_from}
_LENGTH = {True: Struct("<L").unpack_from, False: Struct(">L").unpack_from}
_DELIMITERS = frozenset({0xFFFEE00D, 0xFFFEE0DD})
_UNDEFINED = 0xFFFFFFFF


class Head(NamedTuple):
    """`n_bytes`: of the head itself. `problem`: of the VR. The VR is None where there is none."""

    vr: str | None
    n_bytes: int
    length: int
    problem: str | None = None
    is_implicit: bool = False


def tag_of(head: bytes, is_little: bool) -> int:
    """The tag of an element that begins so."""
    group, number, _ = _IMPLICIT[is_little](head)
    return int(group << 16 | number)


def is_known_vr(code: bytes) -> bool:
    """Whether two bytes are a VR of the standard."""
    return code in HEADS_OF_16_BITS or code in HEADS_OF_32_BITS


def implicit_head(head: bytes, is_little: bool) -> Head:
    """The head of an element without a VR."""
    return Head(None, 8, _IMPLICIT[is_little](head)[2], is_implicit=True)


def explicit_head(source: ByteSource, is_little: bool, end: int | None) -> Head:
    """The head of the element that the source is at; `end`: where its data set ends, if known.

    Raises UnreadableFileError where the file ends inside it.
    """
    head = source.peek(8)
    _, _, code, length = _EXPLICIT[is_little](head)
    if code in HEADS_OF_16_BITS:
        short = Head(code.decode(), 8, length)
        return short if length else _or_long(source, short, is_little, end)
    if code in HEADS_OF_32_BITS:
        return _long_head(source, code.decode(), length, is_little, end)
    return _odd_head(source, is_little, end)


def _or_long(source: ByteSource, short: Head, is_little: bool, end: int | None) -> Head:
    """The head of an empty value; or with a length of 32 bits that its VR does not have, if an
    element comes after that, and none after this.
    """
    head = source.peek(12)
    tag = tag_of(head, is_little)
    if len(head) < 12 or _is_followed(source, short, tag, is_little, end):
        return short
    (length,) = _LENGTH[is_little](head, 8)
    long = Head(short.vr, 12, length, "its length has 32 bits, and its VR one of 16")
    is_long = length != _UNDEFINED and _is_followed(source, long, tag, is_little, end)
    return long if is_long else short


def _long_head(source: ByteSource, vr: str, length: int, is_little: bool, end: int | None) -> Head:
    """The head with a length of 32 bits; or of 16, which its VR does not have, as above.

    `length`: the 16 bits, which are reserved if they are no length.
    """
    short = Head(vr, 8, length, "its length has 16 bits, and its VR one of 32")
    tag = tag_of(source.peek(8), is_little)
    if len(source.peek(12)) < 12 and _is_followed(source, short, tag, is_little, end):
        return short
    long = Head(vr, 12, _long_length(source, is_little))
    if not length and (long.length == _UNDEFINED or _fits(source, 12 + long.length, end)):
        return long
    if _is_followed(source, long, tag, is_little, end, by_zeros=False):
        return long
    is_short = _is_followed(source, short, tag, is_little, end, by_zeros=False)
    return short if is_short else long


def _long_length(source: ByteSource, is_little: bool) -> int:
    head = source.peek(12)
    if len(head) < 12:
        place = source.position + len(head)
        raise UnreadableFileError(f"the file ends at byte {place}, inside an element's header")
    (length,) = _LENGTH[is_little](head, 8)
    return int(length)


def _odd_head(source: ByteSource, is_little: bool, end: int | None) -> Head:
    head = source.peek(12)
    tag = tag_of(head, is_little)
    _, _, code, length = _EXPLICIT[is_little](head)
    vr, problem = unknown_vr(code)
    short = Head(vr, 8, length, problem)
    implicit = Head(
        None, 8, _IMPLICIT[is_little](head)[2], "it has no VR in a data set that has them", True
    )
    layouts = [short, implicit]
    if length == 0 and len(head) == 12:
        (long_length,) = _LENGTH[is_little](head, 8)
        long = Head(vr, 12, long_length, problem)
        is_long = vr in _LONG_NAMES if vr is not None else _is_vr_to_come(code)
        layouts.insert(0 if is_long else 1, long)
    for layout in layouts:
        if _is_followed(source, layout, tag, is_little, end):
            return layout
    return layouts[0]


def unknown_vr(code: bytes) -> tuple[str | None, str]:
    """What is meant by two bytes that are no VR of the standard, if that can be told, and the
    problem.
    """
    return _meant(code), f"the standard has no VR {_shown(code)}"


def _meant(code: bytes) -> str | None:
    """The VR that was meant, if it is written in small letters."""
    upper = code.upper()
    return upper.decode() if upper != code and is_known_vr(upper) else None


def _is_vr_to_come(code: bytes) -> bool:
    return code.isalpha() and code.isupper()


def _shown(code: bytes) -> str:
    text = code.decode("latin-1")
    return repr(text) if text.isascii() and text.isprintable() else code.hex().upper()


def _is_followed(
    source: ByteSource,
    layout: Head,
    tag: int,
    is_little: bool,
    end: int | None,
    *,
    by_zeros: bool = True,
) -> bool:
    """Whether an element, or the end, comes after the value of this layout; zeros are one too, with
    `by_zeros`.
    """
    if layout.length == _UNDEFINED:
        # A sequence, whose first item tells.
        next_bytes = source.peek(4, layout.n_bytes)
        return next_bytes in (b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00")
    size = layout.n_bytes + layout.length
    if end is not None and source.position + size >= end:
        return source.position + size == end
    if not source.has(size):
        return False
    next_bytes = source.peek(12, size)
    if len(next_bytes) < 8:
        return not next_bytes.strip(b"\0")
    next_tag = tag_of(next_bytes, is_little)
    if next_tag in _DELIMITERS:
        return True
    if not next_bytes[:8].strip(b"\0"):
        return by_zeros
    if not tag < next_tag < 0xFFFE0000:
        return False
    if layout.is_implicit:
        length = _IMPLICIT[is_little](next_bytes)[2]
        is_next = is_known_vr(next_bytes[4:6]) or length == _UNDEFINED
        return is_next or _fits(source, size + 8 + length, end)
    return is_known_vr(next_bytes[4:6])


def _fits(source: ByteSource, size: int, end: int | None) -> bool:
    return source.has(size) and (end is None or source.position + size <= end)
