"""What an edited field may be: what DICOM allows there, and both databases hold."""

import datetime as dt
import math
import re
import unicodedata
from typing import Any

from dicom_graph.error_codes import ErrorCode

_MAX_TEXT = 1024
_MAX_NAME_PART = 64
_MAX_CODES = 16
_CODE = re.compile(r"[A-Z0-9_](?:[A-Z0-9_ ]{0,14}[A-Z0-9_])?")
_SEXES = ("M", "F", "O")


class BadValue(ValueError):
    """A value that the field cannot have; `code` says it to a program."""

    def __init__(self, message: str, code: ErrorCode) -> None:
        super().__init__(message)
        self.code = code


def text(value: str) -> str:
    """Without blanks around it."""
    return _checked_text(value, _MAX_TEXT)


def name_part(value: str) -> str:
    """A component of a person name (PS3.5 6.2.1.1)."""
    if any(mark in value for mark in "^=\\"):
        raise BadValue("must not hold ^, = or a backslash: they separate names", ErrorCode.BAD_TEXT)
    return _checked_text(value, _MAX_NAME_PART)


def _checked_text(value: str, longest: int) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise BadValue("holds a control character or half a surrogate pair", ErrorCode.BAD_TEXT)
    stripped = value.strip()
    if not stripped:
        raise BadValue("is empty: give null to remove it", ErrorCode.BAD_TEXT)
    if len(stripped) > longest:
        raise BadValue(f"has {len(stripped)} characters; at most {longest} fit", ErrorCode.TOO_LONG)
    return stripped


def code(value: str) -> str:
    """A code string (CS, PS3.5 6.2)."""
    if not _CODE.fullmatch(value):
        raise BadValue(
            "must be a code: 1 to 16 capitals, digits, underscores and inner spaces",
            ErrorCode.BAD_CODE,
        )
    return value


def codes(value: list[str]) -> list[str]:
    """Some code strings."""
    if not 1 <= len(value) <= _MAX_CODES:
        raise BadValue(f"must have 1 to {_MAX_CODES} codes, or be null", ErrorCode.BAD_LENGTH)
    return [code(each) for each in value]


def sex(value: str) -> str:
    """M, F or O."""
    if value not in _SEXES:
        raise BadValue("must be M, F or O", ErrorCode.BAD_CODE)
    return value


def number(value: float) -> float:
    """A finite number."""
    if not math.isfinite(value):
        raise BadValue("must be a finite number", ErrorCode.BAD_NUMBER)
    return float(value)


def not_negative(value: Any) -> Any:
    """A finite number, 0 or greater."""
    if number(value) < 0:
        raise BadValue("must not be negative", ErrorCode.BAD_NUMBER)
    return value


def spacing(value: list[float]) -> list[float]:
    """Two lengths greater than 0: between rows, then between columns."""
    if len(value) != 2:
        raise BadValue(
            "must have two numbers: between rows, then between columns", ErrorCode.BAD_LENGTH
        )
    if any(number(length) <= 0 for length in value):
        raise BadValue("must be greater than 0", ErrorCode.BAD_NUMBER)
    return [float(length) for length in value]


def local_time(value: dt.time) -> dt.time:
    """A time without a zone."""
    if value.tzinfo is not None:
        raise BadValue("must have no time zone: it is local time", ErrorCode.BAD_TIME)
    return value


def anything(value: Any) -> Any:
    """Whatever its type allows."""
    return value
