"""Several server processes on one socket."""

import logging
import multiprocessing
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from types import FrameType

from uvicorn.config import STARTUP_FAILURE

from dicom_graph.signals import ending_signals

log = logging.getLogger(__name__)
_CONTEXT = multiprocessing.get_context("spawn")
Serve = Callable[[socket.socket], None]


class Workers:
    """Runs `serve(listener)` in so many processes until a signal ends it, and then drains them.

    `serve` is pickled. A process that dies is replaced, unless it could not even start.
    """

    def __init__(self, number: int, serve: Serve, listener: socket.socket) -> None:
        self._number = number
        self._serve = serve
        self._listener = listener
        self._running: list[BaseProcess] = []
        # A signal must end the waiting for processes, also one that comes just before it.
        self._stopped, self._stopper = _CONTEXT.Pipe(duplex=False)

    def run(self) -> int:
        """Returns the exit status when all processes have ended."""
        for each in ending_signals():
            signal.signal(each, self._stop)
        self._running = [self._start() for _ in range(self._number)]
        status = 0
        while status == 0 and not self._stopped.poll():
            connection.wait([self._stopped, *(process.sentinel for process in self._running)])
            if not self._stopped.poll():
                status = self._replace_dead()
        # While anyone has it open, the system takes connections that nobody will answer.
        self._listener.close()
        for process in self._running:
            process.terminate()
        for process in self._running:
            process.join()
        return status

    def _start(self) -> BaseProcess:
        process = _CONTEXT.Process(target=_work, args=(self._serve, self._listener))
        process.start()
        return process

    def _replace_dead(self) -> int:
        """The status of a process that could not start, else 0."""
        for place, process in enumerate(self._running):
            if process.is_alive():
                continue
            process.join()
            if process.exitcode == STARTUP_FAILURE:
                return STARTUP_FAILURE
            log.error("server process %s died (%s): replaced", process.pid, process.exitcode)
            self._running[place] = self._start()
        return 0

    def _stop(self, signum: int, frame: FrameType | None) -> None:
        self._stopper.send(signum)


def _work(serve: Serve, listener: socket.socket) -> None:
    """In a process: it ends with status 0, and with the one that started it, however that ends."""
    for each in ending_signals():
        signal.signal(each, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    serve(listener)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)
