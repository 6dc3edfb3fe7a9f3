"""A file as it was imported, and opening it only where it still is that one.

A path may hold another file by now, of another patient even, and lead out of the import roots. So
what is opened is compared with what the import noted: size and modification time, and that it is
the same file on the same device, not changed since, by its `stamp`. Where only the stamp differs (a
remount, a restore, a change of permissions), the header is read again and must have the digest of
the one that was imported.
"""

import os
import time
from hashlib import blake2b
from struct import Struct

_STAMP_SIZE = 8
_STAMP = Struct("<QQq").pack
_MASK = (1 << 64) - 1
_SETTLED_NS = 2_000_000_000


def stamp_of(status: os.stat_result) -> bytes | None:
    """What tells a file from others, and from itself once anything of it has changed: 8 bytes of
    its device, its inode and the time of its last change, which no program can set.

    None where that is so near that the next change may get the same time: some file systems count
    in seconds.
    """
    if not 0 <= status.st_ctime_ns < time.time_ns() - _SETTLED_NS or not status.st_ino:
        return None
    packed = _STAMP(status.st_dev & _MASK, status.st_ino & _MASK, status.st_ctime_ns)
    return blake2b(packed, digest_size=_STAMP_SIZE).digest()
