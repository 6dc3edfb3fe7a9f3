"""What a plan takes from a data set that is there: names, subjects, sessions, numbers of runs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dicom_graph.exports.bids.data_set import DataSet, Entry
from dicom_graph.exports.bids.entities import folded, named
from dicom_graph.exports.bids.identities import Identities
from dicom_graph.exports.bids.planned_volume import PlannedVolume, key_of


class ExistingDataSet:
    """A data set that a plan goes on with; without a folder one that has nothing.

    Raises BadInput for a ledger that is none.
    """

    def __init__(self, data_set: DataSet | None, identities: Identities) -> None:
        self._identities = identities
        self._there = set() if data_set is None else data_set.volumes()
        self._folders = [] if data_set is None else data_set.folders()
        ledger = {} if data_set is None else data_set.ledger()
        entries = {name: entry for name, entry in ledger.items() if name in self._there}
        self._names = {entry.volume: name for name, entry in entries.items()}
        self._subjects, self._sessions = _known(entries)

    def subject(self, patient: Any) -> str | None:
        """The label of a patient (a row) that is there."""
        return self._subjects.get(self._identities.code("patient", patient.uid))

    def session(self, study: Any) -> str | None:
        """The label of the session of a study (a row) that is there; empty where it has none."""
        code = "" if study is None else self._identities.code("study", study.uid)
        return self._sessions.get(code)

    def last_session(self, subject: str) -> int:
        """The highest number of a session of a subject; 0 where it has none."""
        prefix = f"sub-{subject}/ses-"
        labels = (each.removeprefix(prefix) for each in self._folders if each.startswith(prefix))
        return max((int(each) for each in labels if each.isdigit()), default=0)

    def named(self, planned: Sequence[PlannedVolume]) -> list[PlannedVolume]:
        """Volumes that are there with their names there; others do not take the name of one: they
        are further runs.
        """
        found = [self._as_there(each) for each in planned]
        runs = _runs(self._there)
        new: dict[str, list[int]] = defaultdict(list)
        for place, each in enumerate(found):
            if each.included and not each.is_there:
                new[_without_run(each)].append(place)
        for base, places in new.items():
            taken = runs.get(base, 0)
            for number, place in enumerate(places, taken + 1):
                run = str(number) if taken or len(places) > 1 else ""
                entities = {key: v for key, v in found[place].entities.items() if key != "run"}
                entities |= {"run": run} if run else {}
                found[place] = replace(found[place], entities=entities)
        return found

    def _as_there(self, planned: PlannedVolume) -> PlannedVolume:
        name = self._names.get(self._identities.code("volume", key_of(planned)))
        known = None if name is None else named(name)
        if known is None:
            return planned
        datatype, suffix, entities = known
        note = "it is in the data set"
        return replace(planned, datatype=datatype, suffix=suffix, entities=entities, included=True,
                       is_there=True, notes=(note,))  # fmt: skip


def _known(entries: Mapping[str, Entry]) -> tuple[dict[str, str], dict[str, str]]:
    """The labels of subjects and of sessions, by the codes of patients and of studies."""
    subjects: dict[str, str] = {}
    sessions: dict[str, str] = {}
    for name, entry in entries.items():
        known = named(name)
        if known is not None:
            subjects.setdefault(entry.patient, known[2]["sub"])
            sessions.setdefault(entry.study, known[2].get("ses", ""))
    subjects.pop("", None)
    sessions.pop("", None)
    return subjects, sessions


def _runs(names: set[str]) -> dict[str, int]:
    """The highest run of names that are there, by their names without a run; 1 without any."""
    found: dict[str, int] = {}
    for name in names:
        known = named(name)
        if known is not None:
            datatype, suffix, entities = known
            volume = PlannedVolume("", datatype=datatype, suffix=suffix, entities=entities)
            base = _without_run(volume)
            found[base] = max(found.get(base, 1), int(entities.get("run", "1")))
    return found


def _without_run(planned: PlannedVolume) -> str:
    entities = {key: value for key, value in planned.entities.items() if key != "run"}
    return folded(replace(planned, entities=entities).name)
