"""`dicom-graph` in processes of their own that start at once: forked from one that has imported it.

A new Python takes a second or two to import what a command needs, and a test may run ten of them.
Servers, and commands that a test sends signals, are started in full: see `COMMAND` in `commands`.
"""

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_SECONDS = 60
_OUTPUTS = 2


class ForkedCommands:
    """The process that commands are forked from; it ends with the one that made it."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())], pass_fds=[theirs.fileno()],
            cwd=Path(__file__).resolve().parents[2],
        )  # fmt: skip
        theirs.close()

    def run(
        self, arguments: Sequence[str], environment: Mapping[str, str], folder: Path
    ) -> subprocess.CompletedProcess[str]:
        """Like `subprocess.run`, with both outputs captured and nothing to read."""
        umask = os.umask(0)
        os.umask(umask)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            asked = {
                "arguments": arguments, "environment": dict(environment), "folder": str(folder),
                "umask": umask,
            }  # fmt: skip
            # A whole environment may be more than one packet holds.
            with tempfile.TemporaryFile() as request:
                request.write(json.dumps(asked).encode())
                request.seek(0)
                files = [file.fileno() for file in (request, out, err)]
                socket.send_fds(self._socket, [b"?"], files)
            pid = int(self._socket.recv(64))
            self._socket.settimeout(_SECONDS)
            try:
                status = int(self._socket.recv(64))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                raise subprocess.TimeoutExpired(list(arguments), _SECONDS) from None
            finally:
                self._socket.settimeout(None)
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        return subprocess.CompletedProcess(list(arguments), status, *texts)

    def close(self) -> None:
        self._socket.close()
        self._process.wait(_SECONDS)


def _serve(end: socket.socket) -> dict[str, Any] | None:
    """Forks for each request; returns it in the new process, and None when there is no other."""
    while True:
        packet, files, _, _ = socket.recv_fds(end, 1, 1 + _OUTPUTS)
        if not packet:
            return None
        pid = os.fork()
        if pid == 0:
            return _take(end, files)
        for file in files:
            os.close(file)
        end.send(str(pid).encode())
        end.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _take(end: socket.socket, files: list[int]) -> dict[str, Any]:
    """Make this process what was asked for."""
    end.close()
    with os.fdopen(files[0], "rb") as request:
        asked: dict[str, Any] = json.load(request)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, file in enumerate([nothing, *files[1:]]):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    os.umask(asked["umask"])
    return asked


def _main() -> None:
    from dicom_graph.cli import main

    gc.freeze()
    asked = _serve(socket.socket(fileno=int(sys.argv[1])))
    if asked is None:
        return
    sys.argv = ["dicom-graph", *asked["arguments"]]
    status = 0
    try:
        main()
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    # What Python does at its end, but for taking apart, page by page, what was forked.
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    _main()
