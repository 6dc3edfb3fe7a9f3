"""Values of big endian data sets, in little endian order (PS3.5 7.3)."""

from array import array
from collections.abc import Iterable, Iterator

_WORD_SIZES = {
    "AT": 2, "FD": 8, "FL": 4, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "SL": 4, "SS": 2,
    "SV": 8, "UL": 4, "US": 2, "UV": 8,
}  # fmt: skip
"""The bytes of a word, of each VR that has any."""
_CODES = {array(code).itemsize: code for code in "HIQ"}
_LARGEST_WORD = 8


def in_little_endian(vr: str, raw: bytes) -> bytes:
    """The bytes of a value that is big endian; those after its last whole word as they are."""
    size = _WORD_SIZES.get(vr)
    if size is None:
        return raw
    end = len(raw) // size * size
    words = array(_CODES[size], raw[:end])
    words.byteswap()
    return words.tobytes() + raw[end:]


def swapped_chunks(vr: str, chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same of a value in pieces, which need not be whole words."""
    rest = b""
    for chunk in chunks:
        whole = rest + chunk
        end = len(whole) // _LARGEST_WORD * _LARGEST_WORD
        yield in_little_endian(vr, whole[:end])
        rest = whole[end:]
    yield in_little_endian(vr, rest)
