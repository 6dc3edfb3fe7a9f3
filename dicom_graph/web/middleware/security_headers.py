"""Headers that every response has."""

from collections.abc import Collection

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_graph.web.raw_headers import header

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    # Patient data must not lie in a cache; what may says so itself.
    "Cache-Control": "no-store",
}
_RAW = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
_STATIC = "public, max-age=3600"


class SecurityHeadersMiddleware:
    """ASGI middleware: adds the headers that a response does not have itself.

    Pages of `allowed_origins` may show what is answered to them (Fetch, Cross-Origin-Resource-
    Policy); no cache gives that to others.
    """

    def __init__(self, app: ASGIApp, allowed_origins: Collection[str] = ()) -> None:
        self._app = app
        self._allowed_origins = frozenset(allowed_origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_allowed = scope["type"] == "http" and header(scope, b"origin") in self._allowed_origins

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if scope["path"].startswith("/static/") and message["status"] in (200, 304):
                    headers.setdefault("Cache-Control", _STATIC)
                if self._allowed_origins:
                    headers.add_vary_header("Origin")
                if is_allowed:
                    headers.setdefault("Cross-Origin-Resource-Policy", "cross-origin")
                given = {name for name, _ in headers.raw}
                headers.raw.extend(header for header in _RAW if header[0] not in given)
            await send(message)

        await self._app(scope, receive, send_with_headers)
