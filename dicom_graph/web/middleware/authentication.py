"""The user of each request is found before anything else looks at it.

Puts the principal into the scope. What is not public and has no good credentials ends here.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dicom_graph.access.authenticator import Authenticator, Basic, Bearer, Cookie, Proxied
from dicom_graph.access.authenticator import Credentials as Given
from dicom_graph.access.policy import is_public, need_of_route, refusal
from dicom_graph.access.principal import NOBODY, Principal
from dicom_graph.access.throttle import TooManyFailures
from dicom_graph.error_codes import ErrorCode
from dicom_graph.settings import Network
from dicom_graph.telemetry.request import claim
from dicom_graph.web.errors import ErrorResponse
from dicom_graph.web.forwarded import client_address, is_proxied

SESSION_COOKIE = "dicom_graph_session"
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_BASIC = 'Basic realm="dicom-graph", charset="UTF-8"'
_BEARER = 'Bearer realm="dicom-graph"'


class BadCredentials(ValueError):
    """An Authorization that cannot be read."""


@dataclass(frozen=True, slots=True)
class CredentialSources:
    """Where credentials are looked for."""

    proxy_user_header: str = ""
    trusted_proxies: tuple[Network, ...] = ()
    allowed_origins: frozenset[str] = frozenset()

    def credentials(self, connection: HTTPConnection) -> Given | None:
        """The credentials of a request: an Authorization, else a session, else a proxy's word.

        Raises BadCredentials for an Authorization that cannot be read, and for a user's header that
        names several: which of them the proxy wrote cannot be told.
        """
        header = connection.headers.get("authorization")
        if header is not None:
            return from_header(header, self.address(connection))
        cookie = connection.cookies.get(SESSION_COOKIE)
        if cookie:
            return Cookie(cookie)
        if self.proxy_user_header and is_proxied(connection.scope, self.trusted_proxies):
            names = set(connection.headers.getlist(self.proxy_user_header))
            if len(names) > 1:
                raise BadCredentials(f"{self.proxy_user_header} names several users")
            name = names.pop() if names else ""
            return Proxied(name) if name else None
        return None

    def address(self, connection: HTTPConnection) -> str:
        """Where a request comes from, as far as trusted proxies tell."""
        return client_address(connection.scope, self.trusted_proxies)

    def is_foreign(self, connection: HTTPConnection) -> bool:
        """Whether a browser says that another site's page makes it send this."""
        headers = connection.headers
        origin = headers.get("origin")
        if origin in self.allowed_origins:
            return False
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("same-origin", "none")
        return origin is not None and origin.partition("://")[2] != headers.get("host")


def from_header(header: str, address: str) -> Given:
    """The credentials of an Authorization header. Raises BadCredentials."""
    token = bearer(header)
    if token is not None:
        return token
    scheme, _, value = header.strip().partition(" ")
    if scheme.lower() != "basic":
        raise BadCredentials("the Authorization must be Basic or Bearer")
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadCredentials("the Basic Authorization cannot be decoded") from None
    name, colon, password = decoded.partition(":")
    if not colon:
        raise BadCredentials("the Basic Authorization has no colon")
    return Basic(name, password, address)


def bearer(header: str) -> Bearer | None:
    """The token of an Authorization header; None for another kind of header."""
    scheme, _, value = header.strip().partition(" ")
    return Bearer(value.strip()) if scheme.lower() == "bearer" else None


class AuthenticationMiddleware:
    """ASGI middleware: puts `principal` and `identify` into the scope, or refuses.

    `public`: paths that the settings open to everybody.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        sources: CredentialSources,
        public: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._sources = sources
        self._public = public

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        refused = self._refuse_foreign(connection) or await self._identify(connection)
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            await refused(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1008})

    def _refuse_foreign(self, connection: HTTPConnection) -> Response | None:
        is_safe = connection.scope.get("method") in _SAFE_METHODS
        if is_safe or not self._sources.is_foreign(connection):
            return None
        return ErrorResponse(403, ErrorCode.FORBIDDEN, "another site's page may not ask for this")

    async def _identify(self, connection: HTTPConnection) -> Response | None:
        """Fill the scope; returns the refusal, if the request ends here."""
        scope = connection.scope
        scope["principal"] = NOBODY
        if is_public(scope["path"]) or scope["path"] in self._public:
            return None
        try:
            credentials = self._sources.credentials(connection)
            claim(getattr(credentials, "name", None))
            identify = identifier(self._authenticator, credentials)
            principal = await identify()
        except BadCredentials as error:
            return ErrorResponse(
                401, ErrorCode.UNAUTHENTICATED, str(error), {"WWW-Authenticate": _BASIC}
            )
        except TooManyFailures as error:
            wait = {"Retry-After": str(error.seconds)}
            return ErrorResponse(429, ErrorCode.TOO_MANY_FAILURES, str(error), wait)
        if principal is NOBODY:
            # A browser cannot set headers on a WebSocket: its client may still say who it is.
            if scope["type"] == "websocket" and credentials is None and scope["path"] == "/graphql":
                return None
            return _ask_for_name(connection, self._hint(connection, credentials))
        scope["principal"] = principal
        scope["identify"] = identify
        reason = refusal(principal, need_of_route(scope["path"]), scope["path"])
        if reason is not None:
            return ErrorResponse(403, ErrorCode.FORBIDDEN, reason)
        return None

    def _hint(self, connection: HTTPConnection, credentials: Given | None) -> str:
        """What to do where a proxy names a user, and sends the password that it asked for too."""
        header = self._sources.proxy_user_header
        is_both = isinstance(credentials, Basic) and header in connection.headers
        if not is_both or not is_proxied(connection.scope, self._sources.trusted_proxies):
            return ""
        return (
            f"; the proxy sends {header}, but also an Authorization, which goes before it: let it "
            'send none (nginx: proxy_set_header Authorization "")'
        )


def identifier(
    authenticator: Authenticator, credentials: Given | None
) -> Callable[[], Awaitable[Principal]]:
    """What tells who has these credentials, now and again later."""

    async def identify() -> Principal:
        return await authenticator.principal(credentials) or NOBODY

    return identify


def _ask_for_name(connection: HTTPConnection, hint: str) -> Response:
    headers = connection.headers
    if connection.scope.get("method") == "GET" and "text/html" in headers.get("accept", ""):
        target = connection.url.path + (f"?{connection.url.query}" if connection.url.query else "")
        return RedirectResponse(f"/login?next={quote(target, safe='')}", status_code=303)
    # With Basic in the challenge a browser would open its own dialogue over the page.
    is_page = "sec-fetch-site" in headers
    message = f"log in: HTTP Basic, a bearer token, or /login for a browser{hint}"
    response = ErrorResponse(401, ErrorCode.UNAUTHENTICATED, message, {"WWW-Authenticate": _BEARER})
    if not is_page:
        response.headers.append("WWW-Authenticate", _BASIC)
    return response
