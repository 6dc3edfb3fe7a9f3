"""The tables of one row each: how far the rows of all the others have come."""

from sqlalchemy import Integer, SmallInteger, text
from sqlalchemy.orm import Mapped, mapped_column

from dicom_graph.store.sql.types import Id, Int64
from dicom_graph.store.tables.base import Base


class Generation(Base):
    """One row: how often rows were deleted that a writer or a cache may remember by their ids."""

    __tablename__ = "generation"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    deletions: Mapped[int] = mapped_column(Int64)
    prunes: Mapped[int] = mapped_column(Int64)


class ReadingVersion(Base):
    """One row: by which version of `dicom.elements.revisions`, or a later one, all is read.

    `image_id`: the last image that a reindex to the version `target` has read again.
    """

    __tablename__ = "reading_version"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(Integer)
    image_id: Mapped[int] = mapped_column(Id)
    target: Mapped[int] = mapped_column(Integer, server_default=text("0"))
