"""Users, tokens, sessions, and groups with what they see.

Revises: 0004.
"""

import sqlalchemy as sa
from alembic import op

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Integer(), "sqlite")

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def _account(table: str) -> list[sa.schema.SchemaItem]:
    """The column that names a user."""
    return [
        sa.Column("account_id", ID, nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"], name=f"fk_{table}_account_id"),
    ]


def upgrade() -> None:
    op.create_table(
        "account",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("password_hash", TEXT, nullable=True),
        sa.Column("limited", sa.Boolean(), nullable=False),
        sa.Column("deidentified", sa.Boolean(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("disabled_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_account"),
        sa.UniqueConstraint("name", name="uq_account_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "access_token",
        sa.Column("id", ID, nullable=False),
        *_account("access_token"),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("role", TEXT, nullable=False),
        sa.Column("deidentified", sa.Boolean(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_access_token"),
        sa.UniqueConstraint("digest", name="uq_access_token_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_access_token_account", "access_token", ["account_id"])
    op.create_table(
        "web_session",
        sa.Column("id", ID, nullable=False),
        *_account("web_session"),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_web_session"),
        sa.UniqueConstraint("digest", name="uq_web_session_digest"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_web_session_account", "web_session", ["account_id"])
    _create_groups()


def _create_groups() -> None:
    op.create_table(
        "access_group",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_group"),
        sa.UniqueConstraint("name", name="uq_access_group_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "access_group_member",
        sa.Column("group_id", ID, nullable=False),
        *_account("access_group_member"),
        sa.ForeignKeyConstraint(
            ["group_id"], ["access_group.id"], name="fk_access_group_member_group_id"
        ),
        sa.PrimaryKeyConstraint("group_id", "account_id", name="pk_access_group_member"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_access_group_member_account", "access_group_member", ["account_id"])
    op.create_table(
        "access_grant",
        sa.Column("group_id", ID, nullable=False),
        sa.Column("entity", TEXT, nullable=False),
        sa.Column("uid", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["access_group.id"], name="fk_access_grant_group_id"),
        sa.PrimaryKeyConstraint("group_id", "entity", "uid", name="pk_access_grant"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    for name in (
        "access_grant", "access_group_member", "access_group", "web_session", "access_token",
        "account",
    ):  # fmt: skip
        op.drop_table(name)
