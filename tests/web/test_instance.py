"""What only the file holds, over GraphQL; the right values are pydicom's."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import Dataset, dcmread

from dicom_graph.importing.foreground import run_import
from dicom_graph.settings import Settings
from dicom_graph.store import accounts
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from dicom_graph.store.migrate import upgrade
from tests.support.make import make_data_set, make_file, save
from tests.support.people import Person, add_person
from tests.support.server import Server, running_server

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])
ASK = """query ($uid: String!) { imageByUid(uid: $uid) { instance {
  a: element(tag: "(0019,xx10)", privateCreator: "ACME 1.1") { value vr privateCreator tag }
  b: element(path: "ReferencedImageSequence[0].ReferencedSOPInstanceUID") { value vrName }
  c: element(keyword: "PatientName") { value }
  elements(private: true) { tag } json }
  header { id instance { a: element(keyword: "Rows") { value } } }
  series { instance { a: element(keyword: "Modality") { value } } } } }"""


def write(path: Path, patient: str) -> Path:
    data_set = make_data_set(PatientID=patient, PatientName=f"{patient}^Zaphod", Rows=7)
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    data_set.ReferencedImageSequence = [item]
    block = data_set.private_block(0x0019, "ACME 1.1", create=True)
    block.add_new(0x10, "LO", f"secret of {patient}")
    return save(data_set, path)


class Site:
    """A server over the files, and who asks it."""

    def __init__(self, server: Server, paths: dict[str, Path], people: dict[str, Person]) -> None:
        self.server, self.paths, self.people = server, paths, people
        self.uids = {name: str(dcmread(path).SOPInstanceUID) for name, path in paths.items()}

    def ask(self, name: str, uid: str, query: str = ASK) -> Any:
        body = {"query": query, "variables": {"uid": uid}}
        url, headers = f"{self.server.url}/graphql", self.people[name].bearer
        return httpx.post(url, json=body, headers=headers, timeout=60).json()


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    """A is imported in mode normal, B minimal; `member` may see A, `blind` no identities."""
    paths = {name: write(tmp_path / name / "1.dcm", name) for name in "AB"}
    database = Database(database_url)
    upgrade(database)
    for name, mode in (("A", Mode.NORMAL), ("B", Mode.MINIMAL)):
        run_import(database, JobRequest((str(tmp_path / name),), mode))
    people = {name: add_person(database, name, "ADMIN") for name in ("whole", "member")}
    people["blind"] = add_person(database, "blind", "EDITOR", deidentified=True)
    with database.writer.begin() as connection:
        accounts.add_group(connection, "cohort")
        accounts.add_grant(connection, "cohort", "patient", "A")
        accounts.add_member(connection, "cohort", "member")
    database.close_writer()
    settings = Settings(database_url=database_url, import_roots=[tmp_path], _env_file=None)
    with running_server(settings) as server:
        yield Site(server, paths, people)


def test_what_the_mode_left_out_is_read_from_the_file(site: Site) -> None:
    for name in "AB":
        image = site.ask("whole", site.uids[name])["data"]["imageByUid"]
        found = image["instance"]
        assert found["a"] == {
            "value": f"secret of {name}", "vr": "LO", "privateCreator": "ACME 1.1",
            "tag": "(0019,1010)",
        }  # fmt: skip
        assert found["b"] == {"value": "1.2.3", "vrName": "Unique Identifier (UID)"}
        assert [each["tag"] for each in found["elements"]] == ["(0019,0010)", "(0019,1010)"]
        truth = dcmread(site.paths[name], stop_before_pixels=True)
        assert Dataset.from_json(json.dumps(found["json"])) == Dataset(truth)
        assert image["series"]["instance"]["a"]["value"] == truth.Modality
        header = image["header"]
        assert (header is None) == (name == "B")
        assert header is None or header["instance"]["a"]["value"] == 7


def test_groups_and_the_deidentified_see_no_more_than_of_the_header(site: Site) -> None:
    assert site.ask("member", site.uids["B"])["data"]["imageByUid"] is None
    seen = site.ask("member", site.uids["A"])["data"]["imageByUid"]["instance"]
    assert seen["a"]["value"] == "secret of A"
    listed = "query ($uid: String!) { imageByUid(uid: $uid) { id } images { nodes { uid } } }"
    uids = [n["uid"] for n in site.ask("blind", "", listed)["data"]["images"]["nodes"]]
    assert len(uids) == 2
    assert not set(uids) & set(site.uids.values())
    for uid in uids:
        answer = site.ask("blind", uid)
        found = answer["data"]["imageByUid"]["instance"]
        assert found["a"] is None
        assert found["elements"] == []
        assert found["c"] is None or not found["c"]["value"]
        assert "secret" not in json.dumps(answer)
        assert "Zaphod" not in json.dumps(answer)
        assert found["json"]["00080018"]["Value"] == [uid]


def test_a_file_that_is_gone_or_another_is_an_error_that_says_so(site: Site) -> None:
    os.unlink(site.paths["A"])
    make_file(site.paths["B"], PatientID="C")
    for uid in site.uids.values():
        answer = site.ask("whole", uid)
        assert {error["extensions"]["code"] for error in answer["errors"]} == {"FILE_GONE"}
        assert "import or sync again" in answer["errors"][0]["message"]
        assert answer["data"]["imageByUid"]["instance"] is None
