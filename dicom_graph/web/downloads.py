"""What downloads have in common: what a request has at hand, names, caching, errors."""

import asyncio
import hmac
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar
from urllib.parse import quote

from anyio import CancelScope
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from dicom_graph.access.principal import Principal
from dicom_graph.dicom.errors import RenderingError
from dicom_graph.dicom.files.stored_file import StoredFile
from dicom_graph.dicom.pixels.voi import Window
from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput, without_schema_names
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.service import Imaging
from dicom_graph.services import Services
from dicom_graph.store.read import Store
from dicom_graph.store.storable import UnstorableText
from dicom_graph.web.errors import ErrorResponse, answer_http_error

T = TypeVar("T")
try:
    _VERSION = version("dicom-graph")
except PackageNotFoundError:
    _VERSION = ""
_STATUS = {
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.OUT_OF_RANGE: 404,
    ErrorCode.FILE_GONE: 410,
    ErrorCode.BAD_INPUT: 400,
    ErrorCode.TOO_SLOW: 503,
    ErrorCode.NO_SPACE: 507,
    ErrorCode.NOT_INSTALLED: 501,
    ErrorCode.WITHHELD: 403,
}
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|]')
_MAX_NAME = 120
_HEADERS = {"Cache-Control": "private, no-cache", "X-Content-Type-Options": "nosniff"}


def store_of(request: Request) -> Store:
    """The store, as the user who sent the request may see it."""
    services: Services = request.app.state.services
    principal: Principal = request.scope["principal"]
    return services.store_for(principal)


def imaging_of(request: Request) -> Imaging:
    """What decodes."""
    services: Services = request.app.state.services
    return services.imaging_for(request.scope["principal"])


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


async def while_connected(request: Request, work: Coroutine[Any, Any, T]) -> T:
    """What the work returns; it is cancelled if the client vanishes. Raises ClientGone."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return await task
        raise ClientGone
    finally:
        for each in (task, gone):
            each.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def answer_imaging_error(request: Request, error: Exception) -> Response:
    """The status and the body of an expected failure."""
    assert isinstance(error, ImagingError)
    return ErrorResponse(_STATUS.get(error.problem, 422), error.problem, error.message)


async def answer_bad_input(request: Request, error: Exception) -> Response:
    """400, for a filter or a column that cannot be right."""
    assert isinstance(error, BadInput)
    services: Services = request.app.state.services
    message = error.message
    if not services.limits.introspection:
        message = without_schema_names(message, str(request.query_params.multi_items()))
    return ErrorResponse(400, error.code, message)


async def answer_unstorable(request: Request, error: Exception) -> Response:
    """400, for a text that no database holds."""
    return ErrorResponse(400, ErrorCode.BAD_INPUT, str(error))


async def answer_client_gone(request: Request, error: Exception) -> Response:
    """Nobody reads it; the status is for the log."""
    return Response(status_code=499)


FAILURES: Mapping[Any, Any] = {
    ImagingError: answer_imaging_error,
    BadInput: answer_bad_input,
    UnstorableText: answer_unstorable,
    ClientGone: answer_client_gone,
    HTTPException: answer_http_error,
}
"""The application's handlers of what downloads raise."""


class Parameters:
    """The query of an address. Raises ImagingError for what it does not know or cannot read."""

    def __init__(self, request: Request, *known: str) -> None:
        self._given = request.query_params
        unknown = sorted(set(self._given) - set(known))
        if unknown:
            listed = ", ".join(known) or "none"
            raise _bad(f"unknown parameter {unknown[0][:40]!r}; there are: {listed}")

    def text(self, name: str) -> str | None:
        """The text; None where it is not given."""
        return self._given.get(name)

    def number(self, name: str) -> int | None:
        """The whole number."""
        given = self._given.get(name)
        return None if given is None else whole_number(given, name)

    def flag(self, name: str) -> bool:
        """`true` or `false`, which it is by default."""
        given = self._given.get(name, "false")
        if given not in ("true", "false"):
            raise _bad(f"`{name}` is true or false")
        return given == "true"

    def window(self) -> Window | None:
        """A window: its centre and width, separated by a comma."""
        given = self._given.get("window")
        if given is None:
            return None
        try:
            center, width = map(float, given.split(","))
            return Window(center, width)
        except ValueError:
            raise _bad("`window` is its centre and width: window=40,400") from None
        except RenderingError as error:
            raise _bad(str(error)) from None


def whole_number(text: str, name: str) -> int:
    """The number that a text says in up to nine digits. Raises ImagingError."""
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise _bad(f"`{name}` is a whole number, not {text[:40]!r}")
    return int(text)


def _bad(message: str) -> ImagingError:
    return ImagingError(message, ErrorCode.BAD_INPUT)


async def etag_of(request: Request, *parts: object) -> str:
    """An entity tag of all that decides an answer.

    Under a key of the database, so that nobody can tell from it, or find out by guessing, what an
    answer to others was made of: paths, digests, true UIDs.
    """
    store = store_of(request)
    said = repr((_VERSION, store.is_deidentified, parts)).encode("utf-8", "surrogatepass")
    return f'"{hmac.digest(await store.entity_tag_key(), said, "sha256").hex()[:32]}"'


def is_known(request: Request, etag: str) -> bool:
    """Whether the client says that it has this answer (If-None-Match, RFC 9110 13.1.2)."""
    given = request.headers.get("if-none-match")
    if given is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in given.split(",")}
    return "*" in tags or etag in tags


def not_modified(etag: str) -> Response:
    """304."""
    return Response(status_code=304, headers={"ETag": etag, **_HEADERS})


def headers_of(etag: str | None, name: str, ending: str, *, inline: bool = False) -> dict[str, str]:
    """The headers of an answer that is a file of this name and ending."""
    kind = "inline" if inline else "attachment"
    named = {"Content-Disposition": f"{kind}; {_file_name(name, ending)}", **_HEADERS}
    return named if etag is None else named | {"ETag": etag}


def _file_name(name: str, ending: str) -> str:
    """The name, harmless on any system: in ASCII, and where that is not all, by RFC 5987."""
    clean = _UNSAFE.sub("_", name)[:_MAX_NAME].strip(" .") or "unnamed"
    plain = clean.encode("ascii", "replace").decode().replace("?", "_")
    if plain == clean:
        return f'filename="{plain}{ending}"'
    encoded = quote((clean + ending).encode("utf-8", "replace"), safe="")
    return f"filename=\"{plain}{ending}\"; filename*=UTF-8''{encoded}"


class OriginalFile(FileResponse):
    """A file that is open, as it is, or parts of it by Range; the answer closes it.

    Where it is changed while it is sent, the answer ends in the middle, without a byte of the new
    content.
    """

    def __init__(self, opened: StoredFile, headers: dict[str, str], media_type: str) -> None:
        status = os.fstat(opened.fileno())
        status = os.stat_result((*status[:6], opened.size, *status[7:10]))
        # Without a path: what else might open one would not find any.
        super().__init__("", headers=headers, media_type=media_type, stat_result=status)
        self._opened = opened

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        extensions = dict(scope.get("extensions") or {})
        extensions.pop("http.response.pathsend", None)
        try:
            await super().__call__({**scope, "extensions": extensions}, receive, send)
        finally:
            with CancelScope(shield=True):
                await asyncio.to_thread(self._opened.close)

    @asynccontextmanager
    async def _open_file(self) -> AsyncIterator[Any]:
        yield _InThread(self._opened)


class _InThread:
    """What Starlette asks of a file, off the event loop."""

    def __init__(self, opened: StoredFile) -> None:
        self._opened = opened

    async def read(self, size: int) -> bytes:
        return await asyncio.to_thread(self._opened.read, size)

    async def seek(self, position: int) -> None:
        await asyncio.to_thread(self._opened.seek, position)


class TemporaryFile(FileResponse):
    """A file that is deleted once it is sent, or cannot be. It has no parts: none is kept."""

    def __init__(self, path: str, headers: dict[str, str], media_type: str) -> None:
        super().__init__(path, headers=headers, media_type=media_type, stat_result=os.stat(path))
        del self.headers["last-modified"], self.headers["accept-ranges"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kept = [header for header in scope["headers"] if header[0] != b"range"]
        try:
            await super().__call__({**scope, "headers": kept}, receive, send)
        finally:
            with suppress(OSError):
                os.unlink(self.path)


class Stream(StreamingResponse):
    """What a generator yields; it is closed at the end, also where the client vanished before."""

    def __init__(
        self,
        chunks: AsyncGenerator[bytes, None] | AsyncGenerator[str, None],
        headers: dict[str, str],
        media_type: str,
    ) -> None:
        super().__init__(chunks, headers=headers, media_type=media_type)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                await Response(headers=self.headers)(scope, receive, send)
            else:
                await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await self._chunks.aclose()
