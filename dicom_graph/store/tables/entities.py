"""The tables of patients, studies, series and images, made from their descriptions."""

import datetime as dt
from typing import Any

from sqlalchemy import ForeignKey, Index, Table, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from dicom_graph.dicom.entities import IMAGE, PATIENT, SERIES, STUDY, Attribute, Description
from dicom_graph.dicom.entities.image import FORMAT_TABLE
from dicom_graph.store.sql.types import Id, Int64, utc_now
from dicom_graph.store.tables.base import Base, order_index, partial_index

_OF_DATABASE = "Database"
ROW_ATTRIBUTES = (
    Attribute(
        about="when it came into the database, UTC", name="created", type=dt.datetime,
        group=_OF_DATABASE,
    ),
    Attribute(
        about="when its row last changed, UTC", name="modified", type=dt.datetime,
        group=_OF_DATABASE,
    ),
)  # fmt: skip
"""What a database adds to the attributes of each entity."""
DESCRIBED_TABLES: dict[str, Table] = {}
"""The tables of the entities that are described, by name."""


class Entity(Base):
    """What all entities have: a key that is never reused, and when they came and changed.

    `edited`: the columns that a person has set; no import writes them again. The others are what
    the entity is described by, and what the class adds.
    """

    __abstract__ = True

    id: Mapped[int] = mapped_column(Id, primary_key=True, sort_order=-4)
    created: Mapped[dt.datetime] = mapped_column(default=utc_now, sort_order=-3)
    modified: Mapped[dt.datetime] = mapped_column(default=utc_now, onupdate=utc_now, sort_order=-2)
    uid: Mapped[str] = mapped_column(unique=True, sort_order=-1)
    edited: Mapped[list[str] | None] = mapped_column(sort_order=1000)

    def __init_subclass__(cls, *, described: Description, **options: Any) -> None:
        for place, attribute in enumerate(described.attributes):
            if attribute.table is None and attribute.name != "uid":
                kind = cls.type_annotation_map[attribute.type]
                column = mapped_column(kind, nullable=attribute.optional, sort_order=place)
                setattr(cls, attribute.name, column)
        super().__init_subclass__(**options)
        DESCRIBED_TABLES[described.name] = cls.metadata.tables[described.name]


class Patient(Entity, described=PATIENT):
    __tablename__ = "patient"
    __table_args__ = (
        order_index("ix_patient_order", "family_name", "given_name", "id"),
        partial_index("ix_patient_edited", "id", where="edited IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )


class Study(Entity, described=STUDY):
    __tablename__ = "study"
    __table_args__ = (
        order_index("ix_study_order", "date", "time", "id"),
        partial_index("ix_study_edited", "id", where="edited IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )


class Series(Entity, described=SERIES):
    __tablename__ = "series"
    __table_args__ = (
        Index("ix_series_study", "study_id", "patient_id"),
        Index("ix_series_patient", "patient_id", "study_id"),
        partial_index("ix_series_edited", "id", where="edited IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    study_id: Mapped[int | None] = mapped_column(ForeignKey("study.id"))
    patient_id: Mapped[int | None] = mapped_column(ForeignKey("patient.id"))


class Image(Entity, described=IMAGE):
    """`header_digest` and `file_size` are those of the file that the stored header came from: only
    files that have both are ever given for the image. NULL: imported before they were noted.

    `header_patient_id`, `header_study_id`: whom and what its header names, where that is not what
    its series belongs to; no id of any row where that is not known any more.
    """

    __tablename__ = "image"
    __table_args__ = (
        order_index("ix_image_series", "series_id", "number", "id"),
        partial_index("ix_image_warnings", "series_id", where="warnings IS NOT NULL"),
        partial_index("ix_image_missing", "series_id", where="missing_since IS NOT NULL"),
        partial_index("ix_image_edited", "id", where="edited IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    series_id: Mapped[int | None] = mapped_column(ForeignKey("series.id"))
    # In the place that SOP class and transfer syntax have among the attributes.
    format_id: Mapped[int | None] = mapped_column(Id, sort_order=4)
    warnings: Mapped[list[str] | None] = mapped_column(sort_order=100)
    missing_since: Mapped[dt.datetime | None] = mapped_column(sort_order=101)
    header_digest: Mapped[bytes | None] = mapped_column(sort_order=110)
    file_size: Mapped[int | None] = mapped_column(Int64, sort_order=111)
    header_patient_id: Mapped[int | None] = mapped_column(Id, sort_order=112)
    header_study_id: Mapped[int | None] = mapped_column(Id, sort_order=113)


class ImageFormat(Base):
    """What images are and how they are encoded; empty where a file does not say."""

    __tablename__ = FORMAT_TABLE
    __table_args__ = (
        UniqueConstraint("sop_class_uid", "transfer_syntax_uid"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    sop_class_uid: Mapped[str]
    transfer_syntax_uid: Mapped[str]
