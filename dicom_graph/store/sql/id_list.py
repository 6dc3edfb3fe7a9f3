"""A set of ids as bytes: sorted, each as its distance from the one before, 7 bits a byte."""

from collections.abc import Iterable, Sequence
from operator import sub

import numpy as np
from numpy.typing import NDArray

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


def unpack_each(packed: Sequence[bytes]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The ids of many sets, those of one behind those of another, and how many each has."""
    content = np.frombuffer(b"".join(packed), np.uint8)
    is_last = content < 0x80
    ends = np.flatnonzero(is_last)
    if not len(ends):
        return np.empty(0, np.int64), np.zeros(len(packed), np.int64)
    starts = np.concatenate(([0], ends[:-1] + 1))
    place = np.arange(len(content)) - np.repeat(starts, ends - starts + 1)
    distances = np.add.reduceat((content & 0x7F).astype(np.int64) << (7 * place), starts)
    bounds = np.concatenate(([0], np.cumsum([len(each) for each in packed])))
    first = np.concatenate(([0], np.cumsum(is_last)))[bounds]
    counts = np.diff(first)
    sums = np.concatenate(([0], np.cumsum(distances)))
    return sums[1:] - np.repeat(sums[first[:-1]], counts), counts
