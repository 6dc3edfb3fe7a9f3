"""Relay's global object identification."""

import strawberry

from dicom_graph.store import global_ids


@strawberry.interface(description="An object with a global id (Relay).")
class Node:
    id: strawberry.ID = strawberry.field(
        description="Identifies the object over all types; opaque. Ask `node(id:)` with it."
    )


def global_id(type_name: str, key: int) -> strawberry.ID:
    """The global id of a row."""
    return strawberry.ID(global_ids.global_id(type_name, key))
