"""Protocols, kept and forgotten."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from dicom_graph.store.tables.protocols import Protocol


class NameInUseError(Exception):
    """Another protocol has the name."""


def add_protocol(connection: Connection, name: str, content: Mapping[str, Any]) -> int:
    """Keep a protocol; returns its id. Raises NameInUseError."""
    _require_free(connection, name)
    values = {"name": name, "content": dict(content)}
    made = connection.execute(insert(Protocol).values(values).returning(Protocol.id))
    return int(made.scalar_one())


def update_protocol(
    connection: Connection, id: int, name: str | None, content: Mapping[str, Any] | None
) -> bool:
    """Change what is given of a protocol; False where there is none. Raises NameInUseError."""
    values: dict[str, Any] = {}
    if name is not None:
        _require_free(connection, name, but=id)
        values["name"] = name
    if content is not None:
        values["content"] = dict(content)
    if not values:
        found = select(Protocol.id).where(Protocol.id == id)
        return connection.execute(found).first() is not None
    done = connection.execute(update(Protocol).where(Protocol.id == id).values(values))
    return done.rowcount > 0


def delete_protocol(connection: Connection, id: int) -> bool:
    """Forget a protocol; False where there is none."""
    return connection.execute(delete(Protocol).where(Protocol.id == id)).rowcount > 0


def _require_free(connection: Connection, name: str, but: int | None = None) -> None:
    other = select(Protocol.id).where(Protocol.name == name, Protocol.id != (but or 0))
    if connection.execute(other).first() is not None:
        raise NameInUseError(name)
