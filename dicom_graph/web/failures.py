"""An unexpected error outside GraphQL: the client gets an id, the log its place."""

import logging
import traceback
import uuid

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_graph.telemetry.request import current_id

log = logging.getLogger(__name__)


class Failures:
    """ASGI middleware: answers 500 where nothing was sent yet. The message, which may hold patient
    data, goes nowhere.
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
        except Exception as error:
            error_id = uuid.uuid4().hex[:12]
            place = "".join(traceback.format_tb(error.__traceback__))
            log.error("internal error %s: %s\n%s", error_id, type(error).__name__, place)
            if has_begun or scope["type"] != "http":
                raise ConnectionAbortedError(f"internal error {error_id}") from None
            await _answer(error_id)(scope, receive, send)


def _answer(error_id: str) -> JSONResponse:
    message = f"internal error {error_id}: the server's log has the details"
    extensions = {"code": "INTERNAL", "id": error_id, "requestId": current_id()}
    error = {"message": message, "extensions": extensions}
    return JSONResponse({"errors": [error]}, status_code=500)
