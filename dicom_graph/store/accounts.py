"""Users, tokens, sessions and groups: their rows. What they may do is decided elsewhere.

All functions are synchronous: a server calls the readers through `AsyncConnection.run_sync`.
"""

import datetime as dt
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, Table, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.accounts import Grant, Group, GroupMember, Session, Token, User
from dicom_graph.store.tables.base import Base


class AccountError(ValueError):
    """What was asked of an account cannot be; the message is one line for a person."""


class UserRow(NamedTuple):
    """A user, and the groups that limit it, by ids: None for one whom none limits.

    `group_names`: what these are called. `in_group`: whether it is in a group; `has_groups`:
    whether there is any.
    """

    id: int
    name: str
    role: str
    password_hash: str | None
    deidentified: bool
    disabled: bool
    groups: tuple[int, ...] | None
    in_group: bool = False
    has_groups: bool = False
    group_names: tuple[str, ...] = ()


class GroupRow(NamedTuple):
    """A group: the names of its members, and what it sees as (`patient` or `study`, uid)."""

    name: str
    members: list[str]
    grants: list[tuple[str, str]]


class TokenRow(NamedTuple):
    """A valid token, and whose it is."""

    id: int
    role: str
    deidentified: bool
    user: UserRow


def has_users(connection: Connection) -> bool:
    """Whether there is any user, also a disabled one: then nobody comes in without a name."""
    return connection.execute(select(User.id).limit(1)).first() is not None


def has_groups(connection: Connection) -> bool:
    """Whether there is any group."""
    return connection.execute(select(Group.id).limit(1)).first() is not None


def viewers_outside(connection: Connection) -> list[str]:
    """Returns the names of the viewers whom no group limits and who are in none."""
    inside = select(GroupMember.account_id)
    statement = select(User.name).where(
        User.role == "VIEWER", User.limited.is_(False), User.id.not_in(inside)
    )
    return list(connection.execute(statement.order_by(User.name)).scalars())


def user_by_name(connection: Connection, name: str) -> UserRow | None:
    """A user, also a disabled one."""
    return _user(connection, User.name == name)


def user_by_token(connection: Connection, digest: bytes) -> TokenRow | None:
    """The token of a digest and its user; None if it is revoked, expired or its user disabled."""
    token = connection.execute(
        select(Token.id, Token.account_id, Token.role, Token.deidentified, Token.expires_at).where(
            Token.digest == digest, Token.revoked_at.is_(None)
        )
    ).first()
    if token is None or (token.expires_at is not None and token.expires_at <= utc_now()):
        return None
    user = _enabled(_user(connection, User.id == token.account_id))
    return TokenRow(token.id, token.role, token.deidentified, user) if user else None


def user_by_session(connection: Connection, digest: bytes) -> UserRow | None:
    """The user of a session; None if it has expired or its user is disabled."""
    session = connection.execute(
        select(Session.account_id).where(Session.digest == digest, Session.expires_at > utc_now())
    ).first()
    return _enabled(_user(connection, User.id == session.account_id)) if session else None


def _user(connection: Connection, condition: ColumnElement[bool]) -> UserRow | None:
    row = connection.execute(select(User.__table__).where(condition)).first()
    if row is None:
        return None
    of_user = (
        select(Group.id, Group.name)
        .join(GroupMember, GroupMember.group_id == Group.id)
        .where(GroupMember.account_id == row.id)
        .order_by(Group.id)
    )
    groups = connection.execute(of_user).all()
    return UserRow(
        row.id, row.name, row.role, row.password_hash, row.deidentified,
        row.disabled_at is not None, tuple(g.id for g in groups) if row.limited else None,
        bool(groups), bool(groups) or has_groups(connection), tuple(g.name for g in groups),
    )  # fmt: skip


def _enabled(user: UserRow | None) -> UserRow | None:
    return None if user is None or user.disabled else user


def add_user(connection: Connection, name: str, **values: Any) -> int:
    """Insert a user; returns its id. Raises AccountError where the name is taken."""
    return _insert(connection, User.__table__, f"there is a user {name} already", values, name)  # type: ignore[arg-type]


def change_user(connection: Connection, name: str, **values: Any) -> None:
    """Set columns of a user. A new password, or being disabled, ends its sessions.

    Raises AccountError where there is no such user.
    """
    user = require_user(connection, name)
    connection.execute(update(User).where(User.id == user.id).values(values))
    if values.keys() & {"password_hash", "disabled_at"}:
        connection.execute(delete(Session).where(Session.account_id == user.id))


def require_user(connection: Connection, name: str) -> UserRow:
    """A user, also a disabled one. Raises AccountError where there is none of that name."""
    user = user_by_name(connection, name)
    if user is None:
        raise AccountError(f"there is no user {name}")
    return user


def users(connection: Connection) -> list[Row[Any]]:
    """All users by name."""
    return list(connection.execute(select(User.__table__).order_by(User.name)))


def add_token(connection: Connection, user_name: str, digest: bytes, **values: Any) -> int:
    """Insert a token of a user; returns its id. Raises AccountError where there is no such user."""
    user = require_user(connection, user_name)
    statement = insert(Token).values(account_id=user.id, digest=digest, **values)
    return int(connection.execute(statement.returning(Token.id)).scalar_one())


def tokens(connection: Connection) -> list[Row[Any]]:
    """All tokens with the names and roles of their users (`user_name`, `user_role`), without their
    digests.
    """
    columns = [column for column in Token.__table__.c if column.name != "digest"]
    of_user = User.name.label("user_name"), User.role.label("user_role")
    statement = select(*columns, *of_user).join(User, User.id == Token.account_id)
    return list(connection.execute(statement.order_by(User.name, Token.id)))


def revoke_token(connection: Connection, id: int) -> None:
    """Make a token worthless. Raises AccountError where there is none of that id."""
    statement = update(Token).where(Token.id == id).values(revoked_at=utc_now())
    if connection.execute(statement).rowcount != 1:
        raise AccountError(f"there is no token {id}")


def open_session(
    connection: Connection, user_id: int, digest: bytes, expires_at: dt.datetime
) -> None:
    """Record that a browser has logged in; sessions that have expired are dropped."""
    connection.execute(delete(Session).where(Session.expires_at <= utc_now()))
    connection.execute(
        insert(Session).values(account_id=user_id, digest=digest, expires_at=expires_at)
    )


def close_session(connection: Connection, digest: bytes) -> None:
    """End a session, if it is there."""
    connection.execute(delete(Session).where(Session.digest == digest))


def _insert(connection: Connection, table: Table, taken: str, values: Any, name: str) -> int:
    statement = insert(table).values(name=name, **values).returning(table.c.id)
    try:
        with connection.begin_nested():
            return int(connection.execute(statement).scalar_one())
    except IntegrityError:
        raise AccountError(taken) from None


def add_group(connection: Connection, name: str) -> int:
    """Insert a group; returns its id. Raises AccountError where the name is taken."""
    taken = f"there is a group {name} already"
    return _insert(connection, Group.__table__, taken, {}, name)  # type: ignore[arg-type]


def remove_group(connection: Connection, name: str) -> None:
    """Delete a group with its grants and memberships; its members stay limited.

    Raises AccountError where there is none of that name.
    """
    group_id = _group_id(connection, name)
    connection.execute(delete(Grant).where(Grant.group_id == group_id))
    connection.execute(delete(GroupMember).where(GroupMember.group_id == group_id))
    connection.execute(delete(Group).where(Group.id == group_id))


def add_member(connection: Connection, group: str, user_name: str) -> None:
    """Put a user into a group; from now on it sees only what its groups are granted.

    Raises AccountError where there is no such group or user.
    """
    group_id, user = _group_id(connection, group), require_user(connection, user_name)
    connection.execute(update(User).where(User.id == user.id).values(limited=True))
    _insert_new(connection, GroupMember, group_id=group_id, account_id=user.id)


def remove_member(connection: Connection, group: str, user_name: str) -> None:
    """Take a user out of a group; it stays limited. Raises AccountError."""
    group_id, user = _group_id(connection, group), require_user(connection, user_name)
    _delete(connection, GroupMember, group_id=group_id, account_id=user.id)


def add_grant(connection: Connection, group: str, entity: str, uid: str) -> None:
    """Let a group see a `patient` or a `study`, there already or not. Raises AccountError."""
    group_id = _group_id(connection, group)
    _insert_new(connection, Grant, group_id=group_id, entity=entity, uid=uid)


def remove_grant(connection: Connection, group: str, entity: str, uid: str) -> None:
    """Let a group no longer see a `patient` or a `study`. Raises AccountError."""
    _delete(connection, Grant, group_id=_group_id(connection, group), entity=entity, uid=uid)


def groups(connection: Connection) -> list[GroupRow]:
    """All groups by name, with their members and what they see."""
    found = {
        id: GroupRow(name, [], [])
        for id, name in connection.execute(select(Group.id, Group.name).order_by(Group.name))
    }
    members = select(GroupMember.group_id, User.name).join(User, User.id == GroupMember.account_id)
    for group_id, name in connection.execute(members.order_by(User.name)):
        found[group_id].members.append(name)
    grants = select(Grant.group_id, Grant.entity, Grant.uid).order_by(Grant.entity, Grant.uid)
    for group_id, entity, uid in connection.execute(grants):
        found[group_id].grants.append((entity, uid))
    return list(found.values())


def _group_id(connection: Connection, name: str) -> int:
    found = connection.execute(select(Group.id).where(Group.name == name)).scalar_one_or_none()
    if found is None:
        raise AccountError(f"there is no group {name}")
    return found


def _insert_new(connection: Connection, table: type[Base], **key: Any) -> None:
    if connection.execute(select(table.__table__).filter_by(**key)).first() is None:
        connection.execute(insert(table).values(**key))


def _delete(connection: Connection, table: type[Base], **key: Any) -> None:
    if connection.execute(delete(table).filter_by(**key)).rowcount == 0:
        raise AccountError("the group has no such " + ("grant" if table is Grant else "member"))
