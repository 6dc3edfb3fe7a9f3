"""The commands that keep the database in step with folders, and those about imports."""

import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from dicom_graph.cli.console import (
    DatabaseUrl,
    ModeOption,
    VerboseOption,
    as_json,
    as_text,
    check_paths,
    exit_status,
    fail,
    mode_of,
    open_database,
    progress_bar,
    start,
    stop_on_signal,
)
from dicom_graph.importing.factory import require_queue_of
from dicom_graph.importing.file_events import ListenError
from dicom_graph.importing.foreground import Report, read_report, retry_import, run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.importing.roots import resolve_roots
from dicom_graph.importing.sync import UnmountedError, check_mounts, gone_paths
from dicom_graph.importing.watch import Watch, WatchOptions
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.control import JobControlError, JobSummary, cancel_job, list_jobs
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest

jobs = typer.Typer(help="Imports: those that run, wait, or have ended.", no_args_is_help=True)

Folders = Annotated[list[Path], typer.Argument(help="Folders.", show_default=False)]
PatternOption = Annotated[
    str | None, typer.Option(help="Only file names that match this glob, such as '*.dcm'.")
]
PruneOption = Annotated[
    bool, typer.Option("--prune", help="Delete the images whose files are gone.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
JobId = Annotated[int, typer.Argument(help="The import's number.", show_default=False)]

_LISTED = 3
_HEADS = f"{'id':>6}  {'begun (UTC)':<19}  {'origin':<6}  {'status':<11}  what"


def sync(
    paths: Folders,
    mode: ModeOption = None,
    pattern: PatternOption = None,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read files that are known already again, too.")
    ] = False,
    prune: PruneOption = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only list the files that are gone.")
    ] = False,
    in_json: JsonOption = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Import folders, and mark images whose files are gone. Exit status as of `import`."""
    absolute = check_paths(paths)
    settings = start(database_url)
    database = open_database(settings, makes=not dry_run)
    if dry_run:
        _show_gone(database, absolute, prune)
        return
    request = JobRequest(
        absolute, mode_of(mode, settings), pattern, origin=JobOrigin.CLI, verify=verify, sync=True,
        prune=prune,
    )  # fmt: skip
    stop = threading.Event()
    with progress_bar() as show:
        stop_on_signal(stop)
        report = run_import(
            database,
            request,
            ImportOptions.of(settings),
            stop=stop,
            progress=show,
        )
    _end_with(report, in_json)


def watch(
    paths: Folders,
    mode: ModeOption = None,
    pattern: PatternOption = None,
    prune: PruneOption = False,
    settle: Annotated[
        float, typer.Option(min=0, help="Read a file once it has not changed for these seconds.")
    ] = 2.0,
    poll: Annotated[
        bool, typer.Option("--poll", help="Look at all files each second: for network mounts.")
    ] = False,
    resync: Annotated[
        float, typer.Option(min=0, help="Sync all again after these seconds; 0 for never.")
    ] = 3600.0,
    in_json: JsonOption = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Keep the database in step with folders until Ctrl+C: a sync, then what changes."""
    absolute = check_paths(paths)
    settings = start(database_url)
    database = open_database(settings, makes=True)
    stop = threading.Event()
    stop_on_signal(stop)

    def show(report: Report) -> None:
        print(as_json(report, indent=None) if in_json else as_text(report), flush=True)  # noqa: T201

    options = WatchOptions(settle, poll, resync, ImportOptions.of(settings))
    request = JobRequest(absolute, mode_of(mode, settings), pattern, prune=prune)
    try:
        Watch(database, request, options=options, stop=stop, on_report=show).run()
    except ListenError as error:
        fail(str(error))


def worker(
    concurrency: Annotated[
        int, typer.Option(min=1, max=64, help="How many batches to run at once, each in a thread.")
    ] = 1,
    database_url: DatabaseUrl = None,
) -> None:
    """Run the imports that servers hand to the queue, until SIGTERM or Ctrl+C.

    The first signal lets running batches end; what takes longer is handed to other workers.
    """
    settings = start(database_url)
    if settings.queue != "procrastinate":
        fail("there is no queue to work for: set DICOM_GRAPH_QUEUE=procrastinate")
    database = open_database(settings)
    require_queue_of(settings, database)
    # Here, since the library is optional.
    from dicom_graph.importing.queue.batch import BatchOptions
    from dicom_graph.importing.queue.worker import Worker

    options = BatchOptions(
        imports=ImportOptions.of(settings),
        roots=resolve_roots(settings.import_roots),
        files=settings.queue_batch_files,
    )
    print(f"dicom-graph works for {database.safe_url}", file=sys.stderr)  # noqa: T201
    Worker(
        database, options, concurrency=concurrency, stalled_after=settings.queue_stall_seconds
    ).run()


@jobs.command("list")
def list_(
    last: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 20,
    database_url: DatabaseUrl = None,
) -> None:
    """List imports, the latest first."""
    database = open_database(start(database_url))
    with database.read_sync() as connection:
        found = list_jobs(connection, last)
        if found:
            print(_HEADS)  # noqa: T201
        for job in found:
            print(_line(job))  # noqa: T201


@jobs.command()
def show(
    job_id: JobId,
    in_json: JsonOption = False,
    verbose: VerboseOption = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Print the report of an import as it is now."""
    database = open_database(start(database_url))
    report = _report_of(database, job_id)
    print(as_json(report) if in_json else as_text(report, verbose=verbose))  # noqa: T201


@jobs.command()
def cancel(job_id: JobId, database_url: DatabaseUrl = None) -> None:
    """End an import: at once if it waits, else at its next batch, wherever it runs."""
    database = open_database(start(database_url))
    try:
        with database.writer.begin() as connection:
            status = cancel_job(connection, job_id)
    except JobControlError as error:
        fail(str(error))
    print("cancelled" if status.is_final else "it ends at its next batch")  # noqa: T201


@jobs.command()
def retry(job_id: JobId, in_json: JsonOption = False, database_url: DatabaseUrl = None) -> None:
    """Read again what an import failed on. Exit status as of `import`."""
    settings = start(database_url)
    database = open_database(settings)
    stop = threading.Event()
    try:
        with progress_bar() as show_progress:
            stop_on_signal(stop)
            report = retry_import(
                database,
                job_id,
                JobOrigin.CLI,
                ImportOptions.of(settings),
                stop=stop,
                progress=show_progress,
            )
    except JobControlError as error:
        fail(str(error))
    _end_with(report, in_json)


def _end_with(report: Report, in_json: bool) -> None:
    print(as_json(report) if in_json else as_text(report))  # noqa: T201
    sys.exit(exit_status(report))


def _show_gone(database: Database, paths: tuple[str, ...], marked: bool) -> None:
    try:
        check_mounts(database, paths)
    except UnmountedError as error:
        fail(str(error))
    count = 0
    for path in paths:
        for gone in gone_paths(database, path, marked=marked):
            print(gone)  # noqa: T201
            count += 1
    print(f"{count} known files are gone", file=sys.stderr)  # noqa: T201


def _report_of(database: Database, job_id: int) -> Report:
    try:
        return read_report(database, job_id)
    except JobControlError as error:
        fail(str(error))


def _line(job: JobSummary) -> str:
    moment = f"{job.created:%Y-%m-%d %H:%M:%S}"
    what = ", ".join(job.paths[:_LISTED])
    if len(job.paths) > _LISTED:
        what += f" and {len(job.paths) - _LISTED:,} more"
    if job.retry_of is not None:
        what = f"the failures of {job.retry_of}: {what}"
    return f"{job.id:>6}  {moment}  {job.origin:<6}  {job.status:<11}  {what}"
