"""Which version of the program read what is stored, and how far a reindex has come.

Rows that are there were read by the version before all that are counted: 0.

Revises: 0013.
"""

import sqlalchemy as sa
from alembic import op

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "reading_version",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_reading_version"),
    )
    op.bulk_insert(table, [{"id": 1, "version": 0, "image_id": 0}])


def downgrade() -> None:
    op.drop_table("reading_version")
