"""Lists of all headers and all values: filters, orders, pages and counts, against pydicom."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydicom import dcmread
from pydicom.dataset import Dataset

from dicom_graph.importing.foreground import Report
from tests.support.graph import Graph
from tests.support.make import make_series

VALUES = """query (
  $f: DataElementValueFilter, $o: [DataElementValueOrder!], $after: String, $n: Int) {
  dataElementValues(filter: $f, orderBy: $o, after: $after, first: $n) { totalCount
    nodes { id index raw __typename } edges { cursor node { id } }
    pageInfo { hasNextPage endCursor } } }"""
HEADERS = """query ($f: HeaderFilter, $o: [HeaderOrder!], $after: String, $n: Int) {
  headers(filter: $f, orderBy: $o, after: $after, first: $n) { totalCount
    nodes { id index image { uid } parent { keyword } element(keyword: "CodeValue") { value } }
    edges { cursor node { id } } pageInfo { hasNextPage endCursor } } }"""
TEXTS = {"AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "PN", "SH", "TM", "UI"}


def _values(data_set: Dataset) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Keyword and texts of each element, nested ones too."""
    for element in data_set:
        if element.VR == "SQ":
            for item in element.value:
                yield from _values(item)
        else:
            values = [element.value] if element.VM <= 1 else element.value
            yield element.keyword, tuple(map(str, values))


async def _pages(graph: Graph, query: str, name: str, n: int, **variables: Any) -> list[Any]:
    """All nodes, page after page."""
    nodes: list[Any] = []
    after, more = None, True
    while more:
        page = (await graph(query, after=after, n=n, **variables))[name]
        assert [edge["node"]["id"] for edge in page["edges"]] == [x["id"] for x in page["nodes"]]
        nodes += page["nodes"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert page["totalCount"] == len(nodes) == len({node["id"] for node in nodes})
    return nodes


async def test_all_headers_and_values(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    items = []
    for code in ("A", "B", "A"):
        item = Dataset()
        item.CodeValue = code
        items.append(item)
    paths = make_series(tmp_path, 3, ProcedureCodeSequence=items, AcquisitionDate="20200101")
    import_files(tmp_path)
    files = [dcmread(path) for path in paths]
    distinct = {pair for file in files for pair in _values(file)}

    nodes = await _pages(graph, VALUES, "dataElementValues", 7)
    assert len(nodes) == sum(len(texts) for _, texts in distinct)
    again = (await graph("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
                         ids=[node["id"] for node in nodes]))["nodes"]  # fmt: skip
    assert [node["id"] for node in again] == [node["id"] for node in nodes]
    for given, expected in (
        ({"keyword": "InstanceNumber"}, ["1", "2", "3"]),
        ({"keyword": "InstanceNumber", "number": {"gte": 2}}, ["2", "3"]),
        ({"keyword": "ImageType", "index": {"eq": 1}}, ["PRIMARY"]),
        ({"text": {"eq": "M"}}, ["M"]),
        ({"tag": "(0008,0100)"}, ["A", "B"]),
        ({"vr": "DA", "date": {"lt": "2020-01-02"}}, ["19800229", "20200101"]),
        ({"or": [{"text": {"eq": "B"}}, {"text": {"eq": "MR"}}]}, ["B", "MR"]),
        ({"keyword": "ImageType", "not": {"text": {"startsWith": "P"}}}, ["M", "ORIGINAL"]),
        ({"hasWarnings": True}, []),
    ):
        found = await _pages(graph, VALUES, "dataElementValues", 2, f=given)
        assert sorted(node["raw"] for node in found) == expected, given
    order = [{"field": "NUMBER", "direction": "DESC"}]
    found = await _pages(
        graph, VALUES, "dataElementValues", 2, f={"keyword": "InstanceNumber"}, o=order
    )
    assert [node["raw"] for node in found] == ["3", "2", "1"]

    headers = await _pages(graph, HEADERS, "headers", 2)
    of_images = [node["image"]["uid"] for node in headers if node["image"]]
    assert sorted(of_images) == sorted(str(file.SOPInstanceUID) for file in files)
    of_items = [(x["parent"]["keyword"], x["index"]) for x in headers if not x["image"]]
    assert sorted(of_items) == [("ProcedureCodeSequence", n) for n in range(3)]
    codes = {"element": {"keyword": "CodeValue", "text": {"eq": "A"}}}
    found = await _pages(graph, HEADERS, "headers", 1, f=codes)
    assert [node["index"] for node in found] == [0, 2]
    found = await _pages(graph, HEADERS, "headers", 5, f={"not": codes})
    assert len(found) == len(headers) - 2
    third = {"element": {"keyword": "InstanceNumber", "number": {"eq": 3}}}
    (found,) = await _pages(graph, HEADERS, "headers", 5, f=third)
    assert found["image"]["uid"] == str(files[2].SOPInstanceUID)
    order = [{"field": "IMAGE", "direction": "DESC"}, {"field": "INDEX", "direction": "DESC"}]
    found = await _pages(graph, HEADERS, "headers", 4, o=order)
    assert [node["index"] for node in found] == [None, None, None, 2, 1, 0]

    measured = await graph(
        '{ dataElementValues(filter: { keyword: "EchoTime" }) '
        "{ aggregate(field: NUMBER) { max } } }"
    )
    assert measured["dataElementValues"]["aggregate"]["max"] == 2.5
    for name in ("dataElementValues", "headers"):
        refused = await graph.execute(
            f"{{ {name} {{ groups(by: [{{ field: NUMBER }}]) {{ totalCount }} }} }}"
        )
        assert refused.errors[0].extensions["code"] == "BAD_INPUT"
        assert "group these, by `images" in refused.errors[0].message
    assert (await graph.execute('{ node(id: "RGF0YUVsZW1lbnRWYWx1ZTo1") { id } }')).errors


async def test_a_dot_of_an_expression_is_any_character(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    """Also the end of a line, on both databases."""
    make_series(tmp_path, 1, ImageComments="one\r\ntwo")
    import_files(tmp_path)
    for pattern, count in (("one..two", 1), ("(?i)E.*T", 1), ("^two", 0), ("one$", 0)):
        given = {"keyword": "ImageComments", "text": {"regex": pattern}}
        assert (await graph(VALUES, f=given))["dataElementValues"]["totalCount"] == count, pattern
