"""The client that sent a request, and the address it used, where trusted proxies stand between.

Read are `X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host`, over all lines of each. A
client may send them too, and a proxy appends to what it was sent: so they are read from their end,
and only as far as trusted proxies wrote them. `Forwarded` (RFC 7239) is not read: a proxy that does
not know it hands on the client's.
"""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from dicom_graph.settings import Network

Headers = Iterable[tuple[bytes, bytes]]
_WITH_PORT = re.compile(r"(?:\[([^\]]*)\]|([^:]*))(?::[0-9]{1,5})?")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_SCHEMES = {"http": "http", "ws": "http", "https": "https", "wss": "https"}


def client_address(scope: Scope, trusted: Sequence[Network]) -> str:
    """The address that a request comes from; empty where the connection has none.

    Of the hops in `X-Forwarded-For` the last that is no trusted proxy. Where a proxy names no
    address there, it is the proxy's own.
    """
    address = _peer(scope)
    hops = _values(scope["headers"], b"x-forwarded-for")
    while hops and is_trusted(address, trusted):
        hop = _address(hops.pop())
        if hop is None:
            break
        address = hop
    return address


def is_proxied(scope: Scope, trusted: Sequence[Network]) -> bool:
    """Whether a trusted proxy sent this."""
    return is_trusted(_peer(scope), trusted)


def is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    """Whether an address is one of the networks'."""
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in trusted)


class ForwardedHeadersMiddleware:
    """ASGI middleware: of what a trusted proxy sends, the scheme and the host are those that the
    proxy says the client used.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket") and is_proxied(scope, self._trusted):
            _take_scheme(scope)
            _take_host(scope)
        await self._app(scope, receive, send)


def _take_scheme(scope: Scope) -> None:
    given = _values(scope["headers"], b"x-forwarded-proto")
    scheme = _SCHEMES.get(given[-1].lower()) if given else None
    if scheme is not None:
        scope["scheme"] = scheme if scope["type"] == "http" else scheme.replace("http", "ws")


def _take_host(scope: Scope) -> None:
    given = _values(scope["headers"], b"x-forwarded-host")
    if given and _HOST.fullmatch(given[-1]):
        others = [header for header in scope["headers"] if header[0] != b"host"]
        scope["headers"] = [(b"host", given[-1].encode("ascii")), *others]


def _peer(scope: Scope) -> str:
    client = scope.get("client")
    host = str(client[0]) if client else ""
    parsed = _parsed(host)
    return host if parsed is None else str(parsed)


def _values(headers: Headers, wanted: bytes) -> list[str]:
    """The values of a list header, over all of its lines."""
    lines = [value.decode("latin-1") for name, value in headers if name == wanted]
    return [value.strip() for value in ",".join(lines).split(",")] if lines else []


def _address(text: str) -> str | None:
    """An address in the one way it is written; with or without brackets and a port."""
    parsed = _parsed(text)
    if parsed is None and (match := _WITH_PORT.fullmatch(text)) is not None:
        parsed = _parsed(match[1] or match[2] or "")
    return None if parsed is None else str(parsed)


@lru_cache(maxsize=1000)
def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    """The address; of an IPv4 one that is written as IPv6 the former. Zones are left out."""
    try:
        parsed = ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, IPv6Address):
        return parsed.ipv4_mapped or IPv6Address(int(parsed))
    return parsed
