"""The echo, inversion and repetition times and flip angles of all frames of a series.

Revises: 0015.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
FIELDS = ("echo_time", "inversion_time", "repetition_time", "flip_angle")

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in FIELDS:
        op.add_column("series", sa.Column(f"{name}s", JSON, nullable=True))
    make_list = "json_array" if op.get_bind().dialect.name == "sqlite" else "jsonb_build_array"
    lists = ", ".join(
        f"{name}s = CASE WHEN {name} IS NULL THEN NULL ELSE {make_list}({name}) END"
        for name in FIELDS
    )
    # What a person has set is not what the frames say.
    op.execute(f"UPDATE series SET {lists} WHERE edited IS NULL")


def downgrade() -> None:
    for name in FIELDS:
        op.drop_column("series", f"{name}s")
