"""The audit log of a running server: a thread writes its lines, many in one transaction."""

import asyncio
import json
import logging
import queue
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from dicom_graph.access.principal import EVERYONE, Principal
from dicom_graph.error_codes import ErrorCode
from dicom_graph.store.audit import Action, AuditLine, AuditWriter, Outcome
from dicom_graph.store.engine import Database
from dicom_graph.store.private_files import open_or_make, restrict_to_owner
from dicom_graph.store.sql.driver_errors import REFUSED, describe_error

log = logging.getLogger(__name__)
_BATCH = 500
_GATHER_SECONDS = 0.5
_AGAIN_SECONDS = 0.5
_FLUSH_SECONDS = 10.0
_OF_THE_LINE = (*REFUSED, TypeError, ValueError, AttributeError, LookupError)
"""What is the fault of a line, not of the database."""
MAX_WAITING = 20_000
"""Lines in memory while the database does not take them."""


class AuditMode(StrEnum):
    """`AUTO`: what somebody does who has a name. `REQUIRED`: nothing is answered without a line."""

    AUTO = "auto"
    OFF = "off"
    ON = "on"
    REQUIRED = "required"


class AuditUnavailable(Exception):
    """The log is required and cannot be written."""

    def __init__(self) -> None:
        super().__init__("the audit log cannot be written, and nothing is answered without it")


@dataclass(slots=True)
class _Waiting:
    """A line; where an answer waits for it, `written` says what became of it."""

    line: AuditLine
    written: Future[None] | None = None

    def tell(self, error: Exception | None) -> None:
        """Say so, the first time only. A line whose answer is not given says that."""
        if self.written is None or self.written.done():
            return
        if error is not None:
            self.line.outcome, self.line.detail = Outcome.FAILED, ErrorCode.AUDIT_UNAVAILABLE
        if not self.written.set_running_or_notify_cancel():
            return
        if error is None:
            self.written.set_result(None)
        else:
            self.written.set_exception(error)


class AuditLog:
    """Takes lines from any thread. `file`: also appended to, a JSON object a line.

    Where the database does not take them, lines wait, and are written when it does; beyond
    `max_waiting` they are lost, which a line of action LOSS says afterwards. In mode `REQUIRED`
    answers wait for their lines, and are refused without.
    """

    def __init__(
        self,
        database: Database,
        mode: AuditMode = AuditMode.OFF,
        file: Path | None = None,
        *,
        max_waiting: int = MAX_WAITING,
        patience: float = 10.0,
    ) -> None:
        self._database = database
        self._mode = mode
        self._file = file
        self._patience = patience
        self._queue: queue.Queue[_Waiting] = queue.Queue(max_waiting)
        self._writer = AuditWriter()
        self._thread = threading.Thread(target=self._work, name="audit", daemon=True)
        self._stop = threading.Event()
        self._urgent = threading.Event()
        self._is_failing = False
        self._writing_since: float | None = None
        self._held = 0
        self._n_lost = 0
        self._n_lost_told = 0

    @property
    def waiting(self) -> int:
        """How many lines are not written yet."""
        return self._queue.qsize() + self._held

    @property
    def lost(self) -> int:
        """How many lines were lost since the start."""
        return self._n_lost

    @property
    def is_off(self) -> bool:
        """Whether nothing is written down."""
        return self._mode is AuditMode.OFF

    @property
    def is_required(self) -> bool:
        """Whether nothing is answered without a line."""
        return self._mode is AuditMode.REQUIRED

    def wants(self, principal: Principal) -> bool:
        """Whether what a principal does is written down."""
        return not self.is_off and (self._mode is not AuditMode.AUTO or principal is not EVERYONE)

    def check(self) -> None:
        """Raises AuditUnavailable where nothing may be answered now."""
        if not self.is_required:
            return
        since = self._writing_since
        if self._is_failing or (since and time.monotonic() - since > self._patience):
            raise AuditUnavailable

    def add(self, line: AuditLine) -> None:
        """Take a line, to be written within a second."""
        self._put(_Waiting(line))

    async def commit(self, line: AuditLine) -> None:
        """Take a line; if it is required, return when it is written. Raises AuditUnavailable."""
        if not self.is_required:
            self.add(line)
            return
        waiting = _Waiting(line, Future())
        assert waiting.written is not None
        self._put(waiting)
        self._urgent.set()
        try:
            async with asyncio.timeout(self._patience):
                await asyncio.wrap_future(waiting.written)
        except TimeoutError:
            waiting.line.outcome, waiting.line.detail = Outcome.FAILED, ErrorCode.AUDIT_UNAVAILABLE
            raise AuditUnavailable from None

    def start(self) -> None:
        """Begin to write."""
        if self.is_off:
            return
        # A group may be let in on purpose: that of what ships the log elsewhere.
        if self._file is not None and restrict_to_owner(self._file, keeps_group=True):
            log.warning("everybody could read %s, the audit log: now they cannot", self._file)
        self._thread.start()

    def stop(self) -> None:
        """Write what waits, for some seconds; what cannot be written then is counted in the log."""
        self._stop.set()
        self._urgent.set()
        if self._thread.is_alive():
            # It may wait for a lock that an import holds.
            self._thread.join(_FLUSH_SECONDS + 5)
        left = self.waiting
        if left:
            log.error("%s lines of the audit log could not be written, and are lost", left)

    def _put(self, waiting: _Waiting) -> None:
        try:
            self._queue.put_nowait(waiting)
        except queue.Full:
            self._n_lost += 1
            waiting.tell(AuditUnavailable())

    def _work(self) -> None:
        end = float("inf")
        while not (self._stop.is_set() and self._queue.empty()):
            if self._stop.is_set():
                end = min(end, time.monotonic() + _FLUSH_SECONDS)
            batch = self._gather()
            self._held = len(batch)
            self._writing_since = time.monotonic() if batch else None
            while batch := self._write(batch):
                self._held = len(batch)
                if self._stop.is_set():
                    end = min(end, time.monotonic() + _FLUSH_SECONDS)
                if time.monotonic() > end:
                    return
                time.sleep(_AGAIN_SECONDS)
            self._held, self._writing_since = 0, None

    def _gather(self) -> Sequence[_Waiting]:
        """What there is after some time, or at once if somebody waits for it."""
        self._urgent.wait(_GATHER_SECONDS)
        if not self._stop.is_set():
            self._urgent.clear()
        batch: list[_Waiting] = []
        while len(batch) < _BATCH:
            try:
                batch.append(self._queue.get_nowait())
            except queue.Empty:
                break
        return batch

    def _write(self, batch: Sequence[_Waiting]) -> Sequence[_Waiting]:
        """Write lines; returns those that are still to be written."""
        if not batch:
            return ()
        lines = [waiting.line for waiting in batch]
        lost = self._n_lost - self._n_lost_told
        if lost:
            lines.append(_loss(lost))
        try:
            rows = self._insert(lines)
        except Exception as error:
            if not isinstance(error, _OF_THE_LINE):
                self._fail(error, batch)
                return batch
            if len(batch) > 1:
                return self._write_each(batch)
            log.error("a line of the audit log is refused: %s", describe_error(error))
            self._n_lost += 1
            batch[0].tell(AuditUnavailable())
            return ()
        self._n_lost_told += lost
        self._is_failing = False
        self._append(rows)
        for waiting in batch:
            waiting.tell(None)
        return ()

    def _write_each(self, batch: Sequence[_Waiting]) -> Sequence[_Waiting]:
        """Where the database refuses some line: all others."""
        for place in range(len(batch)):
            if self._write(batch[place : place + 1]):
                return batch[place:]
        return ()

    def _insert(self, lines: Sequence[AuditLine]) -> list[dict[str, Any]]:
        with self._database.writer.begin() as connection:
            return self._writer.write(connection, lines)

    def _fail(self, error: BaseException, batch: Sequence[_Waiting]) -> None:
        if not self._is_failing:
            log.error("the audit log cannot be written: %s", describe_error(error))
        self._is_failing = True
        for waiting in batch:
            waiting.tell(AuditUnavailable())

    def _append(self, rows: Sequence[dict[str, Any]]) -> None:
        if self._file is None or not rows:
            return
        text = "".join(json.dumps(as_json(row), ensure_ascii=False) + "\n" for row in rows)
        try:
            with open(self._file, "a", encoding="utf-8", opener=open_or_make) as file:
                file.write(text)
        except OSError as error:
            log.error("the file of the audit log cannot be written: %s", error.strerror)


def _loss(count: int) -> AuditLine:
    return AuditLine(
        Action.LOSS, Outcome.FAILED, "dicom-graph", "", "", detail=f"{count} lines were lost"
    )


def as_json(columns: dict[str, Any]) -> dict[str, Any]:
    """The columns of a line in JSON: without those that are empty, moments in ISO 8601."""
    return {
        name: value.isoformat() if hasattr(value, "isoformat") else value
        for name, value in columns.items()
        if value is not None
    }
