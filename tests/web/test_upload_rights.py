"""Files sent to GraphQL: nothing of them is kept that an allowed `uploadImages` does not take."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest

from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from tests.support.make import make_file
from tests.support.people import Person, add_person
from tests.support.server import Server, running_server
from tests.support.waiting import until

FORM = {"GraphQL-Require-Preflight": "1"}
UPLOAD = "mutation ($f: [Upload!]!) { uploadImages(input: { files: $f }) { errors { code } } }"
LARGE = os.urandom(3 << 20)


class Site(NamedTuple):
    server: Server
    people: dict[str, Person]
    root: Path

    def send(self, who: str, operations: Any, map_: Any, *files: tuple[str, bytes]) -> Any:
        """The answer to a form of these fields, in this order, and these files."""
        parts: list[Any] = [("operations", (None, json.dumps(operations)))]
        parts += [("map", (None, json.dumps(map_)))]
        parts += [(name, (f"{name}.dcm", raw)) for name, raw in files]
        return self.post(who, parts)

    def post(self, who: str, parts: Any) -> httpx.Response:
        headers = FORM | (self.people[who].bearer if who else {})
        return httpx.post(f"{self.server.url}/graphql", files=parts, headers=headers, timeout=60)

    def files(self) -> list[str]:
        """What lies below the storage root."""
        return [name for _, _, names in os.walk(self.root) for name in names]

    def stored(self) -> int:
        return len([name for name in self.files() if name.endswith(".dcm")])


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    root = tmp_path / "root"
    root.mkdir()
    database = Database(database_url)
    people = {
        "viewer": add_person(database, "viewer"),
        "importer": add_person(database, "importer", "IMPORTER"),
        "limited": add_person(database, "limited", "ADMIN", limited=True),
        "blind": add_person(database, "blind", "ADMIN", deidentified=True),
        "weak token": add_person(database, "weak", "ADMIN", token_role="VIEWER"),
        "blind token": add_person(database, "half", "ADMIN", deidentified_token=True),
    }
    database.close_writer()
    settings = Settings(
        database_url=database_url, storage_root=root, max_upload_megabytes=8, max_batch=5,
        import_roots=[tmp_path], _env_file=None,
    )  # fmt: skip
    with running_server(settings) as server:
        yield Site(server, people, root)


def spooled() -> set[str]:
    """The files without a name that this process, and so the server in it, has open."""
    found = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
        except OSError:
            continue
        if path.endswith("(deleted)"):
            found.add(path)
    return found - OURS


OURS: set[str] = set()
"""Those of the tests themselves, such as what pytest captures."""


@pytest.fixture(autouse=True)
def know_our_own() -> None:
    OURS.clear()
    OURS.update(spooled())


def one(query: str = UPLOAD, **more: Any) -> dict[str, Any]:
    return {"query": query, "variables": {"f": [None]}, **more}


MAP = {"0": ["variables.f.0"]}


@pytest.mark.parametrize("who", ["viewer", "limited", "blind", "weak token", "blind token"])
def test_who_may_not_upload_is_told_before_a_file_is_read(site: Site, who: str) -> None:
    answer = site.send(who, one(), MAP, ("0", LARGE))
    assert answer.status_code == 403
    assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
    assert answer.headers["connection"] == "close"
    assert not spooled()
    assert not site.files()


def test_a_stranger_is_told_before_anything_is_read(site: Site) -> None:
    assert site.send("", one(), MAP, ("0", LARGE)).status_code == 401


def test_who_may_upload_does(site: Site, tmp_path: Path) -> None:
    raws = [make_file(tmp_path / f"{n}.dcm").read_bytes() for n in range(3)]
    operations = {"query": UPLOAD, "variables": {"f": [None, None, None]}}
    map_ = {str(n): [f"variables.f.{n}"] for n in range(3)}
    files = [(str(n), raw) for n, raw in enumerate(raws)]
    answer = site.send("importer", operations, map_, *files)
    assert answer.json() == {"data": {"uploadImages": {"errors": []}}}
    until(lambda: site.stored() == 3)
    assert {path.read_bytes() for path in site.root.rglob("*.dcm")} == set(raws)
    until(lambda: not spooled())


@pytest.mark.parametrize(
    ("query", "more"),
    [
        ("{ __typename }", {}),
        ("query ($f: [Upload!]) { __typename }", {}),
        ("subscription ($f: ID!) { importProgress(jobId: $f) { id } }", {}),
        ("mutation ($f: String!) { importPath(input: { path: $f }) { errors { code } } }", {}),
        # It is there, but nothing of it is executed.
        (UPLOAD.replace("(input", " @skip(if: true) (input"), {}),
        (UPLOAD.replace("}) {", "}) @skip(if: true) {"), {}),
        (UPLOAD.replace("}) {", "}) @include(if: false) {"), {}),
        (UPLOAD.replace("$f: [Upload!]!", "$f: [Upload!]!, $s: Boolean = true").replace(
            "}) {", "}) @skip(if: $s) {"), {}),
        (UPLOAD + " query Other { __typename }", {"operationName": "Other"}),
        (UPLOAD + " query Other { __typename }", {}),
        (UPLOAD, {"operationName": "Nothing"}), (UPLOAD, {"operationName": 5}),
        ("query ($f: [Upload!]!) { uploadImages(input: { files: $f }) { errors { code } } }", {}),
        ("fragment F on Mutation { uploadImages(input: { files: $f }) { errors { code } } } "
         "mutation ($f: [Upload!]!) { __typename }", {}),
        ("mutation ($f: [Upload!]!) { x { uploadImages(input: { files: $f }) { job } } }", {}),
        # It does not take this file.
        ("mutation ($g: [Upload!]!, $f: [Upload!]) { uploadImages(input: { files: $g }) "
         "{ errors { code } } }", {}),
        ("mutation { uploadImages(input: { files: [] }) { errors { code } } }", {}),
        ("", {}), (None, {}), (5, {}), ("mutation (", {}), ("{" * 3000, {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_operation_that_takes_no_file(site: Site, query: Any, more: dict[str, Any]) -> None:
    answer = site.send("importer", one(query, **more), MAP, ("0", LARGE))
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_UPLOAD"
    assert not spooled()
    assert not site.files()


@pytest.mark.parametrize(
    "query",
    [
        UPLOAD.replace("uploadImages", "other: uploadImages"),
        UPLOAD.replace("}) {", "}) @skip(if: false) @include(if: true) {"),
        "mutation ($f: [Upload!]!) { ...F } fragment F on Mutation { ... { uploadImages(input: "
        "{ files: $f }) { errors { code } } } }",
        "mutation M($f: [Upload!]!, $s: Boolean = false) { ... @skip(if: $s) { uploadImages(input: "
        "{ files: $f }) { errors { code } } } } query Other { __typename }",
    ],
)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_an_operation_that_takes_one_however_it_is_written(
    site: Site, query: str, tmp_path: Path
) -> None:
    raw = make_file(tmp_path / "1.dcm").read_bytes()
    more = {"operationName": "M"} if "Other" in query else {}
    answer = site.send("importer", one(query, **more), MAP, ("0", raw))
    assert answer.status_code == 200, answer.text
    assert "errors" not in answer.json(), answer.text
    until(lambda: site.stored() == 1)


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_of_a_batch_each_operation_takes_its_own(site: Site, tmp_path: Path) -> None:
    raw = make_file(tmp_path / "1.dcm").read_bytes()
    batch = [{"query": "{ __typename }", "variables": {"f": [None]}}, one()]
    answer = site.send("importer", batch, {"0": ["1.variables.f.0"]}, ("0", raw))
    assert [list(each["data"]) for each in answer.json()] == [["__typename"], ["uploadImages"]]
    for who, map_, status in (
        ("importer", {"0": ["0.variables.f.0"]}, 400), ("importer", MAP, 400),
        ("importer", {"0": ["7.variables.f.0"]}, 400), ("viewer", {"0": ["1.variables.f.0"]}, 403),
        ("importer", {"0": ["1.variables.f.0", "0.variables.f.0"]}, 400),
        ("importer", {"0": ["-1.variables.f.0"]}, 400),
    ):  # fmt: skip
        assert site.send(who, batch, map_, ("0", LARGE)).status_code == status, map_
    assert (
        site.send("importer", [one()] * 6, {"0": ["0.variables.f.0"]}, ("0", LARGE)).status_code
        == 400
    )


@pytest.mark.parametrize(
    ("operations", "map_", "files"),
    [
        (one(), {}, ["0"]), (one(), MAP, ["0", "1"]), (one(), MAP, ["0", "0"]), (one(), MAP, []),
        (one(), {**MAP, "1": ["variables.f.0"]}, ["0"]), (one(), {"0": []}, ["0"]),
        (one(), {"0": ["variables.f.1"]}, ["0"]), (one(), {"0": ["variables.f.-1"]}, ["0"]),
        (one(), {"0": ["variables.g.0"]}, ["0"]), (one(), {"0": ["query"]}, ["0"]),
        (one(), {"0": ["variables"]}, ["0"]), (one(), {"0": ["variables.f"]}, ["0"]),
        (one(), {"0": "variables.f.0"}, ["0"]), (one(), {"0": [5]}, ["0"]), (one(), [], ["0"]),
        (one(), {"0": ["variables.f.0.x"]}, ["0"]), (one(), {"0": ["extensions.f"]}, ["0"]),
        ({"query": UPLOAD, "variables": [[None]]}, {"0": ["variables.0.0"]}, ["0"]),
        ({"query": UPLOAD, "variables": {"f": ["text"]}}, MAP, ["0"]),
        ({"query": UPLOAD}, MAP, ["0"]), (5, MAP, ["0"]), (None, MAP, ["0"]), ([], MAP, ["0"]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_map_that_does_not_match(
    site: Site, operations: Any, map_: Any, files: list[str]
) -> None:
    answer = site.send("importer", operations, map_, *[(name, b"abc") for name in files])
    assert answer.status_code == 400, answer.text
    assert not site.stored()
    until(lambda: not spooled())


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_files_come_last_and_the_rest_is_small(site: Site) -> None:
    operations = ("operations", (None, json.dumps(one())))
    map_, file = ("map", (None, json.dumps(MAP))), ("0", ("a.dcm", LARGE))
    for parts, status in (
        ([file, operations, map_], 400), ([operations, file, map_], 400), ([map_, file], 400),
        ([("operations", ("a.json", json.dumps(one()))), map_, file], 400),
        ([operations, operations, map_, file], 400),
        ([operations, map_, ("other", (None, b"x" * (2 << 20))), file], 413),
        ([("operations", (None, b"x" * (2 << 20))), map_, file], 413),
        ([("map", (None, b"x" * (2 << 20))), operations, file], 413),
        ([operations, *[(f"x{n}", (None, b"")) for n in range(200)], map_, file], 400),
        ([operations], 200), ([operations, map_], 400),
    ):  # fmt: skip
        assert site.post("importer", parts).status_code == status, [name for name, _ in parts]
    assert not site.files()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_form_without_files_is_any_operation(site: Site) -> None:
    operations = {"query": "{ __typename }"}
    assert site.send("viewer", operations, {}).json() == {"data": {"__typename": "Query"}}


def _raw(site: Site, who: str, length: int | None, body: bytes) -> socket.socket:
    """A connection on which a form is sent, but not to its end."""
    address = urlsplit(site.server.url)
    made = socket.create_connection((address.hostname, address.port), timeout=20)
    size = f"Content-Length: {length}" if length else "Transfer-Encoding: chunked"
    lines = [
        "POST /graphql HTTP/1.1", "Host: localhost", size, "GraphQL-Require-Preflight: 1",
        "Content-Type: multipart/form-data; boundary=x",
        f"Authorization: Bearer {site.people[who].token}", "", "",
    ]  # fmt: skip
    made.sendall("\r\n".join(lines).encode())
    made.sendall(body if length else b"%x\r\n%s\r\n" % (len(body), body))
    return made


def _fields() -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'
    operations = head % (b"operations", b"") + json.dumps(one()).encode()
    map_ = head % (b"map", b"") + json.dumps(MAP).encode()
    return operations + b"\r\n" + map_ + b"\r\n" + head % (b"0", b'; filename="a"')


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("length", [4 << 20, None])
def test_the_answer_comes_while_the_rest_is_yet_to_be_sent(site: Site, length: int | None) -> None:
    with _raw(site, "viewer", length, _fields() + LARGE[:10_000]) as end:
        assert b" 403 " in end.recv(1000)
        assert not spooled()
    with _raw(site, "viewer", 100 << 20, b"--x") as end:
        assert b" 413 " in end.recv(1000)


@pytest.mark.parametrize("database_kind", ["sqlite"])
@pytest.mark.parametrize("length", [4 << 20, None])
def test_an_upload_that_is_broken_off_leaves_nothing(site: Site, length: int | None) -> None:
    end = _raw(site, "importer", length, _fields() + LARGE)
    until(lambda: len(spooled()) == 1)
    assert all(str(site.root) in path for path in spooled())
    end.close()
    until(lambda: not spooled())
    assert not site.files()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_a_length_that_lies(site: Site) -> None:
    """Less than is sent: the form ends there; the rest is no request."""
    body = _fields() + b"abc\r\n--x--\r\n"
    with _raw(site, "importer", len(body) - 20, body) as end:
        assert b" 400 " in end.recv(1000)
    until(lambda: not spooled())


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_without_a_storage_root_no_file_is_read(database_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=database_url, import_roots=[tmp_path], _env_file=None)
    with running_server(settings) as server:
        parts: list[Any] = [("operations", (None, json.dumps(one())))]
        parts += [("map", (None, json.dumps(MAP))), ("0", ("a", LARGE))]
        answer = httpx.post(f"{server.url}/graphql", files=parts, headers=FORM, timeout=60)
        assert answer.json()["data"]["uploadImages"]["errors"] == [{"code": "CANNOT_STORE"}]
        assert answer.headers["connection"] == "close"
        assert not spooled()


@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_only_trusted_documents_take_files(database_url: str, tmp_path: Path) -> None:
    trusted = tmp_path / "documents.json"
    trusted.write_text(json.dumps({"upload": UPLOAD}))
    (tmp_path / "root").mkdir()
    raw = make_file(tmp_path / "1.dcm").read_bytes()
    settings = Settings(
        database_url=database_url, trusted_documents=trusted, storage_root=tmp_path / "root",
        _env_file=None,
    )  # fmt: skip
    with running_server(settings) as server:
        for operations, status in (
            (one(), 200), (one(None, documentId="upload"), 200), (one(UPLOAD + " "), 400),
            (one(None, documentId="other"), 400),
        ):  # fmt: skip
            parts: list[Any] = [("operations", (None, json.dumps(operations)))]
            parts += [("map", (None, json.dumps(MAP))), ("0", ("a", raw))]
            answer = httpx.post(f"{server.url}/graphql", files=parts, headers=FORM, timeout=60)
            assert answer.status_code == status, answer.text


def test_one_file_for_two_uploads_is_whole_in_both(site: Site, tmp_path: Path) -> None:
    raw = make_file(tmp_path / "1.dcm").read_bytes()
    query = """mutation ($f: [Upload!]!, $g: [Upload!]!) {
      a: uploadImages(input: { files: $f }) { job { id } errors { code } }
      b: uploadImages(input: { files: $g }) { job { id } errors { code } } }"""
    operations = {"query": query, "variables": {"f": [None], "g": [None]}}
    map_ = {"0": ["variables.f.0", "variables.g.0"]}
    data = site.send("importer", operations, map_, ("0", raw)).json()["data"]
    ids = [data[name]["job"]["id"] for name in "ab"]
    query = "query ($id: ID!) { importJob(id: $id) { status created existing skipped failed } }"

    def jobs() -> list[Any]:
        bearer = site.people["importer"].bearer
        return [
            httpx.post(
                f"{site.server.url}/graphql", headers=bearer,
                json={"query": query, "variables": {"id": id}},
            ).json()["data"]["importJob"]
            for id in ids
        ]  # fmt: skip

    until(lambda: all(job["status"] == "COMPLETED" for job in jobs()))
    assert sum(job["created"] for job in jobs()) == 1
    assert sum(job["existing"] for job in jobs()) == 1


@pytest.mark.slow
def test_half_a_gigabyte_of_a_viewer_takes_no_space(site: Site) -> None:
    """Sent as fast as the server takes it, for as long as it does."""
    before = os.statvfs("/tmp").f_bavail * os.statvfs("/tmp").f_frsize
    sent = 0
    with _raw(site, "viewer", None, _fields()) as end:
        try:
            while sent < 500 << 20:
                end.sendall(b"%x\r\n%s\r\n" % (1 << 20, LARGE[: 1 << 20]))
                sent += 1 << 20
        except OSError:
            pass
    assert sent < 50 << 20
    time.sleep(0.1)
    assert not spooled()
    assert before - os.statvfs("/tmp").f_bavail * os.statvfs("/tmp").f_frsize < 100 << 20
