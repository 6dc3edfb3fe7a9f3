"""What is known afterwards of each operation: its line in the audit log, metrics, a span."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    OperationDefinitionNode,
    SelectionSetNode,
)

from dicom_graph.access.audit import AuditLog, AuditUnavailable
from dicom_graph.access.principal import Principal
from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.context import Context
from dicom_graph.graph.limits.prepared_documents import PreparedDocument
from dicom_graph.store.audit import Action, AuditLine, Outcome
from dicom_graph.store.audit_subjects import AUDIT_SUBJECTS, AuditSubjects
from dicom_graph.telemetry import metrics, tracing
from dicom_graph.telemetry.request import CURRENT

_REFUSALS = {
    ErrorCode.UNAUTHENTICATED,
    ErrorCode.FORBIDDEN,
    ErrorCode.UNTRUSTED_DOCUMENT,
    ErrorCode.INTROSPECTION_OFF,
}
_CODE = re.compile("[A-Z_]{1,40}")
_MAX_FIELDS = 100
_MAX_NAME = 200


class AuditLogUnavailable(GraphQLError):
    """The audit log is required, and cannot be written."""

    def __init__(self) -> None:
        super().__init__(str(AuditUnavailable()), extensions={"code": ErrorCode.AUDIT_UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation of a document: its type, its name, the fields of the root that it asks for."""

    action: Action
    name: str | None
    root_fields: tuple[str, ...]
    digest: str


def described(prepared: PreparedDocument, name: str | None) -> Operation | None:
    """The operation that is asked for; None where the document cannot be read."""
    known: Operation | None = prepared.operations.get(name)
    if known is not None:
        return known
    document = prepared.document
    operations = [
        node
        for node in (document.definitions if document is not None else ())
        if isinstance(node, OperationDefinitionNode)
        and name in (None, node.name.value if node.name else None)
    ]
    if document is None or len(operations) != 1:
        return None
    (node,) = operations
    fields = dict.fromkeys(_fields(node.selection_set, _fragments(document)))
    made = Operation(
        Action[node.operation.name],
        node.name.value[:_MAX_NAME] if node.name else None,
        tuple(field[:_MAX_NAME] for field in islice(fields, _MAX_FIELDS)),
        prepared.digest,
    )
    prepared.operations[name] = made
    return made


def _fragments(document: DocumentNode) -> dict[str, FragmentDefinitionNode]:
    nodes = document.definitions
    return {node.name.value: node for node in nodes if isinstance(node, FragmentDefinitionNode)}


def _fields(
    selection: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode]
) -> Iterable[str]:
    """The names of a selection's fields. A fragment is looked into once."""
    waiting, entered = [selection], set()
    while waiting:
        for node in waiting.pop(0).selections:
            if isinstance(node, FieldNode):
                yield node.name.value
            elif isinstance(node, FragmentSpreadNode):
                name = node.name.value
                if name in fragments and name not in entered:
                    entered.add(name)
                    waiting.append(fragments[name].selection_set)
            else:
                waiting.append(node.selection_set)  # type: ignore[attr-defined]


@dataclass(slots=True)
class AuditedOperation:
    """An operation that is watched, and what is known of its end."""

    operation: Operation | None
    audit: AuditLog | None
    principal: Principal | None
    span: tracing.Span
    subjects: AuditSubjects = field(default_factory=AuditSubjects)
    began: float = field(default_factory=time.perf_counter)
    outcome: Outcome = Outcome.SUCCEEDED
    codes: dict[str, None] = field(default_factory=dict)
    has_ended: bool = False

    def note(self, result: Any) -> None:
        """A result, of which an operation may have many."""
        errors = getattr(result, "errors", None)
        if errors:
            codes = [str((error.extensions or {}).get("code", "INVALID")) for error in errors]
            for code in codes:
                metrics.ERRORS.labels(code).inc()
            self.codes.update(dict.fromkeys(codes))
            is_refused = set(codes) <= _REFUSALS
            self.outcome = Outcome.REFUSED if is_refused else Outcome.FAILED
        elif self.operation is not None and self.operation.action is Action.MUTATION:
            self._note_payloads(getattr(result, "data", None))

    def _note_payloads(self, data: Any) -> None:
        """An expected failure of a mutation is data."""
        for payload in data.values() if isinstance(data, dict) else ():
            errors = payload.get("errors") if isinstance(payload, dict) else None
            if not errors or not isinstance(errors, list):
                continue
            self.outcome = Outcome.FAILED
            codes = [error.get("code") for error in errors if isinstance(error, dict)]
            # Under an alias it may be any text.
            self.codes.update((code, None) for code in codes if code and _CODE.fullmatch(code))

    async def begin(self) -> None:
        """Before an answer that may take long. Raises AuditLogUnavailable where the log is
        required.
        """
        if self.audit is None:
            return
        try:
            self.audit.check()
            if self.audit.is_required and self.is_long:
                await self._commit(Outcome.BEGUN)
        except AuditUnavailable:
            self.has_ended = True
            raise AuditLogUnavailable from None

    async def end(self) -> None:
        """When there is an answer, the first time only. Raises AuditLogUnavailable where the log is
        required and cannot be written.
        """
        if self.has_ended:
            return
        self.has_ended = True
        seconds = time.perf_counter() - self.began
        action = self.operation.action if self.operation is not None else None
        kind = action.lower() if action is not None else "none"
        metrics.OPERATIONS.labels(kind, self.outcome.lower()).inc()
        if not self.is_long:
            metrics.OPERATION_SECONDS.labels(kind).observe(seconds)
        if self.outcome is Outcome.FAILED:
            self.span.fail()
        try:
            await self._commit(self.outcome, seconds)
        except AuditUnavailable:
            raise AuditLogUnavailable from None

    @property
    def is_long(self) -> bool:
        """Whether it has many results, over time."""
        return self.operation is not None and self.operation.action is Action.SUBSCRIPTION

    async def _commit(self, outcome: Outcome, seconds: float | None = None) -> None:
        if self.audit is None or self.operation is None or self.principal is None:
            return
        request = CURRENT.get()
        operation, principal = self.operation, self.principal
        line = AuditLine(
            operation.action,
            outcome,
            principal.name,
            request.address if request else "",
            request.method if request else "",
            principal.user_id,
            principal.token_id,
            route="/graphql",
            request_id=request.id if request else None,
            operation_name=operation.name,
            root_fields=list(operation.root_fields),
            document_digest=operation.digest,
            seconds=seconds,
            detail=", ".join(self.codes) or None,
            subjects=self.subjects.copy() if outcome is Outcome.BEGUN else self.subjects,
        )
        if outcome is Outcome.CANCELLED:
            self.audit.add(line)
        else:
            await self.audit.commit(line)


@asynccontextmanager
async def audited_operation(
    context: Any, prepared: PreparedDocument | None, name: object
) -> AsyncIterator[AuditedOperation]:
    """Watch an operation that is executed within. Raises AuditLogUnavailable.

    `name`: what the client calls the operation, which may be no text.
    """
    known = context if isinstance(context, Context) else None
    operation = None
    if prepared is not None and isinstance(name, str | None):
        operation = described(prepared, name)
    audit = known.services.audit if known is not None else None
    if audit is None or known is None or not audit.wants(known.principal):
        audit = None
    with tracing.span("GraphQL") as span:
        if operation is not None:
            kind = operation.action.lower()
            span.tell(
                f"{kind} {operation.name}" if operation.name else kind,
                graphql__operation__type=kind,
                graphql__operation__name=operation.name,
                dicom_graph__root_fields=list(operation.root_fields),
            )
        watch = AuditedOperation(operation, audit, known.principal if known else None, span)
        token = AUDIT_SUBJECTS.set(watch.subjects if audit is not None else None)
        try:
            await watch.begin()
            yield watch
        except (asyncio.CancelledError, GeneratorExit):
            watch.outcome = Outcome.CANCELLED
            raise
        except Exception:
            watch.outcome = Outcome.FAILED
            raise
        finally:
            _reset(token)
            await watch.end()


def _reset(token: Any) -> None:
    try:
        AUDIT_SUBJECTS.reset(token)
    except ValueError:
        # The operation is closed by another task than the one that began it.
        return
