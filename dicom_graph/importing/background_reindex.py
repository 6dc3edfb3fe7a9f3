"""A server reads again, beside its requests, what an older version of the program stored."""

import logging
import threading
import time

from dicom_graph.store.engine import Database
from dicom_graph.store.reindex import Reindexed, reindex
from dicom_graph.store.sql.driver_errors import DRIVER_ERRORS, describe_error
from dicom_graph.store.sql.unavailable import DatabaseUnavailable

log = logging.getLogger(__name__)
_REST = 1.0
"""The pause after a step, in times of the step: requests and imports have the other half."""
_STOP_SECONDS = 15.0
_RETRY_SECONDS = 60.0


class BackgroundReindex:
    """A thread that reindexes once. Several servers of one database share the work."""

    def __init__(self, database: Database, *, max_raw: int) -> None:
        """`max_raw`: the most bytes of a binary value that an element keeps."""
        self._database = database
        self._max_raw = max_raw
        self._stop = threading.Event()
        self._step_began = 0.0
        self._thread = threading.Thread(target=self._work, name="reindexer", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End the running step, and wait for it; the next server goes on from there."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS)

    def _work(self) -> None:
        while not self._stop.is_set():
            try:
                report = self._run()
            except (*DRIVER_ERRORS, DatabaseUnavailable) as error:
                log.warning("the reindex goes on later: %s", describe_error(error))
                self._stop.wait(_RETRY_SECONDS)
                continue
            if report.readings:
                log.info(
                    "reindex %s: %s images looked at, %s elements in %s headers changed",
                    "done" if report.is_complete else "interrupted",
                    report.images, report.elements, report.headers,
                )  # fmt: skip
            return

    def _run(self) -> Reindexed:
        self._step_began = time.monotonic()
        return reindex(self._database, max_raw=self._max_raw, stop=self._stop, progress=self._rest)

    def _rest(self, _: Reindexed) -> None:
        self._stop.wait((time.monotonic() - self._step_began) * _REST)
        self._step_began = time.monotonic()
