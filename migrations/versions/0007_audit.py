"""The audit log: rows are added, and never changed or deleted but by `audit prune`.

Revises: 0006.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Integer(), "sqlite")

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

REFUSE = "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
SQLITE = (
    f"CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit {REFUSE}",
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit WHEN NOT EXISTS "
    f"(SELECT 1 FROM audit WHERE pruned_before > OLD.created) {REFUSE}",
    # REPLACE deletes without asking the trigger of deletions.
    "CREATE TRIGGER audit_no_replace BEFORE INSERT ON audit WHEN EXISTS "
    f"(SELECT 1 FROM audit WHERE id = NEW.id) {REFUSE}",
)
POSTGRESQL = (
    """
    CREATE OR REPLACE FUNCTION refuse_audit_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF EXISTS (SELECT 1 FROM audit WHERE pruned_before > OLD.created) THEN
                RETURN OLD;
            END IF;
        END IF;
        RAISE EXCEPTION 'the audit log is append-only';
    END $$
    """,
    "CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit "
    "FOR EACH ROW EXECUTE FUNCTION refuse_audit_change()",
    "CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON audit "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_audit_change()",
)


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("id", ID, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("outcome", TEXT, nullable=False),
        sa.Column("principal", TEXT, nullable=False),
        sa.Column("user_id", ID, nullable=True),
        sa.Column("token_id", ID, nullable=True),
        sa.Column("address", TEXT, nullable=False),
        sa.Column("method", TEXT, nullable=False),
        sa.Column("route", TEXT, nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("request_id", TEXT, nullable=True),
        sa.Column("operation_name", TEXT, nullable=True),
        sa.Column("root_fields", JSON, nullable=True),
        sa.Column("document_digest", TEXT, nullable=True),
        sa.Column("seconds", sa.Float(53), nullable=True),
        sa.Column("patients", JSON, nullable=True),
        sa.Column("studies", JSON, nullable=True),
        sa.Column("import_jobs", JSON, nullable=True),
        sa.Column("n_patients", sa.Integer(), nullable=False),
        sa.Column("n_studies", sa.Integer(), nullable=False),
        sa.Column("n_series", sa.Integer(), nullable=False),
        sa.Column("n_images", sa.Integer(), nullable=False),
        sa.Column("detail", TEXT, nullable=True),
        sa.Column("pruned_before", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_created", "audit", ["created"])
    op.create_index("ix_audit_principal", "audit", ["principal", "id"])
    op.create_index(
        "ix_audit_pruned_before",
        "audit",
        ["pruned_before"],
        sqlite_where=sa.text("pruned_before IS NOT NULL"),
        postgresql_where=sa.text("pruned_before IS NOT NULL"),
    )
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in SQLITE if is_sqlite else POSTGRESQL:
        op.execute(statement)


def downgrade() -> None:
    op.drop_table("audit")
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP FUNCTION refuse_audit_change")
