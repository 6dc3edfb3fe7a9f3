"""Which fields of an entity can be counted up, and which can be told apart."""

from functools import cache

from sqlalchemy import Date, DateTime, Float, Integer, Time

from dicom_graph.store.formats import columns_of
from dicom_graph.store.read.filters import COUNTED
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.types import UtcDateTime

_HIDDEN = frozenset(
    {
        "id", "series_id", "study_id", "patient_id", "warnings", "edited", "definition_id", "block",
        "n_values", "packed", "sha256", "image_id", "element_id", "shared_set_id", "own", "mode",
        "retry_of", "format_id", "header_digest", "file_size",
    }
)  # fmt: skip


@cache
def measurable_fields(entity: str) -> frozenset[str]:
    """Columns that are numbers, dates or times, and counts (`n_images`)."""
    kinds = (Integer, Float, Date, Time, DateTime, UtcDateTime)
    columns = {
        column.name
        for column in ENTITY_TABLES[entity].c
        if isinstance(column.type, kinds) and column.name not in _HIDDEN
    }
    return frozenset(columns | counted_fields(entity))


@cache
def listed_fields(entity: str) -> frozenset[str]:
    """All columns that a client knows."""
    return frozenset({column.name for column in columns_of(ENTITY_TABLES[entity])} - _HIDDEN)


@cache
def counted_fields(entity: str) -> frozenset[str]:
    """Counts of lists: `n_images` and the like."""
    return frozenset(
        "n_" + name for owner, _, name in (key.partition(".") for key in COUNTED) if owner == entity
    )
