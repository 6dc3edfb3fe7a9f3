"""What lists can be sorted by: columns, counts, and what hangs on an entity."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import JSON, ColumnElement, FromClause, String, cast, func, select

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.store.formats import column_of
from dicom_graph.store.read.filters import COUNTED
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.sql.json_arrays import first_number
from dicom_graph.store.sql.types import Text
from dicom_graph.store.tables.columns import PATIENT, SERIES, STUDY


def order_key(sqlite: bool, entity: str, table: FromClause, name: str) -> ColumnElement[Any]:
    """The expression that a list of the entity is sorted by under this name."""
    if (entity, name) in _OF_OTHERS:
        return _OF_OTHERS[entity, name](table)
    if f"{entity}.{name[2:]}" in COUNTED:
        return COUNTED[f"{entity}.{name[2:]}"](table).scalar_subquery()
    column = column_of(table, name)
    if not isinstance(column.type, JSON):
        return column
    attribute = DESCRIBED[entity].by_name.get(name) if entity in DESCRIBED else None
    if attribute is not None and attribute.type == list[float]:
        return first_number(sqlite, column)
    # Without the last bracket, so that a list comes before those that it begins.
    return func.rtrim(cast(column, Text), "]", type_=Text)


def _latest_study_time(patient: FromClause) -> ColumnElement[Any]:
    study = ENTITY_TABLES["study"]
    moment = cast(study.c.date, String) + " " + func.coalesce(cast(study.c.time, String), "")
    studies = select(SERIES.study_id).where(SERIES.patient_id == patient.c.id).correlate(patient)
    return select(func.max(moment)).where(STUDY.id.in_(studies)).scalar_subquery()


def _study(series: FromClause) -> ColumnElement[Any]:
    return select(STUDY.uid).where(STUDY.id == series.c.study_id).scalar_subquery()


def _patient(series: FromClause) -> ColumnElement[Any]:
    return select(PATIENT.uid).where(PATIENT.id == series.c.patient_id).scalar_subquery()


def _series(image: FromClause) -> ColumnElement[Any]:
    return select(SERIES.uid).where(SERIES.id == image.c.series_id).scalar_subquery()


def _vr(element: FromClause) -> ColumnElement[Any]:
    definition = ENTITY_TABLES["data_element_definition"]
    found = select(definition.c.vr).where(definition.c.id == element.c.definition_id)
    return found.scalar_subquery()


_OF_OTHERS: dict[tuple[str, str], Callable[[FromClause], ColumnElement[Any]]] = {
    ("patient", "latest_study_time"): _latest_study_time,
    ("series", "study"): _study,
    ("series", "patient"): _patient,
    ("image", "series"): _series,
    ("data_element", "vr"): _vr,
}
"""What an entity is sorted or grouped by that other entities have."""
