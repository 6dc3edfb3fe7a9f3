"""The values of elements as GraphQL gives them: one type for each VR, typed and raw."""

import base64
import math
import re
import shutil
import struct
from collections.abc import Callable
from hashlib import sha256
from html import unescape
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from dicom_graph.importing.foreground import Report
from tests.support.graph import Graph
from tests.support.make import make_data_set, make_file, put_raw, save

Import = Callable[..., Report]

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")


class Case(NamedTuple):
    """What a file holds of a VR, and what GraphQL makes of it."""

    type: str
    given: list[Any]
    values: list[Any]


def same(type: str, *texts: str) -> Case:
    """Texts that are their own value."""
    return Case(type, list(texts), list(texts))


SINGLE = struct.unpack("<f", struct.pack("<f", 0.1))[0]
NAME = "Yamada^Tarou^Mid^Dr^Jr=山田^太郎^中^博士^二世=やまだ^たろう^なか^はかせ^にせい"

TEXTS = {
    "AE": same("ApplicationEntity", "STORE 1", "STORE2"),
    "AS": Case(
        "AgeString",
        ["045Y", "018M", "010W", "100D"],
        [45, 1.5, pytest.approx(10 / 52.1429), pytest.approx(100 / 365.2422)],
    ),
    "CS": same("CodeString", "ORIGINAL", "M_1"),
    "DA": Case("Date", ["20200229", "18991231"], ["2020-02-29", "1899-12-31"]),
    "DS": Case("DecimalString", ["1.5", "-2e3", "+.25", "1e300"], [1.5, -2000, 0.25, 1e300]),
    "DT": Case(
        "DateTime",
        ["20200102030405.678900+0530", "202001020304-0800", "2020"],
        ["2020-01-02T03:04:05.678900", "2020-01-02T03:04:00", "2020-01-01T00:00:00"],
    ),
    "IS": Case("IntegerString", ["-2147483648", "+2147483647"], [-(2**31), 2**31 - 1]),
    "LO": same("LongString", "Grüße", "two"),
    "LT": same("LongText", "a\\b\r\nc"),
    "SH": same("ShortString", "short", ""),
    "ST": same("ShortText", "back\\slash"),
    "TM": Case(
        "Time",
        ["12", "1234", "123456", "235959.000001"],
        ["12:00:00", "12:34:00", "12:34:56", "23:59:59.000001"],
    ),
    "UC": same("UnlimitedCharacters", "x" * 300, "y"),
    "UI": same("UniqueIdentifier", "1.2.840.1", "1.2"),
    "UR": same("UniversalResource", "https://host/a?b=c\\d"),
    "UT": same("UnlimitedText", "long\\text"),
}
NUMBERS = {
    "AT": Case("AttributeTag", [0x00181063, 0x0020000E], ["(0018,1063)", "(0020,000E)"]),
    "FD": Case("FloatingPointDouble", [1.1, -1e300], [1.1, -1e300]),
    "FL": Case("FloatingPointSingle", [1.5, SINGLE], [1.5, SINGLE]),
    "SL": Case("SignedLong", [-(2**31), 2**31 - 1], [-(2**31), 2**31 - 1]),
    "SS": Case("SignedShort", [-(2**15), 2**15 - 1], [-(2**15), 2**15 - 1]),
    "SV": Case("SignedVeryLong", [-(2**63), 2**53 + 1], [str(-(2**63)), str(2**53 + 1)]),
    "UL": Case("UnsignedLong", [0, 2**32 - 1], ["0", str(2**32 - 1)]),
    "US": Case("UnsignedShort", [0, 2**16 - 1], [0, 2**16 - 1]),
    "UV": Case("UnsignedVeryLong", [2**64 - 1, 2**53 - 1], [str(2**64 - 1), str(2**53 - 1)]),
}
BYTES = {
    "OB": ("OtherByte", b"\x00\x01\xfe\xff"),
    "OD": ("OtherDouble", struct.pack("<d", 1.5)),
    "OF": ("OtherFloat", struct.pack("<2f", 1.5, 2.5)),
    "OL": ("OtherLong", struct.pack("<L", 7)),
    "OV": ("OtherVeryLong", struct.pack("<Q", 7)),
    "OW": ("OtherWord", struct.pack("<3H", 1, 256, 65535)),
    "UN": ("Unknown", b"\x80text\x00"),
}


def every_vr() -> Dataset:
    """A data set with one Selector Attribute (PS3.3 C.23.4) of each VR."""
    header = make_data_set(SpecificCharacterSet="ISO_IR 192")
    for vr, case in (TEXTS | NUMBERS).items():
        setattr(header, f"Selector{vr}Value", case.given)
    for vr, (_, raw) in BYTES.items():
        setattr(header, f"Selector{vr}Value", raw)
    header.SelectorPNValue = [NAME, "Only^One"]
    return header


def fragments() -> str:
    """A selection of `value` under an alias for each type, as their types differ."""
    plain = " ".join(
        f"... on {case.type}Value {{ {vr}: value }}" for vr, case in (TEXTS | NUMBERS).items()
    )
    data = " ".join(
        f"... on {name}Value {{ {vr}: value length digest bytes }}"
        for vr, (name, _) in BYTES.items()
    )
    group = "{ family given middle prefix suffix }"
    name = f"{{ alphabetic {group} ideographic {group} phonetic {group} }}"
    return f"{plain} {data} ... on PersonNameValue {{ PN: value {name} }}"


VALUES = f"""{{ images {{ nodes {{ header {{ elements {{
    tag keyword vr vm value warnings
    values {{ __typename index raw warnings peek: rawPeek(size: 3) rawPeek
      {fragments()} display ... on CodeStringValue {{ meaning }} ... on OtherWordValue {{ words }}
    }} }} }} }} }} }}"""


async def elements(graph: Graph) -> dict[str, Any]:
    """The elements of the only image by keyword."""
    (image,) = (await graph(VALUES))["images"]["nodes"]
    return {element["keyword"]: element for element in image["header"]["elements"]}


@pytest.fixture
async def selected(tmp_path: Path, import_files: Import, graph: Graph) -> dict[str, Any]:
    """The elements of a file that holds every VR, by VR."""
    import_files(save(every_vr(), tmp_path / "every.dcm"))
    found = await elements(graph)
    return {
        element["vr"]: element for keyword, element in found.items() if keyword.startswith("Sel")
    }


async def test_every_vr_has_a_type_of_its_own_with_typed_and_raw_values(
    selected: dict[str, Any],
) -> None:
    assert len(selected) == len(TEXTS) + len(NUMBERS) + len(BYTES) + len(["PN"]) == 33
    types = {element["values"][0]["__typename"] for element in selected.values()}
    assert len(types) == 33
    for vr, case in (TEXTS | NUMBERS).items():
        assert_is(selected[vr], vr, case)
    for vr, (name, raw) in BYTES.items():
        assert_bytes(selected[vr], vr, f"{name}Value", raw)
    assert_name(selected["PN"])
    assert selected["OW"]["values"][0]["words"] == [1, 256, 65535]


def assert_is(element: dict[str, Any], vr: str, case: Case) -> None:
    values = element["values"]
    assert (element["vr"], element["vm"], element["warnings"]) == (vr, len(case.values), [])
    assert [value["index"] for value in values] == list(range(len(values)))
    assert {value["__typename"] for value in values} == {f"{case.type}Value"}
    assert [value[vr] for value in values] == case.values
    raws = case.values if vr == "AT" else list(map(str, case.given))
    assert [value["raw"] for value in values] == raws
    assert [value["peek"] for value in values] == [shortened(raw, 3) for raw in raws]
    assert [value["rawPeek"] for value in values] == [shortened(raw, 100) for raw in raws]
    assert all(value["warnings"] == [] for value in values)


def shortened(raw: str, size: int) -> str:
    return raw if len(raw) <= size else raw[:size] + "…"


def assert_bytes(element: dict[str, Any], vr: str, typename: str, raw: bytes) -> None:
    (value,) = element["values"]
    encoded = base64.b64encode(raw).decode()
    assert value["__typename"] == typename
    assert element["value"] == value[vr] == value["raw"] == value["bytes"] == encoded
    assert (int(value["length"]), value["digest"]) == (len(raw), sha256(raw).hexdigest())
    assert value["peek"] == encoded[:3] + "…"


def assert_name(element: dict[str, Any]) -> None:
    full, only = element["values"]
    order = ("family", "given", "middle", "prefix", "suffix")
    groups = ("alphabetic", "ideographic", "phonetic")
    parts = [[full["PN"][group][part] for part in order] for group in groups]
    assert parts == [group.split("^") for group in NAME.split("=")]
    assert full["raw"] == NAME
    assert element["value"] == [NAME, "Only^One"]
    assert [only["PN"]["alphabetic"][part] for part in order] == ["Only", "One", None, None, None]
    assert set(only["PN"]["ideographic"].values()) == {None}


async def test_the_plain_value_of_an_element(selected: dict[str, Any]) -> None:
    """Scalars for one value, lists for more; 64-bit integers as text where JSON is not exact."""
    plain = {vr: selected[vr]["value"] for vr in (*TEXTS, *NUMBERS)}
    assert plain["LT"] == "a\\b\r\nc"
    assert plain["DA"] == ["2020-02-29", "1899-12-31"]
    assert plain["TM"][1] == "12:34:00"
    assert plain["DT"][0] == "2020-01-02T03:04:05.678900+05:30"
    assert plain["DS"] == [1.5, -2000, 0.25, 1e300]
    assert isinstance(plain["DS"][1], int)
    assert plain["AS"][1] == 1.5
    assert plain["UL"] == [0, 2**32 - 1]
    assert plain["SV"] == [str(-(2**63)), str(2**53 + 1)]
    assert plain["UV"] == [str(2**64 - 1), 2**53 - 1]


async def test_codes_keep_the_code_and_have_a_display_name_beside_it(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(
        make_file(
            tmp_path / "a.dcm", Modality="MR", PatientPosition="HFS", PatientSex="O",
            ScanningSequence=["GR", "XX"], SequenceVariant="SK", ImageType=["ORIGINAL", "PRIMARY"],
        )
    )  # fmt: skip
    found = await elements(graph)
    shown = {
        keyword: [(value["CS"], value["meaning"]) for value in element["values"]]
        for keyword, element in found.items()
        if element["vr"] == "CS"
    }
    assert shown == {
        "ImageType": [("ORIGINAL", None), ("PRIMARY", None)],
        "Modality": [("MR", "Magnetic Resonance")],
        "PatientSex": [("O", "Other")],
        "ScanningSequence": [("GR", "Gradient Recalled"), ("XX", None)],
        "SequenceVariant": [("SK", "Segmented k-Space")],
        "PatientPosition": [("HFS", "Head First-Supine")],
    }


SHOWN = {
    "AE": "STORE 1", "AS": "45 years", "CS": "ORIGINAL", "DA": "2020-02-29", "DS": "1.5",
    "DT": "2020-01-02 03:04:05.678900+05:30", "IS": "-2147483648", "LO": "Grüße", "SH": "short",
    "TM": "12:00:00", "UC": "x" * 199 + "…", "UI": "1.2.840.1", "AT": "(0018,1063)",
    "FD": "1.1", "SV": str(-(2**63)), "UL": "0", "US": "0", "OB": "4 bytes",
    "PN": "Yamada, Dr Tarou Mid, Jr (山田, 博士 太郎 中, 二世, やまだ, はかせ たろう なか, にせい)",
}  # fmt: skip


async def test_every_value_is_shown_as_people_read_it(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    header = every_vr()
    header.ReferencedImageSequence = Sequence([Dataset(), Dataset()])
    header.SelectorULValue = list(range(30))
    header.PatientPosition = "HFS"
    put_raw(header, 0x00280030, "DS", b"0.5\\wide\\2")
    import_files(save(header, tmp_path / "a.dcm"))
    data = await graph("""{ images { nodes { header { elements {
        keyword vr display values { display } } } } } }""")
    ((image,),) = [data["images"]["nodes"]]
    found = {element["keyword"]: element for element in image["header"]["elements"]}
    for vr, text in SHOWN.items():
        assert found[f"Selector{vr}Value"]["values"][0]["display"] == text
    shown = {keyword: element["display"] for keyword, element in found.items()}
    assert shown["SelectorISValue"] == "-2147483648\\2147483647"
    assert shown["PixelSpacing"] == "0.5\\wide\\2"
    assert shown["ReferencedImageSequence"] == "2 items"
    assert shown["SOPClassUID"] == "MR Image Storage"
    assert shown["PatientPosition"] == "Head First-Supine"
    assert shown["SelectorULValue"].endswith("\\19\\… (30 values)")
    assert all(shown[element["keyword"]] for element in found.values() if element["values"])


async def test_an_empty_element_has_no_values(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    header = make_data_set(PatientWeight=None)
    for tag, vr in ((0x00101030, "DS"), (0x00104000, "LT"), (0x00720065, "OB")):
        put_raw(header, tag, vr, b"")
    import_files(save(header, tmp_path / "empty.dcm"))
    found = await elements(graph)
    for keyword in ("PatientWeight", "PatientComments", "SelectorOBValue"):
        element = found[keyword]
        assert (element["vm"], element["value"], element["values"]) == (0, None, [])


# --- what cannot be parsed


UNPARSEABLE = {
    "DS": b"1,5 ", "IS": b"12x ", "DA": b"20200230", "TM": b"2500", "DT": b"last week ",
    "AS": b"45 years",
}  # fmt: skip


def selector(vr: str) -> int:
    """The tag of the Selector Attribute of a VR."""
    tag = tag_for_keyword(f"Selector{vr}Value")
    assert tag is not None
    return tag


async def test_a_value_has_an_id_and_html(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    names = ["<b>A & B</b>", 'two "2"', "three"]
    make_file(tmp_path / "1.dcm", OtherPatientIDs=names)
    import_files(tmp_path)
    question = """{ images { nodes { header { elements(keywords: ["OtherPatientIDs"]) {
        id values { id index raw html } } } } } }"""
    (image,) = (await graph(question))["images"]["nodes"]
    (element,) = image["header"]["elements"]
    values = element["values"]
    texts = [re.fullmatch(r"<span [^>]*>([^<>]*)</span>", value["html"]) for value in values]
    assert [text and unescape(text[1]) for text in texts] == names
    ids = [value["id"] for value in values]
    assert len({*ids, element["id"]}) == 4
    again = """query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id
        ... on LongStringValue { index raw } } }"""
    found = (await graph(again, ids=ids[::-1]))["nodes"]
    assert [node["id"] for node in found] == ids[::-1]
    assert [node["raw"] for node in found] == names[::-1]
    assert {node["__typename"] for node in found} == {"LongStringValue"}
    # Beyond the last value, and of no element.
    number = base64.b64decode(element["id"]).decode().partition(":")[2]
    for text in (f"DataElementValue:{number}.3", "DataElementValue:99999999.0"):
        gone = base64.b64encode(text.encode()).decode()
        assert (await graph("query ($id: ID!) { node(id: $id) { id } }", id=gone))["node"] is None


async def test_what_cannot_be_parsed_is_null_with_its_text_and_a_warning(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    header = make_data_set()
    for vr, raw in UNPARSEABLE.items():
        put_raw(header, selector(vr), vr, raw)
    report = import_files(save(header, tmp_path / "odd.dcm"))
    assert (report.counts.created, report.counts.failed) == (1, 0)
    found = await elements(graph)
    for vr, raw in UNPARSEABLE.items():
        element = found[f"Selector{vr}Value"]
        (value,) = element["values"]
        assert (value[vr], element["value"]) == (None, None)
        assert value["raw"] == raw.decode().strip()
        assert len(value["warnings"]) == 1
        assert element["warnings"] == value["warnings"]


async def test_one_bad_value_among_good_ones(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    header = make_data_set()
    put_raw(header, 0x00280030, "DS", b"0.5\\wide\\\\2")
    import_files(save(header, tmp_path / "odd.dcm"))
    element = (await elements(graph))["PixelSpacing"]
    assert element["value"] == [0.5, None, None, 2]
    assert [value["raw"] for value in element["values"]] == ["0.5", "wide", "", "2"]
    assert [len(value["warnings"]) for value in element["values"]] == [0, 1, 0, 0]


async def test_images_with_warnings_are_found_and_what_holds_them(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    folder = tmp_path / "in"
    make_file(folder / "fine.dcm", PatientID="fine")
    for vr, raw in UNPARSEABLE.items():
        header, item = make_data_set(PatientID=f"odd {vr}"), Dataset()
        put_raw(item if vr == "TM" else header, selector(vr), vr, raw)
        header.ReferencedImageSequence = Sequence([item])
        save(header, folder / f"{vr}.dcm")
    import_files(folder)
    found = await graph("""{
        odd: images(filter: {hasWarnings: true}) { totalCount nodes { warnings patient { uid } } }
        fine: images(filter: {hasWarnings: false}) { nodes { warnings patient { uid } } }
        series(filter: {hasWarnings: true}) { totalCount nodes { patient { uid } } }
        studies(filter: {hasWarnings: true}) { totalCount }
        patients(filter: {hasWarnings: true}) { nodes { uid } }
        finePatients: patients(filter: {hasWarnings: false}) { nodes { uid } } }""")
    odd = {f"odd {vr}" for vr in UNPARSEABLE}
    assert {image["patient"]["uid"] for image in found["odd"]["nodes"]} == odd
    assert all(image["warnings"] for image in found["odd"]["nodes"])
    assert found["fine"]["nodes"] == [{"warnings": [], "patient": {"uid": "fine"}}]
    assert {series["patient"]["uid"] for series in found["series"]["nodes"]} == odd
    assert found["odd"]["totalCount"] == found["studies"]["totalCount"] == len(odd)
    assert {patient["uid"] for patient in found["patients"]["nodes"]} == odd
    assert found["finePatients"]["nodes"] == [{"uid": "fine"}]


async def test_an_image_warning_names_the_element_on_its_path(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    item = Dataset()
    put_raw(item, 0x00180050, "DS", b"thick ")
    import_files(
        save(make_data_set(ReferencedImageSequence=Sequence([Dataset(), item])), tmp_path / "a.dcm")
    )
    ((warning,),) = [
        image["warnings"] for image in (await graph("{images{nodes{warnings}}}"))["images"]["nodes"]
    ]
    assert "ReferencedImageSequence[1].(0018,0050) SliceThickness" in warning
    assert "'thick'" in warning


async def test_numbers_that_are_not_finite_are_null(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    header = make_data_set(SelectorFDValue=[math.nan, math.inf, 1.5])
    import_files(save(header, tmp_path / "nan.dcm"))
    element = (await elements(graph))["SelectorFDValue"]
    assert element["value"] == [None, None, 1.5]
    assert [value["raw"] for value in element["values"]] == ["nan", "inf", "1.5"]


# --- binary values beyond 64 KiB

LARGE = bytes(range(256)) * 300
NESTED = LARGE[::-1]
SELECTION = """{ id value values { ... on OtherByteValue {
    value length digest bytes raw } ... on OtherWordValue { words bytes } } }"""
LARGE_QUERY = f"""{{ images {{ nodes {{ header {{
    top: element(keyword: "SelectorOBValue") {SELECTION}
    nested: element(path: "ReferencedImageSequence[0].SelectorOBValue") {SELECTION} }} }} }} }}"""


def save_large(path: Path) -> Path:
    """A file with large bytes, and an element of a VR that makes pydicom raise."""
    item = Dataset()
    item.SelectorOBValue = NESTED
    header = make_data_set(
        SelectorOBValue=LARGE, ReferencedImageSequence=Sequence([item]), NumberOfFrames="12"
    )
    raw = save(header, path).read_bytes()
    path.write_bytes(raw.replace(b"\x28\0\x08\0IS", b"\x28\0\x08\0ZZ"))
    return path


async def large(graph: Graph) -> Any:
    (image,) = (await graph(LARGE_QUERY))["images"]["nodes"]
    return image["header"]


async def test_large_bytes_are_read_from_the_file(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(save_large(tmp_path / "large.dcm"))
    header = await large(graph)
    for name, raw in (("top", LARGE), ("nested", NESTED)):
        (value,) = header[name]["values"]
        assert (header[name]["value"], value["value"], value["raw"]) == (None, None, None)
        assert (int(value["length"]), value["digest"]) == (len(raw), sha256(raw).hexdigest())
        assert base64.b64decode(value["bytes"]) == raw


async def test_bytes_of_64_kib_are_in_the_database(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    path = save(make_data_set(SelectorOBValue=LARGE[:65_536]), tmp_path / "limit.dcm")
    import_files(path)
    path.unlink()
    (value,) = (await elements(graph))["SelectorOBValue"]["values"]
    assert base64.b64decode(value["bytes"]) == base64.b64decode(value["OB"]) == LARGE[:65_536]


async def errors_of_large(graph: Graph) -> set[tuple[str, str]]:
    result = await graph.execute(LARGE_QUERY)
    return {(error.extensions["code"], error.message) for error in result.errors}


async def test_bytes_of_a_file_that_is_gone(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    path = save_large(tmp_path / "large.dcm")
    import_files(path)
    path.unlink()
    (error,) = await errors_of_large(graph)
    assert error == ("FILE_GONE", f"{path} is gone or has changed: import it again")


async def test_bytes_of_a_file_that_has_changed(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    path = save_large(tmp_path / "large.dcm")
    import_files(path)
    for content in (b"", b"no DICOM at all", path.read_bytes()[:1000]):
        path.write_bytes(content)
        assert {code for code, _ in await errors_of_large(graph)} == {"FILE_GONE"}
    make_file(path, SelectorOBValue=NESTED[::2] * 2)
    assert {code for code, _ in await errors_of_large(graph)} == {"FILE_GONE"}


async def test_bytes_come_from_another_copy_where_one_is_gone(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    paths = [save_large(tmp_path / "1.dcm"), tmp_path / "2.dcm"]
    shutil.copy(*paths)
    import_files(*paths)
    for path in paths:
        path.rename(tmp_path / "away")
        assert base64.b64decode((await large(graph))["top"]["values"][0]["bytes"]) == LARGE
        (tmp_path / "away").rename(path)


async def test_bytes_beyond_the_limit_are_refused(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    import_files(save_large(tmp_path / "large.dcm"))
    query = """query ($limit: Int!) { images { nodes { header {
        element(keyword: "SelectorOBValue") { values {
            ... on OtherByteValue { bytes(limit: $limit) } } } } } } }"""
    (error,) = (await graph.execute(query, limit=len(LARGE) - 1)).errors
    assert error.extensions["code"] == "BAD_INPUT"
    assert str(len(LARGE)) in error.message
    assert not (await graph.execute(query, limit=len(LARGE))).errors


# --- character sets


async def test_equal_bytes_under_two_character_sets_are_two_values(
    tmp_path: Path, import_files: Import, graph: Graph
) -> None:
    for number, name in enumerate(("ISO_IR 100", "ISO_IR 144")):
        header = make_data_set(SpecificCharacterSet=name, InstitutionName="plain")
        put_raw(header, 0x00081030, "LO", b"\xe4\xee ")
        save(header, tmp_path / f"{number}.dcm")
    import_files(tmp_path)
    data = await graph("""{ images { nodes { header {
        coded: element(keyword: "StudyDescription") { id value }
        plain: element(keyword: "InstitutionName") { id value } } } } }""")
    headers = [image["header"] for image in data["images"]["nodes"]]
    coded = {header["coded"]["id"]: header["coded"]["value"] for header in headers}
    expected = {b"\xe4\xee".decode("iso8859-1"), b"\xe4\xee".decode("iso8859-5")}
    assert len(coded) == 2
    assert set(coded.values()) == expected
    assert {header["plain"]["value"] for header in headers} == {"plain"}
    assert len({header["plain"]["id"] for header in headers}) == 1
