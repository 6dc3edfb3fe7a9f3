"""What is withheld cannot be asked for either: filters, orders, facets and search do not tell."""

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.datadict import dictionary_has_tag, dictionary_keyword
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.access.deidentified_site import Site, deidentified_site
from tests.access.identities import IMAGES, PATIENT, PROFILE, SERIES, STUDY, make_planted
from tests.support.make import make_series
from tests.support.samples import mostly_slow
from tests.support.server import running_server
from tests.support.waiting import until

LISTS = {
    "patients": ("PATIENT", "uid name namePrefix givenName middleName familyName nameSuffix sex "
                 "dateOfBirth created modified"),
    "studies": ("STUDY", "uid description date time created modified"),
    "series": ("SERIES", "uid description date time protocolName deviceSerialNumber "
               "institutionName operatorsName created modified"),
    "images": ("IMAGE", "uid date time created modified"),
}  # fmt: skip
"""Root lists, and their fields that are withheld or replaced."""
KEPT = "number modality echoTime manufacturer manufacturerModelName patientPosition"


def _fill(folder: Path) -> None:
    """Zaphod's images, and others of which none would come first by chance."""
    make_planted(folder)
    for number in (1, 2, 3):
        make_series(
            folder / f"other{number}", 2, PatientID=f"A{number}", PatientName=f"Aa{number}^B",
            StudyDate=f"2020010{4 - number}", SeriesDescription=f"other {number}",
        )  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    with deidentified_site(request, tmp_path_factory.mktemp("site"), _fill) as made:
        yield made


def _fields() -> list[tuple[str, str]]:
    return [(name, field) for name, (_, fields) in LISTS.items() for field in fields.split()]


def _other(value: str) -> str:
    """A value of the same kind that nobody has."""
    if len(value) > 10 and value[10] == "T":
        return "2000-01-01T00:00:00Z"
    try:
        return (date.fromisoformat(value) - timedelta(days=1)).isoformat()
    except ValueError:
        return "00:00:01" if value[2:3] == ":" else "nobody"


@pytest.mark.slow
@pytest.mark.parametrize(("name", "field"), _fields())
def test_a_field_that_is_withheld_cannot_be_asked_for(site: Site, name: str, field: str) -> None:
    listed = f"{{ {name}(first: 100) {{ nodes {{ id {field} }} }} }}"
    true = {n[field] for n in site.data(listed, site.whole)[name]["nodes"]} - {None}
    assert true, "the files have no such value"
    shown = {n[field] for n in site.data(listed)[name]["nodes"]}
    assert not true & shown
    for value in sorted(true)[-1:]:
        for operator in ("eq", "ne", "gte", "icontains"):
            counts = [_count(site, name, field, operator, one) for one in (value, _other(value))]
            assert counts[0] == counts[1], (operator, value)
        found = site.data(f"{{ {name}(search: {json.dumps(value)}) {{ totalCount }} }}")
        assert found[name]["totalCount"] == 0


def _count(site: Site, name: str, field: str, operator: str, value: str) -> Any:
    """The number that is found, or why the question is refused."""
    given = f"filter: {{ {field}: {{ {operator}: {json.dumps(value)} }} }}"
    answer = site.ask(f"{{ {name}({given}) {{ totalCount }} }}")
    if "errors" in answer:
        return [error["message"].replace(json.dumps(value), "") for error in answer["errors"]]
    return answer["data"][name]["totalCount"]


@pytest.mark.parametrize(("name", "field"), _fields())
def test_nor_sorted_counted_or_measured_by(site: Site, name: str, field: str) -> None:
    entity, _ = LISTS[name]
    plain = site.data(f"{{ {name}(orderBy: [{{ field: ID }}]) {{ nodes {{ id }} }} }}")[name]
    order = "".join(f"_{c}" if c.isupper() else c.upper() for c in field)
    answer = site.ask(f"{{ {name}(orderBy: [{{ field: {order} }}]) {{ nodes {{ id }} }} }}")
    if field != "uid" and "errors" not in answer:
        assert answer["data"][name] == plain
    values = site.data(f"{{ facet(entity: {entity}, field: {order}) {{ value count }} }}")
    true = site.data(f"{{ {name} {{ nodes {{ {field} }} }} }}", site.whole)[name]["nodes"]
    assert not {v["value"] for v in values["facet"]} & {n[field] for n in true if n[field]}
    measured = site.ask(f"{{ {name} {{ aggregate(field: {order}) {{ min max distinct }} }} }}")
    if "errors" not in measured:
        found = measured["data"][name]["aggregate"]
        assert found["distinct"] in (0, 1)
        assert found["min"] in (None, "1970-01-01T00:00:00+00:00")


@pytest.mark.parametrize("anywhere", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_elements_that_are_withheld_cannot_be_asked_for(site: Site, anywhere: bool) -> None:
    header = dcmread(next(site.folder.rglob("zaphod-0.dcm")))
    texts = [e for e in header if e.tag in PROFILE and e.VR in ("LO", "SH", "ST", "PN", "UI", "LT")]
    assert len(texts) > 200
    for element in texts[::25]:
        for text in (str(element.value), "nobody"):
            given = {"keyword": element.keyword, "text": {"eq": text}, "anywhere": anywhere}
            condition = {"header": {"element": given}}
            query = "query($f: ImageFilter) { images(filter: $f) { totalCount } }"
            answer = site.ask(query, f=condition)
            assert "errors" in answer or answer["data"]["images"]["totalCount"] == 0
        query = f'{{ facet(entity: IMAGE, keyword: "{element.keyword}") {{ value }} }}'
        answer = site.ask(query)
        assert "errors" in answer or answer["data"]["facet"] == []


@pytest.mark.parametrize(
    "condition",
    [
        {"element": {"text": {"contains": "zaphods"}, "anywhere": True}},
        {"element": {"text": {"startsWith": "zq0"}, "anywhere": True}},
        {"element": {"keyword": "CodeMeaning", "text": {"icontains": "z"}, "anywhere": True}},
        {"element": {"path": "RequestAttributesSequence.CodeMeaning"}},
        {"element": {"tag": "(0019,xx01)", "privateCreator": "ZAPHODS CREATOR"}},
        {"element": {"tag": "(6000,4000)"}},
        {"element": {"tag": "(0018,9999)"}},
        {"element": {"keyword": "PatientName"}},
        {"element": {"vr": "PN", "anywhere": True}},
        {"element": {"vr": "DA", "anywhere": True}},
        {"csa": [{"path": "ImaComments"}]},
    ],
)
def test_what_does_not_exist_for_them_is_not_found(site: Site, condition: dict[str, Any]) -> None:
    query = "query($f: ImageFilter) { images(filter: $f) { totalCount } }"
    given = {"header": condition}
    assert site.data(query, site.whole, f=given)["images"]["totalCount"] >= 1
    assert site.data(query, f=given)["images"]["totalCount"] == 0
    if "element" in condition and "vr" in condition["element"]:
        return
    if condition.get("element", {}).get("keyword") == "PatientName":
        missing = {"header": {"element": {"keyword": "PatientName", "exists": False}}}
        assert site.data(query, f=missing)["images"]["totalCount"] == 8


def test_what_is_kept_is_the_same_as_for_others(site: Site) -> None:
    query = (
        f"{{ series(orderBy: [{{ field: ID }}]) {{ totalCount nodes {{ id nImages {KEPT} "
        'sampleHeader { element(keyword: "EchoTime") { value } } } } }'
    )
    assert site.data(query) == site.data(query, site.whole)
    for question in (
        '{ images(filter: { header: { element: { keyword: "EchoTime", number: { lt: 3 } } } }) '
        "{ totalCount nodes { id } } }",
        '{ facet(entity: IMAGE, keyword: "EchoTime") { value count } }',
        '{ series(filter: { modality: { eq: "MR" }, images: { some: { number: { eq: 2 } } } }, '
        "orderBy: [{ field: ID }]) { nodes { id } } }",
        '{ images(orderBy: [{ element: { keyword: "EchoTime" }, direction: DESC }]) '
        "{ nodes { id number } } }",
        '{ series(search: "kept model") { totalCount } }',
    ):
        assert site.data(question) == site.data(question, site.whole)


SEARCH = """query($text: String!) { search(text: $text, first: 100) {
  patients { node { id } } studies { node { id } } series { node { id } texts { text } }
  definitions { node { id } } values { node { id raw } texts { text } } } }"""
TEXTS = (
    "zaphod", "beeblebrox^zaphod", "zq0t", "zq0d", "1.3.777", PATIENT, SERIES, "19341105", "1934",
    "other", "zaphods creator",
)  # fmt: skip


@pytest.mark.parametrize("text", mostly_slow(TEXTS, 4))
def test_a_search_of_everything_finds_nothing_that_is_withheld(site: Site, text: str) -> None:
    assert any(site.data(SEARCH, site.whole, text=text)["search"].values())
    assert not any(site.data(SEARCH, text=text)["search"].values())


def test_a_search_of_everything_finds_what_is_kept(site: Site) -> None:
    values = "{ dataElementValues(first: 10000) { totalCount nodes { raw } } }"
    whole, shown = (json.dumps(site.data(values, who)).casefold() for who in (site.whole, None))
    assert all(text in whole and text not in shown for text in ("zaphod", "zq0", "1934"))
    kept = site.data(SEARCH, text="kept model")["search"]
    assert kept == site.data(SEARCH, site.whole, text="kept model")["search"]
    assert [each["texts"][0]["text"] for each in kept["values"]] == ["Kept Model"]
    assert "Kept Model" in [each["text"] for each in kept["series"][0]["texts"]]
    uid = site.data("{ series { nodes { id uid } } }")["series"]["nodes"][0]
    (found,) = site.data(SEARCH, text=uid["uid"])["search"]["series"]
    assert found == {"node": {"id": uid["id"]}, "texts": [{"text": uid["uid"]}]}


NAMES = """{ patients { nodes { id uid } } studies { nodes { id uid } } series { nodes { id uid } }
  images(filter: { series: { manufacturerModelName: { eq: "Kept Model" } } }) { nodes { id uid
    defaultPath fileUrl header { json } series { uid study { uid } patient { uid } } } } }"""


def test_pseudonyms_are_one_and_the_same_everywhere(site: Site) -> None:
    found = site.data(NAMES)
    true = site.data(NAMES, site.whole)
    for name in LISTS:
        pseudonyms = [node["uid"] for node in found[name]["nodes"]]
        assert len(set(pseudonyms)) == len(pseudonyms)
        assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in pseudonyms)
        assert not set(pseudonyms) & {node["uid"] for node in true[name]["nodes"]}
    one, two = found["images"]["nodes"]
    for image, other in ((one, two), (two, one)):
        header, series = image["header"]["json"], image["series"]
        assert header["00080018"]["Value"] == [image["uid"]]
        assert header["0020000E"]["Value"] == [series["uid"]]
        assert header["0020000D"]["Value"] == [series["study"]["uid"]]
        assert header["00100020"]["Value"] == [series["patient"]["uid"]]
        (item,) = header["00081115"]["Value"]
        assert item["0020000E"]["Value"] == [series["uid"]]
        known, unknown = item["0008114A"]["Value"]
        assert known["00081155"]["Value"] == [other["uid"]]
        assert known["00081150"]["Value"] == ["1.2.840.10008.5.1.4.1.1.4"]
        assert unknown["00081155"]["Value"][0].startswith("2.25.")
        assert image["fileUrl"] == f"/images/{image['uid']}.dcm"
        assert image["defaultPath"].endswith(f"/{image['uid']}.dcm")


def test_pseudonyms_lead_back_and_only_to_their_own(site: Site) -> None:
    found = site.data(NAMES)
    single = {"patients": "patient", "studies": "study", "series": "series", "images": "image"}
    for name, one in single.items():
        node = found[name]["nodes"][-1]
        for other, field in single.items():
            query = f'{{ {field}ByUid(uid: "{node["uid"]}") {{ id }} }}'
            answer = site.data(query)[f"{field}ByUid"]
            assert answer == ({"id": node["id"]} if field == one else None), other
        for condition in (f'eq: "{node["uid"]}"', f'in: ["{node["uid"]}", "1.2"]'):
            query = f"{{ {name}(filter: {{ uid: {{ {condition} }} }}) {{ nodes {{ id }} }} }}"
            assert site.data(query)[name]["nodes"] == [{"id": node["id"]}]
        search = f'{{ {name}(search: "{node["uid"]}") {{ nodes {{ id }} }} }}'
        assert site.data(search)[name]["nodes"] == [{"id": node["id"]}]
        query = f'{{ {name}(filter: {{ uid: {{ startsWith: "2.25" }} }}) {{ totalCount }} }}'
        assert "pseudonym" in site.ask(query)["errors"][0]["message"]
        query = f'{{ {name}(filter: {{ uid: {{ ne: "{node["uid"]}" }} }}) {{ totalCount }} }}'
        assert site.data(query)[name]["totalCount"] > 0
    for field, uid in (("patient", PATIENT), ("study", STUDY), ("series", SERIES),
                       ("image", IMAGES[0])):  # fmt: skip
        assert site.data(f'{{ {field}ByUid(uid: "{uid}") {{ id }} }}')[f"{field}ByUid"] is None


def test_pseudonyms_outlive_the_server_and_are_those_of_a_token(site: Site) -> None:
    found = site.data(NAMES)
    assert site.data(NAMES, site.token) == found
    with running_server(site.server.settings) as again:
        assert site._replace(server=again).data(NAMES) == found


@pytest.mark.parametrize("who", ["blind", "token"])
def test_who_sees_no_identities_may_only_read(site: Site, who: str) -> None:
    person = getattr(site, who)
    for mutation in (
        'importPath(input: { path: "/" })', 'updatePatient(input: { id: "UGF0aWVudDox" })',
        'deleteImage(input: { id: "SW1hZ2U6MQ==" })', 'refresh(input: { id: "UGF0aWVudDox" })',
        'cancelImport(input: { id: "SW1wb3J0Sm9iOjE=" })', "uploadImages(input: { files: [] })",
    ):  # fmt: skip
        (error,) = site.ask(f"mutation {{ {mutation} {{ errors {{ code }} }} }}", person)["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"
    assert site.data("{ importJobs { totalCount nodes { paths } } }", person)["importJobs"] == {
        "totalCount": 0, "nodes": [],
    }  # fmt: skip
    url = f"{site.server.websocket_url}/graphql"
    protocol = Subprotocol("graphql-transport-ws")
    with connect(url, additional_headers=person.bearer, subprotocols=[protocol]) as socket:
        socket.send('{"type": "connection_init"}')
        assert "ack" in str(socket.recv())
        query = 'subscription { importProgress(jobId: "SW1wb3J0Sm9iOjE=") { paths } }'
        operation = {"id": "1", "type": "subscribe", "payload": {"query": query}}
        socket.send(json.dumps(operation))
        message = str(socket.recv())
    assert "FORBIDDEN" in message
    assert "Zaphod" not in message


def test_what_others_have_asked_is_not_remembered_for_them(site: Site) -> None:
    query = "{ images(first: 100) { nodes { header { json } } } }"
    before = site.data(query)
    whole = site.data(query, site.whole)
    assert site.data(query) == before
    assert site.data(query, site.whole) == whole
    assert "Zaphod" in json.dumps(whole)
    assert "Zaphod" not in json.dumps(before)


def test_the_keywords_of_what_is_withheld_are_not_listed(site: Site) -> None:
    query = "{ dataElementDefinitions(first: 10000) { nodes { keyword tag } } }"
    shown = {n["keyword"] for n in site.data(query)["dataElementDefinitions"]["nodes"]}
    actions = {
        dictionary_keyword(tag): action
        for tag, action in PROFILE.items()
        if dictionary_has_tag(tag)
    }
    assert all(actions.get(name, "U") == "U" or name == "PatientID" for name in shown)
    assert {"EchoTime", "SOPInstanceUID", "PatientID", "ReferencedSeriesSequence"} <= shown


def test_the_audit_log_knows_whom_they_saw(site: Site) -> None:
    query = "{ patients { nodes { uid } } studies { nodes { uid } } }"
    entries = "{ auditEntries(first: 100) { nodes { principal patients studies } } }"
    site.data(query)

    def lines() -> list[Any]:
        nodes = site.data(entries, site.whole)["auditEntries"]["nodes"]
        return [node for node in nodes if node["principal"] == "blind" and node["patients"]]

    until(lambda: any(STUDY in (line["studies"] or ()) for line in lines()))
    true = site.data(query, site.whole)
    for name in ("patients", "studies"):
        known = {node["uid"] for node in true[name]["nodes"]}
        assert {uid for line in lines() for uid in line[name] or ()} <= known
    assert site.ask(entries)["errors"][0]["extensions"]["code"] == "FORBIDDEN"
