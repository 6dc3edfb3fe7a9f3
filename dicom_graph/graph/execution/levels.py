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

import asyncio
from bisect import bisect_right
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from itertools import accumulate
from operator import attrgetter, itemgetter
from typing import Any, NamedTuple, cast

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLOutputType,
    get_named_type,
    is_non_null_type,
)
from graphql.execution import Executor
from graphql.execution.collect_fields import FieldDetailsList, GroupedFieldSet
from graphql.execution.values import get_argument_values
from graphql.pyutils import Path
from strawberry.schema.schema_converter import GraphQLCoreConverter

from dicom_graph.dicom.entities import Description
from dicom_graph.graph.connection import Connection, whole_rows
from dicom_graph.graph.context import Context
from dicom_graph.graph.enums.choices import ENUMS
from dicom_graph.graph.execution.plain import (
    Complete,
    Unfit,
    completed_column,
    completer,
    reader,
    size_of,
    size_of_column,
)
from dicom_graph.graph.execution.written_elements import selection_of, write_elements
from dicom_graph.graph.node import global_id
from dicom_graph.graph.registry import ENTITIES, Entity
from dicom_graph.graph.together import Counted, ElementsOf, LeadsTo, Listed, Mark, mark_of
from dicom_graph.store.formats import Columns
from dicom_graph.store.read import Page, Parent
from dicom_graph.store.read.rows import made_in_turns
from dicom_graph.store.tables.entities import ROW_ATTRIBUTES
from dicom_graph.store.work import Work

_OF_PAGE = frozenset({"nodes", "edges", "pageInfo"})
_OBJECT, _FIELD = 300, 50
"""About the bytes of memory of an object of an answer, and of each of its fields."""
_AT_ONCE = 200
"""Objects whose field graphql-core answers at the same time: each is a task, a path and more."""


class Read(NamedTuple):
    """A field that is a column of a row, by `column`, and what that becomes."""

    column: str
    complete: Complete
    convert: Callable[[Any], Any] | None = None


class Asked(NamedTuple):
    """A field that an object answers at once."""

    read: Callable[[Any], Any]


Kind = Read | Asked | Mark | None
"""How a field is answered; None: by graphql-core, for each object."""


class Level:
    """The objects of one level: rows of an entity, and the type that they are shown as.

    `path` gives the path of an object by its place.
    """

    def __init__(
        self,
        type_: GraphQLObjectType,
        entity: Entity,
        rows: Sequence[Any],
        path: Callable[[int], Path],
    ) -> None:
        self.type = type_
        self.entity = entity
        self.rows = rows
        self.path = path
        self._objects: list[Any] | None = None
        self.pages: dict[Any, list[Page]] = {}
        """Of the lists below, by what is asked of them: several aliases may ask the same."""

    async def objects(self) -> list[Any]:
        """Its objects."""
        if self._objects is None:
            self._objects = await made_in_turns(self.rows, self.entity.type.from_row)
        return self._objects

    def column(self, name: str) -> list[Any]:
        """A column of its rows."""
        if not self.rows:
            return []
        # A row is a tuple, and its place is read faster than its name.
        names = getattr(self.rows[0], "_fields", None)
        if names is not None:
            return list(map(itemgetter(names.index(name)), self.rows))
        return list(map(attrgetter(name), self.rows))


class _Lists(NamedTuple):
    """The lists of all objects of a level, whose pages are read.

    They are as `first`, each of another parent; `path` gives the path of each by its place.
    """

    pages: Sequence[Page]
    first: Connection[Any]
    parents: Sequence[Parent | None]
    path: Callable[[int], Path]

    def rows(self) -> list[Any]:
        """The rows of all pages."""
        return [row for page in self.pages for row in page.rows]

    def connections(self) -> list[Connection[Any]]:
        """The lists as objects."""
        return [
            replace(self.first, listing=replace(self.first.listing, parent=parent), page=page)
            for parent, page in zip(self.parents, self.pages, strict=True)
        ]

    def paths(self) -> list[Path]:
        """The paths of the lists."""
        return list(map(self.path, range(len(self.pages))))

    def path_below(self, name: str, type_name: str) -> Callable[[int], Path]:
        """The path of each row of all pages, by its place among them, in a field of its list."""
        ends = list(accumulate(len(page.rows) for page in self.pages))

        def path_of(place: int) -> Path:
            at = bisect_right(ends, place)
            begin = ends[at - 1] if at else 0
            return Path(Path(self.path(at), name, type_name), place - begin, None)

        return path_of


class Levels:
    """Answers the lists of one operation."""

    def __init__(self, executor: Executor[Any], context: Context, work: Work) -> None:
        self._executor = executor
        self._context = context
        self._work = work

    def needed(self, type_: GraphQLOutputType, details: FieldDetailsList, entity: str) -> Columns:
        """The columns of the rows of a list; None for all."""
        return self._needed(ENTITIES[entity], self._selection(get_named_type(type_), details))

    def reads_page(self, type_: GraphQLOutputType, details: FieldDetailsList) -> bool:
        """Whether anything of a list's page is asked for, and not only what its whole is."""
        selection = self._selection(get_named_type(type_), details)
        names = (details[0].node.name.value for details in selection.fields.values())
        return not _OF_PAGE.isdisjoint(names)

    async def root(
        self,
        type_: GraphQLOutputType,
        details: FieldDetailsList,
        path: Path,
        found: Connection[Any],
    ) -> dict[str, Any]:
        """The answer of one list, whose page is read. Raises Unfit, or what a field of it does."""
        selection = self._selection(get_named_type(type_), details)
        lists = _Lists([found.page], found, [found.listing.parent], lambda at: path)
        (answer,) = await self._connections(selection, lists)
        return answer

    def _selection(self, type_: Any, details: FieldDetailsList) -> "_Selection":
        return _Selection(type_, self._executor.collect_subfields(type_, details).grouped_field_set)

    async def _connections(self, selection: "_Selection", lists: "_Lists") -> list[dict[str, Any]]:
        """The answers of lists whose pages are read, at their places."""
        names: list[str] = []
        columns: list[list[Any]] = []
        for name, details in selection.fields.items():
            names.append(name)
            match details[0].node.name.value:
                case "__typename":
                    column: list[Any] = [selection.type.name] * len(lists.pages)
                case "nodes":
                    column = await self._nodes(selection, name, details, lists)
                case "edges":
                    column = await self._edges(selection, name, details, lists)
                case _:
                    column = await self._each(
                        selection.type, name, details, lists.connections(), lists.paths()
                    )
            columns.append(column)
        return self._objects_of(names, columns, len(lists.pages))

    def _edge(self, selection: "_Selection", details: FieldDetailsList) -> "_Selection":
        field = self._executor.schema.get_field(selection.type, details[0].node.name.value)
        assert field is not None
        return self._selection(get_named_type(field.type), details)

    async def _nodes(
        self,
        selection: "_Selection",
        name: str,
        details: FieldDetailsList,
        lists: "_Lists",
    ) -> list[Any]:
        """The field `nodes` of lists: their objects are one level."""
        path_of = lists.path_below(name, selection.type.name)
        nodes = await self._below(self._edge(selection, details), lists, path_of)
        return _split(nodes, lists.pages)

    async def _edges(
        self,
        selection: "_Selection",
        name: str,
        details: FieldDetailsList,
        lists: "_Lists",
    ) -> list[Any]:
        """The field `edges` of lists: what edges have beside cursor and node, each tells itself."""
        edge = self._edge(selection, details)
        rows = lists.rows()
        path_of_edge = lists.path_below(name, selection.type.name)
        names: list[str] = []
        columns: list[list[Any]] = []
        for field, of_edge in edge.fields.items():
            names.append(field)
            if of_edge[0].node.name.value == "__typename":
                columns.append([edge.type.name] * len(rows))
            elif of_edge[0].node.name.value == "cursor":
                columns.append(list(map(lists.first.listing.request.cursor, rows)))
            elif of_edge[0].node.name.value == "node":

                def path_of(place: int, field: str = field) -> Path:
                    return Path(path_of_edge(place), field, edge.type.name)

                node = self._edge(edge, of_edge)
                columns.append(await self._below(node, lists, path_of))
            else:
                edges = await self._edge_objects(lists)
                of_edges = list(map(path_of_edge, range(len(rows))))
                columns.append(await self._each(edge.type, field, of_edge, edges, of_edges))
        return _split(self._objects_of(names, columns, len(rows)), lists.pages)

    async def _edge_objects(self, lists: "_Lists") -> list[Any]:
        make = ENTITIES[lists.first.listing.entity].type.from_row
        pairs = [(found, row) for found in lists.connections() for row in found.page.rows]
        return await made_in_turns(pairs, lambda pair: pair[0].edge(make(pair[1]), pair[1]))

    async def _below(
        self,
        selection: "_Selection",
        lists: "_Lists",
        path: Callable[[int], Path],
    ) -> list[Any]:
        """The objects of lists as one level."""
        listing = lists.first.listing
        whole = await whole_rows(listing, lists.rows())
        level = Level(selection.type, ENTITIES[listing.entity], whole, path)
        return await self._level(selection, level)

    async def _level(self, selection: "_Selection", level: Level) -> list[dict[str, Any]]:
        """What a selection is on each object of a level."""
        asked = Counter(details[0].node.name.value for details in selection.fields.values())
        names: list[str] = []
        columns: list[list[Any]] = []
        for name, details in selection.fields.items():
            names.append(name)
            repeated = asked[details[0].node.name.value] > 1
            columns.append(await self._field(selection.type, level, name, details, repeated))
            if self._work.is_over():
                await self._work.next_turn()
        return self._objects_of(names, columns, len(level.rows))

    async def _field(
        self,
        type_: GraphQLObjectType,
        level: Level,
        name: str,
        details: FieldDetailsList,
        repeated: bool,
    ) -> list[Any]:
        if details[0].node.name.value == "__typename":
            return [type_.name] * len(level.rows)
        field = self._executor.schema.get_field(type_, details[0].node.name.value)
        assert field is not None
        match self.kind(level.entity, field):
            case Read(column, complete, convert):
                values = level.column(column)
                if convert is not None:
                    values = list(map(convert, values))
                return self._scalars(completed_column(field.type, complete, values))
            case Asked(read):
                objects = await level.objects()
                return self._scalars(await made_in_turns(objects, read))
            case Counted(relation):
                parents = await _parents(level)
                counted = self._context.loaders.counts(relation)
                counts = await counted.load_many(list(dict.fromkeys(parents)))
                known = dict(zip(dict.fromkeys(parents), counts, strict=True))
                return self._scalars([known[parent] for parent in parents])
            case Listed():
                return await self._lists(type_, level, field, name, details, repeated)
            case LeadsTo(entity, column, loader):
                return await self._one(
                    ENTITIES[entity], column, loader, level, field, name, details
                )
            case ElementsOf(query):
                written = await self._elements(level, field, query, details)
                if written is not None:
                    return written
        objects = await level.objects()
        paths = list(map(level.path, range(len(objects))))
        return await self._each(type_, name, details, objects, paths)

    async def _lists(
        self,
        type_: GraphQLObjectType,
        level: Level,
        field: GraphQLField,
        name: str,
        details: FieldDetailsList,
        repeated: bool,
    ) -> list[Any]:
        """The field of a relation, which has other aliases where it is repeated: the lists of all
        objects of a level.
        """
        if not level.rows:
            return []
        selection = self._selection(get_named_type(field.type), details)
        parents = await _parents(level)
        # graphql-core and strawberry read the arguments, once, for one of the parents.
        info = self._executor.build_resolve_info(
            field, [each.node for each in details], type_, Path(level.path(0), name, type_.name)
        )
        arguments = self._arguments(field, details)
        assert field.resolve is not None
        first: Connection[Any] = await field.resolve(_AnyParent(parents[0]), info, **arguments)
        listing = first.listing
        key = (listing.relation, listing.request, listing.wanted)
        if key not in level.pages:
            # Aliases that ask the same of a relation share a page, which has all columns.
            needed = None if repeated else self._needed(ENTITIES[listing.entity], selection)
            if self.reads_page(field.type, details):
                level.pages[key] = await listing.pages(parents, needed)
            elif repeated:
                level.pages[key] = await listing.pages(parents)
            else:
                level.pages[key] = [Page((), False, False)] * len(parents)

        def path_of(place: int) -> Path:
            return Path(level.path(place), name, type_.name)

        return await self._connections(selection, _Lists(level.pages[key], first, parents, path_of))

    async def _one(
        self,
        entity: Entity,
        column: str,
        loader_name: str,
        level: Level,
        field: GraphQLField,
        name: str,
        details: FieldDetailsList,
    ) -> list[Any]:
        """A field that leads to one object: each is answered once, however many lead to it."""
        keys = level.column(column)
        given = [key for key in dict.fromkeys(keys) if key is not None]
        loaders = self._context.loaders
        loader = (
            loaders.entity(entity.name)
            if loader_name == "entity"
            else getattr(loaders, loader_name)
        )
        rows = dict(zip(given, await loader.load_many(given), strict=True))
        selection = self._selection(get_named_type(field.type), details)
        if self.is_shared(entity, selection):
            there = [key for key in given if rows[key] is not None]
            first_at = {key: at for at, key in reversed(list(enumerate(keys)))}
            places = [first_at[key] for key in there]
        else:
            places = [
                at for at, key in enumerate(keys) if key is not None and rows[key] is not None
            ]
            there = [keys[at] for at in places]
        type_name = level.type.name

        def path_of(place: int) -> Path:
            return Path(level.path(places[place]), name, type_name)

        below = Level(selection.type, entity, [rows[key] for key in there], path_of)
        answers = await self._level(selection, below)
        if len(places) == len(keys):
            return answers
        if self.is_shared(entity, selection):
            of_key = dict(zip(there, answers, strict=True))
            self._repeat(answers, len(keys) - len(there))
            found = [of_key.get(key) for key in keys]
        else:
            of_place = dict(zip(places, answers, strict=True))
            found = [of_place.get(at) for at in range(len(keys))]
        if None in found and _is_required(field):
            raise Unfit
        return found

    async def _elements(
        self,
        level: Level,
        field: GraphQLField,
        query: Callable[..., Any],
        details: FieldDetailsList,
    ) -> list[Any] | None:
        """The elements of headers; None where more than plain fields are asked of them."""
        type_ = cast(GraphQLObjectType, get_named_type(field.type))
        selected = selection_of(self._executor, type_, details)
        if selected is None:
            return None
        given = self._arguments(field, details)
        names = {"hasWarnings": "has_warnings"}
        asked = query(**{names.get(name, name): value for name, value in given.items()})
        loader = self._context.loaders.elements_of(asked)
        rows = await loader.load_many(list(level.rows))
        return await write_elements(self._context.store, selected, rows, self._work)

    async def _each(
        self,
        type_: GraphQLObjectType,
        name: str,
        details: FieldDetailsList,
        objects: Sequence[Any],
        paths: Sequence[Path],
    ) -> list[Any]:
        """A field of each object, as graphql-core answers it."""
        found: list[Any] = []
        for start in range(0, len(objects), _AT_ONCE):
            part = slice(start, start + _AT_ONCE)
            found += await self._some(type_, name, details, objects[part], paths[part])
        return found

    async def _some(
        self,
        type_: GraphQLObjectType,
        name: str,
        details: FieldDetailsList,
        objects: Sequence[Any],
        paths: Sequence[Path],
    ) -> list[Any]:
        found: list[Any] = []
        awaited: dict[int, Awaitable[Any]] = {}
        executor = self._executor
        try:
            with self._work.busy():
                for at, (each, path) in enumerate(zip(objects, paths, strict=True)):
                    here = Path(path, name, type_.name)
                    value = executor.execute_field(type_, each, details, here, None)
                    if executor.is_awaitable(value):
                        awaited[at] = asyncio.ensure_future(value)
                    found.append(value)
                    if not at & 7 and self._work.is_over():
                        await self._work.next_turn()
            for at, value in zip(awaited, await asyncio.gather(*awaited.values()), strict=True):
                found[at] = value
        except BaseException:
            for waiting in awaited.values():
                cast(asyncio.Future[Any], waiting).cancel()
            await asyncio.gather(*awaited.values(), return_exceptions=True)
            raise
        return found

    def _arguments(self, field: GraphQLField, details: FieldDetailsList) -> dict[str, Any]:
        node = details[0].node
        if not field.args and not node.arguments:
            return {}
        executor = self._executor
        return get_argument_values(
            field, node, executor.variable_values, details[0].fragment_variable_values,
            executor.hide_suggestions,
        )  # fmt: skip

    def _needed(self, entity: Entity, selection: "_Selection") -> Columns:
        """The columns of an entity that the selection of a list reads; None for all."""
        if entity.described is None:
            return None
        needed: set[str] = {"id"}
        for details in selection.fields.values():
            name = details[0].node.name.value
            if name not in ("nodes", "edges"):
                continue
            nodes = self._edge(selection, details)
            if name == "edges":
                if not _has_only(nodes, ("cursor", "node")):
                    return None
                of_edges = [d for d in nodes.fields.values() if d[0].node.name.value == "node"]
                parts = [self._edge(nodes, of_edge) for of_edge in of_edges]
            else:
                parts = [nodes]
            for part in parts:
                columns = self._columns(entity, part)
                if columns is None:
                    return None
                needed |= columns
        return frozenset(needed)

    def _columns(self, entity: Entity, selection: "_Selection") -> set[str] | None:
        needed: set[str] = set()
        for details in selection.fields.values():
            if details[0].node.name.value == "__typename":
                continue
            field = self._executor.schema.get_field(selection.type, details[0].node.name.value)
            assert field is not None
            match self.kind(entity, field):
                case Read(column, _, _):
                    needed.add(column)
                case LeadsTo(_, column, _):
                    needed.add(column)
                case Listed() | Counted():
                    pass
                case _:
                    return None
        return needed

    def is_shared(self, entity: Entity, selection: "_Selection") -> bool:
        """Whether no error can have a path in it: then one answer is for all places."""
        for details in selection.fields.values():
            if details[0].node.name.value == "__typename":
                continue
            field = self._executor.schema.get_field(selection.type, details[0].node.name.value)
            assert field is not None
            match self.kind(entity, field):
                case Read() | Asked() | Counted():
                    pass
                case LeadsTo(other, _, _):
                    below = self._selection(get_named_type(field.type), details)
                    if not self.is_shared(ENTITIES[other], below):
                        return False
                case _:
                    return False
        return True

    def kind(self, entity: Entity, field: GraphQLField) -> Kind:
        """How a field of an entity is answered."""
        known = _KINDS.get(id(field))
        if known is None:
            known = _KINDS[id(field)] = (field, _kind_of(entity, field))
        return known[1]

    def _scalars(self, values: list[Any]) -> list[Any]:
        """Counts the bytes of values that go into the answer."""
        size = size_of_column(values)
        self._work.write(size, size)
        return values

    def _objects_of(
        self, names: Sequence[str], columns: Sequence[list[Any]], count: int
    ) -> list[dict[str, Any]]:
        if self._work.overrun is not None:
            raise self._work.overrun
        around = sum(map(len, names)) + 4 * len(names)
        self._work.write(count * around, count * (_OBJECT + _FIELD * len(names)))
        if not names:
            return [{} for _ in range(count)]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]

    def _repeat(self, answers: Sequence[dict[str, Any]], times: int) -> None:
        """Counts answers that stand at further places, by what one of them takes."""
        if answers and times > 0:
            size = size_of(answers[0])
            self._work.write(size * times, 16 * times)


_KINDS: dict[int, tuple[GraphQLField, Kind]] = {}
"""By the identity of fields, which live as long as the schema."""


class _Selection(NamedTuple):
    """A type, and what is asked of its objects."""

    type: GraphQLObjectType
    fields: GroupedFieldSet


class _AnyParent(NamedTuple):
    """In the place of the object whose list is asked for."""

    parent: Parent

    def as_parent(self) -> Parent:
        """As a parent of lists."""
        return self.parent


def _kind_of(entity: Entity, field: GraphQLField) -> Kind:
    defined = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    if defined is None or defined.extensions or defined.permission_classes:
        return None
    resolver = defined.base_resolver
    if resolver is not None:
        what = mark_of(resolver.wrapped_func)
        if what is not None:
            return what
    complete = completer(field.type)
    if complete is None:
        return None
    if resolver is None:
        name: str = defined.python_name
        if entity.described is not None:
            columns = _read_columns(entity.described)
            if name in columns:
                return Read(name, complete, columns[name])
            if name == "id":
                type_name = entity.type_name
                return Read("id", complete, lambda key: global_id(type_name, key))
    read = reader(field)
    return Asked(read) if read is not None else None


def _read_columns(described: Description) -> dict[str, Callable[[Any], Any] | None]:
    """The fields that are columns of a row, and what these become."""
    found: dict[str, Callable[[Any], Any] | None] = {}
    for attribute in (*described.attributes, *ROW_ATTRIBUTES):
        convert = None
        if attribute.choices is not None:
            enum = ENUMS[attribute.choices]
            convert = lambda value, enum=enum: enum(value) if value else None  # noqa: E731
        found[attribute.name] = convert
    return found


def _is_required(field: GraphQLField) -> bool:
    return is_non_null_type(field.type)


def _has_only(selection: _Selection, names: Sequence[str]) -> bool:
    asked = {details[0].node.name.value for details in selection.fields.values()}
    return asked <= {"__typename", *names}


def _split(answers: list[Any], pages: Sequence[Page]) -> list[Any]:
    """The answers of all lists in one, as those of each."""
    if len(pages) == 1:
        return [answers]
    parts, start = [], 0
    for page in pages:
        end = start + len(page.rows)
        parts.append(answers[start:end])
        start = end
    return parts


async def _parents(level: Level) -> list[Parent]:
    if level.entity.described is not None:
        return [Parent(key) for key in level.column("id")]
    return [each.as_parent() for each in await level.objects()]
