"""How slowly a client may send the body of a request."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_graph.error_codes import ErrorCode
from dicom_graph.web.errors import ErrorResponse

_BYTES_PER_SECOND = 1024


class BodyTimeoutMiddleware:
    """ASGI middleware: answers 408 where the server has waited too long for a body.

    It waits for `seconds`, and a second more for each kilobyte that has come. What the server needs
    itself to take it in does not count.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(receive, self._seconds)
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, body.receive, watched)
        except _TooSlow:
            if has_begun:
                raise
            await _answer()(scope, receive, send)


class _TooSlow(Exception):
    pass


class _Body:
    def __init__(self, receive: Receive, seconds: float) -> None:
        self._receive = receive
        self._left = seconds
        self._is_whole = False

    async def receive(self) -> Message:
        if self._is_whole:
            return await self._receive()
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(max(0.0, self._left)):
                message = await self._receive()
        except TimeoutError:
            raise _TooSlow from None
        self._left += len(message.get("body", b"")) / _BYTES_PER_SECOND - (clock() - began)
        self._is_whole = not message.get("more_body", False)
        return message


def _answer() -> ErrorResponse:
    message = "the body of the request came too slowly (DICOM_GRAPH_REQUEST_SECONDS)"
    return ErrorResponse(408, ErrorCode.TOO_SLOW, message, {"Connection": "close"})
