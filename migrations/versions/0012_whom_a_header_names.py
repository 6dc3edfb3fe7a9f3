"""Whom and what an image's header names, where that is not what its series belongs to.

Of images from before only the warning is known that it is so: they get an id that no row has, so
that who is limited to groups does not see them until they are imported again.

Revises: 0011.
"""

import sqlalchemy as sa
from alembic import op

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
COLUMNS = ("header_patient_id", "header_study_id")
WARNINGS = {
    "header_patient_id": "PatientID differs from that of the image''s series",
    "header_study_id": "StudyInstanceUID differs from that of the image''s series",
}

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in COLUMNS:
        op.add_column("image", sa.Column(name, ID, nullable=True))
    for name, warning in WARNINGS.items():
        is_told = f"warnings IS NOT NULL AND CAST(warnings AS TEXT) LIKE '%{warning}%'"
        op.execute(f"UPDATE image SET {name} = 0 WHERE {is_told}")


def downgrade() -> None:
    for name in reversed(COLUMNS):
        op.drop_column("image", name)
