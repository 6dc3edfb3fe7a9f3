"""Uploads over HTTP: files and archives from a client, and what is refused."""

import asyncio
import io
import os
import zipfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gql import Client, FileVar, GraphQLRequest
from gql.transport.aiohttp import AIOHTTPTransport

from dicom_graph.importing.work_folder import unique_name, uploads_folder
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.jobs.jobs import JobRequest, Storage, create_job
from tests.support.contents import Tables, contents
from tests.support.make import make_file, make_series
from tests.support.server import Server, running_server
from tests.support.waiting import until

FORM = {"GraphQL-Require-Preflight": "1"}
MUTATION = """
mutation ($files: [Upload!]!, $mode: ImportMode! = NORMAL) {
  uploadImages(input: {files: $files, mode: $mode}) {
    job { id status storage } errors { message field code }
  }
}
"""
on_sqlite = pytest.mark.parametrize("database_kind", ["sqlite"])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def settings_of(url: str, tmp_path: Path, **others: Any) -> Settings:
    (tmp_path / "imports").mkdir(exist_ok=True)
    values = {"storage_root": tmp_path / "root", "max_upload_megabytes": 1} | others
    return Settings(database_url=url, import_roots=[tmp_path / "imports"], _env_file=None, **values)


@pytest.fixture
def storing(database_url: str, tmp_path: Path, root: Path) -> Iterator[Server]:
    """A server with a storage root, that takes uploads of 1 MB."""
    with running_server(settings_of(database_url, tmp_path)) as running:
        yield running


def post(server: Server, query: str = "?wait=true", **options: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/upload{query}", timeout=60, **options)


def send_form(server: Server, files: dict[str, bytes], query: str = "?wait=true") -> httpx.Response:
    parts = [("files", (name, raw)) for name, raw in files.items()]
    return post(server, query, files=parts, headers=FORM)


def send_raw(server: Server, raw: bytes, kind: str = "application/zip") -> httpx.Response:
    return post(server, content=raw, headers={"content-type": kind})


def zipped(files: dict[str, bytes], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, raw in files.items():
            archive.writestr(name, raw)
    return buffer.getvalue()


def stored(root: Path) -> set[bytes]:
    paths = [path for path in all_below(root) if path.endswith(".dcm")]
    return {(root / path).read_bytes() for path in paths}


def all_below(root: Path) -> list[str]:
    """What there is, without the empty folders of the root's own."""
    # Not rglob, which minds a folder that is removed meanwhile.
    found = [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]
    return [os.path.relpath(path, root) for path in found]


def no_import(server: Server) -> bool:
    database = Database(server.settings.database_url)
    rows = Tables(database, "import_job", "image")
    database.close_writer()
    return rows["import_job"] == rows["image"] == []


def assert_refused(server: Server, answer: httpx.Response, status: int, reason: str) -> None:
    """With that reason, nothing imported, and nothing left on the disk."""
    assert answer.status_code == status, answer.text
    assert reason in answer.json()["errors"][0]["message"]
    assert no_import(server)
    assert all_below(server.settings.storage_root) == []


@pytest.mark.parametrize("how", ["form", "raw", "zip in a form", "raw zip"])
def test_files_of_a_client_are_stored_and_imported(
    storing: Server, root: Path, tmp_path: Path, how: str
) -> None:
    count = 1 if how == "raw" else 3
    raws = [path.read_bytes() for path in make_series(tmp_path / "mine", count)]
    named = {f"../../{number}": raw for number, raw in enumerate(raws)}
    if how == "form":
        answer = send_form(storing, named)
    elif how == "raw":
        answer = send_raw(storing, raws[0], "application/dicom")
    elif how == "zip in a form":
        answer = send_form(storing, {"a.zip": zipped(named)})
    else:
        answer = send_raw(storing, zipped(named))
    report = answer.json()
    assert answer.status_code == 200, answer.text
    assert (report["status"], report["created"], report["failures"]) == ("COMPLETED", count, [])
    assert stored(root) == set(raws)
    until(lambda: len(all_below(root)) == count)
    database = Database(storing.settings.database_url)
    assert {os.path.join(*key) for key in contents(database)["files"]} == {
        str(path) for path in root.rglob("*.dcm")
    }
    database.close_writer()


def test_the_report_names_files_as_the_client_does(
    storing: Server, root: Path, tmp_path: Path
) -> None:
    good = make_file(tmp_path / "1.dcm").read_bytes()
    bad = bytes(128) + b"DICM" + b"\xff" * 99
    inner = zipped({"deep.dcm": good})
    archive = zipped({"../../etc/bad": bad, "notes.txt": b"no DICOM", "inner.zip": inner})
    report = send_form(storing, {"good\n.dcm": good, "a.zip": archive, "b/bad.dcm": bad}).json()
    assert report["status"] == "COMPLETED"
    counts = {name: report[name] for name in ("found", "created", "skipped", "failed")}
    assert counts == {"found": 5, "created": 1, "skipped": 2, "failed": 2}
    names = [failure["path"] for failure in report["failures"]]
    assert sorted(names) == ["upload:a.zip/../../etc/bad", "upload:b/bad.dcm"]
    assert stored(root) == {good}
    until(lambda: len(all_below(root)) == 1)
    query = "mutation ($id: ID!) { retryImport(input: {id: $id}) { errors { message code } } }"
    body = {"query": query, "variables": {"id": report["jobId"]}}
    answer = httpx.post(f"{storing.url}/graphql", json=body, timeout=60).json()
    (error,) = answer["data"]["retryImport"]["errors"]
    assert "send its files again" in error["message"]


async def test_upload_by_graphql(storing: Server, root: Path, tmp_path: Path) -> None:
    paths = make_series(tmp_path / "mine", 3)
    raws = {path.read_bytes() for path in paths}
    archive = tmp_path / "archive.zip"
    archive.write_bytes(zipped({"x": paths[2].read_bytes()}))
    transport = AIOHTTPTransport(f"{storing.url}/graphql", headers=FORM)
    async with Client(transport=transport) as session:
        files = [FileVar(str(path)) for path in (*paths[:2], archive)]
        request = GraphQLRequest(MUTATION, variable_values={"files": files, "mode": "FULL"})
        payload = (await session.execute(request, upload_files=True))["uploadImages"]
        assert payload["errors"] == []
        assert payload["job"]["storage"] == "MOVE"
    query = "query ($id: ID!) { importJob(id: $id) { status created mode } }"
    body = {"query": query, "variables": {"id": payload["job"]["id"]}}

    def job() -> Any:
        return httpx.post(f"{storing.url}/graphql", json=body, timeout=60).json()["data"][
            "importJob"
        ]

    await asyncio.to_thread(until, lambda: job()["status"] == "COMPLETED")
    assert job() == {"status": "COMPLETED", "created": 3, "mode": "FULL"}
    assert stored(root) == raws


def test_without_waiting_the_answer_is_the_job(storing: Server, tmp_path: Path) -> None:
    raw = make_file(tmp_path / "1.dcm").read_bytes()
    answer = post(storing, "?mode=full", content=raw, headers={"content-type": "application/dicom"})
    assert answer.status_code == 202
    query = "query ($id: ID!) { importJob(id: $id) { status mode } }"
    body = {"query": query, "variables": {"id": answer.json()["jobId"]}}

    def job() -> dict[str, Any]:
        found = httpx.post(f"{storing.url}/graphql", json=body, timeout=60).json()["data"][
            "importJob"
        ]
        assert isinstance(found, dict)
        return found

    until(lambda: job()["status"] == "COMPLETED")
    assert job()["mode"] == "FULL"


def test_a_second_upload_of_an_image_is_the_same_image(
    storing: Server, root: Path, tmp_path: Path
) -> None:
    raw = make_file(tmp_path / "1.dcm", SOPInstanceUID="1.2.3").read_bytes()
    other = raw.replace(b"ORIGINAL", b"DERIVED ")
    assert send_form(storing, {"a": raw}).json()["created"] == 1
    assert send_form(storing, {"b": raw}).json()["existing"] == 1
    report = send_form(storing, {"c": other}).json()
    assert report["failed"] == 1
    assert "other content" in report["failures"][0]["message"]
    assert stored(root) == {raw}


def encrypted() -> bytes:
    raw = bytearray(zipped({"x": b"secret"}))
    central = raw.index(b"PK\x01\x02")
    raw[6] |= 1
    raw[central + 8] |= 1
    return bytes(raw)


def other_compression() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x", b"x" * 1000)
    return buffer.getvalue()


def lying_about_its_size() -> bytes:
    """The directory says 10 bytes where a megabyte comes out."""
    raw = zipped({"x": b"\0" * 1_000_000})
    return raw.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))


def damaged() -> bytes:
    """An archive whose one file has another name, at byte 30, than in the list at its end."""
    made = zipped({"x": b"ab" * 5000})
    return made[:30] + b"y" + made[31:]


BAD_ARCHIVES = {
    "cut off": (lambda: zipped({"x": os.urandom(5000)})[:3000], 400, "broken"),
    "damaged": (damaged, 400, "broken"),
    "only a start": (lambda: b"PK\x03\x04" + b"\xff" * 100, 400, "broken"),
    "encrypted": (encrypted, 400, "encrypted"),
    "lzma": (other_compression, 400, "compressed in a way"),
    "lying": (lying_about_its_size, 400, "broken"),
    "bomb": (lambda: zipped({"x": b"\0" * (2 << 20)}), 413, "more than 1 MB"),
    "bomb of many": (
        lambda: zipped({str(n): b"\0" * (1 << 18) for n in range(9)}), 413, "more than 1 MB",
    ),
}  # fmt: skip


@on_sqlite
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", BAD_ARCHIVES)
def test_bad_archives_are_refused(storing: Server, tmp_path: Path, kind: str) -> None:
    make, status, reason = BAD_ARCHIVES[kind]
    good = make_file(tmp_path / "1.dcm").read_bytes()
    assert_refused(storing, send_raw(storing, make()), status, reason)
    answer = send_form(storing, {"good.dcm": good, "bad.zip": make()})
    assert_refused(storing, answer, status, reason)


@on_sqlite
def test_an_archive_that_unpacks_to_far_more_than_it_is(
    database_url: str, tmp_path: Path, root: Path
) -> None:
    settings = settings_of(database_url, tmp_path, max_upload_megabytes=200)
    with running_server(settings) as server:
        bomb = zipped({str(n): b"\0" * (8 << 20) for n in range(9)})
        assert_refused(server, send_raw(server, bomb), 413, "200 times its size")


@on_sqlite
def test_an_archive_of_too_many_files(storing: Server) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(5000):
            archive.writestr(zipfile.ZipInfo(f"{number:05}"), b"")
    raw = bytearray(buffer.getvalue())
    assert len(raw) < 1 << 20
    # The directory's size, in the record of its end, is what a reader would read at once.
    raw[-10:-6] = (64 << 20).to_bytes(4, "little")
    answer = send_raw(storing, bytes(raw))
    assert answer.status_code in (400, 413)
    assert no_import(storing)


@on_sqlite
def test_too_large_uploads_are_refused(storing: Server) -> None:
    large = os.urandom(18 << 20)

    def in_pieces() -> Iterator[bytes]:
        for start in range(0, len(large), 1 << 16):
            yield large[start : start + (1 << 16)]

    over = large[: (1 << 20) + 1]
    assert_refused(storing, send_raw(storing, over, "application/dicom"), 413, "more than 1 MB")
    assert_refused(storing, send_form(storing, {"a": over}), 413, "more than 1 MB")
    parts = {str(n): large[:300_000] for n in range(4)}
    assert_refused(storing, send_form(storing, parts), 413, "more than 1 MB")
    try:
        answer = post(storing, content=in_pieces(), headers={"content-type": "application/dicom"})
    except (httpx.WriteError, httpx.RemoteProtocolError):
        assert no_import(storing)
    else:
        assert answer.status_code == 413


@on_sqlite
def test_a_form_to_graphql_is_bounded_too(storing: Server) -> None:
    form = {"operations": '{"query": "{ __typename }"}', "map": "{}"}
    files = {"0": ("a", os.urandom(20 << 20))}
    try:
        answer = httpx.post(
            f"{storing.url}/graphql", data=form, files=files, headers=FORM, timeout=60
        )
    except (httpx.WriteError, httpx.RemoteProtocolError):
        return
    assert answer.status_code == 413


@on_sqlite
def test_wrong_requests_are_refused_with_a_reason(storing: Server, tmp_path: Path) -> None:
    raw = make_file(tmp_path / "1.dcm").read_bytes()
    dicom = {"content-type": "application/dicom"}
    form = {"content-type": "multipart/form-data; boundary=x"} | FORM
    cut = b'--x\r\ncontent-disposition: form-data; name="a"; filename="a"\r\n\r\nabc'
    for status, reason, options in (
        (400, "mode must be", {"query": "?mode=most", "content": raw, "headers": dicom}),
        (415, "content type", {"content": raw}),
        (415, "content type", {"content": raw, "headers": {"content-type": "text/plain"}}),
        (400, "no files", {"content": b"--x--\r\n", "headers": form}),
        (400, "cannot be read", {"content": b"nonsense", "headers": form}),
        (400, "ends before", {"content": cut, "headers": form}),
        (400, "no boundary", {"content": cut, "headers": form | {
            "content-type": "multipart/form-data"}}),
    ):  # fmt: skip
        assert_refused(storing, post(storing, **options), status, reason)
    assert httpx.get(f"{storing.url}/upload").status_code == 405
    answer = send_raw(storing, b"", "application/dicom").json()
    assert (answer["status"], answer["skipped"]) == ("COMPLETED", 1)


@on_sqlite
def test_another_sites_page_cannot_upload(storing: Server, tmp_path: Path) -> None:
    """A page can send a form anywhere, but no header of its own without being asked."""
    raw = make_file(tmp_path / "1.dcm").read_bytes()
    assert_refused(storing, post(storing, files={"a": ("a", raw)}), 400, "Preflight")
    operations = '{"query": "mutation ($f: [Upload!]!) { uploadImages(input: {files: $f}) '
    operations += '{ job { id } } }", "variables": {"f": [null]}}'
    form = {"operations": operations, "map": '{"0": ["variables.f.0"]}'}
    answer = httpx.post(f"{storing.url}/graphql", data=form, files={"0": ("a", raw)}, timeout=60)
    assert answer.status_code == 400
    assert "Preflight" in answer.text
    assert no_import(storing)
    preflight = httpx.options(f"{storing.url}/graphql", headers={"origin": "https://elsewhere"})
    assert "access-control-allow-origin" not in preflight.headers


@on_sqlite
@pytest.mark.parametrize(
    "map_", ["[]", "5", '{"0": ["variables.f.x"]}', '{"0": ["nope.f"]}', '{"1": ["variables.f.0"]}',
             '{"0": 5}', '{"0": ["variables.f.9"]}'],
)  # fmt: skip
def test_a_wrong_map_is_a_wrong_request(storing: Server, map_: str) -> None:
    form = {"operations": '{"query": "{a}", "variables": {"f": [null]}}', "map": map_}
    answer = httpx.post(f"{storing.url}/graphql", data=form, files={"0": ("a", b"a")}, headers=FORM)
    assert answer.status_code == 400, answer.text


@on_sqlite
async def test_wrong_uploads_are_errors_in_the_payload(storing: Server) -> None:
    async def errors(files: list[Any]) -> list[dict[str, str]]:
        transport = AIOHTTPTransport(f"{storing.url}/graphql", headers=FORM)
        async with Client(transport=transport) as session:
            request = GraphQLRequest(MUTATION, variable_values={"files": files})
            has_files = bool(files) and isinstance(files[0], FileVar)
            answer = await session.execute(request, upload_files=has_files)
            assert answer["uploadImages"]["job"] is None
            return list(answer["uploadImages"]["errors"])

    for files, code, word in (
        ([], "BAD_UPLOAD", "no files"), (["text"], "BAD_UPLOAD", "multipart/form-data"),
        ([FileVar(io.BytesIO(encrypted()), filename="a.zip")], "BAD_UPLOAD", "encrypted"),
        ([FileVar(io.BytesIO(os.urandom(2 << 20)), filename="a")], "UPLOAD_TOO_LARGE", "1 MB"),
    ):  # fmt: skip
        (error,) = await errors(files)
        assert (error["field"], error["code"]) == ("files", code)
        assert word in error["message"]
    assert no_import(storing)
    assert all_below(storing.settings.storage_root) == []


@on_sqlite
def test_without_a_storage_root(server: Server, tmp_path: Path) -> None:
    raw = make_file(tmp_path / "1.dcm").read_bytes()
    answer = send_raw(server, raw, "application/dicom")
    assert answer.status_code == 501
    assert "DICOM_GRAPH_STORAGE_ROOT" in answer.json()["errors"][0]["message"]
    query = """mutation ($input: ImportPathInput!) {
      importPath(input: $input) { job { id } errors { message field code } } }"""
    for storage in ("COPY", "MOVE"):
        variables = {"input": {"path": str(tmp_path / "1.dcm"), "storage": storage}}
        body = {"query": query, "variables": variables}
        answer = httpx.post(f"{server.url}/graphql", json=body, timeout=60)
        (error,) = answer.json()["data"]["importPath"]["errors"]
        assert (error["field"], error["code"]) == ("storage", "CANNOT_STORE")
        assert "DICOM_GRAPH_STORAGE_ROOT" in error["message"]
    assert no_import(server)


@pytest.mark.parametrize("storage", ["COPY", "MOVE"])
def test_import_path_copies_and_moves(
    storing: Server, root: Path, tmp_path: Path, storage: str
) -> None:
    source = make_file(tmp_path / "imports" / "1.dcm")
    raw = source.read_bytes()
    query = """mutation ($input: ImportPathInput!) {
      importPath(input: $input) { job { storage } errors { message } } }"""
    variables = {"input": {"path": str(source.parent), "storage": storage}}
    body = {"query": query, "variables": variables}
    answer = httpx.post(f"{storing.url}/graphql", json=body, timeout=60).json()
    assert answer["data"]["importPath"] == {"job": {"storage": storage}, "errors": []}
    until(lambda: stored(root) == {raw})
    until(lambda: source.exists() is (storage == "COPY"))
    (source.parent / "link").symlink_to(tmp_path / "imports")
    variables["input"]["path"] = str(source.parent / "link")
    answer = httpx.post(f"{storing.url}/graphql", json=body, timeout=60).json()
    assert bool(answer["data"]["importPath"]["errors"]) is (storage == "MOVE")


def test_an_upload_outlives_its_server_and_what_nobody_waits_for_does_not(
    database_url: str, tmp_path: Path, root: Path
) -> None:
    raw = make_file(tmp_path / "1.dcm").read_bytes()
    database = Database(database_url)
    host = unique_name().split("+")[0]
    for name in ("waiting", "abandoned"):
        folder = uploads_folder(root) / f"{host}+{2**22 + 1}+{name}+0" / "files"
        folder.mkdir(parents=True)
        (folder / "000001").write_bytes(raw)
    waiting = uploads_folder(root) / f"{host}+{2**22 + 1}+waiting+0" / "files"
    with database.writer.begin() as connection:
        create_job(connection, JobRequest((str(waiting),), storage=Storage.MOVE))
    with running_server(settings_of(database_url, tmp_path)):
        until(lambda: stored(root) == {raw})
        until(lambda: len(all_below(root)) == 1)
    assert Tables(database, "import_job")["import_job"][0]["images_created"] == 1
    database.close_writer()


@on_sqlite
def test_a_client_that_goes_away_leaves_nothing(storing: Server, root: Path) -> None:
    async def broken_off() -> None:
        async def body() -> AsyncIterator[bytes]:
            yield b"x" * 100_000
            await asyncio.sleep(30)

        async with httpx.AsyncClient() as client:
            headers = {"content-type": "application/dicom"}
            sending = client.post(f"{storing.url}/upload", content=body(), headers=headers)
            await asyncio.wait_for(sending, 0.5)

    with pytest.raises(TimeoutError):
        asyncio.run(broken_off())
    until(lambda: all_below(root) == [])
    assert no_import(storing)


@on_sqlite
def test_the_settings_hold_for_imports_that_do_not_say_how(
    database_url: str, tmp_path: Path, root: Path
) -> None:
    given = settings_of(
        database_url, tmp_path, import_mode="full", import_storage="copy", counts=False
    )
    path = make_file(tmp_path / "imports" / "1.dcm")
    by_path = (
        "mutation ($path: String!, $mode: ImportMode, $storage: ImportStorage) { importPath(input:"
        " { path: $path, mode: $mode, storage: $storage }) { job { mode storage } } }"
    )
    with running_server(given) as server:
        for query in ("?wait=true", "?wait=true&mode=normal"):
            raw = make_file(tmp_path / "sent.dcm").read_bytes()
            assert post(server, query, content=raw, headers={"content-type": "application/dicom"})

        def ask(query: str, **variables: Any) -> Any:
            body = {"query": query, "variables": variables}
            return httpx.post(f"{server.url}/graphql", json=body).json()

        said = {"mode": "MINIMAL", "storage": "IN_PLACE"}
        found = ask(by_path, path=str(path))["data"]["importPath"]["job"]
        assert found == {"mode": "FULL", "storage": "COPY"}
        assert ask(by_path, path=str(path), **said)["data"]["importPath"]["job"] == said
        sync = "mutation ($path: String!) { syncPath(input: { path: $path }) { job { mode } } }"
        found = ask(sync, path=str(path.parent))["data"]["syncPath"]["job"]
        assert found == {"mode": "FULL"}
        jobs = ask("{ importJobs(first: 5) { nodes { mode } } }")["data"]["importJobs"]["nodes"]
        assert sorted(job["mode"] for job in jobs) == ["FULL"] * 3 + ["MINIMAL", "NORMAL"]
        errors = ask("{ images { totalCount } }")["errors"]
        assert errors[0]["extensions"]["code"] == "COUNTS_OFF"
        filters = {"filter": '{"nImages": {"gte": 1}}'}
        answer = httpx.get(f"{server.url}/series.csv", params=filters)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "COUNTS_OFF")
        assert httpx.get(f"{server.url}/series.csv").status_code == 200
