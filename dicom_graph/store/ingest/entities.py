"""Patients, studies and series: get or create by their UIDs. The first header seen decides."""

from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, Table, select

from dicom_graph.dicom.entities import Entities, PatientFields, SeriesFields, StudyFields
from dicom_graph.store.dialect import allocate_ids, ids_by_key, insert_new
from dicom_graph.store.ingest.ids import Recent
from dicom_graph.store.tables import Patient, Series, Study
from dicom_graph.store.types import utc_now

_PATIENT: Table = Patient.__table__  # type: ignore[assignment]
_STUDY: Table = Study.__table__  # type: ignore[assignment]
_SERIES: Table = Series.__table__  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class SeriesRow:
    """What an image is compared with: the series as the database has it."""

    id: int
    study_id: int | None
    patient_id: int | None
    modality: str | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where an image belongs, by the ids of what its header names; `series` is None without one."""

    patient_id: int | None
    study_id: int | None
    series: SeriesRow | None


class EntityWriter:
    """The ids of patients, studies and series lately written."""

    def __init__(self) -> None:
        self._patients: Recent[str, int] = Recent(20_000)
        self._studies: Recent[str, int] = Recent(20_000)
        self._series: Recent[str, SeriesRow] = Recent(20_000)

    def forget(self) -> None:
        """After a rollback: nothing remembered is sure to be in the database."""
        for known in (self._patients, self._studies, self._series):
            known.clear()

    def write(self, connection: Connection, entities: list[Entities]) -> list[Place]:
        """The places of images; what the database lacks is inserted."""
        # Reversed: of several headers of a patient or study, the first stays.
        patients = {e.patient.uid: e.patient for e in reversed(entities) if e.patient}
        studies = {e.study.uid: e.study for e in reversed(entities) if e.study}
        self._write(connection, _PATIENT, self._patients, patients)
        self._write(connection, _STUDY, self._studies, studies)
        self._write_series(connection, entities)
        return [self._place(e) for e in entities]

    def _place(self, entities: Entities) -> Place:
        return Place(
            self._patients.get(entities.patient.uid) if entities.patient else None,
            self._studies.get(entities.study.uid) if entities.study else None,
            self._series.get(entities.series.uid) if entities.series else None,
        )

    def _write(
        self,
        connection: Connection,
        table: Table,
        known: Recent[str, int],
        wanted: dict[str, PatientFields] | dict[str, StudyFields],
    ) -> None:
        unknown = [uid for uid in wanted if known.get(uid) is None]
        if not unknown:
            return
        found = ids_by_key(connection, table, "uid", unknown)
        missing = {uid: asdict(wanted[uid]) for uid in unknown if uid not in found}
        found.update(_insert(connection, table, missing))
        known.update(found.items())

    def _write_series(self, connection: Connection, entities: list[Entities]) -> None:
        wanted: dict[str, tuple[SeriesFields, Entities]] = {}
        for e in entities:
            if e.series and e.series.uid not in wanted and not self._series.get(e.series.uid):
                wanted[e.series.uid] = (e.series, e)
        if not wanted:
            return
        found = self._find_series(connection, list(wanted))
        missing = {}
        for uid, (fields, owner) in wanted.items():
            if uid not in found:
                place = self._place(owner)
                ids = {"study_id": place.study_id, "patient_id": place.patient_id}
                missing[uid] = asdict(fields) | ids
        if missing:
            _insert(connection, _SERIES, missing)
            found.update(self._find_series(connection, list(missing)))
        self._series.update(found.items())

    def _find_series(self, connection: Connection, uids: list[str]) -> dict[str, SeriesRow]:
        columns = _SERIES.c
        statement = select(
            columns.uid, columns.id, columns.study_id, columns.patient_id, columns.modality
        ).where(columns.uid.in_(uids))
        return {uid: SeriesRow(*fields) for uid, *fields in connection.execute(statement)}


def _insert(
    connection: Connection, table: Table, missing: dict[str, dict[str, Any]]
) -> dict[str, int]:
    """Insert rows by uid; gives the ids, also of those that someone else inserted meanwhile."""
    if not missing:
        return {}
    uids = sorted(missing)
    ids = allocate_ids(connection, table, len(uids))
    columns = ["id", "created", "modified", *missing[uids[0]]]
    now = utc_now()
    rows = [(id, now, now, *missing[uid].values()) for id, uid in zip(ids, uids, strict=True)]
    inserted = insert_new(connection, table, columns, rows, "uid")
    found = {uid: id for id, uid in zip(ids, uids, strict=True) if uid in inserted}
    found.update(ids_by_key(connection, table, "uid", [u for u in uids if u not in inserted]))
    return found
