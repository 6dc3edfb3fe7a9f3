"""Images imported without their headers: fields show nothing that an element would withhold."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.access.principal import EVERYONE, Principal, Role
from dicom_graph.importing.foreground import Report
from dicom_graph.store.ingest import Mode
from tests.access.test_beyond_profile import FIELDS, ODD, TOLD
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_file, put_raw, save

BLIND = Principal("blind", Role.VIEWER, deidentified=True)
QUERY = f"""{{ series(orderBy: [{{ field: ID }}]) {{ nodes {{ {" ".join(FIELDS)} flipAngle
    images {{ nodes {{ number warnings }} }} }} }}
  facet(entity: SERIES, field: MANUFACTURER) {{ value count }} }}"""


@pytest.fixture
def imported(tmp_path: Path, import_files: Callable[..., Report]) -> None:
    """Fields of other VRs than theirs, or of no such values; fields of VR UN, which stays where a
    value is too long for the VR of the data dictionary (PS3.5 6.2.2); and an image as it should be.
    """
    data_set = make_data_set(SeriesInstanceUID="1.2.1", FlipAngle="30")
    for tag, (vr, raw) in ODD.items():
        put_raw(data_set, tag, vr, raw)
    save(data_set, tmp_path / "files" / "odd.dcm")
    unknown = make_data_set(SeriesInstanceUID="1.2.2", FlipAngle="30")
    for tag in ODD:
        put_raw(unknown, tag, "UN", TOLD[0].encode() * 20_000)
    save(unknown, tmp_path / "files" / "unknown.dcm")
    make_file(
        tmp_path / "files" / "good.dcm", Manufacturer="ACME", EchoTime="2.5", FlipAngle="30",
        RepetitionTime="2000", SeriesNumber=3, BodyPartExamined="HEAD",
    )  # fmt: skip
    import_files(tmp_path / "files", mode=Mode.MINIMAL)


@pytest.mark.usefixtures("imported")
async def test_no_field_tells_what_its_element_would_withhold(graph: Graph) -> None:
    graph.principal = BLIND
    data = await graph(QUERY)
    told = str(data).casefold()
    assert not [word for word in TOLD if word in told]
    nodes: list[dict[str, Any]] = data["series"]["nodes"]
    *odd, good = sorted(nodes, key=lambda node: node["manufacturer"] is not None)
    assert len(odd) == 2
    for node in odd:
        assert {name: node[name] for name in FIELDS} == dict.fromkeys(FIELDS)
        assert node["flipAngle"] == 30
    assert (good["manufacturer"], good["echoTime"], good["number"]) == ("ACME", 2.5, 3)
    filtered = '{ series(filter: { manufacturer: { startsWith: "Beeble" } }) { totalCount } }'
    for graph.principal in (BLIND, EVERYONE):
        assert (await graph(filtered))["series"]["totalCount"] == 0


@pytest.mark.usefixtures("imported")
async def test_who_sees_all_is_told_what_was_left_out(graph: Graph) -> None:
    data = await graph("{ images { nodes { warnings } } }")
    warnings = [warning for node in data["images"]["nodes"] for warning in node["warnings"]]
    for vr in ("PN", "UN"):
        assert any(f"(0008,0070) of the VR {vr}" in warning for warning in warnings)
