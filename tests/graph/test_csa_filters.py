"""Filters on the values of Siemens CSA headers by their paths."""

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from sqlalchemy import event, text

from dicom_graph.dicom.csa.header import CSA_CREATOR
from dicom_graph.importing.entities import delete_entity
from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.store.edit.prune import prune
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import _config, upgrade
from dicom_graph.store.read import Store
from dicom_graph.store.reindex import reindex
from tests.support.contents import Tables, assert_consistent, contents
from tests.support.csa import by_nibabel, csa, protocol_by_nibabel
from tests.support.data import (
    SHARED,
    distinct_copies,
    file_bytes,
    needs_shared,
    nibabel_dicom_files,
    read_header,
    shared_files,
)
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_file, save

Filter = dict[str, Any]
Import = Callable[..., Report]

IMAGE, SERIES = 0x10, 0x20


def protocol(*lines: str) -> tuple[str, str, int, list[str]]:
    """The tag of a protocol with these assignments."""
    body = "\n".join(lines)
    return (
        "MrPhoenixProtocol", "UN", 1, [f"### ASCCONV BEGIN ###\n{body}\n### ASCCONV END ###\n"],
    )  # fmt: skip


def with_csa(data_set: Dataset, image: list[Any] | None, series: list[Any] | None) -> Dataset:
    """The data set with CSA headers of these tags: (name, VR, VM, items)."""
    block = data_set.private_block(0x0029, CSA_CREATOR, create=True)
    for low, tags in ((IMAGE, image), (SERIES, series)):
        if tags is not None:
            block.add_new(low, "OB", csa(tags))
    return data_set


HEADERS: dict[str, tuple[list[Any] | None, list[Any] | None]] = {
    "a": (
        [
            ("B_value", "IS", 1, ["1000"]),
            ("Times", "FD", 0, ["0.5", "2.5", "7.25"]),
            ("ICE_Dims", "LO", 1, ["X_1_2"]),
            ("Both", "LO", 1, ["of the image"]),
            ("Hollow", "IS", 1, []),
        ],
        [
            ("Both", "LO", 1, ["of the series"]),
            ("Hollow", "IS", 1, ["5"]),
            protocol("lSize = 36", "asSlice[1].dThick = 3.5", 'tName = "fast"', "alFree[2] = 4"),
        ],
    ),
    "b": (
        [
            ("B_value", "IS", 1, ["0"]),
            ("Times", "FD", 0, ["2.5"]),
            ("ICE_Dims", "LO", 1, ["X_1_3"]),
            ("Codes", "CS", 0, ["M", "ND"]),
        ],
        [("Both", "LO", 1, ["of the series"]), protocol("lSize = 1", "alFree[0] = 4")],
    ),
    "c": ([("B_value", "IS", 1, []), ("Times", "FD", 0, [])], None),
    "d": (None, None),
}
SIZE = "MrPhoenixProtocol.lSize"


def fill(folder: Path) -> None:
    """Write the archive; an image is called by its file. `e` has its CSA header in an item."""
    for number, (name, (image, series)) in enumerate(HEADERS.items()):
        uids = {"SeriesInstanceUID": f"1.3.{number // 2}", "PatientID": "ab" if number < 2 else "c"}
        save(with_csa(make_data_set(**uids), image, series), folder / f"{name}.dcm")
    inner = with_csa(Dataset(), [("B_value", "IS", 1, ["1000"])], None)
    save(make_data_set(ReferencedImageSequence=Sequence([inner])), folder / "e.dcm")


@pytest.fixture
def archive(archive_database: Database) -> Graph:
    """GraphQL on the archive."""
    return Graph(archive_database, Store(archive_database))


QUERY = """query ($filter: ImageFilter) {
  images(filter: $filter, first: 1000) { totalCount nodes { files { path } } } }"""


async def holders(graph: Graph, header: Filter) -> set[str]:
    """The names of the files whose header fulfils it."""
    data = await graph(QUERY, filter={"header": header})
    names = {Path(n["files"][0]["path"]).stem for n in data["images"]["nodes"]}
    assert data["images"]["totalCount"] == len(data["images"]["nodes"]) == len(names)
    return names


FOUND: list[tuple[Filter | list[Filter], str]] = [
    ({"path": "B_value"}, "ab"),
    ({"path": "B_value", "exists": True}, "ab"),
    ({"path": "B_value", "exists": False}, "cde"),
    ({"path": "B_value", "number": {"gte": 1}}, "a"),
    ({"path": "B_value", "number": {"gte": 1}, "exists": False}, "bcde"),
    ({"path": "B_value", "number": {"in": [0, 1000]}}, "ab"),
    ({"path": "B_value", "number": {"ne": 0}}, "a"),
    ({"path": "B_value", "number": {"isNull": True}}, ""),
    ({"path": "B_value", "text": {"eq": "1000"}}, ""),
    ({"path": "B_value", "text": {"isNull": True}}, "ab"),
    ({"path": "B_value", "text": {"ne": "x"}, "number": {"lt": 1}}, "b"),
    ({"path": "Times"}, "ab"),
    ({"path": "Times[0]", "number": {"eq": 2.5}}, "b"),
    ({"path": "Times[01]", "number": {"eq": 2.5}}, "a"),
    ({"path": "Times", "number": {"eq": 2.5}}, "ab"),
    ({"path": "Times", "number": {"gt": 3}}, "a"),
    ({"path": "Times", "number": {"gt": 3, "lt": 7}}, ""),
    ({"path": "Times[3]"}, ""),
    ({"path": "ICE_Dims", "text": {"eq": "X_1_2"}}, "a"),
    ({"path": "ICE_Dims", "text": {"startsWith": "X_1"}}, "ab"),
    ({"path": "ICE_Dims", "text": {"ne": "X_1_2"}}, "b"),
    ({"path": "ICE_Dims", "number": {"isNull": True}}, "ab"),
    ({"path": "ICE_Dims", "number": {"ne": 1}}, "ab"),
    ({"path": "ICE_Dims", "text": {"isNull": True}}, ""),
    ({"path": "Codes", "text": {"eq": "ND"}}, "b"),
    ({"path": "Codes[0]", "text": {"eq": "ND"}}, ""),
    ({"path": "Both", "text": {"eq": "of the image"}}, "a"),
    ({"path": "Both", "text": {"eq": "of the series"}}, "b"),
    ({"path": "Both"}, "ab"),
    ({"path": "Hollow", "number": {"eq": 5}}, "a"),
    ({"path": SIZE, "number": {"eq": 36}}, "a"),
    ({"path": SIZE, "number": {"between": [0, 40]}}, "ab"),
    ({"path": "MrPhoenixProtocol"}, "ab"),
    ({"path": "MrPhoenixProtocol", "number": {"gte": 0}}, ""),
    ({"path": "MrPhoenixProtocol", "text": {"isNull": True}}, ""),
    ({"path": "MrPhoenixProtocol.asSlice"}, "a"),
    ({"path": "MrPhoenixProtocol.asSlice[0]"}, ""),
    ({"path": "MrPhoenixProtocol.asSlice[1]"}, "a"),
    ({"path": "MrPhoenixProtocol.asSlice[1].dThick", "number": {"lt": 4}}, "a"),
    ({"path": "MrPhoenixProtocol.alFree", "number": {"eq": 4}}, "ab"),
    ({"path": "MrPhoenixProtocol.alFree[2]", "number": {"eq": 4}}, "a"),
    ({"path": "MrPhoenixProtocol.tName", "text": {"icontains": "FAST"}}, "a"),
    ({"path": "NothingLikeIt"}, ""),
    ({"path": "NothingLikeIt", "exists": False}, "abcde"),
    ([{"path": "B_value", "number": {"gte": 0}}, {"path": SIZE, "number": {"eq": 1}}], "b"),
    ([{"path": "B_value", "number": {"gt": 0}}, {"path": SIZE, "number": {"eq": 1}}], ""),
    ([], "abcde"),
]


@pytest.mark.parametrize(("wanted", "names"), FOUND)
async def test_a_csa_value_finds(wanted: Filter, names: str, archive: Graph) -> None:
    assert await holders(archive, {"csa": wanted}) == set(names)


async def test_with_or_not_and_other_elements(archive: Graph) -> None:
    high, size = ({"csa": wanted} for wanted in (FOUND[3][0], FOUND[30][0]))
    one = {"csa": {"path": SIZE, "number": {"eq": 1}}}
    assert await holders(archive, {"or": [high, one]}) == {"a", "b"}
    assert await holders(archive, {"and": [size, one]}) == set()
    assert await holders(archive, {"not": high}) == {"b", "c", "d", "e"}
    no_items = {"element": {"keyword": "ReferencedImageSequence", "exists": False}}
    assert await holders(archive, {"not": high, **no_items}) == {"b", "c", "d"}


async def test_in_an_item_of_a_sequence(archive: Graph) -> None:
    """An item is a header; and its CSA header is not that of the image."""
    inner = {"csa": [{"path": "B_value", "number": {"eq": 1000}}]}
    wanted = {"element": {"keyword": "ReferencedImageSequence", "item": inner}}
    assert await holders(archive, wanted) == {"e"}
    inner["csa"][0]["number"] = {"eq": 0}
    assert await holders(archive, wanted) == set()


async def test_lifted_to_series_studies_and_patients(archive: Graph) -> None:
    data = await archive(
        """query ($one: ImageFilter) {
          any: series(filter: { anyImage: $one }) { nodes { uid } }
          every: series(filter: { everyImage: $one }) { nodes { uid } }
          patients(filter: { anyImage: $one }) { nodes { uid } }
          studies(filter: { anyImage: $one }) { totalCount }
        }""",
        one={"header": {"csa": {"path": SIZE, "number": {"eq": 36}}}},
    )
    assert [node["uid"] for node in data["any"]["nodes"]] == ["1.3.0"]
    assert data["every"]["nodes"] == []
    assert [node["uid"] for node in data["patients"]["nodes"]] == ["ab"]
    assert data["studies"]["totalCount"] == 1


MISTAKES = [
    ("", "not a path"),
    ("Times[", "not a path"),
    ("Times[-1]", "not a path"),
    ("a..b", "not a path"),
    ("a" * 501, "more than 500"),
    (".".join("a" * 40), "not a path"),
]


@pytest.mark.parametrize(("path", "words"), MISTAKES)
async def test_what_is_no_path_is_said(path: str, words: str, archive: Graph) -> None:
    result = await archive.execute(QUERY, filter={"header": {"csa": {"path": path}}})
    assert [error.extensions["code"] for error in result.errors] == ["BAD_INPUT"]
    assert words in result.errors[0].message


async def test_only_the_mode_full_has_them(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    save(with_csa(make_data_set(), *HEADERS["a"]), tmp_path / "a.dcm")
    wanted = {"csa": {"path": "B_value"}}
    for mode, names in ((Mode.MINIMAL, set()), (Mode.NORMAL, set()), (Mode.FULL, {"a"})):
        import_files(tmp_path, mode=mode)
        assert await holders(graph, wanted) == names
        absent = {"csa": {"path": "B_value", "exists": False}}
        assert await holders(graph, absent) == {"a"} - names


async def test_bytes_that_are_no_csa_header_have_no_values(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    good = csa([("B_value", "IS", 1, ["7"]), ("Other", "LO", 1, ["x"])])
    broken = {
        "cut": good[:-6], "number": csa([("B_value", "IS", 1, ["7"]), ("Bad", "IS", 1, ["x"])]),
        "good": good, "type1": csa([("B_value", "IS", 1, ["7"])], 1), "none": b"no CSA header",
        "dots": csa([("B.value", "IS", 1, ["7"]), ("Times[0]", "IS", 1, ["7"])]),
    }  # fmt: skip
    for name, raw in broken.items():
        data_set = make_data_set()
        data_set.private_block(0x0029, CSA_CREATOR, create=True).add_new(IMAGE, "OB", raw)
        save(data_set, tmp_path / f"{name}.dcm")
    import_files(tmp_path)
    wanted = {"csa": {"path": "B_value", "number": {"eq": 7}}}
    assert await holders(graph, wanted) == {"good", "type1"}
    assert await holders(graph, {"csa": {"path": "B.value"}}) == set()
    assert await holders(graph, {"csa": {"path": "Times[0]"}}) == set()


async def test_each_of_a_series_is_told_apart(
    tmp_path: Path, database: Database, graph: Graph
) -> None:
    """Headers that share nearly all, imported in several batches."""
    for number in range(40):
        tags = [(f"Same{n}", "IS", 1, [str(n)]) for n in range(30)]
        tags.append(("Own", "IS", 1, [str(number)]))
        tags.append(("Some", "IS", 1, [str(number % 3)] if number % 2 else []))
        data_set = with_csa(make_data_set(SeriesInstanceUID="1.3.1"), tags, None)
        save(data_set, tmp_path / str(number // 20) / f"{number}.dcm")
    for folder in (tmp_path / "0", tmp_path / "1"):
        request = JobRequest((str(folder),), Mode.FULL, origin=JobOrigin.PYTHON)
        assert run_import(database, request, ImportOptions(batch_size=7)).counts.created == 20
    for number in (0, 6, 7, 25, 39):
        wanted = {"csa": {"path": "Own", "number": {"eq": number}}}
        assert await holders(graph, wanted) == {str(number)}
    for number in range(3):
        wanted = {"csa": {"path": "Some", "number": {"eq": number}}}
        assert await holders(graph, wanted) == {str(n) for n in range(1, 40, 2) if n % 3 == number}
    everything = {str(number) for number in range(40)}
    assert await holders(graph, {"csa": {"path": "Same7", "number": {"eq": 7}}}) == everything
    absent = {"csa": {"path": "Some", "exists": False}}
    assert await holders(graph, absent) == {str(number) for number in range(0, 40, 2)}


async def test_an_older_database_has_them_after_its_upgrade(
    tmp_path: Path, import_files: Import, database: Database, graph: Graph
) -> None:
    for name, tags in HEADERS.items():
        save(with_csa(make_data_set(), *tags), tmp_path / f"{name}.dcm")
    for number in range(210):
        tags = [("Own", "IS", 1, [str(number)])]
        save(with_csa(make_data_set(), tags, None), tmp_path / f"{number}.dcm")
    make_file(tmp_path / "other.dcm")
    import_files(tmp_path)
    cases = [FOUND[place][0] for place in (0, 3, 14, 19, 26, 30, 39)]
    before = [await holders(graph, {"csa": wanted}) for wanted in cases]
    assert all(before)
    config = _config()
    with database.writer.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
    upgrade(database)
    assert [await holders(graph, {"csa": wanted}) for wanted in cases] == before
    for number in (0, 199, 200, 209):
        wanted = {"csa": {"path": "Own", "number": {"eq": number}}}
        assert await holders(graph, wanted) == {str(number)}


async def test_what_is_deleted_and_pruned_leaves_no_values(
    tmp_path: Path, import_files: Import, database: Database, graph: Graph
) -> None:
    tags = [(f"Same{number}", "IS", 1, [str(number)]) for number in range(20)]
    for name in "abc":
        own = [*tags, ("Own", "LO", 1, [name]), ("Place", "IS", 1, [str(ord(name))])]
        save(with_csa(make_data_set(), own, None), tmp_path / f"{name}.dcm")
    import_files(tmp_path)
    ids = Tables(database, "image").uids("image")
    for left, id in zip((2, 1, 0), sorted(ids), strict=True):
        delete_entity(database, "image", id)
        prune(database)
        tables = Tables(database)
        elements = {row["id"] for row in tables["data_element"]}
        parts = {row["id"] for row in tables["csa_part"]}
        assert {row["part_id"] for row in tables["csa_part_element"]} == parts
        assert {row["element_id"] for row in tables["csa_part_element"]} <= elements
        for table in ("csa_number", "csa_text"):
            holders_of = {row["holder_id"] for row in tables[table]}
            assert holders_of <= elements | {-part for part in parts}
        assert len(await holders(graph, {"csa": {"path": "Own"}})) == left
        same = {"csa": {"path": "Same7", "number": {"eq": 7}}}
        assert len(await holders(graph, same)) == left
    assert not tables["csa_number"]
    assert not tables["csa_text"]
    import_files(tmp_path, verify=True)
    assert await holders(graph, {"csa": {"path": "Own", "text": {"eq": "b"}}}) == {"b"}


async def test_values_are_looked_up_in_an_index(archive: Graph) -> None:
    """Not among all values, and by the beginning of a text."""
    if not archive.database.is_sqlite:
        pytest.skip("PostgreSQL plans by the size of tables")
    statements: list[tuple[str, Any]] = []

    def record(_c: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if "csa_number" in statement or "csa_text" in statement:
            statements.append((statement, values))

    event.listen(archive.database.reader.sync_engine, "before_cursor_execute", record)
    await holders(archive, {"csa": {"path": "Times[0]", "number": {"gte": 1}}})
    await holders(archive, {"csa": {"path": "ICE_Dims", "text": {"eq": "X_1_2"}}})
    event.remove(archive.database.reader.sync_engine, "before_cursor_execute", record)
    plans = ""
    for statement, values in statements:
        async with archive.database.read() as connection:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plans += "\n".join(row[3] for row in rows)
    assert "csa_number USING PRIMARY KEY (path_id=? AND number>?)" in plans
    assert "csa_text USING INDEX ix_csa_text_path (path_id=? AND <expr>" in plans
    assert not re.search(r"SCAN (csa_\w+|image|header|data_element|series)\b", plans)


# --- real headers


def real_files() -> list[Path]:
    """All files at hand with a CSA header, each content once."""
    paths = {
        file_bytes(path): path
        for path in (*shared_files(), *nibabel_dicom_files())
        if CSA_CREATOR.encode() in file_bytes(path)
    }
    return sorted(paths.values())


def csa_of(header: Dataset, low: int) -> dict[str, Any]:
    """Names and values as nibabel reads them."""
    try:
        raw = header.private_block(0x0029, CSA_CREATOR)[low].value
    except KeyError:
        return {}
    return {name: tag["value"] for name, tag in by_nibabel(raw).items()}


def is_there(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(is_there, value.values() if isinstance(value, dict) else value))
    return value is not None


def paths_of(value: Any, path: str) -> Iterator[str]:
    """The path and all below it."""
    yield path
    if isinstance(value, dict):
        for name, child in value.items():
            yield from paths_of(child, f"{path}.{name}")
    if isinstance(value, list):
        for index, child in enumerate(value):
            yield from paths_of(child, f"{path}[{index}]")


def at(values: dict[str, Any], path: str) -> Any:
    """The value at a path; None where it leads nowhere."""
    node: Any = values
    for step in re.findall(r"[^.\[\]]+", path):
        try:
            node = node[int(step)] if isinstance(node, list) else node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def condition_on(value: Any) -> Filter:
    """A condition that the value passes."""
    if isinstance(value, str):
        return {"text": {"eq": value}}
    return {"number": {"between": [value - 0.25, value + 0.25]}}


def passes(value: Any, tests: Filter) -> bool:
    if "text" in tests:
        return isinstance(value, str) and value == tests["text"]["eq"]
    low, high = tests["number"]["between"]
    return isinstance(value, int | float) and low <= value <= high


@pytest.mark.slow
async def test_real_headers_are_found_by_what_nibabel_reads(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    files = real_files()
    copies = distinct_copies(files, tmp_path / "in")
    import_files(tmp_path / "in")
    imported = {path.parent.name for path in copies} & await folders(graph, {})
    held = {}
    for path in copies:
        header = read_header(path)
        held[path.parent.name] = [csa_of(header, low) for low in (IMAGE, SERIES)]
    dice = random.Random(1)
    of_image, of_series = (
        sorted({p for both in held.values() for n, v in both[i].items() for p in paths_of(v, n)})
        for i in (0, 1)
    )
    chosen = [path for of_all in (of_image, of_series) for path in dice.sample(of_all, 50)]
    compared = 0
    for path in filter(lambda path: " " not in path, chosen):
        values = {
            name: next(filter(is_there, (at(tags, path) for tags in held[name])), None)
            for name in imported
        }
        there = {name for name, value in values.items() if is_there(value)}
        assert await folders(graph, {"path": path}) == there, path
        scalars = {name: v if isinstance(v, list) else [v] for name, v in values.items()}
        plain = [v for vs in scalars.values() for v in vs if isinstance(v, str | int | float)]
        if plain:
            tests = condition_on(dice.choice(plain))
            expected = {n for n, vs in scalars.items() if any(passes(v, tests) for v in vs)}
            assert await folders(graph, {"path": path, **tests}) == expected, (path, tests)
            compared += 1
    print(f"\n{len(imported)} files, {len(chosen)} paths, {compared} with a condition on a value")
    assert compared > 30


async def folders(graph: Graph, wanted: Filter) -> set[str]:
    """The folders, one for each file, of the images that a CSA condition finds."""
    header = {"csa": wanted} if wanted else {}
    data = await graph(QUERY, filter={"header": header})
    return {Path(node["files"][0]["path"]).parent.name for node in data["images"]["nodes"]}


@needs_shared
async def test_the_guides_walk_from_mosaic_to_series(import_files: Import, graph: Graph) -> None:
    """ImageType, its values that hold MOSAIC, their images and series (row 30 of the guide)."""
    assert SHARED is not None
    files = sorted(
        path
        for folder in ("siemens/files/rsfmri", "nih/dicom/20180918Si")
        for path in (SHARED / folder).rglob("*.dcm")
    )
    headers = {path: read_header(path) for path in files}
    localizer = next((SHARED / "nih/dicom/20180918GE").rglob("*.dcm"))
    import_files(*files, localizer)
    data = await graph(
        """{ dataElementDefinitions(filter: { keyword: { eq: "ImageType" } }) { totalCount nodes {
          elements(filter: { text: { eq: "MOSAIC" } }, first: 20) { totalCount nodes { value
            images(first: 50) { totalCount nodes { uid } }
            series(first: 50) { totalCount nodes { uid } }
            headers { totalCount } } } } } }"""
    )
    (definition,) = data["dataElementDefinitions"]["nodes"]
    expected: dict[tuple[str, ...], set[str]] = {}
    series: dict[tuple[str, ...], set[str]] = {}
    for header in headers.values():
        if "MOSAIC" in header.ImageType:
            expected.setdefault(tuple(header.ImageType), set()).add(header.SOPInstanceUID)
            series.setdefault(tuple(header.ImageType), set()).add(header.SeriesInstanceUID)
    assert definition["elements"]["totalCount"] == len(expected) > 0
    for element in definition["elements"]["nodes"]:
        value = tuple(element["value"])
        for name, uids in (("images", expected[value]), ("series", series[value])):
            assert {node["uid"] for node in element[name]["nodes"]} == uids
            assert element[name]["totalCount"] == len(uids)
        assert element["headers"]["totalCount"] == len(expected[value])
    # The other way round: a series by MOSAIC, by what its CSA header says of the mosaic.
    some = """{ series(first: 100, filter: { anyImage: { header: {
      element: { keyword: "ImageType", text: { eq: "MOSAIC" } }
      csa: { path: "NumberOfImagesInMosaic", number: { gte: 1 } } } } }) { nodes { uid } } }"""
    found = {node["uid"] for node in (await graph(some))["series"]["nodes"]}
    assert found == set().union(*series.values())


ASCCONV = "### ASCCONV BEGIN ###\nlSize = {}\n### ASCCONV END ###\n"


def xa_protocol(data_set: Dataset, size: int) -> Dataset:
    """The data set with such a protocol, as software XA writes it."""
    raw = f"<XProtocol> \n{{\n  ...\n}}\n{ASCCONV.format(size)}".encode()
    block = data_set.private_block(0x0021, "SIEMENS MR SDS 01", create=True)
    block.add_new(0x19, "OB", raw + b"\0" * (len(raw) % 2))
    return data_set


def enhanced(size: int) -> Dataset:
    """An image whose frames share a protocol."""
    group = Dataset()
    block = group.private_block(0x0021, "SIEMENS MR SDS 01", create=True)
    block.add_new(0xFE, "SQ", Sequence([xa_protocol(Dataset(), size)]))
    return make_data_set(SharedFunctionalGroupsSequence=Sequence([group]))


async def test_protocols_of_software_xa(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    other = make_data_set()
    other.private_block(0x0021, "SOMEONE ELSE", create=True).add_new(0x19, "OB", b"<XProtocol>")
    made = {"shared": enhanced(5), "plain": xa_protocol(make_data_set(), 7), "other": other,
            "none": make_data_set()}  # fmt: skip
    for name, data_set in made.items():
        save(data_set, tmp_path / f"{name}.dcm")
    import_files(tmp_path, mode=Mode.FULL)
    assert await holders(graph, {"csa": {"path": SIZE}}) == {"shared", "plain"}
    assert await holders(graph, {"csa": {"path": SIZE, "number": {"gt": 5}}}) == {"plain"}
    data = await graph(
        """{ images { groups(by: { csa: "MrPhoenixProtocol.lSize" }) {
                        nodes { keys { value } count } }
                      nodes { files { path } header { csaHeader size: csaHeader(
                        path: "MrPhoenixProtocol.lSize") } } } }"""
    )
    found = {Path(n["files"][0]["path"]).stem: n["header"] for n in data["images"]["nodes"]}
    sizes = {name: header["size"] for name, header in found.items()}
    assert sizes == {"shared": 5, "plain": 7, "other": None, "none": None}
    whole = {"MrPhoenixProtocol": {"vr": "UN", "vm": 1, "value": {"lSize": 5}}}
    assert (found["shared"]["csaHeader"], found["other"]["csaHeader"]) == (whole, None)
    groups = {node["keys"][0]["value"]: node["count"] for node in data["images"]["groups"]["nodes"]}
    assert groups == {5: 1, 7: 1, None: 2}


@needs_shared
async def test_a_real_protocol_of_software_xa(import_files: Import, graph: Graph) -> None:
    path = SHARED / "enhanced/dicom/Siemens/XA10/6_1.dcm"
    header = read_header(path).SharedFunctionalGroupsSequence[0]
    inner = header.private_block(0x0021, "SIEMENS MR SDS 01")[0xFE].value[0]
    raw = inner.private_block(0x0021, "SIEMENS MR SDS 01")[0x19].value
    import_files(path, mode=Mode.FULL)
    data = await graph("{ images { nodes { header { csaHeader } } } }")
    found = data["images"]["nodes"][0]["header"]["csaHeader"]
    assert found["MrPhoenixProtocol"]["value"] == protocol_by_nibabel(raw.decode("latin-1"))
    repetition = {"path": "MrPhoenixProtocol.alTR[0]", "number": {"eq": 500_000}}
    assert await holders(graph, {"csa": repetition}) == {"6_1"}


async def test_a_reindex_finds_protocols_of_software_xa(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    """As a version before stored them: by other digests, and without their values."""
    save(enhanced(5), tmp_path / "shared.dcm")
    save(xa_protocol(make_data_set(), 7), tmp_path / "plain.dcm")
    import_files(tmp_path, mode=Mode.FULL)
    expected = contents(graph.database)["elements"]
    with graph.database.writer.begin() as connection:
        older = connection.execute(
            text(
                "SELECT e.id FROM data_element e JOIN data_element_definition d "
                "ON d.id = e.definition_id WHERE d.tag IN (:protocol, :groups, :shared)"
            ),
            {"protocol": 0x00210019, "groups": 0x002100FE, "shared": 0x52009229},
        ).scalars()
        for id in older.all():
            connection.execute(
                text("UPDATE element_digest SET digest = :digest WHERE id = :id"),
                {"id": id, "digest": id.to_bytes(12, "big")},
            )
        for table in ("csa_number", "csa_text", "csa_part_element", "csa_part"):
            connection.execute(text(f"DELETE FROM {table}"))
        connection.execute(text("UPDATE reading_version SET version = 4, image_id = 0"))
    assert await holders(graph, {"csa": {"path": SIZE}}) == set()
    assert reindex(graph.database).headers == 2
    graph.store = type(graph.store)(graph.database)
    assert await holders(graph, {"csa": {"path": SIZE, "number": {"eq": 5}}}) == {"shared"}
    assert await holders(graph, {"csa": {"path": SIZE}}) == {"shared", "plain"}
    assert contents(graph.database)["elements"] == expected
    assert_consistent(graph.database)
