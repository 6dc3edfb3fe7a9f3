"""What changes below some folders, as the operating system or a polling process tells it."""

import os
import pickle
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from dicom_graph.importing.child_process import ChildProcess

_LOOK_SECONDS = 0.25


class ListenError(Exception):
    """The folders cannot be watched; the message says why, and what to do."""


class Listener:
    """Collects the paths of changed files and folders from when it is entered.

    `while_waiting` is called some times a second until the folders are listened to, which takes
    for ever on a mount that hangs; what it raises ends that.
    """

    def __init__(
        self,
        folders: Sequence[str],
        *,
        poll: bool,
        while_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self._orders = pickle.dumps(([os.fsencode(folder) for folder in folders], poll))
        self._while_waiting = while_waiting
        self._changed: set[str] = set()
        self._lock = threading.Lock()
        self._ready = threading.Event()
        self._error: str | None = None
        self._process: ChildProcess | None = None

    def __enter__(self) -> "Listener":
        """Returns once no change can be missed any more. Raises ListenError."""
        process = self._process = ChildProcess("listening_process")
        try:
            process.sent.send_bytes(self._orders)
            threading.Thread(target=self._listen, args=(process,), daemon=True).start()
            while not self._ready.wait(_LOOK_SECONDS):
                self._while_waiting()
            self._check()
        except BaseException:
            process.close()
            raise
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        assert self._process is not None
        self._process.close()

    def changed(self) -> set[str]:
        """The paths that have changed since this was last asked. Raises ListenError."""
        self._check()
        with self._lock:
            changed, self._changed = self._changed, set()
        return changed

    def _check(self) -> None:
        if self._error is not None:
            raise ListenError(self._error)

    def _listen(self, process: ChildProcess) -> None:
        """Runs in a thread until the process ends."""
        try:
            while not isinstance(told := pickle.loads(process.answers.recv_bytes()), str):
                with self._lock:
                    self._changed.update(map(os.fsdecode, told))
                self._ready.set()
            reason = told
        except (EOFError, OSError):
            reason = "the process that listens has ended"
        self._error = (
            f"cannot watch for changes: {reason}. `--poll` does without the operating system's "
            "notes; on Linux fs.inotify.max_user_watches limits them"
        )
        self._ready.set()
