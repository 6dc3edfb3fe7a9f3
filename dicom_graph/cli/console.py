"""What the commands have in common: settings, signals, a progress bar, reports, errors."""

import json
import os
import select
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from dicom_graph.importing.child_process import kill_children
from dicom_graph.importing.foreground import Report
from dicom_graph.importing.listing import printable
from dicom_graph.settings import Settings, load_settings
from dicom_graph.signals import ending_signals, ignore_at_exit
from dicom_graph.store.engine import Database
from dicom_graph.store.former_users import require_file
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobCounts, JobStatus
from dicom_graph.store.migrate import prepare
from dicom_graph.store.reindex import Reindexed
from dicom_graph.telemetry.logs import configure

_SHOWN_FAILURES = 20
_SHOWN_REASONS = 5
_END_SECONDS = 10.0

Show = Callable[[int, int], None]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", help="Name each file that was skipped, up to 1,000, and why.")
]
DatabaseUrl = Annotated[str | None, typer.Option("--database", help="The database URL.")]


class ModeName(Enum):
    """How much of a header is kept."""

    MINIMAL = "minimal"
    NORMAL = "normal"
    FULL = "full"


ModeOption = Annotated[
    ModeName | None,
    typer.Option(
        help="How much of a header to keep; if not given, DICOM_GRAPH_IMPORT_MODE, else normal.",
        show_default=False,
    ),
]


class StorageName(Enum):
    """Where the files are kept."""

    IN_PLACE = "in-place"
    COPY = "copy"
    MOVE = "move"


def start(database_url: str | None, **overrides: object) -> Settings:
    """The settings, and logging as they say."""
    settings = load_settings(database_url=database_url, **overrides)
    configure(settings.log_level, settings.log_format)
    return settings


def open_database(settings: Settings, *, makes: bool = False) -> Database:
    """The database, upgraded if it is embedded.

    Where there is none the program ends, unless it `makes` one: of a wrong path a command that
    looks would say that nothing is there. Raises DatabaseError; UsersGoneError where there was one.
    """
    database = Database(settings.database_url)
    require_file(database)
    if not makes and database.is_sqlite and not os.path.exists(str(database.url.database)):
        fail(
            f"there is no database at {printable(str(database.url.database))}: "
            "`dicom-graph import` or `dicom-graph db upgrade` makes one"
        )
    prepare(database)
    return database


def mode_of(given: ModeName | None, settings: Settings) -> Mode:
    """Returns the mode of an import, that of the settings where none is given."""
    return Mode[given.name if given else settings.import_mode.upper()]


def check_paths(paths: Sequence[Path]) -> tuple[str, ...]:
    """The absolute paths of arguments; ends the program where one cannot be imported."""
    for path in paths:
        if not os.path.exists(path):
            fail(f"{printable(str(path))} does not exist")
        if printable(str(path)) != str(path):
            fail(f"{printable(str(path))} is not UTF-8: rename it")
    return tuple(os.path.abspath(path) for path in paths)


def stop_on_signal(stop: threading.Event) -> None:
    """The first ending signal stops the batch, the second the process; so do ten seconds.

    Also where the system holds the main thread, which alone could run a handler of Python's.
    """
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    for each in ending_signals():
        signal.signal(each, lambda *_: None)
    ignore_at_exit()
    threading.Thread(target=_obey, args=(told, stop), daemon=True).start()


def _obey(told: int, stop: threading.Event) -> None:
    os.read(told, 1)
    stop.set()
    if not select.select([told], [], [], _END_SECONDS)[0]:
        _say_stuck()
    kill_children()
    os._exit(130)


def end_by_force(seconds: float) -> None:
    """From now on this process lives so long at most."""

    def end() -> None:
        time.sleep(seconds)
        _say_stuck()
        kill_children()
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def _say_stuck() -> None:
    print(  # noqa: T201
        "dicom-graph: ended by force: something does not end, a disk or mount may hang",
        file=sys.stderr,
        flush=True,
    )


class progress_bar:  # noqa: N801
    """A bar on standard error: counts, rate, and the remaining time where it is known."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
        )
        self._task = self._progress.add_task("Importing", total=None, rate="")

    def __enter__(self) -> Callable[[JobCounts], None]:
        self._progress.__enter__()
        return self._show

    def __exit__(self, *error: object) -> None:
        self._progress.__exit__(None, None, None)

    def _show(self, counts: JobCounts) -> None:
        speed = self._progress.tasks[0].speed
        rate = f"{speed:,.0f} files/s, {counts.failed} failed" if speed else ""
        total = max(counts.found, counts.processed)
        self._progress.update(self._task, completed=counts.processed, total=total, rate=rate)


@contextmanager
def bar(what: str = "Exporting") -> Iterator[Show]:
    """A bar on standard error, if that is a terminal; told how many are done, of how many."""
    with Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    ) as progress:
        task = progress.add_task("", total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def reindex_bar() -> Iterator[Callable[[Reindexed], None]]:
    """The number of images that a reindex has looked at, on standard error."""
    columns = (TextColumn("{task.description}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("Reindexing", total=None)
        yield lambda report: bar.update(
            task,
            description=f"{report.images:,} images read again, {report.headers:,} headers changed",
        )


def reindex_text(report: Reindexed, *, dry_run: bool) -> str:
    """A report of a reindex in words."""
    would = "would change" if dry_run else "changed"
    names = f"{report.definitions:,} elements have other names in the dictionaries: {would}"
    if not report.readings:
        nothing = "nothing that is stored is read otherwise by this version"
        return f"{nothing}\n{names}" if report.definitions else nothing
    fields = ", ".join(f"{count:,} of {name}" for name, count in sorted(report.fields.items()))
    lines = [
        f"read otherwise by this version: {'; '.join(report.readings)}",
        f"{report.images:,} images looked at: {would} {report.elements:,} elements in "
        f"{report.headers:,} headers, and rows: {fields or 'none'}",
    ]
    if report.definitions:
        lines.append(names)
    if report.only_in_files:
        lines.append(
            f"{report.only_in_files:,} elements are as they were: their bytes are in their files "
            "only, which `dicom-graph import --verify` reads again"
        )
    if report.without_header:
        lines.append(
            f"{report.without_header:,} images keep no header (minimal mode): "
            "`dicom-graph import --verify` reads their files again"
        )
    if not report.is_complete:
        lines.append("interrupted: the same command goes on")
    return "\n".join(lines)


def as_text(report: Report, *, failures: bool = True, verbose: bool = False) -> str:
    """A report in words. `verbose`: with every skipped file that is known by its path."""
    counts = report.counts
    lines = [
        f"{report.status.value.lower()}: {counts.found} files found, {counts.created} images "
        f"created, {counts.updated} updated, {counts.existing} existing, {counts.skipped} files "
        f"skipped, {counts.failed} failed"
    ]
    if counts.missing or counts.moved:
        lines[0] += f", {counts.missing} images missing, {counts.moved} files moved"
    if report.error:
        lines.append(report.error)
    lines += _skipped(report, verbose=verbose)
    if failures:
        lines += [f"  {f.path}: {f.message}" for f in report.failures[:_SHOWN_FAILURES]]
        more = len(report.failures) - _SHOWN_FAILURES
        if more > 0:
            lines.append(f"  and {more} more: `--json` lists all")
    return "\n".join(lines)


def _skipped(report: Report, *, verbose: bool) -> Iterator[str]:
    """What was skipped, each reason with its count, and what there is to say of nothing at all."""
    if verbose:
        yield from (f"  skipped: {skip.path}: {skip.message}" for skip in report.skips)
    else:
        reasons = Counter(skip.message for skip in report.skips)
        for reason, count in reasons.most_common(_SHOWN_REASONS):
            yield f"  skipped: {count:,} × {reason}"
        if report.skips:
            yield "  `--verbose` names each of them"
    if report.counts.skipped > len(report.skips) > 0:
        yield f"  (of the first {len(report.skips):,} that were skipped)"
    if report.status is JobStatus.COMPLETED and not report.counts.found:
        yield "no file was found there"
    elif report.status is JobStatus.COMPLETED and has_nothing(report):
        yield "nothing there is a DICOM image"


def has_nothing(report: Report) -> bool:
    """Whether no DICOM image was found, not even one that failed."""
    counts = report.counts
    return not (counts.created + counts.updated + counts.existing + counts.failed)


def as_json(report: Report, indent: int | None = 2) -> str:
    """A report as JSON."""
    counts = report.counts
    return json.dumps(
        {
            "jobId": report.job_id,
            "status": report.status.value,
            "found": counts.found,
            "processed": counts.processed,
            "created": counts.created,
            "updated": counts.updated,
            "existing": counts.existing,
            "skipped": counts.skipped,
            "failed": counts.failed,
            "missing": counts.missing,
            "moved": counts.moved,
            "failures": [
                {"path": f.path, "message": f.message, "code": f.code} for f in report.failures
            ],
            "skippedFiles": [{"path": s.path, "reason": s.message} for s in report.skips],
            "error": report.error,
        },
        indent=indent,
    )


def exit_status(report: Report) -> int:
    """0 all taken, 1 some failed, or there was no DICOM image at all, 130 interrupted."""
    if report.status is JobStatus.CANCELLED:
        return 130
    is_bad = report.counts.failed or report.status is JobStatus.FAILED
    return 1 if is_bad or (has_nothing(report) and not report.counts.missing) else 0


def say(message: str) -> None:
    """One line on standard error."""
    print(f"dicom-graph: {message}", file=sys.stderr)  # noqa: T201


def fail(message: str) -> NoReturn:
    """End with status 2 and one line on standard error."""
    say(message)
    sys.exit(2)
