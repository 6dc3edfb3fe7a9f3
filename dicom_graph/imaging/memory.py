"""The memory of a decoding process: bounded by the system, and looked at from outside.

What counts is memory of the process' own that it may write to, whether it has touched it or not:
Linux bounds that by RLIMIT_DATA, and tells it in /proc. Where there is neither, nothing is bounded.
"""

from dataclasses import dataclass

_LEAST_ROOM = 512 << 20
"""Beside what is there at the start, whatever the limit is: libraries, threads, headers."""
_RESERVED = 1 << 30
"""Addresses that are reserved and never used: stacks and heaps of threads, mapped libraries."""
_DATA, _RESIDENT = 5, 1


@dataclass(frozen=True, slots=True)
class ProcessMemory:
    """In bytes: what a process may write to, and what of all its memory is in use."""

    data: int
    resident: int


def memory_of(pid: int) -> ProcessMemory | None:
    """The memory of a process; None where the system does not tell it, or it has ended."""
    try:
        import resource

        page = resource.getpagesize()
        with open(f"/proc/{pid}/statm") as file:
            pages = [int(word) for word in file.read().split()]
        return ProcessMemory(pages[_DATA] * page, pages[_RESIDENT] * page)
    except (ImportError, OSError, ValueError, IndexError):
        return None


def bound_memory(pid: int, limit: int) -> None:
    """Hold this process, whose id it is, to `limit` bytes, or to what it needs in any case.

    Beyond, allocations fail: Python raises MemoryError, decoders errors of their own.
    """
    now = memory_of(pid)
    if now is None:
        return
    data = max(limit, now.data + _LEAST_ROOM)
    try:
        import resource

        for kind, bound in ((resource.RLIMIT_DATA, data), (resource.RLIMIT_AS, data + _RESERVED)):
            hard = resource.getrlimit(kind)[1]
            if hard == resource.RLIM_INFINITY or bound < hard:
                resource.setrlimit(kind, (bound, hard))
    except (ImportError, OSError, ValueError):
        return
