"""Filters on the elements of headers, standard and private, at any depth."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from sqlalchemy import event

from dicom_graph.importing.foreground import Report
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.read import Store
from tests.support.graph import Graph
from tests.support.make import make_data_set, put_raw, save

Filter = dict[str, Any]

SAME_64 = "The first sixty-four characters of these two comments are equal:"
LONG = "x" * 3000 + "é" * 1000
SHARED_GROUPS = "SharedFunctionalGroupsSequence"
FRAME_GROUPS = "PerFrameFunctionalGroupsSequence"
HUGE = 2**63 + 1


def item(**elements: Any) -> Dataset:
    """A sequence item."""
    data_set = Dataset()
    for keyword, value in elements.items():
        setattr(data_set, keyword, value)
    return data_set


def code(value: str, scheme: str) -> Dataset:
    return item(CodeValue=value, CodingSchemeDesignator=scheme)


def measures(thickness: float) -> Dataset:
    """An item of functional groups with its pixel measures."""
    return item(PixelMeasuresSequence=Sequence([item(SliceThickness=thickness)]))


def reference(uid: str, *purposes: Dataset) -> Dataset:
    return item(
        ReferencedSOPInstanceUID=uid, PurposeOfReferenceCodeSequence=Sequence(list(purposes))
    )


def put_private(data_set: Dataset, creator: str, value: str) -> None:
    data_set.private_block(0x0019, creator, create=True).add_new(0x9C, "LO", value)


def image_a() -> Dataset:
    made = make_data_set(
        EchoTime=2.5, ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"], PatientAge="045Y",
        AcquisitionDateTime="20190101120000+0200", AcquisitionDate="20190101",
        AcquisitionTime="120000", PixelSpacing=[0.5, 0.8], ImageComments=SAME_64 + " one",
        FrameIncrementPointer=0x00181063, AccessionNumber="", SelectorUVValue=HUGE,
        ProcedureCodeSequence=Sequence([code("A", "X"), code("B", "Y")]),
        SharedFunctionalGroupsSequence=Sequence([measures(3)]),
        ReferencedImageSequence=Sequence([reference("1.1"), reference("1.2")]),
    )  # fmt: skip
    put_private(made, "GEMS_ACQU_01", "efgre3d")
    return made


def image_b() -> Dataset:
    made = make_data_set(
        EchoTime=30, PatientAge="018M", AcquisitionDateTime="20190101120000.5",
        AcquisitionDate="20190601", AcquisitionTime="120000.25", PixelSpacing=[0.8, 0.5],
        ImageComments=SAME_64 + " two",
        ProcedureCodeSequence=Sequence([code("A", "Y"), code("B", "X")]),
        PerFrameFunctionalGroupsSequence=Sequence([measures(4), measures(5)]),
        ReferencedImageSequence=Sequence([reference("1.2"), reference("1.1", code("Z", "X"))]),
    )  # fmt: skip
    put_private(made, "SOMEONE", "efgre3d")
    put_private(made, "GEMS_ACQU_01", "fse")
    return made


def image_c() -> Dataset:
    """With an EchoTime that is no number, a private element in an item, and a long text."""
    inner = measures(3)
    put_private(inner, "GEMS_ACQU_01", "deep")
    made = make_data_set(TextValue=LONG, SharedFunctionalGroupsSequence=Sequence([inner]))
    made.SpecificCharacterSet = "ISO_IR 192"
    put_raw(made, 0x00180081, "DS", b"late")
    return made


def image_d() -> Dataset:
    """With an empty sequence, and the wildcards of LIKE in a text."""
    return make_data_set(
        EchoTime=None, ProcedureCodeSequence=Sequence([]), ImageComments="100% c:\\temp_1",
        TextValue=LONG + "!", SpecificCharacterSet="ISO_IR 192",
    )  # fmt: skip


@cache
def images() -> dict[str, Dataset]:
    """The archive: four headers by their labels."""
    return {"a": image_a(), "b": image_b(), "c": image_c(), "d": image_d()}


def fill(folder: Path) -> None:
    for number, (label, data_set) in enumerate(images().items()):
        data_set.SOPInstanceUID = f"1.2.{number}"
        data_set.SeriesDescription = label
        data_set.SeriesInstanceUID = f"1.3.{number // 2}"
        data_set.StudyInstanceUID = f"1.4.{number // 2}"
        data_set.PatientID = "ab" if label in "ab" else "cd"
        save(data_set, folder / f"{label}.dcm")


@pytest.fixture
def archive(archive_database: Database) -> Graph:
    """GraphQL on the archive."""
    return Graph(archive_database, Store(archive_database))


QUERY = """
query ($filter: ImageFilter) {
  images(filter: $filter, first: 1000) { totalCount nodes { uid files { path } } }
}
"""


async def holders(graph: Graph, wanted: Filter) -> set[str]:
    """The names of the files, or of their numbered folders, of the images that a filter finds."""
    page = (await graph(QUERY, filter=wanted))["images"]
    paths = [Path(node["files"][0]["path"]) for node in page["nodes"]]
    names = [path.parent.name if path.parent.name.isdigit() else path.stem for path in paths]
    assert page["totalCount"] == len(names) == len(set(names))
    return set(names)


def cases(*pairs: tuple[Filter, str]) -> list[Any]:
    """Parameters: a filter on a header, and the labels of what holds it, letter by letter."""
    return [pytest.param(wanted, labels, id=str(wanted)[:90]) for wanted, labels in pairs]


def element(**conditions: Any) -> Filter:
    return {"element": conditions}


def elements(*wanted: Filter) -> Filter:
    return {"elements": list(wanted)}


NAMES = cases(
    (element(keyword="EchoTime"), "abc"),
    (element(keyword="EchoTime", exists=True), "abc"),
    (element(keyword="EchoTime", exists=False), "d"),
    (element(tag="(0018,0081)"), "abc"),
    (element(tag="00180081"), "abc"),
    (element(tag="(0018,0082)"), ""),
    (element(keyword="AccessionNumber"), "a"),
    (element(keyword="ProcedureCodeSequence"), "abd"),
    (element(keyword="SliceThickness"), ""),
    (element(tag="(0019,xx9C)"), "ab"),
    (element(tag="(0019,xx9c)", privateCreator="GEMS_ACQU_01"), "ab"),
    (element(tag="(0019,xx9C)", privateCreator="SOMEONE"), "b"),
    (element(tag="(0019,xx9C)", privateCreator="nobody"), ""),
    (element(tag="(0019,xx9C)", text={"eq": "efgre3d"}), "ab"),
    (element(tag="(0019,xx9C)", privateCreator="GEMS_ACQU_01", text={"eq": "efgre3d"}), "a"),
    (element(tag="(0019,109C)", privateCreator="SOMEONE"), "b"),
    (element(tag="(0019,109C)"), "ab"),
    (element(tag="(0019,119C)"), "b"),
    (element(tag="(0019,119C)", privateCreator="SOMEONE"), ""),
    (element(tag="(0019,109C)", privateCreator="GEMS_ACQU_01"), "a"),
    (element(tag="(0019,109C)", text={"eq": "fse"}), ""),
    (element(tag="(0019,119C)", text={"eq": "fse"}), "b"),
    (element(tag="(0019,119C)", exists=False), "acd"),
    (element(tag="(0019,119C)", vm={"eq": 1}, hasWarnings=False), "b"),
    (element(path=f"{SHARED_GROUPS}.(0019,109C)"), "c"),
    (element(path=f"{SHARED_GROUPS}.(0019,119C)"), ""),
    (element(tag="(0019,0010)", text={"eq": "SOMEONE"}), "b"),
    (element(tag="(0019,0011)"), "b"),
    (element(privateCreator="SOMEONE"), "b"),
    (element(vr="UV"), "a"),
    (element(vr="AS"), "ab"),
    (element(vr="SQ"), "abcd"),
    (element(vr="zz"), ""),
    (element(keyword="EchoTime", vr="FD"), ""),
    (element(text={"eq": "efgre3d"}), "ab"),
)
VALUES = cases(
    (element(keyword="ImageType", text={"eq": "MOSAIC"}), "a"),
    (element(keyword="ImageType", text={"ne": "MOSAIC"}), "abcd"),
    (element(keyword="ImageType", text={"eq": "mosaic"}), ""),
    (element(keyword="ImageType", text={"icontains": "mosa"}), "a"),
    (element(keyword="ImageType", text={"in": ["MOSAIC", "ND", "DERIVED"]}), "a"),
    (element(keyword="ImageType", text={"startsWith": "MOS"}), "a"),
    (element(keyword="ImageType", text={"startsWith": "MOS", "endsWith": "M"}), ""),
    (element(keyword="Modality", text={"endsWith": "R"}), "abcd"),
    (element(keyword="ImageComments", text={"contains": "%"}), "d"),
    (element(keyword="ImageComments", text={"contains": "p_1"}), "d"),
    (element(keyword="ImageComments", text={"contains": ":\\t"}), "d"),
    (element(keyword="ImageComments", text={"startsWith": "100%"}), "d"),
    (element(keyword="ImageComments", text={"startsWith": "1%"}), ""),
    (element(keyword="EchoTime", number={"eq": 2.5}), "a"),
    (element(keyword="EchoTime", number={"between": [2.5, 30]}), "ab"),
    (element(keyword="EchoTime", number={"gt": 2.5}), "b"),
    (element(keyword="EchoTime", number={"isNull": True}), "c"),
    (element(keyword="EchoTime", number={"ne": 30}), "ac"),
    (element(keyword="EchoTime", text={"eq": "2.5"}), "a"),
    (element(keyword="EchoTime", text={"contains": "at"}), "c"),
    (element(keyword="Rows", number={"in": [2, 3]}), "abcd"),
    (element(keyword="Rows", text={"isNull": True}), "abcd"),
    (element(keyword="Rows", text={"isNull": False}), ""),
    (element(keyword="FrameIncrementPointer", text={"eq": "(0018,1063)"}), "a"),
    (element(keyword="SelectorUVValue", text={"eq": str(HUGE)}), "a"),
    (element(keyword="SelectorUVValue", text={"startsWith": "92233"}), "a"),
    (element(keyword="PatientAge", number={"gte": 18}), "a"),
    (element(keyword="PatientAge", number={"eq": 1.5}), "b"),
    (element(keyword="AcquisitionDate", date={"between": ["2019-01-01", "2019-03-01"]}), "a"),
    (element(keyword="AcquisitionDate", date={"gt": "2019-01-01"}), "b"),
    (element(date={"eq": "2019-06-01"}), "b"),
    (element(keyword="AcquisitionTime", time={"eq": "12:00"}), "a"),
    (element(keyword="AcquisitionTime", time={"gt": "12:00:00", "lt": "12:00:00.3"}), "b"),
    (element(keyword="AcquisitionDateTime", datetime={"eq": "2019-01-01T10:00:00Z"}), "a"),
    (element(keyword="AcquisitionDateTime", datetime={"eq": "2019-01-01T11:00:00+01:00"}), "a"),
    (element(keyword="AcquisitionDateTime", datetime={"gte": "2019-01-01T12:00:00"}), "b"),
    (element(keyword="AcquisitionDateTime", datetime={"in": ["2019-01-01T12:00:00.5"]}), "b"),
    (element(keyword="PixelSpacing", number={"eq": 0.5}), "ab"),
    (element(keyword="PixelSpacing", number={"gt": 0.5, "lt": 0.8}), ""),
    (element(keyword="PixelSpacing", number={"gt": 0.6}, text={"eq": "0.5"}), ""),
    (element(keyword="PixelSpacing", number={"gt": 0.6}, text={"eq": "0.8"}), "ab"),
    (element(keyword="ImageType", vm={"gte": 4}), "a"),
    (element(keyword="ImageType", vm={"eq": 3}, text={"eq": "M"}), "bcd"),
    (element(keyword="AccessionNumber", vm={"eq": 0}), "a"),
    (element(keyword="ProcedureCodeSequence", vm={"eq": 0}), "d"),
    (element(keyword="ProcedureCodeSequence", vm={"in": [1, 2]}), "ab"),
    (element(keyword="EchoTime", hasWarnings=True), "c"),
    (element(keyword="EchoTime", hasWarnings=False), "ab"),
    (element(hasWarnings=True), "c"),
    (element(keyword="EchoTime", text={"eq": "late"}, hasWarnings=True), "c"),
    (element(keyword="EchoTime", text={"eq": "2.5"}, hasWarnings=True), ""),
)
LENGTHS = cases(
    (element(keyword="ImageComments", text={"eq": SAME_64 + " one"}), "a"),
    (element(keyword="ImageComments", text={"in": [SAME_64 + " two", "x"]}), "b"),
    (element(keyword="ImageComments", text={"eq": SAME_64}), ""),
    (element(keyword="ImageComments", text={"startsWith": SAME_64}), "ab"),
    (element(keyword="ImageComments", text={"startsWith": SAME_64 + " t"}), "b"),
    (element(keyword="ImageComments", text={"endsWith": "one"}), "a"),
    (element(keyword="ImageComments", text={"icontains": "EQUAL: TWO"}), "b"),
    (element(keyword="TextValue", text={"eq": LONG}), "c"),
    (element(keyword="TextValue", text={"in": [LONG + "!"]}), "d"),
    (element(keyword="TextValue", text={"startsWith": LONG}), "cd"),
    (element(keyword="TextValue", text={"startsWith": LONG + "!"}), "d"),
    (element(keyword="TextValue", text={"icontains": "É" * 999}), "cd"),
)
PATHS = cases(
    (element(path="EchoTime"), "abc"),
    (element(path=f"{SHARED_GROUPS}.PixelMeasuresSequence.SliceThickness"), "ac"),
    (element(path=f"{SHARED_GROUPS}[0].PixelMeasuresSequence[0].SliceThickness"), "ac"),
    (element(path=f"{SHARED_GROUPS}[1].PixelMeasuresSequence[0].SliceThickness"), ""),
    (element(path="(5200,9229).(0028,9110).(0018,0050)", number={"eq": 3}), "ac"),
    (
        element(path=f"{FRAME_GROUPS}.PixelMeasuresSequence.SliceThickness", number={"eq": 5}),
        "b",
    ),
    (
        element(path=f"{FRAME_GROUPS}[1].PixelMeasuresSequence.SliceThickness", number={"eq": 5}),
        "b",
    ),
    (
        element(path=f"{FRAME_GROUPS}[0].PixelMeasuresSequence.SliceThickness", number={"eq": 5}),
        "",
    ),
    (element(path="PixelMeasuresSequence.SliceThickness"), ""),
    (element(path="PixelMeasuresSequence.SliceThickness", anywhere=True), "abc"),
    (element(path="PixelMeasuresSequence.SliceThickness", number={"gt": 4}, anywhere=True), "b"),
    (element(keyword="SliceThickness", number={"lte": 3}, anywhere=True), "ac"),
    (element(keyword="EchoTime", number={"eq": 2.5}, anywhere=True), "a"),
    (element(keyword="CodeValue", text={"eq": "Z"}), ""),
    (element(keyword="CodeValue", text={"eq": "Z"}, anywhere=True), "b"),
    (element(keyword="CodeValue", exists=False, anywhere=True), "cd"),
    (element(path="ProcedureCodeSequence.CodeValue", exists=False), "cd"),
    (element(path="ReferencedImageSequence[0].ReferencedSOPInstanceUID", text={"eq": "1.1"}), "a"),
    (element(path="ReferencedImageSequence[1].ReferencedSOPInstanceUID", text={"eq": "1.1"}), "b"),
    (element(path="ReferencedImageSequence.ReferencedSOPInstanceUID", text={"eq": "1.1"}), "ab"),
    (
        element(
            path=f"{SHARED_GROUPS}.(0019,xx9C)", privateCreator="GEMS_ACQU_01", text={"eq": "deep"}
        ),
        "c",
    ),
    (element(privateCreator="GEMS_ACQU_01", text={"eq": "deep"}, anywhere=True), "c"),
    (element(path="ReferencedImageSequence.PurposeOfReferenceCodeSequence", vm={"eq": 0}), "ab"),
    (element(path="ReferencedImageSequence.PurposeOfReferenceCodeSequence", vm={"eq": 1}), "b"),
    (
        elements(
            {"keyword": "SliceThickness", "anywhere": True},
            {"keyword": "CodeValue", "anywhere": True, "text": {"eq": "Z"}},
        ),
        "b",
    ),
)


def code_is(value: str, scheme: str) -> list[Filter]:
    """Two conditions that a code fulfils."""
    return [
        {"keyword": "CodeValue", "text": {"eq": value}},
        {"keyword": "CodingSchemeDesignator", "text": {"eq": scheme}},
    ]


def procedure(wanted: Filter) -> Filter:
    """A header with an item of ProcedureCodeSequence that fulfils conditions."""
    return element(keyword="ProcedureCodeSequence", item=wanted)


def in_codes(conditions: list[Filter]) -> list[Filter]:
    """The same conditions, each on whichever item."""
    return [
        {"path": f"ProcedureCodeSequence.{one['keyword']}", "text": one["text"]}
        for one in conditions
    ]


ITEMS = cases(
    (procedure({"elements": code_is("A", "X")}), "a"),
    (procedure({"elements": code_is("A", "Y")}), "b"),
    (procedure({"elements": code_is("A", "Z")}), ""),
    (elements(*in_codes(code_is("A", "X"))), "ab"),
    (elements(*in_codes(code_is("A", "Z"))), ""),
    (procedure({}), "ab"),
    (procedure({"and": [element(**one) for one in code_is("B", "X")]}), "b"),
    (
        procedure(
            {"not": element(keyword="CodeValue", text={"eq": "A"}), "elements": code_is("B", "Y")}
        ),
        "a",
    ),
    (procedure({"or": [{"elements": code_is("A", "Z")}, {"elements": code_is("B", "X")}]}), "b"),
    (procedure({"or": []}), ""),
    (procedure(element(keyword="CodeValue", exists=False)), ""),
    (procedure(element(keyword="CodeMeaning", exists=False)), "ab"),
    ({"not": procedure({"elements": code_is("A", "X")})}, "bcd"),
    (
        element(
            path="ReferencedImageSequence.PurposeOfReferenceCodeSequence",
            item={"elements": code_is("Z", "X")},
        ),
        "b",
    ),
    (
        element(
            keyword="ReferencedImageSequence",
            item={
                "elements": [
                    {"keyword": "ReferencedSOPInstanceUID", "text": {"eq": "1.2"}},
                    {"keyword": "CodeValue", "anywhere": True, "text": {"eq": "Z"}},
                ]
            },
        ),
        "",
    ),
    (
        element(
            keyword="ReferencedImageSequence",
            item={
                "elements": [
                    {"keyword": "ReferencedSOPInstanceUID", "text": {"eq": "1.1"}},
                    {"keyword": "CodeValue", "anywhere": True, "text": {"eq": "Z"}},
                ]
            },
        ),
        "b",
    ),
    (
        element(
            keyword="PixelMeasuresSequence",
            anywhere=True,
            item=element(keyword="SliceThickness", number={"eq": 3}),
        ),
        "ac",
    ),
    (
        element(
            keyword=FRAME_GROUPS,
            item=element(
                keyword="PixelMeasuresSequence",
                item=element(keyword="SliceThickness", number={"gt": 4}),
            ),
        ),
        "b",
    ),
)
LOGIC = cases(
    ({}, "abcd"),
    ({"elements": []}, "abcd"),
    ({"or": []}, ""),
    ({"and": []}, "abcd"),
    ({"not": {}}, ""),
    ({"not": element(keyword="EchoTime")}, "d"),
    ({"not": element(keyword="EchoTime", exists=False)}, "abc"),
    (
        {
            "or": [
                element(keyword="EchoTime", number={"gt": 20}),
                element(keyword="TextValue", text={"endsWith": "!"}),
            ]
        },
        "bd",
    ),
    (
        {
            "and": [element(keyword="EchoTime"), {"not": element(keyword="TextValue")}],
            "element": {"keyword": "PatientAge", "number": {"lt": 10}},
        },
        "b",
    ),
    (elements({"keyword": "EchoTime"}, {"keyword": "TextValue"}), "c"),
)


@pytest.mark.parametrize(("wanted", "labels"), [*NAMES, *VALUES, *LENGTHS, *PATHS, *ITEMS, *LOGIC])
async def test_a_header_that_holds(wanted: Filter, labels: str, archive: Graph) -> None:
    assert await holders(archive, {"header": wanted}) == set(labels)


async def test_a_text_of_any_length_is_found_by_an_operator_of_its_own(archive: Graph) -> None:
    wanted = {"header": element(keyword="TextValue", text={"regex": "^x{200}x+é+$"})}
    if archive.database.is_sqlite:
        wanted = {"header": element(keyword="TextValue", text={"regex": "^x+é+$"})}
    assert await holders(archive, wanted) == {"c"}


async def test_together_with_the_filters_of_entities(archive: Graph) -> None:
    echo = element(keyword="EchoTime")
    wanted = {"header": echo, "series": {"patient": {"uid": {"eq": "cd"}}}}
    assert await holders(archive, wanted) == {"c"}
    wanted = {"or": [{"header": {"not": echo}}, {"header": echo, "hasWarnings": True}]}
    assert await holders(archive, wanted) == {"c", "d"}


async def test_lifted_to_series_studies_and_patients(archive: Graph) -> None:
    data = await archive(
        """query ($echo: ImageFilter) {
          any: series(filter: { anyImage: $echo }) { nodes { uid } }
          every: series(filter: { everyImage: $echo }) { nodes { uid } }
          anyPatient: patients(filter: { anyImage: $echo }) { nodes { uid } }
          everyPatient: patients(filter: { everyImage: { not: $echo } }) { nodes { uid } }
          anyStudy: studies(filter: { anyImage: $echo }) { nodes { uid } }
        }""",
        echo={"header": element(keyword="EchoTime", number={"isNull": False})},
    )
    found = {name: [node["uid"] for node in page["nodes"]] for name, page in data.items()}
    assert found == {
        "any": ["1.3.0"], "every": ["1.3.0"], "anyPatient": ["ab"], "everyPatient": ["cd"],
        "anyStudy": ["1.4.0"],
    }  # fmt: skip


MISTAKES: list[tuple[Filter, tuple[str, ...]]] = [
    (element(keyword="EchoTme"), ("EchoTme", "EchoTime")),
    (element(keyword="echotime"), ("EchoTime",)),
    (element(path="SharedFunctionalGroupSequence.SliceThickness"), (SHARED_GROUPS,)),
    (element(keyword="NothingLikeIt" * 30), ("no keyword",)),
    (element(tag="EchoTime"), ("not a tag",)),
    (element(tag="(0018,00811)"), ("not a tag",)),
    (element(tag="(0018,xx81)"), ("not a tag", "odd groups")),
    (element(path=""), ("no step",)),
    (element(path="PixelMeasuresSequence..SliceThickness"), ("no step",)),
    (element(path="PixelMeasuresSequence[x].SliceThickness"), ("no step",)),
    (element(path="PixelMeasuresSequence[-1].SliceThickness"), ("no step",)),
    (element(path="PixelSpacing[0]"), ("takes no item index",)),
    (element(path=".".join(["EchoTime"] * 200)), ("more than 32",)),
    (element(keyword="EchoTime", tag="00180081"), ("one of them",)),
    (element(keyword="EchoTime", number={"between": [1]}), ("two values, not 1",)),
    (element(keyword="Modality", text={"eq": "\x00"}), ("NUL",)),
    (element(privateCreator="\ud800"), ("surrogate",)),
    (procedure({"elements": [{"keyword": "CodeValu"}]}), ("CodeValue",)),
    (
        element(keyword="ProcedureCodeSequence", item={}, vm={"eq": 1}),
        ("goes with the name of a sequence alone",),
    ),
]


@pytest.mark.parametrize(("wanted", "words"), MISTAKES)
async def test_what_cannot_be_right_is_said(
    wanted: Filter, words: tuple[str, ...], archive: Graph
) -> None:
    result = await archive.execute(QUERY, filter={"header": wanted})
    assert [error.extensions["code"] for error in result.errors] == ["BAD_INPUT"]
    for word in words:
        assert word in result.errors[0].message
    assert len(result.errors[0].message) < 400


DEEP = 18
"""Sequences in sequences."""


async def test_deep_in_sequences(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    inner = item(ValueType="TEXT")
    for _ in range(DEEP):
        inner = item(ContentSequence=Sequence([inner]))
    save(make_data_set(ContentSequence=inner.ContentSequence), tmp_path / "deep.dcm")
    import_files(tmp_path)
    for depth in range(1, DEEP + 1):
        path = "ContentSequence." * depth + "ValueType"
        expected = {"deep"} if depth == DEEP else set()
        assert await holders(graph, {"header": element(path=path)}) == expected
    wanted = {"header": element(keyword="ValueType", anywhere=True)}
    for _ in range(6):
        wanted = {"series": {"images": {"every": wanted}}}
    assert await holders(graph, wanted) == {"deep"}


@pytest.mark.slow
async def test_a_filter_of_too_many_parts(archive: Graph) -> None:
    lists = [{"uid": {"in": [f"{n}.{m}" for m in range(9999)]}} for n in range(7)]
    many = {"and": [{"number": {"ne": number}} for number in range(2000)]}
    deep = {"header": element(path="ContentSequence." * 60 + "ValueType")}
    for wanted, code in (
        ({"and": lists}, "MAX_VALUES"),
        (many, "BAD_FILTER"),
        (deep, "BAD_INPUT"),
    ):
        result = await archive.execute(QUERY, filter=wanted)
        assert [error.extensions["code"] for error in result.errors] == [code]


async def test_an_image_without_a_header_is_found_by_no_element(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    save(make_data_set(), tmp_path / "minimal.dcm")
    import_files(tmp_path, mode=Mode.MINIMAL)
    assert await holders(graph, {}) == {"minimal"}
    assert await holders(graph, {"header": element(keyword="Modality")}) == set()


async def test_that_it_does_not_exist_is_the_contrary_of_that_it_does(
    tmp_path: Path, import_files: Callable[..., Report], graph: Graph
) -> None:
    """Of every image, also of one that was imported without a header."""
    for mode in (Mode.MINIMAL, Mode.NORMAL, Mode.FULL):
        path = save(image_a(), tmp_path / f"{mode.name.lower()}.dcm")
        import_files(path, mode=mode)
    everything = {"minimal", "normal", "full"}
    for wanted, names in (
        ({"keyword": "EchoTime"}, {"normal", "full"}),
        ({"keyword": "EchoTime", "number": {"gt": 100}}, set()),
        ({"keyword": "AccessionNumber", "vm": {"eq": 0}}, {"normal", "full"}),
        ({"keyword": "InversionTime"}, set()),
        ({"tag": "(0019,xx9C)"}, {"full"}),
        ({"path": "ProcedureCodeSequence.CodeValue"}, {"normal", "full"}),
        ({"keyword": "CodeValue", "anywhere": True}, {"normal", "full"}),
        ({"keyword": "ProcedureCodeSequence", "item": {}}, {"normal", "full"}),
    ):
        assert await holders(graph, {"header": element(**wanted)}) == names
        assert await holders(graph, {"header": element(**wanted, exists=True)}) == names
        absent = {"header": element(**wanted, exists=False)}
        assert await holders(graph, absent) == everything - names


TEXT_INDEX = "ix_data_element_value_text (definition_id=? AND <expr>"
NUMBER_INDEX = "ix_data_element_value_number (definition_id=? AND number="
UID = {"keyword": "SOPInstanceUID"}
SELECTIVE: list[tuple[Filter, list[str]]] = [
    ({**UID, "text": {"eq": "1.2.1"}}, [TEXT_INDEX]),
    ({**UID, "text": {"in": ["1.2.1"]}}, [TEXT_INDEX]),
    ({**UID, "text": {"in": ["1.2.1", "1.2.2"]}}, [TEXT_INDEX]),
    ({**UID, "text": {"startsWith": "1.2.1"}}, [TEXT_INDEX]),
    ({"keyword": "EchoTime", "text": {"eq": "2.5"}}, [TEXT_INDEX, NUMBER_INDEX]),
    ({"text": {"eq": "2.5"}}, [TEXT_INDEX, NUMBER_INDEX]),
    ({"text": {"eq": "late"}}, [TEXT_INDEX]),
    ({"number": {"eq": 2.5}}, [NUMBER_INDEX]),
    ({"keyword": "EchoTime", "text": {"contains": "."}}, ["ix_data_element_value_number"]),
    ({"keyword": "EchoTime", "text": {"ne": "2.5"}}, ["ix_data_element_value_number"]),
    ({"keyword": "EchoTime"}, ["ix_data_element_value_number", "ix_data_element_value_text"]),
    ({"keyword": "EchoTime", "vm": {"gt": 1}}, ["ix_data_element_value_number"]),
    ({"keyword": "AccessionNumber", "exists": False}, ["ix_data_element_without_values"]),
    ({"keyword": "EchoTime", "hasWarnings": True}, ["ix_data_element_warned"]),
    ({"tag": "(0019,119C)"}, ["ix_data_element_value_text"]),
    ({"path": "ProcedureCodeSequence.CodeValue"}, ["ix_data_element_value_text"]),
]


@pytest.mark.parametrize(("wanted", "indexes"), SELECTIVE)
async def test_elements_are_looked_up_in_an_index(
    wanted: Filter, indexes: list[str], archive: Graph
) -> None:
    """Not among all values: there are as many UIDs as images, and more."""
    if not archive.database.is_sqlite:
        pytest.skip("PostgreSQL plans by the size of tables")
    statements: list[tuple[str, Any]] = []

    def record(_c: Any, _cursor: Any, statement: str, values: Any, *_rest: Any) -> None:
        if "data_element_value" in statement:
            statements.append((statement, values))

    event.listen(archive.database.reader.sync_engine, "before_cursor_execute", record)
    await holders(archive, {"header": element(**wanted)})
    event.remove(archive.database.reader.sync_engine, "before_cursor_execute", record)
    for statement, values in statements:
        async with archive.database.read() as connection:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)
            plan = "\n".join(row[3] for row in rows)
        for index in indexes:
            assert index in plan
        tables = "header|data_element|data_element_value|header_element|element_set_member|series"
        assert not re.search(rf"SCAN ({tables})\b", plan)
        assert wanted.get("exists") is False or not re.search(r"SCAN image\b", plan)
