"""Connections that rested are tried before they are used: their server may be gone meanwhile.

To try each time would cost a way to the server and back for each statement.
"""

import time
from typing import Any

from sqlalchemy.exc import InvalidatePoolError

_RESTED = 1.0
_USED = "used_at"


def ping_rested(connection: Any, record: Any, proxy: Any) -> None:
    """Listens to checkouts. Raises InvalidatePoolError, whereupon another one is taken."""
    used_at = record.info.get(_USED, 0.0)
    record.info[_USED] = time.monotonic()
    if time.monotonic() - used_at <= _RESTED:
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
