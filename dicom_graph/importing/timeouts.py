"""Calls that may never return: a file system hangs, or what looks like a file has no end.

Each runs in a daemon thread. No thread can be ended from outside: that of a call which shows no
sign of life for too long is left to itself, and another one takes its place.
"""

import contextlib
import errno
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, ParamSpec, Protocol, TypeVar

from dicom_graph.dicom.errors import FailureCode
from dicom_graph.store.jobs.jobs import Failure

Given = ParamSpec("Given")
Result = TypeVar("Result")
_Call = tuple[Future[Any], Callable[[], Any]]

FILE_SECONDS = 120.0
"""How long the reading of a file, or of a folder's names, may show no sign of life."""
_LOOK_SECONDS = 0.25


class CallTimeout(TimeoutError):
    """An operation on a file did not end in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(
            errno.ETIMEDOUT,
            f"no answer within {seconds:g} s (DICOM_GRAPH_FILE_SECONDS): does its disk or mount "
            "hang?",
        )


@dataclass(slots=True)
class TimeoutFailure(Failure):
    """A file or folder that gave no answer in time."""

    code: FailureCode = FailureCode.TOO_SLOW


class Calls(Protocol):
    """How operations on files are run."""

    def run(
        self, function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """Returns what the function does, and raises what it raises. May raise CallTimeout."""


class DirectCalls:
    """In the calling thread, however long it takes."""

    def run(
        self, function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """See `Calls`."""
        return function(*args, **kwargs)


class TimedThreads:
    """Runs calls in up to `count` daemon threads; to be used by one thread.

    `seconds`: how long a call may show no sign of life.
    """

    def __init__(self, count: int, seconds: float) -> None:
        self._seconds = seconds
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._threads = [_Thread(self._calls) for _ in range(count)]

    def submit(
        self, function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Future[Result]:
        """Have a call run."""
        future: Future[Result] = Future()
        self._calls.put((future, lambda: function(*args, **kwargs)))
        return future

    def give_up_late(self) -> None:
        """The futures of calls that show no sign of life get a CallTimeout."""
        for place, thread in enumerate(self._threads):
            future = thread.late(self._seconds)
            if future is None:
                continue
            with contextlib.suppress(InvalidStateError):
                future.set_exception(CallTimeout(self._seconds))
                thread.is_left = True
                self._threads[place] = _Thread(self._calls)

    def close(self, seconds: float = 0) -> None:
        """Let the threads go; calls that have not begun are dropped. Waits so long for the others
        to end.
        """
        with contextlib.suppress(Empty):
            while True:
                self._calls.get_nowait()
        for _ in self._threads:
            self._calls.put(None)
        latest = time.monotonic() + seconds
        for thread in self._threads:
            thread.join(max(0.0, latest - time.monotonic()))


class TimedCalls:
    """Runs one call at a time, for a thread that must not hang.

    `while_waiting` is called some times a second while a call lasts; what it raises ends the wait.
    It may run calls itself.
    """

    def __init__(
        self, seconds: float = FILE_SECONDS, while_waiting: Callable[[], None] = lambda: None
    ) -> None:
        self._seconds = seconds
        self._while_waiting = while_waiting
        self._idle: list[TimedThreads] = []

    def run(
        self, function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """See `Calls`."""
        thread = self._idle.pop() if self._idle else TimedThreads(1, self._seconds)
        future = thread.submit(function, *args, **kwargs)
        try:
            return self._result(thread, future)
        finally:
            if future.done():
                self._idle.append(thread)
            else:
                thread.close()

    def _result(self, thread: TimedThreads, future: Future[Result]) -> Result:
        while True:
            try:
                return future.result(_LOOK_SECONDS)
            except TimeoutError:
                # The call's own, or that of our wait.
                if future.done():
                    return future.result()
            thread.give_up_late()
            self._while_waiting()

    def close(self) -> None:
        """Let the threads go."""
        while self._idle:
            self._idle.pop().close()


class _Thread(threading.Thread):
    def __init__(self, calls: "SimpleQueue[_Call | None]") -> None:
        super().__init__(name="timed", daemon=True)
        self._calls = calls
        self._running: tuple[Future[Any], float] | None = None
        self.is_left = False
        self.start()

    def run(self) -> None:
        while not self.is_left and (call := self._calls.get()) is not None:
            future, function = call
            self._running = future, time.monotonic()
            try:
                result = function()
            except BaseException as error:
                self._running = None
                _settle(future.set_exception, error)
            else:
                self._running = None
                _settle(future.set_result, result)
            # What it refers to may be large, and the next call may be long in coming.
            del call, future, function

    def heartbeat(self) -> None:
        running = self._running
        if running is not None:
            self._running = running[0], time.monotonic()

    def late(self, seconds: float) -> Future[Any] | None:
        """What it runs, if that shows no sign of life."""
        running = self._running
        if running is None or time.monotonic() - running[1] <= seconds:
            return None
        return running[0]


def _settle(tell: Callable[[Any], None], outcome: object) -> None:
    with contextlib.suppress(InvalidStateError):
        tell(outcome)


def heartbeat() -> None:
    """A sign of life of a call that takes long, from within; elsewhere it does nothing."""
    thread = threading.current_thread()
    if isinstance(thread, _Thread):
        thread.heartbeat()


def each(calls: Calls, items: Iterator[Result]) -> Iterator[Result]:
    """Returns the items of an iterator, each found by a call. Raises CallTimeout."""
    end = object()
    while (item := calls.run(next, items, end)) is not end:
        yield item  # type: ignore[misc]
