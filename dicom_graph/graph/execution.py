"""The executor: graphql-core's, without doing the same work again for each of many objects.

Two things are done once. Both give the bytes and the errors of graphql-core's own way, as whatever
is not plain goes that way:

- **An immutable object is completed once under one selection.** A `DataElement` never changes, and
  100 headers of a series hold nearly the same 340 of them. What it was completed to, a dictionary,
  is put at each further place. A selection is one `field_details_list`: graphql-core collects the
  fields of a selection once for all objects of a type and remembers them, with aliases, fragments,
  variables, `@skip` and `@include` already applied. A completion that met an error is not kept,
  since errors have paths; nor is one that has to wait, such as of the items of a sequence.
- **Selections of plain attributes are planned once.** For each value graphql-core makes a path, an
  info object and a chain of calls. Where a selection has nothing but attributes of scalar types
  (and `__typename`), its plan is a list of functions, from the object to the output of each field.
  A value that does not fit sends its object the long way, which says what is wrong.

What is remembered lives as long as one operation, or one event of a subscription. Where a schema
extension wraps resolvers, nothing is remembered: it has to see each call.
"""

from collections.abc import Callable
from typing import Any

from graphql import (
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    Undefined,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext
from strawberry.schema.schema_converter import GraphQLCoreConverter

from dicom_graph.graph.types.element import DataElement, DataElementDefinition

Read = Callable[[Any], Any]
Plan = list[tuple[str, Read]]
"""The names of a selection's fields in the response, and how to read each off an object."""


class OnceExecutor(StrawberryGraphQLCoreExecutionContext):
    """Executes one operation, as this module says."""

    immutable: frozenset[type] = frozenset({DataElement, DataElementDefinition})
    """Of equal `id` are equal objects of these."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        wrapped = self.middleware_manager is not None and self.middleware_manager.middlewares
        self._remembers = not wrapped
        self._n_errors = 0
        self._forget()

    def _forget(self) -> None:
        # By identity, beside what must live on for its identity to stay its own.
        self._completed: dict[int, tuple[FieldDetailsList, dict[str, Any]]] = {}
        self._plans: dict[int, tuple[GroupedFieldSet, Plan | None]] = {}

    def build_per_event_executor(self, payload: Any) -> Executor[Any]:
        """A copy for one event of a subscription; it shares nothing that it remembers."""
        executor = super().build_per_event_executor(payload)
        assert isinstance(executor, OnceExecutor)
        executor._forget()
        return executor

    def handle_field_error(
        self,
        raw_error: Exception,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        path: Path,
    ) -> None:
        """Counts the errors: `collected_errors` leaves out those below what is null already."""
        self._n_errors += 1
        super().handle_field_error(raw_error, return_type, field_details_list, path)

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Completes a value; an immutable object under a selection only the first time."""
        if type(result) not in self.immutable or not self._remembers:
            return super().complete_value(
                return_type, field_details_list, info, path, result, position_context
            )
        key = id(field_details_list)
        if key not in self._completed:
            self._completed[key] = (field_details_list, {})
        known = self._completed[key][1]
        completed = known.get(result.id)
        if completed is None:
            n_errors = self._n_errors
            completed = super().complete_value(
                return_type, field_details_list, info, path, result, position_context
            )
            if type(completed) is dict and n_errors == self._n_errors:
                known[result.id] = completed
        return completed

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: GroupedFieldSet,
        position_context: Any,
    ) -> Any:
        """Executes a selection on an object, by its plan where it has one."""
        key = id(grouped_field_set)
        if key not in self._plans:
            plan = self._make_plan(parent_type, grouped_field_set)
            self._plans[key] = (grouped_field_set, plan)
        plan = self._plans[key][1]
        if plan is not None:
            try:
                return {name: read(source_value) for name, read in plan}
            except Exception:
                pass  # Found again below, with its path.
        return super().execute_fields(
            parent_type, source_value, path, grouped_field_set, position_context
        )

    def _make_plan(self, parent: GraphQLObjectType, fields: GroupedFieldSet) -> Plan | None:
        """None where a field is anything but a plain attribute."""
        plan: Plan = []
        for response_name, details in fields.items():
            read = self._reader(parent, details[0].node.name.value)
            if read is None:
                return None
            plan.append((response_name, read))
        return plan if self._remembers else None

    def _reader(self, parent: GraphQLObjectType, name: str) -> Read | None:
        if name == "__typename":
            return lambda source: parent.name
        field = self.schema.get_field(parent, name)
        defined = field and field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
        complete = _completer(field.type) if field else None
        if not defined or not defined.is_basic_field or complete is None:
            return None
        attribute: str = defined.python_name
        return lambda source: complete(getattr(source, attribute))


class _Unfit(Exception):
    """A value that a plan cannot complete."""


def _completer(output: GraphQLOutputType) -> Read | None:
    """What turns a value of a scalar type, or a list of such, into its output; may raise."""
    if is_leaf_type(output):
        return _coercing(output)
    if not is_non_null_type(output) and not is_list_type(output):
        return None
    inner = _completer(output.of_type)
    if inner is None:
        return None
    return _refusing_none(inner) if is_non_null_type(output) else _each(inner)


def _coercing(output: GraphQLLeafType) -> Read:
    coerce = output.coerce_output_value

    def complete(value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, Exception) or optimized_is_awaitable(value):
            raise _Unfit
        coerced = coerce(value)
        if coerced is None or coerced is Undefined:
            raise _Unfit
        return coerced

    return complete


def _refusing_none(inner: Read) -> Read:
    def complete(value: Any) -> Any:
        completed = inner(value)
        if completed is None:
            raise _Unfit
        return completed

    return complete


def _each(inner: Read) -> Read:
    def complete(values: Any) -> Any:
        if values is None:
            return None
        if not isinstance(values, list | tuple):
            raise _Unfit
        return [inner(value) for value in values]

    return complete
