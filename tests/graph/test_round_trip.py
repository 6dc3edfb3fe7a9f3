"""The elements that the server returns are the elements that pydicom reads, at every depth."""

import base64
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import pydicom
import pytest
from pydicom.dataelem import DataElement
from pydicom.multival import MultiValue

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

pytestmark = pytest.mark.slow

PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}
BYTES = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
INLINE_LIMIT = 65_536
"""Longer bytes stay in the file, but for those of Siemens CSA headers and XA protocols."""
TRUNCATED = {"rtplan_truncated.dcm"}
"""Cut inside a sequence: pydicom drops what is left without a word, dicom-graph refuses it."""
DEPTH = 8
PAGE = 40


class Shape(NamedTuple):
    """What is compared of an element. `items` is None unless it is a sequence."""

    tag: str
    vr: str
    vm: int
    private_creator: str | None
    texts: tuple[str | None, ...]
    items: tuple[tuple["Shape", ...], ...] | None


def query() -> str:
    """Pages of images with their elements, nested to a depth that no file here reaches."""
    levels = "".join(
        f"fragment L{level} on DataElement "
        f"{{ ...Plain items {{ elements {{ ...L{level + 1} }} }} }}\n"
        for level in range(DEPTH)
    )
    return f"""
        query ($first: Int!, $after: String) {{
          images(first: $first, after: $after) {{
            pageInfo {{ hasNextPage endCursor }}
            nodes {{ files {{ path }} header {{ elements {{ ...L0 }} }} }}
          }}
        }}
        fragment Plain on DataElement {{ tag vr vm privateCreator values {{ raw }} }}
        {levels}
        fragment L{DEPTH} on DataElement {{ ...Plain }}
    """


async def headers(graph: Graph) -> dict[Path, list[dict[str, Any]]]:
    """The elements of every image that the server has, by the path of its file."""
    found = {}
    after, more = None, True
    while more:
        page = (await graph(query(), first=PAGE, after=after))["images"]
        for image in page["nodes"]:
            found[Path(image["files"][0]["path"])] = image["header"]["elements"]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    return found


def served(elements: list[dict[str, Any]]) -> tuple[Shape, ...]:
    """The elements of an answer."""
    return tuple(
        Shape(
            tag=element["tag"],
            vr=element["vr"],
            vm=element["vm"],
            private_creator=element["privateCreator"],
            texts=tuple(_normal(value["raw"], element["vr"]) for value in element["values"]),
            items=_served_items(element.get("items")),
        )
        for element in elements
    )


def _served_items(items: list[dict[str, Any]] | None) -> tuple[tuple[Shape, ...], ...] | None:
    return None if items is None else tuple(served(item["elements"]) for item in items)


def expected(data_set: pydicom.Dataset) -> tuple[Shape, ...]:
    """The elements that pydicom reads."""
    return tuple(
        _shape(data_set, data_set[tag]) for tag in sorted(data_set.keys()) if tag not in PIXEL_DATA
    )


def _shape(data_set: pydicom.Dataset, element: DataElement) -> Shape:
    if element.tag.elem == 0 and element.VR == "UN" and len(element.value) == 4:
        # The length of a private group is UL (PS3.5 7.2), which pydicom does not say.
        element = DataElement(element.tag, "UL", int.from_bytes(element.value, "little"))
    is_sequence = element.VR == "SQ"
    return Shape(
        tag=f"({element.tag.group:04X},{element.tag.elem:04X})",
        vr=str(element.VR),
        vm=len(element.value) if is_sequence else element.VM,
        private_creator=_creator(data_set, element),
        texts=() if is_sequence else tuple(_texts(element)),
        items=tuple(expected(item) for item in element.value) if is_sequence else None,
    )


def _creator(data_set: pydicom.Dataset, element: DataElement) -> str | None:
    # `element.private_creator` lacks it for sequences of undefined length.
    if not element.tag.is_private or element.tag.elem < 0x1000:
        return None
    found = data_set.get((element.tag.group, element.tag.elem >> 8))
    return found.value if found is not None else None


def _texts(element: DataElement) -> Iterator[str | None]:
    """The text of each value, as pydicom has it."""
    if element.VM == 0:
        return
    if element.VR in BYTES:
        is_xa_protocol = element.tag.element & 0xFF == 0x19
        is_csa = element.private_creator == "SIEMENS CSA HEADER" or (
            element.private_creator == "SIEMENS MR SDS 01" and is_xa_protocol
        )
        is_inline = is_csa or len(element.value) <= INLINE_LIMIT
        yield base64.b64encode(element.value).decode() if is_inline else None
        return
    is_many = isinstance(element.value, MultiValue | list)
    for value in element.value if is_many else [element.value]:
        yield _text(value, element.VR)


def _text(value: Any, vr: str) -> str | None:
    if vr == "AT":
        return f"({value >> 16:04X},{value & 0xFFFF:04X})"
    as_written = getattr(value, "original_string", value) if vr in ("DS", "IS") else value
    return _normal(str(as_written), vr)


def _normal(text: str | None, vr: str) -> str | None:
    """Without padding; a floating point number in one of the ways to write it."""
    if text is None or vr in BYTES:
        return text
    # Plus 0: -0 is 0.
    return repr(float(text) + 0.0) if vr in ("FD", "FL") else text.strip(" \0")


@cache
def expected_of_bytes(raw: bytes) -> tuple[Shape, ...]:
    """What pydicom reads, once for both databases."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # What follows the pixel data (padding, signatures) is not read by dicom-graph either.
        return expected(
            pydicom.dcmread(pydicom.filebase.DicomBytesIO(raw), stop_before_pixels=True, force=True)
        )


def count(elements: Iterable[Shape]) -> int:
    """Elements at all depths."""
    return sum(1 + sum(map(count, element.items or ())) for element in elements)


def difference(ours: tuple[Shape, ...], theirs: tuple[Shape, ...]) -> object:
    """The first elements that differ, at whatever depth, for the message of a failure."""
    for one, other in zip_longest(ours, theirs):
        if one == other:
            continue
        if one is None or other is None or one[:-1] != other[:-1]:
            return one and one[:-1], other and other[:-1]
        pairs = zip_longest(one.items or (), other.items or (), fillvalue=())
        return next(filter(None, (difference(*pair) for pair in pairs)))
    return None


async def compare(
    paths: Iterable[Path], folder: Path, import_files: Callable[..., Report], graph: Graph
) -> tuple[int, int]:
    """Import in full mode, ask for all, compare; returns the counts of files and elements."""
    copies = distinct_copies(paths, folder)
    import_files(folder)
    found = await headers(graph)
    assert {path.name for path in set(copies) - found.keys()} <= TRUNCATED
    n_elements = 0
    for path, elements in found.items():
        ours, theirs = served(elements), expected_of_bytes(path.read_bytes())
        assert difference(ours, theirs) is None, path.name
        n_elements += count(theirs)
    print(f"\n{len(found)} files: {n_elements} elements are the same")
    return len(found), n_elements


async def test_the_files_of_the_wheels(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    paths = (*pydicom_files(), *nibabel_dicom_files())
    n_files, n_elements = await compare(paths, tmp_path / "files", import_files, graph)
    assert n_files > 185
    assert n_elements > 30_000


@needs_shared
async def test_the_shared_files(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    # The 600 of GE differ in a handful of elements.
    paths = sampled(shared_files(), "20180918GE", 4)
    n_files, n_elements = await compare(paths, tmp_path / "files", import_files, graph)
    assert n_files > 110
    assert n_elements > 30_000
