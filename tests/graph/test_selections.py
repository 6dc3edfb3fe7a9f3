"""Aliases, fragments, variables, `@skip` and `@include` reach the loaders as they should."""

from pathlib import Path

import pytest

from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from tests.support.graph import Graph
from tests.support.make import make_series


def fill(folder: Path) -> None:
    """Two patients with two series each, of three images."""
    for patient in ("p1", "p2"):
        for number in (1, 2):
            make_series(
                folder / patient / str(number), 3, PatientID=patient, SeriesNumber=number,
                StudyInstanceUID=f"1.4.{patient[1]}", EchoTime=10 * number,
            )  # fmt: skip


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


async def test_one_relation_under_several_aliases(graph: Graph) -> None:
    data = await graph(
        """query ($number: Int, $wanted: SeriesFilter, $down: OrderDirection!) {
          patients { nodes { uid
            one: series(filter: { number: { eq: $number } }) { totalCount nodes { number } }
            two: series(filter: $wanted) { totalCount nodes { number } }
            none: series(filter: { number: { gt: 2 } }) { totalCount nodes { number } }
            all: series(orderBy: [{ field: NUMBER }]) { totalCount nodes { number
              first: images(first: 1) { nodes { number } }
              last: images(last: 1) { nodes { number } }
              down: images(orderBy: [{ field: NUMBER, direction: $down }]) { nodes { number } }
              two: images(filter: { number: { eq: 2 } }) { nodes { number } } } } } } }""",
        number=1,
        wanted={"number": {"eq": 2}},
        down="DESC",
    )
    assert [patient["uid"] for patient in data["patients"]["nodes"]] == ["p1", "p2"]
    for patient in data["patients"]["nodes"]:
        numbers = {
            name: [node["number"] for node in patient[name]["nodes"]]
            for name in ("one", "two", "none", "all")
        }
        assert numbers == {"one": [1], "two": [2], "none": [], "all": [1, 2]}
        counts = [patient[name]["totalCount"] for name in numbers]
        assert counts == [1, 1, 0, 2]
        for series in patient["all"]["nodes"]:
            images = {
                name: [node["number"] for node in series[name]["nodes"]]
                for name in ("first", "last", "down", "two")
            }
            assert images == {"first": [1], "last": [3], "down": [3, 2, 1], "two": [2]}


async def test_equal_aliases_share_a_statement(graph: Graph) -> None:
    await graph("{ patients { nodes { series { nodes { number } } } } }")
    once = len(graph.statements)
    await graph(
        """{ patients { nodes { a: series { nodes { number } } b: series { nodes { uid } }
          ...More } } }
        fragment More on Patient { c: series { nodes { modality } } }"""
    )
    assert len(graph.statements) == once


async def test_fragments_on_types_and_on_the_interface(graph: Graph) -> None:
    ids = await graph("{ patients { nodes { id } } series(first: 1) { nodes { id } } }")
    nodes = [*ids["patients"]["nodes"], *ids["series"]["nodes"]]
    data = await graph(
        """query ($ids: [ID!]!) { nodes(ids: $ids) { ...Common
             ... on Patient { uid ...Lists }
             ... on Series { ...OfSeries } } }
        fragment Common on Node { id ... on Patient { nSeries } }
        fragment Lists on Patient { series(first: 1, orderBy: [{ field: NUMBER }]) {
          nodes { ...OfSeries } } }
        fragment OfSeries on Series { number ... on Node { id } images { totalCount } }""",
        ids=[node["id"] for node in nodes],
    )
    first, second, series = data["nodes"]
    for uid, patient in (("p1", first), ("p2", second)):
        assert (patient["uid"], patient["nSeries"]) == (uid, 2)
        (node,) = patient["series"]["nodes"]
        assert (node["number"], node["images"]["totalCount"]) == (1, 3)
    assert series.keys() == {"id", "number", "images"}


@pytest.mark.parametrize("interface", ["DataElementValue", "Node"])
async def test_a_fragment_on_an_interface_takes_no_further_statement(
    interface: str, graph: Graph
) -> None:
    inner = {"DataElementValue": "values { ...F }", "Node": "...F"}[interface]
    fields = {"DataElementValue": "index raw", "Node": "id"}[interface]
    elements = 'elements(keywords: ["EchoTime", "ImageType"])'
    plain, spread = (
        f"{{ images {{ nodes {{ header {{ {elements} {{ tag {inside} }} }} }} }} }}"
        for inside in (inner.replace("...F", fields), inner)
    )
    data = await graph(plain)
    statements = len(graph.statements)
    graph.store = Store(graph.database)
    assert await graph(f"{spread} fragment F on {interface} {{ {fields} }}") == data
    assert len(graph.statements) == statements


CONDITIONAL = """query ($yes: Boolean!, $no: Boolean!) { patients { nodes { uid
  series @include(if: $yes) { totalCount nodes { uid } }
  ... on Patient @skip(if: $no) { images { nodes { header { elements { tag } } } } }
  ...Counts @include(if: $yes) } } }
fragment Counts on Patient { nSeries nImages }"""


async def test_what_is_left_out_takes_no_statement(graph: Graph) -> None:
    data = await graph(CONDITIONAL, yes=False, no=True)
    assert data == {"patients": {"nodes": [{"uid": "p1"}, {"uid": "p2"}]}}
    assert len(graph.statements) == 1
    data = await graph(CONDITIONAL, yes=True, no=True)
    assert data["patients"]["nodes"][0].keys() == {"uid", "series", "nSeries", "nImages"}
    # The patients with the number of their images, a page of series, and its count (as `nSeries`).
    assert len(graph.statements) == 3
    data = await graph(CONDITIONAL, yes=False, no=False)
    assert data["patients"]["nodes"][0].keys() == {"uid", "images"}


async def test_counts_and_statistics_are_asked_for_only_where_they_are_selected(
    graph: Graph,
) -> None:
    await graph("{ series { nodes { uid } } }")
    assert len(graph.statements) == 1
    query = """query ($count: Boolean!) { series { nodes { uid } totalCount @include(if: $count)
      aggregate(field: ECHO_TIME) @include(if: $count) { max } } }"""
    await graph(query, count=False)
    assert len(graph.statements) == 1
    data = await graph(query, count=True)
    assert len(graph.statements) == 3
    assert (data["series"]["totalCount"], data["series"]["aggregate"]["max"]) == (4, 20)


async def test_variables_with_defaults_and_nulls(graph: Graph) -> None:
    query = """query ($first: Int = 3, $after: String, $filter: ImageFilter = { number: { eq: 2 } })
      { images(first: $first, after: $after, filter: $filter) { totalCount nodes { number } } }"""
    page = (await graph(query))["images"]
    assert (page["totalCount"], len(page["nodes"])) == (4, 3)
    page = (await graph(query, first=2, filter=None))["images"]
    assert (page["totalCount"], len(page["nodes"])) == (12, 2)
