"""Regular expressions of RE2: on SQLite by itself, in time linear in the text."""

from functools import lru_cache
from typing import Any

from dicom_graph.store.sql.postgresql_regex import NotInBoth, for_postgresql

_MAX_PATTERN, _MAX_MEMORY = 1000, 1 << 20
_KEPT_PATTERNS, _KEPT_TEXTS, _LONGEST_KEPT = 64, 4096, 256


class BadPattern(ValueError):
    """No regular expression, or too large a one; the message says why."""


def check_pattern(pattern: str) -> None:
    """Raises BadPattern for what either database does not take."""
    if len(pattern) > _MAX_PATTERN:
        raise BadPattern(f"`regex` has {len(pattern)} characters; at most {_MAX_PATTERN} can be")
    _compiled(pattern)
    try:
        for_postgresql(pattern)
    except NotInBoth as error:
        raise BadPattern(f"`regex` has {error}, which not both databases know") from None


def re2_search(pattern: str, text: str | None) -> bool | None:
    """Whether something in a text matches; None of no text."""
    if text is None:
        return None
    if len(text) > _LONGEST_KEPT:
        return _compiled(pattern).search(text) is not None
    return _found(pattern, text)


@lru_cache(_KEPT_TEXTS)
def _found(pattern: str, text: str) -> bool:
    # The same texts stand in many rows.
    return _compiled(pattern).search(text) is not None


@lru_cache(_KEPT_PATTERNS)
def _compiled(pattern: str) -> Any:
    # Only where it is asked for.
    import re2

    options = re2.Options()
    options.max_mem, options.log_errors = _MAX_MEMORY, False
    options.dot_nl = True  # As PostgreSQL: a dot is any character, the end of a line too.
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        said = error.args[0] if error.args else error
        text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
        raise BadPattern(f"`regex`: {text}") from None
