"""The body of every error outside GraphQL: `{"errors": [{"message", "code", "requestId"}]}`.

Under `/graphql` the same error has the form of GraphQL's own, with its code in `extensions`.
"""

import json
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dicom_graph.error_codes import ErrorCode
from dicom_graph.telemetry.request import current_id

_BY_STATUS = {
    400: ErrorCode.BAD_REQUEST, 401: ErrorCode.UNAUTHENTICATED, 403: ErrorCode.FORBIDDEN,
    404: ErrorCode.NOT_FOUND, 405: ErrorCode.METHOD_NOT_ALLOWED, 413: ErrorCode.BODY_TOO_LARGE,
    415: ErrorCode.BAD_REQUEST, 503: ErrorCode.UNAVAILABLE,
}  # fmt: skip


class ErrorResponse(Response):
    """An error as JSON, in the form that belongs to the address that was asked."""

    media_type = "application/json"

    def __init__(
        self,
        status: int,
        code: ErrorCode,
        message: str,
        headers: Mapping[str, str] | None = None,
        **details: Any,
    ) -> None:
        """`details`: what else a program may want to know, such as the id to look up in the log."""
        self._message = message
        self._facts = {"code": str(code), **details}
        super().__init__(status_code=status, headers=headers)

    def render(self, content: Any) -> bytes:
        """The body, as it is outside GraphQL."""
        return self._body(is_graphql=False)

    def _body(self, *, is_graphql: bool) -> bytes:
        facts = dict(self._facts)
        if (request_id := current_id()) is not None:
            facts["requestId"] = request_id
        error = {"message": self._message, **({"extensions": facts} if is_graphql else facts)}
        return json.dumps({"errors": [error]}, ensure_ascii=False).encode(errors="replace")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends it."""
        self.body = self._body(is_graphql=scope.get("path") == "/graphql")
        self.headers["Content-Length"] = str(len(self.body))
        self.headers.setdefault("Cache-Control", "no-store")
        await super().__call__(scope, receive, send)


def code_of_status(status: int) -> ErrorCode:
    """The code of an error that has none of its own."""
    return _BY_STATUS.get(status, ErrorCode.BAD_REQUEST if status < 500 else ErrorCode.INTERNAL)


async def answer_http_error(request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: an unknown address, or a method that it does not take."""
    status = getattr(error, "status_code", 500)
    detail = {
        404: "there is nothing at this address",
        405: "the address does not take this method",
    }
    message = detail.get(status) or str(getattr(error, "detail", "")) or "the request failed"
    return ErrorResponse(status, code_of_status(status), message, getattr(error, "headers", None))
