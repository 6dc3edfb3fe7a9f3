"""Where faults are made: a database, files, a server, and what stands between them."""

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import make_url

from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from tests.support.server import running_server

COUNT = "{ images { totalCount } }"
IMPORT = """mutation ($input: ImportPathInput!) {
  importPath(input: $input) { job { id } errors { message code } } }"""
JOB = """query ($id: ID!) { importJob(id: $id) {
  status error found created updated existing failed failures { path message } } }"""
_WHOLE = 100
_CHECKOUT = Path(__file__).resolve().parents[2]
_COMMAND = [sys.executable, "-c", "from dicom_graph.cli import main; main()"]


class CannotBeMade(Exception):
    """The fault cannot be made on this machine; the message says why."""


@dataclass
class Served:
    """A server at its address; `pid` where it is a process of its own."""

    url: str
    process: subprocess.Popen[bytes] | None = None

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http://", "ws://", 1) + "/graphql"

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The whole answer to an operation; it must come within a minute."""
        body = {"query": query, "variables": variables}
        answer = httpx.post(f"{self.url}/graphql", json=body, timeout=60)
        assert answer.status_code in (200, 503), answer.text
        return dict(answer.json())

    def data(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an operation that must not fail."""
        answer = self.ask(query, **variables)
        assert not answer.get("errors"), answer["errors"]
        return dict(answer["data"])

    def code(self, query: str, **variables: Any) -> str | None:
        """The code of an operation's error; None where it does not fail."""
        errors = self.ask(query, **variables).get("errors")
        return str(errors[0]["extensions"]["code"]) if errors else None

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=60, **options)

    def is_ready(self) -> bool:
        return self.get("/readyz").status_code == 200

    def begin_import(self, path: Path, **options: Any) -> str:
        """The id of an import that the server begins."""
        payload = self.data(IMPORT, input={"path": str(path), "mode": "FULL", **options})
        assert not payload["importPath"]["errors"], payload
        return str(payload["importPath"]["job"]["id"])

    def job(self, id: str) -> dict[str, Any]:
        return dict(self.data(JOB, id=id)["importJob"])

    def resident_bytes(self) -> int:
        """Of the server and its processes."""
        assert self.process is not None
        process = psutil.Process(self.process.pid)
        return sum(p.memory_info().rss for p in (process, *process.children(recursive=True)))


@dataclass
class Ground:
    """One fault's place. `clients` and `seconds`: how hard it is made."""

    folder: Path
    kind: str
    new_database: Callable[[Path], AbstractContextManager[str]]
    clients: int = 20
    seconds: float = 2.0
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Made in earnest. Times are held in that alone: the suite, its short form, has company."""
        return self.clients >= _WHOLE

    @contextmanager
    def database(self, name: str = "database") -> Iterator[str]:
        """The URL of a database with its tables."""
        folder = self.folder / name
        folder.mkdir()
        with self.new_database(folder) as url:
            opened = Database(url)
            upgrade(opened)
            opened.close_writer()
            yield url

    @contextmanager
    def server(self, url: str, **settings: Any) -> Iterator[Served]:
        """A server in this process."""
        given = Settings(
            database_url=url, import_roots=[self.folder], import_processes=1, _env_file=None,
            **settings,
        )  # fmt: skip
        with running_server(given) as running:
            yield Served(running.url)

    @contextmanager
    def process(
        self,
        url: str,
        *arguments: str,
        ignored: signal.Signals | None = None,
        open_files: int | None = None,
        **settings: Any,
    ) -> Iterator[Served]:
        """A server in a process of its own, with a signal ignored, and so many open files."""

        def prepare() -> None:
            if ignored is not None:
                signal.signal(ignored, signal.SIG_IGN)
            if open_files is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))

        named = {f"DICOM_GRAPH_{name.upper()}": str(value) for name, value in settings.items()}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("DICOM_GRAPH_")}
        named = {"DICOM_GRAPH_IMPORT_ROOTS": str(self.folder)} | named
        named |= {"DICOM_GRAPH_DATABASE_URL": url}
        # A server that is killed leaves its temporary folder.
        (self.folder / "temporary").mkdir(exist_ok=True)
        named |= {"PYTHONPATH": str(_CHECKOUT), "TMPDIR": str(self.folder / "temporary")}
        log = self.folder / "serve.log"
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [*_COMMAND, "serve", "--port", "0", *arguments], env=kept | named, stderr=stderr,
                cwd=self.folder, preexec_fn=prepare,
            )  # fmt: skip
        try:
            served = Served(_address(log, process), process)
            wait(lambda: _answers(served), 60)
            yield served
        finally:
            with suppress(psutil.NoSuchProcess):
                for child in psutil.Process(process.pid).children(recursive=True):
                    child.kill()
            process.kill()
            process.wait(30)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    pattern = re.compile(r"serves (http://\S+)/graphql")
    wait(lambda: pattern.search(log.read_text()) or process.poll() is not None, 60)
    found = pattern.search(log.read_text())
    assert found is not None, log.read_text()
    return found[1]


def _answers(served: Served) -> bool:
    try:
        return served.is_ready()
    except httpx.TransportError:
        return False


def wait(condition: Callable[[], object], seconds: float) -> float:
    """How long it took until the condition held; fails where it does not in that time."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, f"not so within {seconds:g} s"
        time.sleep(0.01)
    return time.monotonic() - began


def import_here(url: str, path: Path, mode: Mode = Mode.FULL) -> Report:
    """An import that nothing happens to."""
    database = Database(url)
    report = run_import(database, JobRequest((str(path),), mode, origin=JobOrigin.PYTHON))
    database.close_writer()
    assert not report.failures
    return report


class Link:
    """A way to PostgreSQL that can be cut, or fall silent: `url` leads through it."""

    def __init__(self, url: str) -> None:
        self._target = make_url(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open = threading.Event()
        self._open.set()
        self._is_cut = False
        self._ends: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        port = self._listener.getsockname()[1]
        changed = self._target.set(host="127.0.0.1", port=port, query={})
        return changed.render_as_string(hide_password=False)

    def cut(self) -> None:
        """All connections break, and there are no new ones."""
        self._is_cut = True
        for end in list(self._ends):
            _close(end)

    def restrict_to_owner(self) -> None:
        """As it was."""
        self._is_cut = False
        self._open.set()

    def silence(self) -> None:
        """What is sent does not arrive; nobody is told."""
        self._open.clear()

    def _accept(self) -> None:
        while True:
            end, _ = self._listener.accept()
            if self._is_cut:
                end.close()
                continue
            other = self._connect()
            self._ends |= {end, other}
            for pair in ((end, other), (other, end)):
                threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _connect(self) -> socket.socket:
        host = str(self._target.query.get("host") or self._target.host or "localhost")
        port = self._target.port or 5432
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        other = socket.socket(socket.AF_UNIX)
        other.connect(f"{host}/.s.PGSQL.{port}")
        return other

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._open.wait()
                target.sendall(data)
        for end in (source, target):
            self._ends.discard(end)
            _close(end)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()
