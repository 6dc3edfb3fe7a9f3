"""The commands for access rights: `dicom-graph user`, `token` and `group`."""

import datetime as dt
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection, Row

from dicom_graph.access.principal import Role, Ungrouped, role_of_token
from dicom_graph.access.secrets import digest_of, hash_password, new_token
from dicom_graph.cli.audit import write_command
from dicom_graph.cli.console import DatabaseUrl, open_database, start
from dicom_graph.settings import load_settings
from dicom_graph.store import accounts
from dicom_graph.store.accounts import AccountError
from dicom_graph.store.engine import Database
from dicom_graph.store.former_users import require_users
from dicom_graph.store.sql.types import utc_now

user = typer.Typer(help="Users of the server.", no_args_is_help=True)
token = typer.Typer(help="Bearer tokens for programs.", no_args_is_help=True)
group = typer.Typer(help="Groups of users who see only some patients.", no_args_is_help=True)
COMMANDS = {"user": user, "token": token, "group": group}
_MAX_NAME = 200

Name = Annotated[str, typer.Argument(help="The user.", show_default=False)]
GroupName = Annotated[str, typer.Argument(help="The group.", show_default=False)]
Patients = Annotated[
    list[str] | None, typer.Option("--patient", help="A PatientID; repeat for several.")
]
Studies = Annotated[
    list[str] | None, typer.Option("--study", help="A StudyInstanceUID; repeat for several.")
]


class RoleName(Enum):
    """What somebody may do; each may also do what those before may."""

    VIEWER = "viewer"
    IMPORTER = "importer"
    EDITOR = "editor"
    ADMIN = "admin"


AnyRole = Annotated[
    RoleName | None,
    typer.Option(
        help="viewer reads, importer imports too, editor changes too, admin does everything."
    ),
]
Limited = Annotated[
    bool | None,
    typer.Option("--limited/--unlimited", help="See what its groups are granted, or everything."),
]
Deidentified = Annotated[
    bool | None, typer.Option("--deidentified/--identified", help="See no identities, or all.")
]


@user.command("add")
def add_user(
    name: Name,
    role: AnyRole = RoleName.VIEWER,
    limited: Limited = False,
    deidentified: Deidentified = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Only tokens or a trusted proxy let it in.")
    ] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Add a user. The password is asked for, or read as a line from standard input."""
    _check_name(name)
    password_hash = None if no_password else hash_password(_password())
    done = f"user add {name} --role {_stored(role or RoleName.VIEWER).lower()}"
    with _written(database_url, done) as connection:
        accounts.add_user(
            connection, name, role=_stored(role or RoleName.VIEWER), password_hash=password_hash,
            limited=bool(limited), deidentified=bool(deidentified),
        )  # fmt: skip


@user.command("list")
def list_users(database_url: DatabaseUrl = None) -> None:
    """List all users."""
    with _read(database_url) as connection:
        rows = accounts.users(connection)
        shut_out = _shut_out(connection, database_url)
    _print(
        ("name", "role", "password", "sees", "created", "disabled"),
        [
            (
                row.name, row.role.lower(), "yes" if row.password_hash else "no",
                _sees(row, shut_out), _day(row.created),
                _day(row.disabled_at),
            )
            for row in rows
        ],
    )  # fmt: skip


@user.command("change")
def change_user(
    name: Name,
    role: AnyRole = None,
    limited: Limited = None,
    deidentified: Deidentified = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Change what a user may."""
    given = {
        "role": _stored(role) if role else None, "limited": limited, "deidentified": deidentified,
    }  # fmt: skip
    values = {column: value for column, value in given.items() if value is not None}
    if not values:
        raise AccountError("say what to change: see `dicom-graph user change --help`")
    changes = " ".join(f"{column}={value}" for column, value in values.items())
    with _written(database_url, f"user change {name} {changes}") as connection:
        before = _roles_of_tokens(connection, name)
        accounts.change_user(connection, name, **values)
        after = _roles_of_tokens(connection, name)
    for id, may in after.items():
        if may is not before[id]:
            print(f"token {id} of {name} may do what a user of role {may.name.lower()} may, now")  # noqa: T201


@user.command("password")
def change_password(name: Name, database_url: DatabaseUrl = None) -> None:
    """Give a user another password; its sessions end."""
    password_hash = hash_password(_password())
    with _written(database_url, f"user password {name}") as connection:
        accounts.change_user(connection, name, password_hash=password_hash)


@user.command("disable")
def disable_user(name: Name, database_url: DatabaseUrl = None) -> None:
    """Let a user in no longer, nor any of its tokens and sessions."""
    with _written(database_url, f"user disable {name}") as connection:
        accounts.change_user(connection, name, disabled_at=utc_now())


@user.command("enable")
def enable_user(name: Name, database_url: DatabaseUrl = None) -> None:
    """Let a disabled user in again."""
    with _written(database_url, f"user enable {name}") as connection:
        accounts.change_user(connection, name, disabled_at=None)


@token.command("create")
def create_token(
    name: Name,
    purpose: Annotated[str, typer.Option("--for", help="What it is for, as a reminder.")] = "",
    role: AnyRole = RoleName.VIEWER,
    days: Annotated[
        int, typer.Option(min=0, max=36_500, help="How long it is good; 0 for ever.")
    ] = 90,
    deidentified: Deidentified = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Print a new token of a user, once: only its hash is kept. It may no more than its user."""
    text = new_token()
    expires_at = utc_now() + dt.timedelta(days=days) if days else None
    done = f"token create {name} --role {_stored(role or RoleName.VIEWER).lower()} --days {days}"
    with _written(database_url, done) as connection:
        own = accounts.require_user(connection, name).role
        accounts.add_token(
            connection, name, digest_of(text), name=purpose,
            role=_stored(role or RoleName.VIEWER), expires_at=expires_at,
            deidentified=bool(deidentified),
        )  # fmt: skip
    print(text)  # noqa: T201
    if Role[_stored(role or RoleName.VIEWER)] > Role[own]:
        print(  # noqa: T201
            f"dicom-graph: {name} is {own.lower()}, so the token may do no more than that (until "
            f"`dicom-graph user change {name} --role …`)",
            file=sys.stderr,
        )


@token.command("list")
def list_tokens(database_url: DatabaseUrl = None) -> None:
    """List all tokens, without their texts."""
    with _read(database_url) as connection:
        rows = accounts.tokens(connection)
    _print(
        ("id", "user", "for", "role", "sees", "created", "expires", "revoked"),
        [
            (
                str(row.id), row.user_name, row.name, _role_of_token(row),
                "no identities" if row.deidentified else "as its user", _day(row.created),
                _day(row.expires_at), _day(row.revoked_at),
            )
            for row in rows
        ],
    )  # fmt: skip


@token.command("revoke")
def revoke_token(
    id: Annotated[int, typer.Argument(help="Its id in `token list`.", show_default=False)],
    database_url: DatabaseUrl = None,
) -> None:
    """Make a token worthless."""
    with _written(database_url, f"token revoke {id}") as connection:
        accounts.revoke_token(connection, id)


@group.command("add")
def add_group(name: GroupName, database_url: DatabaseUrl = None) -> None:
    """Add a group. From the first one on viewers who are in none see nothing, unless
    DICOM_GRAPH_UNGROUPED_VIEWERS says so.
    """
    _check_name(name)
    with _written(database_url, f"group add {name}") as connection:
        before = _shut_out(connection, database_url)
        accounts.add_group(connection, name)
        names = sorted(_shut_out(connection, database_url) - before)
    if names:
        print(f"these viewers see nothing now, in no group: {', '.join(names)}")  # noqa: T201


@group.command("remove")
def remove_group(name: GroupName, database_url: DatabaseUrl = None) -> None:
    """Remove a group; who was in it sees what other groups are granted, or nothing."""
    with _written(database_url, f"group remove {name}") as connection:
        accounts.remove_group(connection, name)


@group.command("list")
def list_groups(database_url: DatabaseUrl = None) -> None:
    """List all groups, who is in them and what they see."""
    with _read(database_url) as connection:
        rows = accounts.groups(connection)
    _print(
        ("name", "members", "sees"),
        [
            (row.name, "\n".join(row.members), "\n".join(" ".join(grant) for grant in row.grants))
            for row in rows
        ],
    )


@group.command("join")
def join_group(name: GroupName, member: Name, database_url: DatabaseUrl = None) -> None:
    """Put a user into a group: from now on it sees only what its groups are granted."""
    with _written(database_url, f"group join {name} {member}") as connection:
        accounts.add_member(connection, name, member)


@group.command("leave")
def leave_group(name: GroupName, member: Name, database_url: DatabaseUrl = None) -> None:
    """Take a user out of a group; `user change --unlimited` lets it see everything again."""
    with _written(database_url, f"group leave {name} {member}") as connection:
        accounts.remove_member(connection, name, member)


@group.command("grant")
def grant(
    name: GroupName,
    patient: Patients = None,
    study: Studies = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Let a group see patients or studies, there already or still to come."""
    granted = _granted(patient, study)
    with _written(database_url, _done("grant", name, granted)) as connection:
        for entity, uid in granted:
            accounts.add_grant(connection, name, entity, uid)


@group.command("revoke")
def revoke(
    name: GroupName,
    patient: Patients = None,
    study: Studies = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Let a group no longer see patients or studies."""
    granted = _granted(patient, study)
    with _written(database_url, _done("revoke", name, granted)) as connection:
        for entity, uid in granted:
            accounts.remove_grant(connection, name, entity, uid)


@contextmanager
def _opened(url: str | None, *, makes: bool = False) -> Iterator[Database]:
    """The database of the settings."""
    database = open_database(start(url), makes=makes)
    try:
        yield database
    finally:
        database.close_writer()


@contextmanager
def _read(url: str | None) -> Iterator[Connection]:
    with _opened(url) as database, database.read_sync() as connection:
        yield connection


@contextmanager
def _written(url: str | None, done: str) -> Iterator[Connection]:
    """A transaction on the database of the settings; `done` is what the audit log says of it."""
    with _opened(url, makes=True) as database:
        with database.writer.begin() as connection:
            yield connection
            write_command(connection, done)
        with database.read_sync() as connection:
            require_users(database, connection)


def _check_name(name: str) -> None:
    if not name or len(name) > _MAX_NAME or not name.isprintable() or ":" in name:
        raise AccountError(f"a name has 1 to {_MAX_NAME} printable characters, and no colon")
    if name != name.strip():
        raise AccountError("a name has no blank at its ends")


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if getpass.getpass("Again: ") != password:
        raise AccountError("the two passwords differ")
    return password


def _granted(patients: list[str] | None, studies: list[str] | None) -> list[tuple[str, str]]:
    found = [("patient", uid) for uid in patients or ()] + [("study", uid) for uid in studies or ()]
    if not found:
        raise AccountError("say which: --patient PATIENT_ID or --study STUDY_INSTANCE_UID")
    return found


def _done(verb: str, group: str, granted: list[tuple[str, str]]) -> str:
    return f"group {verb} {group} " + " ".join(f"--{entity} {uid}" for entity, uid in granted)


def _stored(role: RoleName) -> str:
    return Role[role.name].name


def _shut_out(connection: Connection, url: str | None) -> set[str]:
    """The viewers who see nothing since they are in no group."""
    ungrouped = Ungrouped(load_settings(database_url=url).ungrouped_viewers)
    is_hidden = ungrouped.hides(Role.VIEWER, has_groups=accounts.has_groups(connection))
    return set(accounts.viewers_outside(connection)) if is_hidden else set()


def _roles_of_tokens(connection: Connection, user_name: str) -> dict[int, Role]:
    """What the tokens of a user may that are still good, by id."""
    return {
        row.id: role_of_token(row.role, row.user_role)
        for row in accounts.tokens(connection)
        if row.user_name == user_name
        and row.revoked_at is None
        and (row.expires_at is None or row.expires_at > utc_now())
    }


def _role_of_token(row: Row[Any]) -> str:
    may = role_of_token(row.role, row.user_role)
    is_less = may < Role[row.role]
    return (
        f"{row.role.lower()}, but its user is {may.name.lower()}" if is_less else may.name.lower()
    )


def _sees(row: Row[Any], shut_out: set[str]) -> str:
    if row.name in shut_out:
        return "nothing: in no group"
    sees = "its groups" if row.limited else "everything"
    return f"{sees}, no identities" if row.deidentified else sees


def _day(moment: dt.datetime | None) -> str:
    return moment.date().isoformat() if moment else ""


def _print(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(box=None, pad_edge=False)
    for head in heads:
        table.add_column(head, overflow="fold")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False).print(table)
