"""Imports in batches, which workers take from a queue.

Revises: 0005.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "import_batch",
        sa.Column("job_id", ID, nullable=False),
        sa.Column("number", ID, autoincrement=False, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("lost", sa.Integer(), nullable=False),
        sa.Column("places", JSON, nullable=True),
        sa.Column("cursor", JSON, nullable=True),
        sa.Column("counts", JSON, nullable=False),
        sa.Column("error", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["import_job.id"], name="fk_import_batch_job_id"),
        sa.PrimaryKeyConstraint("job_id", "number", name="pk_import_batch"),
    )
    op.create_table(
        "queue_migration",
        sa.Column("name", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_queue_migration"),
    )
    op.add_column("import_failure", sa.Column("batch", ID, nullable=True))


def downgrade() -> None:
    op.drop_column("import_failure", "batch")
    op.drop_table("queue_migration")
    op.drop_table("import_batch")
