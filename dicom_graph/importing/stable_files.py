"""Changed files that may still be written: held back until they stay as they are."""

import os
import stat
import time
from collections.abc import Collection

from dicom_graph.importing.timeouts import Calls, CallTimeout, DirectCalls

_PATIENCE = 10
_Signature = tuple[int, ...]
_SILENT = (-1,)


class StablePaths:
    """Paths that have changed, until their size and modification time stay for `seconds`.

    `calls`: how the file system is asked. What gives no answer counts as settled: an import tells.
    """

    def __init__(self, seconds: float, calls: Calls | None = None) -> None:
        self._seconds = seconds
        self._calls = calls or DirectCalls()
        self._pending: dict[str, tuple[_Signature, float]] = {}

    def add(self, paths: Collection[str]) -> None:
        """Something has changed at these paths now."""
        now = time.monotonic()
        for path in paths:
            self._pending[path] = (self._signature(path), now)

    def _signature(self, path: str) -> _Signature:
        try:
            return self._calls.run(_signature, path)
        except CallTimeout:
            return _SILENT

    def take(self) -> list[str]:
        """The paths that have settled, once all have, or some for long; else none."""
        now = time.monotonic()
        for path, (signature, _) in list(self._pending.items()):
            current = signature if signature == _SILENT else self._signature(path)
            if current != signature:
                self._pending[path] = (current, now)
        ages = {
            path: self._seconds if kept == _SILENT else now - since
            for path, (kept, since) in self._pending.items()
        }
        settled = [path for path, age in ages.items() if age >= self._seconds]
        is_overdue = any(age >= _PATIENCE * self._seconds for age in ages.values())
        if len(settled) < len(ages) and not is_overdue:
            return []
        for path in settled:
            del self._pending[path]
        return sorted(settled)

    def holds_back(self, path: str, status: os.stat_result) -> bool:
        """Whether a file that a walk finds should be left for later; it is taken note of then."""
        if path in self._pending:
            return True
        # A time in the future tells nothing: the clock is another machine's.
        if not 0 <= time.time() - status.st_mtime < self._seconds:
            return False
        self._pending[path] = (_signature_of(status), time.monotonic())
        return True


def _signature(path: str) -> _Signature:
    try:
        return _signature_of(os.stat(path))
    except OSError:
        return ()


def _signature_of(status: os.stat_result) -> _Signature:
    """What tells whether a file is as it was; of a folder only that it is one."""
    if not stat.S_ISREG(status.st_mode):
        return (stat.S_IFMT(status.st_mode),)
    return (status.st_mode, status.st_size, status.st_mtime_ns, status.st_ino)
