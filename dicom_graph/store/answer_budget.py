"""What an answer takes while it is made: time, bytes, memory; and its end where that is too much.

`BUDGET` is that of the operation whose code runs; what it starts inherits it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import TypeVar

from dicom_graph.error_codes import ErrorCode
from dicom_graph.store.event_loop_turns import EventLoopTurns, turns

T = TypeVar("T")
_STEP = 1 << 20
_FREE = 256 << 10
"""Bytes of memory that every answer has, whatever others take."""
_GRACE = 0.5
"""Seconds in which what has ended for want of time may still be told."""


class ResponseLimitExceeded(Exception):
    """An answer takes too much; `code` for programs."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


def out_of_time(seconds: float) -> ResponseLimitExceeded:
    """For an operation that took too long."""
    message = f"the request took more than {seconds:g} seconds (DICOM_GRAPH_MAX_SECONDS)"
    return ResponseLimitExceeded(ErrorCode.TIMEOUT, message)


def too_large(max_bytes: int) -> ResponseLimitExceeded:
    """For an answer of too many bytes."""
    return ResponseLimitExceeded(
        ErrorCode.MAX_ANSWER_BYTES,
        f"the answer has more than {max_bytes:,} bytes (DICOM_GRAPH_MAX_ANSWER_BYTES): ask for "
        "less at once, such as smaller pages",
    )


class MemoryBudget:
    """What all answers in the making may take together, in bytes, about."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.taken = 0

    def take(self, n_bytes: int) -> bool:
        """Take some, if so much is left."""
        if self.taken + n_bytes > self.max_bytes:
            return False
        self.taken += n_bytes
        return True

    def give(self, n_bytes: int) -> None:
        """Give some back."""
        self.taken -= n_bytes

    def exhausted(self) -> ResponseLimitExceeded:
        """For whom nothing is left."""
        return ResponseLimitExceeded(
            ErrorCode.OVERLOADED,
            f"the answers that the server is making take the {self.max_bytes >> 20:,} MB that they "
            "may take together (DICOM_GRAPH_MAX_ANSWERS_MEGABYTES): ask for less at once, such as "
            "smaller pages, or try again",
        )


class AnswerBudget:
    """What one operation takes. Without limits it only shares the event loop."""

    def __init__(
        self,
        *,
        seconds: float | None = None,
        max_bytes: int | None = None,
        memory: MemoryBudget | None = None,
    ) -> None:
        self.n_bytes = 0
        self.overrun: ResponseLimitExceeded | None = None
        self.turns: EventLoopTurns = turns()
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._memory = memory
        self._n_memory = 0
        self._taken = 0
        self._busy = 0
        self._when_quiet: list[tuple[Callable[[], object], Context]] = []
        self._task: asyncio.Task[object] | None = None
        self._is_cancelled = False
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_stopped(self) -> bool:
        """Whether all that is still made is in vain."""
        return self.overrun is not None

    def write(self, n_bytes: int, memory: int) -> None:
        """Count bytes of the answer, and what they take in memory until it is sent."""
        self.n_bytes += n_bytes
        if self._max_bytes is not None and self.n_bytes > self._max_bytes:
            self.stop(too_large(self._max_bytes))
        self.hold(memory)

    def hold(self, memory: int) -> None:
        """Count memory that is taken until the operation ends."""
        self._n_memory += memory
        if self._memory is not None and self._n_memory > self._taken + _FREE:
            more = self._n_memory - self._taken - _FREE + _STEP
            if self._memory.take(more):
                self._taken += more
            else:
                self.stop(self._memory.exhausted())

    def keep(self, memory: int) -> None:
        """Nothing is left of it all but so much."""
        self._n_memory = memory
        self._give_back(max(0, memory - _FREE))

    def release(self) -> None:
        """Nothing is left of it."""
        self._n_memory = 0
        self._give_back(0)

    def _give_back(self, kept: int) -> None:
        if self._memory is not None and self._taken > kept:
            self._memory.give(self._taken - kept)
            self._taken = kept

    def stop(self, overrun: ResponseLimitExceeded) -> None:
        """End the operation: what waits is cancelled."""
        if self.overrun is None:
            self.overrun = overrun
            # What runs now, maybe in another task than its own, goes on to its next turn.
            asyncio.get_running_loop().call_soon(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None and not self._task.done():
            self._is_cancelled = True
            self._task.cancel()

    def begin(self) -> None:
        """The time begins; also that of one event among many, whose answer is its own."""
        self.n_bytes = 0
        self._stop_timer()
        if self._seconds is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds + _GRACE, self._run_out)

    def _run_out(self) -> None:
        assert self._seconds is not None
        self.stop(out_of_time(self._seconds))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def run(self, awaitable: Awaitable[T]) -> T:
        """Returns the awaitable's result. Raises ResponseLimitExceeded where it takes too much."""
        self._task, self._is_cancelled = asyncio.current_task(), False
        try:
            result = await awaitable
        except BaseException as error:
            is_own = isinstance(error, Exception) or self._is_cancelled
            if self.overrun is None or not is_own or self._uncancel() > 0:
                raise
            raise self.overrun from None
        finally:
            self._task = None
            self._stop_timer()
        if self.overrun is not None:
            self._uncancel()
            raise self.overrun
        return result

    def _uncancel(self) -> int:
        """Take back the own cancellation; how many others there are."""
        task = asyncio.current_task()
        if task is None:
            return 0
        return task.uncancel() if self._is_cancelled else task.cancelling()

    def is_turn_over(self) -> bool:
        """Whether to wait for the next turn of the event loop."""
        return self.turns.is_over()

    async def next_turn(self) -> None:
        """Wait for it. Raises ResponseLimitExceeded where all further work is in vain."""
        self._busy += 1
        try:
            await self.turns.next_turn()
        finally:
            self._unbusy()
        if self.overrun is not None:
            raise self.overrun

    async def hold_and_share(self, memory: int) -> None:
        """Count memory, and let others have their turn where that is due. Raises
        ResponseLimitExceeded.
        """
        self.hold(memory)
        if self.overrun is not None:
            raise self.overrun
        if self.turns.is_over():
            await self.next_turn()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Meanwhile more is found that is asked of the database together."""
        self._busy += 1
        try:
            yield
        finally:
            self._unbusy()

    def _unbusy(self) -> None:
        self._busy -= 1
        if not self._busy and self._when_quiet:
            waiting, self._when_quiet = self._when_quiet, []
            for call, context in waiting:
                asyncio.get_running_loop().call_soon(call, context=context)

    def when_quiet(self, call: Callable[[], object]) -> None:
        """Call soon, but not while it is busy."""
        if self._busy:
            self._when_quiet.append((call, copy_context()))
        else:
            asyncio.get_running_loop().call_soon(call)


class PendingAnswers:
    """The budget of operations whose answers are not sent yet."""

    def __init__(self) -> None:
        self._budgets: list[AnswerBudget] = []
        self._is_closed = False

    @property
    def n_bytes(self) -> int:
        """How many bytes the answers have together, about."""
        return sum(budget.n_bytes for budget in self._budgets)

    def add(self, budget: AnswerBudget) -> None:
        """Hold what it took."""
        if self._is_closed:
            budget.release()
        else:
            self._budgets.append(budget)

    def keep(self, n_bytes: int) -> None:
        """The answers are written: so much is left to be sent."""
        for budget in self._budgets:
            budget.keep(n_bytes // len(self._budgets))

    def close(self) -> None:
        """They are sent, or never will be."""
        self._is_closed = True
        for budget in self._budgets:
            budget.release()


BUDGET: ContextVar[AnswerBudget | None] = ContextVar("budget", default=None)


def current_budget() -> AnswerBudget:
    """That of the operation that runs, or one without limits."""
    return BUDGET.get() or AnswerBudget()
