"""What the schema asks of the database. Every method opens its own short connection."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from itertools import chain
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    FromClause,
    Select,
    and_,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.store.audit_subjects import noted
from dicom_graph.store.formats import Columns, column_of, columns_of
from dicom_graph.store.read.conditions import (
    Condition,
    DiffersFromMajority,
    HasElement,
    uses_elements,
)
from dicom_graph.store.read.element_sorting import Sorter
from dicom_graph.store.read.elements import (
    DefinitionRow,
)
from dicom_graph.store.read.facets import FacetValue, element_facet, field_facet
from dicom_graph.store.read.file_store import FileStore
from dicom_graph.store.read.filters import Filters
from dicom_graph.store.read.group_requests import GroupKey, GroupPage, GroupRequest
from dicom_graph.store.read.group_rows import group_row, is_of_page, measured
from dicom_graph.store.read.groups import Grouped, filters_of
from dicom_graph.store.read.large_conditions import made
from dicom_graph.store.read.orders import order_key
from dicom_graph.store.read.page_counts import with_counts
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
    page_of_ids,
    page_statement,
)
from dicom_graph.store.read.relations import ENTITY_TABLES, RELATIONS, Parent
from dicom_graph.store.read.rows import ROW_MEMORY, ROWS_AT_ONCE, SMALL_ROW, all_rows
from dicom_graph.store.read.statistics import Statistics, statistics_statement
from dicom_graph.store.read.value_search import FoundValue, values_statement
from dicom_graph.store.sql.many_values import first_of_each, parent_table, parents_parameter
from dicom_graph.store.tables.columns import DATA_ELEMENT
from dicom_graph.store.views.narrowing import is_held


class Store(FileStore):
    """The read side of one database: its lists, and with the classes below it all else."""

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
                seen = self._where(filters_of(self._sqlite, {}), entity, table, None)
                return self._page_statement(entity, request, needed, seen)

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
                    return self._page_statement(entity, request, needed, where)

                statement = await made(connection, wanted, make)
                page = make_page(await all_rows(await connection.execute(statement)), request)
        self._note(entity, page.rows)
        return page

    def _page_statement(
        self,
        entity: str,
        request: PageRequest,
        columns: Columns,
        where: Sequence[ColumnElement[bool]],
    ) -> Select[Any]:
        """A page of the entities that fulfil all of the conditions."""
        table = ENTITY_TABLES[entity]
        keys = self._keys(entity, table, request)
        wanted = columns_of(table, only=columns)
        if len(request.order) == 1 or "id" not in table.c:
            page = page_statement(select(*wanted).where(*where), keys, request)
        else:
            # A database that sorts carries along what is selected: of all that it sorts.
            ids = page_statement(select(table.c.id).where(*where), keys, request)
            page = page_of_ids(ids, select(*wanted), table.c.id, keys, request)
        return self._with_counts(page, keys, request, columns)

    async def count(self, entity: str, wanted: Condition | None = None) -> int:
        """The number of entities of a kind."""
        table = ENTITY_TABLES[entity]

        def statement(filters: Filters) -> Select[Any]:
            where = self._where(filters, entity, table, wanted)
            return select(func.count().label("n")).select_from(table).where(*where)

        if wanted is None:
            unfiltered = filters_of(self._sqlite, {})
            rows = await self.database.rows(
                ("count", entity), lambda: statement(unfiltered), {}, SMALL_ROW
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
        at_once = max(1, ROWS_AT_ONCE // (request.size + 1))
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
        child_name = RELATIONS[relation][0]
        needed = noted(child_name, columns)

        def statement(filters: Filters) -> Select[Any]:
            return self._pages_statement(filters, relation, parents, request, wanted, needed)

        rows: dict[tuple[int, int | None], list[Any]] = defaultdict(list)
        if wanted is None and not request.has_elements:
            given = self._page_form(child_name, request)
            found = await self.database.rows(
                ("pages_of", relation, needed, given.form),
                lambda: statement(filters_of(self._sqlite, {})),
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

    def _pages_statement(
        self,
        filters: Filters,
        relation: str,
        parents: Sequence[Parent],
        request: PageRequest,
        wanted: Condition | None,
        columns: Columns,
    ) -> Select[Any]:
        """The rows of the page of each parent's list, with the key of their parent."""
        child_name, condition = RELATIONS[relation]
        keys = parent_table(self._sqlite, parents)

        def page_of_parent(table: FromClause) -> Select[Any]:
            narrowed = self._where(filters, child_name, table, wanted)
            related = select(table).where(condition(table, keys), *narrowed)
            return page_statement(related, self._keys(child_name, table, request), request)

        joined, child = first_of_each(self._sqlite, keys, ENTITY_TABLES[child_name], page_of_parent)
        sort_keys = self._keys(child_name, child, request)
        page = (
            select(keys.c.id.label("parent_id"), keys.c.patient_id.label("parent_patient_id"))
            .add_columns(*columns_of(child, ENTITY_TABLES[child_name], columns))
            .add_columns(*labelled(sort_keys))
            .select_from(joined)
            .order_by(*order_by(sort_keys, request))
        )
        return self._with_counts(page, sort_keys, request, columns)

    def _with_counts(
        self, page: Select[Any], keys: Keys, request: PageRequest, columns: Columns
    ) -> Select[Any]:
        unfiltered = filters_of(self._sqlite, {})
        return with_counts(
            page, keys, request, columns,
            lambda entity, table: self._where(unfiltered, entity, table, None),
        )  # fmt: skip

    def check_page(self, entity: str, request: PageRequest) -> None:
        """Raises CursorError for a cursor that a list in this order did not give."""
        self._page_form(entity, request)

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
                lambda: statement(filters_of(self._sqlite, {})),
                {"parents": parents_parameter(self._sqlite, parents)},
                SMALL_ROW,
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

    async def ties(self, entity: str, condition: DiffersFromMajority) -> tuple[int, int]:
        """How many groups of a condition have no majority, and how many objects are of them.

        Raises FilterError.
        """
        async with self.database.read() as connection:
            filters = await self._filters(connection, condition)
            grouped = Grouped(filters, entity, None, [None], lambda narrowed, table: [])
            statement = await made(connection, condition, lambda: grouped.tied(condition))
            n_groups, n_objects = (await connection.execute(statement)).one()
        return n_groups, n_objects

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
            filters_of(self._sqlite, definitions), entity, relation, parents,
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
            filters = filters_of(self._sqlite, definitions)
            statement = await made(
                connection, wanted, lambda: element_facet(filters, entity, path, wanted, limit)
            )
            return [FacetValue(*row) for row in await connection.execute(statement)]

    async def search_values(self, words: Sequence[str], limit: int) -> list[FoundValue]:
        """Returns texts of elements that hold all words, in either case, the shortest first."""
        async with self.database.read() as connection:
            definitions = await self._elements.current_definitions(connection)
            searched = [each for each in definitions.values() if self._is_searched(each)]
            is_seen = _is_seen if self.database.is_narrowed else None
            statement = values_statement(self._sqlite, searched, words, limit, is_seen)
            return [FoundValue(*row) for row in await connection.execute(statement)]


def _is_seen(element_id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the element of a column is seen, and an image that is seen holds it."""
    # Looked up one by one: all that are seen are many more than a search finds. Not EXISTS, which
    # PostgreSQL would make into a join with them.
    element = DATA_ELEMENT.id.table.alias("seen_element")
    shown = select(element.c.id).where(element.c.id == element_id).limit(1).scalar_subquery()
    return and_(shown.is_not(None), is_held(element_id))
