"""What is told of every request: its id, a line in the log, figures and a span."""

import logging
import time

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_graph.telemetry import metrics, tracing
from dicom_graph.telemetry.request import CURRENT, CurrentRequest, request_id
from dicom_graph.web.middleware.authentication import CredentialSources

log = logging.getLogger("dicom_graph.access")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_HEADER = "X-Request-ID"


class ObservabilityMiddleware:
    """ASGI middleware, the outermost. The id is taken from `X-Request-ID`, where that is
    well-formed, and answered there. The log names the route, never the path, which has UIDs in it.
    """

    def __init__(self, app: ASGIApp, sources: CredentialSources) -> None:
        self._app = app
        self._sources = sources

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        is_websocket = scope["type"] == "websocket"
        method = "WS" if is_websocket else scope["method"]
        current = CurrentRequest(
            request_id(connection.headers.get(_HEADER)),
            method if method in _METHODS or is_websocket else "OTHER",
            self._sources.address(connection),
        )
        token = CURRENT.set(current)
        answer = _Answer(send, current)
        present = metrics.WEBSOCKETS if is_websocket else metrics.IN_PROGRESS
        present.inc()
        try:
            with tracing.span(method, connection.headers, is_server=True) as span:
                try:
                    await self._app(scope, receive, answer.send)
                finally:
                    self._tell(scope, current, answer, span)
        finally:
            present.dec()
            CURRENT.reset(token)

    def _tell(
        self, scope: Scope, current: CurrentRequest, answer: "_Answer", span: tracing.Span
    ) -> None:
        route, status = route_of(scope), answer.status
        seconds = time.perf_counter() - answer.began
        principal = scope.get("principal")
        name = current.principal or (principal.name if principal is not None else "nobody")
        span.tell(
            f"{current.method} {route}",
            http__request__method=current.method,
            http__route=route,
            http__response__status_code=status,
            dicom_graph__request_id=current.id,
        )
        if status >= 500:
            span.fail()
        if current.method != "WS":
            metrics.REQUESTS.labels(current.method, route, status).inc()
            metrics.REQUEST_SECONDS.labels(route).observe(seconds)
        if not log.isEnabledFor(logging.INFO):
            return
        fields = {
            "method": current.method, "route": route, "status": status,
            "milliseconds": round(seconds * 1000, 1), "principal": name,
            "address": current.address,
        }  # fmt: skip
        log.info(
            "%s %s %s %.1f ms %s", current.method, route, status, seconds * 1000, name,
            extra={"fields": fields},
        )  # fmt: skip


class _Answer:
    """What is sent. `status` is 0 where nothing was; of a WebSocket 101, or 403 if refused."""

    def __init__(self, send: Send, current: CurrentRequest) -> None:
        self._send = send
        self._current = current
        self.status = 0
        self.began = time.perf_counter()

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.accept"):
            self.status = message.get("status", 101)
            MutableHeaders(scope=message)[_HEADER] = self._current.id
        elif kind == "websocket.close" and not self.status:
            self.status = 403
        await self._send(message)


def route_of(scope: Scope) -> str:
    """The template of the path of a request, also of one that was refused; `none` for no route."""
    route = scope.get("route")
    if route is None:
        known = getattr(scope.get("app"), "routes", ())
        found = (each for each in known if each.matches(scope)[0] is not Match.NONE)
        route = next(found, None)
    return getattr(route, "path", "none")
