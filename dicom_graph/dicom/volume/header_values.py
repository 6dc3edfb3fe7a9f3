"""Single values of a header, whatever is wrong with them: numbers, and private elements."""

import math
from collections.abc import Iterable
from typing import Any

from pydicom.dataset import Dataset

_BLOCKS = range(0x10, 0x20)
"""The private blocks that are looked into (PS3.5 7.8.1 allows more; vendors use the first few)."""


def number(value: Any) -> float | None:
    """The first value as a finite number, or None."""
    if value is not None and not isinstance(value, (str, bytes)) and hasattr(value, "__len__"):
        value = value[0] if len(value) else None
    try:
        found = float(value)
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def integer(value: Any) -> int | None:
    """The first value as a whole number, or None."""
    found = number(value)
    return None if found is None else int(found)


def private_tags(places: Iterable[tuple[int, int]]) -> frozenset[int]:
    """The tags of private elements, and of their creators, in any block; of group and low byte."""
    wanted = list(places)
    return frozenset(group << 16 | block for group, _ in wanted for block in _BLOCKS) | frozenset(
        group << 16 | block << 8 | low for group, low in wanted for block in _BLOCKS
    )


def private_value(header: Dataset, group: int, creator: str, element: int) -> Any:
    """The value of a private element, or None; numbers of unknown VR are read as text."""
    value = private_element(header, group, creator, element)
    if isinstance(value, bytes):
        return value.decode("latin-1").strip("\0 ").split("\\")[0]
    return value


def private_element(header: Dataset, group: int, creator: str, element: int) -> Any:
    """The value of a private element as pydicom has it, or None."""
    for block in _BLOCKS:
        # Not in `header` itself, which makes a tag of each number.
        if (group << 16 | block) not in header._dict:
            continue
        try:
            if str(header[group << 16 | block].value).strip() == creator:
                return header[group << 16 | block << 8 | element].value
        except Exception:
            # pydicom decodes on access, and raises what it likes for what it cannot.
            return None
    return None
