"""Ids of rows over all types, for the outside: opaque texts (Relay's global ids)."""

import base64
import binascii
import re

from dicom_graph.errors import BadInput

_VALUE = "DataElementValue"
_OF_VALUE = re.compile(rf"{_VALUE}:([0-9]{{1,18}})\.([0-9]{{1,9}})")


def global_id(type_name: str, key: int) -> str:
    """The global id of a row."""
    return base64.b64encode(f"{type_name}:{key}".encode()).decode()


def value_id(element_id: int, index: int) -> str:
    """The global id of a value of an element: it has no row of its own to be told by."""
    return base64.b64encode(f"{_VALUE}:{element_id}.{index}".encode()).decode()


def split_value_id(text: str) -> tuple[int, int] | None:
    """The element's id and the index in a global id, if that is one of a value."""
    try:
        found = _OF_VALUE.fullmatch(base64.b64decode(text, validate=True).decode())
    except ValueError:
        return None
    return (int(found[1]), int(found[2])) if found else None


def split_global_id(text: str) -> tuple[str, int]:
    """The type name and the key in a global id. Raises BadInput."""
    try:
        type_name, _, key = base64.b64decode(text, validate=True).decode().partition(":")
        if not key.isascii() or not key.isdigit() or len(key) > 18:
            raise ValueError
        return type_name, int(key)
    except (ValueError, binascii.Error):
        raise BadInput(f"{text[:100]!r} is not an id that this server gave") from None
