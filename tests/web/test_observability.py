"""What is told of every request: ids, log lines, figures, spans."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from dicom_graph.store.migrate import upgrade
from dicom_graph.telemetry.logs import JsonFormatter
from dicom_graph.telemetry.request import CURRENT, CurrentRequest
from tests.support.commands import COMMAND
from tests.support.make import make_file
from tests.support.people import add_person
from tests.support.server import Server, running_server
from tests.support.waiting import until

PROTOCOL = Subprotocol("graphql-transport-ws")
IDENTITY = {
    "PatientID": "SECRET-1", "PatientName": "Secret^Name", "SOPInstanceUID": "1.2.3.4.5",
    "StudyInstanceUID": "1.2.3.4", "SeriesInstanceUID": "1.2.3.4.6",
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one image."""
    folder = tmp_path_factory.mktemp("observed")
    settings = Settings(database_url=f"sqlite:///{folder}/database.sqlite3", _env_file=None)
    with running_server(settings) as server:
        make_file(folder / "1.dcm", **IDENTITY)
        database = Database(settings.database_url)
        run_import(database, JobRequest((str(folder / "1.dcm"),), Mode.FULL))
        database.close_writer()
        yield server


def figures(server: Server, **options: Any) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples of `/metrics` by name and labels, as Prometheus' own parser reads them."""
    answer = httpx.get(f"{server.url}/metrics", **options)
    assert answer.status_code == 200
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def figure(server: Server, name: str, **labels: str) -> float:
    """One figure; 0 where it was never counted."""
    return figures(server).get((f"dicom_graph_{name}", tuple(sorted(labels.items()))), 0)


def ask(server: Server, query: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{server.url}/graphql", json={"query": query}, headers=headers)


@pytest.mark.parametrize("given", ["abc-1.2:3_4", "Root=1-67891233-abcdef012345678912345678", "x"])
def test_a_well_formed_request_id_is_kept(site: Server, given: str) -> None:
    for path in ("/healthz", "/graphql?query={__typename}", "/nothing", "/images/1.9.dcm"):
        answer = httpx.get(f"{site.url}{path}", headers={"X-Request-ID": given})
        assert answer.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "a b", "é".encode(), "x" * 129, 'a"b', "a\tb"])
def test_any_other_is_replaced(site: Server, given: str | bytes | None) -> None:
    headers = [] if given is None else [(b"X-Request-ID", given)]
    ids = {
        httpx.get(f"{site.url}/healthz", headers=headers).headers["x-request-id"]  # type: ignore[arg-type]
        for _ in range(2)
    }
    assert len(ids) == 2
    assert given not in ids


def test_a_websocket_is_told_its_id_too(site: Server) -> None:
    with connect(
        f"{site.websocket_url}/graphql",
        additional_headers={"X-Request-ID": "socket-7"},
        subprotocols=[PROTOCOL],
    ) as socket:
        assert socket.response is not None
        assert socket.response.headers["X-Request-ID"] == "socket-7"


def test_a_line_for_each_request_without_uids(
    site: Server, caplog: pytest.LogCaptureFixture
) -> None:
    def requests() -> list[dict[str, Any]]:
        """Without the socket of the test before, which may end only now."""
        lines = [record.fields for record in caplog.records]  # type: ignore[attr-defined]
        return [line for line in lines if line["method"] != "WS"]

    with caplog.at_level(logging.INFO, "dicom_graph.access"):
        httpx.get(f"{site.url}/images/1.2.3.4.5.dcm?secret=SECRET-1")
        httpx.get(f"{site.url}/nothing/SECRET-1")
        ask(site, '{ patientByUid(uid: "SECRET-1") { name } }')
        until(lambda: len(requests()) == 3)
    lines = requests()
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("GET", "/images/{uid:path}.dcm", 400), ("GET", "none", 404), ("POST", "/graphql", 200),
    ]  # fmt: skip
    assert {line["principal"] for line in lines} == {"everyone"}
    for secret in (*IDENTITY.values(), "secret"):
        assert secret not in caplog.text


def test_an_unexpected_error_has_an_id_that_the_log_knows(
    site: Server, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(site.settings.database_url)
    with database.writer.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE patient RENAME TO patient_gone")
    try:
        answer = ask(site, "{ patients { nodes { name } } }", **{"X-Request-ID": "broken-1"})
        download = httpx.get(f"{site.url}/patients/x.zip", headers={"X-Request-ID": "broken-2"})
    finally:
        with database.writer.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE patient_gone RENAME TO patient")
        database.close_writer()
    for found, request_id in ((answer, "broken-1"), (download, "broken-2")):
        (error,) = found.json()["errors"]
        facts = error.get("extensions", error)
        assert facts["requestId"] == request_id
        assert facts["id"] in caplog.text
        assert "Traceback" not in found.text
        assert "File " not in found.text


@contextmanager
def serving(folder: Path, **settings: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`dicom-graph serve`, its lines in `folder`/log, and its address."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DICOM_GRAPH_", "OTEL_"))}
    log = folder / f"log-{len(list(folder.glob('log-*')))}"
    with log.open("w") as file:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0"], env=kept | settings, cwd=folder, text=True,
            stderr=file, stdout=file,
        )  # fmt: skip
    try:
        until(lambda: "dicom-graph serves" in log.read_text() or process.poll() is not None)
        served = log.read_text().partition("dicom-graph serves ")[2].split()[0]
        address = served.removesuffix("/graphql")
        until(lambda: _answers(address))
        yield process, address
    finally:
        process.terminate()
        process.wait(timeout=30)


def _answers(address: str) -> bool:
    try:
        return httpx.get(f"{address}/healthz").status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def filled(tmp_path: Path) -> str:
    """The URL of a database with the image, and what a server of a test needs."""
    url = f"sqlite:///{tmp_path}/database.sqlite3"
    database = Database(url)
    upgrade(database)
    make_file(tmp_path / "1.dcm", **IDENTITY)
    run_import(database, JobRequest((str(tmp_path / "1.dcm"),), Mode.FULL))
    database.close_writer()
    return url


@pytest.mark.slow
def test_every_line_of_a_log_in_json_is_an_object_without_patient_data(
    filled: str, tmp_path: Path
) -> None:
    settings = {
        "DICOM_GRAPH_DATABASE_URL": filled, "DICOM_GRAPH_LOG_FORMAT": "json",
    }  # fmt: skip
    with serving(tmp_path, **settings) as (_, address):
        body = {"query": '{ patientByUid(uid: "SECRET-1") { name } }'}
        answer = httpx.post(f"{address}/graphql", json=body, headers={"X-Request-ID": "mine"})
        assert "Secret" in answer.text
        httpx.get(f"{address}/patients/SECRET-1.zip")
        # A decoder is started for it.
        httpx.get(f"{address}/images/1.2.3.4.5.npy", timeout=60)
        httpx.post(f"{address}/graphql", content=b"SECRET-1{")
        websocket = address.replace("http", "ws", 1)
        with pytest.raises(InvalidStatus):
            connect(f"{websocket}/images/1.2.3.4.5.dcm")
        with connect(f"{websocket}/graphql?x=SECRET-1", subprotocols=[PROTOCOL]):
            pass
    text = (tmp_path / "log-0").read_text()
    addresses = ("dicom-graph ", "its pages: ")
    lines = [json.loads(line) for line in text.splitlines() if not line.startswith(addresses)]
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in lines)
    for secret in IDENTITY.values():
        assert secret not in text
    (own,) = [line for line in lines if line.get("requestId") == "mine"]
    assert (own["route"], own["status"], own["principal"]) == ("/graphql", 200, "everyone")
    assert own["milliseconds"] > 0


def test_a_line_in_json_has_the_request_and_the_trace_on_one_line() -> None:
    token = CURRENT.set(CurrentRequest("mine", "GET", "127.0.0.1"))
    try:
        1 / 0  # noqa: B018
    except ZeroDivisionError:
        record = logging.makeLogRecord(
            {"msg": "a %s\nb", "args": ("é",), "exc_info": sys.exc_info()}
        )
        text = JsonFormatter().format(record)
    finally:
        CURRENT.reset(token)
    assert "\n" not in text
    line = json.loads(text)
    assert (line["message"], line["requestId"]) == ("a é\nb", "mine")
    assert line["trace"].endswith("ZeroDivisionError: division by zero")


def test_figures_of_requests_and_operations(site: Server) -> None:
    requests = {"method": "POST", "route": "/graphql", "status": "200"}
    before = figures(site)
    for _ in range(3):
        ask(site, "query Q { patients { nodes { uid } } }")
    ask(site, "{ nonsense }")
    httpx.get(f"{site.url}/images/1.2.3.4.9.dcm")
    after = figures(site)

    def more(name: str, **labels: str) -> float:
        key = (f"dicom_graph_{name}", tuple(sorted(labels.items())))
        return after.get(key, 0) - before.get(key, 0)

    assert more("http_requests_total", **requests) == 4
    missing = {"method": "GET", "route": "/images/{uid:path}.dcm", "status": "404"}
    assert more("http_requests_total", **missing) == 1
    assert more("http_request_seconds_count", route="/graphql") == 4
    assert more("graphql_operations_total", type="query", outcome="succeeded") == 3
    assert more("graphql_operations_total", type="query", outcome="failed") == 1
    codes = {key for key in after if key[0] == "dicom_graph_graphql_errors_total"}
    assert sum(after[key] - before.get(key, 0) for key in codes) == 1
    assert all("1.2.3" not in str(key) for key in after)


def test_figures_of_imports_are_those_of_the_database(
    server: Server, tmp_path: Path, import_files: Callable[..., Report]
) -> None:
    make_file(tmp_path / "a" / "1.dcm")
    make_file(tmp_path / "a" / "2.dcm")
    (tmp_path / "a" / "3.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 99)
    (tmp_path / "a" / "4.txt").write_text("no image")
    import_files(tmp_path / "a")
    import_files(tmp_path / "a", verify=True)
    assert figure(server, "import_jobs", status="completed") == 2
    assert figure(server, "import_jobs", status="running") == 0
    assert figure(server, "import_images_total", result="created") == 2
    assert figure(server, "import_images_total", result="existing") == 2
    assert figure(server, "import_files_total", result="failed") == 2
    assert figure(server, "import_files_total", result="skipped") == 2
    assert figure(server, "database_up") == 1
    assert figure(server, "database_pool_size") == server.settings.database_pool_size


def test_websockets_are_counted_while_they_are_open(site: Server) -> None:
    until(lambda: figure(site, "websockets") == 0)
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(
                connect(
                    f"{site.websocket_url}/graphql",
                    subprotocols=[PROTOCOL],
                )
            )
        assert figure(site, "websockets") == 3
    until(lambda: figure(site, "websockets") == 0)


def test_who_may_read_the_figures(tmp_path: Path) -> None:
    for mode, stranger, known in (("off", 401, 404), ("protected", 401, 200), ("public", 200, 200)):
        folder = tmp_path / mode
        folder.mkdir()
        url = f"sqlite:///{folder}/database.sqlite3"
        with running_server(Settings(database_url=url, metrics=mode, _env_file=None)) as server:
            database = Database(url)
            person = add_person(database, "prometheus", limited=True)
            database.close_writer()
            address = f"{server.url}/metrics"
            until(lambda url=server.url: httpx.get(f"{url}/series.csv").status_code == 401)
            assert httpx.get(address).status_code == stranger
            assert httpx.get(address, headers=person.bearer).status_code == known


@pytest.mark.slow
def test_several_processes_have_one_set_of_figures(filled: str, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    settings = {"DICOM_GRAPH_DATABASE_URL": filled, "PROMETHEUS_MULTIPROC_DIR": str(shared)}
    with serving(tmp_path, **settings) as (_, one), serving(tmp_path, **settings) as (_, other):
        for address, times in ((one, 2), (other, 3)):
            for _ in range(times):
                httpx.get(f"{address}/graphql?query={{__typename}}")
        wanted = 'dicom_graph_graphql_operations_total{outcome="succeeded",type="query"} 5.0'
        for address in (one, other):
            text = httpx.get(f"{address}/metrics").text
            assert wanted in text
            assert 'dicom_graph_import_images_total{result="created"} 1.0' in text
            names = [line for line in text.splitlines() if line.startswith("# TYPE ")]
            assert len(names) == len(set(names))


_SPANS = """
import sys, json
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)

import httpx
from dicom_graph.settings import Settings
from tests.support.server import running_server
parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
with running_server(Settings(database_url=sys.argv[1], _env_file=None)) as server:
    query = 'query Names { patientByUid(uid: "SECRET-1") { name } }'
    body, headers = {"query": query}, {"traceparent": parent, "X-Request-ID": "traced"}
    answer = httpx.post(f"{server.url}/graphql", json=body, headers=headers)
    assert "Secret" in answer.text
    httpx.post(f"{server.url}/graphql", json={"query": "{ patients(first: -1) { nodes { uid } } }"})
    httpx.get(f"{server.url}/images/1.2.3.4.5.dcm")
print(json.dumps([json.loads(span.to_json()) for span in exporter.get_finished_spans()]))
"""


@pytest.mark.slow
def test_spans_have_names_and_no_patient_data(filled: str) -> None:
    pytest.importorskip("opentelemetry.sdk")
    done = subprocess.run(
        [sys.executable, "-c", _SPANS, filled], capture_output=True, text=True, timeout=60,
        cwd=Path(__file__).parents[2], check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    spans = json.loads(done.stdout)
    assert [span["name"] for span in spans] == [
        "query Names", "POST /graphql", "query", "POST /graphql", "GET /images/{uid:path}.dcm",
    ]  # fmt: skip
    operation, request = spans[:2]
    assert operation["parent_id"] == request["context"]["span_id"]
    assert request["context"]["trace_id"] == "0x0af7651916cd43dd8448eb211c80319c"
    assert request["parent_id"] == "0xb7ad6b7169203331"
    assert operation["attributes"] == {
        "graphql.operation.type": "query", "graphql.operation.name": "Names",
        "dicom_graph.root_fields": ["patientByUid"],
    }  # fmt: skip
    assert request["attributes"] == {
        "http.request.method": "POST", "http.route": "/graphql",
        "http.response.status_code": 200, "dicom_graph.request_id": "traced",
    }  # fmt: skip
    assert spans[2]["status"]["status_code"] == "ERROR"
    for secret in IDENTITY.values():
        assert secret not in done.stdout


@pytest.mark.slow
def test_the_usual_variables_configure_the_exporter(filled: str, tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    settings = {
        "DICOM_GRAPH_DATABASE_URL": filled, "OTEL_TRACES_EXPORTER": "console",
        "OTEL_SERVICE_NAME": "archive-7",
    }  # fmt: skip
    with serving(tmp_path, **settings) as (_, address):
        httpx.get(f"{address}/graphql?query=query+Mine{{__typename}}")
    text = (tmp_path / "log-0").read_text()
    assert '"name": "query Mine"' in text
    assert "archive-7" in text
