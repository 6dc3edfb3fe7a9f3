"""A process that listens to the operating system for another one, and tells it what changes.

The library that listens holds Python's lock while it looks through the folders at first: on a mount
that hangs, nothing else would run in the process, and no signal would end it.
"""

import os
import pickle
import threading
from multiprocessing.connection import Connection

from watchfiles import watch

STEP_MS = 100
_POLL_MS = 1000


def main() -> None:
    """Listen to the folders that come on standard input until that ends."""
    orders, answers = Connection(os.dup(0), writable=False), Connection(os.dup(1), readable=False)
    # What a library prints must not get between the answers.
    os.dup2(2, 1)
    folders, poll = pickle.loads(orders.recv_bytes())
    threading.Thread(target=_end_with, args=(orders,), daemon=True).start()
    try:
        for changes in watch(
            *map(os.fsdecode, folders), watch_filter=None, debounce=4 * STEP_MS, step=STEP_MS,
            rust_timeout=2 * STEP_MS, yield_on_timeout=True, raise_interrupt=False,
            force_polling=poll or None, poll_delay_ms=_POLL_MS, ignore_permission_denied=True,
        ):  # fmt: skip
            answers.send_bytes(pickle.dumps([os.fsencode(path) for _, path in changes]))
    except Exception as error:
        # The library raises errors of many types; that of a full watch table is an OSError.
        answers.send_bytes(pickle.dumps(str(error)))


def _end_with(orders: Connection) -> None:
    try:
        orders.recv_bytes()
    except (EOFError, OSError):
        os._exit(0)
