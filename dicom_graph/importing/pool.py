"""Processes that read files for this one."""

import contextlib
import logging
import pickle
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from dicom_graph.dicom.errors import FailureCode
from dicom_graph.dicom.mode import Mode
from dicom_graph.importing.child_process import ChildProcess
from dicom_graph.importing.reader import FileReader, Result, path_of, result_of
from dicom_graph.importing.reading_process import READY, InProgress
from dicom_graph.importing.serialization import Unpacker
from dicom_graph.importing.timeouts import CallTimeout, TimedCalls, TimeoutFailure
from dicom_graph.store.ingest import FileRecord
from dicom_graph.store.jobs.jobs import Failure

log = logging.getLogger(__name__)
_ORDERS_AHEAD = 4
_BYTES_AHEAD = 32_768
_FAILED_STARTS = 3
_START_SECONDS = 60.0


@dataclass(slots=True)
class Chunk:
    """Files that are read one after the other, and what became of those read so far.

    `passed`: results that were known already and belong before the file of their number.
    `given_up`: what became of the files, by number, that are not to be read any more.
    """

    files: list[tuple[FileRecord, Mode | None]] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    passed: dict[int, list[Result]] = field(default_factory=dict)
    given_up: dict[int, Failure] = field(default_factory=dict)

    @property
    def is_read(self) -> bool:
        """Whether all are read."""
        return len(self.results) == len(self.files)

    def add(self, result: Result) -> None:
        """The next file's result, and those of the files after it that are given up."""
        self.results.append(result)
        self._add_given_up()

    def give_up(self, number: int, failure: Failure) -> None:
        """Have a file not read any more."""
        self.given_up[number] = failure
        self._add_given_up()

    def _add_given_up(self) -> None:
        while (failure := self.given_up.pop(len(self.results), None)) is not None:
            self.results.append(failure)

    def to_be_read(self) -> list[tuple[FileRecord, Mode | None]]:
        """The files to read next, up to one that is given up."""
        return self.files[len(self.results) : min(self.given_up, default=None)]

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

    A process that dies takes no file with it but the one it died of, which is a failure; as is a
    file whose reading takes more than `seconds`: its process is killed, and replaced.
    """

    def __init__(
        self, mode: Mode, max_inline_bytes: int, processes: int, seconds: float, calls: TimedCalls
    ) -> None:
        """`calls`: in which files are read where no process can be started."""
        self._mode = mode
        self._max_inline_bytes = max_inline_bytes
        self._seconds = seconds
        self._calls = calls
        self._readers = [self._start() for _ in range(processes)]
        self._last = self._readers[0]
        self._failed_starts = 0
        self._own: FileReader | None = None

    def _start(self) -> "_Reader":
        return _Reader(self._mode, self._max_inline_bytes, self._seconds)

    def close(self) -> None:
        """End the processes, whatever they do."""
        for reader in self._readers:
            reader.kill()
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
        for reader in [reader for reader in self._readers if reader.is_late(self._seconds)]:
            self._give_up_file(reader)
        return bool(answering)

    def _give_up_file(self, late: "_Reader") -> None:
        """A process does not get on with a file: it is killed, and goes on with the next one."""
        number = late.number_in_progress()
        if number is not None:
            chunk = late.orders[0].chunk
            path = path_of(chunk.files[number][0])
            chunk.give_up(number, TimeoutFailure(path, str(CallTimeout(self._seconds).strerror)))
            # Of the process that is killed now there is nothing else to blame.
            late.orders[0].alone = False
        self._replace(late, has_blamed=number is not None)

    def _replace(self, dead: "_Reader", *, has_blamed: bool = False) -> None:
        """Start a new process for a dead one, and have it read what that one did not."""
        reason = dead.close()
        if dead.is_ready:
            self._failed_starts = 0
            if dead.orders and not has_blamed:
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
        while not chunk.is_read:
            assert self._own is not None
            file, replaces = chunk.files[len(chunk.results)]
            try:
                chunk.add(self._calls.run(self._own.read, file, replaces=replaces))
            except CallTimeout as error:
                # The thread that was left has the other one.
                self._own = FileReader(self._mode, self._max_inline_bytes)
                chunk.add(TimeoutFailure(path_of(file), str(error.strerror)))


class _Order:
    """What a process is asked for: the files of a chunk that are not read; `alone`, one of them.

    `end`: the number of results that the chunk has when the process has done what it was asked.
    """

    def __init__(self, chunk: Chunk) -> None:
        self.chunk = chunk
        self.alone = False
        self.end = 0

    def message(self) -> bytes:
        wanted = self.chunk.to_be_read()[: 1 if self.alone else None]
        self.end = len(self.chunk.results) + len(wanted)
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
        chunk.add(Failure(path_of(file), f"the process that read it {reason}", FailureCode.CRASHED))
    order.alone = True


class _Reader:
    """One process, and what it was asked for and has not answered yet."""

    def __init__(self, mode: Mode, max_inline_bytes: int, seconds: float) -> None:
        self._in_progress = InProgress.new()
        descriptor = self._in_progress.descriptor
        self._process = ChildProcess(
            "reading_process", [int(mode), max_inline_bytes, seconds, descriptor], [descriptor]
        )
        self.answers = self._process.answers
        self._unpacker = Unpacker()
        self._bytes_ahead: deque[int] = deque()
        self.orders: deque[_Order] = deque()
        self.is_ready = False
        self._n_results = 0
        self._seen = (False, 0, 0)
        self._since = time.monotonic()

    def has_room(self, order: _Order) -> bool:
        """Whether it may get an order without our waiting for it: it may be waiting for us."""
        if not self.orders:
            return True
        length = sum(self._bytes_ahead) + len(order.message())
        return len(self.orders) < _ORDERS_AHEAD and length <= _BYTES_AHEAD

    def send(self, order: _Order) -> None:
        """Ask for something. If the process is dead, `receive` will tell."""
        message = order.message()
        if not self.orders:
            self._since = time.monotonic()
        self.orders.append(order)
        self._bytes_ahead.append(len(message))
        with contextlib.suppress(OSError):
            self._process.sent.send_bytes(message)

    def receive(self) -> None:
        """Take one answer. Raises EOFError or OSError where the process is dead, or talks no
        sense.
        """
        message = self.answers.recv_bytes()
        if message == READY:
            self.is_ready = True
            return
        try:
            contents = self._unpacker.unpack(message)
        except Exception as error:
            raise EOFError("not an answer") from error
        if not self.orders:
            raise EOFError("an answer to nothing")
        order = self.orders[0]
        chunk = order.chunk
        left = order.end - len(chunk.results) - len(contents)
        if left < 0:
            raise EOFError("an answer to nothing")
        self._n_results += len(contents)
        for content in contents:
            file, replaces = chunk.files[len(chunk.results)]
            chunk.add(result_of(file, replaces, content))
        if not left:
            self.orders.popleft()
            self._bytes_ahead.popleft()
            if not chunk.is_read:
                self.send(order)

    def is_late(self, seconds: float) -> bool:
        """Whether it has not got on with its work for so long, or does not start at all."""
        now = time.monotonic()
        seen = self.is_ready, self._in_progress.number(), self._n_results
        if seen != self._seen or (self.is_ready and not self.orders):
            self._seen, self._since = seen, now
        return now - self._since > (seconds if self.is_ready else _START_SECONDS)

    def number_in_progress(self) -> int | None:
        """Which of the files of the first order's chunk it is reading; None where that cannot be
        told.
        """
        begun = self._in_progress.number()
        if not begun or not self.orders:
            return None
        order = self.orders[0]
        number = len(order.chunk.results) + begun - self._n_results - 1
        return number if len(order.chunk.results) <= number < order.end else None

    def kill(self) -> None:
        """Have the process end, whatever it does; does not wait."""
        self._process.kill()

    def close(self) -> str:
        """End the process; returns how it ended."""
        how = self._process.close()
        self._in_progress.close()
        return how
