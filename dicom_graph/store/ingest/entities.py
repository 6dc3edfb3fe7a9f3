"""Patients, studies and series: get or create by their UIDs. The first header seen decides.

What was made by hand, or is left of deleted images, has no image: it is filled from the first.
"""

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Table, select

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.dicom.entities import Entities, PatientFields, SeriesFields, StudyFields
from dicom_graph.store.ingest.edited import NO_EXCLUSION, Exclusion, write_unedited_fields
from dicom_graph.store.sql.bulk_statements import allocate_ids, ids_by_key, insert_new
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.entities import Image, Patient, Series, Study

log = logging.getLogger(__name__)
_PATIENT: Table = Patient.__table__  # type: ignore[assignment]
_STUDY: Table = Study.__table__  # type: ignore[assignment]
_SERIES: Table = Series.__table__  # type: ignore[assignment]
_IMAGE: Table = Image.__table__  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class PatientRow:
    """What an image is compared with: the patient as the database has it."""

    id: int
    name: str | None
    sex: str | None
    date_of_birth: dt.date | None
    edited: list[str] | None


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """What an image is compared with: the series as the database has it."""

    id: int
    study_id: int | None
    patient_id: int | None
    modality: str | None
    edited: list[str] | None


@dataclass(frozen=True, slots=True)
class EntityKeys:
    """Where an image belongs, by what its header names; all None where it names no series."""

    patient: PatientRow | None
    study_id: int | None
    series: SeriesRow | None

    @property
    def patient_id(self) -> int | None:
        """The id of the patient that the header names."""
        return self.patient.id if self.patient is not None else None

    @property
    def contradicting(self) -> tuple[int | None, int | None]:
        """The ids of the patient and the study that the header names, where one of them is not
        that of its series; else None and None.
        """
        series = self.series
        if series is None:
            return None, None
        named = self.patient_id, self.study_id
        pairs = zip(named, (series.patient_id, series.study_id), strict=True)
        is_other = any(mine is not None and mine != theirs for mine, theirs in pairs)
        return named if is_other else (None, None)


class EntityWriter:
    """The ids of patients, studies and series lately written."""

    def __init__(self, exclude: Exclusion = NO_EXCLUSION) -> None:
        self._exclude = exclude
        self._patients: BoundedCache[str, PatientRow] = BoundedCache(20_000)
        self._studies: BoundedCache[str, int] = BoundedCache(20_000)
        self._series: BoundedCache[str, SeriesRow] = BoundedCache(20_000)

    def forget(self) -> None:
        """After a rollback: nothing remembered is sure to be in the database."""
        for known in (self._patients, self._studies, self._series):
            known.clear()

    def write(self, connection: Connection, entities: list[Entities]) -> list[EntityKeys]:
        """The places of images; what the database lacks is inserted."""
        # Patient and study hang on the series: without one there is nothing to hang on.
        linked = [e for e in reversed(entities) if e.series]
        # Reversed: of several headers of a patient or study, the first stays.
        patients = {e.patient.uid: e.patient for e in linked if e.patient}
        studies = {e.study.uid: e.study for e in linked if e.study}
        self._write_patients(connection, patients)
        self._write_studies(connection, studies)
        self._write_series(connection, entities)
        return [self._place(e) for e in entities]

    def refresh(self, connection: Connection, entities: Entities) -> None:
        """For a file that has changed: the fields of what takes them from its image, the first."""
        (place,) = self.write(connection, [entities])
        image_id = ids_by_key(connection, _IMAGE, "uid", [entities.image.uid]).get(
            entities.image.uid
        )
        if image_id is None or place.series is None:
            return
        earlier = select(Image.id).join(Series, Series.id == Image.series_id)
        earlier = earlier.where(Image.id < image_id, Image.missing_since.is_(None)).limit(1)
        owners = (
            (_SERIES, place.series.id, entities.series, Series.id),
            (_STUDY, place.study_id, entities.study, Series.study_id),
            (_PATIENT, place.patient_id, entities.patient, Series.patient_id),
        )
        for table, id, fields, column in owners:
            if id is None or fields is None:
                continue
            if connection.execute(earlier.where(column == id)).first() is not None:
                continue
            excluded = self._exclude.of(table, id)
            if write_unedited_fields(connection, table, id, asdict(fields), excluded):
                self.forget()

    def _place(self, entities: Entities) -> EntityKeys:
        if entities.series is None:
            return EntityKeys(None, None, None)
        return EntityKeys(
            self._patients.get(entities.patient.uid) if entities.patient else None,
            self._studies.get(entities.study.uid) if entities.study else None,
            self._series.get(entities.series.uid) if entities.series else None,
        )

    def _write_patients(self, connection: Connection, wanted: dict[str, PatientFields]) -> None:
        unknown = [uid for uid in wanted if self._patients.get(uid) is None]
        if not unknown:
            return
        found = _find_patients(connection, unknown)
        if _fill(connection, _PATIENT, {row.id: asdict(wanted[u]) for u, row in found.items()}):
            found = _find_patients(connection, unknown)
        missing = {uid: asdict(wanted[uid]) for uid in unknown if uid not in found}
        if missing:
            _insert(connection, _PATIENT, missing)
            found.update(_find_patients(connection, list(missing)))
        self._patients.update(found.items())

    def _write_studies(self, connection: Connection, wanted: dict[str, StudyFields]) -> None:
        unknown = [uid for uid in wanted if self._studies.get(uid) is None]
        if not unknown:
            return
        found = ids_by_key(connection, _STUDY, "uid", unknown)
        _fill(connection, _STUDY, {id: asdict(wanted[uid]) for uid, id in found.items()})
        missing = {uid: asdict(wanted[uid]) for uid in unknown if uid not in found}
        found.update(_insert(connection, _STUDY, missing))
        self._studies.update(found.items())

    def _write_series(self, connection: Connection, entities: list[Entities]) -> None:
        wanted: dict[str, tuple[SeriesFields, Entities]] = {}
        for e in entities:
            if e.series and e.series.uid not in wanted and not self._series.get(e.series.uid):
                wanted[e.series.uid] = (e.series, e)
        if not wanted:
            return
        found = self._find_series(connection, list(wanted))
        values = {}
        for uid, (fields, owner) in wanted.items():
            place = self._place(owner)
            ids = {"study_id": place.study_id, "patient_id": place.patient_id}
            values[uid] = asdict(fields) | ids
        if _fill(connection, _SERIES, {row.id: values[uid] for uid, row in found.items()}):
            found = self._find_series(connection, list(wanted))
        missing = {uid: row for uid, row in values.items() if uid not in found}
        if missing:
            _insert(connection, _SERIES, missing)
            found.update(self._find_series(connection, list(missing)))
        self._series.update(found.items())

    def _find_series(self, connection: Connection, uids: list[str]) -> dict[str, SeriesRow]:
        columns = _SERIES.c
        statement = select(
            columns.uid, columns.id, columns.study_id, columns.patient_id, columns.modality,
            columns.edited,
        ).where(columns.uid.in_(uids))  # fmt: skip
        return {uid: SeriesRow(*fields) for uid, *fields in connection.execute(statement)}


def log_created(log: logging.Logger, kind: str, ids: Sequence[int]) -> None:
    """Tell, at DEBUG, what this transaction creates, by the ids of the rows alone."""
    if ids:
        log.debug("created %s %s", kind, ids)


def _fill(connection: Connection, table: Table, fields: dict[int, dict[str, Any]]) -> bool:
    """Write the fields of rows, by id, that have no image yet; returns whether there are any."""
    if not fields:
        return False
    owner = {"patient": Series.patient_id, "study": Series.study_id, "series": Series.id}
    image = select(Image.id).join(Series, Series.id == Image.series_id)
    empty = ~image.where(owner[table.name] == table.c.id).exists()
    these = among(is_sqlite(connection), table.c.id, sorted(fields))
    statement = select(table.c.id).where(these, empty).order_by(table.c.id)
    ids = connection.execute(statement).scalars().all()
    for id in ids:
        write_unedited_fields(connection, table, id, fields[id])
    return bool(ids)


def _find_patients(connection: Connection, uids: list[str]) -> dict[str, PatientRow]:
    columns = _PATIENT.c
    statement = select(
        columns.uid, columns.id, columns.name, columns.sex, columns.date_of_birth, columns.edited
    ).where(columns.uid.in_(uids))
    return {uid: PatientRow(*fields) for uid, *fields in connection.execute(statement)}


def _insert(
    connection: Connection, table: Table, missing: dict[str, dict[str, Any]]
) -> dict[str, int]:
    """Insert rows by uid; returns the ids, also of those that someone else inserted meanwhile."""
    if not missing:
        return {}
    uids = sorted(missing)
    ids = allocate_ids(connection, table, len(uids))
    columns = ["id", "created", "modified", *missing[uids[0]]]
    now = utc_now()
    rows = [(id, now, now, *missing[uid].values()) for id, uid in zip(ids, uids, strict=True)]
    inserted = insert_new(connection, table, columns, rows, "uid")
    log_created(log, table.name, [id for id, uid in zip(ids, uids, strict=True) if uid in inserted])
    found = {uid: id for id, uid in zip(ids, uids, strict=True) if uid in inserted}
    found.update(ids_by_key(connection, table, "uid", [u for u in uids if u not in inserted]))
    return found
