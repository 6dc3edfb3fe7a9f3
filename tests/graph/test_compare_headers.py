"""`compareHeaders`, held against what pydicom reads of the same files."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset

from dicom_graph.store.engine import Database
from tests.graph.test_elements import rich_data_set
from tests.support.graph import Graph
from tests.support.make import save

Json = dict[str, Any]
FIELDS = "path depth tag privateCreator keyword name outcome values elements { id tag }"


@cache
def data_sets() -> list[Dataset]:
    """Three headers: equal, different, missing; nested; the same creator in other blocks."""
    first = rich_data_set(SeriesInstanceUID="1.2.1", PatientName="A^B", ImageComments="only here")
    second, third = rich_data_set(SeriesInstanceUID="1.2.1"), rich_data_set(PatientName="A^B")
    second.EchoTime, second.PatientName = 9.5, "A^B"
    second.ProcedureCodeSequence[1].CodeValue = "other"
    for number, data_set in enumerate((first, second, third)):
        data_set.SOPInstanceUID = f"1.2.3.{number}"
        data_set.InstanceNumber = 1
    del third[0x0019, 0x0010], third[0x0019, 0x0011], third[0x0019, 0x1010], third[0x0019, 0x119C]
    # The blocks of the two creators, the other way round.
    third.private_block(0x0019, "GEMS_ACQU_01", create=True).add_new(0x9C, "LO", "epi")
    third.private_block(0x0019, "FIRST", create=True).add_new(0x10, "DS", "8")
    third.ProcedureCodeSequence = third.ProcedureCodeSequence[:1]
    return [first, second, third]


def flat(data_set: Dataset, above: str = "", creator_of: Any = None) -> Iterator[tuple[str, str]]:
    """Every element by a path that knows no blocks, with its value."""
    for element in data_set:
        tag = element.tag
        if tag.is_private_creator:
            name = f"{tag.group:04X} creator {element.value}"
        elif tag.is_private:
            name = f"{tag.group:04X}xx{tag.elem & 0xFF:02X} {element.private_creator}"
        else:
            name = element.keyword
        yield above + name, "" if element.VR == "SQ" else str(element.value)
        for number, item in enumerate(element.value if element.VR == "SQ" else ()):
            yield from flat(item, f"{above}{name}[{number}].")


def expected(some: list[Dataset]) -> dict[str, str]:
    """The outcome of each path; sequences aside, which are what is in them."""
    tables = [dict(flat(each)) for each in some]
    found = {}
    for path in set().union(*tables):
        values = [table.get(path) for table in tables]
        if None in values:
            found[path] = "MISSING"
        elif any(
            other.startswith(f"{path}[") and len({t.get(other) for t in tables}) > 1
            for table in tables
            for other in table
        ):
            found[path] = "DIFFERENT"
        else:
            found[path] = "EQUAL" if len(set(values)) == 1 else "DIFFERENT"
    return found


def fill(folder: Path) -> None:
    for number, data_set in enumerate(data_sets()):
        save(data_set, folder / f"{number}.dcm")


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


async def compared(graph: Graph, ids: list[str], selection: str) -> Json:
    data = await graph(
        f"query ($ids: [ID!]!) {{ compareHeaders(ids: $ids) {{ {selection} }} }}", ids=ids
    )
    found: Json = data["compareHeaders"]
    return found


async def test_what_is_equal_different_and_missing(graph: Graph) -> None:
    nodes = await graph("{ images { nodes { id uid } } series { nodes { id uid } } }")
    ids = [node["id"] for node in sorted(nodes["images"]["nodes"], key=lambda node: node["uid"])]
    for some in ([0, 1], [0, 2], [0, 1, 2], [1, 1]):
        found = await compared(
            graph, [ids[n] for n in some], f"nodes {{ id }} elements {{ {FIELDS} }}"
        )
        assert [node["id"] for node in found["nodes"]] == [ids[n] for n in some]
        told: dict[str, str] = {}
        for row in found["elements"]:
            name = row["keyword"] or (
                f"{row['tag'][1:5]}xx{row['tag'][8:10]} {row['privateCreator']}"
                if row["privateCreator"]
                else f"{row['tag'][1:5]} creator {next(filter(None, row['values']))}"
            )
            above = "".join(f"{part}." for part in row["path"].split(".")[:-1])
            told[above + name] = row["outcome"]
            assert row["depth"] == row["path"].count("[")
            assert [e is None for e in row["elements"]] == [v is None for v in row["values"]]
        assert told == expected([data_sets()[n] for n in some])
        by_path = {row["path"]: row for row in found["elements"]}
        if some == [0, 1, 2]:
            assert by_path["EchoTime"]["values"] == ["2.5", "9.5", "2.5"]
            assert by_path["(0019,xx10)"]["values"] == ["7", "7", "8"]
            assert by_path["(0019,xx9C)"]["outcome"] == "EQUAL"
            assert by_path["ProcedureCodeSequence[1].CodeValue"]["values"] == ["two", "other", None]
            assert by_path["ImageComments"]["values"] == ["only here", None, None]
    series = [node["id"] for node in nodes["series"]["nodes"] if node["uid"] == "1.2.1"]
    found = await compared(
        graph, [*series, ids[1]], "equal { path } different { path } missing { path }"
    )
    assert "EchoTime" in [row["path"] for row in found["different"]]
    assert "Modality" in [row["path"] for row in found["equal"]]
    assert [row["path"] for row in found["missing"]] == ["ImageComments"]


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        ("[]", "BAD_INPUT"),
        ("[IMAGE]", "BAD_INPUT"),
        (f"[{', '.join(['IMAGE'] * 21)}]", "BAD_INPUT"),
        ('[IMAGE, "SW1hZ2U6OTk5OTk="]', "NOT_FOUND"),
        ("[IMAGE, STUDY]", "BAD_ID"),
    ],
)
async def test_what_cannot_be_compared(graph: Graph, ids: str, code: str) -> None:
    nodes = await graph("{ images(first: 1) { nodes { id } } studies(first: 1) { nodes { id } } }")
    for name, key in (("IMAGE", "images"), ("STUDY", "studies")):
        ids = ids.replace(name, f'"{nodes[key]["nodes"][0]["id"]}"')
    result = await graph.execute(f"{{ compareHeaders(ids: {ids}) {{ nodes {{ id }} }} }}")
    assert [error.extensions["code"] for error in result.errors] == [code]
    assert result.data == {"compareHeaders": None}
