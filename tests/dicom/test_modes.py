"""What is kept of a header: nothing, the standard elements, or everything."""

import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_graph.importing.foreground import Report
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from tests.support.data import distinct_copies, pydicom_files
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_file, save

Import = Callable[..., Report]
Place = tuple[str, str]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}
NOT_READABLE = {"rtplan_truncated.dcm"}
QUERY = """{ images(first: 10000) { nodes { uid warnings files { path }
    header { json } } } }"""


@pytest.fixture(scope="module")
def wheel_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Copies of the images in pydicom's wheel."""
    return distinct_copies(pydicom_files(), tmp_path_factory.mktemp("wheel"))


@cache
def by_pydicom(path: Path) -> list[tuple[Place, bool]]:
    """All elements at any depth: tags and VR, and whether it is or lies in a private one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        return sorted(walk(header, "", False))


def walk(header: Dataset, path: str, in_private: bool) -> Iterator[tuple[Place, bool]]:
    for tag in list(header.keys()):
        # Group lengths have no place in DICOM JSON (PS3.18 F.2.2).
        if tag in PIXEL_DATA or tag.element == 0:
            continue
        here = f"{path}{int(tag):08X}"
        is_private = in_private or tag.is_private
        element = header[tag]
        yield (here, element.VR), is_private
        if element.VR == "SQ":
            for index, item in enumerate(element.value):
                yield from walk(item, f"{here}[{index}].", is_private)


def walk_json(header: dict[str, Any], path: str = "") -> Iterator[Place]:
    for tag, element in header.items():
        here = path + tag
        yield here, element["vr"]
        if element["vr"] == "SQ":
            for index, item in enumerate(element.get("Value", ())):
                yield from walk_json(item, f"{here}[{index}].")


async def headers(graph: Graph) -> dict[Path, Any]:
    """The headers in JSON by file; None where there is none."""
    data = await graph(QUERY)
    return {
        Path(image["files"][0]["path"]): image["header"] and image["header"]["json"]
        for image in data["images"]["nodes"]
    }


@pytest.mark.parametrize("mode", list(Mode))
async def test_what_each_mode_keeps_of_the_files_in_pydicoms_wheel(
    wheel_files: list[Path], import_files: Import, graph: Graph, mode: Mode
) -> None:
    import_files(*wheel_files, mode=mode)
    found = await headers(graph)
    assert {path.name for path in set(wheel_files) - found.keys()} <= NOT_READABLE
    counts: Counter[str] = Counter()
    for path, header in found.items():
        if mode is Mode.MINIMAL:
            assert header is None
            continue
        everything = by_pydicom(path)
        kept = [place for place, is_private in everything if mode is Mode.FULL or not is_private]
        assert sorted(walk_json(header)) == kept, path
        counts["kept"] += len(kept)
        counts["private"] += len(everything) - len(kept)
    print(f"\n{mode.name}: {len(found)} files, {dict(counts)}")
    assert len(found) > 150
    if mode is Mode.NORMAL:
        assert counts["private"] > 1000


def nested_private() -> Dataset:
    """Private elements at the top, in a standard sequence, and around a standard element."""
    inner = Dataset()
    inner.SliceThickness = 1
    inner.private_block(0x0019, "ACME", create=True).add_new(0x01, "LO", "in standard")
    standard = Dataset()
    standard.EchoTime = 3
    header = make_data_set(ReferencedImageSequence=Sequence([inner]))
    block = header.private_block(0x0019, "ACME", create=True)
    block.add_new(0x01, "LO", "top")
    block.add_new(0x02, "SQ", Sequence([standard]))
    return header


async def test_normal_has_no_private_element_inside_sequences_either(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    path = save(nested_private(), tmp_path / "a.dcm")
    import_files(path, mode=Mode.NORMAL)
    found = (await headers(graph))[path]
    assert not [tag for tag in found if int(tag[:4], 16) % 2]
    assert found["00081140"]["Value"] == [{"00180050": {"vr": "DS", "Value": [1.0]}}]


def test_normal_is_the_default() -> None:
    assert JobRequest(("/data",)).mode is Mode.NORMAL


async def test_minimal_has_entities_but_no_header(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(save(nested_private(), tmp_path / "a.dcm"), mode=Mode.MINIMAL)
    data = await graph("""{ images { nodes { number header { id } files { path }
        series { echoTime sampleHeader { id } patient { fullName } } } } }""")
    (image,) = data["images"]["nodes"]
    assert (image["number"], image["header"], len(image["files"])) == (1, None, 1)
    assert image["series"] == {
        "echoTime": 2.5,
        "sampleHeader": None,
        "patient": {"fullName": "Dr Given Middle Family Jr"},
    }


async def test_a_fuller_mode_completes_and_a_lesser_one_changes_nothing(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    folder = tmp_path / "in"
    make_file(folder / "plain.dcm")
    nested = save(nested_private(), folder / "nested.dcm")
    ids = set()
    for mode, outcome in (
        (Mode.MINIMAL, "created"), (Mode.MINIMAL, "existing"),
        (Mode.NORMAL, "updated"), (Mode.NORMAL, "existing"), (Mode.MINIMAL, "existing"),
        (Mode.FULL, "updated"), (Mode.NORMAL, "existing"), (Mode.FULL, "existing"),
    ):  # fmt: skip
        before = await headers(graph)
        counts = import_files(folder, mode=mode).counts
        assert {outcome: 2} == {
            name: number
            for name in ("created", "updated", "existing", "failed")
            if (number := getattr(counts, name))
        }, (mode, outcome)
        if outcome == "existing":
            assert await headers(graph) == before
        ids.add(str(sorted(await image_ids(graph))))
    assert len(ids) == 1, "the images stay the same ones"
    found = (await headers(graph))[nested]
    assert sorted(walk_json(found)) == [place for place, _ in by_pydicom(nested)]


async def image_ids(graph: Graph) -> list[str]:
    data = await graph("{ images { nodes { id } } }")
    return [image["id"] for image in data["images"]["nodes"]]


async def test_from_minimal_right_to_full(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    path = save(nested_private(), tmp_path / "a.dcm")
    assert import_files(path, mode=Mode.MINIMAL).counts.created == 1
    assert import_files(path, mode=Mode.FULL).counts.updated == 1
    found = (await headers(graph))[path]
    assert sorted(walk_json(found)) == [place for place, _ in by_pydicom(path)]


async def test_a_completed_header_brings_its_warnings(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    header = nested_private()
    header.private_block(0x0019, "ACME").add_new(0x03, "IS", "7")
    path = save(header, tmp_path / "a.dcm")
    path.write_bytes(path.read_bytes().replace(b"IS\x02\x007 ", b"IS\x02\x00x "))
    seen = []
    for mode in Mode:
        import_files(path, mode=mode)
        data = await graph("{ images(filter: {hasWarnings: true}) { totalCount } }")
        seen.append(data["images"]["totalCount"])
    assert seen == [0, 0, 1]
