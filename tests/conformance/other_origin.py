"""A page on another origin, in Chromium, with urql and graphql-ws from npm.

    python tests/conformance/other_origin.py

From an allowed origin it queries, uploads, follows the import, and shows a picture, by `fetch` and
by `<img crossorigin>`, on a server that asks for tokens and on an open one. The same page from an
origin that is not allowed gets nothing of that, and changes nothing. Exit status 1 where it is not
so, 77 where Chromium, its driver, node or npm is missing.
"""

import base64
import functools
import json
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from dicom_graph.importing.foreground import run_import
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from tests.conformance.node_packages import MISSING, node_modules
from tests.support.make import make_file
from tests.support.people import add_person
from tests.support.server import running_server

SCRIPT = Path(__file__).with_suffix(".mjs")
IMPORTS = {
    "@urql/core": "@urql/core/dist/urql-core.mjs",
    "@0no-co/graphql.web": "@0no-co/graphql.web/dist/graphql.web.mjs",
    "wonka": "wonka/dist/wonka.mjs",
    "graphql-ws": "graphql-ws/dist/client.js",
}
"""The files that a bundler would take for what is imported."""
PIXELS: dict[str, Any] = {
    "Rows": 4, "Columns": 4, "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2",
    "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelRepresentation": 0,
    "PixelData": bytes(range(16)),
}  # fmt: skip
FLAGS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-dev-shm-usage", "--disable-background-networking", "--disable-sync",
         "--disable-component-update")  # fmt: skip
_IMAGES = "SELECT count(*) FROM image"


def main() -> int:
    """Try all in a Chromium of its own."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        print("skipped: chromium and chromedriver are not there", file=sys.stderr)
        return MISSING
    packages = node_modules()
    with tempfile.TemporaryDirectory(prefix="dicom-graph-origins-") as name:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for flag in (*FLAGS, f"--user-data-dir={name}/profile"):
            options.add_argument(flag)
        browser = webdriver.Chrome(options=options, service=Service(driver))
        try:
            for with_users in (True, False):
                check(browser, packages, Path(name), with_users=with_users)
        finally:
            browser.quit()
    return 0


def check(browser: Any, packages: Path, folder: Path, *, with_users: bool) -> None:
    """Raises AssertionError where a page may do what it should not, or the other way round."""
    work = folder / ("with_users" if with_users else "open")
    work.mkdir()
    url = f"sqlite:///{work / 'archive.sqlite3'}"
    token = _fill(url, work / "files", with_users=with_users)
    (work / "storage").mkdir()
    new = make_file(work / "new.dcm", SOPInstanceUID="1.2.3.9", **PIXELS).read_bytes()
    with pages(packages) as friend, pages(packages) as stranger:
        settings = Settings(
            database_url=url, allowed_origins=[friend], storage_root=work / "storage",
            _env_file=None,
        )  # fmt: skip
        with running_server(settings) as server:
            picture = f"{server.url}/images/1.2.3.4.png"
            given = (server.url, token, base64.b64encode(new).decode(), picture)
            refused = outcomes(browser, stranger, *given)
            assert all(str(outcome).startswith("refused") for name, outcome in refused.items()
                       if name != "form"), refused  # fmt: skip
            assert _n_images(url) == 1, "a page of a strange origin has uploaded"
            _check_allowed(outcomes(browser, friend, *given), with_users=with_users)
            assert _n_images(url) == 2
    print(f"{'with tokens' if with_users else 'open'}: all from the allowed origin, "
          f"nothing from another: {json.dumps(refused)}")  # fmt: skip


def _check_allowed(done: Mapping[str, Any], *, with_users: bool) -> None:
    assert done["query"] == ("anna" if with_users else "everyone"), done
    assert not str(done["upload"]).startswith("refused"), done
    assert done["subscription"] == "COMPLETED", done
    assert done["address"].endswith("/images/1.2.3.4/frames/1.png"), done
    assert done["fetch"] == ["image/png", True, True], done
    if not with_users:
        # An <img> can send no token: with users a page shows what it has fetched.
        assert done["img crossorigin"] == [4, 4], done


def outcomes(browser: Any, page: str, *given: Any) -> dict[str, Any]:
    """What a page of an origin is answered."""
    browser.get(f"{page}/page.html")
    WebDriverWait(browser, 20).until(lambda b: b.execute_script("return window.isReady === true"))
    browser.set_script_timeout(60)
    script = "const done = arguments[arguments.length - 1]; tryAll(...arguments).then(done)"
    found: dict[str, Any] = browser.execute_async_script(script, *given)
    return found


class _Files(SimpleHTTPRequestHandler):
    """The page, its script, and the packages."""

    def do_GET(self) -> None:
        made = {"/page.html": _page, "/page.mjs": SCRIPT.read_bytes}.get(self.path)
        if made is None:
            super().do_GET()
            return
        body = made()
        kind = "text/html" if self.path.endswith(".html") else "text/javascript"
        self.send_response(200)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Nothing is said of requests."""


def _page() -> bytes:
    places = json.dumps({"imports": {name: f"/{path}" for name, path in IMPORTS.items()}})
    return (
        "<!doctype html><title>A page</title>"
        # What bundlers put in its place.
        '<script>window.process = { env: { NODE_ENV: "production" } }</script>'
        f"<script type=importmap>{places}</script>"
        '<script type="module" src="/page.mjs"></script>'
    ).encode()


@contextmanager
def pages(packages: Path) -> Iterator[str]:
    """A server of pages; returns its origin, which is of another site than 127.0.0.1."""
    handler = functools.partial(_Files, directory=str(packages))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def _fill(url: str, folder: Path, *, with_users: bool) -> str | None:
    """A database with an image; returns the token of a user, if there are users."""
    make_file(folder / "a.dcm", SOPInstanceUID="1.2.3.4", **PIXELS)
    database = Database(url)
    upgrade(database)
    run_import(database, JobRequest((str(folder),), Mode.FULL, origin=JobOrigin.PYTHON))
    token = add_person(database, "anna", "IMPORTER").token if with_users else None
    database.close_writer()
    return token


def _n_images(url: str) -> int:
    database = Database(url)
    try:
        with database.writer.connect() as connection:
            found: int = connection.exec_driver_sql(_IMAGES).scalar_one()
            return found
    finally:
        database.close_writer()


if __name__ == "__main__":
    sys.exit(main())
