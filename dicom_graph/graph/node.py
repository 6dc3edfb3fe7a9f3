"""Relay's global object identification."""

import base64
import binascii

import strawberry

from dicom_graph.graph.errors import BadInput


@strawberry.interface(description="An object with a global id (Relay).")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Identifies the object over all types; opaque. Ask `node(id:)` with it."
    )


def global_id(type_name: str, key: int) -> strawberry.ID:
    """The global id of a row."""
    return strawberry.ID(base64.b64encode(f"{type_name}:{key}".encode()).decode())


def split_global_id(text: str) -> tuple[str, int]:
    """The type name and the key in a global id. Raises BadInput."""
    try:
        type_name, _, key = base64.b64decode(text, validate=True).decode().partition(":")
        if not key.isascii() or not key.isdigit() or len(key) > 18:
            raise ValueError
        return type_name, int(key)
    except (ValueError, binascii.Error):
        raise BadInput(f"{text[:100]!r} is not an id that this server gave") from None
