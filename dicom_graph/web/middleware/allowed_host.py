"""The names under which the server may be addressed: an error that says which setting has them."""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from dicom_graph.error_codes import ErrorCode
from dicom_graph.web.errors import ErrorResponse
from dicom_graph.web.raw_headers import header

_LONGEST, _REMEMBERED = 100, 100
_ALLOWED = "dicom_graph.is_allowed"


class AllowedHostMiddleware:
    """ASGI middleware: lets through what Starlette's does; else it names the setting."""

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str]) -> None:
        self._app = app
        self._allowed: set[str] = set()
        self._checked = TrustedHostMiddleware(_allow, allowed_hosts, www_redirect=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or await self._is_allowed(scope, receive):
            await self._app(scope, receive, send)
            return
        host = Headers(scope=scope).get("host", "")[:_LONGEST]
        message = f"Invalid host header {host!r}: DICOM_GRAPH_ALLOWED_HOSTS does not name it"
        await ErrorResponse(400, ErrorCode.BAD_REQUEST, message)(scope, receive, send)

    async def _is_allowed(self, scope: Scope, receive: Receive) -> bool:
        host = header(scope, b"host") or ""
        if host in self._allowed:
            return True
        probe = {**scope, _ALLOWED: False}

        async def nowhere(message: object) -> None:
            return None

        await self._checked(probe, receive, nowhere)
        is_allowed = bool(probe[_ALLOWED])
        if is_allowed and len(self._allowed) < _REMEMBERED:
            self._allowed.add(host)
        return is_allowed


async def _allow(scope: Scope, receive: Receive, send: Send) -> None:
    scope[_ALLOWED] = True
