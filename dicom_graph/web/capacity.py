"""How many requests at once, and how large."""

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS_ANSWERED = frozenset({"/healthz", "/readyz"})


class Capacity:
    """ASGI middleware: answers 503 to a request, or refuses a WebSocket, that is one too many.

    Event streams are counted with WebSockets: both stay open for long and do little.
    """

    def __init__(self, app: ASGIApp, max_requests: int, max_streams: int) -> None:
        self._app = app
        self._max = {"REQUESTS": max_requests, "STREAMS": max_streams}
        self._open = {"REQUESTS": 0, "STREAMS": 0}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in _ALWAYS_ANSWERED:
            await self._app(scope, receive, send)
            return
        kind = _kind(scope)
        if self._open[kind] >= self._max[kind]:
            await self._refuse(kind, scope, receive, send)
            return
        self._open[kind] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._open[kind] -= 1

    async def _refuse(self, kind: str, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1013})
            return
        message = (
            f"the server answers {self._open[kind]} others already, its limit "
            f"(DICOM_GRAPH_MAX_{kind}): try again"
        )
        response = _error(503, "OVERLOADED", message)
        response.headers["Retry-After"] = "1"
        await response(scope, receive, send)


class BodyLimit:
    """ASGI middleware: answers 413 to a body that is too large, as soon as that is known.

    Uploads have a limit of their own, which those who take them hold (`web.body`).
    """

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_upload(scope):
            await self._app(scope, receive, send)
            return
        length = Headers(scope=scope).get("content-length", "")
        if length.isdecimal() and int(length) > self._max:
            await self._answer(int(length))(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max:
                raise _TooLarge(received)
            return message

        try:
            await self._app(scope, counted, send)
        except _TooLarge as error:
            await self._answer(error.length)(scope, receive, send)

    def _answer(self, length: int) -> JSONResponse:
        message = (
            f"the body has {length:,} bytes or more; at most {self._max:,} are taken "
            "(DICOM_GRAPH_MAX_BODY_BYTES)"
        )
        response = _error(413, "BODY_TOO_LARGE", message)
        # What is left of the body is not read.
        response.headers["Connection"] = "close"
        return response


class _TooLarge(Exception):
    def __init__(self, length: int) -> None:
        self.length = length


def _kind(scope: Scope) -> str:
    is_stream = "text/event-stream" in Headers(scope=scope).get("accept", "")
    return "STREAMS" if scope["type"] == "websocket" or is_stream else "REQUESTS"


def _is_upload(scope: Scope) -> bool:
    if scope["path"] == "/upload":
        return True
    content_type = Headers(scope=scope).get("content-type", "")
    return scope["path"] == "/graphql" and content_type.lower().startswith("multipart/form-data")


def _error(status: int, code: str, message: str) -> JSONResponse:
    return JSONResponse({"errors": [{"message": message, "extensions": {"code": code}}]}, status)
