"""From an element to what holds it, several to a row.

Revises: 0008.
"""

from itertools import groupby

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
DISTANCES = sa.LargeBinary().with_variant(ARRAY(sa.SmallInteger()), "postgresql")
TABLES = (("header_element", "header_id", 1 << 12), ("element_set_member", "set_id", 1 << 8))
AT_ONCE = 10_000

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    sqlite = op.get_bind().dialect.name == "sqlite"
    for table, holder, span in TABLES:
        _set_aside(table)
        _create(table, "first_id", sa.Column("distances", DISTANCES, nullable=True))
        (_fold_sqlite if sqlite else _fold_postgresql)(table, holder, span)
        op.drop_table(f"old_{table}")
        if not sqlite:
            op.execute(f"ANALYZE {table}")


def downgrade() -> None:
    each = "unnest(coalesce(distances, '{0}')) AS each(value)"
    if op.get_bind().dialect.name == "sqlite":
        unpacked = "CASE WHEN distances IS NULL THEN '0' ELSE distances_as_json(distances) END"
        each = f"json_each({unpacked})"
    for table, holder, _ in TABLES:
        _set_aside(table)
        _create(table, holder)
        op.execute(
            f"INSERT INTO {table} (element_id, {holder}) "
            f"SELECT element_id, first_id + value FROM old_{table}, {each} ORDER BY 1, 2"
        )
        op.drop_table(f"old_{table}")


def _set_aside(table: str) -> None:
    op.rename_table(table, f"old_{table}")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER INDEX pk_{table} RENAME TO pk_old_{table}")


def _create(table: str, key: str, *others: sa.Column) -> None:
    op.create_table(
        table,
        sa.Column("element_id", ID, autoincrement=False, nullable=False),
        sa.Column(key, ID, autoincrement=False, nullable=False),
        *others,
        sa.PrimaryKeyConstraint("element_id", key, name=f"pk_{table}"),
        sqlite_with_rowid=False,
    )


def _fold_postgresql(table: str, holder: str, span: int) -> None:
    op.execute(
        f"INSERT INTO {table} (element_id, first_id, distances) "
        "SELECT element_id, first_id, CASE WHEN count(*) > 1 "
        f"THEN array_agg(({holder} - first_id)::smallint ORDER BY {holder}) END "
        f"FROM (SELECT element_id, {holder}, min({holder}) "
        f"OVER (PARTITION BY element_id, {holder} / {span}) AS first_id FROM old_{table}) AS pairs "
        "GROUP BY element_id, first_id ORDER BY element_id, first_id"
    )


def _fold_sqlite(table: str, holder: str, span: int) -> None:
    connection = op.get_bind()
    order = f"SELECT element_id, {holder} FROM old_{table} ORDER BY element_id, {holder}"
    pairs = connection.execute(sa.text(order).execution_options(yield_per=AT_ONCE))
    insert = sa.text(f"INSERT INTO {table} VALUES (:element, :first, :distances)")
    rows: list[dict[str, object]] = []
    for (element, _), of_part in groupby(pairs, lambda pair: (pair[0], pair[1] // span)):
        ids = [id for _, id in of_part]
        distances = _packed(ids) if len(ids) > 1 else None
        rows.append({"element": element, "first": ids[0], "distances": distances})
        if len(rows) == AT_ONCE:
            connection.execute(insert, rows)
            rows.clear()
    if rows:
        connection.execute(insert, rows)


def _packed(ids: list[int]) -> bytes:
    """Distances from the first, as `store.idlist` packs them: LEB128, each from the one before."""
    packed = bytearray()
    for before, id in zip([ids[0], *ids], ids, strict=False):
        rest = id - before
        while rest > 0x7F:
            packed.append(rest & 0x7F | 0x80)
            rest >>= 7
        packed.append(rest)
    return bytes(packed)
