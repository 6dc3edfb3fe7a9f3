"""Scalars beyond GraphQL's own."""

import datetime as dt
import re
from dataclasses import replace
from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.file_uploads import Upload
from strawberry.scalars import JSON
from strawberry.schema.types.base_scalars import (
    DateDefinition,
    DateTimeDefinition,
    TimeDefinition,
)
from strawberry.types.scalar import ScalarDefinition

BigInt = NewType("BigInt", int)
LocalDateTime = NewType("LocalDateTime", dt.datetime)

_DIGITS = re.compile(r"[-+]?[0-9]{1,20}")

__all__ = ["JSON", "SCALARS", "BigInt", "LocalDateTime"]


def _parse(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise GraphQLError("BigInt takes an integer or a string of digits")
    if isinstance(value, str) and not _DIGITS.fullmatch(value):
        raise GraphQLError(f"BigInt cannot represent {value[:40]!r}")
    return int(value)


def _instant(moment: dt.datetime) -> str:
    """An instant in ISO 8601. Raises ValueError for a moment of no time zone."""
    if moment.tzinfo is None:
        raise ValueError("a DateTime has an offset")
    return moment.isoformat()


def _parse_local(value: Any) -> dt.datetime:
    try:
        moment = dt.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise GraphQLError("LocalDateTime takes a date and time, as 2020-12-31T12:30:00") from None
    if moment.tzinfo is not None:
        raise GraphQLError("LocalDateTime takes no offset")
    return moment


SCALARS: dict[object, ScalarDefinition] = {
    dt.date: replace(
        DateDefinition,
        description="A date in ISO 8601: 2020-12-31.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
    ),
    dt.time: replace(
        TimeDefinition,
        description="A time of day in ISO 8601, without an offset: 12:30:00.5.",
        specified_by_url="https://www.w3.org/TR/xmlschema11-2/#time",
    ),
    dt.datetime: replace(
        DateTimeDefinition,
        description="An instant in ISO 8601, with its offset: 2020-12-31T12:30:00.5+01:00.",
        specified_by_url="https://www.rfc-editor.org/rfc/rfc3339#section-5.6",
        serialize=_instant,
    ),
    LocalDateTime: strawberry.scalar(
        name="LocalDateTime",
        description="Date and time in ISO 8601 by the clock of the place, without an offset: "
        "2020-12-31T12:30:00.5. Which instant it is, is not known.",
        specified_by_url="https://www.w3.org/TR/xmlschema11-2/#dateTime",
        serialize=lambda moment: moment.replace(tzinfo=None).isoformat(),
        parse_value=_parse_local,
    ),
    Upload: strawberry.scalar(
        name="Upload",
        description="A file, sent as the GraphQL multipart request specification says.",
        specified_by_url="https://github.com/jaydenseric/graphql-multipart-request-spec",
        serialize=str,
        parse_value=lambda value: value,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer of up to 64 bits, as a string of digits, since a JSON number in "
        "JavaScript is exact only to 53.",
        specified_by_url="https://www.w3.org/TR/xmlschema11-2/#long",
        serialize=str,
        parse_value=_parse,
    ),
}
