"""Fewer searches for garbage while an import runs.

A batch makes hundreds of thousands of objects that live for a moment, and hardly any that refer to
each other in circles. Python would look for such after every few hundred, which takes longer the
more an import remembers: a sixth of its time.
"""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_OBJECTS_BETWEEN = 100_000
_lock = threading.Lock()
_running = 0
_before = gc.get_threshold()


@contextmanager
def rare_collections() -> Iterator[None]:
    """Raise the threshold of the whole process, until the last one that asked for it is done."""
    global _running, _before
    with _lock:
        if _running == 0:
            _before = gc.get_threshold()
            gc.set_threshold(max(_before[0], _OBJECTS_BETWEEN), *_before[1:])
        _running += 1
    try:
        yield
    finally:
        with _lock:
            _running -= 1
            if _running == 0:
                gc.set_threshold(*_before)
