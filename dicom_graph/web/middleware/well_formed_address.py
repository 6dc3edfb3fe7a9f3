"""Addresses that are no text: they are refused before anything looks at them."""

from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Receive, Scope, Send

from dicom_graph.error_codes import ErrorCode
from dicom_graph.web.errors import ErrorResponse


class WellFormedAddressMiddleware:
    """ASGI middleware: answers 400 to a path or query that is not UTF-8, or a query with NUL.

    A path with NUL is UTF-8: nothing is found there.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or _is_text(scope):
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await _answer()(scope, receive, send)


def _is_text(scope: Scope) -> bool:
    raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
    try:
        unquote_to_bytes(raw_path).decode()
        return "\x00" not in unquote_to_bytes(scope.get("query_string", b"")).decode()
    except UnicodeDecodeError:
        return False


def _answer() -> ErrorResponse:
    message = "the address is no text: it must be UTF-8, percent-encoded, without NUL in its query"
    return ErrorResponse(400, ErrorCode.BAD_INPUT, message)
