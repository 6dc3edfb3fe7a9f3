"""Who is limited to groups sees what a database would show that held nothing else."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydicom.dataset import Dataset

from dicom_graph.access.principal import Principal, Role, principal_of
from dicom_graph.dicom.csa.header import CSA_CREATOR, CSA_IMAGE_HEADER
from dicom_graph.exports.columns import ENTITIES, entity_columns, typed
from dicom_graph.exports.tables import TableRequest, table
from dicom_graph.graph.context import Context
from dicom_graph.graph.schema import schema
from dicom_graph.importing.background import JobRunner
from dicom_graph.services import Services
from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from tests.support.archive import filled_database
from tests.support.csa import csa
from tests.support.make import make_data_set, put_raw, save

GRANTED_STUDY = "1.2.3.50"


def write(folder: Path, number: int, *, seen: bool, only_seen: bool, **elements: Any) -> None:
    """An image with elements of its own at every depth, and some that all images share."""
    if only_seen and not seen:
        return
    inner = Dataset()
    inner.CodeMeaning = f"inner {elements['PatientID']}"
    item = Dataset()
    item.CodeValue = "shared"
    item.PurposeOfReferenceCodeSequence = [inner]
    data_set = make_data_set(
        SOPInstanceUID=f"1.2.3.{number}", InstanceNumber=number, EchoTime=number / 2,
        PatientName=f"{elements['PatientID']}^Given",
        StudyDescription=f"study {elements.get('StudyInstanceUID')}",
        SeriesDescription=f"series {elements.get('SeriesInstanceUID')}",
        InstitutionName=f"institution {elements['PatientID']}",
        ReferencedImageSequence=[item], **elements,
    )  # fmt: skip
    put_raw(data_set, 0x00080050, "SH", f"number {number}".encode())
    if number % 2:
        put_raw(data_set, 0x00180080, "DS", b"no number ")
    _add_what_others_have_otherwise(data_set, seen)
    save(data_set, folder / f"{number}.dcm")


def _add_what_others_have_otherwise(data_set: Dataset, seen: bool) -> None:
    """Elements of other types and multiplicities, and a CSA header of another kind of value."""
    put_raw(data_set, 0x00180083, "DS", b"1 " if seen else b"1\\2 ")
    put_raw(data_set, 0x00190010, "LO", b"ACME")
    put_raw(data_set, 0x00191001, "DS" if seen else "LO", b"1 ")
    if not seen:
        put_raw(data_set, 0x00191002, "DS", b"1 ")
    block = data_set.private_block(0x0029, CSA_CREATOR, create=True)
    vr, vm, values = ("IS", 1, ["1"]) if seen else ("LO", 0, ["x", "y"])
    others = [] if seen else [("Other", "IS", 1, ["1"])]
    block.add_new(CSA_IMAGE_HEADER, "OB", csa([("B_value", vr, vm, values), *others]))


def fill(folder: Path, *, only_seen: bool) -> None:
    """Patient A is granted, and the study that patients B and C share; the rest is not."""
    for number, (patient, study, series, seen) in enumerate(
        [
            ("A", "1.2.3.10", "1.2.3.11", True),
            ("A", "1.2.3.10", "1.2.3.11", True),
            ("A", "1.2.3.20", "1.2.3.21", True),
            ("B", GRANTED_STUDY, "1.2.3.51", True),
            ("C", GRANTED_STUDY, "1.2.3.52", True),
            ("B", "1.2.3.60", "1.2.3.61", False),
            ("C", "1.2.3.10", "1.2.3.12", False),
            ("D", "1.2.3.70", "1.2.3.71", False),
            ("D", "1.2.3.70", "1.2.3.71", False),
            ("D", "1.2.3.80", None, False),
            # Its header contradicts the series that it is in, and the study, of what is seen.
            ("D", "1.2.3.10", "1.2.3.11", False),
            ("D", "1.2.3.70", "1.2.3.21", False),
        ],
        100,
    ):
        write(
            folder, number, seen=seen, only_seen=only_seen, PatientID=patient,
            StudyInstanceUID=study, SeriesInstanceUID=series,
        )  # fmt: skip


class Archive(NamedTuple):
    """A database, and who is limited in it."""

    database: Database
    store: Store
    limited: Principal

    async def ask(self, query: str, principal: Principal, **variables: Any) -> Any:
        services = Services(store=self.store, runner=JobRunner(self.database, roots=()))
        context = Context.of(services, principal)
        result = await schema.execute(query, variables, context)
        assert not result.errors, result.errors
        return result.data


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def databases(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """Everything, and what the group sees alone."""
    whole, part = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("part")
    with (
        filled_database(request, whole, lambda folder: fill(folder, only_seen=False)) as a,
        filled_database(request, part, lambda folder: fill(folder, only_seen=True)) as b,
    ):
        yield a, b


@pytest.fixture
async def archives(databases: tuple[str, str]) -> Any:
    """Both, with a user of two groups in the first."""
    opened = []
    for url in databases:
        database = Database(url)
        opened.append(Archive(database, Store(database, many_images=3), _limited(database)))
    yield opened
    for archive in opened:
        await archive.database.close()


def _limited(database: Database) -> Principal:
    with database.writer.begin() as connection:
        if accounts.user_by_name(connection, "reader") is None:
            _add_reader(connection)
        row = accounts.require_user(connection, "reader")
    assert row.groups is not None
    assert len(row.groups) == 2
    return principal_of(row)


def _add_reader(connection: Any) -> None:
    accounts.add_user(
        connection, "reader", role="VIEWER", password_hash=None, limited=False, deidentified=False
    )
    for group, entity, uid in (
        ("cohort", "patient", "A"), ("reading", "study", GRANTED_STUDY),
        ("other", "patient", "D"),
    ):  # fmt: skip
        accounts.add_group(connection, group)
        accounts.add_grant(connection, group, entity, uid)
    accounts.add_grant(connection, "cohort", "patient", "not there yet")
    for group in ("cohort", "reading"):
        accounts.add_member(connection, group, "reader")


LISTS = {
    "patients": "uid name nStudies nSeries nImages latestStudyTime "
    "studies { totalCount nodes { uid } } "
    "series { nodes { uid } } images { totalCount nodes { uid } }",
    "studies": "uid description nPatients nSeries nImages patients { nodes { uid name } } "
    "series { nodes { uid } } images { nodes { uid } }",
    "series": "uid description nImages patient { uid name } study { uid } filePaths "
    "images { totalCount nodes { uid } aggregate(field: NUMBER) { count min max sum } } "
    "constantElements { keyword value } varyingElements { tag nDistinct nMissing } "
    "sampleHeader { json }",
    "images": "uid number warnings patient { name } series { uid study { uid } } defaultPath "
    "files { path } header { json table { path value } "
    "elements { keyword value items { elements { value } } series { nodes { uid } } "
    "images { totalCount nodes { uid } } headers { totalCount } } }",
    "dataElements": "keyword value images { nodes { uid } } series { totalCount nodes { uid } } "
    "headers { totalCount } items { elements { value } }",
    "importJobs": "status paths failures { path }",
}  # fmt: skip
OTHERS = [
    "{ patients(orderBy: [{ field: N_SERIES }, { field: UID }]) { nodes { uid } } }",
    "{ patients(filter: { nStudies: { eq: 1 } }) { totalCount nodes { uid } } }",
    "{ studies(filter: { nPatients: { gte: 2 } }) { nodes { uid } } }",
    '{ studies(filter: { series: { some: { patient: { uid: { eq: "C" } } } } }) { totalCount } }',
    '{ patients(filter: { studies: { some: { uid: { eq: "1.2.3.10" } } } }) { nodes { uid } } }',
    '{ patients(search: "Given") { totalCount } studies(search: "study") { totalCount } }',
    '{ dataElementValues(first: 1000, filter: { vr: "LO" }) { totalCount nodes { raw } } }',
    "{ headers(first: 1000) { totalCount nodes { index image { uid } parent { keyword } } } }",
    *[
        f'{{ search(text: "{text}", first: 100) {{ patients {{ node {{ uid }} texts {{ text }} }} '
        "studies { node { uid } texts { of field text } } series { node { uid } texts { text } } "
        "values { definition { keyword } texts { text } } } }"
        for text in ("given", "D", "1.2.3", "inner", "institution a", "1.2.3.60")
    ],
    "{ images { totalCount aggregate(field: NUMBER) { count min max avg distinct } } }",
    "{ series { aggregate(field: N_IMAGES) { count min max sum } } }",
    '{ facet(entity: PATIENT, field: UID) { value count } }',
    '{ facet(entity: SERIES, field: DESCRIPTION) { value count } }',
    '{ facet(entity: IMAGE, keyword: "EchoTime") { value count } }',
    '{ facet(entity: SERIES, keyword: "EchoTime") { value count } }',
    '{ facet(entity: STUDY, keyword: "Modality") { value count } }',
    '{ facet(entity: PATIENT, keyword: "InstitutionName") { value count } }',
    '{ facet(entity: SERIES, keyword: "InstitutionName") { value count } }',
    '{ facet(entity: IMAGE, path: "ReferencedImageSequence.PurposeOfReferenceCodeSequence'
    '.CodeMeaning") { value count } }',
    '{ images(filter: { header: { element: { keyword: "AccessionNumber", text: '
    '{ startsWith: "number" } } } }) { totalCount nodes { uid } } }',
    '{ images(filter: { header: { element: { keyword: "CodeMeaning", exists: true, anywhere: true '
    '} } }) { totalCount nodes { uid } } }',
    '{ images(filter: { header: { and: [{ element: { keyword: "Modality", text: { eq: "MR" } } }, '
    '{ element: { keyword: "InstitutionName", text: { eq: "institution B" } } }] } }) '
    "{ totalCount nodes { uid } } }",
    '{ dataElements(filter: { keyword: "InstitutionName" }) { totalCount nodes { value } } }',
    '{ dataElements(filter: { keyword: "CodeMeaning" }) { totalCount nodes { value } } }',
    '{ dataElementDefinitions(filter: { keyword: { eq: "PatientName" } }) { nodes { '
    "elements { totalCount nodes { value } } } } }",
    "{ images(filter: { differsFromMajority: { within: [], of: [{ element: "
    '{ keyword: "PatientID" } }] } }) { totalCount nodes { uid } } }',
    "{ series(filter: { differsFromMajority: { within: [], of: [{ field: N_IMAGES }] } }) "
    "{ nodes { uid } warnings } }",
    '{ images(filter: { hasNoMajority: { within: [{ element: { keyword: "StudyInstanceUID" } }], '
    'of: [{ element: { keyword: "PatientID" } }] } }) { nodes { uid } } }',
    '{ images(filter: { differsFromMajority: { within: [{ element: { keyword: "StudyInstanceUID" '
    '} }], of: [{ element: { keyword: "PatientID" } }] } }) { nodes { uid } warnings } }',
    *(f'{{ patientByUid(uid: "{uid}") {{ name }} }}' for uid in "ABCD"),
    *(f'{{ studyByUid(uid: "1.2.3.{uid}") {{ nSeries nPatients }} }}' for uid in (10, 50, 60, 70)),
    *(f'{{ seriesByUid(uid: "1.2.3.{uid}") {{ nImages }} }}' for uid in (11, 12, 51, 61, 71)),
    *(f'{{ imageByUid(uid: "1.2.3.{uid}") {{ number }} }}' for uid in range(100, 110)),
]  # fmt: skip


def questions() -> list[str]:
    lists = [
        f"{{ {name}(first: 1000) {{ totalCount nodes {{ {fields} }} }} }}"
        for name, fields in LISTS.items()
    ]
    return lists + OTHERS


def unordered(data: Any) -> Any:
    """Lists in an order of their contents: an order by id differs between the databases."""
    if isinstance(data, dict):
        return {key: unordered(value) for key, value in data.items()}
    if isinstance(data, list):
        return sorted(map(unordered, data), key=lambda part: json.dumps(part, sort_keys=True))
    return data


@pytest.mark.parametrize("query", questions(), ids=lambda query: query[:60])
async def test_a_limited_user_sees_a_database_of_what_is_granted(
    archives: list[Archive], query: str
) -> None:
    whole, part = archives
    unlimited = Principal("all", Role.VIEWER)
    limited = await whole.ask(query, whole.limited)
    alone = await part.ask(query, unlimited)
    if "importJobs" in query:
        assert limited["importJobs"] == {"totalCount": 0, "nodes": []}
        return
    assert _without_folders(limited) == _without_folders(alone)


def _without_folders(data: Any) -> Any:
    text = json.dumps(unordered(data), sort_keys=True)
    return unordered(json.loads(re.sub(r"(whole|part)\d+", "folder", text)))


async def test_the_whole_has_more(archives: list[Archive]) -> None:
    whole, _ = archives
    query = "{ patients { totalCount } images { totalCount } dataElements { totalCount } }"
    everything = await whole.ask(query, Principal("all", Role.VIEWER))
    limited = await whole.ask(query, whole.limited)
    assert (everything["patients"]["totalCount"], limited["patients"]["totalCount"]) == (4, 3)
    assert (everything["images"]["totalCount"], limited["images"]["totalCount"]) == (12, 5)
    assert everything["dataElements"]["totalCount"] > limited["dataElements"]["totalCount"] > 20


NODES = """
query ($ids: [ID!]!) { nodes(ids: $ids) { id __typename
  ... on Patient { uid } ... on Study { uid } ... on Series { uid } ... on Image { uid }
  ... on Header { json } ... on DataElement { keyword value }
} }
"""


async def test_ids_that_a_limited_user_guesses_lead_nowhere(archives: list[Archive]) -> None:
    whole, _ = archives
    every = Principal("all", Role.VIEWER)
    for name in ("patients", "studies", "series", "images", "dataElements"):
        query = f"{{ {name}(first: 1000) {{ nodes {{ id }} }} }}"
        nodes = (await whole.ask(query, every))[name]["nodes"]
        seen = (await whole.ask(query, whole.limited))[name]["nodes"]
        ids = [node["id"] for node in nodes]
        found = (await whole.ask(NODES, whole.limited, ids=ids))["nodes"]
        assert {node["id"] for node in found if node} == {node["id"] for node in seen}
        assert 0 < len(seen) < len(nodes)


async def test_headers_and_items_that_a_limited_user_guesses(archives: list[Archive]) -> None:
    whole, _ = archives
    every = Principal("all", Role.VIEWER)
    query = """{ images(first: 1000) { nodes { uid header { id elements(keywords:
      ["ReferencedImageSequence"]) { items { id json element(keyword:
      "PurposeOfReferenceCodeSequence") { items { id json } } } } } } } }"""
    images = (await whole.ask(query, every))["images"]["nodes"]
    seen = (await whole.ask(query, whole.limited))["images"]["nodes"]
    for depth in range(3):
        ids = {id for image in images for id in _ids(image["header"], depth)}
        allowed = {id for image in seen for id in _ids(image["header"], depth)}
        found = (await whole.ask(NODES, whole.limited, ids=sorted(ids)))["nodes"]
        assert {node["id"] for node in found if node} == allowed
        assert allowed < ids


def _ids(header: Any, depth: int) -> Iterator[str]:
    if depth == 0:
        yield header["id"]
        return
    for element in [*header.get("elements", ()), *filter(None, [header.get("element")])]:
        for item in element["items"]:
            yield from _ids(item, depth - 1)


async def test_who_is_limited_and_in_no_group_sees_nothing(archives: list[Archive]) -> None:
    whole, _ = archives
    lists = ("patients", "studies", "series", "images", "dataElements", "importJobs")
    query = "{ " + " ".join(f"{name} {{ totalCount }}" for name in lists) + " }"
    nobody = Principal("nobody", Role.VIEWER, groups=())
    assert await whole.ask(query, nobody) == {name: {"totalCount": 0} for name in lists}


async def test_a_connection_of_a_limited_user_writes_nothing(archives: list[Archive]) -> None:
    whole, _ = archives
    limited = whole.database.limited_to(whole.limited.groups or ())
    with limited.read_sync() as connection, pytest.raises(TypeError):
        accounts.add_group(connection, "new")


@pytest.mark.slow
@pytest.mark.parametrize("query", [q for q in questions() if "importJobs" not in q][:5])
async def test_who_also_sees_no_identities_sees_the_same_objects(
    archives: list[Archive], query: str
) -> None:
    """As many of all, of the whole as of what is granted alone; and none by a PatientID."""
    whole, part = archives
    blind = Principal("blind", Role.VIEWER, deidentified=True)
    limited = await whole.ask(query, replace(whole.limited, deidentified=True))
    alone = await part.ask(query, blind)
    assert _shape(limited) == _shape(alone)
    texts = json.dumps(limited)
    assert not any(word in texts for word in ("Given", "inner", "institution", "1.2.3.", "/tmp"))


def _shape(data: Any) -> Any:
    """The same without pseudonyms, which differ between databases."""
    return unordered(json.loads(re.sub(r"2\.25\.\d+", "uid", json.dumps(data))))


async def test_a_grant_is_by_the_true_uid_and_tells_nothing_of_it(archives: list[Archive]) -> None:
    whole, _ = archives
    blind = replace(whole.limited, deidentified=True)
    data = await whole.ask("{ patients { totalCount nodes { uid nImages } } }", blind)
    assert data["patients"]["totalCount"] == 3
    assert await whole.ask('{ patientByUid(uid: "A") { nImages } }', blind) == {
        "patientByUid": None
    }


async def test_tables_of_a_limited_user_are_those_of_what_is_granted(
    archives: list[Archive],
) -> None:
    whole, part = archives
    names = (
        "InstanceNumber", "PatientName", "CodeValue", "(0008,0050)", "SOPInstanceUID",
        "NumberOfAverages", "(0019,xx01) ACME", "(0019,xx02)", "csa.B_value", "csa.Other",
    )  # fmt: skip
    columns = (*names, *(f"images.{name}" for name in names), "nImages")
    paths = ("ReferencedImageSequence.PurposeOfReferenceCodeSequence[0].CodeMeaning",)
    for name, asked in (
        ("series", columns), ("studies", columns), ("patients", columns), ("images", names + paths),
        ("elements", ()),
    ):  # fmt: skip
        request = TableRequest(name, "csv", columns=asked)
        tables = []
        for store in (whole.store.limited_to(whole.limited.groups), part.store):
            content = b"".join([chunk async for chunk in table(store, request)]).decode()
            rows = list(csv.DictReader(io.StringIO(content, newline="")))
            tables.append(sorted([(k, v) for k, v in row.items() if k != "ID"] for row in rows))
        assert tables[0] == tables[1], name
        assert tables[0]
    # What the columns are says nothing of others either.
    for name in ("series", "patients", "images"):
        asked = columns if name != "images" else names + paths
        schemas = []
        for store in (whole.store.limited_to(whole.limited.groups), part.store):
            kept = await typed(store, entity_columns(ENTITIES[name], asked))
            schemas.append([(c.name, c.kind, c.is_list, dict(c.notes)) for c in kept])
        assert schemas[0] == schemas[1]
        kinds = {name: kind for name, kind, *_ in schemas[0]}
        assert kinds["csa.B_value"] == kinds["(0019,xx01) ACME"] == "number"
