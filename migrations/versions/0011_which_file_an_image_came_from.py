"""Which file an image's header came from, and what tells whether a file still is that one.

Rows from before have none of it: their files are compared with the stored header when they are
asked for, and the next import that meets them notes it.

Revises: 0010.
"""

import sqlalchemy as sa
from alembic import op

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
COLUMNS = (
    ("image", "header_digest", sa.LargeBinary()),
    ("image", "file_size", ID),
    ("directory", "real_path", TEXT),
    ("file", "digest", sa.LargeBinary()),
    ("file", "stamp", sa.LargeBinary()),
    ("file", "link", TEXT),
    ("file", "patient_id", ID),
    ("file", "study_id", ID),
)

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table, name, kind in COLUMNS:
        op.add_column(table, sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for table, name, _ in reversed(COLUMNS):
        op.drop_column(table, name)
