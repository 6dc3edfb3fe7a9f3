"""Ids of rows over all types, for the outside: opaque texts (Relay's global ids)."""

import base64
import binascii

from dicom_graph.errors import BadInput


def global_id(type_name: str, key: int) -> str:
    """The global id of a row."""
    return base64.b64encode(f"{type_name}:{key}".encode()).decode()


def split_global_id(text: str) -> tuple[str, int]:
    """The type name and the key in a global id. Raises BadInput."""
    try:
        type_name, _, key = base64.b64decode(text, validate=True).decode().partition(":")
        if not key.isascii() or not key.isdigit() or len(key) > 18:
            raise ValueError
        return type_name, int(key)
    except (ValueError, binascii.Error):
        raise BadInput(f"{text[:100]!r} is not an id that this server gave") from None
