"""The SOP class and the transfer syntax of images in a table of their own, each pair once.

Revises: 0009.
"""

import sqlalchemy as sa
from alembic import op

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
UIDS = ("sop_class_uid", "transfer_syntax_uid")

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "image_format",
        sa.Column("id", ID, nullable=False),
        *[sa.Column(name, TEXT, nullable=False) for name in UIDS],
        sa.PrimaryKeyConstraint("id", name="pk_image_format"),
        sa.UniqueConstraint(*UIDS, name="uq_image_format_sop_class_uid_transfer_syntax_uid"),
        sqlite_autoincrement=True,
    )
    op.add_column("image", sa.Column("format_id", ID, nullable=True))
    texts = [f"coalesce({name}, '')" for name in UIDS]
    op.execute(
        f"INSERT INTO image_format ({', '.join(UIDS)}) SELECT DISTINCT {', '.join(texts)} "
        "FROM image ORDER BY 1, 2"
    )
    same = " AND ".join(f"f.{name} = coalesce(image.{name}, '')" for name in UIDS)
    op.execute(f"UPDATE image SET format_id = (SELECT f.id FROM image_format AS f WHERE {same})")
    for name in UIDS:
        op.drop_column("image", name)
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ANALYZE image, image_format")


def downgrade() -> None:
    for name in UIDS:
        op.add_column("image", sa.Column(name, TEXT, nullable=True))
        op.execute(
            f"UPDATE image SET {name} = "
            f"(SELECT nullif(f.{name}, '') FROM image_format AS f WHERE f.id = format_id)"
        )
    op.drop_column("image", "format_id")
    op.drop_table("image_format")
