"""One element as the value of a field: None where it is not there, or cannot be read as that."""

import datetime as dt
from collections.abc import Callable
from typing import Any

from dicom_graph.dicom.elements.contents import Element

Read = Callable[[Element | None], Any]


def text(element: Element | None) -> str | None:
    """The first value; None for an empty one."""
    return (element.text or None) if element is not None else None


def joined(element: Element | None) -> str | None:
    """All values, separated by a backslash as in the file."""
    return "\\".join(element.texts) or None if element is not None else None


def number(element: Element | None) -> float | None:
    """The first value."""
    return element.values[0].number if element is not None and element.values else None


def integer(element: Element | None) -> int | None:
    """The first value, if it is whole and of 32 bits."""
    found = number(element)
    if found is None or not found.is_integer() or not -(2**31) <= found < 2**31:
        return None
    return int(found)


def date(element: Element | None) -> dt.date | None:
    """The first value."""
    return element.values[0].date if element is not None and element.values else None


def time(element: Element | None) -> dt.time | None:
    """The first value."""
    return element.values[0].time if element is not None and element.values else None


def texts(element: Element | None) -> list[str] | None:
    """All values."""
    return list(element.texts) or None if element is not None else None


def numbers(element: Element | None) -> list[float] | None:
    """All values; None where one of them is no number."""
    values = element.values if element is not None else ()
    found = [value.number for value in values if value.number is not None]
    return found if found and len(found) == len(values) else None


def sex(element: Element | None) -> str | None:
    """M, F or O; None for any other code."""
    code = text(element)
    return code if code in ("M", "F", "O") else None
