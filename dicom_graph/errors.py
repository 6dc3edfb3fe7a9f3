"""Errors for people: what was wrong, where, what to do."""

import difflib
import re
from collections.abc import Iterable

from dicom_graph.error_codes import ErrorCode

_SUGGESTION = re.compile(r"[.;]? did you mean .*", re.IGNORECASE | re.DOTALL)
_QUOTED = re.compile(r"(?<!\w)'([^']*)'|`([^`]*)`")
_NAME = re.compile(r"[_A-Za-z][_0-9A-Za-z]*")
_OF_ALL_SCHEMAS = frozenset({"Boolean", "Float", "ID", "Int", "String"})


class BadInput(Exception):
    """An argument that cannot be right; the message says which and why.

    GraphQL takes `extensions` over into its error.
    """

    def __init__(self, message: str, code: ErrorCode = ErrorCode.BAD_INPUT) -> None:
        super().__init__(message)
        self.message, self.code = message, code
        self.extensions = {"code": code}


def nearest(name: str, known: Iterable[str]) -> str:
    """`; did you mean A, B or C?`, or nothing where no name is near."""
    by_folded = {candidate.casefold(): candidate for candidate in known}
    found = difflib.get_close_matches(name.casefold(), by_folded, n=3, cutoff=0.6)
    if not found:
        return ""
    names = [by_folded[folded] for folded in found]
    return f"; did you mean {' or '.join(filter(None, (', '.join(names[:-1]), names[-1])))}?"


def without_schema_names(message: str, sent: str) -> str:
    """An error's message where introspection is turned off: without suggestions, and with dots for
    quoted names that are not in `sent`, the text that the client sent.
    """
    known = _OF_ALL_SCHEMAS.union(_NAME.findall(sent))

    def shown(match: re.Match[str]) -> str:
        is_known = known.issuperset(_NAME.findall(match[0]))
        return match[0] if is_known else f"{match[0][0]}…{match[0][0]}"

    return _QUOTED.sub(shown, _SUGGESTION.sub("", message))
