"""Codes of the subjects of a data set, and how their dates are shifted."""

import datetime as dt
import hmac
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dicom_graph.errors import BadInput
from dicom_graph.exports.bids.entities import label
from dicom_graph.exports.bids.spreadsheets import decoded, rows
from dicom_graph.research_subjects import Resolver, SubjectPatient, subjects_of
from dicom_graph.store.read import Store

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_LENGTH = 10
_BASE_DAYS, _SPREAD = 43_830, 3_653
"""120 years, and up to ten more: dates before 1926 are known to be shifted."""
_SHOWN = 5


class Identities:
    """What of the database's identities a data set has instead.

    Codes follow from a patient's row and a secret of the database, shifts from the subject's label
    and it: they are the same each time, and nobody else can tell whose they are. `subjects`: codes
    by PatientID from a table, which must have all patients. `resolver`: what the host says of
    patients; codes for others.
    """

    def __init__(
        self,
        key: bytes,
        *,
        subjects: Mapping[str, str] | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        self._key = key
        self._subjects = subjects
        self._resolver = resolver

    @classmethod
    async def of(
        cls,
        store: Store,
        subjects: Mapping[str, str] | None = None,
        resolver: Resolver | None = None,
    ) -> "Identities":
        """Those of a database."""
        return cls(await store.entity_tag_key(), subjects=subjects, resolver=resolver)

    async def labels(self, patients: Sequence[Any]) -> dict[int, str]:
        """The labels of subjects, by the keys of patients (rows). Raises BadInput where a table
        lacks some, and where two subjects would have one label.
        """
        if self._subjects is not None:
            said = self._of_table(patients)
        elif self._resolver is not None:
            said = await self._resolved(patients)
        else:
            said = {}
        found = {row.id: said.get(row.id) or self.code("subject", row.id) for row in patients}
        by_label: dict[str, str] = {}
        for text in found.values():
            other = by_label.setdefault(label(text).casefold(), text)
            if other != text or not label(text):
                raise BadInput(f"the subjects {other!r} and {text!r} have no labels of their own")
        return {id: label(text) for id, text in found.items()}

    def code(self, kind: str, id: object) -> str:
        """A code of ten letters and digits."""
        number = self._number(kind, id)
        return "".join(_LETTERS[number >> 5 * i & 31] for i in range(_LENGTH))

    def shift(self, subject: str, moment: dt.datetime) -> dt.datetime | None:
        """The moment that stands for one of a subject (its label): the same days earlier for all
        of them; None where there is no such day.
        """
        days = _BASE_DAYS + self._number("days", subject) % _SPREAD
        try:
            return moment - dt.timedelta(days=days)
        except OverflowError:
            return None

    def _number(self, kind: str, id: object) -> int:
        message = f"bids {kind} {id}".encode()
        return int.from_bytes(hmac.digest(self._key, message, "sha256")[:16], "big")

    def _of_table(self, patients: Sequence[Any]) -> dict[int, str]:
        assert self._subjects is not None
        missing = [row.uid for row in patients if row.uid not in self._subjects]
        if missing:
            listed = ", ".join(map(repr, missing[:_SHOWN]))
            raise BadInput(f"the table of subjects lacks {len(missing)} patients: {listed}")
        return {row.id: self._subjects[row.uid] for row in patients}

    async def _resolved(self, patients: Sequence[Any]) -> dict[int, str]:
        assert self._resolver is not None
        asked = [
            SubjectPatient(r.uid, r.name, r.given_name, r.family_name, r.sex, r.date_of_birth)
            for r in patients
        ]
        found = await subjects_of(self._resolver, asked)
        return {row.id: said for row, said in zip(patients, found, strict=True) if said}


def read_subjects(path: Path) -> dict[str, str]:
    """The codes of a table with the columns patient_id and participant_id, separated by tabs,
    semicolons or commas. Raises BadInput, OSError.
    """
    text = decoded(path.read_bytes(), str(path))
    head = text.partition("\n")[0]
    lines = rows(text, next((each for each in "\t;" if each in head), ","))
    names = next(lines, (1, []))[1]
    if not {"patient_id", "participant_id"} <= set(names):
        raise BadInput(f"{path}: its columns must be patient_id and participant_id")
    found: dict[str, str] = {}
    for number, cells in lines:
        row = dict(zip(names, cells, strict=False))
        if not row:
            continue
        code = row.get("participant_id", "").removeprefix("sub-")
        if not code or label(code) != code:
            raise BadInput(f"{path}, line {number}: {code!r} is not letters and digits")
        if found.setdefault(row.get("patient_id", ""), code) != code:
            raise BadInput(f"{path}, line {number}: the patient has another code above")
    return found
