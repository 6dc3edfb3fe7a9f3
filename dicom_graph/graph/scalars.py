"""Scalars beyond GraphQL's own."""

from typing import Any, NewType

import strawberry
from graphql import GraphQLError
from strawberry.file_uploads import Upload
from strawberry.scalars import JSON
from strawberry.types.scalar import ScalarDefinition

BigInt = NewType("BigInt", int)

__all__ = ["JSON", "SCALARS", "BigInt"]


def _parse(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise GraphQLError("BigInt takes an integer or a string of digits")
    try:
        return int(value)
    except ValueError:
        raise GraphQLError(f"BigInt cannot represent {value[:40]!r}") from None  # type: ignore[index]


SCALARS: dict[object, ScalarDefinition] = {
    Upload: strawberry.scalar(
        name="Upload",
        description="A file, sent as the GraphQL multipart request specification says.",
        serialize=str,
        parse_value=lambda value: value,
    ),
    BigInt: strawberry.scalar(
        name="BigInt",
        description="An integer of up to 64 bits, as a string of digits, since a JSON number in "
        "JavaScript is exact only to 53.",
        serialize=str,
        parse_value=_parse,
    ),
}
