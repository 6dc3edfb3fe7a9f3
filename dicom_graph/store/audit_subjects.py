"""Which patients, studies, series and images an answer was made of.

A caller puts an `AuditSubjects` into `AUDIT_SUBJECTS`; every question that the store answers from
then on, in that task and what it starts, notes the rows that it gives. So no way to a row can be
forgotten.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any


class AuditSubjects:
    """The keys of rows that were given. Patients and studies with their uid, where it is known.

    `loose_series` and `loose_images` are those of which it is not known yet what they belong to.
    """

    __slots__ = ("images", "jobs", "loose_images", "loose_series", "patients", "series", "studies")

    def __init__(self) -> None:
        self.patients: dict[int, str | None] = {}
        self.studies: dict[int, str | None] = {}
        self.series: set[int] = set()
        self.images: set[int] = set()
        self.jobs: set[int] = set()
        self.loose_series: set[int] = set()
        self.loose_images: set[int] = set()

    def copy(self) -> "AuditSubjects":
        """What is noted so far."""
        other = AuditSubjects()
        other.patients, other.studies = dict(self.patients), dict(self.studies)
        for name in ("series", "images", "jobs", "loose_series", "loose_images"):
            setattr(other, name, set(getattr(self, name)))
        return other

    def add(self, entity: str, rows: Iterable[Any]) -> None:
        """Note rows of an entity's table; those of other tables tell of no patient."""
        note = _NOTES.get(entity)
        if note is not None:
            note(self, rows)


def noted(entity: str, columns: frozenset[str] | None) -> frozenset[str] | None:
    """These columns of an entity, and those that tell what a row is of; None for all."""
    return None if columns is None else columns | _TELLING.get(entity, frozenset())


def note(entity: str, rows: Iterable[Any]) -> None:
    """Note rows that are given, for whoever wants to know."""
    subjects = AUDIT_SUBJECTS.get()
    if subjects is not None:
        subjects.add(entity, rows)


def note_pseudonymous(entity: str, rows: Iterable[Any]) -> None:
    """The same of rows whose `uid` is not their own: the log finds that by their keys."""
    subjects = AUDIT_SUBJECTS.get()
    if subjects is not None and entity in ("patient", "study"):
        known = subjects.patients if entity == "patient" else subjects.studies
        for row in rows:
            known.setdefault(row.id)
    else:
        note(entity, rows)


def _note_patients(subjects: AuditSubjects, rows: Iterable[Any]) -> None:
    subjects.patients.update((row.id, row.uid) for row in rows)


def _note_studies(subjects: AuditSubjects, rows: Iterable[Any]) -> None:
    subjects.studies.update((row.id, row.uid) for row in rows)


def _note_series(subjects: AuditSubjects, rows: Iterable[Any]) -> None:
    for row in rows:
        subjects.series.add(row.id)
        if row.patient_id is not None:
            subjects.patients.setdefault(row.patient_id)
        if row.study_id is not None:
            subjects.studies.setdefault(row.study_id)
    subjects.loose_series -= subjects.series


def _note_images(subjects: AuditSubjects, rows: Iterable[Any]) -> None:
    found = [(row.id, row.series_id) for row in rows]
    subjects.images.update(id for id, _ in found)
    subjects.loose_images -= subjects.images
    series = {series_id for _, series_id in found if series_id is not None}
    subjects.loose_series |= series - subjects.series


def _note_headers(subjects: AuditSubjects, rows: Iterable[Any]) -> None:
    images = {row.image_id for row in rows if row.image_id is not None}
    subjects.loose_images |= images - subjects.images


def _note_jobs(subjects: AuditSubjects, rows: Iterable[Any]) -> None:
    subjects.jobs.update(row.id for row in rows)


_NOTES = {
    "patient": _note_patients, "study": _note_studies, "series": _note_series,
    "image": _note_images, "header": _note_headers, "import_job": _note_jobs,
}  # fmt: skip

_TELLING = {
    "patient": frozenset({"id", "uid"}), "study": frozenset({"id", "uid"}),
    "series": frozenset({"id", "patient_id", "study_id"}), "image": frozenset({"id", "series_id"}),
    "header": frozenset({"id", "image_id"}), "import_job": frozenset({"id"}),
}  # fmt: skip

AUDIT_SUBJECTS: ContextVar[AuditSubjects | None] = ContextVar("audit_subjects", default=None)
"""Where the rows that the store returns are noted; None where nobody wants to know."""
