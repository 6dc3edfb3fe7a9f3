"""Which process keeps others from SQLite's file, as far as Linux tells (proc_locks(5))."""

import os
from contextlib import suppress

_WAL_WRITE_BYTE = 120
"""Of the file `-shm`: locked by who writes to the log (wal.c, WAL_WRITE_LOCK)."""
_PENDING_BYTE = 0x40000000
"""Of the file itself, and those behind it: locked by who has it alone (os.h)."""


def lock_holder(path: str) -> str:
    """Returns "process 123 (python)", or "another process" where that cannot be told."""
    files = {(path, _PENDING_BYTE), (f"{path}-shm", _WAL_WRITE_BYTE)}
    wanted: dict[int, int] = {}
    for name, byte in files:
        with suppress(OSError):
            wanted[os.stat(name).st_ino] = byte
    try:
        with open("/proc/locks", encoding="ascii", errors="replace") as locks:
            # 1: POSIX  ADVISORY  WRITE 123 fe:00:456 120 120
            found = [line.split() for line in locks]
        for _, _, _, kind, process, file, first, last in (each for each in found if len(each) == 8):
            locked = wanted.get(int(file.rpartition(":")[2]))
            is_ours = int(process) == os.getpid()
            if locked is None or kind != "WRITE" or is_ours or int(first) > locked + 1:
                continue
            if last == "EOF" or int(last) >= locked:
                with open(f"/proc/{process}/comm", encoding="utf-8", errors="replace") as name_of:
                    return f"process {process} ({name_of.read().strip()})"
    except (OSError, ValueError):
        pass
    return "another process"
