"""A set of ids as bytes: sorted, each as its distance from the one before, 7 bits a byte."""

from collections.abc import Iterable


def pack_ids(ids: Iterable[int]) -> bytes:
    """The ids as LEB128 distances."""
    packed = bytearray()
    last = 0
    for id in sorted(ids):
        distance, last = id - last, id
        while distance > 0x7F:
            packed.append(distance & 0x7F | 0x80)
            distance >>= 7
        packed.append(distance)
    return bytes(packed)


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
