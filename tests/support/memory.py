"""Where tests write: memory, where there is room, since a disk that others use makes all slow."""

import shutil
from pathlib import Path

_SHARED_MEMORY = Path("/dev/shm")
_NEEDED = 8 << 30


def folder_in_memory() -> str | None:
    """A folder whose files are in memory; None where there is none with room for all tests."""
    if _SHARED_MEMORY.is_dir() and shutil.disk_usage(_SHARED_MEMORY).free >= _NEEDED:
        return str(_SHARED_MEMORY)
    return None
