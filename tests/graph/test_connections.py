"""Pages of lists: forwards, backwards, by number, of many parents, and while rows are added."""

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.read import Store
from tests.support.graph import Graph
from tests.support.make import make_file, make_series

Json = dict[str, Any]

# Name, and date and time of the study; in the order in which they are imported.
PATIENTS: list[tuple[str | None, str | None, str | None]] = [
    ("Zeta^Anna", "20200102", "100000"),
    ("Alpha^Bob", "20200102", None),
    ("Alpha^Anna", None, None),
    (None, "20190101", "235959"),
    ("Alpha", "20200102", "120000"),
    ("alpha^Anna", None, "080000"),
    ("Ärzte^Anna", "20210101", None),
    (None, "20200102", "120000"),
    ("Alpha^Bob", "20190101", None),
]
SHARED_STUDY = "1.2.9"
LISTS = ("patients", "studies", "series", "images", "importJobs")


def fill(folder: Path) -> None:
    """A patient for each row, patient n with n series (one of them long), and a shared study."""
    for number, (name, date, time) in enumerate(PATIENTS, 1):
        elements = {
            "SpecificCharacterSet": "ISO_IR 192", "PatientID": f"p{number}", "PatientName": name,
            "StudyDate": date, "StudyTime": time, "StudyInstanceUID": f"1.2.{number}0",
        }  # fmt: skip
        for place in range(1, number + 1):
            elements |= {
                "SeriesInstanceUID": f"1.2.{number}0.{place}",
                # Some have no number, and some have the same.
                "SeriesNumber": place // 2 or None,
            }
            make_series(folder / str(number) / str(place), 7 if place == 3 else 1, **elements)
    for patient, count in (("p1", 2), ("p2", 3)):
        for place in range(count):
            make_file(
                folder / "shared" / patient / f"{place}.dcm",
                PatientID=patient, StudyInstanceUID=SHARED_STUDY,
                SeriesInstanceUID=f"{SHARED_STUDY}.{patient[1]}.{place}",
            )  # fmt: skip


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


@pytest.fixture
async def growing(database_url: str) -> AsyncIterator[Graph]:
    """GraphQL on an empty database that a test may fill."""
    opened = Database(database_url)
    yield Graph(opened, Store(opened))
    await opened.close()


ARGUMENTS = "first: $first, after: $after, last: $last, before: $before, offset: $offset"
PAGE = """
    nodes { id } edges { cursor node { id } } totalCount
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
"""
VARIABLES = "$first: Int, $after: String, $last: Int, $before: String, $offset: Int"


def query_of(field: str, order: str = "") -> str:
    return f"query ({VARIABLES}) {{ page: {field}({ARGUMENTS} {order}) {{ {PAGE} }} }}"


async def page_of(graph: Graph, field: str, **arguments: Any) -> Json:
    """One page; its edges are its nodes, and its cursors theirs."""
    page: Json = (await graph(query_of(field), **arguments))["page"]
    assert [edge["node"] for edge in page["edges"]] == page["nodes"]
    cursors = [edge["cursor"] for edge in page["edges"]]
    ends = (cursors[0], cursors[-1]) if cursors else (None, None)
    assert (page["pageInfo"]["startCursor"], page["pageInfo"]["endCursor"]) == ends
    return page


def ids(page: Json) -> list[str]:
    return [node["id"] for node in page["nodes"]]


async def error_of(graph: Graph, query: str, **variables: Any) -> tuple[str, str]:
    """The code and the message of the error that an operation must have."""
    result = await graph.execute(query, **variables)
    assert result.errors
    (error,) = result.errors
    return (error.extensions or {})["code"], error.message


@pytest.mark.parametrize("field", LISTS)
async def test_first_and_after_walk_the_whole_list_once(graph: Graph, field: str) -> None:
    whole = ids(await page_of(graph, field, first=10_000))
    assert len(set(whole)) == len(whole) > 0
    for size in (1, 3, len(whole), 500):
        assert await forwards(graph, field, size, whole) == whole


async def forwards(graph: Graph, field: str, size: int, whole: list[str]) -> list[str]:
    """The list by pages of a size; what a page says of its place must be true."""
    found: list[str] = []
    after, more = None, True
    while more:
        page = await page_of(graph, field, first=size, after=after)
        assert page["totalCount"] == len(whole)
        assert page["pageInfo"]["hasPreviousPage"] == bool(found)
        found += ids(page)
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
        assert more == (len(found) < len(whole))
    return found


@pytest.mark.parametrize("field", LISTS)
async def test_last_and_before_walk_the_whole_list_once(graph: Graph, field: str) -> None:
    whole = ids(await page_of(graph, field, first=10_000))
    for size in (1, 4, len(whole), 500):
        assert await backwards(graph, field, size, whole) == whole


async def backwards(graph: Graph, field: str, size: int, whole: list[str]) -> list[str]:
    """The list by pages from its end; what a page says of its place must be true."""
    found: list[str] = []
    before, more = None, True
    while more:
        page = await page_of(graph, field, last=size, before=before)
        assert page["pageInfo"]["hasNextPage"] == bool(found)
        found = ids(page) + found
        before, more = page["pageInfo"]["startCursor"], page["pageInfo"]["hasPreviousPage"]
        assert more == (len(found) < len(whole))
    return found


@pytest.mark.parametrize("field", ["patients", "studies", "series", "images"])
async def test_after_and_before_cut_out_what_lies_between(graph: Graph, field: str) -> None:
    whole = await page_of(graph, field, first=10_000)
    cursors = [edge["cursor"] for edge in whole["edges"]]
    between = {"after": cursors[1], "before": cursors[6]}
    assert ids(await page_of(graph, field, first=10, **between)) == ids(whole)[2:6]
    assert ids(await page_of(graph, field, first=2, **between)) == ids(whole)[2:4]
    assert ids(await page_of(graph, field, last=2, **between)) == ids(whole)[4:6]
    assert ids(await page_of(graph, field, first=3, before=cursors[6])) == ids(whole)[:3]


@pytest.mark.parametrize("offset", [0, 1, 8, 9, 100])
async def test_offset_skips_so_many(graph: Graph, offset: int) -> None:
    whole = ids(await page_of(graph, "patients", first=10_000))
    page = await page_of(graph, "patients", first=3, offset=offset)
    assert ids(page) == whole[offset : offset + 3]
    assert page["totalCount"] == 9
    assert page["pageInfo"]["hasNextPage"] == (offset + 3 < 9)
    assert page["pageInfo"]["hasPreviousPage"] == (offset > 0)


async def test_a_page_has_25_objects_if_nothing_is_asked_for(graph: Graph) -> None:
    page = await page_of(graph, "images")
    assert (len(ids(page)), page["pageInfo"]["hasNextPage"]) == (25, True)


async def test_a_page_of_nothing_still_counts(graph: Graph) -> None:
    page = await page_of(graph, "patients", first=0)
    assert (ids(page), page["totalCount"], page["pageInfo"]["hasNextPage"]) == ([], 9, True)


async def test_an_empty_list_is_an_empty_page(growing: Graph) -> None:
    page = await page_of(growing, "patients", first=5)
    assert page == {
        "nodes": [], "edges": [], "totalCount": 0,
        "pageInfo": {
            "hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None,
        },
    }  # fmt: skip


async def test_patients_come_by_family_and_given_name_those_without_first(graph: Graph) -> None:
    data = await graph("{ patients { nodes { uid } } }")
    parts = [[*(name or "").split("^"), ""] for name, _, _ in PATIENTS]
    # By code point, on both databases.
    order = sorted(range(len(PATIENTS)), key=lambda place: (parts[place][:2], place))
    assert [node["uid"] for node in data["patients"]["nodes"]] == [f"p{n + 1}" for n in order]


async def test_the_first_header_of_a_patient_decides_what_its_fields_are(graph: Graph) -> None:
    # The files of the shared study, which come last, give another name.
    data = await graph('{ patientByUid(uid: "p1") { name images { totalCount } } }')
    assert data["patientByUid"] == {"name": "Zeta^Anna", "images": {"totalCount": 3}}


async def test_studies_come_latest_first_those_without_date_last(graph: Graph) -> None:
    data = await graph("{ studies { nodes { uid } } }")
    moments = {f"1.2.{n}0": (date or "", time or "", n) for n, (_, date, time) in _rows()}
    uids = [node["uid"] for node in data["studies"]["nodes"] if node["uid"] != SHARED_STUDY]
    assert uids == sorted(moments, key=lambda uid: moments[uid], reverse=True)


def _rows() -> Iterator[tuple[int, tuple[str | None, str | None, str | None]]]:
    yield from enumerate(PATIENTS, 1)


async def test_series_without_a_number_come_first(graph: Graph) -> None:
    data = await graph('{ studyByUid(uid: "1.2.50") { series { nodes { uid number } } } }')
    found = [(node["uid"][-1], node["number"]) for node in data["studyByUid"]["series"]["nodes"]]
    assert found == [("1", None), ("2", 1), ("3", 1), ("4", 2), ("5", 2)]


def archive_in_two_parts(folder: Path) -> tuple[Path, Path]:
    """Studies of every other day, and those of the days between."""
    for day in range(1, 21):
        make_file(
            folder / str(day % 2) / f"{day:02}.dcm",
            PatientID=f"p{day:02}", PatientName=f"Name{day:02}" if day % 5 else None,
            StudyInstanceUID=f"1.2.{day}", StudyDate=f"202001{day:02}",
            SeriesDate=f"202001{day:02}",
        )  # fmt: skip
    return folder / "0", folder / "1"


def import_into(graph: Graph, folder: Path) -> None:
    run_import(graph.database, JobRequest((str(folder),), Mode.MINIMAL, origin=JobOrigin.PYTHON))


@pytest.mark.parametrize("field", ["patients", "studies", "series"])
@pytest.mark.parametrize("from_the_end", [False, True])
async def test_cursors_stay_right_while_rows_are_added(
    tmp_path: Path, growing: Graph, field: str, from_the_end: bool
) -> None:
    present, added = archive_in_two_parts(tmp_path)
    import_into(growing, present)
    whole = ids(await page_of(growing, field, first=100))
    size, cursor, end = ("last", "before", "start") if from_the_end else ("first", "after", "end")
    page = await page_of(growing, field, **{size: 4})
    found = ids(page)
    import_into(growing, added)
    while page["nodes"]:
        page = await page_of(growing, field, **{size: 4, cursor: page["pageInfo"][f"{end}Cursor"]})
        found = ids(page) + found if from_the_end else found + ids(page)
    assert [node for node in found if node in whole] == whole
    assert len(set(found)) == len(found)
    # Of those that were added, some lay behind the cursor.
    assert len(found) > len(whole)
    assert (await page_of(growing, field))["totalCount"] == 20


def cursor_of(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode()


BAD_CURSORS = {
    "nothing": "",
    "text": "abc",
    "not base64": "???",
    "base64 of bytes": base64.b64encode(b"\xff\xfe\x00").decode(),
    "no list": cursor_of({"a": 1}),
    "a list of nothing": cursor_of([]),
    "a number": cursor_of(7),
    "nested without end": base64.b64encode(b"[" * 100_000).decode(),
    "long": "A" * 100_000,
}


@pytest.mark.parametrize("field", LISTS)
@pytest.mark.parametrize("argument", ["after", "before"])
async def test_a_malformed_cursor_is_an_error_that_says_what_to_do(
    graph: Graph, field: str, argument: str
) -> None:
    for kind, cursor in BAD_CURSORS.items():
        code, message = await error_of(graph, query_of(field), **{argument: cursor})
        assert code == "BAD_CURSOR", kind
        assert "start again without it" in message


FORGED = [
    None, True, 1.5, "x", "", 2**63, 2**70, -(2**70), "\0", "a\0b", "\ud800", [], {}, "2020-13-01",
    "99:99", "10:00+02:00", "9999-12-31", "0001-01-01T00:00:00+23:59", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("order", [None, "ID", "UID", "CREATED"])
@pytest.mark.parametrize("field", ["patients", "studies", "series", "images"])
async def test_a_forged_cursor_is_an_error_or_a_place_but_never_a_fault(
    graph: Graph, field: str, order: str | None
) -> None:
    # Signed as a cursor of this list is, with values that this list never gave.
    query = query_of(field, order=f"orderBy: [{{field: {order}}}]" if order else "")
    page = (await graph(query, first=1))["page"]
    content = json.loads(base64.urlsafe_b64decode(page["pageInfo"]["endCursor"]))
    for place in range(len(content)):
        for forged in FORGED:
            cursor = cursor_of([*content[:place], forged, *content[place + 1 :]])
            result = await graph.execute(query, first=1, after=cursor)
            codes = [(error.extensions or {})["code"] for error in result.errors or ()]
            assert codes in ([], ["BAD_CURSOR"]), (content, place, forged)


async def test_a_cursor_of_another_list_is_an_error(graph: Graph) -> None:
    cursor = (await page_of(graph, "studies", first=1))["pageInfo"]["endCursor"]
    assert (await error_of(graph, query_of("patients"), after=cursor))[0] == "BAD_CURSOR"
    by_date = "query ($c: String) { studies(after: $c, orderBy: [{field: UID}]) { nodes { id } } }"
    assert (await error_of(graph, by_date, c=cursor))[0] == "BAD_CURSOR"


async def test_a_malformed_cursor_of_a_nested_list_is_an_error(graph: Graph) -> None:
    query = '{ patients(first: 1) { nodes { studies(after: "abc") { nodes { id } } } } }'
    assert (await error_of(graph, query))[0] == "BAD_CURSOR"


IMPOSSIBLE: list[tuple[Json, str]] = [
    ({"first": -1}, "`first` is -1"),
    ({"last": -1}, "`last` is -1"),
    ({"first": 10_001}, "from 0 to 10000"),
    ({"last": 10_001}, "from 0 to 10000"),
    ({"first": 2, "last": 2}, "not both"),
    ({"offset": -1}, "must not be negative"),
    ({"offset": 2, "after": "cursor"}, "goes with `first` alone"),
    ({"offset": 2, "before": "cursor"}, "goes with `first` alone"),
    ({"offset": 2, "last": 2}, "goes with `first` alone"),
    ({"last": 2, "after": "cursor"}, "`last` goes with `before`"),
]


@pytest.mark.parametrize(("arguments", "reason"), IMPOSSIBLE)
@pytest.mark.parametrize("field", ["patients", "importJobs"])
async def test_arguments_that_cannot_be_are_an_error(
    graph: Graph, field: str, arguments: Json, reason: str
) -> None:
    arguments = dict(arguments)
    for name in {"after", "before"} & arguments.keys():
        arguments[name] = (await page_of(graph, field, first=1))["pageInfo"]["endCursor"]
    code, message = await error_of(graph, query_of(field), **arguments)
    assert code == "BAD_INPUT"
    assert reason in message


async def test_the_same_page_of_each_of_several_parents(graph: Graph) -> None:
    data = await graph(
        "{ patients(first: 100) { nodes { uid series(first: 2, offset: 1) { totalCount"
        " nodes { uid } pageInfo { hasNextPage hasPreviousPage } } } } }"
    )
    every = await graph("{ patients(first: 100) { nodes { uid series { nodes { uid } } } } }")
    whole = {node["uid"]: node["series"]["nodes"] for node in every["patients"]["nodes"]}
    assert {len(series) for series in whole.values()} == {3, 5, 4, 6, 7, 8, 9}
    for node in data["patients"]["nodes"]:
        page, series = node["series"], whole[node["uid"]]
        assert page["nodes"] == series[1:3]
        assert page["totalCount"] == len(series)
        assert page["pageInfo"] == {"hasNextPage": len(series) > 3, "hasPreviousPage": True}


async def test_the_last_of_each_of_several_parents(graph: Graph) -> None:
    data = await graph(
        "{ series(first: 100) { nodes { uid nImages images(last: 2) { nodes { number }"
        " pageInfo { hasNextPage hasPreviousPage } } } } }"
    )
    for series in data["series"]["nodes"]:
        numbers = [image["number"] for image in series["images"]["nodes"]]
        is_long = series["nImages"] == 7
        assert numbers == ([6, 7] if is_long else [1])
        assert series["images"]["pageInfo"] == {"hasNextPage": False, "hasPreviousPage": is_long}


async def test_the_cursors_of_a_nested_list_walk_it(graph: Graph) -> None:
    query = """
        query ($after: String) { seriesByUid(uid: "1.2.50.3") { images(first: 2, after: $after) {
          nodes { number } pageInfo { endCursor hasNextPage } } } }
    """
    numbers: list[int] = []
    after, more = None, True
    while more:
        page = (await graph(query, after=after))["seriesByUid"]["images"]
        numbers += [node["number"] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert numbers == [1, 2, 3, 4, 5, 6, 7]


async def test_the_edge_of_a_patients_study_has_only_that_patients_series(graph: Graph) -> None:
    edge = """cursor nSeries nImages zipUrl series { totalCount nodes { uid patient { uid } } }
      images(orderBy: [{ field: UID }]) { totalCount nodes { uid series { patient { uid } } } }
      few: series(filter: { uid: { endsWith: ".0" } }, first: 1) { totalCount nodes { uid } }
      node { uid nSeries nImages zipUrl series { nodes { uid } } images { totalCount } }"""
    question = (
        f"patients(first: 100) {{ nodes {{ uid studies {{ totalCount edges {{ {edge} }} }} }} }}"
    )
    data = await graph(f"{{ {question} }}")
    assert len(graph.statements) < 25  # However many patients.
    found = {
        patient["uid"]: shared
        for patient in data["patients"]["nodes"]
        for shared in patient["studies"]["edges"]
        if shared["node"]["uid"] == SHARED_STUDY
    }
    assert {uid: shared["nSeries"] for uid, shared in found.items()} == {"p1": 2, "p2": 3}
    assert {uid: shared["nImages"] for uid, shared in found.items()} == {"p1": 2, "p2": 3}
    for uid, shared in found.items():
        assert {series["patient"]["uid"] for series in shared["series"]["nodes"]} == {uid}
        assert shared["series"]["totalCount"] == len(shared["series"]["nodes"]) == shared["nSeries"]
        assert shared["images"]["totalCount"] == shared["nImages"]
        for image in shared["images"]["nodes"]:
            assert image["series"]["patient"]["uid"] == uid
        assert shared["zipUrl"].endswith(f"{SHARED_STUDY}.zip?patient={uid}")
        few = [s["uid"] for s in shared["series"]["nodes"] if s["uid"].endswith(".0")]
        assert [node["uid"] for node in shared["few"]["nodes"]] == few[:1]
        assert shared["few"]["totalCount"] == len(few)
    # The study itself is one and the same, from wherever it is reached.
    whole = await graph(
        f'{{ studyByUid(uid: "{SHARED_STUDY}") {{ uid nSeries nImages zipUrl '
        "series { nodes { uid } } images { totalCount } } }"
    )
    assert {json.dumps(shared["node"]) for shared in found.values()} == {
        json.dumps(whole["studyByUid"])
    }


async def test_studies_of_a_patient_are_filtered_and_sorted_by_what_they_show(
    graph: Graph,
) -> None:
    """By the series of the study, whoever's they are, as `nSeries` and `series` of a node are."""
    data = await graph(
        """query ($some: StudyFilter) { patients(first: 100) { nodes { uid
          studies { nodes { uid nSeries nImages series { nodes { uid } } } }
          two: studies(filter: { nSeries: { eq: 5 } }) { totalCount nodes { uid nSeries } }
          few: studies(filter: { not: { nImages: { gt: 2 } } }) { nodes { uid } }
          some: studies(filter: $some) { totalCount nodes { uid } }
          every: studies(filter: { series: { every: { uid: { startsWith: "1.2.9." } } } }) {
            nodes { uid } }
          sorted: studies(orderBy: [{ field: N_SERIES, direction: DESC }, { field: UID }]) {
            nodes { uid } }
          last: studies(orderBy: [{ field: N_IMAGES }, { field: UID }], last: 1) { nodes { uid } }
          statistics: studies { aggregate(field: N_SERIES) { min max sum } }
        } } }""",
        some={"series": {"some": {"uid": {"eq": f"{SHARED_STUDY}.2.0"}}}},
    )
    for patient in data["patients"]["nodes"]:
        nodes = patient["studies"]["nodes"]
        by_count = {node["uid"]: node["nSeries"] for node in nodes}
        by_images = {node["uid"]: node["nImages"] for node in nodes}
        held = {
            node["uid"]: [series["uid"] for series in node["series"]["nodes"]] for node in nodes
        }
        assert uids(patient["two"]) == {uid for uid, count in by_count.items() if count == 5}
        assert patient["two"]["totalCount"] == len(patient["two"]["nodes"])
        assert uids(patient["few"]) == {uid for uid, count in by_images.items() if count <= 2}
        assert uids(patient["some"]) == {u for u, s in held.items() if f"{SHARED_STUDY}.2.0" in s}
        assert patient["some"]["totalCount"] == len(patient["some"]["nodes"])
        every = {u for u, s in held.items() if all(uid.startswith("1.2.9.") for uid in s)}
        assert uids(patient["every"]) == every
        ordered = sorted(by_count, key=lambda uid: (-by_count[uid], uid))
        assert [node["uid"] for node in patient["sorted"]["nodes"]] == ordered
        most = max(by_images, key=lambda uid: (by_images[uid], uid))
        assert uids(patient["last"]) == {most}
        counts = by_count.values()
        assert patient["statistics"]["aggregate"] == {
            "min": min(counts), "max": max(counts), "sum": sum(counts)
        }  # fmt: skip
    assert any(uids(patient["every"]) for patient in data["patients"]["nodes"])


def uids(page: Json) -> set[str]:
    return {node["uid"] for node in page["nodes"]}


async def test_a_study_of_two_patients_reached_otherwise_has_all_series(graph: Graph) -> None:
    data = await graph(
        f'{{ studyByUid(uid: "{SHARED_STUDY}") {{ nSeries nPatients patients {{ nodes {{ uid }} }}'
        " series { totalCount nodes { uid } } images { totalCount } } }"
    )
    study = data["studyByUid"]
    assert (study["nSeries"], study["nPatients"]) == (5, 2)
    assert {patient["uid"] for patient in study["patients"]["nodes"]} == {"p1", "p2"}
    assert len(study["series"]["nodes"]) == study["series"]["totalCount"] == 5
    assert study["images"]["totalCount"] == 5


SOME_IDS = """
{
  patients(first: 2) { nodes { id } }
  studies(first: 1) { nodes { id } }
  series(first: 1) { nodes { id } }
  importJobs(first: 1) { nodes { id } }
  images(first: 1) { nodes { id header { id elements { id definition { id } } } } }
}
"""


async def ids_by_type(graph: Graph) -> dict[str, str]:
    """An id of an object of each type."""
    data = await graph(SOME_IDS)
    image = data["images"]["nodes"][0]
    element = image["header"]["elements"][0]
    return {
        "Patient": data["patients"]["nodes"][0]["id"],
        "Study": data["studies"]["nodes"][0]["id"],
        "Series": data["series"]["nodes"][0]["id"],
        "Image": image["id"],
        "ImportJob": data["importJobs"]["nodes"][0]["id"],
        "Header": image["header"]["id"],
        "DataElement": element["id"],
        "DataElementDefinition": element["definition"]["id"],
    }


NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"


async def test_every_object_is_found_by_its_id(graph: Graph) -> None:
    known = await ids_by_type(graph)
    for type_name, id in known.items():
        assert (await graph(NODE, id=id))["node"] == {"__typename": type_name, "id": id}
    backwards = list(reversed(known.items()))
    found = (await graph(NODES, ids=[id for _, id in backwards]))["nodes"]
    assert [(node["__typename"], node["id"]) for node in found] == backwards


def id_of(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "type_name",
    ["Patient", "Study", "Series", "Image", "ImportJob", "Header", "DataElement",
     "DataElementDefinition"],
)  # fmt: skip
async def test_an_object_that_is_not_there_is_null(graph: Graph, type_name: str) -> None:
    for number in (0, 999_999, 2**31, 10**18 - 1):
        assert (await graph(NODE, id=id_of(f"{type_name}:{number}")))["node"] is None


async def test_nodes_keep_their_places(graph: Graph) -> None:
    known = await ids_by_type(graph)
    asked = [known["Image"], id_of("Image:999999"), known["Patient"], known["Image"]]
    found = (await graph(NODES, ids=asked))["nodes"]
    assert [node and node["id"] for node in found] == [asked[0], None, asked[2], asked[3]]


@pytest.mark.parametrize(
    "id",
    ["", "x", "Patient:1", id_of("Patient"), id_of("Patient:"), id_of("Patient:x"),
     id_of("Patient:-1"), id_of("Patient:1.5"), id_of("Patient:٣"), id_of("Nobody:1"),
     id_of(f"Patient:{10**30}"), id_of("Query:1"), "ä", "A" * 10_000],
)  # fmt: skip
async def test_what_is_no_id_is_an_error(graph: Graph, id: str) -> None:
    for query, variables in ((NODE, {"id": id}), (NODES, {"ids": [id]})):
        code, message = await error_of(graph, query, **variables)
        assert code == "BAD_INPUT"
        assert "is not an id that this server gave" in message
        assert len(message) < 200


async def test_the_id_of_something_else_is_no_import_job(graph: Graph) -> None:
    known = await ids_by_type(graph)
    query = "query ($id: ID!) { importJob(id: $id) { id } }"
    assert (await graph(query, id=known["ImportJob"]))["importJob"] == {"id": known["ImportJob"]}
    code, message = await error_of(graph, query, id=known["Patient"])
    assert (code, "Patient" in message) == ("BAD_INPUT", True)


async def test_more_than_10_000_ids_are_an_error(graph: Graph) -> None:
    code, message = await error_of(graph, NODES, ids=[id_of("Patient:1")] * 10_001)
    assert (code, "10000" in message) == ("BAD_INPUT", True)


BY_UID = """
query ($uid: String!) {
  patientByUid(uid: $uid) { uid }
  studyByUid(uid: $uid) { uid }
  seriesByUid(uid: $uid) { uid }
  imageByUid(uid: $uid) { uid }
}
"""


@pytest.mark.parametrize("uid", ["p1", "1.2.50", "1.2.50.3"])
async def test_entities_by_uid(graph: Graph, uid: str) -> None:
    data = await graph(BY_UID, uid=uid)
    assert [found for found in data.values() if found] == [{"uid": uid}]


@pytest.mark.parametrize(
    "uid", ["", "nobody", "P1", "p1 ", "a\0b", "\ud800", "x" * 100_000, "'\"%_"]
)
async def test_a_uid_that_nothing_has_is_null(graph: Graph, uid: str) -> None:
    assert set((await graph(BY_UID, uid=uid)).values()) == {None}
