"""Inside another ASGI application: mounted at a path of it, it does all it does at its own root."""

import re
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from pydicom import dcmread
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from dicom_graph.client import Client
from dicom_graph.importing.foreground import run_import
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobRequest
from dicom_graph.store.migrate import upgrade
from dicom_graph.web.app import create_app
from tests.support.make import make_file
from tests.support.people import PASSWORD, add_person

pytestmark = pytest.mark.parametrize("database_kind", ["sqlite"])


def host(inner: Starlette) -> Starlette:
    """An application of somebody else, as docs/python.md says."""

    async def hello(request: Request) -> PlainTextResponse:
        return PlainTextResponse("hello")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    return Starlette(routes=[Route("/hello", hello), Mount("/lab/dicom", inner)], lifespan=lifespan)


@contextmanager
def serving(app: ASGIApp) -> Iterator[str]:
    """The address of a server of uvicorn's own, as another application has it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                thread.join(0.02)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.mark.parametrize("has_users", [False, True])
def test_mounted_in_another_application(database_url: str, tmp_path: Path, has_users: bool) -> None:
    path = make_file(tmp_path / "1.dcm")
    database = Database(database_url)
    upgrade(database)
    run_import(database, JobRequest((str(path),), Mode.FULL))
    headers = add_person(database, "Jo", "ADMIN").bearer if has_users else {}
    token = headers["Authorization"].removeprefix("Bearer ") if has_users else None
    settings = Settings(database_url=database_url, import_roots=[tmp_path], _env_file=None)
    with serving(host(create_app(settings))) as url:
        assert httpx.get(f"{url}/hello").text == "hello"
        root = f"{url}/lab/dicom"
        assert httpx.get(f"{root}/healthz").status_code == 200
        assert httpx.get(f"{url}/healthz").status_code == 404
        ask = {"query": "{ images { nodes { uid fileUrl headerJsonUrl } } }"}
        answer = httpx.post(f"{root}/graphql", json=ask, headers=headers).json()
        (image,) = answer["data"]["images"]["nodes"]
        assert httpx.get(f"{url}{image['fileUrl']}", headers=headers).content == path.read_bytes()
        with Client(root, token) as client:
            header = client.header(image["uid"])
            assert header["00100020"]["Value"] == [dcmread(path).PatientID]
        page = httpx.get(f"{root}/graphql", headers={"accept": "text/html"} | headers)
        addresses = re.findall(r'(?:src|href)="([^":]+)"', page.text)
        assert len(addresses) > 3
        for address in addresses:
            assert httpx.get(page.url.join(address)).status_code == 200, address
        assert 'data-endpoint="graphql"' in page.text
        with connect(
            f"ws{root.removeprefix('http')}/graphql", additional_headers=headers,
            subprotocols=[Subprotocol("graphql-transport-ws")],
        ) as socket:  # fmt: skip
            socket.send('{"type": "connection_init"}')
            assert "connection_ack" in str(socket.recv())
        if has_users:
            _log_in(url, "/lab/dicom")
    database.close_writer()


def test_a_login_below_a_path_that_a_proxy_takes_away(database_url: str) -> None:
    """The server is told nothing of the path; the proxy puts it before redirects, as docs say."""
    database = Database(database_url)
    upgrade(database)
    add_person(database, "Jo", "ADMIN")
    database.close_writer()
    inner = create_app(Settings(database_url=database_url, _env_file=None))

    async def proxy(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await inner(scope, receive, send)
            return

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=message["headers"])
                if (target := headers.get("location", "")).startswith("/"):
                    headers["location"] = f"/dicom{target}"
            await send(message)

        path = scope["path"].removeprefix("/dicom")
        assert path != scope["path"]
        inside = dict(scope) | {"path": path, "raw_path": path.encode()}
        await inner(inside, receive, send_on)

    with serving(proxy) as url:
        _log_in(url, "/dicom")


def _log_in(url: str, below: str) -> None:
    """A browser that asks for the page is led to the form, and back."""
    accept = {"accept": "text/html"}
    with httpx.Client(base_url=url, headers=accept, follow_redirects=True) as client:
        form = client.get(f"{below}/graphql")
        assert form.url.path == f"{below}/login"
        fields = dict(re.findall(r'name="(form|next)" value="([^"]*)"', form.text))
        action = re.findall(r'action="([^"]+)"', form.text)[0]
        back: Any = client.post(
            form.url.join(action), data=fields | {"name": "Jo", "password": PASSWORD}
        )
        assert (back.url.path, back.status_code) == (f"{below}/graphql", 200)
        assert [cookie.name for cookie in client.cookies.jar] == ["dicom_graph_session"]
        assert below.startswith(next(iter(client.cookies.jar)).path.rstrip("/"))
