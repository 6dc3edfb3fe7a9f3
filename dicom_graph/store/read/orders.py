"""What lists can be sorted by: columns, counts, and what hangs on an entity."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, String, cast, func, select

from dicom_graph.store.dialect import first_number
from dicom_graph.store.read.filters import COUNTED, count_of
from dicom_graph.store.tables import Patient, Series, Study
from dicom_graph.store.types import Text


def order_key(
    sqlite: bool,
    entity: str,
    table: FromClause,
    name: str,
    patient: ColumnElement[Any] | None = None,
) -> ColumnElement[Any]:
    """The expression that a list of the entity is sorted by under this name.

    `patient`: as in `count_of`.
    """
    if name == "latest_study_time":
        return _latest_study_time(table)
    if name == "study":
        return select(Study.uid).where(Study.id == table.c.study_id).scalar_subquery()
    if name == "patient":
        return select(Patient.uid).where(Patient.id == table.c.patient_id).scalar_subquery()
    if f"{entity}.{name[2:]}" in COUNTED:
        return count_of(f"{entity}.{name[2:]}", table, patient).scalar_subquery()
    if name == "pixel_spacing":
        return first_number(sqlite, table.c[name])
    if name in ("scanning_sequence", "sequence_variant"):
        # Without the last bracket, so that a list comes before those that it begins.
        return func.rtrim(cast(table.c[name], Text), "]", type_=Text)
    return table.c[name]


def _latest_study_time(patient: FromClause) -> ColumnElement[Any]:
    moment = cast(Study.date, String) + " " + func.coalesce(cast(Study.time, String), "")
    studies = select(Series.study_id).where(Series.patient_id == patient.c.id).correlate(patient)
    return select(func.max(moment)).where(Study.id.in_(studies)).scalar_subquery()
