"""Processes that read files for this one."""

import contextlib
import fcntl
import logging
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import IO

from dicom_graph.dicom.mode import Mode
from dicom_graph.importing.reader import FileReader, Result, path_of, result_of
from dicom_graph.importing.reading_process import READY
from dicom_graph.importing.wire import Unpacker
from dicom_graph.store.ingest import FileRecord
from dicom_graph.store.jobs import Failure

log = logging.getLogger(__name__)
_PROGRAM = (
    "import sys; sys.path[:] = sys.argv[3:]; "
    "from dicom_graph.importing.reading_process import main; main()"
)
_ORDERS_AHEAD = 4
_BYTES_AHEAD = 32_768
_PIPE_BYTES = 1 << 20
_FAILED_STARTS = 3


@dataclass(slots=True)
class Chunk:
    """Files that are read one after the other, and what became of those read so far.

    `passed`: results that were known already and belong before the file of their number.
    """

    files: list[tuple[FileRecord, Mode | None]] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    passed: dict[int, list[Result]] = field(default_factory=dict)

    @property
    def is_read(self) -> bool:
        """Whether all are read."""
        return len(self.results) == len(self.files)

    def all_results(self) -> Iterator[Result]:
        """The results in the order of the files, and what belongs between them."""
        if not self.passed:
            yield from self.results
            return
        for number, result in enumerate(self.results):
            yield from self.passed.get(number, ())
            yield result
        yield from self.passed.get(len(self.results), ())


class ReaderPool:
    """Some processes that read chunks of files; each gets several, so that none has to wait.

    A process that dies takes no file with it but the one it died of, which is a failure.
    """

    def __init__(self, mode: Mode, max_inline_bytes: int, processes: int) -> None:
        self._mode = mode
        self._max_inline_bytes = max_inline_bytes
        self._readers = [self._start() for _ in range(processes)]
        self._last = self._readers[0]
        self._failed_starts = 0
        self._own: FileReader | None = None

    def _start(self) -> "_Reader":
        return _Reader(self._mode, self._max_inline_bytes)

    def close(self) -> None:
        """End the processes, whatever they do."""
        for reader in self._readers:
            reader.close()
        self._readers.clear()

    def is_ready(self) -> bool:
        """Whether a process has started; does not wait."""
        if self._readers:
            self.receive(0)
        return any(reader.is_ready for reader in self._readers)

    def read(self, chunk: Chunk, *, near: bool) -> bool:
        """Have a chunk read, unless all have enough to do: then False.

        `near`: better by the process that got the last one.
        """
        if self._own is not None:
            self._read_here(chunk)
            return True
        order = _Order(chunk)
        if not near or not self._last.has_room(order):
            self._last = min(self._readers, key=lambda reader: len(reader.orders))
        if not self._last.has_room(order):
            return False
        self._last.send(order)
        return True

    def receive(self, timeout: float) -> bool:
        """Take the answers that are there; wait for one at most so many seconds. False if none."""
        answering = wait([reader.answers for reader in self._readers], timeout)
        for reader in [reader for reader in self._readers if reader.answers in answering]:
            try:
                reader.receive()
            except (EOFError, OSError):
                self._replace(reader)
        return bool(answering)

    def _replace(self, dead: "_Reader") -> None:
        """Start a new process for a dead one, and have it read what that one did not."""
        reason = dead.close()
        if dead.is_ready:
            self._failed_starts = 0
            if dead.orders:
                _blame(dead.orders[0], reason)
        else:
            self._failed_starts += 1
            if self._failed_starts >= _FAILED_STARTS:
                self._give_up()
                return
        self._last = self._readers[self._readers.index(dead)] = self._start()
        for order in dead.orders:
            if not order.chunk.is_read:
                self._last.send(order)

    def _give_up(self) -> None:
        """No process can be started: what they should have read is read in this one."""
        log.warning("no process can be started to read files: this one reads them")
        orders = [order for reader in self._readers for order in reader.orders]
        self.close()
        self._own = FileReader(self._mode, self._max_inline_bytes)
        for order in orders:
            self._read_here(order.chunk)

    def _read_here(self, chunk: Chunk) -> None:
        assert self._own is not None
        for file, replaces in chunk.files[len(chunk.results) :]:
            chunk.results.append(self._own.read(file, replaces=replaces))


class _Order:
    """What a process is asked for: the files of a chunk that are not read; `alone`, one of them."""

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.alone = False

    def message(self) -> bytes:
        first = len(self.chunk.results)
        wanted = self.chunk.files[first : first + 1 if self.alone else None]
        return pickle.dumps(
            [
                (f.directory, f.name, int(replaces or Mode.MINIMAL), f.roots)
                for f, replaces in wanted
            ]
        )


def _blame(order: _Order, reason: str) -> None:
    """A process died of this order: of its one file, or from now on they go one by one."""
    chunk = order.chunk
    if order.alone:
        file, _ = chunk.files[len(chunk.results)]
        chunk.results.append(Failure(path_of(file), f"the process that read it {reason}"))
    order.alone = True


class _Reader:
    """One process, and what it was asked for and has not answered yet."""

    def __init__(self, mode: Mode, max_inline_bytes: int) -> None:
        command = [sys.executable, "-c", _PROGRAM, str(int(mode)), str(max_inline_bytes), *sys.path]
        # In a process group of its own, a Ctrl+C in the terminal is for this process alone.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            process_group=0,
        )
        self._sent = _connection(self._process.stdin, writes=True)
        self.answers = _connection(self._process.stdout, writes=False)
        self._unpacker = Unpacker()
        self._bytes_ahead: deque[int] = deque()
        self.orders: deque[_Order] = deque()
        self.is_ready = False

    def has_room(self, order: _Order) -> bool:
        """Whether it may get an order without our waiting for it: it may be waiting for us."""
        if not self.orders:
            return True
        length = sum(self._bytes_ahead) + len(order.message())
        return len(self.orders) < _ORDERS_AHEAD and length <= _BYTES_AHEAD

    def send(self, order: _Order) -> None:
        """Ask for something. If the process is dead, `receive` will tell."""
        message = order.message()
        self.orders.append(order)
        self._bytes_ahead.append(len(message))
        with contextlib.suppress(OSError):
            self._sent.send_bytes(message)

    def receive(self) -> None:
        """Take one answer. Raises EOFError or OSError where the process is dead."""
        message = self.answers.recv_bytes()
        if message == READY:
            self.is_ready = True
            return
        order = self.orders[0]
        chunk = order.chunk
        for content in self._unpacker.unpack(message):
            file, replaces = chunk.files[len(chunk.results)]
            chunk.results.append(result_of(file, replaces, content))
        if chunk.is_read or order.alone:
            self.orders.popleft()
            self._bytes_ahead.popleft()
            if not chunk.is_read:
                self.send(order)

    def close(self) -> str:
        """End the process; gives how it ended."""
        self._process.kill()
        status = self._process.wait()
        self._sent.close()
        self.answers.close()
        if status < 0:
            with contextlib.suppress(ValueError):
                return f"was killed by {signal.Signals(-status).name}"
        return f"ended with status {status}"


def _connection(pipe: IO[bytes] | None, *, writes: bool) -> Connection:
    assert pipe is not None
    connection = Connection(os.dup(pipe.fileno()), readable=not writes, writable=writes)
    pipe.close()
    if not writes and hasattr(fcntl, "F_SETPIPE_SZ"):
        # So much can be read ahead while this process writes a batch.
        with contextlib.suppress(OSError):
            fcntl.fcntl(connection.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return connection
