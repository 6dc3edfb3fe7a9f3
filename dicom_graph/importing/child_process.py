"""Processes of our own that can be killed whatever they do, and end when this one does."""

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import weakref
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import IO

_PIPE_BYTES = 1 << 20
_END_SECONDS = 2.0
_running: "weakref.WeakSet[ChildProcess]" = weakref.WeakSet()


class ChildProcess:
    """Runs `main()` of a module of ours, which gets `sys.argv[1:]` and talks over its standard
    input and output: `sent` and `answers` are this side's ends.

    `descriptors` are open in it too.
    """

    def __init__(
        self, module: str, arguments: Sequence[object] = (), descriptors: Sequence[int] = ()
    ) -> None:
        given = list(map(str, arguments))
        # An installed package, and a checkout alike.
        program = (
            f"import sys; n = {len(given) + 1}; sys.path[:] = sys.argv[n:]; "
            f"from dicom_graph.importing.{module} import main; main()"
        )
        # In a process group of its own, a Ctrl+C in the terminal is for this process alone.
        self._process = subprocess.Popen(
            [sys.executable, "-c", program, *given, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            process_group=0,
            pass_fds=descriptors,
        )
        self.sent = _connection(self._process.stdin, writes=True)
        self.answers = _connection(self._process.stdout, writes=False)
        _running.add(self)

    def kill(self) -> None:
        """Have the process end, whatever it does; does not wait."""
        self._process.kill()

    def close(self) -> str:
        """End the process; returns how it ended. One that the system cannot end is left."""
        self.kill()
        try:
            status = self._process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            return "does not end"
        finally:
            self.sent.close()
            self.answers.close()
        if status < 0:
            with contextlib.suppress(ValueError):
                return f"was killed by {signal.Signals(-status).name}"
        return f"ended with status {status}"


def kill_children() -> None:
    """End all of them; for a process that is about to end itself."""
    for child in list(_running):
        child.kill()


def _connection(pipe: IO[bytes] | None, *, writes: bool) -> Connection:
    assert pipe is not None
    connection = Connection(os.dup(pipe.fileno()), readable=not writes, writable=writes)
    pipe.close()
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        # So much can be read ahead while this process writes a batch, or be asked for at once.
        with contextlib.suppress(OSError):
            fcntl.fcntl(connection.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return connection
