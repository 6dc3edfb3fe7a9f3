"""The commands of the audit log, and the lines that other commands leave in it."""

import datetime as dt
import getpass
import json
import socket
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from sqlalchemy import Connection

from dicom_graph.access.audit import as_json
from dicom_graph.cli.console import DatabaseUrl, fail, open_database, start
from dicom_graph.store.audit import (
    Action,
    AuditLine,
    Outcome,
    add_line,
    latest_lines,
    prune_lines,
)
from dicom_graph.store.sql.types import utc_now

audit = typer.Typer(help="The audit log: who did what.", no_args_is_help=True)
_LISTED = 3


@audit.command("list")
def list_(
    last: Annotated[int, typer.Option(min=1, help="How many, the latest first.")] = 50,
    principal: Annotated[
        str | None, typer.Option("--principal", help="Only what this user did.")
    ] = None,
    patient: Annotated[
        str | None, typer.Option("--patient", help="Only what names this PatientID.")
    ] = None,
    since: Annotated[
        dt.datetime | None, typer.Option(help="Only what is not older, in UTC.")
    ] = None,
    in_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """List what was done, the latest first."""
    database = open_database(start(database_url))
    moment = since.replace(tzinfo=dt.UTC) if since is not None else None
    with database.read_sync() as connection:
        rows = latest_lines(connection, last, principal=principal, patient=patient, since=moment)
    for row in rows:
        shown = json.dumps(as_json(dict(row._mapping))) if in_json else _as_text(row)
        print(shown)  # noqa: T201


@audit.command("prune")
def prune(
    before: Annotated[
        dt.datetime,
        typer.Option(help="Delete the lines of the days before this one, in UTC."),
    ],
    database_url: DatabaseUrl = None,
) -> None:
    """Delete old lines, which leaves a line that says so. Nothing else can delete any."""
    moment = before.replace(tzinfo=dt.UTC)
    if moment > utc_now():
        fail("the audit log can be deleted up to the present moment")
    database = open_database(start(database_url))
    line = command_line(f"audit prune --before {moment.isoformat()}")
    line.action = Action.PRUNE
    with database.writer.begin() as connection:
        count = prune_lines(connection, moment, line)
    print(f"deleted {count} {'line' if count == 1 else 'lines'}")  # noqa: T201


def write_command(connection: Connection, done: str) -> None:
    """Leave a line that says what a command did, inside the caller's transaction."""
    add_line(connection, command_line(done))


def command_line(done: str) -> AuditLine:
    """The line of a command: who is the user of this machine."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = "unknown"
    return AuditLine(
        Action.COMMAND, Outcome.SUCCEEDED, name, socket.gethostname(), "CLI", detail=done
    )


def _as_text(row: Any) -> str:
    what = row.operation_name or ", ".join(row.root_fields or ()) or row.route or ""
    counts = [
        f"{count} {name}"
        for name, count in (
            ("patients", row.n_patients), ("studies", row.n_studies), ("series", row.n_series),
            ("images", row.n_images),
        )
        if count
    ]  # fmt: skip
    parts = [
        f"{row.created:%Y-%m-%d %H:%M:%S}", row.principal, row.address, row.action.lower(), what,
        row.outcome.lower(), ", ".join(counts), _few("patients", row.patients),
        _few("studies", row.studies), row.detail or "",
    ]  # fmt: skip
    text = "  ".join(filter(None, parts))
    # A name that somebody tried to log in with may be anything.
    return "".join(character if character.isprintable() else "?" for character in text)


def _few(name: str, uids: Sequence[str] | None) -> str:
    if not uids:
        return ""
    more = f" and {len(uids) - _LISTED} more" if len(uids) > _LISTED else ""
    return f"{name}: {', '.join(uids[:_LISTED])}{more}"
