"""Which fields of an entity can be counted up, and which can be told apart."""

from functools import cache

from sqlalchemy import Date, DateTime, Float, Integer, Time

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.store.read.filters import COUNTED
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.sql.types import UtcDateTime
from dicom_graph.store.tables.entities import ROW_ATTRIBUTES

_OF_ROWS = frozenset(attribute.name for attribute in ROW_ATTRIBUTES)
_MORE = {"image": frozenset({"missing_since"})}
"""Further fields that a database adds to what an entity is described by."""
_HIDDEN = frozenset(
    {
        "id", "definition_id", "block", "n_values", "packed", "sha256", "image_id", "element_id",
        "shared_set_id", "own", "mode", "retry_of", "resumed_at", "heartbeat_at",
    }
)  # fmt: skip
"""Columns, of what is not described, that no client knows."""


@cache
def measurable_fields(entity: str) -> frozenset[str]:
    """Columns that are numbers, dates or times, and counts (`n_images`)."""
    kinds = (Integer, Float, Date, Time, DateTime, UtcDateTime)
    columns = {column.name for column in ENTITY_TABLES[entity].c if isinstance(column.type, kinds)}
    return listed_fields(entity) & columns | counted_fields(entity)


@cache
def listed_fields(entity: str) -> frozenset[str]:
    """All columns that a client knows."""
    if entity in DESCRIBED:
        of_rows = _OF_ROWS | _MORE.get(entity, frozenset())
        return frozenset(DESCRIBED[entity].by_name) | of_rows
    return frozenset(ENTITY_TABLES[entity].c.keys()) - _HIDDEN


@cache
def counted_fields(entity: str) -> frozenset[str]:
    """Counts of lists: `n_images` and the like."""
    return frozenset(
        "n_" + name for owner, _, name in (key.partition(".") for key in COUNTED) if owner == entity
    )
