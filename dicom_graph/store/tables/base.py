"""What all tables have in common: the columns of each Python type, names, indexes."""

import datetime as dt
from typing import Any, ClassVar

from sqlalchemy import Date, Float, Index, Integer, MetaData, TextClause, Time, text
from sqlalchemy.orm import DeclarativeBase

from dicom_graph.store.sql.functions import SmallestNull
from dicom_graph.store.sql.types import Bytes, Json, Text, UtcDateTime

TEXT_KEY_LENGTH = 64
"""Text is indexed by this many characters: PostgreSQL refuses index entries over 2.7 kB."""


def partial_index(name: str, *columns: str | TextClause, where: str, unique: bool = False) -> Index:
    """An index of the rows alone of which the SQL condition `where` is true."""
    condition = text(where)
    return Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def order_index(name: str, *columns: str) -> Index:
    """The index of a default order, in which NULL comes first on both databases."""
    return Index(name, *map(SmallestNull, columns[:-1]), columns[-1])


class Base(DeclarativeBase):
    """The base of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(column_0_N_label)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        str: Text,
        bytes: Bytes,
        int: Integer,
        float: Float(53),
        dt.datetime: UtcDateTime,
        dt.date: Date,
        dt.time: Time,
        list[str]: Json,
        list[float]: Json,
        dict[str, Any]: Json,
    }
