"""What an operation goes through before it is executed: limits, then validation."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, parse
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.context import Context
from dicom_graph.graph.limits.limits import OperationLimitExceeded, limit_exceeded
from dicom_graph.graph.limits.prepared_documents import PreparedDocument
from dicom_graph.services import Limits
from dicom_graph.store.deadline import DEADLINE

_DEFAULTS = Limits()


@lru_cache(maxsize=1)
def parsed(query: str, max_tokens: int) -> DocumentNode:
    """The document of a text, where nothing of it is executed. Raises GraphQLError,
    RecursionError.
    """
    return parse(query, max_tokens=max_tokens)


class LimitsExtension(SchemaExtension):
    """Applies the limits of the request's services, and its time.

    `MaskedSchema` has prepared the document: see `graph.limits.prepared_documents`.
    """

    @property
    def _limits(self) -> Limits:
        context = self.execution_context.context
        return context.services.limits if isinstance(context, Context) else _DEFAULTS

    @property
    def _prepared(self) -> PreparedDocument:
        context = self.execution_context
        known = context.context.prepared if isinstance(context.context, Context) else None
        if known is None:
            known = PreparedDocument(
                context.schema._schema, context.query or "", self._limits.tokens
            )
        return known

    def on_parse(self) -> Iterator[None]:
        """Take the document that was parsed before."""
        context = self.execution_context
        context.parse_options["max_tokens"] = self._limits.tokens
        if context.query:
            context.graphql_document = self._prepared.document
        yield

    def on_validate(self) -> Iterator[None]:
        """Refuse what is not valid."""
        self.execution_context.pre_execution_errors = self._prepared.errors()
        yield

    def on_execute(self) -> Iterator[None]:
        """Let no statement and no decoding of a query or mutation run beyond its time."""
        if self.execution_context.operation_type is OperationType.SUBSCRIPTION:
            yield
            return
        with in_time(self._limits):
            yield


@contextmanager
def in_time(limits: Limits) -> Iterator[None]:
    """What is done within, and what it starts, has the time of a request from now on."""
    token = DEADLINE.set(asyncio.get_running_loop().time() + limits.seconds)
    try:
        yield
    finally:
        DEADLINE.reset(token)


def refusal(
    limits: Limits, prepared: PreparedDocument, query: str, operation: object, variables: object
) -> GraphQLError | None:
    """What is too much in an operation, the first there is; None if nothing."""
    if limits.documents is not None and query not in limits.documents:
        message = "this server executes its trusted documents only"
        return OperationLimitExceeded(message, ErrorCode.UNTRUSTED_DOCUMENT)
    if not isinstance(variables, dict | None):
        return OperationLimitExceeded("`variables` must be an object", ErrorCode.BAD_INPUT)
    if (wrong := _without_operation(prepared, operation)) is not None:
        return wrong
    assert prepared.measured is not None
    name = operation if isinstance(operation, str) else None
    return limit_exceeded(limits, prepared.measured, name, variables)


def _without_operation(prepared: PreparedDocument, name: object) -> GraphQLError | None:
    """Why it cannot be told which operation of a document is meant (GraphQL specification 6.1)."""
    assert prepared.document is not None
    names = [
        node.name.value if node.name is not None else None
        for node in prepared.document.definitions
        if isinstance(node, OperationDefinitionNode)
    ]
    if not names:
        message = "the document has no operation, only fragments"
    elif name is None and len(names) > 1:
        message = f"the document has {len(names)} operations: name one of them as `operationName`"
    elif name is not None and name not in names:
        message = f'Unknown operation named "{str(name)[:100]}": the document has none of that name'
    else:
        return None
    return GraphQLError(message, extensions={"code": ErrorCode.BAD_REQUEST})
