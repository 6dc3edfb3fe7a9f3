"""Moments are found by what they mean with (0008,0201), on both databases."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from dicom_graph.importing.foreground import Report
from tests.support.graph import Graph
from tests.support.make import make_data_set, save

Import = Callable[..., Report]
FOUND = "query ($f: ImageFilter) { images(filter: $f) { nodes { uid } } }"
VALUE = """{ images(orderBy: [{ field: UID, direction: ASC }]) { nodes { header {
  element(keyword: "AcquisitionDateTime") { value warnings
    values { raw display ... on DateTimeValue { value instant } } } json } } } }"""


def image(uid: str, offset: str | None, moment: str = "20200102101112") -> Dataset:
    data_set = make_data_set(SOPInstanceUID=uid, AcquisitionDateTime=moment)
    if offset is not None:
        data_set.TimezoneOffsetFromUTC = offset
    inner = Dataset()
    inner.FrameAcquisitionDateTime = moment
    data_set.FrameContentSequence = [inner]
    return data_set


@pytest.fixture
def archive(tmp_path: Path, import_files: Import) -> None:
    """One moment in five zones, of which one has no name; and one with a long fraction."""
    files = [
        image("1", "+0200"), image("2", "-0330"), image("3", None), image("4", None,
        "20200102101112+0200"), image("5", "+9900"), image("6", "+0000"), image("7", "-0000"),
        image("8", None, "20200102101112.1234567"), image("9", "+0000", "20200102101112.1234567"),
    ]  # fmt: skip
    import_files(*(save(each, tmp_path / f"{each.SOPInstanceUID}.dcm") for each in files))


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("moment", "uids"),
    [
        ("2020-01-02T10:11:12+02:00", {"1", "4"}),
        ("2020-01-02T08:11:12Z", {"1", "4"}),
        ("2020-01-02T13:41:12", {"2"}),
        ("2020-01-02T10:11:12-03:30", {"2"}),
        ("2020-01-02T10:11:12Z", {"3", "5", "6", "7"}),
        ("2020-01-02T10:11:12.123456Z", {"8", "9"}),
    ],
)
@pytest.mark.parametrize(
    "where",
    [{"keyword": "AcquisitionDateTime"}, {"path": "FrameContentSequence.FrameAcquisitionDateTime"}],
    ids=["top", "item"],
)
async def test_a_moment_is_found_in_the_zone_of_its_header(
    graph: Graph, moment: str, uids: set[str], where: dict[str, str]
) -> None:
    condition = {"header": {"element": {**where, "datetime": {"eq": moment}}}}
    data = await graph(FOUND, f=condition)
    assert {node["uid"] for node in data["images"]["nodes"]} == uids


@pytest.mark.usefixtures("archive")
async def test_a_moment_is_shown_with_the_offset_that_it_has(graph: Graph) -> None:
    nodes = (await graph(VALUE))["images"]["nodes"]
    elements = [node["header"]["element"] for node in nodes]
    assert [element["value"] for element in elements] == [
        "2020-01-02T10:11:12+02:00", "2020-01-02T10:11:12-03:30", "2020-01-02T10:11:12",
        "2020-01-02T10:11:12+02:00", "2020-01-02T10:11:12", "2020-01-02T10:11:12+00:00",
        "2020-01-02T10:11:12+00:00", "2020-01-02T10:11:12.123456",
        "2020-01-02T10:11:12.123456+00:00",
    ]  # fmt: skip
    values = [element["values"][0] for element in elements]
    assert {value["value"][:19] for value in values} == {"2020-01-02T10:11:12"}
    assert not any(element["warnings"] for element in elements)
    assert [value["instant"] for value in values] == [
        "2020-01-02T10:11:12+02:00", "2020-01-02T10:11:12-03:30", None,
        "2020-01-02T10:11:12+02:00", None, "2020-01-02T10:11:12+00:00",
        "2020-01-02T10:11:12+00:00", None, "2020-01-02T10:11:12.123456+00:00",
    ]  # fmt: skip
    assert [value["raw"][:14] for value in values] == ["20200102101112"] * 9
    # In DICOM JSON, which has the offset as an element too, the text is as it was.
    assert nodes[0]["header"]["json"]["0008002A"]["Value"] == ["20200102101112"]
