"""Pages of images and series that are sorted by values of elements.

All of a list is looked at, some 30 µs for each object; of the list of all images only the
beginning that an index of values tells.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import FromClause, Row, Select, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.store.answer_budget import current_budget
from dicom_graph.store.formats import columns_of
from dicom_graph.store.read.conditions import Condition
from dicom_graph.store.read.element_orders import ElementOrders
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.groups import filters_of
from dicom_graph.store.read.index_ranges import growing_ranges
from dicom_graph.store.read.large_conditions import made
from dicom_graph.store.read.orders import order_key
from dicom_graph.store.read.pages import Keys, Page, PageRequest, make_page
from dicom_graph.store.read.relations import ENTITY_TABLES, RELATIONS, Parent
from dicom_graph.store.read.rows import all_rows
from dicom_graph.store.read.sorted_pages import Listed, SortedRow, cut_page
from dicom_graph.store.sql.many_values import among, parent_table
from dicom_graph.store.tables.entities import Image, Series
from dicom_graph.store.tables.headers import Header

_AT_ONCE = 2000
"""Headers in memory."""
_LISTED = 250
"""About the bytes of memory that one of the list takes."""


class Sorter:
    """Reads the pages of one request on one connection; `definitions` are all that there are."""

    def __init__(
        self,
        connection: AsyncConnection,
        sqlite: bool,
        definitions: Mapping[int, DefinitionRow],
        entity: str,
        request: PageRequest,
    ) -> None:
        self._connection = connection
        self._sqlite = sqlite
        self._filters = filters_of(sqlite, definitions)
        self._orders = ElementOrders(connection, sqlite, definitions)
        self._entity = entity
        self._request = request
        self._keys: Keys = [
            self._orders.column(order.path)
            if order.path
            else order_key(sqlite, entity, ENTITY_TABLES[entity], order.name)
            for order in request.order
        ]

    async def page(self, wanted: Condition | None) -> Page:
        """One page of the entities of the kind. Raises CursorError."""
        page = await self._page_at_beginning() if wanted is None else None
        if page is None:
            listed = await self._listed(
                await made(self._connection, wanted, lambda: self._of_all(wanted))
            )
            page = (await self._pages({None: listed.get(None, [])}))[None]
        return page

    async def pages_of(
        self, relation: str, parents: Sequence[Parent], wanted: Condition | None
    ) -> dict[Parent, Page]:
        """The same page of each parent's list. Raises CursorError."""
        statement = await made(
            self._connection, wanted, lambda: self._of_parents(relation, parents, wanted)
        )
        listed = await self._listed(statement)
        pages = await self._pages({parent: listed.get(parent, []) for parent in parents})
        return {parent: pages[parent] for parent in parents}

    async def _page_at_beginning(self) -> Page | None:
        if self._entity != "image":
            return None
        async for near in growing_ranges(self._orders, self._request, self._keys):
            listed = (await self._listed(self._of_all(near.condition))).get(None, [])
            listed = [one for one in listed if near.holds(one.values[0])]
            found = cut_page(listed, self._keys, self._request)
            if len(found) > self._request.size or near.limit is None:
                return (await self._pages({None: listed}))[None]
        return None

    def _of_all(self, wanted: Condition | None) -> Select[Any]:
        table = ENTITY_TABLES[self._entity]
        statement = select(null().label("parent"), null().label("patient"), table.c.id)
        narrowed = [] if wanted is None else [self._filters.where(self._entity, table, wanted)]
        return statement.add_columns(*self._plain_keys(table)).where(*narrowed)

    def _of_parents(
        self, relation: str, parents: Sequence[Parent], wanted: Condition | None
    ) -> Select[Any]:
        table = ENTITY_TABLES[self._entity]
        keys = parent_table(self._sqlite, parents)
        narrowed = [] if wanted is None else [self._filters.where(self._entity, table, wanted)]
        return (
            select(keys.c.id.label("parent"), keys.c.patient_id.label("patient"), table.c.id)
            .add_columns(*self._plain_keys(table))
            .select_from(keys.join(table, RELATIONS[relation].condition(table, keys)))
            .where(*narrowed)
        )

    def _plain_keys(self, table: FromClause) -> list[Any]:
        return [
            order_key(self._sqlite, self._entity, table, order.name).label(f"plain_{place}")
            for place, order in enumerate(self._request.order)
            if not order.path
        ]

    async def _listed(self, statement: Select[Any]) -> dict[Parent | None, list[Listed]]:
        """All of the lists, with what they are sorted by."""
        rows = await all_rows(await self._connection.execute(statement), _LISTED)
        values = await self._element_values({row.id for row in rows})
        listed: dict[Parent | None, list[Listed]] = defaultdict(list)
        budget = current_budget()
        for place_in_list, (parent, patient, id, *plain) in enumerate(rows):
            if not place_in_list % _AT_ONCE:
                await budget.hold_and_share(0)
            rest = iter(plain)
            keys = [
                values[place].get(id) if order.path else next(rest)
                for place, order in enumerate(self._request.order)
            ]
            owner = Parent(parent, patient) if parent is not None else None
            listed[owner].append(Listed(id, keys))
        return listed

    async def _element_values(self, ids: Iterable[int]) -> dict[int, dict[int, Any]]:
        """By the place in the order, then by the id of the image or series."""
        found: dict[int, dict[int, Any]] = defaultdict(dict)
        wanted = sorted(ids)
        for start in range(0, len(wanted), _AT_ONCE):
            await current_budget().hold_and_share(0)
            headers = await self._headers(wanted[start : start + _AT_ONCE])
            owners = {header.id: owner for owner, header in headers}
            for place, order in enumerate(self._request.order):
                if order.path:
                    values = await self._orders.values([row for _, row in headers], order.path)
                    found[place].update({owners[id]: value for id, value in values.items()})
        return found

    async def _headers(self, ids: Sequence[int]) -> list[tuple[int, Row[Any]]]:
        """The header of each image, or of the first image of each series."""
        statement = select(Header.__table__)
        if self._entity == "image":
            condition = among(self._sqlite, Header.image_id.expression, ids)
            rows = await self._connection.execute(statement.where(condition))
            return [(row.image_id, row) for row in rows]
        first = (
            select(Image.id)
            .where(Image.series_id == Series.id)
            .order_by(ENTITY_TABLES["image"].c.number.asc().nulls_first(), Image.id)
            .limit(1)
            .correlate(Series)
            .scalar_subquery()
        )
        statement = statement.add_columns(Series.id.label("series_id"))
        statement = statement.join(Series, Header.image_id == first)
        condition = among(self._sqlite, Series.id.expression, ids)
        rows = await self._connection.execute(statement.where(condition))
        return [(row.series_id, row) for row in rows]

    async def _pages(
        self, lists: Mapping[Parent | None, Sequence[Listed]]
    ) -> dict[Parent | None, Page]:
        cut = {
            parent: cut_page(listed, self._keys, self._request) for parent, listed in lists.items()
        }
        table = ENTITY_TABLES[self._entity]
        ids = sorted({one.id for listed in cut.values() for one in listed})
        statement = select(*columns_of(table)).where(among(self._sqlite, table.c.id, ids))
        rows = {row.id: row for row in await all_rows(await self._connection.execute(statement))}
        return {
            parent: make_page(
                [SortedRow(rows[one.id], one.values) for one in listed if one.id in rows],
                self._request,
            )
            for parent, listed in cut.items()
        }
