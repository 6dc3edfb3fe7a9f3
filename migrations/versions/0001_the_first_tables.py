"""The first tables.

Revises: nothing.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.String().with_variant(sa.String(collation="C"), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
MOMENT = sa.DateTime(timezone=True).with_variant(sa.Integer(), "sqlite")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "data_element",
        sa.Column("id", ID, nullable=False),
        sa.Column("definition_id", ID, nullable=False),
        sa.Column("block", sa.SmallInteger(), nullable=False),
        sa.Column("vm", sa.Integer(), nullable=False),
        sa.Column("n_values", sa.Integer(), nullable=False),
        sa.Column("has_warnings", sa.Boolean(), nullable=False),
        sa.Column("length", ID, nullable=False),
        sa.Column("packed", sa.LargeBinary(), nullable=True),
        sa.Column("sha256", sa.LargeBinary(), nullable=True),
        sa.Column("warning", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_data_element"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_data_element_warned",
        "data_element",
        ["definition_id"],
        unique=False,
        sqlite_where=sa.text("has_warnings"),
        postgresql_where=sa.text("has_warnings"),
    )
    op.create_index(
        "ix_data_element_without_values",
        "data_element",
        ["definition_id"],
        unique=False,
        sqlite_where=sa.text("n_values = 0"),
        postgresql_where=sa.text("n_values = 0"),
    )
    op.create_table(
        "data_element_definition",
        sa.Column("id", ID, nullable=False),
        sa.Column("tag", ID, nullable=False),
        sa.Column("private_creator", TEXT, nullable=False),
        sa.Column("vr", TEXT, nullable=False),
        sa.Column("keyword", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_data_element_definition"),
        sa.UniqueConstraint(
            "tag", "private_creator", "vr", name="uq_data_element_definition_tag_private_creator_vr"
        ),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "data_element_value",
        sa.Column("element_id", ID, autoincrement=False, nullable=False),
        sa.Column("index", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("definition_id", ID, nullable=False),
        sa.Column("text", TEXT, nullable=True),
        sa.Column("number", sa.Float(precision=53), nullable=True),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("time", sa.Time(), nullable=True),
        sa.Column("datetime", sa.DateTime(), nullable=True),
        sa.Column("warning", TEXT, nullable=True),
        sa.PrimaryKeyConstraint("element_id", "index", name="pk_data_element_value"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "ix_data_element_value_date",
        "data_element_value",
        ["definition_id", "date"],
        unique=False,
        sqlite_where=sa.text("date IS NOT NULL"),
        postgresql_where=sa.text("date IS NOT NULL"),
    )
    op.create_index(
        "ix_data_element_value_datetime",
        "data_element_value",
        ["definition_id", "datetime"],
        unique=False,
        sqlite_where=sa.text("datetime IS NOT NULL"),
        postgresql_where=sa.text("datetime IS NOT NULL"),
    )
    op.create_index(
        "ix_data_element_value_number",
        "data_element_value",
        ["definition_id", "number"],
        unique=False,
        sqlite_where=sa.text("number IS NOT NULL"),
        postgresql_where=sa.text("number IS NOT NULL"),
    )
    text_condition = sa.text("text IS NOT NULL AND number IS NULL")
    op.create_index(
        "ix_data_element_value_text",
        "data_element_value",
        ["definition_id", sa.text("substr(text, 1, 64)")],
        unique=False,
        sqlite_where=text_condition,
        postgresql_where=text_condition,
    )
    op.create_index(
        "ix_data_element_value_time",
        "data_element_value",
        ["definition_id", "time"],
        unique=False,
        sqlite_where=sa.text("time IS NOT NULL"),
        postgresql_where=sa.text("time IS NOT NULL"),
    )
    op.create_table(
        "directory",
        sa.Column("id", ID, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_directory"),
        sa.UniqueConstraint("path", name="uq_directory_path"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "element_digest",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("id", ID, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_element_digest"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "element_set",
        sa.Column("id", ID, nullable=False),
        sa.Column("series_id", ID, nullable=False),
        sa.Column("members", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_element_set"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_element_set_series", "element_set", ["series_id"], unique=False)
    op.create_table(
        "element_set_member",
        sa.Column("element_id", ID, autoincrement=False, nullable=False),
        sa.Column("set_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("element_id", "set_id", name="pk_element_set_member"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "header",
        sa.Column("id", ID, nullable=False),
        sa.Column("image_id", ID, nullable=True),
        sa.Column("element_id", ID, nullable=True),
        sa.Column("index", sa.Integer(), nullable=True),
        sa.Column("shared_set_id", ID, nullable=True),
        sa.Column("own", sa.LargeBinary(), nullable=False),
        sa.Column("mode", sa.SmallInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_header"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_header_image",
        "header",
        ["image_id"],
        unique=True,
        sqlite_where=sa.text("image_id IS NOT NULL"),
        postgresql_where=sa.text("image_id IS NOT NULL"),
    )
    op.create_index(
        "ix_header_item",
        "header",
        ["element_id", "index"],
        unique=True,
        sqlite_where=sa.text("element_id IS NOT NULL"),
        postgresql_where=sa.text("element_id IS NOT NULL"),
    )
    op.create_index(
        "ix_header_shared_set",
        "header",
        ["shared_set_id"],
        unique=False,
        sqlite_where=sa.text("shared_set_id IS NOT NULL"),
        postgresql_where=sa.text("shared_set_id IS NOT NULL"),
    )
    op.create_table(
        "header_element",
        sa.Column("element_id", ID, autoincrement=False, nullable=False),
        sa.Column("header_id", ID, autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("element_id", "header_id", name="pk_header_element"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "import_job",
        sa.Column("id", ID, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.Column("owner", TEXT, nullable=True),
        sa.Column("paths", JSON, nullable=False),
        sa.Column("mode", TEXT, nullable=False),
        sa.Column("pattern", TEXT, nullable=True),
        sa.Column("stop_on_error", sa.Boolean(), nullable=False),
        sa.Column("found", ID, nullable=False),
        sa.Column("images_created", ID, nullable=False),
        sa.Column("images_updated", ID, nullable=False),
        sa.Column("images_existing", ID, nullable=False),
        sa.Column("skipped", ID, nullable=False),
        sa.Column("failed", ID, nullable=False),
        sa.Column("error", TEXT, nullable=True),
        sa.Column("started_at", MOMENT, nullable=True),
        sa.Column("resumed_at", MOMENT, nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("heartbeat_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_import_job"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "patient",
        sa.Column("id", ID, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("modified", MOMENT, nullable=False),
        sa.Column("uid", TEXT, nullable=False),
        sa.Column("name", TEXT, nullable=True),
        sa.Column("name_prefix", TEXT, nullable=True),
        sa.Column("given_name", TEXT, nullable=True),
        sa.Column("middle_name", TEXT, nullable=True),
        sa.Column("family_name", TEXT, nullable=True),
        sa.Column("name_suffix", TEXT, nullable=True),
        sa.Column("sex", TEXT, nullable=True),
        sa.Column("date_of_birth", sa.Date(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_patient"),
        sa.UniqueConstraint("uid", name="uq_patient_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_patient_order", "patient", ["family_name", "given_name", "id"], unique=False
    )
    op.create_table(
        "study",
        sa.Column("id", ID, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("modified", MOMENT, nullable=False),
        sa.Column("uid", TEXT, nullable=False),
        sa.Column("description", TEXT, nullable=True),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("time", sa.Time(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_study"),
        sa.UniqueConstraint("uid", name="uq_study_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_study_order", "study", ["date", "time", "id"], unique=False)
    op.create_table(
        "import_failure",
        sa.Column("id", ID, nullable=False),
        sa.Column("job_id", ID, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("message", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["import_job.id"], name="fk_import_failure_job_id"),
        sa.PrimaryKeyConstraint("id", name="pk_import_failure"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_import_failure_job", "import_failure", ["job_id", "id"], unique=False)
    op.create_table(
        "series",
        sa.Column("id", ID, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("modified", MOMENT, nullable=False),
        sa.Column("uid", TEXT, nullable=False),
        sa.Column("study_id", ID, nullable=True),
        sa.Column("patient_id", ID, nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("description", TEXT, nullable=True),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("time", sa.Time(), nullable=True),
        sa.Column("modality", TEXT, nullable=True),
        sa.Column("body_part_examined", TEXT, nullable=True),
        sa.Column("patient_position", TEXT, nullable=True),
        sa.Column("protocol_name", TEXT, nullable=True),
        sa.Column("manufacturer", TEXT, nullable=True),
        sa.Column("manufacturer_model_name", TEXT, nullable=True),
        sa.Column("device_serial_number", TEXT, nullable=True),
        sa.Column("institution_name", TEXT, nullable=True),
        sa.Column("operators_name", TEXT, nullable=True),
        sa.Column("magnetic_field_strength", sa.Float(precision=53), nullable=True),
        sa.Column("echo_time", sa.Float(precision=53), nullable=True),
        sa.Column("echo_train_length", sa.Integer(), nullable=True),
        sa.Column("inversion_time", sa.Float(precision=53), nullable=True),
        sa.Column("repetition_time", sa.Float(precision=53), nullable=True),
        sa.Column("flip_angle", sa.Float(precision=53), nullable=True),
        sa.Column("slice_thickness", sa.Float(precision=53), nullable=True),
        sa.Column("pixel_spacing", JSON, nullable=True),
        sa.Column("scanning_sequence", JSON, nullable=True),
        sa.Column("sequence_variant", JSON, nullable=True),
        sa.Column("sequence_name", TEXT, nullable=True),
        sa.Column("pulse_sequence_name", TEXT, nullable=True),
        sa.Column("mr_acquisition_type", TEXT, nullable=True),
        sa.Column("sequence_type", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name="fk_series_patient_id"),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_series_study_id"),
        sa.PrimaryKeyConstraint("id", name="pk_series"),
        sa.UniqueConstraint("uid", name="uq_series_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_series_patient", "series", ["patient_id", "study_id"], unique=False)
    op.create_index("ix_series_study", "series", ["study_id", "patient_id"], unique=False)
    op.create_table(
        "image",
        sa.Column("id", ID, nullable=False),
        sa.Column("created", MOMENT, nullable=False),
        sa.Column("modified", MOMENT, nullable=False),
        sa.Column("uid", TEXT, nullable=False),
        sa.Column("series_id", ID, nullable=True),
        sa.Column("number", sa.Integer(), nullable=True),
        sa.Column("date", sa.Date(), nullable=True),
        sa.Column("time", sa.Time(), nullable=True),
        sa.Column("sop_class_uid", TEXT, nullable=True),
        sa.Column("transfer_syntax_uid", TEXT, nullable=True),
        sa.Column("number_of_frames", sa.Integer(), nullable=True),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("columns", sa.Integer(), nullable=True),
        sa.Column("warnings", JSON, nullable=True),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name="fk_image_series_id"),
        sa.PrimaryKeyConstraint("id", name="pk_image"),
        sa.UniqueConstraint("uid", name="uq_image_uid"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_image_series", "image", ["series_id", "number", "id"], unique=False)
    op.create_index(
        "ix_image_warnings",
        "image",
        ["series_id"],
        unique=False,
        sqlite_where=sa.text("warnings IS NOT NULL"),
        postgresql_where=sa.text("warnings IS NOT NULL"),
    )
    op.create_table(
        "file",
        sa.Column("directory_id", ID, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("size", ID, nullable=False),
        sa.Column("mtime_ns", ID, nullable=False),
        sa.Column("image_id", ID, nullable=False),
        sa.Column("import_job_id", ID, nullable=True),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(["directory_id"], ["directory.id"], name="fk_file_directory_id"),
        sa.ForeignKeyConstraint(["image_id"], ["image.id"], name="fk_file_image_id"),
        sa.PrimaryKeyConstraint("directory_id", "name", name="pk_file"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_file_image", "file", ["image_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_file_image", table_name="file")
    op.drop_table("file")
    op.drop_index("ix_image_warnings", table_name="image")
    op.drop_index("ix_image_series", table_name="image")
    op.drop_table("image")
    op.drop_index("ix_series_study", table_name="series")
    op.drop_index("ix_series_patient", table_name="series")
    op.drop_table("series")
    op.drop_index("ix_import_failure_job", table_name="import_failure")
    op.drop_table("import_failure")
    op.drop_index("ix_study_order", table_name="study")
    op.drop_table("study")
    op.drop_index("ix_patient_order", table_name="patient")
    op.drop_table("patient")
    op.drop_table("import_job")
    op.drop_table("header_element")
    op.drop_index("ix_header_shared_set", table_name="header")
    op.drop_index("ix_header_item", table_name="header")
    op.drop_index("ix_header_image", table_name="header")
    op.drop_table("header")
    op.drop_table("element_set_member")
    op.drop_index("ix_element_set_series", table_name="element_set")
    op.drop_table("element_set")
    op.drop_table("element_digest")
    op.drop_table("directory")
    op.drop_index("ix_data_element_value_text", table_name="data_element_value")
    op.drop_index("ix_data_element_value_time", table_name="data_element_value")
    op.drop_index("ix_data_element_value_number", table_name="data_element_value")
    op.drop_index("ix_data_element_value_datetime", table_name="data_element_value")
    op.drop_index("ix_data_element_value_date", table_name="data_element_value")
    op.drop_table("data_element_value")
    op.drop_table("data_element_definition")
    op.drop_index("ix_data_element_without_values", table_name="data_element")
    op.drop_index("ix_data_element_warned", table_name="data_element")
    op.drop_table("data_element")
