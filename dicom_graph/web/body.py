"""Bodies of requests: how large they may be, and from which pages a form may come."""

from collections.abc import Mapping

from cross_web import HTTPException
from starlette.types import Message, Receive

_FORM_OVERHEAD = 16 << 20
_PREFLIGHT_HEADERS = ("graphql-require-preflight", "apollo-require-preflight", "x-requested-with")
PREFLIGHT_NEEDED = (
    "a form needs the header GraphQL-Require-Preflight (any value): it shows that no other site's "
    "page sent it"
)


def is_preflighted(headers: Mapping[str, str]) -> bool:
    """Whether a request carries a header that a browser sends elsewhere only with permission.

    A plain form can be sent by any web page to any address that its visitor reaches (CSRF); with
    such a header the browser asks first, and this server gives no permission.
    """
    given = {name.lower() for name in headers}
    return any(name in given for name in _PREFLIGHT_HEADERS)


def refuse_length(headers: Mapping[str, str], max_bytes: int) -> None:
    """Raises HTTPException 413 where a form says of itself that it has more than is taken."""
    length = headers.get("content-length", "")
    if length.isdecimal() and int(length) > max_bytes + _FORM_OVERHEAD:
        raise _too_large(max_bytes)


def bounded(receive: Receive, max_bytes: int) -> Receive:
    """The same messages, but an error 413 once their bodies hold more than a form of so much."""
    left = max_bytes + _FORM_OVERHEAD

    async def receive_bounded() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise _too_large(max_bytes)
        return message

    return receive_bounded


def _too_large(max_bytes: int) -> HTTPException:
    return HTTPException(413, f"the upload has more than {max_bytes >> 20} MB")
