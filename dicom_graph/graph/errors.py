"""Errors for people: what was wrong, where, what to do."""

import difflib
from collections.abc import Iterable

from graphql import GraphQLError

from dicom_graph.error_codes import ErrorCode


class BadInput(GraphQLError):
    """An argument that cannot be right; the message says which and why."""

    def __init__(self, message: str, code: ErrorCode = ErrorCode.BAD_INPUT) -> None:
        super().__init__(message, extensions={"code": code})
        self.code = code


class Overloaded(GraphQLError):
    """There is no place for an operation: the message says whose limit that is."""

    def __init__(self, message: str) -> None:
        super().__init__(message, extensions={"code": ErrorCode.OVERLOADED})


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean A, B or C?`, or nothing where no name is near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.6)
    if not found:
        return ""
    names = [by_folded[folded] for folded in found]
    return f"; did you mean {' or '.join(filter(None, (', '.join(names[:-1]), names[-1])))}?"
