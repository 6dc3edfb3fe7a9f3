"""The tables of headers and data elements.

An element is stored once, however many headers hold it. What a header holds is one packed column
(`store.sql.id_list`), read in one go. The tables `header_element` and `element_set_member` say the
same the other way round, from an element to the headers that hold it: filters go that way, from the
value up.

These tables carry no foreign keys: they are written only by `store.ingest`, whole batches in one
transaction, and the checks would double its time.
"""

import datetime as dt
from typing import ClassVar

from sqlalchemy import DateTime, Index, Integer, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from dicom_graph.store.sql.types import Distances, Id, Int64
from dicom_graph.store.tables.base import TEXT_KEY_LENGTH, Base, partial_index


class DataElementDefinition(Base):
    """(tag, private creator, VR); the tag of a private element has 00 for its block."""

    __tablename__ = "data_element_definition"
    __table_args__ = (
        UniqueConstraint("tag", "private_creator", "vr"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    tag: Mapped[int] = mapped_column(Int64)
    private_creator: Mapped[str]
    vr: Mapped[str]
    keyword: Mapped[str]
    name: Mapped[str]


class ElementDigest(Base):
    """Which content is which element: what makes an element be stored once."""

    __tablename__ = "element_digest"
    __table_args__ = ({"sqlite_with_rowid": False},)

    digest: Mapped[bytes] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Id)


class DataElement(Base):
    """One distinct element, never changed once written. `length` is in bytes.

    `block`: of a private element, the block that its creator reserves (16 to 255), else 0.
    Only elements without a row in `data_element_value` (`n_values` 0) are indexed by definition
    here; the others are found through their values.

    `packed` is null where the values give the bytes back, or where the file alone has them and
    `sha256` is theirs; where it is shorter than `length` it is compressed
    (`dicom.elements.packing`).
    """

    __tablename__ = "data_element"
    __table_args__ = (
        partial_index("ix_data_element_without_values", "definition_id", where="n_values = 0"),
        partial_index("ix_data_element_warned", "definition_id", where="has_warnings"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    definition_id: Mapped[int] = mapped_column(Id)
    block: Mapped[int] = mapped_column(SmallInteger)
    vm: Mapped[int] = mapped_column(Integer)
    n_values: Mapped[int] = mapped_column(Integer)
    has_warnings: Mapped[bool]
    length: Mapped[int] = mapped_column(Int64)
    packed: Mapped[bytes | None]
    sha256: Mapped[bytes | None]
    warning: Mapped[str | None]


class DataElementValue(Base):
    """One value of an element, in the column of its meaning. `index` counts from 0."""

    __tablename__ = "data_element_value"
    __table_args__ = (
        partial_index(
            "ix_data_element_value_text",
            "definition_id",
            text(f"substr(text, 1, {TEXT_KEY_LENGTH})"),
            where="text IS NOT NULL AND number IS NULL",
        ),
        *[
            partial_index(
                f"ix_data_element_value_{column}",
                "definition_id",
                column,
                where=f"{column} IS NOT NULL",
            )
            for column in ("number", "date", "time", "datetime")
        ],
        {"sqlite_with_rowid": False},
    )

    element_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    definition_id: Mapped[int] = mapped_column(Id)
    text: Mapped[str | None]
    number: Mapped[float | None]
    date: Mapped[dt.date | None]
    time: Mapped[dt.time | None]
    datetime: Mapped[dt.datetime | None] = mapped_column(DateTime)
    warning: Mapped[str | None]


class ElementSet(Base):
    """Elements that headers of one series have in common; always a subset of each of them."""

    __tablename__ = "element_set"
    __table_args__ = (
        Index("ix_element_set_series", "series_id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    series_id: Mapped[int] = mapped_column(Id)
    members: Mapped[bytes]


class Posting(Base):
    """From an element to what holds it, several to a row: see `store.postings`.

    `first_id`: of the first that was written; `distances`: from it, of all that hold the element;
    NULL: the first alone does. They are below `SPAN`.
    """

    __abstract__ = True
    SPAN: ClassVar[int]

    element_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    first_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    distances: Mapped[list[int] | None] = mapped_column(Distances)


class ElementSetMember(Posting):
    """From an element to the shared sets that hold it."""

    __tablename__ = "element_set_member"
    __table_args__ = ({"sqlite_with_rowid": False},)
    SPAN = 1 << 8


class Header(Base):
    """A data set: of an image, or an item (`index` from 0) of a sequence element.

    Its elements are the members of its shared set and its `own`.
    """

    __tablename__ = "header"
    __table_args__ = (
        partial_index(
            "ix_header_image", "image_id", where="image_id IS NOT NULL", unique=True
        ).ddl_if(dialect="postgresql"),
        partial_index(
            "ix_header_image_set",
            "image_id",
            "shared_set_id",
            where="image_id IS NOT NULL",
            unique=True,
        ).ddl_if(dialect="sqlite"),
        partial_index(
            "ix_header_item", "element_id", "index", where="element_id IS NOT NULL", unique=True
        ),
        partial_index("ix_header_shared_set", "shared_set_id", where="shared_set_id IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    image_id: Mapped[int | None] = mapped_column(Id)
    element_id: Mapped[int | None] = mapped_column(Id)
    index: Mapped[int | None] = mapped_column(Integer)
    shared_set_id: Mapped[int | None] = mapped_column(Id)
    own: Mapped[bytes]
    mode: Mapped[int | None] = mapped_column(SmallInteger)


class HeaderElement(Posting):
    """From an element to the headers that hold it beyond their shared set."""

    __tablename__ = "header_element"
    __table_args__ = ({"sqlite_with_rowid": False},)
    SPAN = 1 << 12
