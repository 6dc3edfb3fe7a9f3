"""All faults by the names of the command."""

from collections.abc import Callable

from tests.faults import clients, databases, files, stopping, streams
from tests.faults.ground import Ground

FAULTS: dict[str, Callable[[Ground], str]] = {
    "database-gone": databases.gone,
    "database-silent": databases.silent,
    "database-locked": databases.locked,
    "database-replaced": databases.replaced,
    "database-full": databases.full,
    "storage-full": files.storage_full,
    "temporary-full": files.temporary_full,
    "file-gone": files.file_gone,
    "decoders-killed": files.decoders_killed,
    "slow-reader": clients.slow_reader,
    "vanishing": clients.vanishing,
    "slow-senders": clients.slow_senders,
    "websockets": streams.many,
    "unread": streams.unread,
    "sigterm": stopping.drained,
    "worker-killed": stopping.worker_killed,
}
"""Each gives what was seen; raises AssertionError, or CannotBeMade."""
