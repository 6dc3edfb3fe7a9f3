"""Tables out, read back by pyarrow and DuckDB: value by value what the API says."""

import csv
import datetime as dt
import io
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pydicom
import pytest
from pydicom.multival import MultiValue
from typer.testing import CliRunner

from dicom_graph.cli.app import app
from dicom_graph.client import Client, ClientError
from dicom_graph.errors import BadInput
from dicom_graph.exports.columns import entity_columns
from dicom_graph.exports.csv_lines import line
from dicom_graph.exports.tables import TableRequest, table
from dicom_graph.store.engine import Database
from dicom_graph.store.read import Store
from dicom_graph.store.read.conditions import (
    And,
    DiffersFromMajority,
    Field,
    Not,
    Or,
    Test,
)
from dicom_graph.store.read.group_requests import GroupKey
from dicom_graph.store.sql.id_list import pack_ids, unpack_each, unpack_ids
from tests.graph.test_elements import rich_data_set
from tests.support.data import distinct_copies, nibabel_dicom_files, sampled, shared_files
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_file, put_raw, save
from tests.support.served_archive import Archive, served

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
duckdb = pytest.importorskip("duckdb")

Json = dict[str, Any]
_NUMBERS = ("AgeString", "DecimalString", "FloatingPointDouble", "FloatingPointSingle")
_INTEGERS = (
    "IntegerString", "SignedLong", "SignedShort", "SignedVeryLong", "UnsignedLong",
    "UnsignedShort", "UnsignedVeryLong",
)  # fmt: skip
_VALUES = "values { index raw __typename " + " ".join(
    [f"... on {name}Value {{ number: value }}" for name in _NUMBERS]
    + [f"... on {name}Value {{ integer{n}: value }}" for n, name in enumerate(_INTEGERS)]
    + [f"... on {name}Value {{ {name.lower()}: value }}" for name in ("Date", "Time", "DateTime")]
    + ["... on DateTimeValue { instant }", "... on UnknownValue { text }", "}"]
)
_ELEMENT = "tag keyword length definition { vr privateCreator } " + _VALUES
_BYTES = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
_UIDS = {"conflict": "1.2.777", "list": "1.2.778"}


def element_query(depth: int) -> str:
    """What is asked of elements, so many levels deep."""
    inner = f"items {{ elements {{ {element_query(depth - 1)} }} }}" if depth else ""
    return f"{_ELEMENT} {inner}"


def fill(folder: Path) -> None:
    """Real headers, and elements whose types conflict or whose values are odd."""
    real = [*sampled(shared_files(), "data", 1), *nibabel_dicom_files()]
    distinct_copies(real, folder / "real")
    save(rich_data_set(), folder / "rich.dcm")
    for number, (vr, raw) in enumerate((("DS", b"1.5 "), ("LO", b"word"), ("OW", b"\1\0"))):
        data_set = make_data_set(
            SOPInstanceUID=f"{_UIDS['conflict']}.{number}", PatientAge="042Y", EchoTime=number,
            SeriesInstanceUID=_UIDS["conflict"], StudyDate="2020010",
        )  # fmt: skip
        put_raw(data_set, 0x00190010, "LO", b"ACME")
        put_raw(data_set, 0x00191001, vr, raw)
        save(data_set, folder / f"conflict{number}.dcm")
    several = make_data_set(SeriesInstanceUID=_UIDS["list"], SeriesDescription="=1+1")
    put_raw(several, 0x00180082, "DS", b"1\\2 ")
    put_raw(several, 0x00209161, "UV", b"\xff" * 8)
    save(several, folder / "list.dcm")


@pytest.fixture
def database(archive_database: Database) -> Database:
    """The archive's, in place of an empty one."""
    return archive_database


async def _bytes(store: Store, request: TableRequest) -> bytes:
    return b"".join([chunk async for chunk in table(store, request)])


async def read(
    store: Store, name: str, form: str = "parquet", *columns: str, **options: Any
) -> Any:
    """A table as pyarrow reads it back."""
    content = await _bytes(store, TableRequest(name, form, columns=columns, **options))
    if form == "parquet":
        return pq.read_table(io.BytesIO(content))
    return pa.ipc.open_file(io.BytesIO(content)).read_all()


def _row(path: str, element: Json, value: Json | None) -> tuple[Any, ...]:
    """What the table says of a value of an element, or of one without values."""
    definition = element["definition"]
    head = (
        path, element["tag"], element["keyword"] or None, definition["privateCreator"] or None,
        definition["vr"], int(element["length"]),
    )  # fmt: skip
    if value is None:
        return (*head, None, None, None, None, None, None)
    number = next((v for k, v in value.items() if k.startswith(("number", "integer"))), None)
    moment = value.get("instant") or value.get("datetime")
    if moment is not None:
        told = dt.datetime.fromisoformat(moment)
        utc = told.astimezone(dt.UTC) if told.tzinfo else told
        moment = utc.replace(tzinfo=None).isoformat()
    return (
        *head, value["index"], value["text"] if "text" in value else value["raw"],
        float(number) if number is not None else None,
        value.get("date"), value.get("time"), moment,
    )  # fmt: skip


def element_rows(elements: list[Json], above: str = "") -> Iterator[tuple[Any, ...]]:
    """What the table of elements has to say of these."""
    for element in elements:
        # The keyword of a repeating group (PS3.5 7.6) does not say which one it is.
        is_repeated = element["tag"][1:3] in ("50", "60")
        named = None if is_repeated else element["keyword"]
        path = above + (named or element["tag"])
        values = element["values"]
        if element["definition"]["vr"] in _BYTES:
            values = [v for v in values if v.get("text") is not None]
        for value in values or [None]:
            yield _row(path, element, value)
        for number, item in enumerate(element.get("items") or ()):
            yield from element_rows(item["elements"], f"{path}[{number}].")


def _plain(value: Any) -> Any:
    return _iso(value) if isinstance(value, dt.date | dt.time) else value


def _iso(value: Any) -> str | None:
    return value.isoformat() if value is not None else None


@pytest.mark.slow
async def test_elements_are_those_of_the_api(database: Database, graph: Graph) -> None:
    found = await read(graph.store, "elements")
    assert (await read(graph.store, "elements", "arrow")).to_pylist() == found.to_pylist()
    columns = [c for c in found.column_names if c != "SeriesInstanceUID"]
    told: dict[str, list[tuple[Any, ...]]] = {}
    for uid, *rest in zip(*(found.column(c).to_pylist() for c in columns), strict=True):
        told.setdefault(uid, []).append((*rest[:9], *map(_iso, rest[9:])))
    query = f"""query ($after: String) {{ images(first: 20, after: $after) {{
        pageInfo {{ endCursor hasNextPage }}
        nodes {{ uid header {{ elements {{ {element_query(6)} }} }} }} }} }}"""
    after, n_images, vrs = None, 0, Counter[str]()
    while True:
        page = (await graph(query, after=after))["images"]
        for node in page["nodes"]:
            expected = list(element_rows(node["header"]["elements"]))
            assert told[node["uid"]] == expected
            vrs.update(row[4] for row in expected)
            n_images += 1
        if not page["pageInfo"]["hasNextPage"]:
            break
        after = page["pageInfo"]["endCursor"]
    assert n_images == len(told) > 10
    by_vr = duckdb.sql("SELECT vr::VARCHAR, count(*)::INT FROM found GROUP BY 1").fetchall()
    assert dict(by_vr) == vrs


@pytest.mark.slow
async def test_entities_are_those_of_the_api(database: Database, graph: Graph) -> None:
    names = ("nImages", "study.date", "patient.sex", "sequenceType", "scanningSequence", "created")
    for form in ("parquet", "arrow"):
        found = await read(graph.store, "series", form, *names)
        nodes = (
            await graph("""{ series(first: 1000) { nodes { id uid echoTime pixelSpacing
            nImages sequenceType scanningSequence created study { uid date time }
            patient { uid sex } } } }""")
        )["series"]["nodes"]
        rows = found.to_pylist()
        assert [row["ID"] for row in rows] == [node["id"] for node in nodes]
        for row, node in zip(rows, nodes, strict=True):
            assert row["SeriesInstanceUID"] == node["uid"]
            assert row["EchoTime"] == node["echoTime"]
            assert row["PixelSpacing"] == node["pixelSpacing"]
            assert [row[n] for n in ("nImages", "sequenceType", "scanningSequence")] == [
                node[n] for n in ("nImages", "sequenceType", "scanningSequence")
            ]
            assert row["created"].isoformat() == node["created"]
            study, patient = node["study"] or {}, node["patient"] or {}
            assert row["StudyInstanceUID"] == study.get("uid")
            assert _iso(row["study.date"]) == study.get("date")
            assert _iso(row["StudyTime"]) == study.get("time")
            assert (row["PatientID"], row["patient.sex"]) == (
                patient.get("uid"),
                patient.get("sex"),
            )
    for name, query in (
        ("images", "images(first: 5000) { nodes { uid number sopClassUid rows } }"),
        ("studies", "studies(first: 1000) { nodes { uid date time description } }"),
        ("patients", "patients(first: 1000) { nodes { uid name sex dateOfBirth } }"),
    ):
        nodes = (await graph(f"{{ {query} }}"))[name]["nodes"]
        keywords = {
            "images": ("SOPInstanceUID", "InstanceNumber", "SOPClassUID", "Rows"),
            "studies": ("StudyInstanceUID", "StudyDate", "StudyTime", "StudyDescription"),
            "patients": ("PatientID", "PatientName", "PatientSex", "PatientBirthDate"),
        }[name]
        rows = (await read(graph.store, name)).select(keywords).to_pylist()
        told = [[_plain(cell) for cell in row.values()] for row in rows]
        assert told == [list(node.values()) for node in nodes]


async def test_elements_as_columns_have_the_types_of_their_vrs(database: Database) -> None:
    store = Store(database)
    names = (
        "EchoTime", "PatientAge", "StudyDate", "(0019,xx01)", "ImageType", "EchoTrainLength",
        "InversionTime", "InstanceNumber", "ProcedureCodeSequence", "(0020,9161)",
        "ProcedureCodeSequence[1].EquivalentCodeSequence.CodeValue", "SOPClassUID", "StudyTime",
    )  # fmt: skip
    # InstanceNumber and SOPClassUID are there already, and stay as they are.
    found = await read(store, "images", "parquet", *names)
    types = {name: str(found.schema.field(name).type) for name in names}
    assert types == {
        "EchoTime": "double", "PatientAge": "double", "StudyDate": "date32[day]",
        "(0019,xx01)": "string", "ImageType": "list<element: string>",
        "InversionTime": "list<element: double>", "EchoTrainLength": "int64",
        "InstanceNumber": "int64", "ProcedureCodeSequence": "string", "(0020,9161)": "string",
        "ProcedureCodeSequence[1].EquivalentCodeSequence.CodeValue": "string",
        "SOPClassUID": "string", "StudyTime": "time64[us]",
    }  # fmt: skip
    notes = json.loads(found.schema.metadata[b"columns"])
    assert "DS, LO, OW" in notes["(0019,xx01)"]["note"]
    assert "several values" in notes["InversionTime"]["note"]
    assert found.schema.field("(0019,xx01)").metadata[b"note"].decode().startswith("text")
    by_uid = {row["SOPInstanceUID"]: row for row in found.to_pylist()}
    conflicts = [by_uid[f"{_UIDS['conflict']}.{number}"] for number in range(3)]
    assert [row["(0019,xx01)"] for row in conflicts] == ["1.5", "word", "2 bytes"]
    assert [row["EchoTime"] for row in conflicts] == [0.0, 1.0, 2.0]
    assert [row["PatientAge"] for row in conflicts] == [42.0] * 3
    assert [row["StudyDate"] for row in conflicts] == [None] * 3  # No date: it has 7 digits.
    rich = by_uid["1.2.3"]
    assert rich["ProcedureCodeSequence"] == "2 items"
    assert rich["ProcedureCodeSequence[1].EquivalentCodeSequence.CodeValue"] == "inner"
    series = await read(store, "series", "parquet", "InversionTime", "(0020,9161)", "ImageType")
    (row,) = [r for r in series.to_pylist() if r["SeriesInstanceUID"] == _UIDS["list"]]
    assert row["InversionTime"] is None or isinstance(row["InversionTime"], float)
    assert row["ImageType"] == ["ORIGINAL", "PRIMARY", "M"]


def _of_series(paths: list[str], name: str) -> dict[str, list[Any]]:
    """The different values of an element in the files of each series, by pydicom."""
    found: dict[str, list[Any]] = {}
    for path in paths:
        data_set = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        if "SeriesInstanceUID" in data_set:
            values = found.setdefault(str(data_set["SeriesInstanceUID"].value), [])
            value = data_set.get(name)
            value = list(value) if isinstance(value, MultiValue) else value
            if value not in (None, "", *values):
                values.append(value)
    return found


@pytest.mark.slow
async def test_elements_of_series_are_those_of_all_images(graph: Graph) -> None:
    store = graph.store
    data = await graph("{ images(first: 1000) { nodes { files { path } } } }")
    paths = [file["path"] for node in data["images"]["nodes"] for file in node["files"]]
    names = ("InstanceNumber", "FlipAngle", "ImageType", "SliceLocation", "AcquisitionNumber")
    private = "(0019,xx01) ACME"
    columns = (*names, *(f"images.{name}" for name in names), private, f"images.{private}")
    found = await read(store, "series", "parquet", *columns)
    notes = json.loads(found.schema.metadata[b"columns"])
    assert notes["FlipAngle"]["images"].startswith("null where the images of a row differ")
    assert str(found.schema.field("images.FlipAngle").type) == "list<element: double>"
    rows = {row["SeriesInstanceUID"]: row for row in found.to_pylist()}
    n_differing = 0
    for name in names:
        for uid, values in _of_series(paths, name).items():
            row = rows[uid]
            assert row[name] == (values[0] if len(values) == 1 else None), (name, uid)
            if name == "ImageType":
                values = ["\\".join(value) for value in values]
            assert (row[f"images.{name}"] or []) == sorted(values), (name, uid)
            n_differing += len(values) > 1
    assert n_differing > 4
    odd = rows[_UIDS["conflict"]]
    assert (odd[private], odd[f"images.{private}"]) == (None, ["1.5", "2 bytes", "word"])
    others = [row for uid, row in rows.items() if uid != _UIDS["conflict"]]
    assert not any(row[f"images.{private}"] for row in others)
    by_csv = (await _bytes(store, TableRequest("series", "csv", columns=columns))).decode()
    (line,) = [
        row
        for row in csv.DictReader(io.StringIO(by_csv, newline=""))
        if row["SeriesInstanceUID"] == _UIDS["conflict"]
    ]
    assert (line[private], line[f"images.{private}"]) == ("", "1.5\\2 bytes\\word")
    studies = await read(store, "studies", "parquet", "FlipAngle", "images.InstanceNumber")
    assert any(row["FlipAngle"] is not None for row in studies.to_pylist())
    with pytest.raises(BadInput, match="no private element"):
        await read(store, "series", "parquet", "(0018,1314) ACME")


async def test_csv_says_the_same(database: Database) -> None:
    store = Store(database)
    few = Field("uid", Test("in", ("1.2.3", *(f"{_UIDS['conflict']}.{n}" for n in range(3)))))
    for name, wanted in (("elements", few), ("images", None), ("patients", None)):
        content = (await _bytes(store, TableRequest(name, "csv", wanted))).decode()
        rows = list(csv.DictReader(io.StringIO(content, newline="")))
        found = (await read(store, name, wanted=wanted)).to_pylist()
        assert len(rows) == len(found)
        assert list(rows[0]) == list(found[0])
        for row, other in zip(rows, found, strict=True):
            for key, cell in row.items():
                value = other[key]
                if isinstance(value, str):
                    assert cell.removeprefix("'") == value.removeprefix("'"), key
                elif isinstance(value, float):
                    assert float(cell) == pytest.approx(value, rel=1e-14)
                else:
                    assert cell == ("" if value is None else str(value)), key


async def test_a_file_tells_of_groups_without_a_majority(database: Database) -> None:
    uid = GroupKey("uid")
    alone = DiffersFromMajority((uid,), (GroupKey("rows"),))
    found = await read(Store(database), "images", wanted=alone)
    assert b"warnings" not in found.schema.metadata
    for name in ("images", "elements"):
        differs = And((Or((DiffersFromMajority((), (uid,)),)), Not(Or(()))))
        found = await read(Store(database), name, wanted=differs)
        (warning,) = json.loads(found.schema.metadata[b"warnings"])
        assert "UID: 1 group of" in warning
        assert found.num_rows == 0


async def test_a_table_of_nothing_has_its_columns(database: Database) -> None:
    for name in ("elements", "series"):
        for form in ("parquet", "arrow"):
            found = await read(Store(database), name, form, wanted=Or(()))
            assert found.num_rows == 0
            assert found.num_columns > 10


@pytest.mark.parametrize("lists", [[], [[]], [[1, 5], [], [3, 300, 70_000, 1 << 40], [7]]])
def test_ids_of_many_sets_at_once(lists: list[list[int]]) -> None:
    packed = [pack_ids(ids) for ids in lists]
    ids, counts = unpack_each(packed)
    assert ids.tolist() == [id for each in packed for id in unpack_ids(each)]
    assert counts.tolist() == [len(ids) for ids in lists]


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    def make(folder: Path) -> dict[str, Path]:
        return {
            name: make_file(
                folder / f"{name}.dcm", SeriesInstanceUID=f"1.2.{number}", EchoTime=number,
                Modality="CT" if number else "MR", PatientName=name,
            )
            for number, name in enumerate(("first", "second"))
        }  # fmt: skip

    with served(tmp_path_factory.mktemp("served"), make=make) as made:
        yield made


def test_tables_over_http(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def get(address: str, **parameters: Any) -> httpx.Response:
        return archive.get(address, params=parameters)

    mr = json.dumps({"modality": {"eq": "MR"}})
    answer = get("/series.parquet", filter=mr, column=["nImages", "(0008,0060)"])
    assert answer.headers["content-disposition"] == 'attachment; filename="series.parquet"'
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    (row,) = pq.read_table(io.BytesIO(answer.content)).to_pylist()
    assert (row["SeriesInstanceUID"], row["nImages"], row["(0008,0060)"]) == ("1.2.0", 1, "MR")
    of_series = json.dumps({"series": {"modality": {"eq": "CT"}}})
    named = json.dumps({"keyword": "EchoTime", "number": {"gte": 0}})
    answer = get("/elements.arrow", filter=of_series, elements=named)
    (row,) = pa.ipc.open_file(io.BytesIO(answer.content)).read_all().to_pylist()
    assert (row["SeriesInstanceUID"], row["path"], row["number"]) == ("1.2.1", "EchoTime", 1.0)
    for address, parameters, code in (
        ("/elements.csv", {"column": "EchoTime"}, "BAD_INPUT"),
        ("/elements.csv", {"elements": '{"path": "EchoTime"}'}, "BAD_INPUT"),
        ("/series.parquet", {"column": "nImage"}, "BAD_INPUT"),
        ("/images.arrow", {"column": "EchoTim"}, "BAD_INPUT"),
        ("/patients.parquet", {"filter": "x"}, "BAD_FILTER"),
        ("/series.parquet", {"column": ["EchoTime"] * 201}, "BAD_INPUT"),
    ):
        answer = get(address, **parameters)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code), address
    assert "did you mean nImages" in get("/series.parquet", column="nImage").text
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    answer = get("/images.parquet")
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (501, "NOT_INSTALLED")
    assert "pip install pyarrow" in answer.json()["errors"][0]["message"]
    assert get("/images.csv").status_code == 200
    assert get("/elements.csv").text.count("\r\n") > 40


def test_the_client_gives_arrow_tables(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    with Client(archive.server.url) as client:
        mr = {"modality": {"eq": "MR"}}
        found = client.table("series", columns=["nImages", "EchoTime", "PatientName"], filter=mr)
        assert found.to_pylist() == [{"nImages": 1, "EchoTime": 0.0, "PatientName": "first"}]
        names = client.table("elements", elements={"keyword": "PatientName"})
        assert sorted(names.column("text").to_pylist()) == ["first", "second"]
        assert client.table("images").num_rows == 2
        with pytest.raises(ClientError, match="no keyword") as refused:
            client.table("images", columns=["EchoTim"])
        assert refused.value.code == "BAD_INPUT"
        with pytest.raises(ClientError, match="patients, studies"):
            client.table("volumes")
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(ImportError, match="pip install pyarrow"):
            client.table("images")


def test_counts_may_be_off(tmp_path: Path) -> None:
    def make(folder: Path) -> dict[str, Path]:
        return {"one": make_file(folder / "one.dcm")}

    with served(tmp_path, make=make, counts=False) as archive:
        answer = archive.get("/series.csv?column=nImages")
        assert answer.json()["errors"][0]["code"] == "COUNTS_OFF"
        assert archive.get("/series.csv?column=study.date").status_code == 200


def test_export_writes_tables(archive: Archive, tmp_path: Path) -> None:
    url = archive.server.settings.database_url

    def export(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["export", *arguments, "--database", url])

    target = tmp_path / "x.parquet"
    done = export(
        "--filter", '{"modality": {"eq": "CT"}}', "--column", "nImages", "--to", str(target)
    )
    assert done.exit_code == 0, done.output
    (row,) = pq.read_table(target).to_pylist()
    assert (row["SeriesInstanceUID"], row["nImages"]) == ("1.2.1", 1)
    for name, count in (("patients", 1), ("studies", 1), ("images", 1)):
        path = tmp_path / f"{name}.arrow"
        assert export("1.2.0", "--table", name, "--to", str(path)).exit_code == 0
        assert pa.ipc.open_file(path).read_all().num_rows == count
    elements = tmp_path / "elements.parquet"
    wanted = ("--elements", '{"keyword": "PatientName"}', "--table", "elements")
    assert export(*wanted, "--to", str(elements)).exit_code == 0
    texts = duckdb.sql(f"SELECT text FROM '{elements}' ORDER BY 1").fetchall()
    assert texts == [("first",), ("second",)]
    for wrong in (
        ("--to", "x.nii"), ("--filter", "x", "--to", "y.csv"), ("1.2.0", "--table", "images",
        "--to", "y.zip"), ("--elements", "{}", "--to", "y.csv"), ("9.9", "--to", "y.csv"),
    ):  # fmt: skip
        assert export(*wrong).exit_code in (1, 2), wrong


def test_no_cell_of_csv_is_a_formula() -> None:
    for cell in ("=1+1", "+a", "-a", "@x", "\tx", "\n=x", "\uff1d1+1", "\uff20x"):
        assert line([cell]).lstrip('"').startswith(f"'{cell}")
    for cell in ("-1", "+1.5e3", "a=1", " =x", "2020-01-01"):
        assert line([cell]) == f"{cell}\r\n"


def test_a_new_field_is_a_column_at_once() -> None:
    (column,) = [c for c in entity_columns("series", ["echoTime"]) if c.name == "echoTime"]
    assert (column.kind, column.notes["unit"]) == ("number", "ms")


def test_any_element_that_may_be_asked_for_is_a_column() -> None:
    names = (
        "dBdt", "images.dBdt", "(0018,1318)", "00181318", "csa.B_value", "images.csa.Times[01]",
        "ReferencedImageSequence[0].(0019,xx01) ACME. (x)", "images.(0019,1001)",
    )  # fmt: skip
    dbdt, each, tag, digits, csa, times, private, other = entity_columns("series", names)[-8:]
    assert {column.steps[0].keyword for column in (dbdt, each)} == {"dBdt"}
    assert {column.steps[0].tag for column in (tag, digits)} == {0x00181318}
    assert (csa.csa, times.csa, times.is_each) == ("B_value", "Times[1]", True)
    assert [step.private_creator for step in private.steps] == [None, "ACME. (x)"]
    assert (other.steps[0].tag, other.is_each) == (0x00191001, True)
    for wrong in ("dbdt", "images.dbdt", "csa.", "csa.a..b", "csa"):
        with pytest.raises(BadInput):
            entity_columns("series", [wrong])
