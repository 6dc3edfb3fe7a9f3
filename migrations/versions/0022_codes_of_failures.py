"""Of what kind a failure of an import is.

Revises: 0021.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")


def upgrade() -> None:
    op.add_column("import_failure", sa.Column("code", TEXT, nullable=False, server_default="OTHER"))


def downgrade() -> None:
    op.drop_column("import_failure", "code")
