"""The command line: `dicom-graph`."""

import logging
import os
import signal
import socket
import sys
import tempfile
import threading
from functools import partial
from importlib.metadata import version
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from dicom_graph.cli import accounts as accounts_cli
from dicom_graph.cli import demo
from dicom_graph.cli.audit import audit, write_command
from dicom_graph.cli.bids import bids
from dicom_graph.cli.check import check
from dicom_graph.cli.console import (
    DatabaseUrl,
    ModeOption,
    StorageName,
    VerboseOption,
    as_json,
    as_text,
    check_paths,
    end_by_force,
    exit_status,
    fail,
    mode_of,
    open_database,
    progress_bar,
    reindex_bar,
    reindex_text,
    start,
    stop_on_signal,
)
from dicom_graph.cli.export import export
from dicom_graph.cli.jobs import jobs, sync, watch, worker
from dicom_graph.cli.store_files import store_files
from dicom_graph.importing.factory import require_queue_of, upgrade_queue_of
from dicom_graph.importing.foreground import run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.importing.safe_files import StorageError
from dicom_graph.importing.storage import paths_to_store
from dicom_graph.settings import Settings, SettingsError
from dicom_graph.signals import ending_signals, ignore_at_exit
from dicom_graph.store.accounts import AccountError, has_users
from dicom_graph.store.backup import back_up
from dicom_graph.store.edit.prune import compact_database, prune
from dicom_graph.store.engine import Database, DatabaseError
from dicom_graph.store.former_users import open_to_all
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest, Storage, storage_named
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.reindex import reindex
from dicom_graph.store.sql.driver_errors import DRIVER_ERRORS, describe_error
from dicom_graph.store.sql.unavailable import BUSY, DatabaseUnavailable, unavailable_message
from dicom_graph.store.storable import UnstorableText
from dicom_graph.telemetry.logs import configure

app = typer.Typer(
    help="Index DICOM trees and query every data element over GraphQL.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
db = typer.Typer(help="The database.", no_args_is_help=True)
app.add_typer(db, name="db")
app.add_typer(jobs, name="jobs")
app.add_typer(audit, name="audit")
app.add_typer(bids, name="bids")
app.command()(sync)
app.command()(watch)
app.command()(worker)
app.command("store-files")(store_files)
app.command()(export)
app.command()(check)
for name, commands in accounts_cli.COMMANDS.items():
    app.add_typer(commands, name=name)
log = logging.getLogger(__name__)
_LAST_SECONDS = 30
"""What a server may take to end beside its running requests: imports, the audit log."""


def main() -> None:
    """The entry point: errors of the user end in one line on standard error."""
    try:
        app()
    except (SettingsError, DatabaseError, StorageError, AccountError, UnstorableText) as error:
        fail(str(error))
    except DRIVER_ERRORS as error:
        known = unavailable_message(error)
        fail(BUSY if known == BUSY else f"the database failed: {describe_error(error)}")
    except DatabaseUnavailable as error:
        fail(str(error))


def _show_version(is_wanted: bool) -> None:
    if is_wanted:
        typer.echo(f"dicom-graph {version('dicom-graph')}")
        raise typer.Exit


@app.callback()
def common(
    show_version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    """Index DICOM trees and query every data element over GraphQL."""


@app.command("import")
def import_files(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders.", show_default=False)],
    mode: ModeOption = None,
    storage: Annotated[
        StorageName | None,
        typer.Option(
            help="Leave the files, or copy or move them below the storage root; if not given, "
            "DICOM_GRAPH_IMPORT_STORAGE, else in-place.",
            show_default=False,
        ),
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(help="Only file names that match this glob, such as '*.dcm'.")
    ] = None,
    stop_on_error: Annotated[
        bool, typer.Option("--stop-on-error", help="End at the first file that fails.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read files that are known already again, too.")
    ] = False,
    in_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    verbose: VerboseOption = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Import DICOM files. Exit status: 0 all taken, 1 some failed, or there was no DICOM image at
    all, 2 wrong use, 130 interrupted.
    """
    check_paths(paths)
    settings = start(database_url)
    kept = Storage[storage.name] if storage else storage_named(settings.import_storage)
    given = paths_to_store(kept, [str(path) for path in paths], settings.storage_root)
    database = open_database(settings, makes=True)
    how = mode_of(mode, settings)
    request = JobRequest(
        given, how, pattern, stop_on_error, JobOrigin.CLI, verify=verify, storage=kept
    )
    stop = threading.Event()
    with progress_bar() as show:
        stop_on_signal(stop)
        options = ImportOptions.of(settings)
        report = run_import(database, request, options, stop=stop, progress=show)
    print(as_json(report) if in_json else as_text(report, verbose=verbose))  # noqa: T201
    if not in_json:
        print(f"written to {database.safe_url}")  # noqa: T201
    sys.exit(exit_status(report))


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
    workers: Annotated[
        int, typer.Option(min=1, max=256, help="Server processes, each with limits of its own.")
    ] = 1,
    database_url: DatabaseUrl = None,
) -> None:
    """Serve GraphQL and GraphiQL."""
    _exit_on_signal()
    with tempfile.TemporaryDirectory(prefix="dicom-graph-") as folder:
        if with_demo:
            database_url = f"sqlite:///{folder}/demo.sqlite3"
            import_root = [*(import_root or []), demo.sample_folder()]
        settings = start(
            database_url, import_roots=import_root, trusted_documents=trusted_documents
        )
        database = open_database(settings, makes=True)
        _require_names(settings, database, host, insecure=insecure)
        require_queue_of(settings, database)
        listener = _listen(host, port)
        if with_demo:
            _import_demo(settings)
        shown_host = f"[{host}]" if ":" in host else host
        _print_addresses(f"http://{shown_host}:{listener.getsockname()[1]}/")
        settings.allowed_hosts.append(shown_host)
        run = partial(_run_server, settings, demo.QUERY if with_demo else None)
        if workers == 1:
            run(listener)
        else:
            # Here, as in `_run_server`: an import has no need of it and should not wait for it.
            from dicom_graph.web.workers import Workers

            # All processes share their figures, whichever is asked for `/metrics`.
            os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", tempfile.mkdtemp(dir=folder))
            sys.exit(Workers(workers, run, listener).run())


@app.command()
def schema() -> None:
    """Print the schema in GraphQL's schema language."""
    from dicom_graph.graph.schema import schema_text

    print(schema_text(), end="")  # noqa: T201


@db.command("upgrade")
def db_upgrade(
    database_url: DatabaseUrl = None,
) -> None:
    """Create the tables, or bring them to those of this version; with a queue its own, too."""
    settings = start(database_url)
    database = Database(settings.database_url)
    upgrade(database)
    upgrade_queue_of(settings, database)


@db.command("prune")
def db_prune(
    database_url: DatabaseUrl = None,
) -> None:
    """Delete the elements, sets, definitions and folders that nothing holds any more.

    Safe beside running imports. SQLite's file becomes smaller; PostgreSQL frees space by itself.
    """
    database = open_database(start(database_url))
    pruned = prune(database)
    with database.writer.begin() as connection:
        write_command(connection, f"db prune: {pruned.elements} elements, {pruned.sets} sets")
    print(  # noqa: T201
        f"deleted {pruned.elements} elements with {pruned.values} values and {pruned.items} "
        f"sequence items, {pruned.sets} shared sets, {pruned.definitions} definitions, "
        f"{pruned.directories} folders"
    )
    is_compact = compact_database(database)
    if is_compact is None:
        print("PostgreSQL reuses the space, and gives it back by autovacuum")  # noqa: T201
    elif not is_compact:
        print("the file is as large as before: others use it; try again later")  # noqa: T201


@db.command("reindex")
def db_reindex(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    database: Annotated[str | None, typer.Option(help="The database URL.")] = None,
) -> None:
    """Read again, from what is stored, what this version reads otherwise than an older one.

    Opens no file. Safe beside servers and imports; ended or killed, it goes on when started again.
    Exit status: 0 done, 130 interrupted.
    """
    settings = start(database)
    store = open_database(settings)
    stop = threading.Event()
    with reindex_bar() as show:
        stop_on_signal(stop)
        report = reindex(
            store, dry_run=dry_run, max_raw=settings.max_inline_bytes, stop=stop, progress=show
        )
    if not dry_run:
        with store.writer.begin() as connection:
            write_command(connection, f"db reindex: {report.headers} headers")
    print(reindex_text(report, dry_run=dry_run))  # noqa: T201
    sys.exit(0 if report.is_complete else 130)


@db.command("backup")
def db_backup(
    file: Annotated[Path, typer.Argument(help="Where to put the copy.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Copy SQLite's database as it is at one moment; servers and imports may run.

    For PostgreSQL use pg_dump.
    """
    database = Database(start(database_url).database_url)
    size = back_up(database, file, force=force)
    print(f"{file}: {size:,} bytes")  # noqa: T201


@db.command("open-to-all")
def db_open_to_all(
    database_url: DatabaseUrl = None,
) -> None:
    """Say that a database that had users, and has none any more, is meant to be so.

    From then on a server answers everybody, until there is a user.
    """
    open_to_all(Database(start(database_url).database_url))


def _run_server(settings: Settings, default_query: str | None, listener: socket.socket) -> None:
    from dicom_graph.web.app import create_app
    from dicom_graph.web.descriptors import raise_limit
    from dicom_graph.web.garbage_collection import Garbage
    from dicom_graph.web.server import make_server

    configure(settings.log_level, settings.log_format)
    raise_limit()
    application = create_app(settings, default_query=default_query)
    server = make_server(application, settings)
    # What a disk or mount that hangs holds must not hold the process.
    server.on_shutdown = partial(end_by_force, settings.shutdown_seconds + _LAST_SECONDS)
    garbage = Garbage()
    garbage.take_over()
    # The first time just after its start.
    server.on_quiet = garbage.settle
    server.on_each_tick = garbage.search
    server.run(sockets=[listener])


def _require_names(settings: Settings, database: Database, host: str, *, insecure: bool) -> None:
    """On an address that other machines reach, somebody must ask them who they are."""
    if settings.login == "required" or settings.proxy_user_header or _is_loopback(host):
        return
    with database.read_sync() as connection:
        if has_users(connection):
            return
    if not insecure:
        fail(
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
        fail(f"cannot listen on {host}:{port}: {reason}")
    return listener


def _print_addresses(pages: str) -> None:
    print(f"dicom-graph serves {pages}graphql", file=sys.stderr)  # noqa: T201
    print(f"its pages: {pages}", file=sys.stderr)  # noqa: T201


def _import_demo(settings: Settings) -> None:
    request = JobRequest((str(demo.sample_folder()),), Mode.FULL, origin=JobOrigin.CLI)
    report = run_import(Database(settings.database_url), request)
    print(as_text(report, failures=False), file=sys.stderr)  # noqa: T201


def _exit_on_signal() -> None:
    """End with status 0, cleaned up: uvicorn raises a signal again once it has shut down."""

    def handle(signum: int, frame: FrameType | None) -> None:
        sys.exit(0)

    for each in ending_signals():
        signal.signal(each, handle)
    ignore_at_exit()
