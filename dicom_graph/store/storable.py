"""Texts from outside, such as no database holds: with NUL, or with half a surrogate pair.

Nothing that is stored has them (`dicom.elements.values` escapes the one and replaces the other).
PostgreSQL refuses both as parameters, SQLite the second: so the parameters of every statement are
looked at before it is sent, and refused on both with the same error.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

_UNFIT = re.compile("[\x00\ud800-\udfff]")


class UnstorableText(ValueError):
    """A text that no database holds; the message is for the client that sent it."""


def is_storable(text: str) -> bool:
    """Whether a database can hold the text."""
    return _UNFIT.search(text) is None


def as_storable(text: str) -> str:
    """The text with `?` for each character that no database holds."""
    return _UNFIT.sub("?", text)


def check_text(text: str) -> str:
    """The text. Raises UnstorableText."""
    if "\x00" in text:
        raise UnstorableText(r"a text with NUL: the database holds it written as \x00")
    if not text.isascii() and not is_storable(text):
        raise UnstorableText("a text with half a surrogate pair, which is no character")
    return text


def refuse_unstorable(
    _connection: Any, _cursor: Any, _statement: Any, parameters: Any, _context: Any, _many: Any
) -> None:
    """Listens to executions: raises UnstorableText for a parameter that is none."""
    for text in _texts(parameters):
        check_text(text)


def _texts(parameters: Any) -> Iterator[str]:
    if isinstance(parameters, str):
        yield parameters
    elif isinstance(parameters, Mapping):
        for value in parameters.values():
            yield from _texts(value)
    elif isinstance(parameters, list | tuple):
        # Of ids, which may be many, nothing is to be looked at.
        for value in parameters if set(map(type, parameters)) != {int} else ():
            yield from _texts(value)
