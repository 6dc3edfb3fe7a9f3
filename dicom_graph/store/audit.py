"""The audit log: lines of what was done, written in batches and never changed.

A line names patients by PatientID and studies by StudyInstanceUID, which outlive their rows.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Row, Table, delete, insert, select

from dicom_graph.store.audit_subjects import AuditSubjects
from dicom_graph.store.sql.bulk_statements import insert_rows
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.storable import as_storable
from dicom_graph.store.tables.audit import AuditEntry
from dicom_graph.store.tables.entities import Image, Patient, Series, Study

MAX_LISTED = 1000
"""Of how many patients, studies and imports a line has the names; it counts them all."""
_MAX_TEXT = 1000
_TABLE: Table = AuditEntry.__table__  # type: ignore[assignment]
_COLUMNS = tuple(column.name for column in _TABLE.c if column.name != "id")
_REMEMBERED = 100_000


class Action(StrEnum):
    """What was done."""

    QUERY = "QUERY"
    MUTATION = "MUTATION"
    SUBSCRIPTION = "SUBSCRIPTION"
    DOWNLOAD = "DOWNLOAD"
    UPLOAD = "UPLOAD"
    LOGIN = "LOGIN"
    LOGOUT = "LOGOUT"
    ACCESS = "ACCESS"
    COMMAND = "COMMAND"
    PRUNE = "PRUNE"
    LOSS = "LOSS"


class Outcome(StrEnum):
    """How it ended; `BEGUN` is written before an answer that takes long, which has a further line
    at its end.
    """

    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REFUSED = "REFUSED"
    CANCELLED = "CANCELLED"
    BEGUN = "BEGUN"


@dataclass(slots=True)
class AuditLine:
    """A row of the log. What `subjects` holds is listed and counted when the line is written."""

    action: Action
    outcome: Outcome
    principal: str
    address: str
    method: str
    user_id: int | None = None
    token_id: int | None = None
    route: str | None = None
    status: int | None = None
    request_id: str | None = None
    operation_name: str | None = None
    root_fields: list[str] | None = None
    document_digest: str | None = None
    seconds: float | None = None
    detail: str | None = None
    pruned_before: dt.datetime | None = None
    subjects: AuditSubjects | None = None
    created: dt.datetime = field(default_factory=utc_now)


class AuditWriter:
    """Writes lines. Remembers the uids of patients and studies, which never change."""

    def __init__(self) -> None:
        self._patients: dict[int, str] = {}
        self._studies: dict[int, str] = {}

    def write(self, connection: Connection, lines: Sequence[AuditLine]) -> list[dict[str, Any]]:
        """Insert lines, inside the caller's transaction; returns their columns."""
        all_subjects = [line.subjects for line in lines if line.subjects is not None]
        if all_subjects:
            _place_loose(connection, all_subjects)
            patients = [subjects.patients for subjects in all_subjects]
            self._name(connection, Patient.__table__, self._patients, patients)  # type: ignore[arg-type]
            studies = [subjects.studies for subjects in all_subjects]
            self._name(connection, Study.__table__, self._studies, studies)  # type: ignore[arg-type]
        rows = [_columns(line) for line in lines]
        insert_rows(
            connection, _TABLE, _COLUMNS, [[row[name] for name in _COLUMNS] for row in rows]
        )
        return rows

    def _name(
        self,
        connection: Connection,
        table: Table,
        known: dict[int, str],
        found: Sequence[dict[int, str | None]],
    ) -> None:
        """Give the rows without a uid their own; one that is gone keeps its key."""
        if len(known) > _REMEMBERED:
            known.clear()
        wanted = {id for ids in found for id, uid in ids.items() if uid is None}
        missing = sorted(wanted - known.keys())
        if missing:
            statement = select(table.c.id, table.c.uid).where(
                among(is_sqlite(connection), table.c.id, missing)
            )
            for id, uid in connection.execute(statement):
                known[id] = uid
        for ids in found:
            for id, uid in ids.items():
                if uid is None:
                    ids[id] = known.get(id, f"row {id}")


def _place_loose(connection: Connection, all_subjects: Iterable[AuditSubjects]) -> None:
    """Find what images and series belong to that were given without it."""
    all_subjects = list(all_subjects)
    images = _rows_of(connection, Image, [subjects.loose_images for subjects in all_subjects])
    for subjects in all_subjects:
        subjects.add("image", [images[id] for id in subjects.loose_images if id in images])
        # Deleted meanwhile.
        subjects.images |= subjects.loose_images
    series = _rows_of(connection, Series, [subjects.loose_series for subjects in all_subjects])
    for subjects in all_subjects:
        loose = set(subjects.loose_series)
        subjects.add("series", [series[id] for id in loose if id in series])
        subjects.series |= loose


def _rows_of(
    connection: Connection, model: type[Image] | type[Series], wanted: Iterable[set[int]]
) -> dict[int, Row[Any]]:
    ids = sorted(set().union(*wanted))
    if not ids:
        return {}
    table = model.__table__
    names = ("id", "series_id") if model is Image else ("id", "patient_id", "study_id")
    statement = select(*(table.c[name] for name in names))
    condition = among(is_sqlite(connection), table.c.id, ids)
    return {row.id: row for row in connection.execute(statement.where(condition))}


def _columns(line: AuditLine) -> dict[str, Any]:
    subjects = line.subjects or _NOTHING
    return {
        "created": line.created,
        "action": str(line.action),
        "outcome": str(line.outcome),
        "principal": _text(line.principal) or "",
        "user_id": line.user_id,
        "token_id": line.token_id,
        "address": _text(line.address) or "",
        "method": _text(line.method) or "",
        "route": _text(line.route),
        "status": line.status,
        "request_id": _text(line.request_id),
        "operation_name": _text(line.operation_name),
        "root_fields": line.root_fields,
        "document_digest": line.document_digest,
        "seconds": line.seconds,
        "patients": _listed(subjects.patients),
        "studies": _listed(subjects.studies),
        "import_jobs": sorted(subjects.jobs)[-MAX_LISTED:] or None,
        "n_patients": len(subjects.patients),
        "n_studies": len(subjects.studies),
        "n_series": len(subjects.series),
        "n_images": len(subjects.images),
        "detail": _text(line.detail),
        "pruned_before": line.pruned_before,
    }


_NOTHING = AuditSubjects()


def _listed(found: dict[int, str | None]) -> list[str] | None:
    return [uid or f"row {id}" for id, uid in islice(found.items(), MAX_LISTED)] or None


def _text(text: str | None) -> str | None:
    """What both databases hold."""
    return None if text is None else as_storable(text)[:_MAX_TEXT]


def add_line(connection: Connection, line: AuditLine) -> None:
    """Insert one line, inside the caller's transaction."""
    AuditWriter().write(connection, [line])


def latest_lines(
    connection: Connection,
    last: int,
    *,
    principal: str | None = None,
    patient: str | None = None,
    since: dt.datetime | None = None,
) -> list[Row[Any]]:
    """The latest lines, the latest first: of a principal, that name a patient, since a moment.

    A patient is looked for in each line.
    """
    statement = select(_TABLE).order_by(_TABLE.c.id.desc())
    if principal is not None:
        statement = statement.where(_TABLE.c.principal == principal)
    if since is not None:
        statement = statement.where(_TABLE.c.created >= since)
    rows = connection.execution_options(yield_per=1000).execute(statement)
    wanted = (row for row in rows if patient is None or patient in (row.patients or ()))
    return list(islice(wanted, last))


def prune_lines(connection: Connection, before: dt.datetime, line: AuditLine) -> int:
    """Delete the lines before a moment, and write one that says so; returns how many were deleted.

    The line is what the triggers let the others go for, so it comes first.
    """
    line.pruned_before = before
    row = _columns(line)
    connection.execute(insert(_TABLE).values(row))
    return connection.execute(delete(_TABLE).where(_TABLE.c.created < before)).rowcount
