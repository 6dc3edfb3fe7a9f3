"""The private elements of "SIEMENS MR HEADER" whose meaning is known (PARITY, row 16)."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom.datadict import private_dictionary_description
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from dicom_graph.importing.foreground import Report
from tests.support.data import (
    distinct_copies,
    file_bytes,
    nibabel_dicom_files,
    read_header,
    shared_files,
)
from tests.support.graph import Graph
from tests.support.make import make_data_set, save

Import = Callable[..., Report]

CREATOR = "SIEMENS MR HEADER"
MEANINGS = {
    0x0A: "NumberOfImagesInMosaic",
    0x0B: "SliceMeasurementDuration",
    0x0C: "B_value",
    0x0E: "DiffusionGradientDirection",
    0x27: "B_matrix",
    0x28: "BandwidthPerPixelPhaseEncode",
    0x29: "MosaicRefAcqTimes",
}
"""Low bytes of (0019,xx..), and what is in each, in the words of pydicom's dictionary."""

FIELDS = " ".join(
    f"""e{low:02X}: element(tag: "(0019,xx{low:02X})", privateCreator: "{CREATOR}") {{
        tag vr vm value name definition {{ tag name privateCreator vr keyword }} }}"""
    for low in MEANINGS
)


def element_of(header: Dataset, low: int) -> Any:
    try:
        return header.private_block(0x0019, CREATOR)[low]
    except KeyError:
        return None


def siemens_files() -> list[Path]:
    """The files with at least one of the elements."""
    found = []
    for path in (*nibabel_dicom_files(), *shared_files()):
        if CREATOR.encode() in file_bytes(path):
            header = read_header(path)
            if any(element_of(header, low) is not None for low in MEANINGS):
                found.append(path)
    return found


def expected_value(element: Any) -> Any:
    """pydicom's value in plain JSON: numbers as numbers, one value alone."""
    values = list(element.value) if isinstance(element.value, MultiValue) else [element.value]
    if element.VR == "DS":
        values = [float(value) for value in values]
    elif element.VR == "IS":
        values = [int(value) for value in values]
    return values[0] if len(values) == 1 else values


async def test_they_have_the_names_and_values_of_pydicom(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    copies = distinct_copies(siemens_files(), tmp_path / "in")
    import_files(tmp_path / "in")
    data = await graph(
        f"{{ images(first: 1000) {{ nodes {{ files {{ path }} header {{ {FIELDS} }} }} }} }}"
    )
    assert len(data["images"]["nodes"]) == len(copies)
    seen: Counter[str] = Counter()
    for image in data["images"]["nodes"]:
        header = read_header(Path(image["files"][0]["path"]))
        for low, meaning in MEANINGS.items():
            element, found = element_of(header, low), image["header"][f"e{low:02X}"]
            if element is None:
                assert found is None
                continue
            assert_same(element, found, low, meaning)
            seen[meaning] += 1
    print(f"\n{len(copies)} Siemens files: {dict(seen)}")
    assert seen.keys() >= {
        "NumberOfImagesInMosaic",
        "SliceMeasurementDuration",
        "MosaicRefAcqTimes",
    }


def assert_same(element: Any, found: dict[str, Any], low: int, meaning: str) -> None:
    assert private_dictionary_description(element.tag, CREATOR) == meaning
    tag = f"({element.tag.group:04X},{element.tag.element:04X})"
    assert (found["tag"], found["vr"], found["vm"]) == (tag, element.VR, element.VM)
    assert found["name"] == meaning
    assert found["value"] == expected_value(element)
    assert found["definition"] == {
        "tag": f"(0019,xx{low:02X})",
        "name": meaning,
        "privateCreator": CREATOR,
        "vr": element.VR,
        "keyword": None,
    }


async def test_diffusion_elements_by_their_meaning(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    """In whichever block, and next to another vendor's element of the same number."""
    header = make_data_set()
    header.private_block(0x0019, "SOMEONE ELSE", create=True).add_new(0x0C, "LO", "not this")
    block = header.private_block(0x0019, CREATOR, create=True)
    block.add_new(0x0A, "US", 48)
    block.add_new(0x0B, "DS", "52500.5")
    block.add_new(0x0C, "IS", "1000")
    block.add_new(0x0E, "FD", [0.6, 0.8, 0.0])
    block.add_new(0x27, "FD", [1.5, 0.0, 0.0, 2.5, 0.0, 3.5])
    block.add_new(0x28, "FD", 12.25)
    block.add_new(0x29, "FD", [0.0, 1190.5, 60.25])
    import_files(save(header, tmp_path / "siemens.dcm"))
    (image,) = (await graph(f"{{ images {{ nodes {{ header {{ {FIELDS} }} }} }} }}"))["images"][
        "nodes"
    ]
    found = {MEANINGS[low]: image["header"][f"e{low:02X}"] for low in MEANINGS}
    assert {element["tag"][:8] for element in found.values()} == {"(0019,11"}
    assert {meaning: element["value"] for meaning, element in found.items()} == {
        "NumberOfImagesInMosaic": 48,
        "SliceMeasurementDuration": 52500.5,
        "B_value": 1000,
        "DiffusionGradientDirection": [0.6, 0.8, 0.0],
        "B_matrix": [1.5, 0.0, 0.0, 2.5, 0.0, 3.5],
        "BandwidthPerPixelPhaseEncode": 12.25,
        "MosaicRefAcqTimes": [0.0, 1190.5, 60.25],
    }
