"""What the schema asks of the database. Every method opens its own short connection."""

import asyncio
import hmac
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from copy import copy
from itertools import chain
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    FromClause,
    Row,
    Select,
    and_,
    case,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.dicom.elements import Item
from dicom_graph.dicom.entities import Entities
from dicom_graph.store.audit_subjects import note, noted
from dicom_graph.store.engine import Database
from dicom_graph.store.formats import Columns, column_of, columns_of
from dicom_graph.store.ingest.missing_images import has_header
from dicom_graph.store.ingest.origin import is_as_stored
from dicom_graph.store.read.conditions import Condition, HasElement, uses_elements
from dicom_graph.store.read.element_sorting import Sorter
from dicom_graph.store.read.element_values import holders_of_path, value_column
from dicom_graph.store.read.elements import (
    DefinitionRow,
    ElementCache,
    ElementNode,
    ElementQuery,
    ElementRow,
    HeaderElements,
    Placed,
    SharedElements,
)
from dicom_graph.store.read.facets import FacetValue, element_facet, field_facet
from dicom_graph.store.read.filters import Filters
from dicom_graph.store.read.frequent_conditions import MANY_IMAGES, find_common
from dicom_graph.store.read.group_requests import GroupKey, GroupPage, GroupRequest
from dicom_graph.store.read.groups import (
    Grouped,
    differing_from_majority,
    group_row,
    is_of_page,
    measured,
)
from dicom_graph.store.read.holders import ElementMatcher, images_that_hold
from dicom_graph.store.read.job_feed import JobFeed
from dicom_graph.store.read.large_conditions import made
from dicom_graph.store.read.orders import order_key
from dicom_graph.store.read.pages import (
    Keys,
    Page,
    PageForm,
    PageRequest,
    key_name,
    labelled,
    make_page,
    order_by,
    page_form,
    page_statement,
)
from dicom_graph.store.read.relations import ENTITY_TABLES, RELATIONS, Parent
from dicom_graph.store.read.rows import ROW_MEMORY, all_rows, in_parts
from dicom_graph.store.read.statistics import Statistics, statistics_statement
from dicom_graph.store.read.summary import SeriesContents, count_elements, summarise
from dicom_graph.store.read.value_search import FoundValue, values_statement
from dicom_graph.store.read.written import WrittenElements
from dicom_graph.store.sql.dialect import (
    among,
    first_of_each,
    ids_parameter,
    parent_table,
    parents_parameter,
    texts_among,
)
from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.tables.accounts import Secret
from dicom_graph.store.tables.archive import (
    Directory,
    ElementSet,
    File,
    Header,
    Image,
    ImportFailure,
    ImportJob,
)
from dicom_graph.store.tables.columns import DATA_ELEMENT, DATA_ELEMENT_VALUE
from dicom_graph.store.views.narrowing import WHOLE, Groups, is_held, visibility_conditions
from dicom_graph.store.work import current_work

_ROWS_AT_ONCE = 10_000
"""Of one statement, about; what it reads is in memory before it is counted."""
_SERIES_AT_ONCE = 50
_SORTING_AT_ONCE = 2
_SWEEP_BYTES = 24 << 20
_ID_MEMORY, _NODE_MEMORY, _SMALL_ROW = 10, 80, 400
"""Bytes that an element takes in a list, and as a node of a tree, beside itself; those of a row
of few columns.
"""


class Store:
    """The read side of one database."""

    def __init__(
        self,
        database: Database,
        *,
        element_cache_bytes: int = 128 << 20,
        many_images: int = MANY_IMAGES,
    ) -> None:
        """`many_images`: how many hold an element that is common (see `find_common`)."""
        self.database = database
        self.element_cache_bytes = element_cache_bytes
        self.deidentified: Store | None = None
        self._note = note
        self.many_images = many_images
        self._sqlite = database.is_sqlite
        self._elements = ElementCache(element_cache_bytes)
        self.written = WrittenElements(element_cache_bytes // 4)
        self._sorting = asyncio.Semaphore(_SORTING_AT_ONCE)
        self._entity_tag_key: list[bytes] = []
        self.jobs = JobFeed(lambda ids: self.by_ids("import_job", ids))

    def limited_to(self, groups: Groups) -> "Store":
        """The same store, and the same memory, for users who see only what these groups are
        granted.
        """
        limited = copy(self)
        limited.database = self.database.limited_to(groups)
        return limited

    def for_sweep(self) -> "Store":
        """The same store for reading all of it once, without pushing out what others need again."""
        sweeping = copy(self)
        sweeping._elements = self._elements.like(_SWEEP_BYTES)
        return sweeping

    @property
    def is_deidentified(self) -> bool:
        """Whether it shows no identities."""
        return self.database.visible_definitions is not None

    async def entity_tag_key(self) -> bytes:
        """A key that this database alone knows, for the tags of answers."""
        if not self._entity_tag_key:
            async with self.database.read() as connection:
                secret = select(Secret.value).where(Secret.name == "pseudonyms")
                found = await connection.execute(secret, execution_options=WHOLE)
                key = hmac.digest(found.scalar_one(), b"entity tags", "sha256")
                self._entity_tag_key.append(key)
        return self._entity_tag_key[0]

    async def page(
        self,
        entity: str,
        request: PageRequest,
        wanted: Condition | None = None,
        columns: Columns = None,
    ) -> Page:
        """One page of the entities of a kind, with these columns. Raises CursorError."""
        table = ENTITY_TABLES[entity]
        needed = noted(entity, columns)
        if wanted is None and not request.has_elements:
            given = self._page_form(entity, request)

            def all_of_them() -> Select[Any]:
                seen = self._where(Filters(self._sqlite, {}), entity, table, None)
                narrowed = select(*columns_of(table, only=needed)).where(*seen)
                return page_statement(narrowed, self._keys(entity, table, request), request)

            form = ("page", entity, needed, given.form)
            rows = await self.database.rows(form, all_of_them, given.parameters, ROW_MEMORY)
            page = make_page(rows, request)
            self._note(entity, page.rows)
            return page
        async with self._room(request), self.database.read() as connection:
            if request.has_elements:
                page = await (await self._sorter(connection, entity, request)).page(wanted)
            else:
                filters = await self._filters(connection, wanted)

                def make() -> Select[Any]:
                    where = self._where(filters, entity, table, wanted)
                    narrowed = select(*columns_of(table, only=needed)).where(*where)
                    return page_statement(narrowed, self._keys(entity, table, request), request)

                statement = await made(connection, wanted, make)
                page = make_page(await all_rows(await connection.execute(statement)), request)
        self._note(entity, page.rows)
        return page

    async def count(self, entity: str, wanted: Condition | None = None) -> int:
        """The number of entities of a kind."""
        table = ENTITY_TABLES[entity]

        def statement(filters: Filters) -> Select[Any]:
            where = self._where(filters, entity, table, wanted)
            return select(func.count().label("n")).select_from(table).where(*where)

        if wanted is None:
            unfiltered = Filters(self._sqlite, {})
            rows = await self.database.rows(
                ("count", entity), lambda: statement(unfiltered), {}, _SMALL_ROW
            )
            return int(rows[0].n)
        async with self.database.read() as connection:
            filters = await self._filters(connection, wanted)
            counted = await made(connection, wanted, lambda: statement(filters))
            return int((await connection.execute(counted)).scalar_one())

    async def pages_of(
        self,
        relation: str,
        parents: Sequence[Parent],
        request: PageRequest,
        wanted: Condition | None = None,
        columns: Columns = None,
    ) -> dict[Parent, Page]:
        """The same page of each parent's list, in one statement for some thousand rows.

        Raises CursorError.
        """
        at_once = max(1, _ROWS_AT_ONCE // (request.size + 1))
        pages: dict[Parent, Page] = {}
        for start in range(0, len(parents), at_once):
            some = parents[start : start + at_once]
            pages |= await self._pages_of(relation, some, request, wanted, columns)
        return pages

    async def _pages_of(
        self,
        relation: str,
        parents: Sequence[Parent],
        request: PageRequest,
        wanted: Condition | None,
        columns: Columns,
    ) -> dict[Parent, Page]:
        child_name, condition = RELATIONS[relation]
        needed = noted(child_name, columns)

        def statement(filters: Filters) -> Select[Any]:
            keys = parent_table(self._sqlite, parents)

            def page_of_parent(table: FromClause) -> Select[Any]:
                narrowed = self._where(filters, child_name, table, wanted)
                related = select(table).where(condition(table, keys), *narrowed)
                sort_keys = self._keys(child_name, table, request)
                return page_statement(related, sort_keys, request)

            joined, child = first_of_each(
                self._sqlite, keys, ENTITY_TABLES[child_name], page_of_parent
            )
            sort_keys = self._keys(child_name, child, request)
            return (
                select(keys.c.id.label("parent_id"), keys.c.patient_id.label("parent_patient_id"))
                .add_columns(*columns_of(child, ENTITY_TABLES[child_name], needed))
                .add_columns(*labelled(sort_keys))
                .select_from(joined)
                .order_by(*order_by(sort_keys, request))
            )

        rows: dict[tuple[int, int | None], list[Any]] = defaultdict(list)
        if wanted is None and not request.has_elements:
            given = self._page_form(child_name, request)
            found = await self.database.rows(
                ("pages_of", relation, needed, given.form),
                lambda: statement(Filters(self._sqlite, {})),
                {"parents": parents_parameter(self._sqlite, parents), **given.parameters},
                ROW_MEMORY,
            )
        else:
            async with self._room(request), self.database.read() as connection:
                if request.has_elements:
                    sorter = await self._sorter(connection, child_name, request)
                    pages = await sorter.pages_of(relation, parents, wanted)
                    sorted_rows = chain.from_iterable(page.rows for page in pages.values())
                    self._note(child_name, sorted_rows)
                    return pages
                filters = await self._filters(connection, wanted)
                made_statement = await made(connection, wanted, lambda: statement(filters))
                found = await all_rows(await connection.execute(made_statement))
        for row in found:
            rows[row[0], row[1]].append(row)
        pages = {parent: make_page(rows.get(parent, ()), request) for parent in parents}
        self._note(child_name, chain.from_iterable(page.rows for page in pages.values()))
        return pages

    def _page_form(self, entity: str, request: PageRequest) -> PageForm:
        """Raises CursorError."""
        has_cursor = request.after is not None or request.before is not None
        keys = self._keys(entity, ENTITY_TABLES[entity], request) if has_cursor else ()
        return page_form(keys, request)

    def _room(self, request: PageRequest) -> AbstractAsyncContextManager[object]:
        """A place among those that sort by elements, which takes memory for all of a list."""
        return self._sorting if request.has_elements else nullcontext()

    async def _sorter(
        self, connection: AsyncConnection, entity: str, request: PageRequest
    ) -> Sorter:
        definitions = await self._elements.current_definitions(connection)
        return Sorter(connection, self._sqlite, definitions, entity, request)

    async def counts_of(
        self, relation: str, parents: Sequence[Parent], wanted: Condition | None = None
    ) -> dict[Parent, int]:
        """The lengths of the parents' lists."""
        child_name, condition = RELATIONS[relation]
        child = ENTITY_TABLES[child_name]

        def statement(filters: Filters) -> Select[Any]:
            keys = parent_table(self._sqlite, parents)
            related = condition(child, keys), *self._where(filters, child_name, child, wanted)
            count = select(func.count()).select_from(child).where(*related)
            return select(keys.c.id, keys.c.patient_id, count.correlate(keys).scalar_subquery())

        if wanted is None:
            rows: Iterable[Any] = await self.database.rows(
                ("counts_of", relation),
                lambda: statement(Filters(self._sqlite, {})),
                {"parents": parents_parameter(self._sqlite, parents)},
                _SMALL_ROW,
            )
        else:
            async with self.database.read() as connection:
                filters = await self._filters(connection, wanted)
                rows = await connection.execute(
                    await made(connection, wanted, lambda: statement(filters))
                )
        return {Parent(id, patient_id): total for id, patient_id, total in rows}

    def _keys(self, entity: str, table: FromClause, request: PageRequest) -> Keys:
        """What a page of the table is sorted by; a page that was read already has its keys."""
        if key_name(0) in table.c:
            return [table.c[key_name(place)] for place in range(len(request.order))]
        return [order_key(self._sqlite, entity, table, order.name) for order in request.order]

    async def statistics(
        self,
        entity: str,
        relation: str | None,
        name: str,
        parents: Sequence[Parent | None],
        wanted: Condition | None = None,
    ) -> dict[Parent | None, Statistics]:
        """Statistics of a field over each parent's list, or over all entities (parent None)."""
        async with self.database.read() as connection:
            filters = await self._filters(connection, wanted)
            statement = await made(connection, wanted,
                lambda: statistics_statement(
                    filters, entity, relation, name, parents,
                    lambda narrowed, table: self._where(narrowed, entity, table, wanted),
                ),
            )  # fmt: skip
            return {
                Parent(id, patient_id) if id is not None else None: Statistics(*values)
                for id, patient_id, *values in await connection.execute(statement)
            }

    async def groups(
        self,
        entity: str,
        relation: str | None,
        request: GroupRequest,
        parents: Sequence[Parent | None],
        wanted: Condition | None = None,
    ) -> dict[Parent | None, GroupPage]:
        """A page of groups of each parent's list, or of all entities (parent None).

        One statement, and one for the definitions where elements are named. Raises FilterError.
        """
        keys = request.keys
        async with self.database.read() as connection:
            definitions = await self._definitions_for(connection, keys, wanted)
            grouped = self._grouped(entity, relation, parents, wanted, definitions)
            columns = grouped.columns(keys)
            statement = await made(connection, wanted, lambda: grouped.page(request))
            found: dict[Parent | None, GroupPage] = {}
            for row in await connection.execute(statement):
                parent = Parent(row.parent, row.patient) if row.parent is not None else None
                n_objects = row.n_objects if request.has_distinct else 0
                empty = GroupPage([], row.total, n_objects, columns, definitions or None)
                page = found.setdefault(parent, empty)
                if is_of_page(row, request):
                    page.rows.append(group_row(row, keys))
        return found

    async def group_figures(
        self,
        entity: str,
        relation: str | None,
        request: GroupRequest,
        asked: Sequence[tuple[Parent | None, GroupKey]],
        wanted: Condition | None = None,
        definitions: Mapping[int, DefinitionRow] | None = None,
    ) -> list[dict[tuple[Any, ...], Statistics]]:
        """Statistics of values in the groups of lists: of each value and list those by the keys.

        One statement; `definitions`: as a page of the groups had them. Raises FilterError.
        """
        values = list(dict.fromkeys(of for _, of in asked))
        parents = list(dict.fromkeys(parent for parent, _ in asked))
        found: dict[Any, dict[tuple[Any, ...], Statistics]] = defaultdict(dict)
        async with self.database.read() as connection:
            if definitions is None:
                keys = [*request.keys, *values]
                definitions = await self._definitions_for(connection, keys, wanted)
            grouped = self._grouped(entity, relation, parents, wanted, definitions)
            types: list[Any] = []

            def make() -> Any:
                statement, found_types = grouped.figures(request, values)
                types.extend(found_types)
                return statement

            for row in await connection.execute(await made(connection, wanted, make)):
                parent = Parent(row[0], row[1]) if row[0] is not None else None
                place = row[-1]
                n_with, least, greatest, *others = row[2:8]
                least, greatest = (measured(end, types[place]) for end in (least, greatest))
                statistics = Statistics(n_with, least, greatest, *others)
                found[parent, values[place]][tuple(row[8:-1])] = statistics
        return [found.get(each, {}) for each in asked]

    async def _definitions_for(
        self, connection: AsyncConnection, keys: Sequence[GroupKey], wanted: Condition | None
    ) -> Mapping[int, DefinitionRow]:
        if not uses_elements(wanted) and not any(key.path for key in keys):
            return {}
        return await self._elements.current_definitions(connection)

    def _grouped(
        self,
        entity: str,
        relation: str | None,
        parents: Sequence[Parent | None],
        wanted: Condition | None,
        definitions: Mapping[int, DefinitionRow],
    ) -> Grouped:
        # All of a list is grouped, so no condition is looked up from what others leave.
        return Grouped(
            Filters(self._sqlite, definitions), entity, relation, parents,
            lambda narrowed, table: self._where(narrowed, entity, table, wanted),
        )  # fmt: skip

    async def field_facet(
        self, entity: str, name: str, wanted: Condition | None, limit: int, *, each: bool = False
    ) -> list[FacetValue]:
        """The values of a column; of a list with `each` its members. Raises FilterError."""
        async with self.database.read() as connection:
            filters = await self._filters(connection, wanted)
            statement = await made(
                connection,
                wanted,
                lambda: field_facet(filters, entity, name, wanted, limit, each=each),
            )
            rows = [FacetValue(*row) for row in await connection.execute(statement)]
        if not each and isinstance(column_of(ENTITY_TABLES[entity], name).type, JSON):
            return [row._replace(value=json.loads(row.value or "null")) for row in rows]
        return rows

    async def element_facet(
        self, entity: str, path: Sequence[HasElement], wanted: Condition | None, limit: int
    ) -> list[FacetValue]:
        """The values of the element at the end of a path of names. Raises FilterError."""
        async with self.database.read() as connection:
            definitions = await self._elements.current_definitions(connection)
            filters = Filters(self._sqlite, definitions)
            statement = await made(
                connection, wanted, lambda: element_facet(filters, entity, path, wanted, limit)
            )
            return [FacetValue(*row) for row in await connection.execute(statement)]

    async def _filters(self, connection: AsyncConnection, wanted: Condition | None) -> Filters:
        """What makes the condition into SQL; it needs the definitions only for elements."""
        if not uses_elements(wanted):
            return Filters(self._sqlite, {}, differing=differing_from_majority)
        definitions = await self._elements.current_definitions(connection)
        matcher = ElementMatcher(self._sqlite, definitions)
        common = await find_common(connection, matcher, wanted, self.many_images)
        return Filters(self._sqlite, definitions, common, differing_from_majority)

    async def search_values(self, words: Sequence[str], limit: int) -> list[FoundValue]:
        """Returns texts of elements that hold all words, in either case, the shortest first."""
        async with self.database.read() as connection:
            definitions = await self._elements.current_definitions(connection)
            searched = [each for each in definitions.values() if self._is_searched(each)]
            is_seen = _is_seen if self.database.is_narrowed else None
            statement = values_statement(self._sqlite, searched, words, limit, is_seen)
            return [FoundValue(*row) for row in await connection.execute(statement)]

    def _is_searched(self, definition: DefinitionRow) -> bool:
        """Whether a search looks into the values of a definition."""
        return True

    async def by_ids(self, entity: str, ids: Sequence[int]) -> dict[int, Row[Any]]:
        """Entities by id."""
        table = ENTITY_TABLES[entity]
        rows = await self.database.rows(
            ("by_ids", entity),
            lambda: select(*columns_of(table)).where(among(self._sqlite, table.c.id, ids, "ids")),
            {"ids": ids_parameter(self._sqlite, ids)},
            ROW_MEMORY,
        )
        self._note(entity, rows)
        return {row.id: row for row in rows}

    async def by_uids(self, entity: str, uids: Sequence[str]) -> dict[str, Row[Any]]:
        """Entities by uid."""
        table = ENTITY_TABLES[entity]
        statement = select(*columns_of(table)).where(texts_among(self._sqlite, table.c.uid, uids))
        async with self.database.read() as connection:
            rows = await all_rows(await connection.execute(statement))
        self._note(entity, rows)
        return {row.uid: row for row in rows}

    async def headers(self, ids: Sequence[int]) -> dict[int, Row[Any]]:
        """Headers by id."""
        return await self._headers(Header.id.expression, ids, "id")

    async def headers_of_images(self, image_ids: Sequence[int]) -> dict[int, Row[Any]]:
        """Headers by the image; an image imported in minimal mode has none."""
        return await self._headers(Header.image_id.expression, image_ids, "image_id")

    async def _headers(self, column: Any, ids: Sequence[int], key: str) -> dict[int, Row[Any]]:
        table = ENTITY_TABLES["header"]

        def statement() -> Select[Any]:
            seen = visibility_conditions("header", table) if self.database.is_narrowed else ()
            return select(table).where(among(self._sqlite, column, ids, "ids"), *seen)

        rows = await self.database.rows(
            ("headers", key), statement, {"ids": ids_parameter(self._sqlite, ids)}, _SMALL_ROW
        )
        self._note("header", rows)
        return {row._mapping[key]: row for row in rows}

    async def items(self, element_ids: Sequence[int]) -> dict[int, list[Row[Any]]]:
        """The items of sequence elements, in order."""
        statement = (
            select(Header.__table__)
            .where(among(self._sqlite, Header.element_id.expression, element_ids))
            .order_by(Header.element_id, Header.index)
        )
        found: dict[int, list[Row[Any]]] = defaultdict(list)
        async with self.database.read() as connection:
            for row in await all_rows(await connection.execute(statement), _SMALL_ROW):
                found[row.element_id].append(row)
        return found

    async def elements_of(
        self, headers: Sequence[Row[Any]], query: ElementQuery
    ) -> list[list[ElementRow]]:
        """The elements of each header that the query asks for, in the order of their tags."""
        work = current_work()
        own: list[list[int]] = []
        async with self.database.read() as connection:
            shared = await self._set_members(connection, {h.shared_set_id for h in headers})
            everything = set(chain.from_iterable(shared.values()))
            for header in headers:
                own.append(unpack_ids(header.own))
                everything.update(own[-1])
                n_ids = len(own[-1]) + len(shared[header.shared_set_id])
                await work.hold_and_share(_ID_MEMORY * n_ids)
            placed = await self._elements.placed(connection, everything, self._sqlite)
            definitions = self._elements.known_definitions
            chosen = {
                id: place
                for id, place in placed.items()
                if query.matches(definitions[place.definition_id], place.tag)
            }
            rows = await self._elements.elements(connection, chosen, self._sqlite)
        # An element may have been pruned between the statements, with a header deleted before.
        chosen = {id: place for id, place in chosen.items() if id in rows}
        if query.has_warnings is not None:
            chosen = {
                id: place
                for id, place in chosen.items()
                if rows[id].has_warnings == query.has_warnings
            }
        bases: dict[int | None, SharedElements] = {}
        for set_id, members in shared.items():
            places = sorted(chosen[id] for id in members if id in chosen)
            bases[set_id] = SharedElements(places, [rows[place.id] for place in places])
        found: list[list[ElementRow]] = []
        for header, ids in zip(headers, own, strict=True):
            added = [chosen[id] for id in ids if id in chosen]
            found.append(HeaderElements(bases[header.shared_set_id], added, rows))
            await work.hold_and_share(_ID_MEMORY * len(found[-1]))
        return found

    async def elements_of_each(
        self, headers: Sequence[Row[Any]], queries: Sequence[ElementQuery]
    ) -> list[list[ElementRow | None]]:
        """For each query the first element of each header that it asks for, by tag.

        For queries of few definitions and many headers: nothing is made of the other elements.
        """
        work = current_work()
        async with self.database.read() as connection:
            definitions = await self._elements.current_definitions(connection)
            wanted = sorted(
                {d.id for d in definitions.values() if any(q.matches(d, d.tag) for q in queries)}
            )
            shared = await self._set_members(connection, {h.shared_set_id for h in headers})
            own = [unpack_ids(header.own) for header in headers]
            ids = set(chain(*shared.values(), *own))
            await work.hold_and_share(_ID_MEMORY * len(ids))
            placed = await self._elements.placed_of(connection, ids, wanted, self._sqlite)
            found: list[list[Placed | None]] = []
            for query in queries:
                chosen = {
                    id: place
                    for id, place in placed.items()
                    if query.matches(definitions[place.definition_id], place.tag)
                }
                of_sets = {id: _first(members, chosen) for id, members in shared.items()}
                found.append(
                    [
                        _first(members, chosen, of_sets[header.shared_set_id])
                        for header, members in zip(headers, own, strict=True)
                    ]
                )
                await work.hold_and_share(0)
            held = {place.id for places in found for place in places if place is not None}
            rows = await self._elements.elements(connection, held, self._sqlite)
        return [
            [rows.get(place.id) if place is not None else None for place in places]
            for places in found
        ]

    async def trees(self, headers: Sequence[Row[Any]]) -> list[list[ElementNode]]:
        """The headers' elements with all nested ones; four statements for each level."""
        work = current_work()
        contents = await self.elements_of(headers, ElementQuery())
        sequences = {e.id for content in contents for e in content if e.definition.vr == "SQ"}
        items = await self.items(sorted(sequences)) if sequences else {}
        rows = [row for id in sequences for row in items.get(id, ())]
        nested = await self.trees(rows) if rows else []
        below = {row.id: tree for row, tree in zip(rows, nested, strict=True)}

        def node(element: ElementRow) -> ElementNode:
            if element.definition.vr != "SQ":
                return ElementNode(element, None)
            return ElementNode(element, [below[row.id] for row in items.get(element.id, ())])

        trees: list[list[ElementNode]] = []
        for content in contents:
            trees.append(list(map(node, content)))
            await work.hold_and_share(_NODE_MEMORY * len(content))
        return trees

    async def images_of_element(self, element_id: int, limit: int) -> Sequence[int]:
        """The keys of some images that hold the element, at any depth."""
        statement = images_that_hold(element_id).limit(limit)
        async with self.database.read() as connection:
            return list((await connection.execute(statement)).scalars())

    async def series_contents(self, series_ids: Sequence[int]) -> dict[int, SeriesContents]:
        """What the headers of each series have in common, and what differs among them."""
        found: dict[int, SeriesContents] = {}
        for start in range(0, len(series_ids), _SERIES_AT_ONCE):
            found |= await self._series_contents(series_ids[start : start + _SERIES_AT_ONCE])
        return found

    async def _series_contents(self, series_ids: Sequence[int]) -> dict[int, SeriesContents]:
        statement = (
            select(Image.series_id, Header.id, Header.shared_set_id, Header.own)
            .join(Image, Image.id == Header.image_id)
            .where(among(self._sqlite, Image.series_id.expression, series_ids))
        )
        headers: dict[int | None, list[Any]] = {id: [] for id in series_ids}
        async with self.database.read() as connection:
            async for some in in_parts(await connection.execute(statement)):
                for row in some:
                    headers[row.series_id].append(row)
            set_ids = {row.shared_set_id for rows in headers.values() for row in rows}
            sets = await self._set_members(connection, set_ids)
            counts: dict[int | None, Counter[int]] = {}
            for id, of_series in headers.items():
                counts[id] = count_elements(of_series, sets)
                await current_work().hold_and_share(0)
            everything = {element for count in counts.values() for element in count}
            placed = await self._elements.placed(connection, everything, self._sqlite)
            counts = {
                id: Counter({e: uses for e, uses in count.items() if e in placed})
                for id, count in counts.items()
            }
            constant = {
                element
                for id, count in counts.items()
                for element, uses in count.items()
                if uses == len(headers[id])
            }
            rows = await self._elements.elements(connection, constant, self._sqlite)
            definitions = self._elements.known_definitions
        return {
            id: summarise(len(headers[id]), count, placed, rows, definitions)
            for id, count in counts.items()
            if id is not None
        }

    async def files_of_series(self, series_ids: Sequence[int]) -> dict[int, list[str]]:
        """The paths of all files of series, in order."""
        found: dict[int, list[str]] = {}
        for start in range(0, len(series_ids), _SERIES_AT_ONCE):
            found |= await self._files_of_series(series_ids[start : start + _SERIES_AT_ONCE])
        return found

    async def _files_of_series(self, series_ids: Sequence[int]) -> dict[int, list[str]]:
        statement = (
            select(Image.series_id, Directory.path, File.name)
            .join(File, File.image_id == Image.id)
            .join(Directory, Directory.id == File.directory_id)
            .where(among(self._sqlite, Image.series_id.expression, series_ids))
            .order_by(Directory.path, File.name)
        )
        found: dict[int, list[str]] = defaultdict(list)
        async with self.database.read() as connection:
            rows = await all_rows(await connection.execute(statement), _SMALL_ROW)
            for series_id, directory, name in rows:
                if series_id is not None:
                    found[series_id].append(os.path.join(directory, name))
        return found

    async def _set_members(
        self, connection: AsyncConnection, ids: Iterable[int | None]
    ) -> dict[int | None, list[int]]:
        """The members of shared sets; those of no set are none."""
        shared: dict[int | None, list[int]] = {None: []}
        wanted = sorted(id for id in ids if id is not None)
        if wanted:
            statement = select(ElementSet.id, ElementSet.members).where(
                among(self._sqlite, ElementSet.id.expression, wanted)
            )
            for id, members in await connection.execute(statement):
                shared[id] = unpack_ids(members)
        return shared

    async def members_of_sets(self, ids: Iterable[int | None]) -> dict[int | None, list[int]]:
        """The ids of the elements of shared sets; those of no set are none."""
        async with self.database.read() as connection:
            return await self._set_members(connection, ids)

    async def held_elements(self, ids: Iterable[int]) -> dict[int, ElementRow]:
        """Elements that headers hold which are seen: only what those told may be asked for."""
        async with self.database.read() as connection:
            return await self._elements.elements(connection, ids, self._sqlite)

    async def definitions_of_elements(self, ids: Iterable[int]) -> dict[int, DefinitionRow]:
        """Of such elements the definitions alone."""
        async with self.database.read() as connection:
            placed = await self._elements.placed(connection, ids, self._sqlite)
            known = self._elements.known_definitions
        return {id: known[place.definition_id] for id, place in placed.items()}

    async def elements_that(self, ids: Sequence[int], wanted: Condition) -> set[int]:
        """Which of such elements fulfil a condition. Raises FilterError."""
        table = ENTITY_TABLES["data_element"]
        async with self.database.read() as connection:
            filters = await self._filters(connection, wanted)
            statement = await made(
                connection,
                wanted,
                lambda: select(table.c.id).where(
                    among(self._sqlite, table.c.id, ids),
                    filters.where("data_element", table, wanted),
                ),
            )
            return set((await connection.execute(statement)).scalars())

    async def all_definitions(self) -> list[DefinitionRow]:
        """All definitions that are seen."""
        async with self.database.read() as connection:
            return list((await self._elements.current_definitions(connection)).values())

    async def elements_of_series(
        self, name: HasElement, series_ids: Sequence[int]
    ) -> dict[int, list[ElementRow]]:
        """The different elements of a name, with values, that the headers of each series hold.

        Raises FilterError for a sequence.
        """
        async with self.database.read() as connection:
            definitions = await self._elements.current_definitions(connection)
            column = value_column(definitions, name)
            held = holders_of_path(definitions, [name], column, images=False, label="of_rule")
            statement = select(held.c.holder, held.c.leaf).where(
                among(self._sqlite, held.c.holder, series_ids)
            )
            pairs = await all_rows(await connection.execute(statement.distinct()), _ID_MEMORY)
            ids = {leaf for _, leaf in pairs}
            rows = await self._elements.elements(connection, ids, self._sqlite)
        found: dict[int, list[ElementRow]] = defaultdict(list)
        for series_id, leaf in sorted(pairs, key=tuple):
            if leaf in rows:
                found[series_id].append(rows[leaf])
        return found

    async def have_several_values(self, definition_ids: Sequence[int]) -> bool:
        """Whether an element of these definitions has more than one value."""
        value = DATA_ELEMENT_VALUE
        is_text = and_(value.text.is_not(None), value.number.is_(None))
        async with self.database.read() as connection:
            for is_indexed in (value.number.is_not(None), is_text):
                statement = select(value.element_id).where(
                    value.definition_id.in_(definition_ids), value.index > 0, is_indexed
                )
                if (await connection.execute(statement.limit(1))).first() is not None:
                    return True
        return False

    async def elements(self, ids: Sequence[int]) -> dict[int, ElementRow]:
        """Elements by id."""
        async with self.database.read() as connection:
            await self._elements.forget_pruned(connection)
            if self.database.is_narrowed:
                table = ENTITY_TABLES["data_element"]
                known = among(self._sqlite, table.c.id, ids)
                seen = select(table.c.id).where(
                    known, *visibility_conditions("data_element", table)
                )
                ids = list((await connection.execute(seen)).scalars())
            return await self._elements.elements(connection, ids, self._sqlite)

    async def definitions(self, ids: Sequence[int]) -> dict[int, DefinitionRow]:
        """Definitions by id."""
        async with self.database.read() as connection:
            known = await self._elements.current_definitions(connection)
        return {id: known[id] for id in ids if id in known}

    async def files_to_read(self, image_ids: Sequence[int]) -> dict[int, list[Any]]:
        """The files that may be given for images that are seen, for the server to read: no path of
        them is shown.

        Only those whose header and size are those of the file that the stored header came from
        (`digest`; None where that was not noted: then `is_as_stored` tells).
        """
        is_noted = Image.header_digest.is_not(None)
        statement = (
            select(
                File.image_id, Directory.path.label("directory"), Directory.real_path, File.name,
                File.size, File.mtime_ns, File.link, Image.header_digest.label("digest"),
                case((is_noted, File.stamp)).label("stamp"),
            )
            .join(Directory, Directory.id == File.directory_id)
            .join(Image, Image.id == File.image_id)
            .where(
                among(self._sqlite, File.image_id.expression, image_ids),
                has_header(),
            )
            .order_by(Directory.path, File.name)
        )  # fmt: skip
        found: dict[int, list[Any]] = defaultdict(list)
        async with self.database.read() as connection:
            for row in await connection.execute(statement, execution_options=WHOLE):
                found[row.image_id].append(row)
        return found

    def is_as_stored(self, image_id: int, entities: Entities, elements: Item) -> bool:
        """Whether a header, read whole, is the one that is stored of an image."""
        with self.database.read_whole_sync() as connection:
            return is_as_stored(connection, image_id, entities, elements)

    async def files(self, image_ids: Sequence[int]) -> dict[int, list[Any]]:
        """The files of images, in the order of their paths, as they may be shown."""
        statement = (
            select(
                File.image_id, Directory.path.label("directory"), File.name, File.size,
                File.mtime_ns, File.missing_since,
            )
            .join(Directory, Directory.id == File.directory_id)
            .where(among(self._sqlite, File.image_id.expression, image_ids))
            .order_by(Directory.path, File.name)
        )  # fmt: skip
        found: dict[int, list[Any]] = defaultdict(list)
        async with self.database.read() as connection:
            result = await connection.execute(statement)
            for row in await all_rows(result, _SMALL_ROW):
                found[row.image_id].append(row)
        return found

    async def failures(
        self, job_ids: Sequence[int], *, skipped: bool = False
    ) -> dict[int, list[Any]]:
        """The failures of import jobs, or what they skipped, in the order of their appearance."""
        statement = (
            select(ImportFailure.id, ImportFailure.job_id, ImportFailure.path)
            .add_columns(ImportFailure.message)
            .where(among(self._sqlite, ImportFailure.job_id.expression, job_ids))
            .where(ImportFailure.is_skipped == skipped)
            .order_by(ImportFailure.id)
            .limit(_ROWS_AT_ONCE)
        )
        found: dict[int, list[Any]] = defaultdict(list)
        last: int | None = 0
        while last is not None:
            async with self.database.read() as connection:
                result = await connection.execute(statement.where(ImportFailure.id > last))
                rows = await all_rows(result, _SMALL_ROW)
            for row in rows:
                found[row.job_id].append(row)
            last = rows[-1].id if len(rows) == _ROWS_AT_ONCE else None
        return found

    async def retries(self, job_ids: Sequence[int]) -> dict[int, list[Any]]:
        """The jobs that read again what jobs failed on, oldest first."""
        statement = select(ImportJob.__table__).where(
            among(self._sqlite, ImportJob.retry_of.expression, job_ids)
        )
        found: dict[int, list[Any]] = defaultdict(list)
        async with self.database.read() as connection:
            for row in await connection.execute(statement.order_by(ImportJob.id)):
                found[row.retry_of].append(row)
        return found

    def _where(
        self, filters: Filters, entity: str, table: FromClause, wanted: Condition | None
    ) -> list[ColumnElement[bool]]:
        """What narrows a list: the condition, and what may be seen at all."""
        seen = visibility_conditions(entity, table) if self.database.is_narrowed else []
        return seen if wanted is None else [*seen, filters.where(entity, table, wanted)]


def _is_seen(element_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the element of a column is seen, and an image that is seen holds it."""
    return and_(element_id.in_(select(DATA_ELEMENT.id)), is_held(element_id))


def _first(
    members: Iterable[int], chosen: Mapping[int, Placed], known: Placed | None = None
) -> Placed | None:
    """The first of the chosen by tag, of members and one that is known."""
    found = [chosen[id] for id in members if id in chosen]
    if known is not None:
        found.append(known)
    return min(found, default=None)
