"""How many files and connections the system lets this process have open."""

import logging
from dataclasses import dataclass

from dicom_graph.settings import Settings

try:
    import resource
except ImportError:
    resource = None  # type: ignore[assignment]

log = logging.getLogger(__name__)
_MOST = 1 << 20
_BASE = 96
_LEAST_CONNECTIONS = 8
_WAITING = 2048


@dataclass(frozen=True, slots=True)
class FileDescriptorLimits:
    """`waiting`: connections that are taken and have not begun;
    `requests`: how many may each have a file open; `streams`: how many may last.
    """

    connections: int
    requests: int
    streams: int
    waiting: int


def raise_limit() -> None:
    """Let this process open as many files as it may (RLIMIT_NOFILE): its soft limit is for programs
    that use `select`.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST if hard == resource.RLIM_INFINITY else min(hard, _MOST)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of open files stays %d: %s", soft, error)


def descriptors(settings: Settings) -> FileDescriptorLimits:
    """What the settings ask for, as far as the limit of open files allows.

    Databases, decoders and the log keep theirs; of the rest two thirds are for connections, one for
    the files that requests read.
    """
    limit = _MOST
    if resource is not None:
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        limit = _MOST if soft == resource.RLIM_INFINITY else soft
    kept = (
        _BASE
        + 4 * settings.database_pool_size
        + 4 * settings.max_decodes
        + 2 * settings.import_processes
    )
    waiting = max(16, min(_WAITING, limit // 8))
    rest = max(0, limit - kept - waiting)
    connections = min(settings.max_connections, max(_LEAST_CONNECTIONS, rest * 2 // 3))
    allowed = FileDescriptorLimits(
        connections,
        min(settings.max_requests, max(2, rest // 3)),
        min(settings.max_streams, max(2, connections // 2)),
        waiting,
    )
    if (allowed.requests, allowed.streams) != (settings.max_requests, settings.max_streams):
        log.warning(
            "%d open files (ulimit -n) and %d connections allow %d requests and %d streams",
            limit, connections, allowed.requests, allowed.streams,
        )  # fmt: skip
    return allowed
