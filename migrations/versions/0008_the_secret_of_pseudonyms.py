"""A secret of this database, from which the pseudonyms of the de-identified view are made.

Revises: 0007.
"""

import secrets

import sqlalchemy as sa
from alembic import op

TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "secret",
        sa.Column("name", TEXT, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_secret"),
    )
    op.bulk_insert(table, [{"name": "pseudonyms", "value": secrets.token_bytes(32)}])


def downgrade() -> None:
    op.drop_table("secret")
