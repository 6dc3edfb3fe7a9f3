"""ErrorCode, as an enum of the schema."""

from typing import Any

import strawberry

from dicom_graph.error_codes import ErrorCode

__all__ = ["ErrorCode"]


def _described() -> None:
    """Makes the codes an enum of the schema; each value has the description of its code."""
    made: Any = strawberry.enum(
        ErrorCode,
        description="What kind of error it is, for a program: `code` of a mutation's errors, "
        "`extensions.code` of an error of GraphQL, and `code` of an error over HTTP.",
    )
    for value in made.__strawberry_definition__.values:
        value.description = ErrorCode[value.name].description


_described()
