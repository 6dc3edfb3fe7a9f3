"""A query takes the same number of SQL statements whatever the number of objects."""

from collections.abc import Callable
from pathlib import Path

from dicom_graph.importing.run import Report
from tests.conftest import Graph
from tests.make import make_series

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
