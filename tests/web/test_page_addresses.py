"""Which addresses give the page of the browser, without a browser."""

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from graphql import parse, validate

from dicom_graph.graph.schema import schema
from dicom_graph.settings import Settings
from dicom_graph.web.pages import ADDRESSES, documents_file
from tests.support.make import make_file
from tests.support.served_archive import served
from tests.support.server import running_server

HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    url = f"sqlite:///{tmp_path_factory.mktemp('pages') / 'database.sqlite3'}"
    with (
        running_server(Settings(database_url=url, _env_file=None)) as server,
        httpx.Client(base_url=server.url) as client,
    ):
        yield client


def test_every_page_names_files_that_are_there_below_any_path(client: httpx.Client) -> None:
    for template in ADDRESSES:
        path = template.replace("{uid:path}", "1.2%2F3").replace("{id}", "1")
        page = client.get(path, headers=HTML)
        assert page.status_code == 200, path
        policy = page.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "<script>" not in page.text
        assert "<base" not in page.text
        named = re.findall(r'(?:src|href)="([^"]*static[^"]*)"', page.text)
        assert len(named) == 2
        for name in named:
            # As a browser would ask, behind a proxy that takes /dicom away.
            asked = urljoin(f"/dicom{path}", name)
            assert asked.startswith("/dicom/static/app/"), (path, name)
            assert client.get(asked.removeprefix("/dicom")).status_code == 200


def test_other_addresses_are_not_found(client: httpx.Client) -> None:
    for path in ("/nothing", "/series/1.2/foo.png", "/series/1.2.zip", "/explore/more", "/x.html"):
        assert client.get(path, headers=HTML).status_code == 404, path
    for path in ("/series", "/series/1.2", "/explore", "/quality"):
        assert client.get(path, headers={"accept": "application/json"}).status_code == 404, path
    home = client.get("/", headers={"accept": "application/json"})
    assert home.headers["location"] == "/graphql"


def test_the_first_load_is_small_and_nothing_is_loaded_from_elsewhere() -> None:
    app = documents_file().parent
    entry = json.loads((app / "manifest.json").read_text())["file"]
    for page in ("home", "table", "series", "header"):
        (lazy,) = app.glob(f"assets/{page}-*.js")
        loaded = _with_imports(app / entry) | _with_imports(lazy)
        assert sum(len(gzip.compress(each.read_bytes())) for each in loaded) < 200_000, page
    for style in app.glob("assets/*.css"):
        assert not re.search(r"url\(\s*[\"']?(https?:)?//", style.read_text())
    lock = Path(__file__).parents[2] / "frontend" / "package-lock.json"
    assert '"resolved"' not in lock.read_text()


def _with_imports(script: Path, found: frozenset[Path] = frozenset()) -> frozenset[Path]:
    """A script and all that it loads at once."""
    found |= {script}
    for name in re.findall(r'(?:from|import) ?"\./([^"]+\.js)"', script.read_text()):
        if script.parent / name not in found:
            found |= _with_imports(script.parent / name, found)
    return found


def test_the_schema_answers_every_operation_of_the_pages() -> None:
    documents = json.loads(documents_file().read_text())
    assert len(documents) > 20
    for text in documents.values():
        assert validate(schema._schema, parse(text)) == []


def test_an_object_names_its_page(tmp_path: Path) -> None:
    with served(tmp_path, make=lambda folder: {"a": make_file(folder / "a.dcm")}) as archive:
        both = "url resourcePath"
        query = (
            f"{{ patients {{ nodes {{ {both} studies {{ nodes {{ {both} }} }} }} }} "
            f"series {{ nodes {{ {both} }} }} images {{ nodes {{ {both} }} }} "
            f"importJobs {{ nodes {{ {both} }} }} headers {{ nodes {{ {both} }} }} "
            f"dataElementDefinitions(first: 1) {{ nodes {{ {both} }} }} }}"
        )
        url = archive.server.url
        answer = httpx.post(f"{url}/graphql", json={"query": query}).text
        found = re.findall(r'"url": ?"([^"]*)", ?"resourcePath": ?"([^"]*)"', answer)
        assert len(found) == 7, answer
        for address, path in found:
            assert address == url + path
            assert httpx.get(address, headers=HTML).status_code == 200
            assert httpx.get(address, headers={"accept": "*/*"}).status_code == 404


def test_addresses_below_the_path_of_a_proxy(tmp_path: Path) -> None:
    """Whether the proxy takes the path away itself or not, and by the name that it tells."""

    def make(folder: Path) -> dict[str, Path]:
        return {"a": make_file(folder / "a.dcm")}

    with served(tmp_path, make=make, root_path="/dicom") as archive:
        for below in ("", "/dicom"):
            url = f"{archive.server.url}{below}"
            query = {"query": "{ images { nodes { url fileUrl header { url resourcePath } } } }"}
            (image,) = httpx.post(f"{url}/graphql", json=query).json()["data"]["images"]["nodes"]
            assert image["header"]["resourcePath"].startswith("/dicom/headers/")
            assert httpx.get(image["header"]["url"], headers=HTML).status_code == 200
            assert image["url"] == f"{archive.server.url}/dicom/images/{archive.uid('a')}"
            assert httpx.get(archive.server.url + image["fileUrl"]).status_code == 200
            assert httpx.get(image["url"], headers=HTML).status_code == 200
