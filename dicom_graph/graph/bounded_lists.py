"""Lists that are no connections, and may be long: a part of each is given."""

from collections.abc import Sequence
from typing import Annotated, TypeVar

import strawberry

from dicom_graph.errors import BadInput

T = TypeVar("T")
DEFAULT, _MOST = 1000, 10_000

First = Annotated[int, strawberry.argument(description="At most so many, up to 10,000.")]
Offset = Annotated[int, strawberry.argument(description="How many of them to skip.")]


def part_of(whole: Sequence[T], first: int, offset: int) -> list[T]:
    """A part of a list. Raises BadInput."""
    check_part(first, offset)
    return list(whole[offset : offset + first])


def check_part(first: int, offset: int) -> None:
    """Raises BadInput for what is no part of a list."""
    if not 0 <= first <= _MOST:
        raise BadInput(f"`first` is {first}; it must be from 0 to {_MOST}")
    if not 0 <= offset < 2**31:
        raise BadInput(f"`offset` is {offset}; it must not be negative")
