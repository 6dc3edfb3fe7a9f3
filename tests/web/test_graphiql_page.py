import asyncio
import json
import re
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import strawberry
import uvicorn
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from strawberry.asgi import GraphQL
from strawberry.http.base import BaseRequestProtocol

from dicom_graph.web.graphiql import STATIC_DIR, graphiql_page

pytestmark = pytest.mark.slow

DEFAULT_QUERY = '# "Demo" & <script>\n{\n  patient { name studies { date } }\n}\n'
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src data:; connect-src 'self'"
)
WAIT_S = 30


class References(HTMLParser):
    """Collects what a page refers to, and the data- attributes of the page's root."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.settings: dict[str, str | None] = {}
        self.inline: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.urls += [url for name in ("src", "href") if (url := values.get(name)) is not None]
        if values.get("id") == "graphiql":
            self.settings = values
        if tag == "style" or (tag == "script" and "src" not in values) or "style" in values:
            self.inline.append(tag)


def test_every_referenced_file_is_ours() -> None:
    page = References(graphiql_page(endpoint="/graphql", static_url="/static/"))
    files = [url for url in page.urls if not url.startswith("data:")]
    assert len(files) == 8
    for url in files:
        assert url.startswith("/static/graphiql/")
        assert (STATIC_DIR / url.removeprefix("/static/")).is_file()
    assert not page.inline


def test_no_remote_address() -> None:
    folder = STATIC_DIR / "graphiql"
    sources = [graphiql_page(endpoint="/graphql", static_url="/static")]
    sources += [(folder / name).read_text() for name in ("start.js", "start.css")]
    for source in sources:
        assert not re.search(r"(https?:)?//(?!localhost\b)\w+\.", source)
    for style in folder.glob("*.css"):
        targets = re.findall(r"url\(\s*[\"']?(\w+:)?", style.read_text())
        assert set(targets) <= {"data:"}
        assert "@import" not in style.read_text()
    for path in folder.glob("*.*s"):
        assert "sourceMappingURL=" not in path.read_text()


def test_every_file_has_a_licence() -> None:
    folder = STATIC_DIR / "graphiql"
    licences = (folder / "LICENSES.txt").read_text()
    for path in folder.glob("*.js"):
        assert path.name in licences


def test_each_part_of_the_pages_has_the_text_of_its_licence() -> None:
    text = (STATIC_DIR / "app" / "LICENSES.md").read_text()
    parts = dict(re.findall(r"^## (\S+) .*\n((?:(?!## ).*\n?)*)", text, re.MULTILINE))
    assert {"@niivue/niivue", "react-dom", "uplot", "@urql/core", "graphql"} <= set(parts)
    assert [name for name, part in parts.items() if len(part) < 400] == []
    assert "Copyright (c) 2021, Niivue" in parts["@niivue/niivue"]


@pytest.mark.parametrize("text", [DEFAULT_QUERY, "\"'><script>alert(1)</script>{}&amp;"])
def test_values_are_escaped(text: str) -> None:
    page = References(graphiql_page(endpoint=text, static_url="/static", default_query=text))
    assert page.settings["data-endpoint"] == text
    assert page.settings["data-default-query"] == text
    assert not page.inline
    assert len(page.urls) == 9


@strawberry.type
class Study:
    date: str


@strawberry.type
class Patient:
    name: str
    studies: list[Study]


@strawberry.type
class Query:
    @strawberry.field(description="The only patient.")  # type: ignore[untyped-decorator]
    def patient(self, name: str = "Doe^Jane") -> Patient:
        return Patient(name=name, studies=[Study(date="2024-05-17"), Study(date="2024-06-01")])


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def indexed(self, files: int) -> AsyncIterator[int]:
        for number in range(files):
            yield number
            await asyncio.sleep(0)


class Server:
    """The page and a small schema, remembering what clients asked for."""

    def __init__(self, default_query: str | None) -> None:
        self.page = graphiql_page(
            endpoint="/graphql", static_url="/static", default_query=default_query
        )
        self.subprotocols: list[str | None] = []
        self.missing: list[str] = []
        self.url = ""

    def app(self) -> Starlette:
        server = self

        class View(GraphQL[None, None]):
            def should_render_graphql_ide(self, request: BaseRequestProtocol) -> bool:
                accept = request.headers.get("accept", "")
                return request.method == "GET" and "text/html" in accept

            async def render_graphql_ide(self, request: Request) -> Response:
                return HTMLResponse(server.page, headers={"Content-Security-Policy": POLICY})

            async def pick_websocket_subprotocol(self, request: Any) -> str | None:
                chosen = await super().pick_websocket_subprotocol(request)
                server.subprotocols.append(chosen)
                return chosen

        async def not_found(request: Request, error: Exception) -> Response:
            server.missing.append(request.url.path)
            return Response(status_code=404)

        view = View(strawberry.Schema(Query, subscription=Subscription))
        return Starlette(
            routes=[
                Route("/graphql", view),
                WebSocketRoute("/graphql", view),
                Mount("/static", StaticFiles(directory=STATIC_DIR)),
            ],
            exception_handlers={404: not_found},
        )


@pytest.fixture
def serve() -> Iterator[Callable[[str | None], Server]]:
    """Starts a server with the given default query; all stop after the test."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(default_query: str | None = None) -> Server:
        server = Server(default_query)
        listener = socket.create_server(("127.0.0.1", 0))
        server.url = f"http://localhost:{listener.getsockname()[1]}/graphql"
        process = uvicorn.Server(uvicorn.Config(server.app(), log_level="warning"))
        thread = threading.Thread(target=process.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        running.append((process, thread))
        return server

    yield start
    for process, thread in running:
        process.should_exit = True
        thread.join(WAIT_S)


class Page:
    """GraphiQL as a user sees it."""

    def __init__(self, browser: Chrome, url: str, *, keep: bool = False) -> None:
        self.browser = browser
        self.wait = WebDriverWait(browser, WAIT_S)
        # Empties the logs of earlier pages.
        self._log("performance")
        self._log("browser")
        if not keep:
            browser.switch_to.new_window("tab")
        browser.get(url)
        self.wait.until(lambda _: self.query() is not None)

    def _script(self, body: str) -> Any:
        return self.browser.execute_script(body)

    def query(self) -> str | None:
        """The text of the query editor, None before it is there."""
        editor = "document.querySelector('.graphiql-query-editor .CodeMirror')"
        text: str | None = self._script(f"return {editor}?.CodeMirror.getValue() ?? null")
        return text

    def type_query(self, text: str) -> None:
        """Replace the query, and wait until GraphiQL has parsed it (it does so a little later)."""
        editor = "document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror"
        self._script(f"{editor}.setValue({json.dumps(text)})")
        parsed = f"return {editor}.documentAST?.loc.source.body"
        self.wait.until(lambda _: self._script(parsed) == text)

    def tabs(self) -> int:
        return max(1, len(self.browser.find_elements(By.CSS_SELECTOR, ".graphiql-tab")))

    def await_stored(self, query: str) -> None:
        """Wait until GraphiQL has saved its tabs (half a second after an edit)."""
        stored = """return [localStorage, sessionStorage].flatMap(Object.entries).some(
            ([name, value]) => name.endsWith(":tabState") && value.includes(arguments[0]))"""
        text = json.dumps(query)
        self.wait.until(lambda driver: driver.execute_script(stored, text))

    def run(self) -> None:
        self.browser.find_element(By.CSS_SELECTOR, ".graphiql-execute-button").click()

    def run_by_keys(self) -> None:
        editor = self.browser.find_element(By.CSS_SELECTOR, ".graphiql-query-editor textarea")
        editor.send_keys(Keys.CONTROL, Keys.ENTER)

    def answer(self) -> Any:
        pane = "document.querySelector('.result-window .CodeMirror')"
        text = self._script(f"return {pane}?.CodeMirror.getValue() ?? ''")
        try:
            return json.loads(text)
        except ValueError:
            return text

    def await_answer(self, expected: Any) -> None:
        self.wait.until(lambda _: self.answer() == expected, f"last answer: {self.answer()}")

    def open_plugin(self, label: str, expected: str) -> None:
        """Open a plugin of the side bar and wait until it shows the expected text."""
        self.browser.find_element(By.CSS_SELECTOR, f'[aria-label="{label}"]').click()
        shown = "return document.querySelector('.graphiql-plugin')?.innerText ?? ''"
        self.wait.until(lambda _: expected in self._script(shown))

    def requested(self) -> list[tuple[str, str]]:
        """Method and address of all that was asked for since the page was opened."""
        found = []
        for entry in self._log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                request = event["params"]["request"]
                found.append((request["method"], request["url"]))
            elif event["method"] == "Network.webSocketCreated":
                found.append(("WEBSOCKET", event["params"]["url"]))
        return found

    def errors(self) -> list[str]:
        return [e["message"] for e in self._log("browser") if e["level"] == "SEVERE"]

    def _log(self, kind: str) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.browser.get_log(kind)  # type: ignore[no-untyped-call]
        return entries


ServeDemo = Callable[[str | None], Server]
PATIENT = {
    "data": {
        "patient": {
            "name": "Doe^Jane",
            "studies": [{"date": "2024-05-17"}, {"date": "2024-06-01"}],
        }
    }
}


def test_the_first_visit_shows_an_example_and_who_is_logged_in(
    browser: Chrome, serve: ServeDemo
) -> None:
    server = serve(None)
    server.page = graphiql_page(
        endpoint="/graphql", static_url="/static", example=DEFAULT_QUERY, viewer="Jo <b>, viewer"
    )
    page = Page(browser, server.url)
    assert page.query() == DEFAULT_QUERY
    assert browser.find_element(By.CSS_SELECTOR, ".viewer").text == "Jo <b>, viewer"
    page.run()
    page.await_answer(PATIENT)
    page.type_query("{ patient { name } }")
    page.await_stored("{ patient { name } }")
    assert Page(browser, server.url).query() == "{ patient { name } }"


def test_query_and_subscription_stay_on_this_machine(browser: Chrome, serve: ServeDemo) -> None:
    server = serve(DEFAULT_QUERY)
    page = Page(browser, server.url)
    assert browser.title == "dicom-graph"
    assert page.query() == DEFAULT_QUERY
    page.run()
    page.await_answer(PATIENT)
    page.type_query("subscription { indexed(files: 3) }")
    page.run_by_keys()
    page.await_answer({"data": {"indexed": 2}})
    assert server.subprotocols == ["graphql-transport-ws"]
    assert server.missing == []
    assert page.errors() == []
    requested = page.requested()
    # The schema and the query.
    assert requested.count(("POST", server.url)) == 2
    assert requested.count(("GET", server.url)) == 1
    assert requested.count(("WEBSOCKET", server.url.replace("http", "ws"))) == 1
    addresses = [urlsplit(url) for _, url in requested]
    internal = {"data", "chrome"}
    assert {url.hostname for url in addresses if url.scheme not in internal} == {"localhost"}


def test_docs_explorer_and_history(browser: Chrome, serve: ServeDemo) -> None:
    page = Page(browser, serve(DEFAULT_QUERY).url)
    page.run()
    page.await_answer(PATIENT)
    page.open_plugin("Show Documentation Explorer", "Root Types")
    page.open_plugin("Show History", "patient")
    page.open_plugin("Show GraphiQL Explorer", "patient")
    assert page.errors() == []


def test_default_query_on_each_visit(browser: Chrome, serve: ServeDemo) -> None:
    server = serve(DEFAULT_QUERY)
    first = Page(browser, server.url)
    first.type_query("{ patient { name } }")
    first.run()
    first.await_answer({"data": {"patient": {"name": "Doe^Jane"}}})
    first.await_stored("{ patient { name } }")
    assert Page(browser, server.url).query() == DEFAULT_QUERY


@pytest.mark.parametrize("default_query", [None, DEFAULT_QUERY])
def test_reload_keeps_edits(browser: Chrome, serve: ServeDemo, default_query: str | None) -> None:
    server = serve(default_query)
    edited = "{ patient { name } }"
    page = Page(browser, server.url)
    page.type_query(edited)
    page.await_stored(edited)
    again = Page(browser, server.url, keep=True)
    assert again.query() == edited
    assert again.tabs() == 1


def test_query_of_the_address_wins(browser: Chrome, serve: ServeDemo) -> None:
    server = serve(DEFAULT_QUERY)
    shared = "query Shared($name: String!) { patient(name: $name) { name } }"
    variables = quote('{"name": "Roe^Richard"}')
    page = Page(browser, f"{server.url}?query={quote(shared)}&variables={variables}")
    assert page.query() == shared
    page.run()
    page.await_answer({"data": {"patient": {"name": "Roe^Richard"}}})
