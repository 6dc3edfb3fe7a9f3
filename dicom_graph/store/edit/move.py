"""Giving series another patient or another study than their files name."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, literal, or_, select, update

from dicom_graph.store.edit.create import require_owners
from dicom_graph.store.edit.deleted_subjects import note_entity
from dicom_graph.store.edit.files import series_of
from dicom_graph.store.generation import count_deletion, write_alone
from dicom_graph.store.ingest.edited import OWNERS, locked_row
from dicom_graph.store.ingest.images import contradiction
from dicom_graph.store.sql.bulk_statements import update_rows
from dicom_graph.store.sql.types import Id
from dicom_graph.store.tables.entities import Image, Series

_SERIES: Any = Series.__table__
_IMAGE: Any = Image.__table__
_KEYWORDS = {"patient_id": "PatientID", "study_id": "StudyInstanceUID"}
_CHUNK = 1000


def move(connection: Connection, entity: str, id: int, owners: Mapping[str, int | None]) -> bool:
    """Give a series, or all series of a study, these `OWNERS`; False where there is none.

    The owners count as edited: imports neither change nor contradict them. Who sees but the new
    owner is not given headers that name the old one. Raises NoSuchOwnerError.
    """
    write_alone(connection)
    require_owners(connection, owners)
    note_entity(connection, entity, id)
    statement = select(_SERIES.c.id).where(series_of(entity, id)).order_by(_SERIES.c.id)
    series_ids: Sequence[int] = connection.execute(statement).scalars().all()
    for series_id in series_ids:
        _move_series(connection, series_id, owners)
    # For the audit log: whose it was, and whose it is.
    note_entity(connection, entity, id)
    if series_ids:
        # Writers remember which patient and study a series is of.
        count_deletion(connection)
    return bool(series_ids)


def _move_series(connection: Connection, id: int, owners: Mapping[str, int | None]) -> None:
    row = locked_row(connection, _SERIES, id)
    assert row is not None
    edited = {*(row["edited"] or ()), *owners}
    written = {**owners, "edited": [column.name for column in _SERIES.c if column.name in edited]}
    connection.execute(update(_SERIES).where(_SERIES.c.id == id).values(written))
    new = {column: owners.get(column, row[column]) for column in OWNERS}
    _note_named(connection, id, {column: row[column] for column in OWNERS}, new)
    _drop_warnings(connection, id, owners)


def _note_named(
    connection: Connection,
    series_id: int,
    old: Mapping[str, int | None],
    new: Mapping[str, int | None],
) -> None:
    """Whom and what the headers of a series' images name, where that is not what it belongs to."""
    columns = {column: _IMAGE.c[f"header_{column}"] for column in OWNERS}
    as_the_series = and_(*(column.is_(None) for column in columns.values()))
    named = {
        name: case((as_the_series, literal(old[name], Id)), else_=column)
        for name, column in columns.items()
    }
    differ = or_(*(_is_other(named[name], new[name]) for name in OWNERS))
    values = {f"header_{name}": case((differ, named[name])) for name in OWNERS}
    connection.execute(update(_IMAGE).where(_IMAGE.c.series_id == series_id).values(values))


def _is_other(named: ColumnElement[Any], owner: int | None) -> ColumnElement[bool]:
    return named.is_not(None) if owner is None else named != owner


def _drop_warnings(
    connection: Connection, series_id: int, owners: Mapping[str, int | None]
) -> None:
    """What a person has set says nothing against a file."""
    gone = {contradiction(_KEYWORDS[column]) for column in owners}
    last = 0
    while True:
        statement = (
            select(_IMAGE.c.id, _IMAGE.c.warnings)
            .where(_IMAGE.c.series_id == series_id, _IMAGE.c.warnings.is_not(None))
            .where(_IMAGE.c.id > last).order_by(_IMAGE.c.id).limit(_CHUNK)
        )  # fmt: skip
        rows = connection.execute(statement).all()
        if not rows:
            return
        last = rows[-1].id
        changed = [
            (id, [each for each in warnings if each not in gone] or None)
            for id, warnings in rows
            if not gone.isdisjoint(warnings)
        ]
        update_rows(connection, _IMAGE, ("id",), ("warnings",), changed)
