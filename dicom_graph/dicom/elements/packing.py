"""Binary values as stored: compressed where that makes them shorter."""

import zlib

_WORTH_PACKING = 128
_RAW_DEFLATE = -15
_PLAIN, _SPLIT = b"\x00", b"\x01"


def pack(raw: bytes) -> bytes:
    """The bytes, deflated where that is shorter: then a byte says how, and the rest is deflate.

    Small 16-bit integers, as in histograms and look-up tables, have every other byte zero; with
    the even bytes first and the odd ones after them, they take a fifth less. In most of them
    there is little to find but runs of zeros, which is quick to look for.
    """
    if len(raw) < _WORTH_PACKING:
        return raw
    split = _alternates(raw)
    if split:
        halves = raw[::2] + raw[1::2]
        packed = _deflate(halves, zlib.Z_RLE)
        if len(packed) * 3 > len(raw):
            packed = min(packed, _deflate(halves), key=len)
    else:
        packed = _deflate(raw)
    return (_SPLIT if split else _PLAIN) + packed if len(packed) + 1 < len(raw) else raw


def _deflate(raw: bytes, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, _RAW_DEFLATE, strategy=strategy)
    return packer.compress(raw) + packer.flush()


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
