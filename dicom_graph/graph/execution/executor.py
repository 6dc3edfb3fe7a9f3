"""The executor: graphql-core's, without doing the same work again for each of many objects.

Lists of entities are answered level by level: see `levels`. Elsewhere two things are done once.
Both give the values and the errors of graphql-core's own way, as whatever is not plain goes that
way:

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

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from graphql import (
    GraphQLLeafType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    get_named_type,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.pyutils import Path
from strawberry.schema.schema import StrawberryGraphQLCoreExecutionContext

from dicom_graph.graph.connection import Connection
from dicom_graph.graph.context import Context
from dicom_graph.graph.execution.levels import Execution, Levels
from dicom_graph.graph.execution.lists import ListCompletion
from dicom_graph.graph.execution.scalar_values import reader, size_of
from dicom_graph.graph.execution.selection import Selection, Source
from dicom_graph.graph.limits.limits import MAX_ERRORS, TooManyErrors
from dicom_graph.graph.registry import ENTITIES
from dicom_graph.graph.types.element import DataElement, DataElementDefinition
from dicom_graph.store.answer_budget import BUDGET, AnswerBudget, ResponseLimitExceeded

Plan = list[tuple[str, Callable[[Any], Any]]]
"""The names of a selection's fields in the response, and how to read each off an object."""
_OBJECT, _FIELD, _PLACE = 300, 50, 16
"""About the bytes of memory of an object in an answer, of each of its fields beside a text, and of
one that is in the answer already.
"""
_ERROR_BYTES, _ERROR_MEMORY = 300, 4000


class PlainExecutor(StrawberryGraphQLCoreExecutionContext):
    """graphql-core's own way: each field of each object. A list is read before it is completed."""

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        result: Any,
        position_context: Any,
    ) -> Any:
        """Completes a value."""
        given = (return_type, field_details_list, info, path, result, position_context)
        if isinstance(result, Connection):
            return self._complete_connection(result, *given)
        return super().complete_value(*given)

    async def _complete_connection(self, found: Connection[Any], *given: Any) -> Any:
        await found.fill()
        completed = super().complete_value(*given)
        return await completed if self.is_awaitable(completed) else completed


class MemoizingExecutor(PlainExecutor):
    """Executes one operation, as this module says."""

    immutable: frozenset[type] = frozenset({DataElement, DataElementDefinition})
    """Of equal `id` are equal objects of these."""
    plans_lists = True
    """Whether lists of the root are answered level by level; else it was tried, and failed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        wrapped = self.middleware_manager is not None and self.middleware_manager.middlewares
        self._remembers = not wrapped
        self._budget = BUDGET.get()
        self._n_errors = 0
        self._forget()

    def _forget(self) -> None:
        # By identity, beside what must live on for its identity to stay its own.
        self._completed: dict[int, tuple[FieldDetailsList, dict[str, _Completed]]] = {}
        self._plans: dict[int, tuple[GroupedFieldSet, Plan | None]] = {}

    def build_per_event_executor(self, payload: Any) -> Executor[Any]:
        """A copy for one event of a subscription; it shares nothing that it remembers."""
        executor = super().build_per_event_executor(payload)
        assert isinstance(executor, MemoizingExecutor)
        executor._forget()
        executor._n_errors = 0
        executor._budget = BUDGET.get()
        if executor._budget is not None:
            executor._budget.begin()
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
        if self._budget is not None:
            self._budget.write(_ERROR_BYTES, _ERROR_MEMORY)
            if self._n_errors > MAX_ERRORS:
                self._budget.stop(TooManyErrors(self.collected_errors.errors))
            if self._budget.is_stopped:
                return
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
        found = known.get(result.id)
        if found is not None:
            if self._budget is not None:
                self._budget.write(found.n_bytes, _PLACE)
            return found.value
        n_errors, n_bytes = self._n_errors, self._n_bytes
        completed = super().complete_value(
            return_type, field_details_list, info, path, result, position_context
        )
        if type(completed) is dict and n_errors == self._n_errors:
            known[result.id] = _Completed(completed, self._n_bytes - n_bytes)
        return completed

    async def _complete_connection(self, found: Connection[Any], *given: Any) -> Any:
        """Completes a list level by level; where that does not do, as graphql-core does."""
        return_type, details, info, path, _, _ = given
        is_planned = self._remembers and (self.plans_lists or path.prev is not None)
        if is_planned and self._budget is not None and isinstance(info.context, Context):
            execution = self._execution(info.context, self._budget)
            type_ = get_named_type(return_type)
            assert isinstance(type_, GraphQLObjectType)
            selection = Selection(execution.source, type_, details)
            if selection.reads_page:
                needed = selection.page_columns(ENTITIES[found.listing.entity])
                found.page = await found.listing.page(needed)
            else:
                await found.listing.check()
            try:
                return await Levels(execution).root(selection, path, found)
            except ResponseLimitExceeded:
                raise
            except Exception:
                self._forget_errors(path)  # Found again below, each with its path.
        return await super()._complete_connection(found, *given)

    def _execution(self, context: Context, budget: AnswerBudget) -> Execution:
        source = Source(
            self.schema, self.operation, self.fragments, self.fragment_definitions,
            self.variable_values, self.hide_suggestions,
        )  # fmt: skip
        return Execution(source, self.variable_values, context, budget, lambda: self)

    def _forget_errors(self, path: Path) -> None:
        """Forget the errors that were found below a path."""
        place = path.as_list()
        found = self.collected_errors
        found._errors[:] = [
            error for error in found._errors if (error.path or [])[: len(place)] != place
        ]
        found._error_positions -= {
            at for at in found._error_positions if at and at.as_list()[: len(place)] == place
        }

    @property
    def _n_bytes(self) -> int:
        return self._budget.n_bytes if self._budget is not None else 0

    def complete_iterable_value(
        self,
        item_type: GraphQLOutputType,
        field_details_list: FieldDetailsList,
        info: GraphQLResolveInfo[Any],
        path: Path,
        items: Iterable[Any],
        position_context: Any,
    ) -> Any:
        """Completes a list, in as many turns of the event loop as it needs."""
        if self._budget is None:
            return super().complete_iterable_value(
                item_type, field_details_list, info, path, items, position_context
            )
        given = (item_type, field_details_list, info, path, position_context)
        completion = ListCompletion(self, self._budget, given, items)
        if completion.go_on() and not completion.awaited:
            return completion.completed
        return completion.rest()

    def complete_leaf_value(  # type: ignore[override]
        self, return_type: GraphQLLeafType, result: Any
    ) -> Any:
        """Completes a scalar, and counts its bytes."""
        completed = super().complete_leaf_value(return_type, result)
        if self._budget is not None:
            size = size_of(completed)
            self._budget.write(size, size)
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
        if self._budget is not None and self._budget.is_stopped:
            return {}
        key = id(grouped_field_set)
        if key not in self._plans:
            plan = self._make_plan(parent_type, grouped_field_set)
            self._plans[key] = (grouped_field_set, plan)
        plan = self._plans[key][1]
        if plan is not None:
            try:
                return self._follow(plan, source_value)
            except Exception:
                pass  # Found again below, with its path.
        elif self._budget is not None:
            names = sum(map(len, grouped_field_set)) + 4 * len(grouped_field_set)
            self._budget.write(names, _OBJECT + _FIELD * len(grouped_field_set))
        return super().execute_fields(
            parent_type, source_value, path, grouped_field_set, position_context
        )

    def _follow(self, plan: Plan, source: Any) -> dict[str, Any]:
        result = {}
        size = 0
        for name, read in plan:
            value = result[name] = read(source)
            size += len(name) + 4
            size += len(value) if type(value) is str and value.isascii() else size_of(value)
        if self._budget is not None:
            self._budget.write(size, _OBJECT + _FIELD * len(plan) + size)
        return result

    def _make_plan(self, parent: GraphQLObjectType, fields: GroupedFieldSet) -> Plan | None:
        """None where a field is anything but a plain attribute."""
        plan: Plan = []
        for response_name, details in fields.items():
            read = self._reader(parent, details[0].node.name.value)
            if read is None:
                return None
            plan.append((response_name, read))
        return plan if self._remembers else None

    def _reader(self, parent: GraphQLObjectType, name: str) -> Callable[[Any], Any] | None:
        if name == "__typename":
            return lambda source: parent.name
        field = self.schema.get_field(parent, name)
        return reader(field) if field is not None else None


class _Completed(NamedTuple):
    """What an immutable object was completed to, and how many bytes of an answer it takes."""

    value: dict[str, Any]
    n_bytes: int


class ExecutorWithoutRootPlans(MemoizingExecutor):
    """For an operation whose lists of the root could not be answered level by level."""

    plans_lists = False
