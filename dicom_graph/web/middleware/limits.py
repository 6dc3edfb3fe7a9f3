"""How many requests at once, and how large."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_graph.access.principal import NOBODY
from dicom_graph.error_codes import ErrorCode
from dicom_graph.web.accepted_types import prefers_events
from dicom_graph.web.admission import TICKET, Admission, Kind, Ticket
from dicom_graph.web.errors import ErrorResponse
from dicom_graph.web.health import ALWAYS_ANSWERED
from dicom_graph.web.incoming_memory import IncomingMemory
from dicom_graph.web.raw_headers import header

_TRY_AGAIN_LATER = 1013
_STRANGERS_BYTES = 16_384
_PIECE = 1 << 18


class ConcurrencyLimitMiddleware:
    """ASGI middleware: answers 503 to a request, or refuses a WebSocket, that is one too many.

    Event streams are counted with WebSockets: both stay open for long and do little.
    """

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app = app
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in ALWAYS_ANSWERED:
            await self._app(scope, receive, send)
            return
        cancel = asyncio.timeout(None)
        now = asyncio.get_running_loop().time
        ticket = self._admission.enter(_kind(scope), scope, lambda: cancel.reschedule(now()))
        token = TICKET.set(ticket)
        watched = _Watched(ticket.sending(send))
        try:
            if ticket.refused is not None or _is_spare(ticket):
                await refuse(ticket, scope, receive, send)
                return
            async with cancel:
                await self._app(scope, ticket.receiving(receive), watched.send)
        except TimeoutError:
            if not cancel.expired():
                raise
            await _cut_off(ticket, watched, scope, receive, send)
        finally:
            ticket.leave()
            TICKET.reset(token)


class UserAdmissionMiddleware:
    """ASGI middleware within the authentication: whoever has shown who they are gets a user's place
    instead of a stranger's.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        ticket = TICKET.get()
        if ticket is None or "principal" not in scope or ticket.identified(scope["principal"]):
            await self._app(scope, receive, send)
        else:
            await refuse(ticket, scope, receive, send)


async def refuse(ticket: Ticket, scope: Scope, receive: Receive, send: Send) -> None:
    """Say that there is no place."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
        return
    response = ErrorResponse(503, ErrorCode.OVERLOADED, ticket.refusal())
    response.headers["Retry-After"] = "1"
    if _is_spare(ticket):
        response.headers["Connection"] = "close"
    await response(scope, receive, send)


async def _cut_off(
    ticket: Ticket, watched: "_Watched", scope: Scope, receive: Receive, send: Send
) -> None:
    """End a request or stream whose place somebody else has now."""
    if ticket.is_stuck or (watched.has_begun and scope["type"] == "http"):
        if ticket.connection is not None:
            ticket.connection.abort()
            # So the protocol knows of it before it misses the rest of the answer.
            await asyncio.sleep(0)
        return
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
        return
    message = "the request came in too slowly while others waited for its place: try again"
    response = ErrorResponse(503, ErrorCode.OVERLOADED, message)
    # What is left of the body is not read.
    response.headers.update({"Retry-After": "1", "Connection": "close"})
    await response(scope, receive, send)


class _Watched:
    """What is sent, and whether that has begun. A large body is sent in pieces, so that a place is
    held until the client has taken nearly all of it.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def send(self, message: Message) -> None:
        self.has_begun = True
        body = message.get("body", b"")
        if len(body) > _PIECE:
            pieces = memoryview(body)
            while len(pieces) > _PIECE:
                piece, pieces = pieces[:_PIECE], pieces[_PIECE:]
                await self._send({**message, "body": piece, "more_body": True})
            message = {**message, "body": pieces}
        await self._send(message)


def _is_spare(ticket: Ticket) -> bool:
    return ticket.connection is not None and ticket.connection.is_spare


class BodySizeLimitMiddleware:
    """ASGI middleware: answers 413 to a body that is too large, as soon as that is known, and 503
    where all bodies together are.

    Uploads have a limit of their own, which those who take them hold (`web.body`).
    """

    def __init__(self, app: ASGIApp, max_bytes: int, incoming: IncomingMemory) -> None:
        self._app = app
        self._max = max_bytes
        self._incoming = incoming

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_upload(scope):
            await self._app(scope, receive, send)
            return
        most = self._max
        if scope.get("principal") is NOBODY:
            most = min(most, _STRANGERS_BYTES)
        length = header(scope, b"content-length") or ""
        if length.isdecimal() and int(length) > most:
            await self._too_large(int(length), most)(scope, receive, send)
            return
        share = self._incoming.share()
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _TooLarge(self._too_large(received, most))
            if not share.hold(received):
                raise _TooLarge(_too_much())
            return message

        try:
            await self._app(scope, counted, send)
        except _TooLarge as error:
            await error.answer(scope, receive, send)
        finally:
            share.hold(0)

    def _too_large(self, length: int, most: int) -> ErrorResponse:
        reason = (
            "DICOM_GRAPH_MAX_BODY_BYTES"
            if most == self._max
            else "of clients that are not logged in"
        )
        message = f"the body has {length:,} bytes or more; at most {most:,} are taken ({reason})"
        response = ErrorResponse(413, ErrorCode.BODY_TOO_LARGE, message)
        # What is left of the body is not read.
        response.headers["Connection"] = "close"
        return response


def _too_much() -> ErrorResponse:
    message = (
        "others are sending too much at the same time (DICOM_GRAPH_MAX_INCOMING_MEGABYTES): "
        "try again"
    )
    response = ErrorResponse(503, ErrorCode.OVERLOADED, message)
    response.headers.update({"Retry-After": "1", "Connection": "close"})
    return response


class _TooLarge(Exception):
    def __init__(self, answer: ErrorResponse) -> None:
        self.answer = answer


def _kind(scope: Scope) -> Kind:
    is_stream = scope["type"] == "websocket" or prefers_events(header(scope, b"accept") or "")
    return Kind.STREAMS if is_stream else Kind.REQUESTS


def _is_upload(scope: Scope) -> bool:
    if scope["path"] == "/upload":
        return True
    content_type = header(scope, b"content-type") or ""
    return scope["path"] == "/graphql" and content_type.lower().startswith("multipart/form-data")
