"""How often rows were deleted, and which entities are edited.

Revises: 0002.
"""

import sqlalchemy as sa
from alembic import op

INT64 = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
ENTITIES = ("patient", "study", "series", "image")

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    generation = op.create_table(
        "generation",
        sa.Column("id", sa.SmallInteger(), autoincrement=False, nullable=False),
        sa.Column("deletions", INT64, nullable=False),
        sa.Column("prunes", INT64, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_generation"),
    )
    op.bulk_insert(generation, [{"id": 1, "deletions": 0, "prunes": 0}])
    condition = sa.text("edited IS NOT NULL")
    for table in ENTITIES:
        op.create_index(
            f"ix_{table}_edited",
            table,
            ["id"],
            sqlite_where=condition,
            postgresql_where=condition,
        )


def downgrade() -> None:
    for table in ENTITIES:
        op.drop_index(f"ix_{table}_edited", table)
    op.drop_table("generation")
