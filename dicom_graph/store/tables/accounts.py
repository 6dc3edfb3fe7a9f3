"""The tables of access rights: users, their tokens and sessions, groups with what they see, and the
secret behind what some see instead.
"""

import datetime as dt

from sqlalchemy import Boolean, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from dicom_graph.store.sql.types import Id, utc_now
from dicom_graph.store.tables.base import Base


class User(Base):
    """Somebody who may log in. Without a password only a trusted proxy or a token names it.

    `role` is the name of a role. `limited`: sees only what its groups are granted, and nothing
    without a group. `deidentified`: sees no identities. A user is disabled, never deleted.
    """

    __tablename__ = "account"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    role: Mapped[str]
    password_hash: Mapped[str | None]
    limited: Mapped[bool] = mapped_column(Boolean)
    deidentified: Mapped[bool] = mapped_column(Boolean)
    created: Mapped[dt.datetime] = mapped_column(default=utc_now)
    disabled_at: Mapped[dt.datetime | None]


class Token(Base):
    """A bearer token: the SHA-256 of its text, never the text. Its role is at most its user's."""

    __tablename__ = "access_token"
    __table_args__ = (
        Index("ix_access_token_account", "account_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    name: Mapped[str]
    digest: Mapped[bytes] = mapped_column(unique=True)
    role: Mapped[str]
    deidentified: Mapped[bool] = mapped_column(Boolean)
    created: Mapped[dt.datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[dt.datetime | None]
    revoked_at: Mapped[dt.datetime | None]


class Session(Base):
    """A browser that has logged in: the SHA-256 of its cookie. Gone once logged out."""

    __tablename__ = "web_session"
    __table_args__ = (
        Index("ix_web_session_account", "account_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"))
    digest: Mapped[bytes] = mapped_column(unique=True)
    created: Mapped[dt.datetime] = mapped_column(default=utc_now)
    expires_at: Mapped[dt.datetime]


class Group(Base):
    """Users who see the same patients and studies."""

    __tablename__ = "access_group"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    created: Mapped[dt.datetime] = mapped_column(default=utc_now)


class GroupMember(Base):
    """A user in a group."""

    __tablename__ = "access_group_member"
    __table_args__ = (
        Index("ix_access_group_member_account", "account_id"),
        {"sqlite_with_rowid": False},
    )

    group_id: Mapped[int] = mapped_column(ForeignKey("access_group.id"), primary_key=True)
    account_id: Mapped[int] = mapped_column(ForeignKey("account.id"), primary_key=True)


class Grant(Base):
    """What a group sees: all series of a patient, or of a study.

    `entity` is `patient` or `study`, `uid` its PatientID or StudyInstanceUID: a grant may come
    before the files do, and outlives a study that is deleted and imported again.
    """

    __tablename__ = "access_grant"
    __table_args__ = ({"sqlite_with_rowid": False},)

    group_id: Mapped[int] = mapped_column(ForeignKey("access_group.id"), primary_key=True)
    entity: Mapped[str] = mapped_column(primary_key=True)
    uid: Mapped[str] = mapped_column(primary_key=True)


class Secret(Base):
    """What this database alone knows; made with its tables. `pseudonyms`: 32 random bytes."""

    __tablename__ = "secret"

    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[bytes]
