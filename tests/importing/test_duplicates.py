"""Several files that claim to be one image, and headers that contradict what is known."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dicom_graph.importing.foreground import Report
from dicom_graph.store.ingest import Mode
from tests.support.graph import Graph
from tests.support.make import make_file

IDENTITY = {"SOPInstanceUID": "1.2.3.4", "SeriesInstanceUID": "1.2.3", "StudyInstanceUID": "1.2"}
QUESTION = """{ imageByUid(uid: "1.2.3.4") { warnings patient { uid name }
    series { description } header { element(keyword: "EchoTime") { value } } } }"""


async def _image(graph: Graph) -> dict[str, Any]:
    image: dict[str, Any] = (await graph(QUESTION))["imageByUid"]
    return image


async def test_a_fuller_import_of_another_patients_file_keeps_the_header_and_warns(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    make_file(tmp_path / "a" / "1.dcm", **IDENTITY, EchoTime=2.5)
    make_file(tmp_path / "c" / "1.dcm", **IDENTITY, EchoTime=77, PatientID="patient-2")
    import_files(tmp_path / "a", mode=Mode.NORMAL)
    report = import_files(tmp_path / "c", mode=Mode.FULL)
    image = await _image(graph)
    assert report.counts.existing == 1
    assert image["header"]["element"]["value"] == 2.5
    assert image["patient"]["uid"] == "patient-1"
    assert any("another PatientID" in warning for warning in image["warnings"])
    assert any("other content" in warning for warning in image["warnings"])


async def test_a_fuller_import_of_a_copy_completes_the_header_without_a_warning(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    make_file(tmp_path / "a" / "1.dcm", **IDENTITY)
    make_file(tmp_path / "b" / "1.dcm", **IDENTITY)
    import_files(tmp_path / "a", mode=Mode.NORMAL)
    assert import_files(tmp_path / "b", mode=Mode.FULL).counts.updated == 1
    assert (await _image(graph))["warnings"] == []


async def test_the_warning_of_another_file_outlives_a_change_of_the_first(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    first = make_file(tmp_path / "1.dcm", **IDENTITY, EchoTime=2.5)
    make_file(tmp_path / "2.dcm", **IDENTITY, EchoTime=77)
    import_files(tmp_path)
    os.utime(first, ns=(1, 1))
    assert import_files(tmp_path).counts.updated == 1
    assert any("other content" in w for w in (await _image(graph))["warnings"])


async def test_a_changed_file_refreshes_its_series_and_patient(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    path = make_file(tmp_path / "1.dcm", **IDENTITY, SeriesDescription="before")
    import_files(tmp_path)
    make_file(path, **IDENTITY, SeriesDescription="after", PatientName="New^Name")
    import_files(tmp_path)
    image = await _image(graph)
    assert image["series"]["description"] == "after"
    assert image["patient"]["name"] == "New^Name"
    assert image["warnings"] == []


async def test_two_people_under_one_patient_id_are_told(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    make_file(tmp_path / "1.dcm", PatientName="Doe^John", PatientSex="M")
    make_file(tmp_path / "2.dcm", PatientName="Roe^Jane", PatientSex="F")
    import_files(tmp_path)
    data = await graph("{ images(filter: {hasWarnings: true}) { nodes { warnings } } }")
    (image,) = data["images"]["nodes"]
    assert image["warnings"] == [
        "PatientName differs from that of the patient",
        "PatientSex differs from that of the patient",
    ]


def test_a_folder_named_twice_is_imported_once(
    tmp_path: Path, import_files: Callable[..., Report]
) -> None:
    for number in range(3):
        make_file(tmp_path / "tree" / "sub" / f"{number}.dcm")
    tree = tmp_path / "tree"
    report = import_files(tree, tree, tree / "sub")
    assert (report.counts.found, report.counts.created) == (3, 3)


async def test_an_image_that_contradicts_its_series_gets_its_header_by_a_fuller_import(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    series = {"StudyInstanceUID": "1.2", "SeriesInstanceUID": "1.2.3"}
    make_file(tmp_path / "1.dcm", **series, PatientName="Doe^John")
    contradicting = IDENTITY | {"StudyInstanceUID": "1.9"}
    make_file(tmp_path / "2.dcm", **contradicting, PatientID="patient-2", EchoTime=7.5)
    import_files(tmp_path, mode=Mode.MINIMAL)
    before = (await _image(graph))["warnings"]
    for mode in (Mode.NORMAL, Mode.FULL):
        assert import_files(tmp_path, mode=mode).counts.updated == 2
        image = await _image(graph)
        assert image["header"]["element"]["value"] == 7.5
        assert image["warnings"] == before
    assert [warning.partition(" ")[0] for warning in before] == ["PatientID", "StudyInstanceUID"]
