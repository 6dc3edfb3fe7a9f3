"""An unexpected error outside GraphQL: the client gets an id, the log its place.

A database that cannot be used is no such error: the client is told so, and to come again.
"""

import asyncio
import logging
import traceback
import uuid

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketDisconnect
from uvicorn.protocols.utils import ClientDisconnected

from dicom_graph.error_codes import ErrorCode
from dicom_graph.store.sql.driver_errors import describe_error
from dicom_graph.store.sql.unavailable import unavailable_message
from dicom_graph.web.errors import ErrorResponse

log = logging.getLogger(__name__)
_TRY_AGAIN_LATER = 1013


class UnexpectedErrorMiddleware:
    """ASGI middleware: answers 500, or 503, where nothing was sent yet.

    The message of the error, which may hold patient data, goes nowhere.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def watched(message: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except asyncio.CancelledError:
            # So uvicorn ends what still runs when the time for that is over.
            if scope["type"] != "http":
                raise
            if not has_begun:
                await _unavailable("the server is being stopped")(scope, receive, send)
        except (ClientDisconnect, ClientDisconnected, WebSocketDisconnect):
            return
        except Exception as error:
            problem = unavailable_message(error)
            if problem is not None and scope["type"] == "websocket":
                log.warning("%s (%s)", problem, describe_error(error))
                await send({"type": "websocket.close", "code": _TRY_AGAIN_LATER})
                return
            if problem is not None and scope["type"] == "http" and not has_begun:
                log.warning("%s (%s)", problem, describe_error(error))
                await _unavailable(problem)(scope, receive, send)
                return
            error_id = uuid.uuid4().hex[:12]
            place = "".join(traceback.format_tb(error.__traceback__))
            log.error("internal error %s: %s\n%s", error_id, type(error).__name__, place)
            if has_begun or scope["type"] != "http":
                raise ConnectionAbortedError(f"internal error {error_id}") from None
            await _answer(error_id)(scope, receive, send)


def _unavailable(message: str) -> ErrorResponse:
    return ErrorResponse(503, ErrorCode.UNAVAILABLE, message, {"Retry-After": "5"})


def _answer(error_id: str) -> ErrorResponse:
    message = f"internal error {error_id}: the server's log has the details"
    return ErrorResponse(500, ErrorCode.INTERNAL, message, id=error_id)
