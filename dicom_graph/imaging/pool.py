"""Worker processes that decode: a decoder written in C may crash, hang, or take all memory.

Each worker is an executor of one process, so that a crash is known to be of the call that ran in
it, and touches no other. Workers start when they are first needed.
"""

import asyncio
import contextlib
import logging
import multiprocessing
import os
import signal
import tempfile
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import connection, forkserver
from multiprocessing.context import BaseContext
from typing import Any, ParamSpec, TypeVar

from dicom_graph.dicom.errors import PixelError
from dicom_graph.error_codes import ErrorCode
from dicom_graph.imaging.errors import ImagingError, imaging_error
from dicom_graph.imaging.memory import ProcessMemory, bound_memory, memory_of
from dicom_graph.signals import ending_signals
from dicom_graph.store.deadline import DEADLINE
from dicom_graph.telemetry import metrics

log = logging.getLogger(__name__)
Given = ParamSpec("Given")
Result = TypeVar("Result")

_PRELOADED = ["__main__", "dicom_graph.imaging.headers", "dicom_graph.imaging.worker"]
_LONGEST_FOLDER = 75
"""Below a longer `TMPDIR` a fork server has no socket: its path may have 107 bytes, 32 are ours."""
_NICENESS = 5
_GIVEN_UP_SECONDS = 1.0
_KEPT_PART, _KEPT_BYTES = 4, 128 << 20
"""A worker that keeps more than this part of its memory, and more than so much, is replaced."""


class DecodePool:
    """Runs functions in up to `workers` processes, each call for `seconds` at most.

    `memory_bytes`: what a worker may take; the system holds it to that where it can. A worker that
    ran out of memory, or keeps much of it after a call, is replaced: what a file made a decoder
    take must not be missing for the files after it.
    """

    def __init__(self, workers: int, seconds: float, memory_bytes: int) -> None:
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._may_keep = max(memory_bytes // _KEPT_PART, _KEPT_BYTES)
        self._slots = asyncio.Semaphore(workers)
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._work_in_hand: set[asyncio.Future[Any]] = set()

    async def run(
        self, function: Callable[Given, Result], *args: Given.args, **kwargs: Given.kwargs
    ) -> Result:
        """What a function of a module returns. Raises ImagingError, also for its PixelError, and
        TimeoutError once the time of the request that asks is up.

        Who is cancelled waits no longer. The process may end the call within a second, and then
        serves the next: to start one takes longer than most pictures, and whoever scrolls through
        a list gives up dozens. What takes longer is ended, and with it its process.
        """
        turn = _Turn()
        async with asyncio.timeout_at(DEADLINE.get()):
            await self._take_slot()
            work = asyncio.ensure_future(self._work(turn, partial(function, *args, **kwargs)))
            self._work_in_hand.add(work)
            work.add_done_callback(self._end_of_work)
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                turn.give_up()
                raise

    async def _take_slot(self) -> None:
        with metrics.DECODING_QUEUED.track_inprogress():
            await self._slots.acquire()

    async def _work(self, turn: "_Turn", call: Callable[[], Result]) -> Result:
        """What the call returns; frees the slot in the end."""
        try:
            with metrics.DECODING.track_inprogress():
                return await self._in_worker(turn, call)
        finally:
            self._slots.release()

    def _end_of_work(self, work: "asyncio.Future[Any]") -> None:
        self._work_in_hand.discard(work)
        if not work.cancelled():
            # Nobody may wait for it any more: asked for, it is not told as forgotten.
            work.exception()

    async def _in_worker(self, turn: "_Turn", call: Callable[[], Result]) -> Result:
        worker = await self._ready()
        if turn.is_given_up:
            self._put_back(worker)
            raise ImagingError("nobody waits for it", ErrorCode.TOO_SLOW)
        try:
            result = await self._call(worker, turn, call)
        except (PixelError, ImagingError) as error:
            self._put_back(worker)
            raise _as_imaging_error(error) from None
        except MemoryError as error:
            self._discard(worker)
            raise _as_imaging_error(error) from None
        except BaseException:
            self._discard(worker)
            raise
        self._put_back(worker)
        return result

    def close(self) -> None:
        """End all processes, also those at work."""
        for worker in (*self._idle, *self._busy):
            worker.kill()
        self._idle.clear()

    async def _ready(self) -> "_Worker":
        """A worker that waits; one that died meanwhile is replaced."""
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive():
                break
            worker.close()
        else:
            worker = _Worker(self._memory_bytes)
        self._busy.add(worker)
        try:
            await worker.start()
        except BrokenProcessPool:
            self._busy.discard(worker)
            raise ImagingError("no decoder could be started", ErrorCode.DECODER_CRASHED) from None
        except BaseException:
            self._discard(worker)
            raise
        return worker

    async def _call(self, worker: "_Worker", turn: "_Turn", call: Callable[[], Result]) -> Result:
        deadline = turn.deadline = asyncio.timeout(self._seconds)
        try:
            async with deadline:
                return await worker.call(call)
        except BrokenProcessPool:
            metrics.DECODING_CRASHED.inc()
            self._busy.discard(worker)
            worker.close()
            raise ImagingError(
                "the decoder crashed on this file: it is broken, or too large for the memory",
                ErrorCode.DECODER_CRASHED,
            ) from None
        except TimeoutError:
            if not deadline.expired():
                raise
            if not turn.is_given_up:
                metrics.DECODING_CRASHED.inc()
            self._discard(worker)
            raise ImagingError(
                f"it took longer than {self._seconds:g} seconds, the limit for one answer",
                ErrorCode.TOO_SLOW,
            ) from None

    def _put_back(self, worker: "_Worker") -> None:
        if worker not in self._busy:
            return
        if (kept := worker.kept_bytes()) > self._may_keep:
            log.info("A decoder that kept %d MB is replaced", kept >> 20)
            self._discard(worker)
            return
        self._busy.discard(worker)
        self._idle.append(worker)

    def _discard(self, worker: "_Worker") -> None:
        self._busy.discard(worker)
        worker.kill()


class _Turn:
    """A call, and whether somebody waits for it still."""

    def __init__(self) -> None:
        self.is_given_up = False
        self.deadline: asyncio.Timeout | None = None

    def give_up(self) -> None:
        """Leave it a second to end."""
        self.is_given_up = True
        deadline = self.deadline
        if deadline is not None and (when := deadline.when()) is not None:
            soon = asyncio.get_running_loop().time() + _GIVEN_UP_SECONDS
            if not deadline.expired() and soon < when:
                deadline.reschedule(soon)


class _Worker:
    """One process, and the executor that feeds it."""

    def __init__(self, memory_bytes: int) -> None:
        self._executor = ProcessPoolExecutor(
            1, mp_context=_context(), initializer=_prepare, initargs=(memory_bytes,)
        )
        self._pid: int | None = None
        self._at_start: ProcessMemory | None = None

    async def start(self) -> None:
        """Returns when the process is there."""
        if self._pid is None:
            # Off the event loop: the first waits until the fork server has imported all it needs.
            submitted = await asyncio.to_thread(self._executor.submit, os.getpid)
            self._pid = await asyncio.wrap_future(submitted)
            self._at_start = memory_of(self._pid)

    def kept_bytes(self) -> int:
        """What the process has taken since its start and not given back; 0 if that is unknown."""
        now = None if self._pid is None else memory_of(self._pid)
        if now is None or self._at_start is None:
            return 0
        before = self._at_start
        return max(now.data - before.data, now.resident - before.resident)

    async def call(self, function: Callable[[], Result]) -> Result:
        """What the function returns. Raises what it raises, or BrokenProcessPool."""
        return await asyncio.wrap_future(self._executor.submit(function))

    def is_alive(self) -> bool:
        """Whether the process was there a moment ago."""
        try:
            self._executor.submit(os.getpid)
        except RuntimeError:
            return False
        return True

    def kill(self) -> None:
        """End the process, whatever it does."""
        if self._pid is None:
            # It may be starting still, and to close waits for that.
            threading.Thread(target=self.close).start()
            return
        with contextlib.suppress(OSError):
            os.kill(self._pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        self.close()

    def close(self) -> None:
        """Let go of a process that has ended, or ends once it is done."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def _as_imaging_error(error: Exception) -> ImagingError:
    if isinstance(error, ImagingError):
        return error
    if isinstance(error, PixelError):
        return imaging_error(error)
    return ImagingError("decoding takes more memory than is allowed", ErrorCode.TOO_LARGE)


def _context() -> BaseContext:
    """Never a plain fork: the server has threads, and a fork copies the locks they hold."""
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    if not has_server or len(os.fsencode(tempfile.gettempdir())) > _LONGEST_FOLDER:
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def start_early() -> None:
    """Have the process that workers are forked of import what they need meanwhile."""
    if _context().get_start_method() == "forkserver":
        forkserver.ensure_running()


def _prepare(memory_bytes: int) -> None:
    """In a new worker: be silent, leave Ctrl+C to the server, end with it, bound the memory."""
    for each in ending_signals():
        if each is not signal.SIGTERM:
            signal.signal(each, signal.SIG_IGN)
    # Whoever waits for an answer goes before what is decoded.
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    # pydicom's warnings quote values of elements.
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    bound_memory(os.getpid(), memory_bytes)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)
