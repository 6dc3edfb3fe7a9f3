"""Keeping the database in step with folders: a sync at first, then what changes."""

import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from dicom_graph.importing.discover import is_at_or_below
from dicom_graph.importing.file_events import Listener
from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.importing.options import DEFAULTS, ImportOptions
from dicom_graph.importing.stable_files import StablePaths
from dicom_graph.importing.timeouts import CallTimeout, TimedCalls
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest.missing_files import knows_files_at
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.sql.driver_errors import DRIVER_ERRORS, describe_error
from dicom_graph.store.sql.unavailable import DatabaseUnavailable

log = logging.getLogger(__name__)
_TICK_SECONDS = 0.2
_RETRY_SECONDS = 5.0
_MAX_PATHS = 1000

_Identity = tuple[int, int] | None


class _Stopped(Exception):
    """The watch is to end."""


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How to watch.

    `settle`: seconds for which a file must stay as it is before it is read. `poll`: look at all
    files again and again instead of listening to the operating system, as a network file system
    needs. `resync`: seconds after which all is synced again, for what went unheard; 0 for never.
    """

    settle: float = 2.0
    poll: bool = False
    resync: float = 3600.0
    imports: ImportOptions = DEFAULTS


class Watch:
    """Watches the paths of a request until `stop` is set; each burst of changes is one import."""

    def __init__(
        self,
        database: Database,
        request: JobRequest,
        *,
        options: WatchOptions,
        stop: threading.Event,
        on_report: Callable[[Report], None] = lambda report: None,
    ) -> None:
        self._database = database
        self._roots = tuple(os.path.abspath(path) for path in request.paths)
        self._request = replace(request, paths=self._roots, origin=JobOrigin.WATCH, sync=True)
        self._options = options
        self._stop = stop
        self._on_report = on_report
        self._calls = TimedCalls(options.imports.file_seconds, self._check_stop)
        self._settling = StablePaths(options.settle, self._calls)

    def run(self) -> None:
        """Watch until stopped. Raises ListenError where nothing can be watched."""
        with suppress(_Stopped):
            self._run()
        self._calls.close()

    def _check_stop(self) -> None:
        if self._stop.is_set():
            raise _Stopped

    def _run(self) -> None:
        while self._wait_for_roots():
            try:
                with Listener(
                    self._roots, poll=self._options.poll, while_waiting=self._check_stop
                ) as listener:
                    identities = self._identities()
                    self._import(self._roots)
                    self._follow(listener, identities)
            except (*DRIVER_ERRORS, DatabaseUnavailable) as error:
                log.error("the database failed, trying again: %s", describe_error(error))
                self._stop.wait(_RETRY_SECONDS)

    def _wait_for_roots(self) -> bool:
        """Wait until all roots are there; returns whether they are, or false when stopped."""
        has_told = False
        while not self._stop.is_set():
            absent = [path for path in self._roots if not self._is_there(path)]
            if not absent:
                return True
            if not has_told:
                log.warning("waiting for %s, which is not there", ", ".join(absent))
                has_told = True
            self._stop.wait(_TICK_SECONDS)
        return False

    def _is_there(self, path: str) -> bool:
        try:
            return self._calls.run(os.path.exists, path)
        except CallTimeout:
            return False

    def _follow(self, listener: Listener, identities: list[_Identity]) -> None:
        """Import what changes, until stopped, a root is another one, or all is due again."""
        began = time.monotonic()
        while not self._stop.is_set() and self._identities() == identities:
            self._settling.add([path for path in listener.changed() if self._concerns(path)])
            settled = self._settling.take()
            if settled:
                paths = merged_paths(settled, self._roots)
                relevant = [path for path in paths if self._is_relevant(path)]
                if relevant:
                    self._import(relevant)
            if 0 < self._options.resync < time.monotonic() - began:
                return
            self._stop.wait(_TICK_SECONDS)

    def _import(self, paths: Sequence[str]) -> None:
        chosen = set(paths)

        def leave(path: str, status: os.stat_result) -> bool:
            return path not in chosen and self._settling.holds_back(path, status)

        report = run_import(
            self._database,
            replace(self._request, paths=tuple(paths)),
            self._options.imports,
            stop=self._stop,
            leave=leave,
            mounts=self._roots,
        )
        self._on_report(report)

    def _concerns(self, path: str) -> bool:
        """Not the database itself: each import would be followed by another for ever."""
        name = self._database.url.database
        return not (self._database.is_sqlite and name and path.startswith(os.path.abspath(name)))

    def _is_relevant(self, path: str) -> bool:
        try:
            if self._calls.run(os.path.lexists, path):
                return True
        except CallTimeout:
            return True
        with self._database.read_sync() as connection:
            return knows_files_at(connection, path)

    def _identities(self) -> list[_Identity]:
        try:
            return [self._calls.run(_identity, path) for path in self._roots]
        except CallTimeout:
            return []


def merged_paths(paths: Collection[str], roots: Sequence[str]) -> list[str]:
    """The same paths, without those inside others; if they are many, the folders they lie in."""
    chosen: list[str] = []
    for path in sorted(paths, key=lambda path: path.split(os.sep)):
        if not chosen or not is_at_or_below(path, chosen[-1]):
            chosen.append(path)
    if len(chosen) <= _MAX_PATHS:
        return chosen
    folders = {path if path in roots else os.path.dirname(path) for path in chosen}
    return merged_paths(folders, roots) if len(folders) < len(chosen) else list(roots)


def _identity(path: str) -> _Identity:
    """Which folder lies at a path: another one where something was mounted."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return (status.st_dev, status.st_ino)
