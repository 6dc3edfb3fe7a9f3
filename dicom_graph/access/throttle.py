"""Slowing down clients that guess passwords."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

_FORGOTTEN_AFTER = 900.0
_LONGEST = 300.0
_KEPT = 10_000
Key = str | tuple[str, ...]


class TooManyFailures(Exception):
    """Somebody must wait; `seconds` until they may try again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed logins: try again in {seconds} seconds")
        self.seconds = seconds


@dataclass(slots=True)
class _Failures:
    count: int
    last: float


class Throttle:
    """Counts failures by key, such as an address, or an address and a name. Beyond the `free` ones
    each doubles the wait: 1 second to 5 minutes. 15 minutes without one forget all.

    Of a key, which may be any text that a client sent, only a digest is kept.
    """

    def __init__(self, free: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._free = free
        self._clock = clock
        self._failures: OrderedDict[bytes, _Failures] = OrderedDict()

    def check(self, key: Key) -> None:
        """Raises TooManyFailures while the key has to wait."""
        wait = self._wait(key)
        if wait > 0:
            raise TooManyFailures(int(wait) + 1)

    def failed(self, key: Key) -> None:
        """Count a failure."""
        now = self._clock()
        digest = _digest(key)
        known = self._failures.pop(digest, None)
        is_recent = known is not None and now - known.last <= _FORGOTTEN_AFTER
        self._failures[digest] = _Failures(known.count + 1 if known and is_recent else 1, now)
        while len(self._failures) > _KEPT:
            self._failures.popitem(last=False)

    def succeeded(self, key: Key) -> None:
        """Forget the failures."""
        self._failures.pop(_digest(key), None)

    def _wait(self, key: Key) -> float:
        known = self._failures.get(_digest(key))
        if known is None or known.count <= self._free:
            return 0.0
        pause = min(2.0 ** (known.count - self._free - 1), _LONGEST)
        return known.last + pause - self._clock()


def _digest(key: Key) -> bytes:
    return hashlib.sha256(repr(key).encode()).digest()
