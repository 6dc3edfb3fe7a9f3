"""Answers of GraphQL that are large: written in turns of the event loop, sent as they are taken.

What an answer takes of the memory for all answers is given back when it is sent, so its client has
to take it in some time.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.http.exceptions import WebSocketDisconnected

from dicom_graph.json_text import dumps
from dicom_graph.store.answer_budget import PendingAnswers, too_large
from dicom_graph.web.encoding import is_large, written

log = logging.getLogger(__name__)
_HELD = "dicom_graph.held"
_SENT_AT_ONCE = 65_536
_SECONDS, _BYTES_PER_SECOND = 60.0, 65_536


def held(scope: Scope) -> PendingAnswers:
    """The budgets of a request's operations, until its answer is sent."""
    found: PendingAnswers = scope.setdefault(_HELD, PendingAnswers())
    return found


class SubResponse(Response):
    """A response to be, and the budgets of what its answer is made by. It is never sent itself."""

    def __init__(self, pending: PendingAnswers) -> None:
        self.status_code = 0
        self.background = None
        self.raw_headers = []
        self.pending = pending


class EncodedJson(dict[str, Any]):
    """In the place of an answer, its JSON."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text


class LargeAnswer(Response):
    """A response whose body is the JSON of `content`, of up to `max_bytes`."""

    def __init__(
        self, content: Any, like: Response, max_bytes: int, pending: PendingAnswers
    ) -> None:
        """`like`: a response without the content, with the status and headers."""
        super().__init__(status_code=like.status_code)
        self.raw_headers = [*like.raw_headers]
        self._content: Any = content
        self._max_bytes = max_bytes
        self._pending = pending

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = await self._written()
        size = sum(map(len, parts))
        self._pending.keep(size)
        headers = MutableHeaders(raw=self.raw_headers)
        headers["Content-Length"] = str(size)
        start = {"type": "http.response.start", "status": self.status_code, "headers": headers.raw}
        await send(start)
        try:
            async with asyncio.timeout(_SECONDS + size / _BYTES_PER_SECOND):
                await _send_all(parts, send)
        except TimeoutError:
            # What is missing tells the client that the answer is not whole.
            log.warning("an answer was cut off: its client took it too slowly")

    async def _written(self) -> list[bytes]:
        parts: list[bytes] = []
        size = 0
        content, self._content = self._content, None
        async with aclosing(written(content)) as encoded:
            async for part in encoded:
                size += len(part)
                if size > self._max_bytes:
                    return [_refused(self._max_bytes)]
                parts.append(part)
        return parts


def _refused(max_bytes: int) -> bytes:
    overrun = too_large(max_bytes)
    error = {"message": str(overrun), "extensions": {"code": overrun.code}}
    return dumps({"data": None, "errors": [error]})


async def _send_all(parts: list[bytes], send: Send) -> None:
    waiting = bytearray()
    for part in parts:
        waiting += part
        while len(waiting) >= _SENT_AT_ONCE:
            piece = bytes(waiting[:_SENT_AT_ONCE])
            del waiting[:_SENT_AT_ONCE]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": bytes(waiting)})


async def text_of(content: object) -> str:
    """The JSON of a value, where it is sent in one piece."""
    if not is_large(content):
        return dumps(content).decode()
    async with aclosing(written(content)) as encoded:
        return b"".join([part async for part in encoded]).decode()


class WebSocketAdapter(ASGIWebSocketAdapter):
    """Writes large messages in turns of the event loop."""

    async def send_json(self, message: Mapping[str, object]) -> None:
        """Send a message; it is sent when the client has taken it."""
        try:
            await self.ws.send_text(await text_of(message))
        except WebSocketDisconnect as error:
            raise WebSocketDisconnected from error
