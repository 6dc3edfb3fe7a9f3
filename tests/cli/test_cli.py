"""The command line as a shell sees it: output, exit status, and one line for what is wrong."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from dicom_graph.cli.demo import QUERY
from dicom_graph.importing.entities import delete_entity
from dicom_graph.store.engine import Database
from dicom_graph.store.migrate import upgrade
from tests.support.commands import BAD, COMMAND, Run, assert_one_line
from tests.support.contents import Tables, contents
from tests.support.make import make_file, make_series
from tests.support.waiting import until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]

on_postgresql = pytest.mark.parametrize("database_kind", ["postgresql"])


def test_import_reports_in_words_or_json(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    make_series(folder, 2)
    (folder / "notes.txt").write_text("no DICOM")
    url = f"sqlite:///{tmp_path / 'a.sqlite3'}"
    done = run("import", folder, "--mode", "full", database_url=url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "completed: 3 files found, 2 images created, 0 updated, 0 existing, 1 files skipped, "
        "0 failed\n"
        "  skipped: 1 × a text file\n"
        "  `--verbose` names each of them\n"
        f"written to {url}\n"
    )
    (folder / "bad.dcm").write_bytes(BAD)
    done = run("import", folder, "--json", "--database", url)
    assert (done.returncode, done.stderr) == (1, "")
    report = json.loads(done.stdout)
    (failure,) = report.pop("failures")
    assert failure["path"] == str(folder / "bad.dcm")
    assert failure["message"]
    assert failure["code"] == "TRUNCATED"
    assert report.pop("skippedFiles") == [
        {"path": str(folder / "notes.txt"), "reason": "a text file"}
    ]
    assert report == {
        "jobId": 2, "status": "COMPLETED", "found": 4, "processed": 4, "created": 0, "updated": 0,
        "existing": 2, "skipped": 1, "failed": 1, "missing": 0, "moved": 0, "error": None,
    }  # fmt: skip


def test_import_takes_what_matches_and_names_failures(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "a"
    make_series(folder, 2)
    for name in ("0000.dcm", "0000.ima"):
        (folder / name).write_bytes(BAD)
    done = run("import", folder, "--pattern", "*.dcm", "--stop-on-error")
    assert done.returncode == 1
    assert done.stdout.startswith("failed: ")
    assert "stopped at the first failure" in done.stdout
    assert "1 failed" in done.stdout
    assert f"  {folder / '0000.dcm'}: " in done.stdout


def test_import_goes_by_default_to_a_database_in_the_home_directory(
    run: Run, tmp_path: Path
) -> None:
    make_file(tmp_path / "1.dcm")
    assert run("import", "1.dcm").returncode == 0
    database = Database(f"sqlite:///{tmp_path}/home/.dicom-graph/database.sqlite3")
    assert contents(database)["files"].keys() == {(str(tmp_path), "1.dcm")}
    database.close_writer()


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGHUP])
def test_import_that_is_interrupted_keeps_what_it_has(
    environment: dict[str, str], run: Run, tmp_path: Path, end: signal.Signals
) -> None:
    make_series(tmp_path / "a", 300)
    url = f"sqlite:///{tmp_path / 'a.sqlite3'}"
    settings = {"DICOM_GRAPH_DATABASE_URL": url, "DICOM_GRAPH_BATCH_SIZE": "1"}
    database = Database(url)
    upgrade(database)
    process = subprocess.Popen(
        [*COMMAND, "import", str(tmp_path / "a"), "--json"], env=environment | settings,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        until(lambda: Tables(database, "file")["file"] or process.poll() is not None)
        process.send_signal(end)
        report = json.loads(process.communicate(timeout=30)[0])
    finally:
        process.kill()
    assert process.returncode == 130
    assert report["status"] == "CANCELLED"
    assert 0 < report["created"] == len(Tables(database, "file")["file"]) < 300
    rest = json.loads(run("import", tmp_path / "a", "--json", database_url=url).stdout)
    assert (rest["created"], rest["existing"]) == (300 - report["created"], report["created"])
    database.close_writer()


def test_wrong_arguments_of_import(run: Run, tmp_path: Path) -> None:
    assert_one_line(run("import", tmp_path / "nothing"), "nothing does not exist")
    assert not (tmp_path / "home" / ".dicom-graph").exists()
    done = run("import", tmp_path, "--mode", "everything")
    assert done.returncode == 2
    assert all(word in done.stderr for word in ("everything", "minimal", "normal", "full"))
    assert "Traceback" not in done.stderr


def test_a_path_that_is_not_utf8_is_refused(run: Run, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.dcm")
    try:
        make_file(tmp_path / name)
    except OSError:
        pytest.skip("the file system takes no such name")
    assert_one_line(run("import", name), "caf\\xe9.dcm", "UTF-8")


def test_a_wrong_setting_is_one_line(run: Run) -> None:
    done = run("serve", batch_size="many")
    assert_one_line(done, "DICOM_GRAPH_BATCH_SIZE", "integer")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://user:hunter2@127.0.0.1:1/name", ["user:***@127.0.0.1:1", "refused"]),
        ("postgresql://user:hunter2@host:port/name", ["cannot be read"]),
        ("sqlite:////etc/passwd", ["cannot open", "not a database"]),
    ],
)
def test_databases_that_cannot_be_opened_are_one_line(run: Run, url: str, words: list[str]) -> None:
    done = run("serve", "--port", "0", database_url=url)
    assert_one_line(done, *words)
    assert "hunter2" not in done.stderr


@on_postgresql
def test_a_database_without_tables_says_what_to_do(run: Run, empty_database_url: str) -> None:
    assert_one_line(run("serve", "--port", "0", database_url=empty_database_url), "db upgrade")
    done = run("db", "upgrade", database_url=empty_database_url)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    # No file lies there, which is said; that the database has its tables now is what matters.
    done = run("import", ".", database_url=empty_database_url)
    assert "no file was found there" in done.stdout


def test_a_port_in_use_or_a_wrong_host_is_one_line(run: Run) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert_one_line(run("serve", "--port", port), f"127.0.0.1:{port}", "in use")
    assert_one_line(run("serve", "--port", "0", "--host", "no.such.invalid"), "no.such.invalid")


def test_schema_prints_the_schema(run: Run) -> None:
    done = run("schema")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (ROOT / "schema.graphql").read_text()


@contextmanager
def serving(
    environment: dict[str, str], folder: Path, *arguments: str
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`dicom-graph serve` on a free port: its address, from standard error, and the process."""
    log = folder / "serve.log"
    with log.open("wb") as stderr:
        process = subprocess.Popen(
            [*COMMAND, "serve", "--port", "0", *arguments], env=environment, cwd=folder,
            stderr=stderr,
        )  # fmt: skip
    try:
        until(lambda: "dicom-graph serves" in log.read_text() or process.poll() is not None)
        (line,) = [line for line in log.read_text().splitlines() if " serves " in line]
        address = line.rpartition(" ")[2]
        until(lambda: answers(address))
        yield address, process
    finally:
        process.kill()
        process.wait(timeout=30)


def answers(address: str) -> bool:
    try:
        return httpx.get(address.replace("/graphql", "/readyz")).status_code == 200
    except httpx.TransportError:
        return False


def ask(address: str, query: str, **variables: Any) -> Any:
    answer = httpx.post(address, json={"query": query, "variables": variables}, timeout=30).json()
    assert "errors" not in answer
    return answer["data"]


def test_the_demo_serves_its_query_and_leaves_nothing_behind(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with serving(environment, tmp_path, "--demo") as (address, process):
        data = ask(address, QUERY)
        assert data["patients"]["totalCount"] > 10
        assert any(patient["studies"]["nodes"] for patient in data["patients"]["nodes"])
        page = httpx.get(address, headers={"accept": "text/html"})
        assert escape(QUERY) in page.text
        assert list((tmp_path / "temporary").iterdir())
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert list((tmp_path / "temporary").iterdir()) == []
    assert not (tmp_path / "home" / ".dicom-graph").exists()
    assert "Traceback" not in (tmp_path / "serve.log").read_text()


IMPORT = """
mutation ($path: String!) {
  importPath(input: { path: $path, mode: FULL }) { job { id } errors { message } }
}
"""
JOB = "query ($id: ID!) { importJob(id: $id) { status created failed } }"


def make_telling_files(folder: Path) -> None:
    """Files whose values would be recognised anywhere, some of which make warnings and errors."""
    telling = {"PatientName": "Qwxzname^Given", "PatientID": "QWXZ-id", "StudyDescription": "Qwxz"}
    make_file(folder / "1.dcm", SOPInstanceUID="1.2.3", **telling)
    damaged = make_file(folder / "2.dcm", **telling)
    content = damaged.read_bytes().replace(b"19800229", b"Qwxz229 ")
    damaged.write_bytes(content.replace(b"030405.678900", b"Qwxz05.678900"))
    make_file(folder / "3.dcm", SOPInstanceUID="1.2.3", **(telling | {"PatientID": "QWXZ-other"}))
    whole = make_file(folder / "4.dcm", **telling).read_bytes()
    (folder / "4.dcm").write_bytes(whole[: whole.index(b"QWXZ-id") + 3])
    strange = make_file(folder / "5.dcm", SpecificCharacterSet="ISO_IR 100", **telling)
    strange.write_bytes(strange.read_bytes().replace(b"ISO_IR 100", b"Qwxz_IR 10"))


def test_logs_hold_no_patient_data(environment: dict[str, str], run: Run, tmp_path: Path) -> None:
    make_telling_files(tmp_path / "a")
    done = run("import", tmp_path / "a", "--mode", "full", log_level="INFO")
    assert "created" in done.stdout
    assert "qwxz" not in (done.stdout + done.stderr).lower()
    settings = {"DICOM_GRAPH_LOG_LEVEL": "INFO", "DICOM_GRAPH_DATABASE_URL": "sqlite:///b.sqlite3"}
    with serving(environment | settings, tmp_path) as (address, process):
        job_id = ask(address, IMPORT, path=str(tmp_path / "a"))["importPath"]["job"]["id"]
        until(lambda: ask(address, JOB, id=job_id)["importJob"]["status"] == "COMPLETED")
        assert ask(address, JOB, id=job_id)["importJob"]["created"] >= 3
        httpx.get(address, params={"query": '{ patientByUid(uid: "QWXZ-id") { name } }'})
        httpx.get(address, params={"query": "{ qwxz }"})
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 0
    log = (tmp_path / "serve.log").read_text()
    assert "import 1: COMPLETED" in log
    assert "qwxz" not in log.lower()


@on_postgresql
def test_a_database_that_fails_during_an_import_is_told_without_its_values(
    run: Run, database_url: str, tmp_path: Path
) -> None:
    make_telling_files(tmp_path / "a")
    database = Database(database_url)
    with database.writer.begin() as connection:
        connection.execute(text("ALTER TABLE data_element_value RENAME TO gone"))
    done = run("import", tmp_path / "a", database_url=database_url)
    (job,) = Tables(database, "import_job")["import_job"]
    database.close_writer()
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("dicom-graph: the database failed: ")
    assert "Traceback (most recent call last)" not in done.stderr
    assert "qwxz" not in (done.stdout + done.stderr).lower()
    assert job["status"] == "FAILED"
    assert "unexpected" in job["error"]


def test_db_prune_tells_what_it_deleted_and_makes_the_file_smaller(
    run: Run, tmp_path: Path
) -> None:
    for number in range(80):
        make_file(tmp_path / "a" / f"{number}.dcm", ImageComments=f"{number} " * 2000)
    url = f"sqlite:///{tmp_path / 'a.sqlite3'}"
    run("import", tmp_path / "a", database_url=url)
    database = Database(url)
    for key in sorted(Tables(database, "patient").uids("patient")):
        delete_entity(database, "patient", key)
    elements = len(Tables(database, "data_element")["data_element"])
    database.close_writer()
    before = (tmp_path / "a.sqlite3").stat().st_size
    done = run("db", "prune", database_url=url)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"deleted {elements} elements" in done.stdout
    assert (tmp_path / "a.sqlite3").stat().st_size < before / 2
    assert "deleted 0 elements" in run("db", "prune", "--database", url).stdout


@on_postgresql
def test_db_prune_on_postgresql(run: Run, database_url: str, tmp_path: Path) -> None:
    make_file(tmp_path / "a" / "1.dcm")
    run("import", tmp_path / "a", database_url=database_url)
    done = run("db", "prune", database_url=database_url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "deleted 0 elements" in done.stdout
    assert "autovacuum" in done.stdout
