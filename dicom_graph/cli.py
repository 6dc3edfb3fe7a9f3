"""The command line: `dicom-graph`."""

import json
import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
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

from dicom_graph import accounts_cli, demo
from dicom_graph.importing.discover import printable
from dicom_graph.importing.run import Report, run_import
from dicom_graph.settings import Settings, SettingsError, load_settings
from dicom_graph.store.accounts import AccountError, has_users
from dicom_graph.store.dialect import DRIVER_ERRORS, describe_error
from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs import JobCounts, JobOrigin, JobRequest, JobStatus
from dicom_graph.store.migrate import prepare, upgrade

app = typer.Typer(
    help="Index DICOM trees and query every data element over GraphQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
db = typer.Typer(help="The database.", no_args_is_help=True)
app.add_typer(db, name="db")
for name, commands in accounts_cli.COMMANDS.items():
    app.add_typer(commands, name=name)
log = logging.getLogger(__name__)
_SHOWN_FAILURES = 20


class ModeName(Enum):
    """How much of a header is kept."""

    MINIMAL = "minimal"
    NORMAL = "normal"
    FULL = "full"


def main() -> None:
    """The entry point: errors of the user end in one line on standard error."""
    try:
        app()
    except (SettingsError, DatabaseError, AccountError) as error:
        _fail(str(error))
    except DRIVER_ERRORS as error:
        _fail(f"the database failed: {describe_error(error)}")


@app.command("import")
def import_files(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)],
    mode: Annotated[ModeName, typer.Option(help="How much of a header to keep.")] = (
        ModeName.NORMAL
    ),
    pattern: Annotated[
        str | None, typer.Option(help="Only file names that match this glob, such as '*.dcm'.")
    ] = None,
    stop_on_error: Annotated[
        bool, typer.Option("--stop-on-error", help="End at the first file that fails.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    database: Annotated[str | None, typer.Option(help="The database URL.")] = None,
) -> None:
    """Import DICOM files. Exit status: 0 all taken, 1 some failed, 2 wrong use, 130 interrupted."""
    for path in paths:
        if not os.path.exists(path):
            _fail(f"{printable(str(path))} does not exist")
        if printable(str(path)) != str(path):
            _fail(f"{printable(str(path))} is not UTF-8: rename it")
    settings = _start(database)
    store = _open(settings)
    request = JobRequest(
        tuple(os.path.abspath(path) for path in paths), Mode[mode.name], pattern, stop_on_error,
        JobOrigin.CLI,
    )  # fmt: skip
    stop = threading.Event()
    with _progress_bar() as show:
        _stop_on_signal(stop)
        report = run_import(
            store,
            request,
            batch_size=settings.batch_size,
            max_inline_bytes=settings.max_inline_bytes,
            stop=stop,
            progress=show,
        )
    print(_as_json(report) if as_json else _as_text(report))  # noqa: T201
    sys.exit(_exit_status(report))


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port to listen on.")] = 8000,
    import_root: Annotated[
        list[Path] | None,
        typer.Option(help="A folder that `importPath` may read; repeat for several."),
    ] = None,
    with_demo: Annotated[
        bool, typer.Option("--demo", help="Sample files in a temporary database.")
    ] = False,
    trusted_documents: Annotated[
        Path | None, typer.Option(help="A JSON file of the only operations to execute.")
    ] = None,
    insecure: Annotated[
        bool,
        typer.Option("--insecure", help="Listen to other machines though nobody needs a name."),
    ] = False,
    database: Annotated[str | None, typer.Option(help="The database URL.")] = None,
) -> None:
    """Serve GraphQL and GraphiQL."""
    # Here, since an import has no need of them and should not wait for them.
    from dicom_graph.web.app import create_app
    from dicom_graph.web.server import make_server

    _exit_on_signal()
    with tempfile.TemporaryDirectory(prefix="dicom-graph-") as folder:
        if with_demo:
            database = f"sqlite:///{folder}/demo.sqlite3"
            import_root = [*(import_root or []), demo.sample_folder()]
        settings = _start(database, import_roots=import_root, trusted_documents=trusted_documents)
        _require_names(settings, _open(settings), host, insecure=insecure)
        listener = _listen(host, port)
        if with_demo:
            _import_demo(settings)
        shown_host = f"[{host}]" if ":" in host else host
        address = f"http://{shown_host}:{listener.getsockname()[1]}/graphql"
        print(f"dicom-graph serves {address}", file=sys.stderr)  # noqa: T201
        settings.allowed_hosts.append(shown_host)
        application = create_app(settings, default_query=demo.QUERY if with_demo else None)
        make_server(application, settings).run(sockets=[listener])


@app.command()
def schema() -> None:
    """Print the schema in GraphQL's schema language."""
    from dicom_graph.graph.schema import schema_text

    print(schema_text(), end="")  # noqa: T201


@db.command("upgrade")
def db_upgrade(
    database: Annotated[str | None, typer.Option(help="The database URL.")] = None,
) -> None:
    """Create the tables, or bring them to those of this version."""
    settings = _start(database)
    upgrade(Database(settings.database_url))


def _start(database: str | None, **overrides: object) -> Settings:
    settings = load_settings(database_url=database, **overrides)
    logging.basicConfig(
        level=settings.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # pydicom's warnings quote values of elements, and uvicorn's access log quotes queries.
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return settings


def _open(settings: Settings) -> Database:
    """The database, upgraded if it is embedded."""
    database = Database(settings.database_url)
    prepare(database)
    return database


def _require_names(settings: Settings, database: Database, host: str, *, insecure: bool) -> None:
    """On an address that other machines reach, somebody must ask them who they are."""
    with database.read_sync() as connection:
        if has_users(connection) or settings.proxy_user_header or _is_loopback(host):
            return
    if not insecure:
        _fail(
            f"{host} can be reached from other machines, and nobody there would need a name to "
            "read and change everything: add a user (`dicom-graph user add NAME --role admin`), "
            "or set DICOM_GRAPH_PROXY_USER_HEADER, or say --insecure"
        )
    log.warning("INSECURE: everybody who reaches %s may read and change everything", host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        _fail(f"cannot listen on {host}:{port}: {reason}")
    return listener


def _import_demo(settings: Settings) -> None:
    request = JobRequest((str(demo.sample_folder()),), Mode.FULL, origin=JobOrigin.CLI)
    report = run_import(Database(settings.database_url), request)
    print(_as_text(report, failures=False), file=sys.stderr)  # noqa: T201


def _stop_on_signal(stop: threading.Event) -> None:
    """The first signal ends the batch, the second the process."""

    def handle(signum: int, frame: FrameType | None) -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


def _exit_on_signal() -> None:
    """End with status 0, cleaned up: uvicorn raises a signal again once it has shut down."""

    def handle(signum: int, frame: FrameType | None) -> None:
        sys.exit(0)

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)


class _progress_bar:  # noqa: N801
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


def _as_text(report: Report, *, failures: bool = True) -> str:
    counts = report.counts
    lines = [
        f"{report.status.value.lower()}: {counts.found} files found, {counts.created} images "
        f"created, {counts.updated} updated, {counts.existing} existing, {counts.skipped} files "
        f"skipped, {counts.failed} failed"
    ]
    if report.error:
        lines.append(report.error)
    if failures:
        lines += [f"  {f.path}: {f.message}" for f in report.failures[:_SHOWN_FAILURES]]
        more = len(report.failures) - _SHOWN_FAILURES
        if more > 0:
            lines.append(f"  and {more} more: `--json` lists all")
    return "\n".join(lines)


def _as_json(report: Report) -> str:
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
            "failures": [{"path": f.path, "message": f.message} for f in report.failures],
            "error": report.error,
        },
        indent=2,
    )


def _exit_status(report: Report) -> int:
    if report.status is JobStatus.CANCELLED:
        return 130
    return 1 if report.counts.failed or report.status is JobStatus.FAILED else 0


def _fail(message: str) -> NoReturn:
    print(f"dicom-graph: {message}", file=sys.stderr)  # noqa: T201
    sys.exit(2)
