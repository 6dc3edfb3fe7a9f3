"""Documents before they are executed: parsed, measured and validated.

A text is looked at once where it is short. Long ones are not kept, since a parsed document takes
up to 400 bytes for each character. What takes more than a few milliseconds is done in one thread,
so that the event loop gets a turn every 5 ms (`sys.getswitchinterval`), whatever is sent.
"""

import asyncio
import re
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from hashlib import sha256
from typing import Any, TypeVar

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    Source,
    SourceLocation,
    parse,
    validate,
)
from graphql.validation import MaxIntrospectionDepthRule, specified_rules
from graphql.validation.rules import overlapping_fields_can_be_merged
from graphql.validation.validate import ValidationAbortedError

from dicom_graph.error_codes import ErrorCode
from dicom_graph.graph.limits.arguments import MAX_NESTING, NestedTooDeeply
from dicom_graph.graph.limits.cost import Measured, measure
from dicom_graph.graph.limits.limits import OperationLimitExceeded, document_limit_exceeded
from dicom_graph.services import Limits

T = TypeVar("T")
_NEW_LINE = re.compile(r"\r\n|[\n\r]")
_RULES = tuple(dict.fromkeys([*specified_rules, MaxIntrospectionDepthRule]))
# Some 100 ms; documents of frontends stay below a tenth of it.
overlapping_fields_can_be_merged.MAX_COMPLEXITY_BUDGET = 30_000
_ABORTED = (
    "the document cannot be validated in bounded time: its fragments are nested too deeply, or too "
    "many of its fields have the same name"
)
_KEPT_CHARACTERS = 16_384
_ALL_KEPT_CHARACTERS = 262_144
_SHORT = 2000
"""Characters; what is so short is parsed and validated in some milliseconds."""
_THREAD = ThreadPoolExecutor(1, thread_name_prefix="dicom-graph-documents")


class _Text(Source):
    """A document that does not look for its lines again for each error."""

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in _NEW_LINE.finditer(self.body))]

    def get_location(self, position: int) -> SourceLocation:
        """Line and column, from 1, of a position."""
        line = bisect_right(self._line_starts, position)
        return SourceLocation(line, position + 1 - self._line_starts[line - 1])


class PreparedDocument:
    """A document of a schema: `document` where it could be parsed, else `error`."""

    def __init__(self, schema: GraphQLSchema, query: str, max_tokens: int) -> None:
        self.query = query
        self.digest = sha256(query.encode("utf-8", "replace")).hexdigest()
        self.document: DocumentNode | None = None
        self.error: GraphQLError | None = None
        self.measured: Measured | None = None
        self.operations: dict[str | None, Any] = {}
        """What `graph.execution.audit` knows of them, by name."""
        self.plans: dict[str | None, Any] = {}
        """What `graph.execution.plans` keeps of them, by name."""
        self._schema = schema
        self._invalid: list[GraphQLError] | None = None
        try:
            document = parse(_Text(query), max_tokens=max_tokens)
            self.measured = measure(schema, document)
            self.document = document
        except RecursionError:
            self.error = OperationLimitExceeded(
                "the operation is nested too deeply", ErrorCode.MAX_DEPTH
            )
        except NestedTooDeeply:
            message = f"an input is nested too deeply: more than {MAX_NESTING} levels"
            self.error = OperationLimitExceeded(message, ErrorCode.BAD_FILTER)
        except GraphQLError as error:
            self.error = error

    @property
    def is_validated(self) -> bool:
        """Whether `errors` is known."""
        return self._invalid is not None or self.document is None

    def errors(self) -> list[GraphQLError]:
        """Why it is not valid. New ones each time: they may be changed before they are sent."""
        if self.error is not None:
            return [_copy(self.error)]
        if self._invalid is None:
            assert self.document is not None
            try:
                self._invalid = validate(self._schema, self.document, _RULES)
            except RecursionError:
                self._invalid = [
                    OperationLimitExceeded(
                        "the operation is nested too deeply", ErrorCode.MAX_DEPTH
                    )
                ]
        return list(map(_copy, self._invalid))


def _copy(error: GraphQLError) -> GraphQLError:
    message, extensions = error.message, dict(error.extensions or {})
    if isinstance(error, GraphQLSyntaxError):
        extensions["code"] = ErrorCode.BAD_SYNTAX
    elif isinstance(error, ValidationAbortedError) and message == "Validation aborted.":
        message = _ABORTED
    made = GraphQLError(message, extensions=extensions)
    made.locations = error.locations
    return made


class _DocumentCache:
    """The documents that were used lately, as far as their texts are short together."""

    def __init__(self) -> None:
        self._documents: OrderedDict[tuple[int, str, int], PreparedDocument] = OrderedDict()
        self._characters = 0

    def get(self, schema: GraphQLSchema, query: str, max_tokens: int) -> PreparedDocument | None:
        key = (id(schema), query, max_tokens)
        found = self._documents.get(key)
        if found is not None:
            self._documents.move_to_end(key)
        return found

    def put(
        self, schema: GraphQLSchema, query: str, max_tokens: int, made: PreparedDocument
    ) -> None:
        key = (id(schema), query, max_tokens)
        if len(query) > _KEPT_CHARACTERS or key in self._documents:
            return
        self._documents[key] = made
        self._characters += len(query)
        while self._characters > _ALL_KEPT_CHARACTERS:
            (_, oldest, _), _ = self._documents.popitem(last=False)
            self._characters -= len(oldest)


_KEPT = _DocumentCache()


async def prepare(schema: GraphQLSchema, query: str, limits: Limits) -> PreparedDocument:
    """A text's document. Raises OperationLimitExceeded for one that is not even to be parsed."""
    known = _KEPT.get(schema, query, limits.tokens)
    if known is not None:
        return known
    refused = document_limit_exceeded(limits, query)
    if refused is not None:
        raise refused
    made = await _in_turn(query, lambda: PreparedDocument(schema, query, limits.tokens))
    _KEPT.put(schema, query, limits.tokens, made)
    return made


async def errors_of(query: str, prepared: PreparedDocument) -> list[GraphQLError]:
    """Why a document is not valid."""
    if prepared.is_validated:
        return prepared.errors()
    return await _in_turn(query, prepared.errors)


async def _in_turn(query: str, work: Callable[[], T]) -> T:
    if len(query) <= _SHORT:
        return work()
    return await asyncio.get_running_loop().run_in_executor(_THREAD, work)
