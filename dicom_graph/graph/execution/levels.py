"""Lists that are answered level by level.

graphql-core asks each field of each object. Here each field is asked once for all objects of a
level: plain fields are read off the rows, a relation, a count or one related object by one call for
all parents, and so on for the level below, all of whose objects are one list, whoever their parents
are. A page reads the columns that its selection needs, and objects are made only for fields that
need one.

A field that is nothing of this is asked of each object by graphql-core itself. Whatever goes wrong
(a value that does not fit, an argument that is refused) ends the level with `Unfit`: then the list
is answered by graphql-core, which finds the same errors again, each with its path.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, NamedTuple, cast

from graphql.execution import Executor
from graphql.execution.values import VariableValues, get_argument_values
from graphql.pyutils import Path
from strawberry.schema.schema_converter import GraphQLCoreConverter

from dicom_graph.graph.batch_marks import Counted, ElementsOf, LeadsTo, Listed
from dicom_graph.graph.connection import Connection, whole_rows
from dicom_graph.graph.context import Context
from dicom_graph.graph.execution.arguments import list_of
from dicom_graph.graph.execution.each_object import answer_each
from dicom_graph.graph.execution.field_kinds import FromColumn, FromObject, Kind
from dicom_graph.graph.execution.level import Level, Lists
from dicom_graph.graph.execution.scalar_values import (
    Unfit,
    completed_column,
    size_of,
    size_of_column,
)
from dicom_graph.graph.execution.selection import Selected, Selection, Source
from dicom_graph.graph.execution.written_elements import plain_fields, write_elements
from dicom_graph.graph.paging import PageInfo
from dicom_graph.graph.registry import ENTITIES, Entity
from dicom_graph.store.answer_budget import AnswerBudget
from dicom_graph.store.read import Page, Parent
from dicom_graph.store.read.client_errors import answered
from dicom_graph.store.read.page_counts import count_name
from dicom_graph.store.read.rows import made_in_turns

_OBJECT, _FIELD = 300, 50
"""About the bytes of memory of an object of an answer, and of each of its fields."""

_CURSORS = 100
"""About the bytes of what a page tells of its place in its list."""
_DEFINITION = GraphQLCoreConverter.DEFINITION_BACKREF


class Execution:
    """One operation as it is executed, level by level.

    `source` is where its selections come from, `variables` are its own. `make_executor` makes
    graphql-core's executor of it, which is made only where it is needed.
    """

    def __init__(
        self,
        source: Source,
        variables: VariableValues,
        context: Context,
        budget: AnswerBudget,
        make_executor: Callable[[], Executor[Any]],
    ) -> None:
        self.source = source
        self.variables = variables
        self.context = context
        self.budget = budget
        self._make_executor = make_executor
        self.has_executor = False

    @cached_property
    def executor(self) -> Executor[Any]:
        """graphql-core's, which also has the errors of what it answers."""
        self.has_executor = True
        return self._make_executor()


class Levels:
    """Answers the lists of one operation."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        self._context = execution.context
        self._budget = execution.budget

    async def root(
        self, selection: Selection, path: Path, found: Connection[Any]
    ) -> dict[str, Any]:
        """The answer of one list, whose page is read. Raises Unfit, or what a field of it does."""
        lists = Lists([found.page], found, [found.listing.parent], lambda at: path)
        (answer,) = await self._connections(selection, lists)
        return answer

    async def _connections(self, selection: Selection, lists: Lists) -> list[dict[str, Any]]:
        """The answers of lists whose pages are read, at their places."""
        columns: list[list[Any]] = []
        for selected in selection.fields:
            match selected.name:
                case "__typename":
                    column: list[Any] = [selection.type.name] * len(lists.pages)
                case "nodes":
                    column = await self._nodes(selection, selected, lists)
                case "edges":
                    column = await self._edges(selection, selected, lists)
                case "pageInfo":
                    column = [
                        self._page_info(selected.selection, page, lists) for page in lists.pages
                    ]
                case "totalCount":
                    column = self._scalars(await self._total_counts(lists))
                case _:
                    column = await self._each(
                        selection, selected, lists.connections(), lists.paths()
                    )
            columns.append(column)
        return self._objects_of(selection, columns, len(lists.pages))

    def _page_info(self, selection: Selection, page: Page, lists: Lists) -> dict[str, Any]:
        info = PageInfo.of(page, lists.first.listing.request)
        answer: dict[str, Any] = {}
        for selected in selection.fields:
            answer[selected.alias] = (
                selection.type.name
                if selected.field is None
                else getattr(info, selected.field.extensions[_DEFINITION].python_name)
            )
        self._budget.write(selection.n_bytes + _CURSORS, _OBJECT + _FIELD * len(answer))
        return answer

    async def _total_counts(self, lists: Lists) -> list[int]:
        listing = lists.first.listing
        if listing.relation is None:
            return [await listing.count()]
        counted = self._context.loaders.counts(listing.relation, listing.wanted)
        return await answered(counted.load_many(cast(Sequence[Parent], lists.parents)))

    async def _nodes(self, selection: Selection, selected: Selected, lists: Lists) -> list[Any]:
        """The field `nodes` of lists: their objects are one level."""
        path_of = lists.path_below(selected.alias, selection.type.name)
        return lists.split(await self._below(selected.selection, lists, path_of))

    async def _edges(self, selection: Selection, selected: Selected, lists: Lists) -> list[Any]:
        """The field `edges` of lists: what edges have beside cursor and node, each tells itself."""
        edge = selected.selection
        rows = lists.rows()
        path_of_edge = lists.path_below(selected.alias, selection.type.name)
        columns: list[list[Any]] = []
        for of_edge in edge.fields:
            match of_edge.name:
                case "__typename":
                    column: list[Any] = [edge.type.name] * len(rows)
                case "cursor":
                    column = self._scalars(list(map(lists.first.listing.request.cursor, rows)))
                case "node":

                    def path_of(place: int, alias: str = of_edge.alias) -> Path:
                        return Path(path_of_edge(place), alias, edge.type.name)

                    column = await self._below(of_edge.selection, lists, path_of)
                case _:
                    edges = await self._edge_objects(lists)
                    paths = list(map(path_of_edge, range(len(rows))))
                    column = await self._each(edge, of_edge, edges, paths)
            columns.append(column)
        return lists.split(self._objects_of(edge, columns, len(rows)))

    async def _edge_objects(self, lists: Lists) -> list[Any]:
        make = ENTITIES[lists.first.listing.entity].type.from_row
        pairs = [(found, row) for found in lists.connections() for row in found.page.rows]
        return await made_in_turns(pairs, lambda pair: pair[0].edge(make(pair[1]), pair[1]))

    async def _below(
        self, selection: Selection, lists: Lists, path: Callable[[int], Path]
    ) -> list[Any]:
        """The objects of lists as one level."""
        listing = lists.first.listing
        whole = await whole_rows(listing, lists.rows())
        return await self._level(selection, Level(ENTITIES[listing.entity], whole, path))

    async def _level(self, selection: Selection, level: Level) -> list[dict[str, Any]]:
        """What a selection is on each object of a level."""
        columns: list[list[Any]] = []
        for selected in selection.fields:
            if selected.field is None:
                column: list[Any] = [selection.type.name] * len(level.rows)
            else:
                kind = selected.kind(level.entity)
                if type(kind) is FromColumn:
                    values = level.column(kind.column)
                    if kind.convert is not None:
                        values = list(map(kind.convert, values))
                    column = self._scalars(completed_column(selected.output, kind.complete, values))
                else:
                    column = await self._field(selection, selected, level, kind)
            columns.append(column)
            if self._budget.is_turn_over():
                await self._budget.next_turn()
        return self._objects_of(selection, columns, len(level.rows))

    async def _field(
        self, selection: Selection, selected: Selected, level: Level, kind: Kind
    ) -> list[Any]:
        """A field of all objects of a level, that is no column of their rows."""
        match kind:
            case FromObject(read):
                return self._scalars(await made_in_turns(await level.objects(), read))
            case Counted(relation) if level.has(count_name(relation)):
                return self._scalars(level.column(count_name(relation)))
            case Counted(relation):
                return self._scalars(await self._counts(relation, await level.parents()))
            case Listed():
                return await self._lists(selection, selected, level)
            case LeadsTo() as leads_to:
                return await self._one(selection, selected, level, leads_to)
            case ElementsOf() as elements_of:
                written = await self._elements(selected, level, elements_of)
                if written is not None:
                    return written
        return await self._each(selection, selected, await level.objects(), level.paths())

    async def _counts(self, relation: str, parents: Sequence[Parent]) -> list[int]:
        """How many entities a relation leads to, from each of the parents."""
        different = list(dict.fromkeys(parents))
        counts = await self._context.loaders.counts(relation).load_many(different)
        known = dict(zip(different, counts, strict=True))
        return [known[parent] for parent in parents]

    async def _lists(self, selection: Selection, selected: Selected, level: Level) -> list[Any]:
        """The field of a relation: the lists of all objects of a level."""
        if not level.rows:
            return []
        below = selected.selection
        parents = await level.parents()
        # The arguments are read once, for one of the parents.
        first = await list_of(
            selected, _AnyParent(parents[0]), self._context, self._execution.variables,
            self._execution.source,
        )  # fmt: skip
        listing = first.listing
        key = (listing.relation, listing.request, listing.wanted)
        if key not in level.pages:
            # Aliases that ask the same of a relation share a page, which has all columns.
            is_repeated = selected.name in selection.repeated
            needed = None if is_repeated else below.page_columns(ENTITIES[listing.entity])
            if is_repeated or below.reads_page:
                level.pages[key] = await listing.pages(parents, needed)
            else:
                await listing.check()
                level.pages[key] = [Page((), False, False)] * len(parents)

        def path_of(place: int) -> Path:
            return Path(level.path(place), selected.alias, selection.type.name)

        return await self._connections(below, Lists(level.pages[key], first, parents, path_of))

    async def _one(
        self, selection: Selection, selected: Selected, level: Level, leads_to: LeadsTo
    ) -> list[Any]:
        """A field that leads to one object: each is answered once, however many lead to it."""
        entity = ENTITIES[leads_to.entity]
        keys = level.column(leads_to.column)
        rows = await self._rows_of(entity, leads_to.loader, keys)
        below = selected.selection
        is_same = below.is_same_everywhere(entity)
        if is_same:
            first_at: dict[Any, int] = {}
            for at, key in enumerate(keys):
                if key in rows:
                    first_at.setdefault(key, at)
            places = list(first_at.values())
        else:
            places = [at for at, key in enumerate(keys) if key in rows]

        def path_of(place: int) -> Path:
            return Path(level.path(places[place]), selected.alias, selection.type.name)

        there = [keys[at] for at in places]
        answers = await self._level(below, Level(entity, [rows[key] for key in there], path_of))
        if len(places) == len(keys):
            return answers
        if is_same:
            of_key = dict(zip(there, answers, strict=True))
            self._repeat(answers, len(keys) - len(there))
            found = [of_key.get(key) for key in keys]
        else:
            of_place = dict(zip(places, answers, strict=True))
            found = [of_place.get(at) for at in range(len(keys))]
        if selected.is_required and None in found:
            raise Unfit
        return found

    async def _rows_of(
        self, entity: Entity, loader_name: str, keys: Sequence[Any]
    ) -> dict[Any, Any]:
        """The rows that there are, by their keys."""
        different = [key for key in dict.fromkeys(keys) if key is not None]
        loaders = self._context.loaders
        loader = (
            loaders.entity(entity.name)
            if loader_name == "entity"
            else getattr(loaders, loader_name)
        )
        rows = zip(different, await loader.load_many(different), strict=True)
        return {key: row for key, row in rows if row is not None}

    async def _elements(
        self, selected: Selected, level: Level, elements_of: ElementsOf
    ) -> list[Any] | None:
        """The elements of headers; None where more than plain fields are asked of them."""
        fields = plain_fields(selected.selection)
        if fields is None:
            return None
        given = self._arguments(selected)
        names = {"hasWarnings": "has_warnings"}
        asked = elements_of.query(**{names.get(name, name): each for name, each in given.items()})
        rows = await self._context.loaders.elements_of(asked).load_many(list(level.rows))
        return await write_elements(self._context.store, fields, rows, self._budget)

    async def _each(
        self,
        selection: Selection,
        selected: Selected,
        objects: Sequence[Any],
        paths: Sequence[Path],
    ) -> list[Any]:
        return await answer_each(
            self._execution.executor, self._budget, selection.type, selected, objects, paths
        )

    def _arguments(self, selected: Selected) -> dict[str, Any]:
        details = selected.details[0]
        assert selected.field is not None
        if not selected.field.args and not details.node.arguments:
            return {}
        return get_argument_values(
            selected.field, details.node, self._execution.variables,
            details.fragment_variable_values, self._execution.source.hide_suggestions,
        )  # fmt: skip

    def _scalars(self, values: list[Any]) -> list[Any]:
        """Counts the bytes of values that go into the answer."""
        size = size_of_column(values)
        self._budget.write(size, size)
        return values

    def _objects_of(
        self, selection: Selection, columns: Sequence[list[Any]], count: int
    ) -> list[dict[str, Any]]:
        """`count` objects of an answer, from the values of each of their fields."""
        if self._budget.overrun is not None:
            raise self._budget.overrun
        names = selection.aliases
        self._budget.write(count * selection.n_bytes, count * (_OBJECT + _FIELD * len(names)))
        if not names:
            return [{} for _ in range(count)]
        return [dict(zip(names, values)) for values in zip(*columns, strict=True)]  # noqa: B905

    def _repeat(self, answers: Sequence[dict[str, Any]], times: int) -> None:
        """Counts answers that stand at further places, by what one of them takes."""
        if answers and times > 0:
            size = size_of(answers[0])
            self._budget.write(size * times, 16 * times)


class _AnyParent(NamedTuple):
    """In the place of the object whose list is asked for."""

    parent: Parent

    def as_parent(self) -> Parent:
        """As a parent of lists."""
        return self.parent
