"""The research subject of a patient, told by a function of the host's own."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.access.principal import EVERYONE
from dicom_graph.graph.context import Context
from dicom_graph.graph.schema import schema
from dicom_graph.importing.background import JobRunner
from dicom_graph.research_subjects import SubjectPatient, load_resolver
from dicom_graph.services import Services
from dicom_graph.settings import SettingsError
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from tests.support.make import make_file

CALLS: list[list[str]] = []
QUERY = "{ patients(orderBy: [{ field: UID }]) { nodes { uid subject } } }"


def resolve(patients: Sequence[SubjectPatient]) -> list[str | None]:
    CALLS.append([patient.uid for patient in patients])
    return [f"{p.family_name}/{p.sex}" if p.uid != "p3" else None for p in patients]


async def resolve_slowly(patients: Sequence[SubjectPatient]) -> list[str | None]:
    return resolve(patients)


def too_few(patients: Sequence[SubjectPatient]) -> list[str | None]:
    return []


async def ask(database: Database, resolver: str | None) -> Any:
    services = Services(store=Store(database), runner=JobRunner(database, roots=()))
    if resolver is not None:
        services = replace(services, subjects=load_resolver(f"{__name__}:{resolver}"))
    return await schema.execute(QUERY, context_value=Context.of(services, EVERYONE))


@pytest.mark.parametrize("database_kind", ["sqlite"])
async def test_all_patients_are_resolved_at_once(
    database: Database, import_files: Any, tmp_path: Path
) -> None:
    for name in ("p1", "p2", "p3"):
        make_file(tmp_path / f"{name}.dcm", PatientID=name, PatientName=f"{name.upper()}^Given")
    import_files(tmp_path)
    for resolver in ("resolve", "resolve_slowly"):
        CALLS.clear()
        nodes = (await ask(database, resolver)).data["patients"]["nodes"]
        assert [node["subject"] for node in nodes] == ["P1/F", "P2/F", None]
        assert sorted(map(sorted, CALLS)) == [["p1", "p2", "p3"]]
    nodes = (await ask(database, None)).data["patients"]["nodes"]
    assert [node["subject"] for node in nodes] == [None] * 3
    result = await ask(database, "too_few")
    assert result.errors[0].extensions["code"] == "INTERNAL"
    assert [node["uid"] for node in result.data["patients"]["nodes"]] == ["p1", "p2", "p3"]


@pytest.mark.parametrize(
    "path", ["", "nowhere:f", f"{__name__}:nothing", f"{__name__}:CALLS", "os"]
)
def test_a_resolver_that_cannot_be_had(path: str) -> None:
    with pytest.raises(SettingsError, match=r"^DICOM_GRAPH_SUBJECT_RESOLVER: "):
        load_resolver(path)
