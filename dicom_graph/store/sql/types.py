"""Column types that mean the same on SQLite and PostgreSQL."""

import datetime as dt
import json
from typing import Any

import orjson
from sqlalchemy import JSON, BigInteger, DateTime, Integer, LargeBinary, SmallInteger, String
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine

from dicom_graph.store.sql.id_list import pack_ids, unpack_ids

Id = BigInteger().with_variant(Integer, "sqlite")
"""A primary key: 64 bits on both (SQLite's INTEGER is)."""

Int64 = BigInteger().with_variant(Integer, "sqlite")

# The same order and equality as SQLite's BINARY collation: by code point.
Text = String().with_variant(String(collation="C"), "postgresql")

Json = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")

Bytes = LargeBinary


def read_json(text: str | bytes) -> Any:
    """What a column of JSON holds. Of lists, which rows of entities have, in a tenth of the time;
    Python's own reader knows NaN and integers of any size.
    """
    try:
        return orjson.loads(text) if text[:1] in ("[", b"[") else json.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An aware datetime in UTC; on SQLite microseconds since 1970, a third of the text's size."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(Integer())
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return microseconds(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> dt.datetime | None:
        if value is None:
            return None
        if dialect.name == "sqlite":
            return _EPOCH + dt.timedelta(microseconds=value)
        return value.astimezone(dt.UTC)  # type: ignore[no-any-return]


class Distances(TypeDecorator[list[int]]):
    """Ascending whole numbers from 0, below 32,768; on SQLite packed (`store.sql.id_list`)."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        if dialect.name == "sqlite":
            return dialect.type_descriptor(LargeBinary())
        return dialect.type_descriptor(ARRAY(SmallInteger))

    def process_bind_param(self, value: list[int] | None, dialect: Dialect) -> Any:
        return value if value is None or dialect.name != "sqlite" else pack_ids(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> list[int] | None:
        return value if value is None or dialect.name != "sqlite" else unpack_ids(value)


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def microseconds(moment: dt.datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // dt.timedelta(microseconds=1)


def utc_now() -> dt.datetime:
    """The present moment in UTC."""
    return dt.datetime.now(dt.UTC)
