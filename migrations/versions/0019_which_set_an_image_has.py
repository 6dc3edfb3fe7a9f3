"""On SQLite an index from images to the shared sets of their headers, which groups read for all.

It takes the place of the index of images alone, which SQLite would prefer; PostgreSQL reads the
table, and keeps that one.

Revises: 0018.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

WHERE = sa.text("image_id IS NOT NULL")


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("ix_header_image", table_name="header")
        op.create_index(
            "ix_header_image_set", "header", ["image_id", "shared_set_id"], unique=True,
            sqlite_where=WHERE,
        )  # fmt: skip


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.drop_index("ix_header_image_set", table_name="header")
        op.create_index("ix_header_image", "header", ["image_id"], unique=True, sqlite_where=WHERE)
