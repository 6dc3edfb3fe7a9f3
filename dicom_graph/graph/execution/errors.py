"""Errors as clients see them: expected ones in full, unexpected ones as an id to look up."""

import json
import logging
import traceback
import uuid
from collections.abc import AsyncGenerator, Awaitable, Iterable, Iterator, Set
from contextlib import aclosing, contextmanager, nullcontext, suppress
from functools import cached_property
from inspect import isawaitable
from typing import Any

import strawberry
from graphql import ExecutionResult as GraphQLCoreResult
from graphql import GraphQLError, GraphQLSyntaxError, execute
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.exceptions import InvalidOperationTypeError
from strawberry.types import ExecutionContext, ExecutionResult
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry.utils.operation import get_operation_type

from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput, without_schema_names
from dicom_graph.graph.context import Context
from dicom_graph.graph.errors import Overloaded
from dicom_graph.graph.execution.audit import AuditLogUnavailable, audited_operation
from dicom_graph.graph.execution.executor import ExecutorWithoutRootPlans, MemoizingExecutor
from dicom_graph.graph.execution.levels import Execution
from dicom_graph.graph.execution.plans import execute_by_plan, plans_of
from dicom_graph.graph.execution.validation import LimitsExtension, in_time, refusal
from dicom_graph.graph.limits.limits import OperationLimitExceeded, TooManyErrors
from dicom_graph.graph.limits.prepared_documents import PreparedDocument, errors_of, prepare
from dicom_graph.services import Limits
from dicom_graph.store.answer_budget import BUDGET, AnswerBudget, ResponseLimitExceeded
from dicom_graph.store.sql.driver_errors import describe_error, is_interrupted
from dicom_graph.store.sql.unavailable import unavailable_message
from dicom_graph.store.storable import UnstorableText
from dicom_graph.telemetry.request import current_id

log = logging.getLogger(__name__)
_LONG = {OperationType.SUBSCRIPTION}
_MAX_MESSAGE = 1000
"""Characters of an error, which may repeat what a client sent."""


class MaskedSchema(strawberry.Schema):
    """A schema that tells clients nothing of an unexpected error but the id it was logged by."""

    async def execute(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
        operation_extensions: dict[str, Any] | None = None,
    ) -> ExecutionResult:
        """One result, so no subscription: those are refused here and go through `stream`."""
        context = context_value.fresh() if isinstance(context_value, Context) else context_value
        prepared, refused = await self._begin(query, variable_values, context, operation_name)
        try:
            async with audited_operation(context, prepared, operation_name) as watch:
                if refused is not None:
                    watch.note(refused)
                    return refused
                allowed = set(allowed_operation_types or OperationType) - _LONG
                with _budgeted(context) as budget:
                    executing: Awaitable[Any]
                    if prepared is not None and self._has_limits_alone:
                        executing = self._execute_prepared(
                            prepared, variable_values, context, root_value, operation_name, allowed
                        )
                    else:
                        executing = super().execute(
                            query, variable_values, context, root_value, operation_name, allowed,
                            operation_extensions,
                        )  # fmt: skip
                    budget.begin()
                    result: ExecutionResult = await self._limited(budget, executing, context)
                watch.note(result)
        except AuditLogUnavailable as error:
            return PreExecutionError(data=None, errors=[error])
        return result

    @cached_property
    def _has_limits_alone(self) -> bool:
        """Whether no extension has a say but that of the limits."""
        return list(self.extensions) == [LimitsExtension]

    async def _execute_prepared(
        self,
        prepared: PreparedDocument,
        variables: Any,
        context: Any,
        root_value: Any,
        name: str | None,
        allowed: Set[OperationType],
    ) -> ExecutionResult:
        """What Strawberry's own `execute` does of a valid document, without its extensions.

        Raises InvalidOperationTypeError.
        """
        assert prepared.document is not None
        kind = get_operation_type(prepared.document, name)
        if kind not in allowed:
            raise InvalidOperationTypeError(kind)
        errors = prepared.errors()
        if errors:
            return self._not_executed(errors, prepared.query, variables, context)
        try:
            with in_time(_limits_of(context)):
                found = await self._execute(prepared, variables, context, root_value, name)
        except Exception as error:
            errors = [GraphQLError(str(error), original_error=error)]
            return self._not_executed(errors, prepared.query, variables, context)
        if found.errors:
            self._process(found.errors, prepared.query, variables, context)
        return ExecutionResult(found.data, found.errors)

    async def _execute(
        self,
        prepared: PreparedDocument,
        variables: Any,
        context: Any,
        root_value: Any,
        name: str | None,
    ) -> Any:
        """Returns what graphql-core's `execute` does."""
        executor: Any = self.execution_context_class
        assert prepared.document is not None
        if executor is MemoizingExecutor and isinstance(context, Context):
            planned = await self._execute_by_plan(prepared, variables or {}, context, name)
            if isinstance(planned, GraphQLCoreResult):
                return planned
            if planned:
                executor = ExecutorWithoutRootPlans
        result = execute(
            self._schema,
            prepared.document,
            root_value,
            context,
            variables,
            name,
            executor_class=executor,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
        )
        return await result if isawaitable(result) else result

    async def _execute_by_plan(
        self,
        prepared: PreparedDocument,
        given: dict[str, Any],
        context: Context,
        name: str | None,
    ) -> GraphQLCoreResult | bool:
        """Returns the result of a plan; without one, whether a plan was tried."""
        plans = plans_of(self._schema, prepared, name)
        variables = plans.variables_of(given) if plans is not None else None
        root = plans.root(variables) if plans is not None and variables is not None else None
        budget = BUDGET.get()
        if root is None or variables is None or budget is None:
            return False

        def make_executor() -> Any:
            assert prepared.document is not None
            return MemoizingExecutor.build(
                self._schema, prepared.document, None, context, given, name,
                is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
            )  # fmt: skip

        execution = Execution(root.source, variables, context, budget, make_executor)
        try:
            data = await execute_by_plan(root, execution)
        except ResponseLimitExceeded:
            raise
        except Exception:
            return True  # graphql-core finds the error again, with its path.
        errors = execution.executor.collected_errors.errors if execution.has_executor else None
        return GraphQLCoreResult(data, errors or None)

    def _not_executed(
        self, errors: list[GraphQLError], query: str | None, variables: Any, context: Any
    ) -> PreExecutionError:
        """The result of an operation that is refused before it is executed."""
        self._process(errors, query, variables, context)
        return PreExecutionError(data=None, errors=errors)

    def _process(
        self, errors: list[GraphQLError], query: str | None, variables: Any, context: Any
    ) -> None:
        """Make errors what clients see of them."""
        self.process_errors(errors, self._create_execution_context(query, (), variables, context))

    async def stream(
        self,
        query: str | None,
        variable_values: dict[str, Any] | None = None,
        context_value: Any | None = None,
        root_value: Any | None = None,
        operation_name: str | None = None,
        operation_extensions: dict[str, Any] | None = None,
        allowed_operation_types: Iterable[OperationType] | None = None,
    ) -> Any:
        """Any operation of a WebSocket, or a subscription."""
        context = context_value
        if isinstance(context, Context):
            # A WebSocket has one for all its operations; what one loaded is stale soon.
            try:
                await context.identify_again()
            except Exception as error:
                problem = unavailable_message(error)
                if problem is None:
                    raise
                return _refuse(problem, ErrorCode.UNAVAILABLE)
            context = context.fresh()
        if not query:
            return _refuse("No GraphQL query found in the request", ErrorCode.BAD_REQUEST)
        prepared, refused = await self._begin(query, variable_values, context, operation_name)
        if refused is not None:
            return self._watched(_only(refused), context, prepared, operation_name)
        results = await super().stream(
            query,
            variable_values,
            context,
            root_value,
            operation_name,
            operation_extensions,
            allowed_operation_types,
        )
        return self._watched(results, context, prepared, operation_name)

    async def _begin(
        self, query: str | None, variables: Any, context: Any, operation: Any
    ) -> tuple[PreparedDocument | None, PreExecutionError | None]:
        """The document of an operation, and the result where it is refused."""
        if not query:
            return None, None
        limits = _limits_of(context)
        prepared: PreparedDocument | None = None
        errors: list[GraphQLError] = []
        try:
            prepared = await prepare(self._schema, query, limits)
        except OperationLimitExceeded as too_long:
            errors = [too_long]
        if prepared is not None:
            if isinstance(context, Context):
                context.prepared = prepared
            if prepared.document is None:
                errors = prepared.errors()
            elif refused := refusal(limits, prepared, query, operation, variables):
                errors = [refused]
            else:
                await errors_of(query, prepared)
        if not errors:
            return prepared, None
        return prepared, self._not_executed(errors, query, variables, context)

    async def _limited(self, budget: AnswerBudget, executing: Awaitable[Any], context: Any) -> Any:
        """The result; an error in its place where it takes too much."""
        try:
            return await budget.run(executing)
        except ResponseLimitExceeded as overrun:
            errors = [GraphQLError(str(overrun), extensions={"code": overrun.code})]
            if isinstance(overrun, TooManyErrors):
                errors += overrun.errors
                self._process(errors, None, None, context)
            return ExecutionResult(data=None, errors=errors)

    async def _watched(
        self, results: Any, context: Any, prepared: PreparedDocument | None, name: Any
    ) -> AsyncGenerator[Any, None]:
        """The same results, watched; nothing is sent that had to be written down and could not."""
        admit = context.admit if isinstance(context, Context) else nullcontext
        try:
            async with audited_operation(context, prepared, name) as watch, aclosing(results):
                with admit(watch.is_long), _budgeted(context) as budget:
                    while True:
                        if not watch.is_long:
                            budget.begin()
                        result = await self._limited(budget, anext(results, None), context)
                        if result is None:
                            return
                        watch.note(result)
                        if not watch.is_long:
                            await watch.end()
                        yield result
                        budget.release()
        except (AuditLogUnavailable, Overloaded) as error:
            yield PreExecutionError(data=None, errors=[error])

    def process_errors(
        self, errors: list[GraphQLError], execution_context: ExecutionContext | None = None
    ) -> None:
        """Mask and log. The log has the place, not the message, which may hold patient data."""
        limits = _limits_of(execution_context.context if execution_context is not None else None)
        sent = "" if limits.introspection else _sent(execution_context)
        for error in errors:
            original = error.original_error
            if len(error.message) > _MAX_MESSAGE:
                error.message = error.message[:_MAX_MESSAGE] + "…"
            if not limits.introspection:
                error.message = without_schema_names(error.message, sent)
            if isinstance(original, TimeoutError) or is_interrupted(original):
                error.message = (
                    f"the request took more than {limits.seconds:g} seconds "
                    "(DICOM_GRAPH_MAX_SECONDS)"
                )
                error.extensions = {"code": ErrorCode.TIMEOUT}
                continue
            if original is None or isinstance(original, GraphQLError | BadInput):
                error.extensions = {"code": _code_of(error)} | (error.extensions or {})
                continue
            if isinstance(original, UnstorableText):
                error.message, error.extensions = str(original), {"code": ErrorCode.BAD_INPUT}
                continue
            problem = unavailable_message(original)
            if problem is not None:
                log.warning("%s (%s)", problem, describe_error(original))
                error.message, error.extensions = problem, {"code": ErrorCode.UNAVAILABLE}
                continue
            error_id = uuid.uuid4().hex[:12]
            place = "".join(traceback.format_tb(original.__traceback__))
            log.error("internal error %s: %s\n%s", error_id, type(original).__name__, place)
            error.message = f"internal error {error_id}: the server's log has the details"
            error.extensions = {"code": ErrorCode.INTERNAL, "id": error_id}
            if (request_id := current_id()) is not None:
                error.extensions["requestId"] = request_id


def _limits_of(context: Any) -> Limits:
    return context.services.limits if isinstance(context, Context) else Limits()


async def _only(result: PreExecutionError) -> AsyncGenerator[PreExecutionError, None]:
    yield result


def _sent(context: ExecutionContext | None) -> str:
    """What the client wrote: its document and its variables."""
    if context is None:
        return ""
    return f"{context.query} {json.dumps(context.variables, default=str)}"


async def _refuse(problem: str, code: ErrorCode) -> AsyncGenerator[PreExecutionError, None]:
    """The only result of an operation that cannot begin."""
    error = GraphQLError(problem, extensions={"code": code})
    yield PreExecutionError(data=None, errors=[error])


def _code_of(error: GraphQLError) -> str:
    """For what graphql-core found: no GraphQL, no operation of this schema, or a bad value."""
    if isinstance(error, GraphQLSyntaxError):
        return ErrorCode.BAD_SYNTAX
    return ErrorCode.BAD_OPERATION if error.path is None else ErrorCode.BAD_INPUT


@contextmanager
def _budgeted(context: Any) -> Iterator[AnswerBudget]:
    """The budget of an operation that is executed within."""
    budget = context.services.new_budget() if isinstance(context, Context) else AnswerBudget()
    token = BUDGET.set(budget)
    try:
        yield budget
    finally:
        with suppress(ValueError):  # An operation may be closed by another task.
            BUDGET.reset(token)
        if isinstance(context, Context) and context.held is not None:
            context.held.add(budget)
        else:
            budget.release()
