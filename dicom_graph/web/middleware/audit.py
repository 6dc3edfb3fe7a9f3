"""Requests in the audit log: downloads, uploads, logins, and whatever was refused.

Operations of GraphQL have lines of their own (`graph.execution.audit`); of their requests only
those are here that were refused before.
"""

import asyncio
import time
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dicom_graph.access.audit import AuditLog, AuditUnavailable
from dicom_graph.access.principal import NOBODY, Principal
from dicom_graph.error_codes import ErrorCode
from dicom_graph.store.audit import Action, AuditLine, Outcome
from dicom_graph.store.audit_subjects import AUDIT_SUBJECTS, AuditSubjects
from dicom_graph.telemetry.request import CURRENT
from dicom_graph.web.errors import ErrorResponse
from dicom_graph.web.middleware.observability import route_of
from dicom_graph.web.pages import is_page

_REFUSED = (401, 403, 429)
_ACTIONS = {
    ("POST", "/upload"): Action.UPLOAD,
    ("POST", "/login"): Action.LOGIN,
    ("POST", "/logout"): Action.LOGOUT,
}
_DOWNLOADS = ("/elements", "/images", "/series", "/studies", "/patients")
_MAX_REFUSALS, _WINDOW_SECONDS = 100, 60.0


class AuditMiddleware:
    """ASGI middleware, around all that may refuse."""

    def __init__(self, app: ASGIApp, audit: AuditLog) -> None:
        self._app = app
        self._audit = audit
        self._strangers = _Window()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._follow_websocket(scope, receive, send)
        elif scope["type"] == "http":
            await self._follow(_Answer(scope, send, self._audit), receive)
        else:
            await self._app(scope, receive, send)

    async def _follow(self, answer: "_Answer", receive: Receive) -> None:
        is_watched = answer.action is not None and not self._audit.is_off
        subjects = AUDIT_SUBJECTS.set(answer.subjects if is_watched else None)
        try:
            if answer.action is not None:
                self._audit.check()
            await self._app(answer.scope, receive, answer.send)
        except AuditUnavailable as error:
            await _unavailable(error)(answer.scope, receive, answer.pass_on)
            return
        except (asyncio.CancelledError, OSError):
            answer.is_broken = True
            raise
        finally:
            AUDIT_SUBJECTS.reset(subjects)
            self._end(answer)

    def _end(self, answer: "_Answer") -> None:
        if answer.action is None and answer.status not in _REFUSED:
            return
        if answer.principal is NOBODY and answer.status in _REFUSED:
            self._add_stranger(answer.line(answer.outcome))
        elif self._audit.wants(answer.principal):
            self._audit.add(answer.line(answer.outcome))

    def _add_stranger(self, line: AuditLine) -> None:
        """What is refused to nobody in particular may be very much."""
        if not self._audit.wants(NOBODY):
            return
        suppressed = self._strangers.count()
        if suppressed is None:
            return
        if suppressed:
            line.detail = f"{line.detail or ''}; {suppressed} more were refused before".lstrip("; ")
        self._audit.add(line)

    async def _follow_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(scope, send, self._audit)
        try:
            await self._app(scope, receive, answer.send)
        finally:
            current = CURRENT.get()
            if answer.status == 403 or (current is not None and current.is_refused):
                answer.status = 403
                self._end(answer)


class _Answer:
    """The answer to a request, as it is sent."""

    def __init__(self, scope: Scope, send: Send, audit: AuditLog) -> None:
        self.scope = scope
        self.action = _action_of(scope)
        self.subjects = AuditSubjects()
        self.status = 0
        self.is_broken = False
        self._is_whole = False
        self._send = send
        self._audit = audit
        self._began = time.perf_counter()

    @property
    def principal(self) -> Principal:
        """The user who asks, as far as is known."""
        principal: Principal = self.scope.get("principal", NOBODY)
        return principal

    async def send(self, message: Message) -> None:
        """Raises AuditUnavailable, before anything is sent."""
        if message["type"] == "http.response.start":
            await self._begin(message["status"])
        elif message["type"] == "websocket.accept":
            self.status = 101
        elif message["type"] == "websocket.close" and not self.status:
            self.status = 403
        await self.pass_on(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            self._is_whole = True

    async def _begin(self, status: int) -> None:
        is_wanted = self._audit.is_required and self.action is not None and status < 400
        if is_wanted and self._audit.wants(self.principal):
            line = self.line(Outcome.BEGUN)
            line.status, line.subjects = status, self.subjects.copy()
            await self._audit.commit(line)
        self.status = status

    async def pass_on(self, message: Message) -> None:
        """Send as it is."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    @property
    def outcome(self) -> Outcome:
        """How it ended."""
        if self.status in _REFUSED:
            return Outcome.REFUSED
        if self.status >= 400 and self.status != 499:
            return Outcome.FAILED
        is_cut = self.is_broken or not self._is_whole or self.status == 499
        return Outcome.CANCELLED if is_cut else Outcome.SUCCEEDED

    def line(self, outcome: Outcome) -> AuditLine:
        """The line of the log."""
        current, principal = CURRENT.get(), self.principal
        claimed = current.claimed if current is not None and principal is NOBODY else None
        return AuditLine(
            self.action or Action.ACCESS,
            outcome,
            principal.name,
            current.address if current else "",
            current.method if current else "",
            principal.user_id,
            principal.token_id,
            route=route_of(self.scope),
            status=self.status,
            request_id=current.id if current else None,
            seconds=time.perf_counter() - self._began,
            detail=f"as {claimed}" if claimed is not None else None,
            subjects=self.subjects,
        )


@dataclass(slots=True)
class _Window:
    """Lets so many through in each window of time."""

    began: float = float("-inf")
    n: int = 0
    suppressed: int = 0

    def count(self) -> int | None:
        """None for one too many; else how many were too many before, and not told of yet."""
        now = time.monotonic()
        if now - self.began > _WINDOW_SECONDS:
            self.began, self.n = now, 0
        self.n += 1
        if self.n > _MAX_REFUSALS:
            self.suppressed += 1
            return None
        told, self.suppressed = self.suppressed, 0
        return told


def _action_of(scope: Scope) -> Action | None:
    if scope["type"] != "http":
        return None
    path = scope["path"]
    first = "/" + path.strip("/").partition("/")[0].partition(".")[0]
    if scope["method"] in ("GET", "HEAD") and first in _DOWNLOADS:
        return None if is_page(Request(scope)) else Action.DOWNLOAD
    return _ACTIONS.get((scope["method"], path))


def _unavailable(error: AuditUnavailable) -> ErrorResponse:
    return ErrorResponse(503, ErrorCode.AUDIT_UNAVAILABLE, str(error))
