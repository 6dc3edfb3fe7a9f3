"""Connections to PostgreSQL that may be dead are tried before they are used.

To try each one each time would cost a way to the server and back for each statement. One whose
server has ended it has something to be read, though nothing was asked; one that rested may have
been forgotten by what lies between.
"""

import select
import time
from typing import Any

from sqlalchemy.exc import InvalidatePoolError

_RESTED = 5.0
_USED = "used_at"


def ping_doubtful(connection: Any, record: Any, proxy: Any) -> None:
    """Listens to checkouts. Raises InvalidatePoolError, whereupon another one is taken."""
    used_at = record.info.get(_USED, 0.0)
    now = record.info[_USED] = time.monotonic()
    if now - used_at <= _RESTED and not _has_to_read(record.driver_connection):
        return
    try:
        cursor = connection.cursor()
        try:
            cursor.execute("SELECT 1")
            cursor.fetchall()
        finally:
            cursor.close()
    except Exception as error:
        raise InvalidatePoolError from error


def _has_to_read(driver_connection: Any) -> bool:
    try:
        socket = driver_connection.pgconn.socket
    except Exception:  # It is closed.
        return True
    poll = select.poll()
    poll.register(socket, select.POLLIN | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))
