"""Paths into Siemens CSA headers as columns of tables, beside `csaHeader(path:)` of the API."""

import csv
import io
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.dicom.csa.header import XA_CREATOR
from dicom_graph.errors import BadInput
from dicom_graph.exports.tables import TableRequest, table
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from dicom_graph.store.read.deidentified import DeidentifiedStore
from tests.graph.test_csa_filters import protocol, with_csa
from tests.support.data import distinct_copies, nibabel_dicom_files
from tests.support.graph import Graph
from tests.support.make import make_data_set, save

pq = pytest.importorskip("pyarrow.parquet")

_PATHS = (
    "B_value", "Times", "Times[1]", "Both", "Mixed", "MrPhoenixProtocol.lSize", "Image",
    "MrPhoenixProtocol.alFree", "MrPhoenixProtocol", "MosaicRefAcqTimes", "NoSuchTag", "dBdt",
)  # fmt: skip


def fill(folder: Path) -> None:
    """Series whose images have the same, others, and nothing at a path; real headers beside."""
    distinct_copies(nibabel_dicom_files(), folder / "real")
    for number in range(6):
        image: list[Any] = [
            ("B_value", "IS", 1, [str(1000 * (number % 2))]),
            ("Times", "FD", 0, ["0.5", "2.5", str(number // 3)]),
            ("Mixed", "LO" if number % 3 else "IS", 1, ["7"] if number % 3 else ["12"]),
        ]
        if number == 0:
            image.append(("Both", "LO", 1, ["of the image"]))
        series = [("Both", "LO", 1, ["of the series"]), protocol("lSize = 36", "alFree[2] = 4")]
        data_set = make_data_set(
            SOPInstanceUID=f"1.2.5.{number}", SeriesInstanceUID=f"1.2.{number // 3}", dBdt=number
        )
        save(with_csa(data_set, image, series), folder / f"{number}.dcm")
    for number, size in enumerate((48, 64)):
        data_set = make_data_set(SOPInstanceUID=f"1.2.6.{number}", SeriesInstanceUID="1.2.6")
        item = make_data_set()
        text = f"<XProtocol>\n### ASCCONV BEGIN ###\nlSize = {size}\n### ASCCONV END ###\n"
        inner = type(item)()
        inner.private_block(0x0021, XA_CREATOR, create=True).add_new(0x19, "OB", text.encode())
        shared = type(item)()
        shared.private_block(0x0021, XA_CREATOR, create=True).add_new(0xFE, "SQ", [inner])
        data_set.SharedFunctionalGroupsSequence = [shared]
        save(data_set, folder / f"xa{number}.dcm")


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


async def _bytes(store: Store, name: str, form: str, columns: list[str]) -> bytes:
    request = TableRequest(name, form, columns=columns)
    return b"".join([chunk async for chunk in table(store, request)])


async def _read(store: Store, name: str, columns: list[str]) -> Any:
    return pq.read_table(io.BytesIO(await _bytes(store, name, "parquet", columns)))


@pytest.mark.slow
async def test_what_images_and_series_have(database: Database, graph: Graph) -> None:
    store = graph.store
    columns = [*(f"csa.{path}" for path in _PATHS[:-1]), "dBdt"]
    found = await _read(store, "images", columns)
    types = {name: str(found.schema.field(name).type) for name in columns}
    assert types["csa.B_value"] == types["csa.Times[1]"] == types["dBdt"] == "double"
    assert types["csa.Times"] == types["csa.MosaicRefAcqTimes"] == "list<element: double>"
    assert types["csa.Both"] == types["csa.Mixed"] == types["csa.NoSuchTag"] == "string"
    notes = json.loads(found.schema.metadata[b"columns"])
    assert "no header has this path" in notes["csa.NoSuchTag"]["note"]
    assert "some a text" in notes["csa.Mixed"]["note"]
    by_series: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    data = await graph(
        "{ images(first: 100) { nodes { uid series { uid } header { csaHeader } } } }"
    )
    assert len(data["images"]["nodes"]) == found.num_rows
    rows = {row["SOPInstanceUID"]: row for row in found.to_pylist()}
    n_values = 0
    for node in data["images"]["nodes"]:
        row, header = rows[node["uid"]], node["header"]["csaHeader"] or {}
        for path in _PATHS[:-1]:
            value = _at(header, path)
            cell = row[f"csa.{path}"]
            if path == "Mixed" and value is not None:
                value = value if isinstance(value, str) else f"{value:.15g}"
            assert cell == value, (node["uid"], path)
            if value is not None:
                n_values += 1
                by_series[node["series"]["uid"]][path].add(json.dumps(value))
    assert n_values > 50
    each = [f"images.csa.{path}" for path in _PATHS[:-1]]
    rows = {
        row["SeriesInstanceUID"]: row
        for row in (await _read(store, "series", [*columns, *each])).to_pylist()
    }
    for uid, row in rows.items():
        for path in _PATHS[:-1]:
            values = [json.loads(text) for text in by_series[uid][path]]
            assert row[f"csa.{path}"] == (values[0] if len(values) == 1 else None), (uid, path)
            several = row[f"images.csa.{path}"] or []
            if any(isinstance(value, list) for value in values):
                values = [
                    "\\".join("" if v is None else f"{v:.15g}" for v in value) for value in values
                ]
            assert sorted(several) == sorted(values), (uid, path)
    assert rows["1.2.6"]["images.csa.MrPhoenixProtocol.lSize"] == [48.0, 64.0]
    text = (await _bytes(store, "images", "csv", columns)).decode()
    (line,) = [
        row
        for row in csv.DictReader(io.StringIO(text, newline=""))
        if row["SOPInstanceUID"] == "1.2.5.1"
    ]
    assert (line["csa.Times"], line["csa.Both"], line["csa.B_value"]) == (
        "0.5\\2.5\\0",
        "of the series",
        "1000",
    )
    assert line["csa.MrPhoenixProtocol.alFree"] == "\\\\4"
    patients = await _read(store, "patients", ["csa.MrPhoenixProtocol.lSize"])
    assert (
        patients.num_rows == (await graph("{ patients { totalCount } }"))["patients"]["totalCount"]
    )
    with pytest.raises(BadInput, match="not a path"):
        await _read(store, "images", ["csa.a..b"])
    hidden = await _read(DeidentifiedStore.of(store), "images", columns)
    assert not any(row[f"csa.{p}"] for row in hidden.to_pylist() for p in _PATHS[:-1])
    assert str(hidden.schema.field("csa.B_value").type) == "string"


def _at(header: dict[str, Any], path: str) -> Any:
    """What the API's whole header has at a path, as a value or a list: numbers as floats."""
    node: Any = {name: tag["value"] for name, tag in header.items()}
    for step in path.replace("[", ".").replace("]", "").split("."):
        if isinstance(node, list):
            node = node[int(step)] if int(step) < len(node) else None
        else:
            node = node.get(step) if isinstance(node, dict) else None
    if isinstance(node, list):
        plain = [float(v) if isinstance(v, int) else v for v in node]
        while plain and plain[-1] is None:
            plain.pop()
        return plain or None
    if isinstance(node, dict):
        return None
    return float(node) if isinstance(node, int) else node
