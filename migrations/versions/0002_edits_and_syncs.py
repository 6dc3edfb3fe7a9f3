"""Edited entities, missing images, and imports that sync, store or are cancelled.

On PostgreSQL the indexes of the default orders have NULL first, as the lists do.

Revises: 0001.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Integer(), "sqlite")
ENTITIES = ("patient", "study", "series", "image")
ORDERS = (
    ("ix_patient_order", "patient", ("family_name", "given_name")),
    ("ix_study_order", "study", ("date", "time")),
    ("ix_image_series", "image", ("series_id", "number")),
)

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _job_columns() -> list[sa.Column]:
    return [
        *[
            sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False)
            for name in ("verify", "sync", "prune", "cancel_requested")
        ],
        sa.Column("storage", TEXT, server_default="IN_PLACE", nullable=False),
        sa.Column("retry_of", ID, nullable=True),
        sa.Column("missing", ID, server_default=sa.text("0"), nullable=False),
        sa.Column("moved", ID, server_default=sa.text("0"), nullable=False),
    ]


def _remake_order_indexes(nulls: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name, table, columns in ORDERS:
            op.drop_index(name, table)
            ordered = [sa.text(f"{column} {nulls}") for column in columns]
            op.create_index(name, table, [*ordered, "id"])


def upgrade() -> None:
    _remake_order_indexes("NULLS FIRST")
    for table in ENTITIES:
        op.add_column(table, sa.Column("edited", JSON, nullable=True))
    op.add_column("image", sa.Column("missing_since", MOMENT, nullable=True))
    condition = sa.text("missing_since IS NOT NULL")
    op.create_index(
        "ix_image_missing",
        "image",
        ["series_id"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
    op.add_column("file", sa.Column("missing_since", MOMENT, nullable=True))
    for column in _job_columns():
        op.add_column("import_job", column)
    retries = sa.text("retry_of IS NOT NULL")
    op.create_index(
        "ix_import_job_retry",
        "import_job",
        ["retry_of"],
        sqlite_where=retries,
        postgresql_where=retries,
    )


def downgrade() -> None:
    _remake_order_indexes("NULLS LAST")
    op.drop_index("ix_import_job_retry", "import_job")
    for column in reversed(_job_columns()):
        op.drop_column("import_job", column.name)
    op.drop_column("file", "missing_since")
    op.drop_index("ix_image_missing", "image")
    op.drop_column("image", "missing_since")
    for table in ENTITIES:
        op.drop_column(table, "edited")
