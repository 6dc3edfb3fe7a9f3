"""The tables of the values in Siemens CSA headers. Without foreign keys, as those of headers."""

from sqlalchemy import Index, SmallInteger, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from dicom_graph.store.sql.types import Id
from dicom_graph.store.tables.base import TEXT_KEY_LENGTH, Base, partial_index


class CsaPath(Base):
    """A place in Siemens CSA headers, as `MrPhoenixProtocol.sSliceArray.lSize` or `B_value`.

    `header`: 16 of the image's, 32 of the series', as in their tags. `list_path` is the path of
    the list whose value it is.
    """

    __tablename__ = "csa_path"
    __table_args__ = (
        UniqueConstraint("header", "path"),
        partial_index("ix_csa_path_list", "header", "list_path", where="list_path IS NOT NULL"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    header: Mapped[int] = mapped_column(SmallInteger)
    path: Mapped[str]
    list_path: Mapped[str | None]


class CsaNumber(Base):
    """A number in a CSA header. `holder_id`: the element; the id of a part is negated."""

    __tablename__ = "csa_number"
    __table_args__ = ({"sqlite_with_rowid": False},)

    path_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    number: Mapped[float] = mapped_column(primary_key=True, autoincrement=False)
    holder_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)


class CsaText(Base):
    """A text in a CSA header; without `text`, a list or an object with something in it."""

    __tablename__ = "csa_text"
    __table_args__ = (
        Index("ix_csa_text_path", "path_id", text(f"substr(text, 1, {TEXT_KEY_LENGTH})")),
        {"sqlite_with_rowid": False},
    )

    holder_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    path_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    text: Mapped[str | None]


class CsaPart(Base):
    """Values that CSA headers have in common: those of a series differ in a few."""

    __tablename__ = "csa_part"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(Id, primary_key=True)
    header: Mapped[int] = mapped_column(SmallInteger)


class CsaPartElement(Base):
    """From a part to the elements that hold it."""

    __tablename__ = "csa_part_element"
    __table_args__ = ({"sqlite_with_rowid": False},)

    part_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    element_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
