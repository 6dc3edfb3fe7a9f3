"""What a document goes through before it is executed: limits, then validation, each once.

A document that was seen before is neither parsed, measured nor validated again; only the cost,
which depends on the variables, is computed for each request.
"""

import asyncio
from collections.abc import Iterator
from functools import lru_cache

from graphql import DocumentNode, GraphQLError, GraphQLSchema, parse, validate
from graphql.validation import MaxIntrospectionDepthRule, specified_rules
from strawberry.extensions import SchemaExtension
from strawberry.types.graphql import OperationType

from dicom_graph.graph.context import Context
from dicom_graph.graph.limits import Limits, TooMuch
from dicom_graph.graph.measure import Measured, measure
from dicom_graph.store.deadline import DEADLINE

_KEPT = 1000
_DEFAULTS = Limits()
_RULES = tuple(dict.fromkeys([*specified_rules, MaxIntrospectionDepthRule]))


@lru_cache(_KEPT)
def parsed(query: str, max_tokens: int) -> DocumentNode:
    """The document of a text. Raises GraphQLError, RecursionError."""
    return parse(query, max_tokens=max_tokens)


@lru_cache(_KEPT)
def _measured(schema: GraphQLSchema, document: DocumentNode) -> Measured:
    return measure(schema, document)


@lru_cache(_KEPT)
def _invalid(schema: GraphQLSchema, document: DocumentNode) -> list[GraphQLError]:
    return validate(schema, document, _RULES)


class Checked(SchemaExtension):
    """Applies the limits of the request's service, and its time."""

    @property
    def _limits(self) -> Limits:
        context = self.execution_context.context
        return context.service.limits if isinstance(context, Context) else _DEFAULTS

    def on_parse(self) -> Iterator[None]:
        """Parse, unless that was done before."""
        context = self.execution_context
        context.parse_options["max_tokens"] = self._limits.tokens
        if context.query:
            try:
                context.graphql_document = parsed(context.query, self._limits.tokens)
            except (GraphQLError, RecursionError):
                # What is raised here ends a WebSocket; the schema tries again, and says why.
                context.graphql_document = None
        yield

    def on_validate(self) -> Iterator[None]:
        """Refuse what is too much, then what is not valid."""
        try:
            self.execution_context.pre_execution_errors = self._errors()
        except RecursionError:
            nested = TooMuch("the operation is nested too deeply", "MAX_DEPTH")
            self.execution_context.pre_execution_errors = [nested]
        yield

    def _errors(self) -> list[GraphQLError]:
        context, limits = self.execution_context, self._limits
        if limits.documents is not None and context.query not in limits.documents:
            message = "this server executes its trusted documents only"
            return [TooMuch(message, "UNTRUSTED_DOCUMENT")]
        schema, document = context.schema._schema, context.graphql_document
        assert document is not None
        measured = _measured(schema, document)
        refused = limits.refusal(measured, context.operation_name, context.variables)
        if refused is not None:
            return [refused]
        # New ones, as those of this request may be changed before they are sent.
        return [GraphQLError(error.message, error.nodes) for error in _invalid(schema, document)]

    def on_execute(self) -> Iterator[None]:
        """Let no statement and no decoding of a query or mutation run beyond its time."""
        if self.execution_context.operation_type is OperationType.SUBSCRIPTION:
            yield
            return
        token = DEADLINE.set(asyncio.get_running_loop().time() + self._limits.seconds)
        try:
            yield
        finally:
            DEADLINE.reset(token)
