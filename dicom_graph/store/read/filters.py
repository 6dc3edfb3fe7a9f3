"""Conditions on lists, as SQL."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, FromClause, select

from dicom_graph.store.tables import Image, Series


@dataclass(frozen=True, slots=True)
class EntityFilter:
    """What a list is narrowed to; None means no condition."""

    has_warnings: bool | None = None


def conditions(
    entity: str, table: FromClause, wanted: EntityFilter | None
) -> list[ColumnElement[bool]]:
    """The conditions of a filter on an entity's table."""
    if wanted is None or wanted.has_warnings is None:
        return []
    condition = _has_warnings(entity, table)
    return [condition if wanted.has_warnings else ~condition]


def _has_warnings(entity: str, table: FromClause) -> ColumnElement[bool]:
    if entity == "image":
        return table.c.warnings.is_not(None)
    series = select(Image.series_id).where(Image.warnings.is_not(None))
    if entity == "series":
        return table.c.id.in_(series.where(Image.series_id.is_not(None)))
    owner = Series.study_id if entity == "study" else Series.patient_id
    return table.c.id.in_(select(owner).where(Series.id.in_(series), owner.is_not(None)))
