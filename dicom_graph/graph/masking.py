"""Errors as clients see them: expected ones in full, unexpected ones as an id to look up."""

import json
import logging
import traceback
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import strawberry
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType

from dicom_graph.graph.auditing import Unavailable, watched
from dicom_graph.graph.context import Context
from dicom_graph.graph.limits import Limits
from dicom_graph.graph.schema_names import without_schema_names
from dicom_graph.store.dialect import describe_error, is_interrupted
from dicom_graph.store.storable import UnstorableText
from dicom_graph.store.trouble import trouble_of
from dicom_graph.telemetry.request import current_id

log = logging.getLogger(__name__)


class MaskedSchema(strawberry.Schema):
    """A schema that tells clients nothing of an unexpected error but the id it was logged by."""

    async def execute(self, query: str | None, *args: Any, **options: Any) -> ExecutionResult:
        """One result, so no subscription: those are refused here and go through `stream`."""
        allowed = set(options.get("allowed_operation_types") or OperationType)
        options["allowed_operation_types"] = allowed - {OperationType.SUBSCRIPTION}
        context = options.get("context_value")
        if isinstance(context, Context):
            options["context_value"] = context = context.fresh()
        try:
            async with watched(context, query, options.get("operation_name")) as watch:
                result = await super().execute(query, *args, **options)
                watch.note(result)
        except Unavailable as error:
            return PreExecutionError(data=None, errors=[error])
        return result

    async def stream(self, query: str | None, *args: Any, **options: Any) -> Any:
        """Any operation of a WebSocket, or a subscription."""
        context = options.get("context_value")
        if isinstance(context, Context):
            # A WebSocket has one for all its operations; what one loaded is stale soon.
            try:
                await context.identify_again()
            except Exception as error:
                trouble = trouble_of(error)
                if trouble is None:
                    raise
                return _refuse(trouble)
            options["context_value"] = context = context.fresh()
        results = await super().stream(query, *args, **options)
        return _watched(results, context, query, options.get("operation_name"))

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Mask and log. The log has the place, not the message, which may hold patient data."""
        context = execution_context.context if execution_context is not None else None
        limits = context.service.limits if isinstance(context, Context) else Limits()
        sent = "" if limits.introspection else _sent(execution_context)
        for error in errors:
            original = error.original_error
            if not limits.introspection:
                error.message = without_schema_names(error.message, sent)
            if isinstance(original, TimeoutError) or is_interrupted(original):
                error.message = (
                    f"the request took more than {limits.seconds:g} seconds "
                    "(DICOM_GRAPH_MAX_SECONDS)"
                )
                error.extensions = {"code": "TIMEOUT"}
                continue
            if original is None or isinstance(original, GraphQLError):
                error.extensions = {"code": _code_of(error)} | (error.extensions or {})
                continue
            if isinstance(original, UnstorableText):
                error.message, error.extensions = str(original), {"code": "BAD_INPUT"}
                continue
            trouble = trouble_of(original)
            if trouble is not None:
                log.warning("%s (%s)", trouble, describe_error(original))
                error.message, error.extensions = trouble, {"code": "UNAVAILABLE"}
                continue
            error_id = uuid.uuid4().hex[:12]
            place = "".join(traceback.format_tb(original.__traceback__))
            log.error("internal error %s: %s\n%s", error_id, type(original).__name__, place)
            error.message = f"internal error {error_id}: the server's log has the details"
            error.extensions = {"code": "INTERNAL", "id": error_id}
            if (request_id := current_id()) is not None:
                error.extensions["requestId"] = request_id


def _sent(context: ExecutionContext | None) -> str:
    """What the client wrote: its document and its variables."""
    if context is None:
        return ""
    return f"{context.query} {json.dumps(context.variables, default=str)}"


async def _refuse(trouble: str) -> AsyncGenerator[PreExecutionError, None]:
    """The only result of an operation that cannot begin."""
    error = GraphQLError(trouble, extensions={"code": "UNAVAILABLE"})
    yield PreExecutionError(data=None, errors=[error])


def _code_of(error: GraphQLError) -> str:
    """For what graphql-core found: no GraphQL, no operation of this schema, or a bad value."""
    if isinstance(error, GraphQLSyntaxError):
        return "BAD_SYNTAX"
    return "BAD_OPERATION" if error.path is None else "BAD_INPUT"


async def _watched(results: Any, context: Any, query: str | None, name: str | None) -> Any:
    """The same results, watched; nothing is sent that had to be written down and could not."""
    try:
        async with watched(context, query, name) as watch, aclosing(results):
            async for result in results:
                watch.note(result)
                if not watch.is_long:
                    await watch.end()
                yield result
    except Unavailable as error:
        yield PreExecutionError(data=None, errors=[error])
