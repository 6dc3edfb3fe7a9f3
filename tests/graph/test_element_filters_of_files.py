"""Elements inside the sequences of real files are found where pydicom finds them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset

from dicom_graph.importing.foreground import Report
from tests.graph.test_element_filters import FRAME_GROUPS, SHARED_GROUPS, element, holders
from tests.support.data import SHARED, distinct_copies, needs_shared, pydicom_files
from tests.support.graph import Graph

THICKNESS = [SHARED_GROUPS, FRAME_GROUPS]
"""Sequences whose items have a PixelMeasuresSequence."""


def thicknesses(data_set: Dataset, groups: str) -> set[float]:
    """The slice thicknesses of functional groups, as pydicom reads them."""
    return {
        float(inner.SliceThickness)
        for outer in data_set.get(groups) or ()
        for inner in outer.get("PixelMeasuresSequence") or ()
        if inner.get("SliceThickness") is not None
    }


async def compare_thicknesses(graph: Graph, paths: list[Path]) -> int:
    """Each thickness that occurs finds the files that pydicom finds it in; returns their number."""
    headers = {path.stem: pydicom.dcmread(path, stop_before_pixels=True) for path in paths}
    compared = 0
    for groups in THICKNESS:
        held = {name: thicknesses(header, groups) for name, header in headers.items()}
        for value in set().union(*held.values()):
            expected = {name for name, values in held.items() if value in values}
            wanted = element(
                path=f"{groups}.PixelMeasuresSequence.SliceThickness", number={"eq": value}
            )
            assert await holders(graph, {"header": wanted}) == expected
            compared += len(expected)
        path = f"{groups}.PixelMeasuresSequence.SliceThickness"
        expected = {name for name, values in held.items() if values}
        assert await holders(graph, {"header": element(path=path)}) == expected
    return compared


@needs_shared
async def test_the_slice_thickness_of_enhanced_images(
    import_files: Callable[..., Report], graph: Graph
) -> None:
    assert SHARED is not None
    paths = sorted((SHARED / "enhanced" / "dicom").rglob("*.dcm"))
    import_files(*paths)
    assert await compare_thicknesses(graph, paths) == 5


def nested_codes(items: Iterable[Dataset], path: str = "") -> Iterator[tuple[str, str]]:
    """The path and text of each CS and UI inside the sequences of data sets."""
    for data_set in items:
        for child in data_set:
            here = f"{path}.{child.keyword}" if path else child.keyword
            if child.VR == "SQ" and child.keyword:
                yield from nested_codes(child.value, here)
            elif path and child.keyword and child.VR in ("CS", "UI") and child.VM == 1:
                yield here, str(child.value)


WITH_SEQUENCES = {
    "rtplan.dcm", "rtdose_1frame.dcm", "rtstruct.dcm", "reportsi.dcm", "test-SR.dcm",
    "waveform_ecg.dcm", "liver_1frame.dcm", "MR_small.dcm", "nested_priv_SQ.dcm",
}  # fmt: skip


@pytest.mark.slow
async def test_codes_in_the_sequences_of_the_files_in_a_wheel(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    paths = distinct_copies(
        [path for path in pydicom_files() if path.name in WITH_SEQUENCES], tmp_path / "files"
    )
    import_files(tmp_path / "files")
    imported = {path for path in paths if path.parent.name in await holders(graph, {})}
    expected = defaultdict(set)
    for path in imported:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        for found in nested_codes([header]):
            expected[found].add(path.parent.name)
    assert len(expected) > 80
    for path, text in sorted(expected)[::4]:
        wanted = {"header": element(path=path, text={"eq": text})}
        assert await holders(graph, wanted) == expected[path, text], (path, text)
