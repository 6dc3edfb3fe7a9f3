"""The values of Siemens CSA headers by path, also of those that are stored already.

Revises: 0003.
"""

import sqlalchemy as sa
from alembic import op

from dicom_graph.dicom.csa.header import csa_header_kind
from dicom_graph.dicom.elements.packing import unpack
from dicom_graph.store.ingest.csa import CsaHeader, CsaWriter

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
AT_ONCE = 200
"""Elements in memory: with their values some 20 MB for series headers."""

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "csa_path",
        sa.Column("id", ID, nullable=False),
        sa.Column("header", sa.SmallInteger(), nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("list_path", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_csa_path"),
        sa.UniqueConstraint("header", "path", name="uq_csa_path_header_path"),
        sqlite_autoincrement=True,
    )
    condition = sa.text("list_path IS NOT NULL")
    op.create_index(
        "ix_csa_path_list",
        "csa_path",
        ["header", "list_path"],
        sqlite_where=condition,
        postgresql_where=condition,
    )
    op.create_table(
        "csa_number",
        sa.Column("path_id", ID, autoincrement=False, nullable=False),
        sa.Column("number", sa.Float(53), autoincrement=False, nullable=False),
        sa.Column("holder_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("path_id", "number", "holder_id", name="pk_csa_number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "csa_text",
        sa.Column("holder_id", ID, autoincrement=False, nullable=False),
        sa.Column("path_id", ID, autoincrement=False, nullable=False),
        sa.Column("text", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("holder_id", "path_id", name="pk_csa_text"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_csa_text_path", "csa_text", ["path_id", sa.text("substr(text, 1, 64)")])
    op.create_table(
        "csa_part",
        sa.Column("id", ID, nullable=False),
        sa.Column("header", sa.SmallInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_csa_part"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "csa_part_element",
        sa.Column("part_id", ID, autoincrement=False, nullable=False),
        sa.Column("element_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("part_id", "element_id", name="pk_csa_part_element"),
        sqlite_with_rowid=False,
    )
    _fill(op.get_bind())


def _fill(connection: sa.Connection) -> None:
    """Read what is stored, some elements at a time."""
    definitions = connection.execute(
        sa.text("SELECT id, tag, private_creator FROM data_element_definition")
    )
    kinds = {
        id: kind
        for id, tag, creator in definitions
        if (kind := csa_header_kind(tag, creator)) is not None
    }
    if not kinds:
        return
    elements = sa.text(
        "SELECT id, definition_id, packed, length FROM data_element "
        "WHERE id > :after AND definition_id IN :definitions AND packed IS NOT NULL "
        "ORDER BY id LIMIT :at_once"
    ).bindparams(sa.bindparam("definitions", list(kinds), expanding=True), at_once=AT_ONCE)
    writer = CsaWriter()
    after = 0
    while rows := connection.execute(elements, {"after": after}).all():
        headers = [
            CsaHeader(id, kinds[definition], unpack(bytes(packed), length))
            for id, definition, packed, length in rows
        ]
        writer.write(connection, headers)
        after = rows[-1][0]


def downgrade() -> None:
    for table in ("csa_part_element", "csa_part", "csa_text", "csa_number", "csa_path"):
        op.drop_table(table)
