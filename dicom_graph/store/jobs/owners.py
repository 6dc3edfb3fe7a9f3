"""Which process runs a job, and whether it still lives."""

import datetime as dt
import os
import socket

from dicom_graph.store.sql.types import utc_now

QUEUE = "queue"
"""The owner of jobs that go through a queue to any number of workers."""
STALE_AFTER = dt.timedelta(seconds=30)
"""A process of another machine that gave no sign for so long is taken for dead."""


def process_name() -> str:
    """This process, as the owner of a job: `host:pid:start`."""
    return f"{socket.gethostname()}:{os.getpid()}:{_start_of(os.getpid())}"


def is_dead(owner: str | None, heartbeat: dt.datetime | None) -> bool:
    """Whether the owner of a job will not go on with it, as far as can be told from here.

    A queue looks after its jobs itself.
    """
    if owner == QUEUE:
        return False
    if owner is None or heartbeat is None:
        return True
    host, pid, start = (*owner.split(":"), "", "")[:3]
    if host == socket.gethostname():
        # A number is used again, in a container at once: the start tells one process from another.
        return not _is_alive(int(pid)) or (start != "" and start != _start_of(int(pid)))
    return utc_now() - heartbeat > STALE_AFTER


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _start_of(pid: int) -> str:
    """When a process started, in ticks since the machine did; empty where nothing tells."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
