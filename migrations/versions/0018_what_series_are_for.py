"""What series are for, in the words of DICOM and BIDS, and what says so.

Revises: 0017.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
COLUMNS = {
    "acquisition_contrast": TEXT,
    "acquisition_contrast_confidence": TEXT,
    "acquisition_contrast_evidence": JSON,
    "complex_component": TEXT,
    "complex_component_confidence": TEXT,
    "complex_component_evidence": JSON,
    "bids_datatype": TEXT,
    "bids_suffix": TEXT,
    "bids_confidence": TEXT,
    "bids_evidence": JSON,
}

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name, kind in COLUMNS.items():
        op.add_column("series", sa.Column(name, kind, nullable=True))


def downgrade() -> None:
    for name in COLUMNS:
        op.drop_column("series", name)
