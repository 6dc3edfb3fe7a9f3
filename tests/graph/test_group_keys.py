"""Every field that a list can be filtered by is a key of its groups, or said to be none."""

import datetime as dt
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLInputObjectType, get_named_type

from dicom_graph.access.principal import Principal, Role
from dicom_graph.graph.schema import schema
from dicom_graph.importing.foreground import Report
from tests.graph.test_groups import data_sets
from tests.support.graph import Graph
from tests.support.make import put_raw, save

LISTS = {
    "Patient": "patients", "Study": "studies", "Series": "series", "Image": "images",
    "ImportJob": "importJobs", "DataElementDefinition": "dataElementDefinitions",
    "Element": "dataElements", "AuditEntry": "auditEntries",
}  # fmt: skip
LOGIC = {"and", "or", "not", "id", "fields", "differsFromMajority", "hasNoMajority"}
OF_MANY = {"anyImage", "everyImage", "header"}
OF_ELEMENTS = {
    "keyword", "tag", "path", "privateCreator", "text", "number", "date", "time", "datetime",
    "index", "exists", "item", "anywhere",
}  # fmt: skip
"""What an element is named by, and what it holds: elements are keys of images."""
OTHERWISE = {("DataElementDefinition", "private"): "IS_PRIVATE"}
GROUPS = """k%d: %s { totalCount groups(by: [{field: %s}], first: 9) {
    totalCount nodes { count filter keys { value } } } }"""


@pytest.fixture
def archive(tmp_path: Path, import_files: Callable[..., Report]) -> None:
    for number, data_set in enumerate(data_sets()):
        if number == 2:
            put_raw(data_set, 0x00181060, "DS", b"much")
        save(data_set, tmp_path / "in" / f"{number}.dcm")
    assert not import_files(tmp_path / "in").failures


def keys() -> list[tuple[str, str]]:
    """The types and what their lists are filtered by, as groups have it."""
    types = schema._schema.type_map
    found = []
    for name in LISTS:
        filter_type: Any = types[f"{name}Filter"]
        for field, given in filter_type.fields.items():
            kind = get_named_type(given.type)
            is_list = isinstance(kind, GraphQLInputObjectType) and "some" in kind.fields
            if field in LOGIC | OF_MANY or is_list or (name == "Element" and field in OF_ELEMENTS):
                continue
            if (name, field) == ("DataElementDefinition", "tag"):
                continue  # Each has another one.
            upper = re.sub("(?<!^)(?=[A-Z])", "_", field).upper()
            found.append((name, OTHERWISE.get((name, field), upper)))
    return found


async def groups_of_all(graph: Graph, names: Iterable[str]) -> tuple[dict[Any, Any], set[Any]]:
    """The groups by each key of lists, whose filters must select their objects; and the keys that
    are withheld.
    """
    found, withheld = {}, set()
    for name in names:
        of_type, chosen = [key for of, key in keys() if of == name], []
        asked = " ".join(GROUPS % (n, LISTS[name], key) for n, key in enumerate(of_type))
        result = await graph.execute(f"{{ {asked} }}")
        for error in result.errors or ():
            assert "withheld" in error.message, error
        for n, key in enumerate(of_type):
            page = result.data[f"k{n}"]
            if page is None:
                withheld.add((name, key))
                continue
            found[name, key] = page["groups"]["nodes"]
            if page["groups"]["totalCount"] <= 9:
                assert sum(g["count"] for g in found[name, key]) == page["totalCount"], (name, key)
            chosen += found[name, key][:2]
        await check_filters(graph, name, chosen)
    return {key: len(groups) for key, groups in found.items()}, withheld


async def check_filters(graph: Graph, name: str, groups: list[Any]) -> None:
    """The filter of a group selects as many objects as it has."""
    if not groups:
        return
    given = ", ".join(f"$f{n}: {name}Filter" for n in range(len(groups)))
    asked = " ".join(
        f"g{n}: {LISTS[name]}(filter: $f{n}) {{ totalCount }}" for n in range(len(groups))
    )
    data = await graph(
        f"query ({given}) {{ {asked} }}", **{f"f{n}": g["filter"] for n, g in enumerate(groups)}
    )
    for n, group in enumerate(groups):
        assert data[f"g{n}"]["totalCount"] == group["count"], (name, group)


@pytest.mark.slow
async def test_what_can_be_filtered_can_be_grouped(archive: None, graph: Graph) -> None:
    (series, *_) = (await graph("{ series { nodes { id } } }"))["series"]["nodes"]
    update = "mutation ($i: UpdateSeriesInput!) { updateSeries(input: $i) { errors { code } } }"
    assert not (await graph(update, i={**series, "description": "x"}))["updateSeries"]["errors"]
    found, withheld = await groups_of_all(graph, LISTS)
    assert not withheld
    assert (found["Series", "EDITED"], found["Series", "STUDY"], found["Image", "SERIES"]) == (
        2, 2, 5,
    )  # fmt: skip
    assert (found["Image", "HAS_WARNINGS"], found["Image", "MISSING"]) == (2, 1)
    assert found["Element", "VR"] > 3


@pytest.mark.slow
async def test_the_same_without_identities(archive: None, graph: Graph) -> None:
    graph.principal = Principal("blind", Role.VIEWER, deidentified=True)
    found, withheld = await groups_of_all(graph, ("Study", "Image"))
    assert {("Study", "DESCRIPTION"), ("Image", "DATE"), ("Image", "CREATED")} <= withheld
    assert (found["Image", "HAS_WARNINGS"], found["Image", "SERIES"]) == (1, 5)


async def test_instants_have_an_offset(archive: None, graph: Graph) -> None:
    for part, ends in (({}, None), ({"part": "HOUR"}, ":00:00+00:00"), ({"part": "DAY"}, "T00:00")):
        query = "query ($by: [GroupBy!]!) { found: series { groups(by: $by) { %s } } }"
        data = await graph(query % "nodes { keys { value to } }", by=[{"field": "CREATED", **part}])
        for group in data["found"]["groups"]["nodes"]:
            (key,) = group["keys"]
            assert dt.datetime.fromisoformat(key["value"]).utcoffset() == dt.timedelta(0)
            assert ends is None or ends in key["value"]
            assert not part or dt.datetime.fromisoformat(key["to"]).utcoffset() == dt.timedelta(0)


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("patients { groups(by: [{field: LATEST_STUDY_TIME}])", "their studies by DATE"),
        ("dataElements { groups(by: [{field: KEYWORD}])", "list the definitions"),
        ("series { groups(by: [{field: ROWS}])", "what the list can be filtered by"),
        ("protocols { groups(by: [{field: NAME}])", "have no filter"),
    ],
)
async def test_what_is_no_key_says_what_to_do(query: str, says: str, graph: Graph) -> None:
    result = await graph.execute(f"{{ {query} {{ totalCount }} }} }}")
    assert says in result.errors[0].message
