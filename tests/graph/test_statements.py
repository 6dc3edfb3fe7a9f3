"""A query takes the same number of SQL statements whatever the number of objects."""

from collections.abc import Callable
from pathlib import Path

import pytest
from graphql import GraphQLObjectType, get_named_type
from pydicom.dataset import Dataset

from dicom_graph.graph.schema import schema
from dicom_graph.importing.foreground import Report
from dicom_graph.store.read import Store
from tests.support.graph import Graph
from tests.support.make import make_series

SIX_LEVELS = """
query ($first: Int!) {
  patients(first: 5) { totalCount nodes { uid nImages
    studies { totalCount nodes { uid nSeries
      series { nodes { uid patient { uid } study { uid }
        images(first: $first) { totalCount pageInfo { hasNextPage } nodes { uid files { path }
          series { uid }
          header { elements { tag value definition { name } values { index raw }
            items { index elements { tag } } } } } } } } } } } }
}
"""


async def test_six_levels_take_as_many_statements_for_50_images_as_for_5(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    for patient in range(5):
        make_series(tmp_path / "a" / str(patient), 10, PatientID=f"patient-{patient}")
    import_files(tmp_path / "a")
    few = await graph(SIX_LEVELS, first=1)
    statements = len(graph.statements)
    graph.store = type(graph.store)(graph.database)
    many = await graph(SIX_LEVELS, first=10)
    assert _images(few) == 5
    assert _images(many) == 50
    assert len(graph.statements) == statements


def _images(data: dict) -> int:
    return sum(
        len(series["images"]["nodes"])
        for patient in data["patients"]["nodes"]
        for study in patient["studies"]["nodes"]
        for series in study["series"]["nodes"]
    )


async def test_contents_of_series_and_definitions_take_no_statement_for_each(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    for series in range(6):
        make_series(tmp_path / str(series), 3, SeriesNumber=series)
    import_files(tmp_path)
    question = """query ($first: Int!) { series(first: $first) { nodes {
        constantElements { tag } varyingElements { tag } } } }"""
    await graph(question, first=1)
    statements = len(graph.statements)
    graph.store = type(graph.store)(graph.database)
    await graph(question, first=6)
    assert len(graph.statements) == statements
    data = await graph("{ dataElementDefinitions(first: 20) { nodes { id } } }")
    ids = [node["id"] for node in data["dataElementDefinitions"]["nodes"]]
    await graph("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids[:1])
    one = len(graph.statements)
    await graph("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=ids)
    assert len(graph.statements) == one


ALIKE = 'keyword: "EchoTime", number: {between: [2, 3]}'
POSITIONS = 'keyword: "ImagePositionPatient", number: {gte: 0}'
NESTED = 'path: "ReferencedImageSequence.ReferencedSOPInstanceUID", text: {startsWith: "1.2"}'
RARE = 'keyword: "InstanceNumber", number: {in: [3, 99]}'


@pytest.mark.parametrize("common", [ALIKE, POSITIONS, NESTED])
async def test_a_common_condition_is_looked_up_in_the_images_that_a_rare_one_leaves(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph, common: str
) -> None:
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    make_series(tmp_path, 8, ReferencedImageSequence=[item])
    make_series(tmp_path / "other", 4, EchoTime=80.0, ImageType=["DERIVED"])
    import_files(tmp_path)
    question = f"""{{
      images(filter: {{header: {{element: {{{common}}}, elements: [{{{RARE}}}]}}}}) {{
        totalCount nodes {{ number series {{ nImages }} }} }} }}"""
    expected = await graph(question)
    up = len(graph.statements)
    # Many are 5 or more; with 1, what is rare is so beside what it stands with.
    for many_images in (5, 1):
        graph.store = Store(graph.database, many_images=many_images)
        assert await graph(question) == expected
        assert len(graph.statements) <= up + 1
        assert any("IS NOT NULL" in each and "LIMIT" in each for each in graph.statements)
    both = common == POSITIONS
    assert expected["images"]["totalCount"] == (2 if both else 1)
    assert {node["number"] for node in expected["images"]["nodes"]} == {3}


OWNERS = {
    "Patient": "patients(first: $first)",
    "Study": "studies(first: $first)",
    "Series": "series(first: $first)",
    "DataElement": 'dataElements(filter: { keyword: "InstanceNumber" }, first: $first)',
    "DataElementDefinition": "dataElementDefinitions(first: $first)",
}
"""Types that have connections, and how to get several objects of each."""
ARGUMENTS = {
    "ImageConnection": [
        "first: 2, offset: 1",
        "last: 1, orderBy: [{ field: NUMBER, direction: DESC }]",
        'orderBy: [{ element: { keyword: "InstanceNumber" } }]',
        'filter: { header: { element: { keyword: "ImageType", text: { eq: "M" } } } }',
        'search: "1"',
    ],
    "SeriesConnection": [
        "orderBy: [{ field: N_IMAGES }]",
        'orderBy: [{ element: { keyword: "EchoTime" }, direction: DESC }], last: 1',
        'filter: { nImages: { gte: 1 }, patient: { sex: { eq: "F" } } }',
    ],
    "StudyConnection": [
        "orderBy: [{ field: N_SERIES }]",
        "filter: { nImages: { gte: 1 }, anyImage: { number: { gte: 1 } } }",
    ],
    "PatientConnection": [
        "orderBy: [{ field: LATEST_STUDY_TIME }]",
        "filter: { studies: { some: { nSeries: { gte: 1 } } } }",
    ],
    "PatientStudyConnection": ["orderBy: [{ field: N_SERIES }]", "last: 1"],
    "DataElementConnection": ["filter: { number: { gte: 1 } }"],
    "HeaderConnection": ["last: 1"],
}


def nested_connections() -> list[tuple[str, str, str]]:
    """All of the schema: the owner's type, the field, and the connection's type."""
    return [
        (name, field_name, kind)
        for name, owner in schema._schema.type_map.items()
        if isinstance(owner, GraphQLObjectType) and name != "Query"
        for field_name, field in owner.fields.items()
        if (kind := get_named_type(field.type).name).endswith("Connection")
        and kind != "GroupConnection"
    ]


async def statements_of(graph: Graph, query: str, first: int) -> tuple[int, int]:
    """How many statements a query takes, from cold caches, and how many owners it has."""
    graph.store = type(graph.store)(graph.database)
    data = await graph(query, first=first)
    return len(graph.statements), len(data["owners"]["nodes"])


@pytest.mark.parametrize(("owner", "field", "kind"), nested_connections())
async def test_a_nested_connection_takes_as_many_statements_for_one_owner_as_for_many(
    owner: str,
    field: str,
    kind: str,
    tmp_path: Path,
    import_files: Callable[..., Report],
    graph: Graph,
) -> None:
    for number in range(4):
        make_series(tmp_path / str(number), 3, PatientID=f"p{number}", SeriesNumber=number)
    import_files(tmp_path)
    for arguments in ("", *(f"({given})" for given in ARGUMENTS[kind])):
        page = f"{field}{arguments} {{ totalCount nodes {{ id }} }}"
        if owner == "PatientStudyEdge":
            page = f"studies {{ edges {{ {page} nSeries zipUrl }} }}"
        owners_of = OWNERS["Patient" if owner == "PatientStudyEdge" else owner]
        query = f"query ($first: Int!) {{ owners: {owners_of} {{ nodes {{ {page} }} }} }}"
        one, owners = await statements_of(graph, query, 1)
        assert owners == 1
        many, owners = await statements_of(graph, query, 3)
        assert owners == 3
        assert many == one, arguments


async def test_groups_below_many_owners_take_as_many_statements_as_below_one(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    for number in range(4):
        make_series(tmp_path / str(number), 3, PatientID=f"p{number}", SeriesNumber=number)
    import_files(tmp_path)
    for key in ("{ field: MODALITY }", '{ element: { keyword: "EchoTime" } }'):
        page = f"series {{ groups(by: [{key}]) {{ nodes {{ count }} }} }}"
        query = f"query ($first: Int!) {{ owners: {OWNERS['Patient']} {{ nodes {{ {page} }} }} }}"
        assert (await statements_of(graph, query, 1))[1] == 1
        one = len(graph.statements)
        many, owners = await statements_of(graph, query, 3)
        assert (many, owners) == (one, 3), key


def test_the_connections_of_the_schema_are_found() -> None:
    assert ("Patient", "studies", "PatientStudyConnection") in nested_connections()
    assert len(nested_connections()) > 10
