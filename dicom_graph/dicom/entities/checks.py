"""What an edited field may be: what DICOM allows there, and both databases hold."""

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Callable
from difflib import get_close_matches
from typing import Any

from pydicom.datadict import dictionary_VR

from dicom_graph.dicom.code_meanings import known_codes
from dicom_graph.error_codes import ErrorCode

_LONGEST = {"CS": 16, "SH": 16, "LO": 64, "ST": 1024, "LT": 10_240, "UT": 100_000}
"""Characters of a text (PS3.5 table 6.2-1); of UT, which has no such limit, what a column takes."""
_SHOWN_CODES = 12
_MAX_NAME_PART = 64
_MAX_CODES = 16
_CODE = re.compile(r"[A-Z0-9_](?:[A-Z0-9_ ]{0,14}[A-Z0-9_])?")
_LONGEST_UID = 64
_UID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_SEXES = ("M", "F", "O")


class BadValue(ValueError):
    """A value that the field cannot have; `code` says it to a program."""

    def __init__(self, message: str, code: ErrorCode) -> None:
        super().__init__(message)
        self.code = code


def text(keyword: str) -> Callable[[str], str]:
    """Returns the check of a text: without blanks around it, as long as its VR allows, and without
    the backslash that separates values in a VR that may have several (PS3.5 6.2).
    """
    vr = dictionary_VR(keyword)

    def check(value: str) -> str:
        if vr in ("LO", "SH") and "\\" in value:
            raise BadValue("must not hold a backslash: it separates values", ErrorCode.BAD_TEXT)
        return _checked_text(value, _LONGEST[vr])

    return check


def uid(value: str) -> str:
    """A unique identifier (UI, PS3.5 9.1)."""
    if len(value) > _LONGEST_UID:
        message = f"has {len(value)} characters; at most {_LONGEST_UID} fit"
        raise BadValue(message, ErrorCode.TOO_LONG)
    if not _UID.fullmatch(value):
        raise BadValue(
            "must be a UID: numbers without leading zeros, separated by points", ErrorCode.BAD_UID
        )
    return value


def names(value: str) -> str:
    """Person names, separated by backslashes; each of its groups has 64 characters at most."""
    groups = re.split(r"[\\=]", value)
    _checked_text(value, max(len(value), 1))
    for group in groups:
        if len(group.strip()) > _MAX_NAME_PART:
            message = f"has a name of {len(group.strip())} characters; at most 64 fit"
            raise BadValue(message, ErrorCode.TOO_LONG)
    return value.strip()


def whole_name(value: str) -> str:
    """A person name that is made of its parts (PN, PS3.5 6.2): 64 characters in each group."""
    for group in value.split("="):
        if len(group) > _MAX_NAME_PART:
            message = f"makes a name of {len(group)} characters in all; at most 64 fit"
            raise BadValue(message, ErrorCode.TOO_LONG)
    return value


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


def code(keyword: str) -> Callable[[str], str]:
    """Returns the check of a code string (CS, PS3.5 6.2): one of those that are known, where the
    standard lists them.
    """
    known = known_codes(keyword)

    def check(value: str) -> str:
        if not _CODE.fullmatch(value):
            raise BadValue(
                "must be a code: 1 to 16 capitals, digits, underscores and inner spaces",
                ErrorCode.BAD_CODE,
            )
        if known and value not in known:
            near = get_close_matches(value, known, 3, 0.5) or sorted(known)
            shown = ", ".join(near[:_SHOWN_CODES])
            more = " …" if len(near) > _SHOWN_CODES else ""
            raise BadValue(f"{value} is no code of {keyword}: {shown}{more}", ErrorCode.BAD_CODE)
        return value

    return check


def codes(keyword: str) -> Callable[[list[str]], list[str]]:
    """Returns the check of some code strings, each as in `code`."""
    check_one = code(keyword)

    def check(value: list[str]) -> list[str]:
        if not 1 <= len(value) <= _MAX_CODES:
            raise BadValue(f"must have 1 to {_MAX_CODES} codes, or be null", ErrorCode.BAD_LENGTH)
        return [check_one(each) for each in value]

    return check


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
