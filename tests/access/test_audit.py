"""What is known afterwards: who did what, and whose data the answer was made of."""

import datetime as dt
import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from typer.testing import CliRunner
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dicom_graph.access.audit import AuditLog, AuditMode, AuditUnavailable
from dicom_graph.access.principal import EVERYONE, NOBODY
from dicom_graph.cli.app import app
from dicom_graph.graph.node import global_id
from dicom_graph.importing.foreground import Report
from dicom_graph.settings import Settings
from dicom_graph.store.accounts import AccountError
from dicom_graph.store.audit import Action, AuditLine, Outcome, latest_lines
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest, create_job
from tests.support.archive import filled_database
from tests.support.make import make_file
from tests.support.people import PASSWORD, Person, add_person
from tests.support.server import Server, running_server
from tests.support.waiting import until

ENTRIES = """
  auditEntries(first: 1000, orderBy: [{ field: ID }]) { nodes {
    id createdAt action outcome principal userId tokenId address method route status requestId
    operationName rootFields documentDigest seconds patients studies importJobs
    nPatients nStudies nSeries nImages detail prunedBefore
  } }
"""


def make_files(folder: Path) -> None:
    """Patients A and B, each with a study of two series of two images."""
    number = 0
    for patient in "AB":
        for series in (1, 2):
            for image in (1, 2):
                number += 1
                make_file(
                    folder / f"{number}.dcm", PatientID=patient,
                    StudyInstanceUID=f"1.{ord(patient)}",
                    SeriesInstanceUID=f"1.{ord(patient)}.{series}",
                    SOPInstanceUID=f"1.{ord(patient)}.{series}.{image}",
                    PatientName=f"Secret^{patient}",
                )  # fmt: skip


class Site(NamedTuple):
    """A server with patients A and B, an administrator and a viewer."""

    server: Server
    database: Database
    admin: Person
    viewer: Person
    file: Path

    def ask(self, query: str, person: Person, **options: Any) -> Any:
        """The answer to a POST."""
        headers = person.bearer | options.pop("headers", {})
        url = f"{self.server.url}/graphql"
        return httpx.post(url, json={"query": query}, headers=headers, **options)

    def entry(self, request_id: str, **expected: Any) -> dict[str, Any]:
        """The one line of a request that is as expected, once it is there."""
        found: list[dict[str, Any]] = []

        def look() -> bool:
            answer = self.ask("{" + ENTRIES + "}", self.admin).json()
            found[:] = [
                entry
                for entry in answer["data"]["auditEntries"]["nodes"]
                if entry["requestId"] == request_id
                and all(entry[name] == value for name, value in expected.items())
            ]
            return bool(found)

        until(look)
        assert len(found) == 1, found
        return found[0]


@contextmanager
def open_site(url: str, folder: Path, **settings: Any) -> Iterator[Site]:
    file = folder / "audit.jsonl"
    given = Settings(
        database_url=url, audit_file=file, import_roots=[folder], max_batch=5, _env_file=None,
        **settings,
    )  # fmt: skip
    database = Database(url)
    admin = add_person(database, "ada", "ADMIN")
    viewer = add_person(database, "vic", "VIEWER")
    with running_server(given) as server:
        yield Site(server, database, admin, viewer, file)
    database.close_writer()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("audit")
    with filled_database(request, folder, make_files) as url, open_site(url, folder) as opened:
        yield opened


def test_a_query_is_known_with_its_patients_and_studies(site: Site) -> None:
    query = 'query Names { patientByUid(uid: "A") { name studies { nodes { uid } } } }'
    answer = site.ask(query, site.viewer, headers={"X-Request-ID": "names-1"})
    assert answer.json()["data"]["patientByUid"]["name"] == "Secret^A"
    entry = site.entry("names-1")
    assert entry | {"id": 0, "createdAt": 0, "seconds": 0, "userId": 0} == {
        "id": 0, "createdAt": 0, "seconds": 0, "userId": 0, "action": "QUERY",
        "outcome": "SUCCEEDED", "principal": "vic", "tokenId": site.viewer.token_id,
        "address": "127.0.0.1", "method": "POST", "route": "/graphql", "status": None,
        "requestId": "names-1", "operationName": "Names", "rootFields": ["patientByUid"],
        "documentDigest": hashlib.sha256(query.encode()).hexdigest(), "patients": ["A"],
        "studies": ["1.65"], "importJobs": [], "nPatients": 1, "nStudies": 1, "nSeries": 0,
        "nImages": 0, "detail": None, "prunedBefore": None,
    }  # fmt: skip
    assert 0 < entry["seconds"] < 60


@pytest.mark.slow
@pytest.mark.parametrize(
    ("query", "patients", "counts"),
    [
        ('{ seriesByUid(uid: "1.65.1") { uid } }', ["A"], (1, 1, 1, 0)),
        ('{ imageByUid(uid: "1.66.2.1") { uid } }', ["B"], (1, 1, 1, 1)),
        ('{ imageByUid(uid: "1.66.2.1") { header { json } } }', ["B"], (1, 1, 1, 1)),
        ("{ images { nodes { uid } } }", ["A", "B"], (2, 2, 4, 8)),
        ("{ series(first: 1) { nodes { images { nodes { number } } } } }", None, (1, 1, 1, 2)),
        ("{ images(orderBy: [{ element: { keyword: \"PatientID\" }, direction: DESC }], first: 1)"
         " { nodes { uid } } }", ["B"], (1, 1, 1, 1)),
        ('{ dataElements(filter: { keyword: "PatientID", text: { eq: "B" } })'
         " { nodes { headers { nodes { id } } } } }", ["B"], (1, 1, 2, 4)),
        ("{ patients { nodes { id } totalCount } }", None, (2, 0, 0, 0)),
        ("{ patients { totalCount } }", None, (0, 0, 0, 0)),
        ('{ patientByUid(uid: "nobody") { uid } }', [], (0, 0, 0, 0)),
    ],
)  # fmt: skip
def test_whatever_way_leads_to_a_patient_is_seen(
    site: Site, query: str, patients: list[str] | None, counts: tuple[int, ...]
) -> None:
    request_id = f"way-{hashlib.md5(query.encode()).hexdigest()}"
    answer = site.ask(query, site.viewer, headers={"X-Request-ID": request_id}).json()
    assert "errors" not in answer
    entry = site.entry(request_id)
    assert (
        tuple(entry[f"n{name}"] for name in ("Patients", "Studies", "Series", "Images")) == counts
    )
    if patients is not None:
        assert sorted(entry["patients"]) == patients
        assert sorted(entry["studies"]) == [f"1.{ord(patient)}" for patient in patients]


def test_by_get_in_batches_and_as_events(site: Site) -> None:
    url, headers = f"{site.server.url}/graphql", site.viewer.bearer
    query = '{ patientByUid(uid: "B") { uid } }'
    httpx.get(url, params={"query": query}, headers=headers | {"X-Request-ID": "by-get"})
    assert site.entry("by-get")["patients"] == ["B"]
    batch = [{"query": f'{{ patientByUid(uid: "{uid}") {{ uid }} }}'} for uid in "AB"]
    httpx.post(url, json=batch, headers=headers | {"X-Request-ID": "a-batch"})
    assert site.entry("a-batch", patients=["A"])["nPatients"] == 1
    assert site.entry("a-batch", patients=["B"])["nPatients"] == 1
    events = headers | {"X-Request-ID": "events", "Accept": "text/event-stream"}
    answer = httpx.post(url, json={"query": query}, headers=events)
    assert '"uid":"B"' in answer.text.replace(" ", "")
    assert site.entry("events")["patients"] == ["B"]


def _talk(site: Site, request_id: str, query: str, payload: dict[str, Any]) -> Any:
    with connect(
        f"{site.server.websocket_url}/graphql",
        additional_headers={"X-Request-ID": request_id},
        subprotocols=[Subprotocol("graphql-transport-ws")],
    ) as socket:
        socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        assert json.loads(socket.recv())["type"] == "connection_ack"
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        return json.loads(socket.recv())


def test_over_a_websocket(site: Site) -> None:
    _talk(site, "socket", '{ patientByUid(uid: "A") { uid } }', site.viewer.bearer)
    entry = site.entry("socket")
    assert (entry["method"], entry["principal"], entry["patients"]) == ("WS", "vic", ["A"])
    answer = site.ask("{ importJobs { nodes { id } } }", site.viewer).json()
    (job,) = answer["data"]["importJobs"]["nodes"]
    subscription = f'subscription {{ importProgress(jobId: "{job["id"]}") {{ status }} }}'
    _talk(site, "follower", subscription, site.viewer.bearer)
    entry = site.entry("follower")
    assert (entry["action"], entry["rootFields"]) == ("SUBSCRIPTION", ["importProgress"])
    assert entry["importJobs"] == [job["id"]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "status", "patients", "counts"),
    [
        ("/images/1.65.1.1.dcm", 200, ["A"], (1, 1, 1, 1)),
        ("/images/1.65.1.1/header.json", 200, ["A"], (1, 1, 1, 1)),
        ("/images/1.9.dcm", 404, [], (0, 0, 0, 0)),
        ("/series/1.66.1.zip", 200, ["B"], (1, 1, 1, 2)),
        ("/studies/1.65.zip", 200, ["A"], (1, 1, 2, 4)),
        ("/patients/B.zip", 200, ["B"], (1, 1, 2, 4)),
        ("/series.zip?uid=1.65.1&uid=1.66.1", 200, ["A", "B"], (2, 2, 2, 4)),
        ("/series.csv", 200, ["A", "B"], (2, 2, 4, 0)),
        ("/elements.csv", 200, ["A", "B"], (2, 2, 4, 8)),
    ],
)
def test_downloads(
    site: Site, path: str, status: int, patients: list[str], counts: tuple[int, ...]
) -> None:
    request_id = f"download {path}".translate(str.maketrans(" /?&=", "-----"))
    headers = site.viewer.bearer | {"X-Request-ID": request_id}
    assert httpx.get(site.server.url + path, headers=headers).status_code == status
    entry = site.entry(request_id)
    assert (entry["action"], entry["status"]) == ("DOWNLOAD", status)
    assert entry["outcome"] == ("SUCCEEDED" if status == 200 else "FAILED")
    assert sorted(entry["patients"]) == patients
    assert (
        tuple(entry[f"n{name}"] for name in ("Patients", "Studies", "Series", "Images")) == counts
    )
    assert "1.65" not in entry["route"]
    assert "1.9" not in entry["route"]


def test_what_is_refused(site: Site) -> None:
    mutation = 'mutation M { importPath(input: { path: "/x" }) { errors { code } } }'
    site.ask(mutation, site.viewer, headers={"X-Request-ID": "refused-1"})
    entry = site.entry("refused-1")
    assert (entry["outcome"], entry["detail"]) == ("REFUSED", "FORBIDDEN")
    url = site.server.url
    id = {"X-Request-ID": "refused-2"}
    httpx.post(f"{url}/upload", content=b"", headers=site.viewer.bearer | id)
    entry = site.entry("refused-2")
    assert (entry["principal"], entry["status"]) == ("vic", 403)
    assert (entry["action"], entry["outcome"]) == ("UPLOAD", "REFUSED")
    httpx.get(f"{url}/images/1.65.1.1.dcm", headers={"X-Request-ID": "refused-3"})
    entry = site.entry("refused-3")
    assert (entry["principal"], entry["status"], entry["outcome"]) == ("nobody", 401, "REFUSED")
    httpx.post(f"{url}/graphql", json={}, auth=("vic", "wrong"), headers={"X-Request-ID": "basic"})
    entry = site.entry("basic")
    assert (entry["action"], entry["detail"]) == ("ACCESS", "as vic")
    with pytest.raises(ConnectionClosedError):
        _talk(site, "refused-4", "{ __typename }", {"Authorization": "Bearer no"})
    entry = site.entry("refused-4")
    assert (entry["method"], entry["action"], entry["outcome"]) == ("WS", "ACCESS", "REFUSED")


def test_logins_and_logouts(site: Site) -> None:
    with httpx.Client(base_url=site.server.url) as browser:
        for request_id, password in (("wrong", "no"), ("right", PASSWORD)):
            form = browser.get("/login").text.partition('name="form" value="')[2].partition('"')[0]
            browser.post(
                "/login", data={"form": form, "name": "vic", "password": password},
                headers={"X-Request-ID": f"login-{request_id}"},
            )  # fmt: skip
        browser.post("/logout", headers={"X-Request-ID": "logout"})
    entry = site.entry("login-wrong")
    assert (entry["outcome"], entry["principal"], entry["detail"]) == (
        "REFUSED",
        "nobody",
        "as vic",
    )
    entry = site.entry("login-right")
    assert (entry["outcome"], entry["principal"]) == ("SUCCEEDED", "vic")
    assert entry["userId"] is not None
    assert site.entry("logout")["principal"] == "vic"
    assert PASSWORD not in site.file.read_text()


def test_the_filter_finds_who_looked_at_a_patient(site: Site) -> None:
    site.ask('{ patientByUid(uid: "A") { uid } }', site.viewer, headers={"X-Request-ID": "who"})
    site.entry("who")
    query = """{ auditEntries(
      filter: { patients: { containsAny: ["A"] }, principal: { eq: "vic" }, action: { eq: QUERY },
                requestId: { eq: "who" }, nPatients: { eq: 1 }, outcome: { in: [SUCCEEDED] } }
    ) { totalCount nodes { patients } } }"""
    found = site.ask(query, site.admin).json()["data"]["auditEntries"]
    assert found == {"totalCount": 1, "nodes": [{"patients": ["A"]}]}


def test_only_an_administrator_sees_the_log_also_by_id(site: Site) -> None:
    site.ask("{ __typename }", site.viewer, headers={"X-Request-ID": "any"})
    site.entry("any")
    query = "{ auditEntries(first: 1) { nodes { id } } }"
    (entry,) = site.ask(query, site.admin).json()["data"]["auditEntries"]["nodes"]
    by_id = f'{{ node(id: "{entry["id"]}") {{ ... on AuditEntry {{ principal }} }} }}'
    assert site.ask(by_id, site.admin).json()["data"]["node"]["principal"]
    for text_ in (query, by_id):
        (error,) = site.ask(text_, site.viewer).json()["errors"]
        assert error["extensions"]["code"] == "FORBIDDEN"


def test_the_file_has_the_same_lines(site: Site) -> None:
    site.ask('{ patientByUid(uid: "A") { uid } }', site.viewer, headers={"X-Request-ID": "filed"})
    entry = site.entry("filed")
    until(lambda: "filed" in site.file.read_text())
    lines = [json.loads(line) for line in site.file.read_text().splitlines()]
    (line,) = [line for line in lines if line.get("request_id") == "filed"]
    assert (line["principal"], line["patients"]) == (entry["principal"], entry["patients"])
    assert stat.S_IMODE(site.file.stat().st_mode) == 0o600


def test_no_line_can_be_changed_or_deleted(site: Site) -> None:
    site.ask("{ __typename }", site.viewer, headers={"X-Request-ID": "kept"})
    site.entry("kept")
    over = "REPLACE INTO audit SELECT * FROM audit" if site.database.is_sqlite else "TRUNCATE audit"
    for statement in (
        "UPDATE audit SET principal = 'x'", "DELETE FROM audit",
        "DELETE FROM audit WHERE request_id = 'kept'", over,
    ):  # fmt: skip
        with (
            pytest.raises(SQLAlchemyError, match="append-only"),
            site.database.writer.begin() as connection,
        ):
            connection.execute(text(statement))
    site.entry("kept")


def test_a_deletion_says_whose_data_it_was(
    database_url: str, tmp_path: Path, import_files: Callable[..., Report]
) -> None:
    make_files(tmp_path / "files")
    import_files(tmp_path / "files")
    with open_site(database_url, tmp_path) as site:
        found = site.ask('{ patientByUid(uid: "A") { id } }', site.admin).json()
        id = found["data"]["patientByUid"]["id"]
        mutation = f'mutation {{ deletePatient(input: {{ id: "{id}" }}) {{ nImages }} }}'
        site.ask(mutation, site.admin, headers={"X-Request-ID": "deleted"})
        entry = site.entry("deleted")
        assert (entry["action"], entry["outcome"]) == ("MUTATION", "SUCCEEDED")
        assert (entry["patients"], entry["studies"]) == (["A"], ["1.65"])
        assert (entry["nSeries"], entry["nImages"]) == (2, 4)
        mutation = f'mutation {{ deletePatient(input: {{ id: "{id}" }}) {{ errors {{ code }} }} }}'
        site.ask(mutation, site.admin, headers={"X-Request-ID": "in-vain"})
        assert site.entry("in-vain")["outcome"] == "FAILED"
        upload = f'mutation {{ importPath(input: {{ path: "{tmp_path}" }}) {{ job {{ id }} }} }}'
        answer = site.ask(upload, site.admin, headers={"X-Request-ID": "imported"}).json()
        assert site.entry("imported")["importJobs"] == [answer["data"]["importPath"]["job"]["id"]]


def _rename(database: Database, before: str, after: str) -> None:
    with database.writer.begin() as connection:
        connection.execute(text(f"ALTER TABLE {before} RENAME TO {after}"))


def test_where_it_is_required_nothing_is_answered_without_a_line(
    database_url: str, tmp_path: Path, import_files: Callable[..., Report]
) -> None:
    make_files(tmp_path / "files")
    import_files(tmp_path / "files")
    query = '{ patientByUid(uid: "A") { name } }'
    with open_site(database_url, tmp_path, audit="required") as site:
        assert "Secret" in site.ask(query, site.viewer, headers={"X-Request-ID": "one"}).text
        # No waiting: the line was there before the answer.
        with site.database.read_sync() as connection:
            assert "one" in [row.request_id for row in latest_lines(connection, 5)]
        download = f"{site.server.url}/images/1.65.1.1.dcm"
        id = {"X-Request-ID": "dcm"}
        assert httpx.get(download, headers=site.viewer.bearer | id).status_code == 200
        assert site.entry("dcm", outcome="BEGUN")["patients"] == ["A"]
        assert site.entry("dcm", outcome="SUCCEEDED")["patients"] == ["A"]
        _rename(site.database, "audit", "audit_gone")
        for _ in range(2):
            answer = site.ask(query, site.viewer)
            assert "Secret" not in answer.text
            (error,) = answer.json()["errors"]
            assert error["extensions"]["code"] == "AUDIT_UNAVAILABLE"
            over_socket = _talk(site, "socket", query, site.viewer.bearer)
            assert "Secret" not in json.dumps(over_socket)
            assert "AUDIT_UNAVAILABLE" in json.dumps(over_socket)
        refused = httpx.get(download, headers=site.viewer.bearer)
        assert refused.status_code == 503
        assert b"DICM" not in refused.content
        assert httpx.get(f"{site.server.url}/healthz").status_code == 200
        _rename(site.database, "audit_gone", "audit")
        until(lambda: "Secret" in site.ask(query, site.viewer).text)


def _line(number: int) -> AuditLine:
    return AuditLine(Action.QUERY, Outcome.SUCCEEDED, f"user {number}", "", "POST")


def test_lines_wait_for_a_database_that_takes_none_and_the_log_says_how_many_were_lost(
    database: Database,
) -> None:
    _rename(database, "audit", "audit_gone")
    log = AuditLog(database, AuditMode.ON, max_waiting=5)
    log.start()
    log.add(_line(0))
    until(lambda: log.waiting == 1 and log._is_failing)
    for number in range(1, 9):
        log.add(_line(number))
    assert (log.waiting, log.lost) == (6, 3)
    _rename(database, "audit_gone", "audit")
    until(lambda: log.waiting == 0)
    log.add(_line(9))
    log.stop()
    with database.read_sync() as connection:
        rows = latest_lines(connection, 100)
    written = [row.principal for row in reversed(rows) if row.action == "QUERY"]
    assert written == [f"user {number}" for number in (0, 1, 2, 3, 4, 5, 9)]
    assert [row.detail for row in rows if row.action == "LOSS"] == ["3 lines were lost"]


def test_text_that_no_database_takes_is_no_obstacle(database: Database) -> None:
    log = AuditLog(database, AuditMode.ON)
    log.start()
    odd = _line(1)
    odd.detail = "as a\x00b\ud800" + "x" * 10_000
    log.add(odd)
    log.add(_line(2))
    log.stop()
    with database.read_sync() as connection:
        rows = latest_lines(connection, 100)
    assert [row.principal for row in rows] == ["user 2", "user 1"]
    assert rows[1].detail.startswith("as a?b?xxx")


def test_who_is_written_down_in_which_mode(database: Database) -> None:
    wants = {
        mode: (AuditLog(database, mode).wants(EVERYONE), AuditLog(database, mode).wants(NOBODY))
        for mode in AuditMode
    }
    assert wants == {
        AuditMode.OFF: (False, False), AuditMode.AUTO: (False, True),
        AuditMode.ON: (True, True), AuditMode.REQUIRED: (True, True),
    }  # fmt: skip


def test_a_flood_of_strangers_does_not_fill_the_log(site: Site) -> None:
    with httpx.Client() as stranger:
        for _ in range(150):
            assert stranger.get(f"{site.server.url}/series.csv").status_code == 401
    site.ask("{ __typename }", site.admin, headers={"X-Request-ID": "after-the-flood"})
    site.entry("after-the-flood")
    with site.database.read_sync() as connection:
        refused = [row for row in latest_lines(connection, 1000) if row.principal == "nobody"]
    assert 50 < len(refused) <= 120


def test_commands_leave_lines_and_old_lines_can_be_pruned(
    database_url: str, database: Database
) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, [*arguments, "--database", database_url])

    for arguments in (
        ("user", "add", "eve", "--role", "editor", "--no-password"),
        ("group", "add", "cohort"),
        ("group", "grant", "cohort", "--patient", "A"),
    ):
        assert run(*arguments).exit_code == 0
    assert isinstance(run("group", "add", "cohort").exception, AccountError)
    listed = run("audit", "list", "--json")
    lines = [json.loads(line) for line in listed.stdout.splitlines()]
    assert [(line["action"], line["method"], line["detail"]) for line in reversed(lines)] == [
        ("COMMAND", "CLI", "user add eve --role editor"),
        ("COMMAND", "CLI", "group add cohort"),
        ("COMMAND", "CLI", "group grant cohort --patient A"),
    ]
    old = _line(1)
    old.created = dt.datetime(2020, 5, 1, tzinfo=dt.UTC)
    log = AuditLog(database, AuditMode.ON)
    log.start()
    log.add(old)
    log.stop()
    assert run("audit", "prune", "--before", "2999-01-01").exit_code == 2
    pruned = run("audit", "prune", "--before", "2020-06-01")
    assert pruned.stdout == "deleted 1 line\n"
    with database.read_sync() as connection:
        rows = latest_lines(connection, 100)
    assert [row.action for row in rows] == ["PRUNE", "COMMAND", "COMMAND", "COMMAND"]
    assert rows[0].pruned_before == dt.datetime(2020, 6, 1, tzinfo=dt.UTC)
    shown = run("audit", "list", "--last", "1").stdout
    assert "audit prune --before 2020-06-01" in shown


@pytest.mark.parametrize("path", ["/images/1.7.dcm", "/studies/1.5.zip"])
def test_a_client_that_vanishes_leaves_a_line_that_says_so(
    database_url: str, tmp_path: Path, import_files: Callable[..., Report], path: str
) -> None:
    make_file(
        tmp_path / "large.dcm", PatientID="A", StudyInstanceUID="1.5", SOPInstanceUID="1.7",
        PixelData=bytes(40 << 20), BitsAllocated=8,
    )  # fmt: skip
    import_files(tmp_path / "large.dcm")
    with open_site(database_url, tmp_path) as site:
        headers = site.viewer.bearer | {"X-Request-ID": "gone"}
        with httpx.stream("GET", site.server.url + path, headers=headers) as answer:
            next(answer.iter_raw(1000))
        entry = site.entry("gone")
        assert (entry["outcome"], entry["patients"]) == ("CANCELLED", ["A"])


def test_a_follower_who_leaves_and_an_alias_that_is_no_code(site: Site) -> None:
    with site.database.writer.begin() as connection:
        key = create_job(connection, JobRequest(("/nowhere",), Mode.FULL, origin=JobOrigin.CLI))
    query = (
        f'subscription {{ importProgress(jobId: "{global_id("ImportJob", key)}") {{ status }} }}'
    )
    assert _talk(site, "left", query, site.viewer.bearer)["type"] == "next"
    assert site.entry("left")["outcome"] == "CANCELLED"
    for number, asked in enumerate(("errors: deletedId", "errors { code: message }")):
        mutation = f'mutation {{ deleteImage(input: {{ id: "nothing" }}) {{ {asked} }} }}'
        answer = site.ask(mutation, site.admin, headers={"X-Request-ID": f"alias-{number}"})
        assert answer.status_code == 200
        assert site.entry(f"alias-{number}")["detail"] is None


async def test_a_line_that_the_database_refuses_takes_no_other_with_it(database: Database) -> None:
    log = AuditLog(database, AuditMode.REQUIRED)
    for number in (1, 2, 3):
        line = _line(number)
        line.status = 2**70 if number == 2 else 200
        log.add(line)
    log.start()
    until(lambda: log.waiting == 0)
    assert log.lost == 1
    with pytest.raises(AuditUnavailable):
        await log.commit(line_of_no_database())
    await log.commit(_line(4))
    log.stop()
    with database.read_sync() as connection:
        rows = latest_lines(connection, 100)
    principals = [row.principal for row in reversed(rows) if row.action == "QUERY"]
    assert principals == ["user 1", "user 3", "user 4"]


def line_of_no_database() -> AuditLine:
    line = _line(0)
    line.user_id = 2**70
    return line
