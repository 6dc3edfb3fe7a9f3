"""How old the patient of a series was, and how many images it was to have.

Revises: 0019.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("series", sa.Column("age_at_study", sa.Float(53), nullable=True))
    op.add_column("series", sa.Column("images_expected", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("series", "images_expected")
    op.drop_column("series", "age_at_study")
