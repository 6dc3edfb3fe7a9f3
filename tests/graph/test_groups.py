"""Groups of lists against a plain evaluation of the files' data sets."""

import datetime as dt
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from graphql import parse
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_graph.access.principal import Principal, Role
from dicom_graph.graph.limits.cost import measure
from dicom_graph.graph.schema import schema
from dicom_graph.importing.foreground import Report
from tests.support.graph import Graph
from tests.support.make import make_data_set, put_raw, save

Import = Callable[..., Report]

HEADERS: list[dict[str, Any]] = [
    {"series": 0, "Modality": "MR", "EchoTime": "2.5", "ImageType": ["ORIGINAL", "PRIMARY", "M"]},
    {"series": 0, "Modality": "MR", "EchoTime": "5.0", "ImageType": ["ORIGINAL", "PRIMARY", "P"]},
    {"series": 1, "Modality": "MR", "EchoTime": "10", "ImageType": ["PRIMARY", "ORIGINAL", "M"]},
    {"series": 2, "Modality": "CT", "EchoTime": None, "ImageType": ["ORIGINAL"]},
    {"series": 3, "Modality": None, "EchoTime": "0.3", "ImageType": None},
    {"series": 4, "Modality": "PT", "EchoTime": "-7.25", "ImageType": ["ORIGINAL", "ORIGINAL"]},
]
DATES = {0: "20200229", 1: "20191230", 2: "20200301", 3: None, 4: "20210103"}
CODES = {0: ["SE", "IR"], 1: ["IR", "SE"], 2: None, 3: ["SE"], 4: ["GR"]}
SPACING = {0: ["0.5", "0.5"], 1: ["0.5", "1"], 2: None, 3: ["0.5", "0.5"], 4: ["2", "2"]}
QUERY = """query ($by: [GroupBy!]!, $first: Int! = 100, $after: String, $having: GroupHaving,
    $order: [GroupOrder!]) { %s { groups(by: $by, first: $first, after: $after,
    having: $having, orderBy: $order) { totalCount pageInfo { hasNextPage endCursor startCursor }
    edges { cursor node { count } }
    nodes { count filter keys { value to } } } } }"""


def data_sets() -> list[Dataset]:
    found = []
    for number, given in enumerate(HEADERS):
        n = given["series"]
        data_set = make_data_set(
            SOPInstanceUID=f"1.2.9.{number}", SeriesInstanceUID=f"1.2.3.{n}",
            StudyInstanceUID=f"1.2.4.{n % 2}", PatientID=f"p{n % 2}", SeriesDate=DATES[n],
            SeriesTime="101112" if n else "235959", ScanningSequence=CODES[n],
            PixelSpacing=SPACING[n], InstanceNumber=number, SeriesNumber=n,
            **{key: value for key, value in given.items() if key != "series"},
        )  # fmt: skip
        item = Dataset()
        item.CodeValue = f"c{number % 2}"
        data_set.ProcedureCodeSequence = Sequence([item, item])
        put_raw(data_set, 0x00190010, "LO", b"ACME")
        put_raw(data_set, 0x00191001, "LO", b"x" if number % 2 else b"yy")
        found.append(data_set)
    return found


@pytest.fixture
def archive(tmp_path: Path, import_files: Import) -> list[Dataset]:
    found = data_sets()
    for number, data_set in enumerate(found):
        save(data_set, tmp_path / "in" / f"{number}.dcm")
    assert not import_files(tmp_path / "in").failures
    return found


async def groups(graph: Graph, entity: str, *by: dict[str, Any], **more: Any) -> dict[Any, int]:
    """The counts by keys; each group's filter must select as many of the list."""
    found = (await graph(QUERY % entity, by=list(by), **more))[entity]["groups"]
    assert len([each for each in graph.statements if "listed" in each or "keyed" in each]) in (1, 2)
    for node in found["nodes"]:
        name = {"series": "Series", "images": "Image", "patients": "Patient", "studies": "Study"}
        count = f"query ($f: {name[entity]}Filter) {{ {entity}(filter: $f) {{ totalCount }} }}"
        chosen = await graph(count, f=node["filter"])
        assert chosen[entity]["totalCount"] == node["count"], node
    return {
        tuple(_hashable(key["value"]) for key in node["keys"]): node["count"]
        for node in found["nodes"]
    }


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def of_series(values: dict[int, Any]) -> Counter[Any]:
    return Counter((_hashable(value),) for value in values.values())


def by_series(headers: Iterable[tuple[int, Any]]) -> Counter[Any]:
    """In how many series a value occurs; None where it does in none of theirs."""
    held: dict[int, set[Any]] = defaultdict(set)
    for n, value in headers:
        held[n] |= set() if value is None else {_hashable(value)}
    return Counter((value,) for values in held.values() for value in (values or {None}))


async def test_fields_of_series(archive: list[Dataset], graph: Graph) -> None:
    modality = {given["series"]: given["Modality"] for given in HEADERS}
    assert await groups(graph, "series", {"field": "MODALITY"}) == of_series(modality)
    both = await groups(graph, "series", {"field": "MODALITY"}, {"field": "N_IMAGES"})
    images = Counter(given["series"] for given in HEADERS)
    assert both == Counter((modality[n], images[n]) for n in modality)
    assert await groups(graph, "series", {"field": "SCANNING_SEQUENCE"}) == of_series(CODES)
    members = Counter((code,) for codes in CODES.values() for code in set(codes or [None]))
    each = {"field": "SCANNING_SEQUENCE", "each": True}
    assert await groups(graph, "series", each) == members
    spacing = {n: [float(v) for v in value] if value else None for n, value in SPACING.items()}
    assert await groups(graph, "series", {"field": "PIXEL_SPACING"}) == of_series(spacing)


async def test_dates_and_times_by_their_parts(archive: list[Dataset], graph: Graph) -> None:
    days = {n: dt.date.fromisoformat(day) if day else None for n, day in DATES.items()}
    parts: dict[str, Callable[[dt.date], dt.date]] = {
        "YEAR": lambda day: day.replace(month=1, day=1),
        "QUARTER": lambda day: day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1),
        "MONTH": lambda day: day.replace(day=1),
        "WEEK": lambda day: day - dt.timedelta(days=day.weekday()),
        "DAY": lambda day: day,
    }
    for part, begin in parts.items():
        wanted = Counter((begin(day).isoformat() if day else None,) for day in days.values())
        assert await groups(graph, "series", {"field": "DATE", "part": part}) == wanted
    hours = await groups(graph, "series", {"field": "TIME", "part": "HOUR"})
    assert hours == {("10:00:00",): 4, ("23:00:00",): 1}
    months = await groups(graph, "images", {"element": {"keyword": "SeriesDate"}, "part": "MONTH"})
    wanted = Counter(
        (parts["MONTH"](day).isoformat() if (day := days[given["series"]]) else None,)
        for given in HEADERS
    )
    assert months == wanted
    created = await groups(graph, "series", {"field": "CREATED", "part": "YEAR"})
    assert created == {(f"{dt.datetime.now(dt.UTC).year}-01-01T00:00:00+00:00",): 5}


async def test_elements_of_images_and_series(archive: list[Dataset], graph: Graph) -> None:
    echo = {"element": {"keyword": "EchoTime"}}
    times = [(given["series"], float(given["EchoTime"]) if given["EchoTime"] else None)
             for given in HEADERS]  # fmt: skip
    assert await groups(graph, "images", echo) == Counter((time,) for _, time in times)
    assert await groups(graph, "series", echo) == by_series(times)
    types = [(given["series"], given["ImageType"]) for given in HEADERS]
    whole = {"element": {"keyword": "ImageType"}}
    shown = [(n, value[0] if value and len(value) == 1 else value) for n, value in types]
    assert await groups(graph, "images", whole) == Counter((_hashable(v),) for _, v in shown)
    assert await groups(graph, "series", whole) == by_series(shown)
    each = await groups(graph, "images", {**whole, "each": True})
    assert each == Counter((code,) for _, codes in types for code in set(codes or [None]))
    code = {"element": {"path": "ProcedureCodeSequence.CodeValue"}}
    assert await groups(graph, "images", code) == {("c0",): 3, ("c1",): 3}
    private = {"element": {"path": "(0019,xx01)", "privateCreator": "ACME"}}
    assert await groups(graph, "images", private) == {("x",): 3, ("yy",): 3}
    crossed = await groups(graph, "images", {"field": "ROWS"}, echo, private)
    assert sum(crossed.values()) == len(HEADERS)
    studies = await groups(graph, "studies", {"element": {"keyword": "Modality"}})
    assert studies == {("MR",): 2, ("CT",): 1, ("PT",): 1}


async def test_numbers_in_buckets(archive: list[Dataset], graph: Graph) -> None:
    times = [float(given["EchoTime"]) if given["EchoTime"] else None for given in HEADERS]
    echo = {"element": {"keyword": "EchoTime"}}
    for width in (0.1, 2.5, 1000.0):
        found = await groups(graph, "images", {**echo, "width": width})
        assert found[(None,)] == times.count(None)
        assert sum(found.values()) == len(times)
        for (start,), count in found.items():
            if start is not None:
                n = round(start / width)
                inside = [t for t in times if t is not None and n * width <= t < (n + 1) * width]
                assert len(inside) == count
    there = [time for time in times if time is not None]
    width = (max(there) - min(there)) / 3
    bins = Counter(min(int((time - min(there)) / width), 2) for time in there)
    found = await groups(graph, "images", {**echo, "bins": 3})
    assert sorted(found[key] for key in found if key != (None,)) == sorted(bins.values())
    numbers = await groups(graph, "images", {"field": "NUMBER", "width": 2.5})
    assert numbers == Counter((math.floor(n / 2.5) * 2.5,) for n in range(len(HEADERS)))


async def test_pages_order_having_and_statistics(archive: list[Dataset], graph: Graph) -> None:
    by = [{"field": "UID"}]
    seen, after = [], None
    while True:
        page = await graph(QUERY % "images", by=by, first=4, after=after)
        found = page["images"]["groups"]
        assert found["totalCount"] == len(HEADERS)
        seen += [node["keys"][0]["value"] for node in found["nodes"]]
        after = found["pageInfo"]["endCursor"]
        cursors = [edge["cursor"] for edge in found["edges"]]
        assert (cursors[0], cursors[-1]) == (found["pageInfo"]["startCursor"], after)
        rest = await graph(QUERY % "images", by=by, after=cursors[0], first=1)
        assert rest["images"]["groups"]["nodes"] == [*found["nodes"][1:2]] or len(cursors) == 1
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert seen == sorted(f"1.2.9.{number}" for number in range(len(HEADERS)))
    many = await groups(graph, "series", {"field": "MODALITY"}, having={"count": {"gte": 2}})
    assert many == {("MR",): 2}
    echo = {"element": {"keyword": "EchoTime"}}
    order = [{"field": "KEY", "direction": "DESC"}]
    numbers = list(await groups(graph, "images", echo, order=order))
    assert numbers == [(10,), (5,), (2.5,), (0.3,), (-7.25,), (None,)]
    data = await graph("""{ images { aggregate(element: {keyword: "EchoTime"}) { max count }
        groups(by: {field: ROWS}) { nodes { aggregate(element: {keyword: "EchoTime"}) {
            count min max avg distinct } number: aggregate(field: NUMBER) { sum } } } }
        patients { nodes { uid series { groups(by: [{field: MODALITY}]) { totalCount
            nodes { count keys { value } aggregate(field: N_IMAGES) { sum } } } } } } }""")
    assert data["images"]["aggregate"] == {"max": 10, "count": 5}
    (node,) = data["images"]["groups"]["nodes"]
    assert node["aggregate"] == {
        "count": 5, "min": -7.25, "max": 10, "avg": pytest.approx(2.11), "distinct": 5,
    }  # fmt: skip
    assert node["number"]["sum"] == 15
    of_patients = {
        patient["uid"]: patient["series"]["groups"] for patient in data["patients"]["nodes"]
    }
    assert {uid: found["totalCount"] for uid, found in of_patients.items()} == {"p0": 3, "p1": 2}
    sums = {n["keys"][0]["value"]: n["aggregate"]["sum"] for n in of_patients["p0"]["nodes"]}
    assert sums == {"MR": 2, "CT": 1, "PT": 1}


async def test_filters_of_any_depth_narrow_groups(archive: list[Dataset], graph: Graph) -> None:
    """What narrows a list narrows its groups too: SQLite reads so many levels of SQL only."""
    rare = {"differsFromMajority": {"within": [], "of": [{"field": "ROWS"}]}}
    odd = {"differsFromMajority": {"within": [{"field": "ROWS", "bins": 2}],
                                   "of": [{"element": {"keyword": "EchoTime"}}]}}  # fmt: skip
    code: dict[str, Any] = {"header": {"element": {"path": "ProcedureCodeSequence.CodeValue"}}}
    deep = {"series": {"patient": {"images": {"some": {"series": {"images": {"every": code}}}}}}}
    path = ".".join(["ContentSequence"] * 6 + ["EchoTime"])
    query = """query ($f: ImageFilter, $by: [GroupBy!]!) { images(filter: $f) { totalCount
        groups(by: $by) { countDistinct nodes { aggregate(field: NUMBER) { count } } } }
        sorted: images(filter: $f, orderBy: [{element: {keyword: "EchoTime"}}]) { totalCount
            nodes { id } }
        facet(entity: IMAGE, keyword: "Columns", filter: {image: $f}) { count }
        rows: facet(entity: IMAGE, field: ROWS, filter: {image: $f}) { count } }"""
    for by in ({"field": "ROWS"}, {"element": {"path": path}, "bins": 2}):
        for wanted, n in ((rare, 0), (odd, 0), ({"not": odd}, 6), (code, 6), (deep, 6)):
            found = await graph(query, f=wanted, by=[by])
            (groups_of_all,) = found["images"]["groups"]["nodes"] or [{"aggregate": {"count": 0}}]
            assert found["images"]["totalCount"] == n
            assert found["images"]["groups"]["countDistinct"] == n
            assert groups_of_all["aggregate"]["count"] == n
            assert len(found["sorted"]["nodes"]) == n
            assert sum(row["count"] for row in found["rows"]) == n
            assert sum(row["count"] for row in found["facet"]) == n


async def test_what_cannot_be_grouped_is_told(archive: list[Dataset], graph: Graph) -> None:
    for by in (
        [], [{}], [{"field": "ROWS"}], [{"field": "MODALITY", "width": 1}],
        [{"field": "DATE", "bins": 2}],
        [{"field": "NUMBER", "part": "YEAR"}], [{"field": "NUMBER", "width": 0}],
        [{"field": "NUMBER", "width": 5e-324}],
        [{"element": {"keyword": "EchoTime"}, "width": 5e-324}],
        [{"element": {"keyword": "ProcedureCodeSequence"}}], [{"field": "DATE", "part": "HOUR"}],
        [{"element": {"keyword": "Modality"}, "bins": 3}], [{"field": "NUMBER"}] * 6,
    ):  # fmt: skip
        result = await graph.execute(QUERY % "series", by=by)
        (error,) = result.errors
        assert error.extensions["code"] in ("BAD_INPUT", "BAD_FILTER"), (by, error)
    result = await graph.execute(QUERY % "series", by=[{"field": "NUMBER"}], after="nonsense")
    assert result.errors[0].extensions["code"] == "BAD_CURSOR"


async def test_groups_without_identities(archive: list[Dataset], graph: Graph) -> None:
    graph.principal = Principal("blind", Role.VIEWER, deidentified=True)
    assert (await groups(graph, "series", {"field": "MODALITY"}))[("MR",)] == 2
    assert len(await groups(graph, "images", {"element": {"keyword": "EchoTime"}})) == 6
    pseudonyms = await groups(graph, "series", {"field": "UID"})
    assert len(pseudonyms) == 5
    assert not {key for (key,) in pseudonyms} & {f"1.2.3.{n}" for n in range(5)}
    for entity, by in (
        ("patients", {"field": "NAME"}), ("series", {"field": "DATE", "part": "YEAR"}),
        ("images", {"element": {"keyword": "PatientName"}}), ("series", {"field": "CREATED"}),
        ("images", {"element": {"keyword": "SOPInstanceUID"}}),
        ("images", {"element": {"keyword": "PatientAge"}}),
    ):  # fmt: skip
        result = await graph.execute(QUERY % entity, by=[by])
        assert result.errors[0].extensions["code"] == "BAD_FILTER", by
        assert "Family" not in json.dumps(result.data)


async def test_three_statements_at_most_also_below_many_parents(
    archive: list[Dataset], graph: Graph
) -> None:
    question = """
        groups(by: [{element: {keyword: "EchoTime"}, bins: 3}, {field: NUMBER, bins: 2}]) {
        countDistinct totalCount nodes { count keys { value to }
        number: aggregate(field: NUMBER) { sum }
        echo: aggregate(element: {keyword: "EchoTime"}) { min max }
        kind: aggregate(element: {keyword: "ImageType"}) { max distinct } } }"""
    whole = await graph(f"{{ images {{ {question} }} }}")
    assert len(graph.statements) <= 3, graph.statements
    groups_of_all = whole["images"]["groups"]
    assert groups_of_all["countDistinct"] == len(HEADERS)
    ends = [key for node in groups_of_all["nodes"] for key in node["keys"] if key["to"] is not None]
    assert {-7.25, 10, 0, 5} <= {end for key in ends for end in key.values()}
    before = "{ patients { nodes { uid } } }"
    await graph(before)
    n_before = len(graph.statements)
    below = await graph(f"{{ patients {{ nodes {{ uid images {{ {question} }} }} }} }}")
    assert len(graph.statements) <= n_before + 3, graph.statements
    for patient in below["patients"]["nodes"]:
        # As if there were no other patient: bins too are those of the list.
        alone = await graph(
            f"query ($uid: String!) {{ patientByUid(uid: $uid) {{ images {{ {question} }} }} }}",
            uid=patient["uid"],
        )
        assert patient["images"] == alone["patientByUid"]["images"]
    twice = """{ series { groups(by: [{element: {keyword: "EchoTime"}}]) { countDistinct
        nodes { count } } none: groups(by: [{field: UID}], having: {count: {gte: 2}}) {
        countDistinct totalCount } } }"""
    found = (await graph(twice))["series"]
    assert sum(node["count"] for node in found["groups"]["nodes"]) == 6
    assert found["groups"]["countDistinct"] == 5
    assert found["none"] == {"countDistinct": 0, "totalCount": 0}


async def test_the_number_of_groups_is_limited_and_counted(
    archive: list[Dataset], graph: Graph
) -> None:
    for first in (-1, 10_001):
        result = await graph.execute(QUERY % "images", by=[{"field": "UID"}], first=first)
        assert "from 0 to 10000" in result.errors[0].message
    query = """{ patients(first: 20) { nodes { images { ...Of } } } }
        fragment Of on ImageConnection { groups(by: {field: UID}, first: 500) { totalCount } }"""
    cost = measure(schema._schema, parse(query)).cost(None, {})
    assert 20 * 500 <= cost <= 20 * 550


async def test_buckets_at_the_ends_of_numbers(archive: list[Dataset], graph: Graph) -> None:
    number = {"field": "NUMBER"}
    # 32 bits hold no end of such a bucket.
    assert await groups(graph, "images", {**number, "width": 1e12}) == {(0,): len(HEADERS)}
    echo = {"element": {"keyword": "EchoTime"}}
    result = await graph.execute(QUERY % "images", by=[{**echo, "width": 1e-300}])
    assert "too small" in result.errors[0].message
    one = await graph("""{ images(filter: {series: {modality: {eq: "PT"}}}) {
        groups(by: [{element: {keyword: "EchoTime"}, bins: 4}]) {
            nodes { keys { value to } } } } }""")
    (node,) = one["images"]["groups"]["nodes"]
    assert node["keys"] == [{"value": -7.25, "to": -7.25}]
    # What no header has is missing everywhere, in buckets too.
    for by in ({"width": 2}, {"bins": 2}, {"part": "YEAR"}):
        keyword = "AcquisitionDateTime" if "part" in by else "SelectorFDValue"
        missing = await groups(graph, "series", {"element": {"keyword": keyword}, **by})
        assert missing == {(None,): 5}


async def test_imports_and_definitions_have_groups(archive: list[Dataset], graph: Graph) -> None:
    data = await graph("""{
        importJobs { groups(by: [{field: STATUS}, {field: CREATED_AT, part: YEAR}]) {
            nodes { count filter keys { value } } } }
        dataElementDefinitions { groups(by: [{field: VR}]) {
            nodes { count filter keys { value } } } } }""")
    (job,) = data["importJobs"]["groups"]["nodes"]
    assert job["keys"][0]["value"] == "COMPLETED"
    counted = "query ($f: %sFilter) { %s(filter: $f) { totalCount } }"
    found = await graph(counted % ("ImportJob", "importJobs"), f=job["filter"])
    assert found["importJobs"]["totalCount"] == job["count"] == 1
    groups_of_vr = data["dataElementDefinitions"]["groups"]["nodes"]
    vrs = {node["keys"][0]["value"]: node["count"] for node in groups_of_vr}
    used = {(e.tag, e.VR) for one in archive for e in one if not e.tag.is_private}
    assert vrs["DA"] == len([vr for _, vr in used if vr == "DA"])
    for node in groups_of_vr:
        query = counted % ("DataElementDefinition", "dataElementDefinitions")
        found = await graph(query, f=node["filter"])
        assert found["dataElementDefinitions"]["totalCount"] == node["count"]
