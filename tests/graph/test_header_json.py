"""`header.json` against pydicom's own DICOM JSON, over real files."""

import base64
import hashlib
import json
import shutil
import struct
import subprocess
import warnings
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian

from dicom_graph.importing.foreground import Report
from tests.support.data import (
    distinct_copies,
    needs_shared,
    nibabel_dicom_files,
    pydicom_files,
    sampled,
    shared_files,
)
from tests.support.graph import Graph
from tests.support.make import make_data_set, put_raw, save

Json = dict[str, Any]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

PIXEL_DATA = {"7FE00008", "7FE00009", "7FE00010"}
INLINE_LIMIT = 65_536
NOT_READABLE = {"rtplan_truncated.dcm"}
"""Cut inside a sequence: pydicom drops what is left without a word, dicom-graph refuses it."""
NOT_BY_PYDICOM = {"badVR.dcm": ["00280008"]}
"""Elements for which pydicom raises: NumberOfFrames there is `1A`."""

QUERY = "{ images(first: 10000) { nodes { files { path } header { json } } } }"


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Copies of the images in the wheels."""
    paths = (*pydicom_files(), *nibabel_dicom_files())
    return distinct_copies(paths, tmp_path_factory.mktemp("wheels"))


@pytest.fixture(scope="module")
def shared_copies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Copies of the shared images, ten of each of the GE series."""
    paths = sampled(shared_files(), "20180918GE", 10)
    return distinct_copies(paths, tmp_path_factory.mktemp("shared"))


@pytest.mark.slow
async def test_json_of_the_files_in_wheels(
    wheel_files: list[Path], import_files: Callable[..., Report], graph: Graph
) -> None:
    compared = await compare(wheel_files, import_files, graph)
    assert compared["files"] > (150 if shared_copies else 140)
    assert compared["elements"] > 25_000


@pytest.mark.slow
@needs_shared
async def test_json_of_the_shared_files(
    shared_copies: list[Path], import_files: Callable[..., Report], graph: Graph
) -> None:
    compared = await compare(shared_copies, import_files, graph)
    assert compared["files"] >= 138
    assert compared["elements"] > 42_000


async def compare(
    files: list[Path], import_files: Callable[..., Report], graph: Graph
) -> Counter[str]:
    import_files(*files)
    data = await graph(QUERY)
    ours = {
        Path(file["path"]): image["header"]["json"]
        for image in data["images"]["nodes"]
        for file in image["files"]
    }
    assert {file.name for file in set(files) - ours.keys()} <= NOT_READABLE
    compared: Counter[str] = Counter()
    for path, found in ours.items():
        compare_file(path, json.loads(json.dumps(found, allow_nan=False)), compared)
    print(f"\nDICOM JSON: {dict(compared)}")
    return compared


def compare_file(path: Path, found: Json, compared: Counter[str]) -> None:
    expected, raised = by_pydicom(path)
    assert raised == NOT_BY_PYDICOM.get(path.name, [])
    check_addresses(found)
    found = {tag: with_any_address(element) for tag, element in found.items()}
    for tag in raised:
        assert tag in found, "what pydicom cannot convert must not be lost"
        del found[tag]
    assert found == expected, path
    compared["files"] += 1
    compared["elements"] += count(expected)
    compared["elements that pydicom cannot convert"] += len(raised)


def check_addresses(found: Json) -> None:
    """An element has one form of value at most; addresses are within the image's own."""
    for tag, element in found.items():
        assert len(element) <= 2, tag
        assert element.get("Value") != [], tag
        for item in element.get("Value", ()) if element["vr"] == "SQ" else ():
            check_addresses(item)


def with_any_address(element: Json) -> Json:
    """The same with one text for every address, and for Siemens CSA headers, which are inline."""
    if element["vr"] == "SQ" and "Value" in element:
        items = [{t: with_any_address(e) for t, e in item.items()} for item in element["Value"]]
        return {"vr": "SQ", "Value": items}
    return intended_element(element)


@cache
def by_pydicom(path: Path) -> tuple[Json, list[str]]:
    """The header in JSON, and the tags that it lacks because pydicom raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # What follows the pixel data (padding, signatures) is not read by dicom-graph either.
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        raised = raising(header)
        for tag in raised:
            del header[tag]
        return intended(header.to_json_dict()), raised


def raising(header: Dataset) -> list[str]:
    """The tags for which pydicom raises."""
    found = []
    for tag in list(header.keys()):
        try:
            header[tag].to_json_dict(None, 0)
        except ValueError:
            found.append(f"{tag:08X}")
    return found


def intended(header: Json) -> Json:
    """pydicom's JSON as PS3.18 F.2 wants it. All the differences that are meant:

    - no pixel data at any depth, and no large bytes: these have addresses (F.2.6);
    - no group lengths (F.2.2);
    - an empty sequence has no `Value`, an empty value among others is null (F.2.5);
    - a name has the groups that are there (F.2.2);
    - no padding, which is no part of a value (PS3.5 6.2): pydicom leaves it before a backslash.
    """
    return {
        tag: intended_element(element)
        for tag, element in header.items()
        if tag not in PIXEL_DATA and not tag.endswith("0000")
    }


def intended_element(element: Json) -> Json:
    vr, values = element["vr"], element.get("Value")
    if vr == "SQ":
        return {"vr": vr, "Value": [intended(item) for item in values]} if values else {"vr": vr}
    if "BulkDataURI" in element or len(base64.b64decode(element.get("InlineBinary", ""))) > (
        INLINE_LIMIT
    ):
        return {"vr": vr, "BulkDataURI": "somewhere"}
    if values is None:
        return element
    return {"vr": vr, "Value": [intended_value(value) for value in values]}


def intended_value(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: group for name, group in value.items() if group} or None
    return value.rstrip(" \0") or None if isinstance(value, str) else value


def count(header: Json) -> int:
    nested = (e.get("Value", ()) for e in header.values() if e["vr"] == "SQ")
    return len(header) + sum(count(item) for items in nested for item in items)


def by_tag(tag: int) -> str:
    return f"{tag:08X}"


ODD_BUT_EQUAL: list[tuple[int, str, bytes]] = [
    (0x00080012, "DA", b"20200101-"),
    (0x00080013, "TM", b"12:30:00"),
    (0x0008002A, "DT", b"2020"),
    (0x00080090, "PN", b"A^B=I^J=="),
    (0x00081030, "LO", b" before and after  "),
    (0x00081050, "PN", b"^^^^"),
    (0x00080120, "UR", b"http://host/a b "),
    (0x00101010, "AS", b"045Y"),
    (0x00181271, "FL", struct.pack("<f", 1.1)),
    (0x00189073, "FD", struct.pack("<2d", 1.1, -1e-300)),
    (0x00201208, "IS", b" 3\\-4 "),
    (0x00204000, "LT", b" back\\slash\r\n "),
    (0x00280009, "AT", struct.pack("<4H", 0x18, 0x1063, 0x20, 0xAB)),
    (0x00280106, "US", struct.pack("<2H", 1, 65535)),
    (0x00281050, "DS", b"1e2\\-.5 "),
    (0x00720082, "SV", struct.pack("<2q", -(2**63), 2**63 - 1)),
    (0x00720083, "UV", struct.pack("<Q", 2**64 - 1)),
    (0x00720065, "OB", b""),
    (0x00190010, "LO", b"ACME"),
    (0x00191001, "UN", b"text"),
]


async def test_odd_values_are_as_pydicom_has_them(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    path = save(with_raw(ODD_BUT_EQUAL), tmp_path / "files" / "odd.dcm")
    import_files(path)
    found = await only_json(graph)
    expected = pydicom.dcmread(path).to_json_dict()
    for tag, *_ in ODD_BUT_EQUAL:
        assert found[by_tag(tag)] == expected[by_tag(tag)]


# What pydicom makes of these is not JSON (NaN), not what the file says (1.5 is no 1, and a person
# gets the text to see), or an exception. An empty value among others is null (PS3.18 F.2.5).
DELIBERATE: list[tuple[int, str, bytes, list[Any]]] = [
    (0x00080008, "CS", b"A\\\\C ", ["A", None, "C"]),
    (0x00081090, "LO", b"\\X", [None, "X"]),
    (0x00081060, "PN", b"=Ideo^X=Phon ", [{"Ideographic": "Ideo^X", "Phonetic": "Phon"}]),
    (0x00180081, "DS", b"1\\\\3 ", [1.0, None, 3.0]),
    (0x00180082, "DS", b"abc ", ["abc"]),
    (0x00181314, "DS", b"1e999 ", ["1e999"]),
    (0x00189073, "FD", struct.pack("<3d", float("nan"), float("inf"), 1.5), ["NaN", "inf", 1.5]),
    (0x00200013, "IS", b"1.5 ", ["1.5"]),
    (0x00201209, "IS", b"1\\\\3 ", [1, None, 3]),
    (0x00081040, "LO", b"a\0b ", [r"a\x00b"]),
    (0x00081048, "PN", b"==Phon", [{"Phonetic": "Phon"}]),
    (0x0040A123, "PN", b"A\\==\\B=", [{"Alphabetic": "A"}, None, {"Alphabetic": "B"}]),
    (0x00081070, "PN", b"A^B\\\\C^D", [{"Alphabetic": "A^B"}, None, {"Alphabetic": "C^D"}]),
]


async def test_what_pydicom_has_no_good_json_for(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    header = with_raw([odd[:3] for odd in DELIBERATE])
    import_files(save(header, tmp_path / "files" / "odd.dcm"))
    found = json.loads(json.dumps(await only_json(graph), allow_nan=False))
    for tag, vr, _, expected in DELIBERATE:
        assert found[by_tag(tag)] == {"vr": vr, "Value": expected}


async def test_large_bytes_have_an_address_and_their_neighbours_have_not(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    small, large = b"\1" * INLINE_LIMIT, b"\1" * (INLINE_LIMIT + 2)
    elements = [(0x00660023, "OW", small), (0x00660129, "OL", large + b"\1\1")]
    import_files(save(with_raw(elements), tmp_path / "files" / "large.dcm"))
    found = await only_json(graph)
    assert base64.b64decode(found["00660023"]["InlineBinary"]) == small
    digest = hashlib.sha256(large + b"\1\1").hexdigest()
    address = f"/images/{found['00080018']['Value'][0]}/bulkdata/00660129-{digest}"
    assert found["00660129"] == {"vr": "OL", "BulkDataURI": address}


async def test_empty_sequences_and_group_lengths_in_items_too(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    """PS3.18 F.2.2 and F.2.5; what dcm2json of DCMTK writes too."""
    item = Dataset()
    put_raw(item, 0x00080000, "UL", struct.pack("<L", 0))
    item.ReferencedSeriesSequence = []
    header = with_raw([(0x00100000, "UL", struct.pack("<L", 4)), (0x00190000, "UL", bytes(4))])
    header.ReferencedImageSequence = [Dataset(), item]
    header.ReferencedPatientSequence = []
    import_files(save(header, tmp_path / "files" / "empty.dcm"))
    found = await only_json(graph)
    assert found["00081140"] == {"vr": "SQ", "Value": [{}, {"00081115": {"vr": "SQ"}}]}
    assert found["00081120"] == {"vr": "SQ"}
    assert not any(tag.endswith("0000") for tag in found)


async def test_words_of_a_big_endian_file_are_little_endian(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    """PS3.18 F.2.7: at the top and in an item, of each VR of words; numbers by arithmetic."""
    cells = {"OW": "H", "OL": "L", "OF": "f", "OD": "d", "OV": "Q"}
    tags = {"OW": 0x00660023, "OL": 0x00660129, "OF": 0x00660016, "OD": 0x00660022,
            "OV": 0x7FE00001}  # fmt: skip
    item, header = Dataset(), make_data_set()
    for data_set in (item, header):
        for vr, cell in cells.items():
            put_raw(data_set, tags[vr], vr, struct.pack(f">3{cell}", 1, 2, 515))
    header.ReferencedImageSequence = [item]
    import_files(save(header, tmp_path / "files" / "big.dcm", ExplicitVRBigEndian))
    found = await only_json(graph)
    for data_set in (found, found["00081140"]["Value"][0]):
        for vr, cell in cells.items():
            inline = base64.b64decode(data_set[by_tag(tags[vr])]["InlineBinary"])
            assert inline == struct.pack(f"<3{cell}", 1, 2, 515), vr


@pytest.mark.slow
async def test_json_is_that_of_dcmtk_but_for_what_the_docs_tell(
    wheel_files: list[Path],
    shared_copies: list[Path],
    import_files: Callable[..., Report],
    graph: Graph,
) -> None:
    if shutil.which("dcm2json") is None:
        pytest.skip("no dcm2json (dcmtk) on PATH")
    import_files(*wheel_files, *shared_copies[::4])
    compared: Counter[str] = Counter()
    for image in (await graph(QUERY))["images"]["nodes"]:
        (path, *others) = [file["path"] for file in image["files"]]
        theirs = None if others else by_dcmtk(path)
        if theirs is not None:
            found = json.loads(json.dumps(image["header"]["json"]))
            assert differences(found, theirs, compared) == [], path
            compared["files"] += 1
    assert compared["files"] > (150 if shared_copies else 140)
    assert compared["elements"] > 20_000


def by_dcmtk(path: str) -> Json | None:
    """What dcm2json writes of a file, up to the pixel data, where it gives up if they are
    compressed; None where it cannot read it, or a character set of it or of an item.
    """
    done = subprocess.run(["dcm2json", path], capture_output=True, timeout=60, check=False)
    text, is_cut, _ = done.stdout.decode("utf-8", "replace").partition('\n  "7FE00010"')
    if "character" in done.stderr.decode("utf-8", "replace") or "\ufffd" in text:
        return None
    if not is_cut and done.returncode:
        return None
    found: Json = json.loads(text.rstrip().rstrip(",") + "}" if is_cut else text)
    return found


def differences(ours: Json, theirs: Json, compared: Counter[str]) -> list[Any]:
    """What is not as docs/downloads.md tells: the pairs of elements, with their tags."""
    found: list[Any] = []
    for tag in (ours.keys() | theirs.keys()) - PIXEL_DATA:
        one, other = ours.get(tag), theirs.get(tag)
        if tag == "00080005":
            # Of the source here (PS3.18 F.2.2, note 3), of its output there.
            continue
        compared["elements"] += 1
        if one is None or other is None or one["vr"] != other["vr"]:
            is_private = int(tag[:4], 16) & 1
            if not (is_private and one and other and other["vr"] == "UN"):
                found.append((tag, one, other))
        elif one["vr"] == "SQ":
            items = one.get("Value", []), other.get("Value", [])
            assert len(items[0]) == len(items[1])
            for pair in zip(*items, strict=True):
                found += differences(*pair, compared)
        elif "BulkDataURI" not in one and not is_equal(one, other):
            found.append((tag, one, other))
    return found


def is_equal(one: Json, other: Json) -> bool:
    if "InlineBinary" in one or "InlineBinary" in other:
        mine, its = (base64.b64decode(each.get("InlineBinary", "")) for each in (one, other))
        return its == mine + bytes(len(mine) % 2)
    mine, its = one.get("Value", []), other.get("Value", [])
    if one["vr"] == "PN":
        mine, its = without_ends(mine), without_ends(its)
    if one["vr"] in ("FL", "FD"):
        return mine == pytest.approx(its, rel=1e-6)
    return bool(mine == its)


def without_ends(names: list[Any]) -> list[Any]:
    """Names without the delimiters at their ends, which dcm2json leaves out."""
    short = [{k: v.rstrip("^") for k, v in (name or {}).items()} for name in names]
    return [name for each in short if (name := {k: v for k, v in each.items() if v})]


async def only_json(graph: Graph) -> Json:
    (image,) = (await graph(QUERY))["images"]["nodes"]
    return image["header"]["json"]


def with_raw(elements: Iterable[tuple[int, str, bytes]]) -> Dataset:
    """A data set with these bytes, written as they are."""
    header = make_data_set()
    for tag, vr, raw in elements:
        put_raw(header, tag, vr, raw)
    return header


async def test_group_lengths_are_left_out_at_any_depth(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    item = Dataset()
    put_raw(item, 0x00080000, "UL", struct.pack("<L", 12))
    item.CodeValue = "1"
    header = with_raw([(0x00080000, "UL", struct.pack("<L", 99)), (0x00190000, "UL", b"\1\0\0\0")])
    header.AnatomicRegionSequence = [item]
    import_files(save(header, tmp_path / "files" / "lengths.dcm"))
    found = await only_json(graph)
    assert not [tag for tag in found if tag.endswith("0000")]
    assert found["00082218"]["Value"] == [{"00080100": {"vr": "SH", "Value": ["1"]}}]
