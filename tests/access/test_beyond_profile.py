"""What the confidentiality profile does not list, and what is no such value as it says it is."""

import base64
import io
import json
import re
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from tests.access.deidentified_site import Site, deidentified_site
from tests.support.make import make_data_set, put_raw, save
from tests.support.samples import mostly_slow

NAME = "Zaphod Beeblebrox"
LISTED: dict[str, Any] = {
    "PatientBirthDateInAlternativeCalendar": "1390-11-03 Zaphod",
    "PatientDeathDateInAlternativeCalendar": "1402-01-01 Zaphod",
    "PatientAlternativeCalendar": "ZAPHODS",
    "HangingProtocolUserGroupName": "zaphods radiologists",
    "HangingProtocolCreator": "zaphod creator",
    "BoardingPassID": "ZAPHOD 12A",
    "ItineraryID": "zaphods journey",
    "OwnerID": "zaphod owner",
    "DoseComment": "zaphod said so",
    "ContactDisplayName": "zaphods ward",
    "RadiationMachineName": "zaphod room 1",
    "BreedRegistrationNumber": "zaphod 17",
    "DeidentificationMethod": "by zaphod",
    "AcquisitionProtocolName": "zaphods head",
    "ComponentWelderIDs": "zaphod welder",
    "DeviceID": "zaphods scanner",
    "PerformedProcedureTypeDescription": "zaphods procedure",
    "ICCProfile": b"acsp desc zaphods profile",
    "HPGLDocument": b"zaphod drew this",
    "Signature": b"zaphods signature",
    "SelectorCSValue": "ZAPHOD SEEKS",
    "PatientBodyMassIndex": "41.0042",
}
"""Elements by keyword, with what they hold of somebody."""
SEQUENCES = (
    "HumanPerformerCodeSequence", "AsserterIdentificationSequence", "AuthorIdentificationSequence",
    "HangingProtocolUserIdentificationCodeSequence", "RequestingPhysicianIdentificationSequence",
    "OrderPlacerIdentifierSequence", "AssessmentRequesterSequence",
)  # fmt: skip
KEPT_SEQUENCE = "PurposeOfReferenceCodeSequence"
ODD: dict[int, tuple[str, bytes]] = {
    0x00080070: ("PN", b"Beeblebrox^Zaphod "),  # Manufacturer
    0x00081090: ("LO", b"model of " + b"zaphod " * 20),  # ManufacturerModelName, too long
    0x00180015: ("LO", b"zaphods head"),  # BodyPartExamined is a code
    0x00185100: ("CS", b"zaphod lies "),  # PatientPosition, small letters
    0x00180020: ("CS", b"SE\\zaphods!"),  # ScanningSequence
    0x00180021: ("ST", b"zaphod said"),  # SequenceVariant is a code
    0x00180024: ("SH", b"zaphods secret sequence "),  # SequenceName, too long
    0x00180023: ("CS", b"ZAPHODZAPHODZAPHODZAPHOD"),  # MRAcquisitionType, too long
    0x00180081: ("AS", b"042Y"),  # EchoTime as an age
    0x00180080: ("SL", struct.pack("<l", 19111203)),  # RepetitionTime is a decimal string
    0x00200011: ("UL", struct.pack("<L", 19111204)),  # SeriesNumber is an integer string
    0x00200013: ("FD", struct.pack("<d", 19111205)),  # InstanceNumber
    0x00180050: ("DS", b"1." + b"4711" * 20),  # SliceThickness, far too long
    0x00181310: ("US", struct.pack("<8H", *b"Zaphod42")),  # AcquisitionMatrix has 4 values
    0x00181020: ("LO", b"v1\x01zaphod\x02"),  # SoftwareVersions, binary
    0x00080008: ("CS", b"ORIGINAL\\PRIMARY\\FOR ZAPHOD BEEBLEBROX "),  # ImageType
    0x00189073: ("FD", struct.pack("<3d", 4711, 42, 1911)),  # AcquisitionDuration has one value
}
"""By tag: a VR and bytes that are not what PS3.6 and PS3.5 say."""
TOLD = ("zaphod", "beeblebrox", "19111203", "19111204", "19111205", "4711471147")


def _fill(folder: Path) -> None:
    for number, sop in enumerate(("1.3.779.30", "1.3.779.31")):
        data_set = make_data_set(
            SOPInstanceUID=sop, SeriesInstanceUID="1.3.779.20", StudyInstanceUID="1.3.779.10",
            PatientID="P", PatientName="A^B", Modality="MR", FlipAngle="30",
        )  # fmt: skip
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for keyword, value in LISTED.items():
                setattr(data_set, keyword, value)
            for keyword in SEQUENCES:
                setattr(data_set, keyword, [_coded()])
            icon = Dataset()
            icon.CodeMeaning = "icon"
            icon.add_new(0x7FE00010, "OW", b"zaphods face pixels ")
            setattr(data_set, KEPT_SEQUENCE, [icon])
            for tag, (vr, raw) in ODD.items():
                put_raw(data_set, tag, vr, raw)
        save(data_set, folder / f"odd{number}.dcm")
    # The same codes as they should be, for somebody else.
    good = make_data_set(
        PatientID="Q", Manufacturer="ACME", ManufacturerModelName="One", BodyPartExamined="HEAD",
        PatientPosition="HFS", ScanningSequence=["SE", "EP"], SequenceVariant="SK", EchoTime="2.5",
        SequenceName="*tfl3d1", MRAcquisitionType="3D", SeriesNumber=3, InstanceNumber=7,
        RepetitionTime="2000", SliceThickness="1.25", SeriesInstanceUID="1.3.779.21",
        StudyInstanceUID="1.3.779.11", SOPInstanceUID="1.3.779.32",
    )  # fmt: skip
    save(good, folder / "good.dcm")


def _coded() -> Dataset:
    item = Dataset()
    item.CodeValue = "ZAPHOD1"
    item.CodeMeaning = NAME
    return item


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with deidentified_site(request, tmp_path_factory.mktemp("beyond"), _fill) as made:
        yield made


FIELDS = {
    "manufacturer": "Beeblebrox^Zaphod", "manufacturerModelName": None,
    "bodyPartExamined": "zaphods head", "patientPosition": "zaphod lies",
    "scanningSequence": ["SE", "zaphods!"], "sequenceVariant": ["zaphod said"],
    "sequenceName": "zaphods secret sequence", "mrAcquisitionType": "ZAPHODZAPHODZAPHODZAPHOD",
    "echoTime": 42, "repetitionTime": 19111203, "number": 19111204,
}  # fmt: skip
SERIES = (
    f"{{ series(orderBy: [{{ field: ID }}]) {{ nodes {{ id {' '.join(FIELDS)} flipAngle }} }} }}"
)


def test_a_field_shows_nothing_that_its_element_withholds(site: Site) -> None:
    odd, good = site.data(SERIES, site.whole)["series"]["nodes"]
    assert odd["manufacturer"] == "Beeblebrox^Zaphod"
    assert (odd["echoTime"], odd["repetitionTime"], odd["number"]) == (42, 19111203, 19111204)
    blind, same = site.data(SERIES)["series"]["nodes"]
    assert {name: blind[name] for name in FIELDS} == dict.fromkeys(FIELDS)
    assert blind["flipAngle"] == odd["flipAngle"] == 30
    assert same == good
    assert None not in {name: same[name] for name in FIELDS}.values()


def test_nor_does_the_number_of_an_image(site: Site) -> None:
    query = "{ images(orderBy: [{ field: ID }]) { nodes { number } } }"
    whole = [n["number"] for n in site.data(query, site.whole)["images"]["nodes"]]
    assert whole == [19111205, 19111205, 7]
    assert [n["number"] for n in site.data(query)["images"]["nodes"]] == [None, None, 7]


CONDITIONS = [
    ('manufacturer: { eq: "Beeblebrox^Zaphod" }', 1), ('manufacturer: { startsWith: "Bee" }', 1),
    ('sequenceName: { icontains: "ZAPHOD" }', 1), ('patientPosition: { ne: "HFS" }', 1),
    ("repetitionTime: { gt: 19111202 }", 1), ("number: { eq: 19111204 }", 1),
    ("echoTime: { between: [41, 43] }", 1), ('bodyPartExamined: { in: ["zaphods head"] }', 1),
    ('scanningSequence: { containsAny: ["zaphods!"] }', 1),
    ('sequenceVariant: { exactly: ["zaphod said"] }', 1),
    ('manufacturer: { isNull: false }', 2),
]  # fmt: skip


@pytest.mark.parametrize(("condition", "n_whole"), CONDITIONS)
def test_a_field_cannot_be_asked_for_what_it_does_not_show(
    site: Site, condition: str, n_whole: int
) -> None:
    query = f"{{ series(filter: {{ {condition} }}) {{ totalCount }} }}"
    assert site.data(query, site.whole)["series"]["totalCount"] == n_whole
    # `ne` holds for what is not there.
    expected = 1 if n_whole == 2 or " ne:" in condition else 0
    assert site.data(query)["series"]["totalCount"] == expected


@pytest.mark.parametrize("word", ["zaphod", "Beeblebrox^Zaphod", "beeblebrox", "secret"])
def test_nor_searched(site: Site, word: str) -> None:
    query = f'{{ series(search: "{word}") {{ totalCount }} }}'
    assert site.data(query, site.whole)["series"]["totalCount"] == 1
    assert site.data(query)["series"]["totalCount"] == 0


@pytest.mark.parametrize("field", FIELDS)
def test_nor_sorted_counted_or_measured(site: Site, field: str) -> None:
    order = "".join(f"_{c}" if c.isupper() else c.upper() for c in field)
    facet = f"{{ facet(entity: SERIES, field: {order}) {{ value count }} }}"
    assert _told(site.data(facet)) == []
    for direction in ("ASC", "DESC"):
        given = f"orderBy: [{{ field: {order}, direction: {direction} }}]"
        answer = site.ask(f"{{ series({given}) {{ edges {{ cursor node {{ id }} }} }} }}")
        assert _told(answer) == []
    answer = site.ask(f"{{ series {{ aggregate(field: {order}) {{ min max sum distinct }} }} }}")
    assert _told(answer) == []


def _told(answer: Any) -> list[str]:
    """What an answer tells of somebody, also in its cursors."""
    text = json.dumps(answer)
    for cursor in re.findall(r'"cursor": "([^"]+)"', text):
        text += base64.urlsafe_b64decode(cursor).decode()
    return [word for word in TOLD if word in text.casefold()]


@pytest.mark.parametrize("keyword", mostly_slow([*LISTED, *SEQUENCES], 10))
def test_an_element_of_somebody_is_not_there(site: Site, keyword: str) -> None:
    query = """query ($e: ElementFilter!) { images(filter: { header: { element: $e } })
      { totalCount } }"""
    for given in (
        {"keyword": keyword}, {"tag": str(Tag(keyword))}, {"keyword": keyword, "vm": {"gte": 0}},
        {"keyword": keyword, "anywhere": True},
    ):  # fmt: skip
        assert site.data(query, site.whole, e=given)["images"]["totalCount"] == 2
        assert site.data(query, e=given)["images"]["totalCount"] == 0
    absent = {"keyword": keyword, "exists": False}
    assert site.data(query, e=absent)["images"]["totalCount"] == 3


@pytest.mark.parametrize("tag", mostly_slow(ODD, 6))
def test_an_element_that_is_no_such_value_is_not_there(site: Site, tag: int) -> None:
    (path, *_) = sorted(site.folder.rglob("odd*.dcm"))
    uid = site.data('{ imageByUid(uid: "1.3.779.30") { id } }', site.whole)["imageByUid"]["id"]
    query = """query ($i: ID!, $t: String!) { node(id: $i) { ... on Image { header {
      element(tag: $t) { vr vm length value } json } } } }"""
    text = str(Tag(tag))
    header = site.data(query, site.whole, i=uid, t=text)["node"]["header"]
    assert header["element"]["vr"] == ODD[tag][0]
    blind = site.data(query, i=uid, t=text)["node"]["header"]
    assert blind["element"] is None
    assert f"{tag:08X}" in header["json"]
    assert f"{tag:08X}" not in blind["json"]
    assert path.exists()


def test_no_answer_tells(site: Site) -> None:
    data = site.data(
        """{ images { nodes { id uid number warnings header { json html
      elements { keyword tag vr vm length value warnings values { raw } items { json } } } } }
      dataElements(first: 10000) { nodes { keyword value warnings values { raw } } }
      dataElementDefinitions(first: 10000) { nodes { keyword vr } } }"""
    )
    assert _told(data) == []
    csv = site.get(
        "/series.csv?column=Manufacturer&column=ImageType&column=SoftwareVersions"
        "&column=AcquisitionMatrix&column=PatientBirthDateInAlternativeCalendar"
    )
    assert csv.status_code == 200
    assert _told(csv.text) == [], csv.text


def test_no_file_tells(site: Site) -> None:
    for uid in site.data("{ images { nodes { uid } } }")["images"]["nodes"]:
        answer = site.get(f"/images/{uid['uid']}.dcm")
        assert answer.status_code == 200, answer.text
        text = answer.content.decode("latin-1").casefold()
        assert not [word for word in TOLD if word in text]
        made = dcmread(io.BytesIO(answer.content))
        for tag in ODD:
            if made.get("Manufacturer") != "ACME":
                assert tag not in made or not made[tag].value, str(Tag(tag))
        for keyword in (*LISTED, *SEQUENCES):
            assert keyword not in made or keyword == "DeidentificationMethod"
        assert "PixelData" not in made.get(KEPT_SEQUENCE, [Dataset()])[0]
