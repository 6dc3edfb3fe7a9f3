"""What changes below some folders, as the operating system or a polling thread tells it."""

import threading
from collections.abc import Sequence
from types import TracebackType

from watchfiles import watch

_STEP_MS = 100
_POLL_MS = 1000


class ListenError(Exception):
    """The folders cannot be watched; the message says why, and what to do."""


class Listener:
    """Collects the paths of changed files and folders from when it is entered."""

    def __init__(self, folders: Sequence[str], *, poll: bool) -> None:
        self._folders = folders
        self._poll = poll
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._error: str | None = None
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)

    def __enter__(self) -> "Listener":
        """Returns once no change can be missed any more. Raises ListenError."""
        self._thread.start()
        self._ready.wait()
        self._check()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def changed(self) -> set[str]:
        """The paths that have changed since this was last asked. Raises ListenError."""
        self._check()
        with self._lock:
            changed, self._changed = self._changed, set()
        return changed

    def _check(self) -> None:
        if self._error is not None:
            raise ListenError(self._error)

    def _listen(self) -> None:
        try:
            for changes in watch(
                *self._folders, watch_filter=None, debounce=4 * _STEP_MS, step=_STEP_MS,
                stop_event=self._stop, rust_timeout=2 * _STEP_MS, yield_on_timeout=True,
                raise_interrupt=False, force_polling=self._poll or None, poll_delay_ms=_POLL_MS,
                ignore_permission_denied=True,
            ):  # fmt: skip
                with self._lock:
                    self._changed.update(path for _, path in changes)
                self._ready.set()
        except Exception as error:
            # The library raises errors of many types; that of a full watch table is an OSError.
            self._error = (
                f"cannot watch for changes: {error}. `--poll` does without the operating system's "
                "notes; on Linux fs.inotify.max_user_watches limits them"
            )
        finally:
            self._ready.set()
