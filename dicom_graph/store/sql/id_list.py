"""A set of ids as bytes: sorted, each as its distance from the one before, 7 bits a byte."""

from collections.abc import Iterable
from operator import sub

_REMEMBERED = 1 << 14


class _Packed(dict[int, bytes]):
    """Distances as LEB128; the small ones are remembered."""

    def __missing__(self, distance: int) -> bytes:
        packed = bytearray()
        rest = distance
        while rest > 0x7F:
            packed.append(rest & 0x7F | 0x80)
            rest >>= 7
        packed.append(rest)
        if distance < _REMEMBERED:
            self[distance] = bytes(packed)
        return bytes(packed)


_packed = _Packed().__getitem__


def pack_ids(ids: Iterable[int]) -> bytes:
    """The ids as LEB128 distances."""
    ordered = sorted(ids)
    return b"".join(map(_packed, map(sub, ordered, [0, *ordered])))


def unpack_ids(packed: bytes) -> list[int]:
    """The ids, ascending."""
    ids = []
    id = distance = shift = 0
    for byte in packed:
        distance |= (byte & 0x7F) << shift
        if byte & 0x80:
            shift += 7
            continue
        id += distance
        ids.append(id)
        distance = shift = 0
    return ids
