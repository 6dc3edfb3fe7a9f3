"""Lists sorted by the value of an element, against Python's sort over what pydicom reads."""

import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_graph.importing.foreground import Report
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.read import Store
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_file, put_raw, save

Json = dict[str, Any]
N_IMAGES = 60
SERIES = [f"1.3.{number}" for number in range(6)]


def fill(folder: Path) -> None:
    """60 images in 6 series of 2 patients; a third of each element is missing or unreadable."""
    read_archive.folder = folder  # type: ignore[attr-defined]
    dice = random.Random(7)
    for number in range(N_IMAGES):
        series = number % len(SERIES)
        data_set = make_data_set(
            SOPInstanceUID=f"1.2.{number}", SeriesInstanceUID=SERIES[series],
            StudyInstanceUID="1.4.1", PatientID=f"p{series % 2}", InstanceNumber=number // 6,
            EchoTime=None, TriggerTime=dice.choice([None, *range(20)]),
            AcquisitionDate=dice.choice([None, "20200229", "19991231", "20010101"]),
            AcquisitionTime=dice.choice([None, "120000", "0730", "235959.5"]),
            ImageComments=dice.choice([None, "ab", "AB", "a" * 80, "a" * 80 + "b", "Ångström"]),
            SelectorFDValue=dice.choice([None, [2.5, 1.0], [0.5, 9.0], [float(number)]]),
            SpecificCharacterSet="ISO_IR 192",
        )  # fmt: skip
        if dice.random() < 0.2:
            put_raw(data_set, 0x00181060, "DS", dice.choice([b"late", b"\\3 "]))
        if dice.random() < 0.7:
            add_nested(dice, data_set)
        if dice.random() < 0.7:
            block = data_set.private_block(0x0019, "GEMS_ACQU_01", create=True)
            block.add_new(0x9C, "LO", dice.choice(["efgre", "fse", "ssfp"]))
            block.add_new(0x9D, "DS", str(dice.randrange(5)))
        save(data_set, folder / f"{number:02}.dcm")


def add_nested(dice: random.Random, data_set: Dataset) -> None:
    """Items with a thickness, in which another value of a top level element hides."""
    items = []
    for _ in range(dice.randint(0, 3)):
        item = Dataset()
        if dice.random() < 0.8:
            item.SliceThickness = dice.randrange(6)
        item.TriggerTime = -dice.randrange(1, 50)
        items.append(item)
    data_set.PixelMeasuresSequence = Sequence(items)


Key = tuple[Any, ...]
MISSING: Key = ()
"""The smallest."""


def number_of(data_set: Dataset, keyword: str) -> Key:
    element = data_set.get_item(keyword)
    raw = element.value if element is not None else None
    if isinstance(raw, bytes):
        raw = raw.decode().split("\\")[0].strip()
    try:
        return MISSING if raw in (None, "") else (float(raw),)
    except ValueError:
        return MISSING


def text_of(data_set: Dataset, keyword: str) -> Key:
    value = data_set.get(keyword)
    return MISSING if value in (None, "") else (str(value),)


def in_item(index: int) -> Callable[[Dataset], Key]:
    def key(data_set: Dataset) -> Key:
        items = data_set.get("PixelMeasuresSequence") or []
        return number_of(items[index], "SliceThickness") if index < len(items) else MISSING

    return key


def private(low: int, kind: type) -> Callable[[Dataset], Key]:
    def key(data_set: Dataset) -> Key:
        try:
            return (kind(data_set.private_block(0x0019, "GEMS_ACQU_01")[low].value),)
        except KeyError:
            return MISSING

    return key


def first_of(data_set: Dataset) -> Key:
    values = data_set.get("SelectorFDValue")
    if values is None:
        return MISSING
    return (values if isinstance(values, float) else values[0],)


ORDERS: dict[str, tuple[Json, Callable[[Dataset], Key]]] = {
    "number": ({"keyword": "TriggerTime"}, lambda d: number_of(d, "TriggerTime")),
    "first": ({"keyword": "SelectorFDValue"}, first_of),
    "tag": ({"tag": "(0018,1060)"}, lambda d: number_of(d, "TriggerTime")),
    "date": ({"keyword": "AcquisitionDate"}, lambda d: text_of(d, "AcquisitionDate")),
    "time": (
        {"keyword": "AcquisitionTime"},
        lambda d: tuple(text.ljust(6, "0") for text in text_of(d, "AcquisitionTime")),
    ),
    "text": ({"keyword": "ImageComments"}, lambda d: text_of(d, "ImageComments")),
    "path": ({"path": "PixelMeasuresSequence.SliceThickness"}, in_item(0)),
    "item": ({"path": "PixelMeasuresSequence[1].SliceThickness"}, in_item(1)),
    "private": ({"tag": "(0019,xx9C)", "privateCreator": "GEMS_ACQU_01"}, private(0x9C, str)),
    "block": ({"tag": "(0019,109D)"}, private(0x9D, float)),
    "another block": ({"tag": "(0019,119D)"}, lambda _: MISSING),
    "nowhere": ({"keyword": "EchoTime"}, lambda _: MISSING),
}


@cache
def read_archive() -> tuple[Dataset, ...]:
    """The headers in the order in which they came into the database."""
    folder: Path = read_archive.folder  # type: ignore[attr-defined]
    return tuple(pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm")))


@pytest.fixture
def archive(archive_database: Database) -> Graph:
    """GraphQL on the archive."""
    return Graph(archive_database, Store(archive_database))


def expected(key: Callable[[Dataset], Key], descending: bool, images: Any = None) -> list[str]:
    """The UIDs in order; equal ones as they came into the database, or the other way round."""
    ordered = list(images or in_database_order())
    if descending:
        ordered.reverse()
    ordered.sort(key=key, reverse=descending)
    return [image.SOPInstanceUID for image in ordered]


def in_database_order() -> list[Dataset]:
    # Ids are given in the order of the UIDs, as texts.
    return sorted(read_archive(), key=lambda data_set: str(data_set.SOPInstanceUID))


LIST = """query ($order: [ImageOrder!], $filter: ImageFilter, $first: Int, $after: String,
                 $last: Int, $before: String, $offset: Int) {
  images(orderBy: $order, filter: $filter, first: $first, after: $after, last: $last,
         before: $before, offset: $offset) {
    totalCount nodes { uid } edges { cursor node { uid } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""


def order_by(name: str, direction: str) -> list[Json]:
    return [{"element": ORDERS[name][0], "direction": direction}]


@pytest.mark.slow
@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize("name", sorted(ORDERS))
async def test_pages_in_either_direction(name: str, direction: str, archive: Graph) -> None:
    """With a filter that all pass, and without one: then an index may tell the page."""
    order = order_by(name, direction)
    wanted = expected(ORDERS[name][1], direction == "DESC")
    everything = await archive(LIST, order=order, first=100, filter={"rows": {"eq": 2}})
    assert [node["uid"] for node in everything["images"]["nodes"]] == wanted
    assert everything["images"]["totalCount"] == N_IMAGES
    for size in (7, 25):
        assert await walk(archive, order, size, forwards=True) == wanted
        assert await walk(archive, order, size, forwards=False) == wanted
    for offset in (0, 3, 55, 60, 99):
        page = (await archive(LIST, order=order, first=8, offset=offset))["images"]
        assert [node["uid"] for node in page["nodes"]] == wanted[offset : offset + 8]
        assert page["pageInfo"]["hasNextPage"] == (offset + 8 < N_IMAGES)


async def walk(graph: Graph, order: list[Json], size: int, *, forwards: bool) -> list[str]:
    """All UIDs, page by page from the front or from the back."""
    found: list[str] = []
    more, cursor = True, None
    while more:
        place = {"first": size, "after": cursor} if forwards else {"last": size, "before": cursor}
        page = (await graph(LIST, order=order, **place))["images"]
        uids = [node["uid"] for node in page["nodes"]]
        assert [edge["node"]["uid"] for edge in page["edges"]] == uids
        found = [*found, *uids] if forwards else [*uids, *found]
        info = page["pageInfo"]
        more = info["hasNextPage" if forwards else "hasPreviousPage"]
        assert info["hasPreviousPage" if forwards else "hasNextPage"] == (cursor is not None)
        cursor = info["endCursor" if forwards else "startCursor"]
    return found


async def test_what_lies_between_two_cursors(archive: Graph) -> None:
    order = order_by("number", "DESC")
    edges = (await archive(LIST, order=order, first=60))["images"]["edges"]
    for start, end in ((0, 9), (20, 50), (3, 4)):
        between = {"after": edges[start]["cursor"], "before": edges[end]["cursor"]}
        page = (await archive(LIST, order=order, first=100, **between))["images"]
        assert page["nodes"] == [edge["node"] for edge in edges[start + 1 : end]]


async def test_with_other_things_to_sort_by(archive: Graph) -> None:
    order = [
        {"element": ORDERS["date"][0], "direction": "DESC"},
        {"field": "NUMBER"},
        {"element": ORDERS["number"][0]},
        {"field": "UID", "direction": "DESC"},
    ]
    images = sorted(in_database_order(), key=lambda d: d.SOPInstanceUID, reverse=True)
    images.sort(key=ORDERS["number"][1])
    images.sort(key=lambda d: int(d.InstanceNumber))
    images.sort(key=ORDERS["date"][1], reverse=True)
    assert await walk(archive, order, 11, forwards=True) == [d.SOPInstanceUID for d in images]
    assert await walk(archive, order, 11, forwards=False) == [d.SOPInstanceUID for d in images]


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_nested_lists(direction: str, archive: Graph) -> None:
    query = """query ($order: [ImageOrder!], $first: Int, $last: Int) {
      series(first: 100) { nodes { uid images(orderBy: $order, first: $first, last: $last) {
        totalCount nodes { uid } } } } }"""
    order = order_by("number", direction)
    for place in ({"first": 4}, {"last": 3}):
        data = await archive(query, order=order, **place)
        for series in data["series"]["nodes"]:
            own = [d for d in in_database_order() if d.SeriesInstanceUID == series["uid"]]
            uids = expected(ORDERS["number"][1], direction == "DESC", own)
            cut = uids[:4] if "first" in place else uids[-3:]
            assert [node["uid"] for node in series["images"]["nodes"]] == cut
            assert series["images"]["totalCount"] == len(own)
    few = len(archive.statements)
    await archive(query.replace("first: 100", "first: 1"), order=order, first=4)
    assert len(archive.statements) == few


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
async def test_series_by_their_first_image(direction: str, archive: Graph) -> None:
    """As `sampleHeader` has it, also nested; ties as they came into the database."""
    query = """query ($order: [SeriesOrder!]) {
      series(orderBy: $order) { nodes { uid sampleHeader { element(keyword: "TriggerTime") {
        value } } } }
      patients { nodes { series(orderBy: $order) { nodes { uid } } } } }"""
    data = await archive(query, order=[{"element": ORDERS["first"][0], "direction": direction}])
    first: dict[str, Dataset] = {}
    for image in in_database_order():
        if image.InstanceNumber == 0:
            first[image.SeriesInstanceUID] = image
    assert len(first) == len(SERIES)
    images = [first[uid] for uid in SERIES]
    ordered = expected(first_of, direction == "DESC", images)
    by_image = {image.SOPInstanceUID: uid for uid, image in first.items()}
    wanted = [by_image[uid] for uid in ordered]
    assert [node["uid"] for node in data["series"]["nodes"]] == wanted
    for patient in data["patients"]["nodes"]:
        uids = [node["uid"] for node in patient["series"]["nodes"]]
        assert uids == [uid for uid in wanted if uid in uids]


async def test_cursors_stay_right_while_images_are_added(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    for number in range(0, 40, 2):
        make_file(tmp_path / "a" / f"{number}.dcm", SOPInstanceUID=f"1.{number}", EchoTime=number)
    import_files(tmp_path / "a")
    added = 0
    for direction in ("ASC", "DESC"):
        order = [{"element": {"keyword": "EchoTime"}, "direction": direction}]
        found: list[str] = []
        after, more = None, True
        while more:
            page = (await graph(LIST, order=order, first=6, after=after))["images"]
            found += [node["uid"] for node in page["nodes"]]
            after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
            # One before the cursor and one behind it, in either direction.
            for echo_time in (-1, 15):
                added += 1
                path = tmp_path / "b" / f"{added}.dcm"
                make_file(path, SOPInstanceUID=f"2.{added}", EchoTime=echo_time)
                import_files(path)
        assert len(found) == len(set(found))
        first = [int(uid[2:]) for uid in found if uid.startswith("1.")]
        assert first == sorted(range(0, 40, 2), reverse=direction == "DESC")


async def test_images_without_a_header_are_the_smallest(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    make_file(tmp_path / "a" / "a.dcm", SOPInstanceUID="1.1", EchoTime=-5)
    make_file(tmp_path / "b" / "b.dcm", SOPInstanceUID="1.2", EchoTime=5)
    import_files(tmp_path / "a")
    import_files(tmp_path / "b", mode=Mode.MINIMAL)
    data = await graph(LIST, order=[{"element": {"keyword": "EchoTime"}}])
    assert [node["uid"] for node in data["images"]["nodes"]] == ["1.2", "1.1"]


MISTAKES: list[tuple[Json, str]] = [
    ({}, "one of them"),
    ({"field": "UID", "element": {"keyword": "EchoTime"}}, "one of them"),
    ({"element": {}}, "one of them"),
    ({"element": {"keyword": "EchoTime", "tag": "(0018,0081)"}}, "one of them"),
    ({"element": {"keyword": "EchoTme"}}, "EchoTime"),
    ({"element": {"tag": "nothing"}}, "not a tag"),
    ({"element": {"path": "EchoTime..EchoTime"}}, "no step"),
    ({"element": {"tag": "(0019,xx9C)", "privateCreator": "\x00"}}, "NUL"),
]


@pytest.mark.parametrize(("order", "words"), MISTAKES)
async def test_what_cannot_be_right_is_said(order: Json, words: str, archive: Graph) -> None:
    result = await archive.execute(LIST, order=[order])
    assert [error.extensions["code"] for error in result.errors] == ["BAD_INPUT"]
    assert words in result.errors[0].message


async def test_a_cursor_is_good_for_its_own_order_only(archive: Graph) -> None:
    cursors = {}
    for name in ("number", "text", "date", "path"):
        page = (await archive(LIST, order=order_by(name, "ASC"), first=1))["images"]
        cursors[name] = page["pageInfo"]["endCursor"]
    for name, cursor in cursors.items():
        for other in ("number", "text", "date", "path"):
            result = await archive.execute(LIST, order=order_by(other, "ASC"), after=cursor)
            assert bool(result.errors) == (name != other)
    for bad in ("", "x", cursors["number"][:-4], cursors["date"] + "AAAA"):
        result = await archive.execute(LIST, order=order_by("number", "ASC"), after=bad)
        assert [error.extensions["code"] for error in result.errors] == ["BAD_CURSOR"]
