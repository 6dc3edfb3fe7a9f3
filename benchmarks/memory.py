"""How much memory this process and those that it starts hold."""

import os
import threading
from pathlib import Path
from types import TracebackType

_PERIOD_S = 0.05
_PAGE = os.sysconf("SC_PAGE_SIZE")


class PeakMemory:
    """Looks every 50 ms while it is entered (Linux only); `peak` is the most bytes seen."""

    def __init__(self) -> None:
        self.peak = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(_PERIOD_S):
            self.peak = max(self.peak, resident_bytes(os.getpid()))


def resident_bytes(pid: int, *, children: bool = True) -> int:
    """The resident sizes of a process and of all below it; 0 for those that have ended."""
    process = Path(f"/proc/{pid}")
    try:
        pages = int((process / "statm").read_text().split()[1])
        below = [
            int(child)
            for task in ((process / "task").iterdir() if children else ())
            for child in (task / "children").read_text().split()
        ]
    except OSError:
        return 0
    return pages * _PAGE + sum(map(resident_bytes, below))
