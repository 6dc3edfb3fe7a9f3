"""The tables of files and of the folders that they lie in."""

import datetime as dt

from sqlalchemy import ForeignKey, Index, SmallInteger
from sqlalchemy.orm import Mapped, mapped_column

from dicom_graph.store.sql.types import Id, Int64
from dicom_graph.store.tables.base import Base


class Directory(Base):
    """A folder that holds files; its path is stored once for all of them.

    `real_path`: without symbolic links, where that is another one, as it was at the last import.
    """

    __tablename__ = "directory"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    path: Mapped[str] = mapped_column(unique=True)
    real_path: Mapped[str | None]


class File(Base):
    """A file of an image as it was when last read, by which import, and what it made of it.

    `missing_since`: when a sync found it gone. An image all of whose files are gone is missing.
    `digest`: of its header as read, see `header_digest`. `stamp`: what tells it from any other file
    and from itself once it is changed, see `FileVersion.stamp`. `link`: where it led, if it is a
    link. `patient_id`, `study_id`: whom and what a header names that is not the image's.
    """

    __tablename__ = "file"
    __table_args__ = (Index("ix_file_image", "image_id"), {"sqlite_with_rowid": False})

    directory_id: Mapped[int] = mapped_column(ForeignKey("directory.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    size: Mapped[int] = mapped_column(Int64)
    mtime_ns: Mapped[int] = mapped_column(Int64)
    image_id: Mapped[int] = mapped_column(ForeignKey("image.id"))
    import_job_id: Mapped[int | None] = mapped_column(Id)
    outcome: Mapped[int] = mapped_column(SmallInteger)
    missing_since: Mapped[dt.datetime | None]
    digest: Mapped[bytes | None]
    stamp: Mapped[bytes | None]
    link: Mapped[str | None]
    patient_id: Mapped[int | None] = mapped_column(Id)
    study_id: Mapped[int | None] = mapped_column(Id)
