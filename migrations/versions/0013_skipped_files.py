"""The files that an import skipped, beside those that it failed on.

Revises: 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    column = sa.Column("is_skipped", sa.Boolean(), nullable=False, server_default=sa.false())
    op.add_column("import_failure", column)


def downgrade() -> None:
    op.execute("DELETE FROM import_failure WHERE is_skipped")
    op.drop_column("import_failure", "is_skipped")
