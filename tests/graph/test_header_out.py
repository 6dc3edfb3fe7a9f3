"""Headers as a list, as HTML, by path; and the Siemens CSA headers in them."""

import gzip
import json
import struct
import warnings
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_graph.dicom.csa.header import CSA_CREATOR
from dicom_graph.importing.foreground import Report
from tests.support.data import NIBABEL_DATA, distinct_copies, pydicom_files, read_header
from tests.support.data import nibabel_dicom_files as nibabel_files
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_file, put_raw, save

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    from nibabel.nicom.csareader import read as nibabel_read

Import = Callable[..., Report]

NESTED = {"UN_sequence.dcm", "nested_priv_SQ.dcm", "examples_overlay.dcm", "rtplan.dcm"}
ROWS = "table { path depth tag privateCreator keyword vr vm value }"


def item(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def nested() -> Dataset:
    """A header with two levels of sequences, and private elements of two creators."""
    deepest = [item(PixelSpacing=["1", "2"]), item(PixelSpacing=["3", "4"])]
    groups = [
        item(PixelMeasuresSequence=Sequence(deepest[:1])),
        item(PixelMeasuresSequence=Sequence(deepest)),
    ]
    header = make_data_set(SharedFunctionalGroupsSequence=Sequence(groups), StudyComments="")
    header.ReferencedImageSequence = Sequence()
    header.private_block(0x0019, "ACME", create=True).add_new(0x10, "LO", "of ACME")
    header.private_block(0x0019, "OTHER", create=True).add_new(0x10, "LO", "of OTHER")
    return header


async def header_of(graph: Graph, fields: str) -> dict[str, Any]:
    data = await graph(f"{{ images {{ nodes {{ header {{ {fields} }} }} }} }}")
    (image,) = data["images"]["nodes"]
    return image["header"]


async def errors_of(graph: Graph, fields: str) -> dict[str, str]:
    """The errors by the alias of the field."""
    result = await graph.execute(f"{{ images {{ nodes {{ header {{ {fields} }} }} }} }}")
    assert {error.extensions["code"] for error in result.errors} == {"BAD_INPUT"}
    return {error.path[-1]: error.message for error in result.errors}


# --- the list


async def test_the_list_is_in_order_with_items_after_their_sequence(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    path = save(nested(), tmp_path / "nested.dcm")
    import_files(path)
    rows = (await header_of(graph, ROWS))["table"]
    expected = list(flat(read_header(path), 0))
    assert [(row["tag"], row["vr"], row["vm"], row["depth"]) for row in rows] == expected
    places = {row["path"]: row["value"] for row in rows}
    way = "SharedFunctionalGroupsSequence[1].PixelMeasuresSequence[1].PixelSpacing"
    assert places[way] == "3\\4"
    assert places["SharedFunctionalGroupsSequence"] == "2 items"
    assert places["ReferencedImageSequence"] == "0 items"
    assert places["(0019,1110)"] == "of OTHER"


def flat(header: Dataset, depth: int) -> Iterator[tuple[str, str, int, int]]:
    """(tag, VR, VM, depth) as pydicom walks."""
    for element in header:
        yield f"({element.tag.group:04X},{element.tag.element:04X})", element.VR, vm(element), depth
        if element.VR == "SQ":
            for child in element.value:
                yield from flat(child, depth + 1)


def vm(element: Any) -> int:
    return len(element.value) if element.VR == "SQ" else element.VM


async def test_a_path_of_the_list_leads_to_the_same_element(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    save(nested(), tmp_path / "in" / "nested.dcm")
    distinct_copies([p for p in pydicom_files() if p.name in NESTED], tmp_path / "in" / "real")
    import_files(tmp_path / "in")
    data = await graph(f"{{ images {{ nodes {{ header {{ id {ROWS} }} }} }} }}")
    headers = [image["header"] for image in data["images"]["nodes"]]
    assert len(headers) == 1 + len(NESTED)
    for header in headers:
        paths = [row["path"] for row in header["table"]]
        assert len(set(paths)) == len(paths)
        found = await by_path(graph, header)
        for row, element in zip(header["table"], found, strict=True):
            keys = ("tag", "privateCreator", "keyword", "vr", "vm")
            assert {key: element[key] for key in keys} == {key: row[key] for key in keys}, row


async def by_path(graph: Graph, header: dict[str, Any]) -> list[dict[str, Any]]:
    query = "query ($id: ID!) { node(id: $id) { ... on Header { %s } } }"
    found: list[dict[str, Any]] = []
    for start in range(0, len(header["table"]), 100):
        fields = " ".join(
            f"e{number}: element(path: {json.dumps(row['path'])}) "
            "{ id tag privateCreator keyword vr vm }"
            for number, row in enumerate(header["table"][start : start + 100])
        )
        found += (await graph(query % fields, id=header["id"]))["node"].values()
    return found


async def test_repeating_groups_have_keywords_too(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    """(6000,0010) and (6002,0010) are both OverlayRows (PS3.5 7.6)."""
    header = make_data_set()
    put_raw(header, 0x60000010, "US", struct.pack("<H", 5))
    put_raw(header, 0x60020010, "US", struct.pack("<H", 7))
    import_files(save(header, tmp_path / "overlays.dcm"))
    found = await header_of(
        graph,
        """
        elements(keywords: ["OverlayRows"]) { tag value }
        first: element(keyword: "OverlayRows") { value }
        second: element(path: "(6002,0010)") { value }""",
    )
    assert [row["value"] for row in found["elements"]] == [5, 7]
    assert (found["first"]["value"], found["second"]["value"]) == (5, 7)
    assert await count_images(graph, 'keyword: "OverlayRows", number: {eq: 7}') == 1
    assert await count_images(graph, 'keyword: "OverlayRows", number: {eq: 6}') == 0


# --- HTML


class Reader(HTMLParser):
    """Collects the text of cells, and insists that every tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read_html(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert not reader.open
    return reader


async def test_html_escapes_what_the_file_says(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    evil = "<script>alert('1')</script>&\"^x"
    import_files(make_file(tmp_path / "evil.dcm", PatientName=evil, StudyDescription="</td><b>"))
    html = (await header_of(graph, "html"))["html"]
    reader = read_html(html)
    assert reader.seen == {"table", "thead", "tbody", "tr", "th", "td"}
    assert evil in reader.texts
    assert "</td><b>" in reader.texts


async def test_html_is_well_formed_with_every_element(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    save(nested(), tmp_path / "nested.dcm")
    distinct_copies([p for p in pydicom_files() if p.name in NESTED], tmp_path / "real")
    import_files(tmp_path)
    data = await graph("{ images { nodes { files { path } header { html } } } }")
    for image in data["images"]["nodes"]:
        texts = read_html(image["header"]["html"]).texts
        tags = [tag for tag, *_ in flat(read_header(Path(image["files"][0]["path"])), 0)]
        shown = [text for text in texts if len(text) == 11 and text[0] + text[5] == "(,"]
        pixel_data = "(7FE0,0010)"
        assert shown == [tag for tag in tags if tag != pixel_data]


# --- one element


async def test_element_by_keyword_tag_and_path(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(save(nested(), tmp_path / "nested.dcm"))
    way = "SharedFunctionalGroupsSequence{}.PixelMeasuresSequence{}.PixelSpacing"
    found = await header_of(
        graph,
        f"""
        keyword: element(keyword: "EchoTime") {{ value }}
        tag: element(tag: "(0018,0081)") {{ value }}
        digits: element(tag: "00180081") {{ value }}
        way: element(path: "{way.format("[1]", "[1]")}") {{ value }}
        defaults: element(path: "{way.format("", "")}") {{ value }}
        tags: element(path: "(5200,9229)[1].00289110[0].(0028,0030)") {{ value }}
        noSuchItem: element(path: "{way.format("[2]", "")}") {{ value }}
        noItems: element(path: "ReferencedImageSequence[0].SOPClassUID") {{ value }}
        notThere: element(path: "FlipAngle") {{ value }}
        noSequence: element(path: "PatientID[0].PixelSpacing") {{ value }}""",
    )
    values = {name: element and element["value"] for name, element in found.items()}
    assert values == {
        "keyword": 2.5, "tag": 2.5, "digits": 2.5, "way": [3, 4], "defaults": [1, 2],
        "tags": [1, 2], "noSuchItem": None, "noItems": None, "notThere": None, "noSequence": None,
    }  # fmt: skip


async def test_private_element_by_creator_whatever_its_block(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(save(nested(), tmp_path / "nested.dcm"))
    found = await header_of(
        graph,
        """
        any: element(tag: "(0019,xx10)") { tag value }
        other: element(tag: "(0019,xx10)", privateCreator: "OTHER") { tag value }
        nobodys: element(tag: "(0019,xx10)", privateCreator: "NOBODY") { tag value }
        creator: element(tag: "(0019,0011)") { tag value }
        all: elements(tags: ["(0019,xx10)"]) { tag value }
        creators: elements(tags: ["(0019,0010)"]) { tag value }
        private: elements(private: true) { tag }""",
    )
    acme = {"tag": "(0019,1010)", "value": "of ACME"}
    other = {"tag": "(0019,1110)", "value": "of OTHER"}
    assert found["all"] == [acme, other]
    assert (found["any"], found["other"], found["nobodys"]) == (acme, other, None)
    assert found["creator"] == {"tag": "(0019,0011)", "value": "OTHER"}
    assert found["creators"] == [{"tag": "(0019,0010)", "value": "ACME"}]
    assert len(found["private"]) == 4
    assert await count_images(graph, 'tag: "(0019,xx10)", text: {eq: "of OTHER"}') == 1
    assert await count_images(graph, 'tag: "(0019,0011)", text: {eq: "OTHER"}') == 1
    assert await count_images(graph, 'tag: "(0019,xx11)", text: {eq: "OTHER"}') == 0
    assert await count_images(graph, 'tag: "(0019,0010)", text: {eq: "of ACME"}') == 0


async def count_images(graph: Graph, element: str) -> int:
    """How many images hold such an element."""
    query = f"{{ images(filter: {{header: {{element: {{ {element} }}}}}}) {{ totalCount }} }}"
    return (await graph(query))["images"]["totalCount"]


REFUSED = {
    'path: "EchoTme"': "EchoTime",
    'keyword: "echotime"': "EchoTime",
    'path: "PixelMeasureSequence[0].PixelSpacing"': "PixelMeasuresSequence",
    'path: "PixelMeasuresSequence[0].PixelSpcing"': "PixelSpacing",
    'path: "ReferencedImageSequence[-1].SOPClassUID"': "ReferencedImageSequence[-1]",
    'path: "ReferencedImageSequence[x].SOPClassUID"': "ReferencedImageSequence[x]",
    'path: "ReferencedImageSequence[0"': "ReferencedImageSequence[0",
    'path: "ReferencedImageSequence..SOPClassUID"': "no step of a path",
    'path: "ReferencedImageSequence[0]"': "takes no item index",
    'path: ""': "no step of a path",
    'path: "(0018,008)"': "(0018,008)",
    'tag: "0018,00zz"': "0018,00zz",
    'keyword: "EchoTime", tag: "00180081"': "one of them",
    "privateCreator: null": "one of them",
    'keyword: "EchoTime", privateCreator: "ACME"': "`privateCreator` goes with `tag`",
}


async def test_what_names_no_element_is_refused_with_a_hint(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(make_file(tmp_path / "image.dcm"))
    fields = [f"e{i}: element({argument}) {{ tag }}" for i, argument in enumerate(REFUSED)]
    messages = await errors_of(graph, " ".join(fields))
    for number, (argument, said) in enumerate(REFUSED.items()):
        assert said in messages[f"e{number}"], argument


async def test_elements_with_an_unknown_keyword_name_the_nearest(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(make_file(tmp_path / "image.dcm"))
    query = """{ images { nodes { header {
        elements(keywords: ["EchoTime", "FlipAngel"]) { tag } } } } }"""
    (error,) = (await graph.execute(query)).errors
    assert "'FlipAngel'" in error.message
    assert "did you mean FlipAngle" in error.message


# --- warnings


async def test_elements_narrowed_to_those_with_warnings(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    header = make_data_set()
    put_raw(header, 0x00180080, "DS", b"fast")
    put_raw(header, 0x00180082, "IS", b"12")
    import_files(save(header, tmp_path / "odd.dcm"))
    found = await header_of(
        graph,
        """
        odd: elements(hasWarnings: true) { keyword warnings }
        fine: elements(hasWarnings: false) { keyword }
        both: elements(hasWarnings: true, keywords: ["EchoTime"]) { keyword }
        all: elements { keyword }""",
    )
    assert [element["keyword"] for element in found["odd"]] == ["RepetitionTime"]
    assert "'fast'" in found["odd"][0]["warnings"][0]
    fine = {element["keyword"] for element in found["fine"]}
    assert fine == {element["keyword"] for element in found["all"]} - {"RepetitionTime"}
    assert found["both"] == []


# --- Siemens CSA headers


def siemens_files() -> list[Path]:
    """The files in nibabel's wheel that hold CSA headers."""
    return [path for path in nibabel_files() if csa_bytes(read_header(path), 0x10)]


def csa_bytes(header: Dataset, low: int) -> bytes | None:
    try:
        return header.private_block(0x0029, CSA_CREATOR)[low].value
    except KeyError:
        return None


def by_nibabel(raw: bytes | None) -> dict[str, Any]:
    """Names and their items, those without any left out."""
    tags = nibabel_read(raw)["tags"] if raw else {}
    return {name: tag["items"] for name, tag in tags.items() if tag["items"]}


def as_items(tag: dict[str, Any]) -> list[Any]:
    """A value of ours the way nibabel has it."""
    return tag["value"] if isinstance(tag["value"], list) else [tag["value"]]


async def test_csa_headers_are_those_that_nibabel_reads(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    copies = distinct_copies(siemens_files(), tmp_path / "in")
    assert len(copies) > 1
    import_files(tmp_path / "in")
    data = await graph("{ images { nodes { files { path } header { csaHeader } } } }")
    compared = 0
    for image in data["images"]["nodes"]:
        header = read_header(Path(image["files"][0]["path"]))
        series, first = (by_nibabel(csa_bytes(header, low)) for low in (0x20, 0x10))
        for name, items in (series | first).items():
            if name in ("MrPhoenixProtocol", "MrProtocol"):
                continue  # They become objects: test_csa compares them.
            found = as_items(image["header"]["csaHeader"][name])
            padded = [value.rstrip() if isinstance(value, str) else value for value in items]
            assert found == padded[: len(found)], name
            assert not any(padded[len(found) :]), name
            compared += 1
    print(f"\n{len(copies)} files, {compared} CSA tags compared with nibabel")
    assert compared > 100


def siemens_header(image: bytes | None = None, series: bytes | None = None) -> Dataset:
    header = make_data_set()
    block = header.private_block(0x0029, CSA_CREATOR, create=True)
    if image is not None:
        block.add_new(0x10, "OB", image)
    if series is not None:
        block.add_new(0x20, "OB", series)
    return header


def csa(**tags: str) -> bytes:
    """A CSA header of type 2 by nibabel's description: each name with one text item."""
    raw = b"SV10\4\3\2\1" + struct.pack("<2I", len(tags), 77)
    for name, text in tags.items():
        value = text.encode() + b"\0"
        raw += struct.pack("<64s i 4s 3i", name.encode(), 1, b"LO", 0, 1, 77)
        raw += struct.pack("<4i", 0, len(value), 77, 0) + value + bytes(-len(value) % 4)
    return raw + bytes(len(raw) % 2)


PROTOCOL = """### ASCCONV BEGIN ###
sSliceArray.lSize = 2
sSliceArray.asSlice[1].dThickness = 3.5
### ASCCONV END ###"""
WITH_BOTH = siemens_header(
    csa(Both="of the image", Image="1"), csa(Both="of the series", MrPhoenixProtocol=PROTOCOL)
)


async def test_csa_paths(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    import_files(save(WITH_BOTH, tmp_path / "siemens.dcm"))
    found = await header_of(
        graph,
        """
        all: csaHeader
        both: csaHeader(path: "Both")
        image: csaHeader(path: "Image")
        size: csaHeader(path: "MrPhoenixProtocol.sSliceArray.lSize")
        slice: csaHeader(path: "MrPhoenixProtocol.sSliceArray.asSlice[1].dThickness")
        slices: csaHeader(path: "MrPhoenixProtocol.sSliceArray.asSlice")
        beyond: csaHeader(path: "MrPhoenixProtocol.sSliceArray.asSlice[2].dThickness")
        deeper: csaHeader(path: "MrPhoenixProtocol.sSliceArray.nothing")
        intoText: csaHeader(path: "Image.more")""",
    )
    assert set(found["all"]) == {"Both", "Image", "MrPhoenixProtocol"}
    assert found["all"]["Both"] == {"vr": "LO", "vm": 1, "value": "of the image"}
    assert (found["both"], found["image"]) == ("of the image", "1")
    assert (found["size"], found["slice"]) == (2, 3.5)
    assert found["slices"] == [None, {"dThickness": 3.5}]
    assert (found["beyond"], found["deeper"], found["intoText"]) == (None, None, None)


REFUSED_IN_CSA = {
    "Imge": "nearest: Image",
    "MrPhoenixProtokol.lSize": "nearest: MrPhoenixProtocol",
    "Image[": "not a path",
    "Image..x": "not a path",
    "Image[-1]": "not a path",
    "": "not a path",
}


async def test_wrong_csa_paths_are_refused(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(save(WITH_BOTH, tmp_path / "siemens.dcm"))
    fields = [f'e{i}: csaHeader(path: "{path}")' for i, path in enumerate(REFUSED_IN_CSA)]
    messages = await errors_of(graph, " ".join(fields))
    for number, (path, said) in enumerate(REFUSED_IN_CSA.items()):
        assert said in messages[f"e{number}"], path


async def test_no_csa_header_is_null(tmp_path: Path, import_files: Import, graph: Graph) -> None:
    import_files(make_file(tmp_path / "other.dcm"))
    found = await header_of(graph, 'all: csaHeader one: csaHeader(path: "B_value")')
    assert found == {"all": None, "one": None}


CSA_VALUE = """element(tag: "(0029,xx10)", privateCreator: "SIEMENS CSA HEADER") {
    value values { __typename index raw warnings ... on CsaHeaderValue { value length } } }"""


async def test_a_csa_header_is_a_value_of_its_own_type(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    raw = csa(Image="1")
    import_files(save(siemens_header(raw), tmp_path / "siemens.dcm"))
    element = (await header_of(graph, CSA_VALUE))["element"]
    (value,) = element["values"]
    assert value["__typename"] == "CsaHeaderValue"
    assert value["value"] == element["value"] == {"Image": {"vr": "LO", "vm": 1, "value": "1"}}
    assert (int(value["length"]), value["warnings"]) == (len(raw), [])


async def test_bytes_that_are_no_csa_header_have_a_warning(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(save(siemens_header(b"SV10" + b"\xff" * 60), tmp_path / "siemens.dcm"))
    found = await header_of(graph, CSA_VALUE + " csaHeader")
    (value,) = found["element"]["values"]
    assert value["value"] is None
    assert "CSA header" in value["warnings"][0]
    assert found["csaHeader"] is None


async def test_a_csa_header_beyond_64_kib_is_parsed(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    raw = gzip.decompress((NIBABEL_DATA / "siemens_dwi_1000.dcm.gz").read_bytes())
    header = pydicom.dcmread(pydicom.filebase.DicomBytesIO(raw))
    original = csa_bytes(header, 0x10)
    header.private_block(0x0029, CSA_CREATOR)[0x10].value = original + bytes(100_000)
    header.save_as(tmp_path / "large.dcm")
    import_files(tmp_path / "large.dcm")
    found = await header_of(graph, CSA_VALUE + ' one: csaHeader(path: "B_value")')
    (value,) = found["element"]["values"]
    assert int(value["length"]) == len(original) + 100_000
    assert found["one"] == by_nibabel(original)["B_value"][0]
