"""The fields that a refresh leaves as they are.

Revises: 0014.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import_job", sa.Column("exclude", JSON, nullable=True))


def downgrade() -> None:
    op.drop_column("import_job", "exclude")
