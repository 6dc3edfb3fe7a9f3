"""One id, one content: an object is the same, by whichever way it is reached."""

import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.access.principal import EVERYONE, Principal, Role
from dicom_graph.graph.context import Context
from dicom_graph.graph.schema import schema
from dicom_graph.importing.background import JobRunner
from dicom_graph.services import Limits, Services
from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from tests.graph.every_way import Found, Ways, contents, is_node
from tests.support.archive import filled_database
from tests.support.data import file_bytes, nibabel_dicom_files, pydicom_files, shared_files
from tests.support.make import make_file

BUILT = schema._schema
FEW = ("MR_small.dcm", "CT_small.dcm", "rtplan.dcm", "liver_1frame.dcm", "emri_small.dcm")
SHARED_STUDY = "1.2.3.50"
UNLIMITED = Limits(
    aliases=10**6, tokens=10**6, selections=10**6, document_bytes=10**7, cost=10**9, seconds=300,
    answer_bytes=1 << 30,
)  # fmt: skip
FAULTS = frozenset({"INTERNAL", "BAD_OPERATION", "BAD_INPUT", None})
LARGE = frozenset({"InstanceElement.items", "Query.facet"})
"""What leads to itself, or is no object."""
OF_FILES = frozenset({f"{name}.instance" for name in ("Header", "Image", "Series")}) | {
    "Image.pixels", "Series.volume", "Series.volumes",
}  # fmt: skip


def fill(folder: Path, names: Collection[str] = FEW) -> None:
    """Real files, all that there are if no names are given; and a study of two patients, of whom
    one has another.
    """
    for number, (patient, study) in enumerate(
        [("A", SHARED_STUDY), ("A", SHARED_STUDY), ("B", SHARED_STUDY), ("A", "1.2.3.60")]
    ):
        make_file(
            folder / f"made{number}.dcm", PatientID=patient, StudyInstanceUID=study,
            SeriesInstanceUID=f"1.2.3.{number // 2}.{ord(patient)}", InstanceNumber=number,
        )  # fmt: skip
    for number, path in enumerate(pydicom_files() + nibabel_dicom_files() + shared_files()):
        if not names or path.name in names:
            (folder / f"{number:05}.dcm").write_bytes(file_bytes(path))


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    with filled_database(request, tmp_path, fill, may_fail=True) as url:
        yield url


def people(database: Database) -> list[Principal]:
    """Who sees everything, who sees two patients and a study, and who sees no identities."""
    with database.writer.begin() as connection:
        group = accounts.add_group(connection, "some")
        for entity, uid in (("patient", "B"), ("patient", "4MR1"), ("study", "1.2.3.60")):
            accounts.add_grant(connection, "some", entity, uid)
    return [
        EVERYONE,
        Principal("limited", Role.VIEWER, groups=(group,)),
        Principal("blind", Role.VIEWER, deidentified=True),
    ]


async def contents_for(
    database: Database, who: Principal, left_out: frozenset[str], roots: Collection[str] = ()
) -> Found:
    """What the objects hold that somebody sees, by every way, or every way from these roots."""
    services = Services(
        store=Store(database), runner=JobRunner(database, roots=()), limits=UNLIMITED
    )
    found: Found = {}

    async def ask(query: str, **variables: Any) -> None:
        result = await schema.execute(query, variables, Context.of(services, who))
        codes = {(error.extensions or {}).get("code") for error in result.errors or ()}
        assert codes.isdisjoint(FAULTS), result.errors[:3]
        contents(result.data, found)

    ways = Ways(BUILT, left_out)
    for query in ways.queries(2, roots):
        await ask(query)
    for id in list(found)[:: 1 + len(found) // 20]:
        await ask(ways.node_query(), id=id)
    return found


def differing(found: Found) -> set[tuple[str, ...]]:
    """Types and fields that have two contents under one id, with two of them."""
    return {
        (*of["__typename"], name, *sorted(texts)[:2])
        for of in found.values()
        for name, texts in of.items()
        if len(texts) > 1
    }


def types(found: Found) -> set[str]:
    """The types of the objects."""
    return {json.loads(name) for of in found.values() for name in of["__typename"]}


async def test_an_object_is_the_same_by_every_way(database_url: str) -> None:
    database = Database(database_url)
    left_out = (
        LARGE | OF_FILES | {"DataElement.headers", "DataElement.images", "DataElement.series"}
    )
    found = await contents_for(database, EVERYONE, left_out, ("patients", "studies", "images"))
    await database.close()
    assert not differing(found)
    assert {"Patient", "Study", "Series", "Image", "Header", "DataElement"} <= types(found)


@pytest.mark.slow
async def test_so_it_is_by_all_ways_and_for_who_sees_less(database_url: str) -> None:
    database = Database(database_url)
    seen = []
    for who in people(database):
        left_out = LARGE if who is EVERYONE else LARGE | OF_FILES
        roots = ("patients", "images") if who.deidentified else ()
        found = await contents_for(database, who, left_out, roots)
        assert not differing(found), who.name
        seen.append(found)
    await database.close()
    nodes = {name for name, type_ in BUILT.type_map.items() if is_node(type_)}
    values = {name for name in nodes if name.endswith("Value")}
    assert nodes - values - types(seen[0]) == {"Node", "AuditEntry", "Protocol"}
    assert len(types(seen[0]) & values) > 15
    assert all(100 < len(found) < len(seen[0]) for found in seen[1:])


def test_two_contents_of_one_id_are_found() -> None:
    found: Found = {}
    for n_series in (2, 1):
        study = {"__typename": "Study", "id_IDN": "U3R1ZHk6MQ==", "nSeries_IntN": n_series}
        contents({"patient": {"__typename": "Patient", "id_IDN": "x", "studies": [study]}}, found)
    assert differing(found) == {('"Study"', "nSeries_IntN", "1", "2")}
