"""A field that is described can be read, filtered, sorted, searched, edited, and is withheld."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pydicom
import pytest

from tests.support.make import make_file

pytestmark = pytest.mark.slow
DEVICES: list[dict[str, Any]] = [
    {
        "DeviceUID": "1.9.1", "StationName": "North", "XRayTubeCurrent": 40, "KVP": 120.5,
        "DateOfLastCalibration": "20200102", "TimeOfLastCalibration": "101112",
        "ConvolutionKernel": ["B30", "SOFT"], "FocalSpots": [0.5, 1.25],
    },
    {
        "DeviceUID": "1.9.2", "StationName": "south", "XRayTubeCurrent": -3, "KVP": 80,
        "DateOfLastCalibration": "20190102", "TimeOfLastCalibration": "235959.5",
        "ConvolutionKernel": ["B30"], "FocalSpots": [2],
    },
    {"DeviceUID": "1.9.3"},
]  # fmt: skip
FIELDS = {
    "stationName": "StationName", "tubeCurrent": "XRayTubeCurrent", "voltage": "KVP",
    "calibrated": "DateOfLastCalibration", "calibratedAt": "TimeOfLastCalibration",
    "kernels": "ConvolutionKernel", "focalSpots": "FocalSpots",
}  # fmt: skip
"""The keywords of the fields."""
LISTS = ("ConvolutionKernel", "FocalSpots")
SHOWN = {"tubeCurrent", "voltage", "kernels", "focalSpots"}
"""Those whose elements PS3.15 keeps in Table E.1-1."""
ORDER = "query ($order: [DeviceOrder!]) { devices(orderBy: $order) { NODES } }"
FILTER = "query ($filter: DeviceFilter) { devices(filter: $filter) { totalCount NODES } }"
SEARCH = "query ($words: String) { devices(search: $words) { NODES } }"
UPDATE = """mutation ($input: UpdateDeviceInput!) { updateDevice(input: $input) {
  device { voltage stationName kernels editedFields } errors { field code } } }"""
STATISTICS = "{ devices { a: aggregate(field: VOLTAGE) { min max count } } }"


def told(path: Path, keyword: str) -> Any:
    """What a file says, by pydicom, as GraphQL writes it."""
    header = pydicom.dcmread(path)
    if keyword not in header:
        return None
    element = header[keyword]
    texts = [element.value] if element.VM == 1 else list(element.value)
    plain = {"DS": float, "IS": int}.get(element.VR, str)
    found = [plain(text) for text in texts]
    if element.VR == "DA":
        return f"{found[0][:4]}-{found[0][4:6]}-{found[0][6:]}"
    if element.VR == "TM":
        whole, _, fraction = found[0].partition(".")
        clock = f"{whole[:2]}:{whole[2:4]}:{whole[4:]}"
        return f"{clock}.{fraction:0<6}" if fraction else clock
    return found if keyword in LISTS else found[0]


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [make_file(tmp_path / f"{n}.dcm", **device) for n, device in enumerate(DEVICES)]


def ask(url: str, paths: list[Path], *operations: dict[str, Any]) -> tuple[str, list[Any]]:
    """The schema, and the answers to the operations."""
    code = "from tests.graph.own_entity import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, url, *map(str, paths)], input=json.dumps(operations),
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2], timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    return printed["schema"], printed["answers"]


def uids(answer: Any) -> list[str]:
    return [node["uid"] for node in answer["devices"]["nodes"]]


def test_a_field_of_an_entity_of_ones_own(empty_database_url: str, paths: list[Path]) -> None:
    truth = [{name: told(path, keyword) for name, keyword in FIELDS.items()} for path in paths]
    orders = [
        ({"field": _capitals(name), "direction": way}, name, way)
        for name in FIELDS
        for way in ("ASC", "DESC")
    ]
    filters = [
        ({name: _equal(value)}, name, value)
        for name in FIELDS
        for value in (one[name] for one in truth)
    ]
    schema, answers = ask(
        empty_database_url,
        paths,
        {"query": "{ devices { NODES } }"},
        {"query": STATISTICS},
        *({"query": ORDER, "variables": {"order": [order]}} for order, _, _ in orders),
        *({"query": FILTER, "variables": {"filter": given}} for given, _, _ in filters),
        *({"query": SEARCH, "variables": {"words": words}} for words in ("NORTH", "th", "b30")),
        {"query": "{ devices { NODES } }", "blind": True},
        {"query": FILTER, "variables": {"filter": {"stationName": {"eq": "North"}}}, "blind": True},
        {"query": FILTER, "variables": {"filter": {"voltage": {"eq": 80}}}, "blind": True},
        *({"query": UPDATE, "variables": {"input": given}} for given in EDITS),
        {"query": FILTER, "variables": {"filter": {"edited": True}}},
    )
    assert "KVP (0018,0060) in kV." in schema
    assert "By KVP (0018,0060) in kV." in schema
    nodes = answers.pop(0)["devices"]["nodes"]
    assert [{name: node[name] for name in FIELDS} for node in nodes] == truth
    assert [node["uid"] for node in nodes] == [device["DeviceUID"] for device in DEVICES]
    assert answers.pop(0)["devices"]["a"] == {"min": 80.0, "max": 120.5, "count": 2}
    for _, name, way in orders:
        there = sorted(range(3), key=lambda n: _rank(truth[n][name]))
        expected = there if way == "ASC" else there[::-1]
        assert uids(answers.pop(0)) == [DEVICES[n]["DeviceUID"] for n in expected], name
    for given, name, value in filters:
        found = [
            d["DeviceUID"] for d, one in zip(DEVICES, truth, strict=True) if one[name] == value
        ]
        assert uids(answers.pop(0)) == found, given
    assert [uids(answers.pop(0)) for _ in range(3)] == [["1.9.1"], ["1.9.1", "1.9.2"], []]
    blind = answers.pop(0)["devices"]["nodes"]
    assert [{name: node[name] for name in FIELDS} for node in blind] == [
        {name: one[name] if name in SHOWN else None for name in FIELDS} for one in truth
    ]
    assert not {node["uid"] for node in blind} & {device["DeviceUID"] for device in DEVICES}
    assert answers.pop(0)["devices"]["totalCount"] == 0
    assert answers.pop(0)["devices"]["totalCount"] == 1
    payloads = [answers.pop(0)["updateDevice"] for _ in EDITS]
    assert payloads[0]["device"] == {
        "voltage": 99.5, "stationName": "East", "kernels": None,
        "editedFields": ["STATION_NAME", "KERNELS", "VOLTAGE"],
    }  # fmt: skip
    assert payloads[1]["errors"] == [{"field": "voltage", "code": "BAD_NUMBER"}]
    assert payloads[1]["device"]["voltage"] == 99.5
    assert payloads[2]["errors"] == [{"field": "kernels", "code": "BAD_CODE"}]
    assert uids(answers.pop(0)) == ["1.9.1"]
    assert answers == []


_ID = "RGV2aWNlOjE="
EDITS = [
    {"id": _ID, "voltage": 99.5, "stationName": " East ", "kernels": None},
    {"id": _ID, "voltage": -1},
    {"id": _ID, "kernels": ["no code"]},
]
"""Device:1."""


def _capitals(name: str) -> str:
    return "".join(f"_{c}" if c.isupper() else c for c in name).upper()


def _equal(value: Any) -> dict[str, Any]:
    """A filter by a value, of a list by its content."""
    if value is None:
        return {"isNull": True}
    if not isinstance(value, list):
        return {"eq": value}
    return {"exactly": value} if isinstance(value[0], str) else {"any": {"eq": value[0]}}


def _rank(value: Any) -> tuple[bool, Any]:
    """Missing ones first; a list by what it begins with."""
    return value is not None, value if value is not None else 0
