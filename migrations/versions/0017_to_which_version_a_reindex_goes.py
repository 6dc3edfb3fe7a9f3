"""To which version a reindex was on its way: what it has done is not enough for a later one.

Revises: 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("target", sa.Integer(), nullable=False, server_default=sa.text("0"))
    op.add_column("reading_version", column)


def downgrade() -> None:
    op.drop_column("reading_version", "target")
