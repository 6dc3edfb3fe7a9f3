"""What the headers of a series share and what varies, against a plain evaluation by pydicom."""

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.sequence import Sequence

from dicom_graph.importing.foreground import Report
from dicom_graph.store.ingest import Mode
from tests.support.data import SHARED, needs_shared
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_series, save

Import = Callable[..., Report]
PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}

QUERY = """{ series(first: 100) { nodes { uid
    constantElements { tag vr value }
    varyingElements { tag path nDistinct nMissing definition { vr tag } } } } }"""


class Plain:
    """The headers of one series, counted without any cleverness."""

    def __init__(self) -> None:
        self.n_headers = 0
        self._uses: dict[tuple[str, str], dict[bytes, int]] = defaultdict(dict)

    def add(self, header: Dataset) -> None:
        self.n_headers += 1
        for element in header:
            if element.tag not in PIXEL_DATA:
                uses = self._uses[tag_text(element.tag), element.VR]
                content = in_bytes(element)
                uses[content] = uses.get(content, 0) + 1

    def constant(self) -> list[tuple[str, str]]:
        return sorted(key for key, uses in self._uses.items() if self._is_constant(uses))

    def varying(self) -> list[tuple[str, str, int, int]]:
        return sorted(
            (*key, len(uses), self.n_headers - sum(uses.values()))
            for key, uses in self._uses.items()
            if not self._is_constant(uses)
        )

    def _is_constant(self, uses: dict[bytes, int]) -> bool:
        return list(uses.values()) == [self.n_headers]


def tag_text(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def in_bytes(element: Any) -> bytes:
    """An element as pydicom writes it."""
    file = DicomBytesIO()
    file.is_little_endian, file.is_implicit_VR = True, True
    write_data_element(file, element)
    return file.getvalue()


def evaluate(paths: Iterable[Path]) -> dict[str, Plain]:
    series: dict[str, Plain] = defaultdict(Plain)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in paths:
            header = pydicom.dcmread(path, stop_before_pixels=True)
            series[header.SeriesInstanceUID].add(header)
    return dict(series)


async def assert_equal_to_plain(graph: Graph, expected: dict[str, Plain]) -> None:
    found = {node["uid"]: node for node in (await graph(QUERY))["series"]["nodes"]}
    assert found.keys() == expected.keys()
    for uid, plain in expected.items():
        constant = [(e["tag"], e["vr"]) for e in found[uid]["constantElements"]]
        assert constant == plain.constant()
        varying = [
            (e["tag"], e["definition"]["vr"], e["nDistinct"], e["nMissing"])
            for e in found[uid]["varyingElements"]
            if "." not in e["path"]
        ]
        assert [tag for tag, *_ in varying] == sorted(tag for tag, *_ in varying)
        assert sorted(varying) == plain.varying()


def real_series() -> list[list[Path]]:
    """Every tenth file of the GE series, and the Siemens mosaics."""
    assert SHARED is not None
    nih = SHARED / "nih" / "dicom"
    ge = [sorted(folder.glob("*.dcm"))[::10] for folder in sorted((nih / "20180918GE").iterdir())]
    siemens = [sorted(folder.iterdir()) for folder in sorted((nih / "20180918Si").iterdir())]
    return [files for files in (*ge, *siemens) if files]


@needs_shared
async def test_real_series(import_files: Import, graph: Graph) -> None:
    series = real_series()
    assert sorted({len(files) for files in series}) == [2, 15]
    paths = [path for files in series for path in files]
    import_files(*paths)
    expected = evaluate(paths)
    await assert_equal_to_plain(graph, expected)
    constant = sum(len(plain.constant()) for plain in expected.values())
    varying = sum(len(plain.varying()) for plain in expected.values())
    print(f"\n{len(expected)} series, {len(paths)} files: {constant} constant, {varying} varying")
    assert constant > 1000
    assert varying > 100


def mixed_series(folder: Path) -> list[Path]:
    """Elements of every kind of difference: value, absence, VR, items, private."""
    paths = []
    for number in range(6):
        header = make_data_set(
            SeriesInstanceUID="1.2", StudyInstanceUID="1", PatientSex=None,
            InstanceNumber=number, EchoTime=number % 3, ImageComments="c" if number < 2 else None,
            PatientComments="" if number == 5 else "p", PatientWeight=None if number == 3 else "70",
        )  # fmt: skip
        item = Dataset()
        item.ReferencedSOPInstanceUID = f"1.{number // 3}"
        header.ReferencedImageSequence = Sequence([item])
        header.SourceImageSequence = Sequence([Dataset()])
        header.add_new(0x00280106, "US" if number else "SS", 0)
        header.private_block(0x0019, "ACME", create=True).add_new(0x10, "LO", str(number // 2))
        paths.append(save(header, folder / f"{number}.dcm"))
    return paths


async def test_every_kind_of_difference(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    paths = mixed_series(tmp_path)
    import_files(tmp_path)
    await assert_equal_to_plain(graph, evaluate(paths))
    (series,) = (await graph(QUERY))["series"]["nodes"]
    varying = {
        (e["tag"], e["definition"]["vr"]): (e["nDistinct"], e["nMissing"])
        for e in series["varyingElements"]
        if "." not in e["path"]
    }
    assert varying[tag_text(0x00180081), "DS"] == (3, 0)
    assert varying[tag_text(0x00204000), "LT"] == (1, 4)
    assert varying[tag_text(0x00101030), "DS"] == (1, 1)
    assert varying[tag_text(0x00104000), "LT"] == (2, 0)
    assert varying[tag_text(0x00081140), "SQ"] == (2, 0)
    assert varying[tag_text(0x00191010), "LO"] == (3, 0)
    assert varying[tag_text(0x00280106), "SS"] == (1, 5)
    constant = {e["tag"]: e["value"] for e in series["constantElements"]}
    assert constant[tag_text(0x00080060)] == "MR"
    assert tag_text(0x00082112) in constant


async def test_images_that_arrive_one_by_one(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    """They get other shared sets than those that arrive together, but the same contents."""
    paths = mixed_series(tmp_path)
    for path in reversed(paths):
        import_files(path)
    await assert_equal_to_plain(graph, evaluate(paths))


async def test_one_image_is_constant_and_none_is_empty(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    (path,) = make_series(tmp_path / "1", 1, SeriesInstanceUID="1.1")
    make_series(tmp_path / "2", 2, SeriesInstanceUID="1.2")
    import_files(path)
    import_files(tmp_path / "2", mode=Mode.MINIMAL)
    found = {node["uid"]: node for node in (await graph(QUERY))["series"]["nodes"]}
    assert [(e["tag"], e["vr"]) for e in found["1.1"]["constantElements"]] == evaluate([path])[
        "1.1"
    ].constant()
    assert found["1.1"]["varyingElements"] == []
    assert (found["1.2"]["constantElements"], found["1.2"]["varyingElements"]) == ([], [])


async def test_as_many_statements_for_40_images_as_for_4(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    statements = {}
    for count in (4, 40):
        make_series(tmp_path / str(count), count, SeriesInstanceUID=f"1.{count}")
        import_files(tmp_path / str(count))
        graph.store = type(graph.store)(graph.database)
        query = """query ($uid: String!) { seriesByUid(uid: $uid) { constantElements { tag value }
            varyingElements { tag nDistinct nMissing } } }"""
        await graph(query, uid=f"1.{count}")
        statements[count] = len(graph.statements)
    assert statements[40] == statements[4]


PER_FRAME = "PerFrameFunctionalGroupsSequence"


def differences_of_frames(frames: list[Dataset]) -> list[tuple[str, int, int]]:
    """Path, number of different contents and of frames without it; sequences of one item."""
    uses: dict[str, list[bytes]] = defaultdict(list)

    def walk(item: Dataset, way: str) -> None:
        for element in item:
            name = element.keyword or tag_text(element.tag)
            if element.VR == "SQ":
                for below in element.value:
                    walk(below, f"{way}.{name}")
            else:
                uses[f"{way}.{name}"].append(in_bytes(element))

    for frame in frames:
        walk(frame, PER_FRAME)
    return sorted(
        (path, len(set(contents)), len(frames) - len(contents))
        for path, contents in uses.items()
        if len(set(contents)) > 1 or len(contents) < len(frames)
    )


def in_frames(series: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [
        (e["path"], e["nDistinct"], e["nMissing"])
        for e in series["varyingElements"]
        if "." in e["path"]
    ]


def enhanced(echo_times: list[float | None]) -> Dataset:
    """An image of as many frames; None has no echo time."""
    frames = []
    for number, echo_time in enumerate(echo_times):
        echo, plane, content = Dataset(), Dataset(), Dataset()
        if echo_time is not None:
            echo.EffectiveEchoTime = echo_time
        plane.ImagePositionPatient = [0.0, 0.0, float(number)]
        content.FrameAcquisitionNumber = 1
        frame = Dataset()
        frame.MREchoSequence, frame.PlanePositionSequence = [echo], [plane]
        frame.FrameContentSequence = [content]
        frames.append(frame)
    return make_data_set(
        SeriesInstanceUID="1.9", NumberOfFrames=len(frames), **{PER_FRAME: Sequence(frames)}
    )


async def test_what_differs_among_frames(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    """Of one image, then with a second one of the same series that shares a frame with it."""
    frames: list[Dataset] = []
    for number, echo_times in enumerate(([10.0, 10.0, 20.0, None], [10.0, 30.0])):
        image = enhanced(echo_times)
        save(image, tmp_path / f"{number}.dcm")
        import_files(tmp_path)
        graph.store = type(graph.store)(graph.database)
        (series,) = (await graph(QUERY))["series"]["nodes"]
        frames += image[PER_FRAME].value
        assert in_frames(series) == differences_of_frames(frames)
    echo = f"{PER_FRAME}.MREchoSequence.EffectiveEchoTime"
    assert (echo, 3, 1) in in_frames(series)


@needs_shared
async def test_what_differs_among_real_frames(import_files: Import, graph: Graph) -> None:
    assert SHARED is not None
    folder = SHARED / "enhanced/dicom/Siemens/XA10"
    import_files(folder, mode=Mode.FULL)
    (series,) = (await graph(QUERY))["series"]["nodes"]
    images = [pydicom.dcmread(path, stop_before_pixels=True) for path in sorted(folder.iterdir())]
    frames = [frame for image in images for frame in image[PER_FRAME].value]
    assert in_frames(series) == differences_of_frames(frames)
    assert len(in_frames(series)) > 10
