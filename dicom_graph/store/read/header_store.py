"""Headers, their elements, and what a series' headers hold together."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

from sqlalchemy import (
    FromClause,
    Row,
    Select,
    and_,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.store.answer_budget import current_budget
from dicom_graph.store.read.base_store import BaseStore
from dicom_graph.store.read.conditions import Condition, HasElement
from dicom_graph.store.read.element_values import (
    holders_of_any,
    holders_of_path,
    named,
    value_column,
)
from dicom_graph.store.read.elements import (
    DefinitionRow,
    ElementNode,
    ElementQuery,
    ElementRow,
    HeaderElements,
    SharedElements,
)
from dicom_graph.store.read.frame_differences import VaryingInFrames, frame_differences
from dicom_graph.store.read.held_ids import NO_ID, HeldIds
from dicom_graph.store.read.holders import images_that_hold
from dicom_graph.store.read.large_conditions import made
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.read.rows import SERIES_AT_ONCE, SMALL_ROW, all_rows, in_parts
from dicom_graph.store.read.summary import SeriesContents, count_elements, summarise
from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.sql.many_values import among, ids_parameter, join_in_order
from dicom_graph.store.tables.columns import DATA_ELEMENT, DATA_ELEMENT_VALUE
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.headers import ElementSet, Header
from dicom_graph.store.views.narrowing import visibility_conditions

_ID_MEMORY, _NODE_MEMORY = 10, 80
"""Bytes that an element takes in a list, and as a node of a tree, beside itself."""


class HeaderStore(BaseStore):
    """Questions about headers and elements."""

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
            ("headers", key), statement, {"ids": ids_parameter(self._sqlite, ids)}, SMALL_ROW
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
            for row in await all_rows(await connection.execute(statement), SMALL_ROW):
                found[row.element_id].append(row)
        return found

    async def elements_of(
        self, headers: Sequence[Row[Any]], query: ElementQuery
    ) -> list[list[ElementRow]]:
        """The elements of each header that the query asks for, in the order of their tags."""
        budget = current_budget()
        own: list[list[int]] = []
        async with self.database.read() as connection:
            shared = await self._set_members(connection, {h.shared_set_id for h in headers})
            everything = set(chain.from_iterable(shared.values()))
            for header in headers:
                own.append(unpack_ids(header.own))
                everything.update(own[-1])
                n_ids = len(own[-1]) + len(shared[header.shared_set_id])
                await budget.hold_and_share(_ID_MEMORY * n_ids)
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
            await budget.hold_and_share(_ID_MEMORY * len(found[-1]))
        return found

    async def elements_of_each(
        self, headers: Sequence[Row[Any]], queries: Sequence[ElementQuery]
    ) -> list[list[ElementRow | None]]:
        """For each query the first element of each header that it asks for, by tag.

        For queries of few definitions and many headers: nothing is made of the other elements.
        """
        budget = current_budget()
        async with self.database.read() as connection:
            definitions = await self._elements.current_definitions(connection)
            wanted = sorted(
                {d.id for d in definitions.values() if any(q.may_match(d) for q in queries)}
            )
            sets = await self._packed_sets(connection, {h.shared_set_id for h in headers})
            held = HeldIds(headers, sets)
            await budget.hold_and_share(_ID_MEMORY * len(held.ids))
            placed = await self._elements.placed_of(
                connection, held.ids.tolist(), wanted, self._sqlite
            )
            first: list[list[int]] = []
            for query in queries:
                chosen = [
                    place
                    for place in placed.values()
                    if query.matches(definitions[place.definition_id], place.tag)
                ]
                first.append(held.first_of([place.id for place in sorted(chosen)]))
                await budget.hold_and_share(0)
            found = set(chain.from_iterable(first)) - {NO_ID}
            rows = await self._elements.elements(connection, found, self._sqlite)
        return [list(map(rows.get, ids)) for ids in first]

    async def trees(
        self, headers: Sequence[Row[Any]], query: ElementQuery | None = None
    ) -> list[list[ElementNode]]:
        """The headers' elements with all nested ones; four statements for each level.

        `query`: which of the first level, in place of all.
        """
        budget = current_budget()
        contents = await self.elements_of(headers, query or ElementQuery())
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
            await budget.hold_and_share(_NODE_MEMORY * len(content))
        return trees

    async def images_of_element(self, element_id: int, limit: int) -> Sequence[int]:
        """The keys of some images that hold the element, at any depth."""
        statement = images_that_hold(element_id).limit(limit)
        async with self.database.read() as connection:
            return list((await connection.execute(statement)).scalars())

    async def series_contents(self, series_ids: Sequence[int]) -> dict[int, SeriesContents]:
        """What the headers of each series have in common, and what differs among them."""
        found: dict[int, SeriesContents] = {}
        for start in range(0, len(series_ids), SERIES_AT_ONCE):
            found |= await self._series_contents(series_ids[start : start + SERIES_AT_ONCE])
        return found

    async def frame_differences(
        self, series: Sequence[tuple[int, SeriesContents]]
    ) -> list[list[VaryingInFrames]]:
        """What differs among the frames of the images of each series."""
        per_frame = {id: contents.per_frame for id, contents in series}
        found = await frame_differences(per_frame, self.items, self.elements_of)
        return [found.get(id, []) for id, _ in series]

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
                await current_budget().hold_and_share(0)
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

    async def _set_members(
        self, connection: AsyncConnection, ids: Iterable[int | None]
    ) -> dict[int | None, list[int]]:
        """The members of shared sets; those of no set are none."""
        sets = await self._packed_sets(connection, ids)
        return {id: unpack_ids(members) for id, members in sets.items()}

    async def _packed_sets(
        self, connection: AsyncConnection, ids: Iterable[int | None]
    ) -> dict[int | None, bytes]:
        """The same as they are stored (`pack_ids`)."""
        packed: dict[int | None, bytes] = {None: b""}
        wanted = sorted(id for id in ids if id is not None)
        if wanted:
            statement = select(ElementSet.id, ElementSet.members).where(
                among(self._sqlite, ElementSet.id.expression, wanted)
            )
            for id, members in await connection.execute(statement):
                packed[id] = members
        return packed

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

    async def elements_of_series(
        self, name: HasElement, series_ids: Sequence[int]
    ) -> tuple[Sequence[tuple[int, int]], dict[int, ElementRow]]:
        """The different elements of a name, with values, that headers of each series hold: pairs
        of ids of series and elements, and the elements. Raises FilterError for a sequence.
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
        return pairs, rows

    async def elements_below(
        self, entity: str, path: Sequence[HasElement], ids: Sequence[int]
    ) -> dict[int, list[ElementRow]]:
        """The different elements at a path that the images of series, studies or patients hold.

        `entity`: which of these the ids are of.
        """
        async with self.database.read() as connection:
            pairs = await self._held_below(
                connection, entity, path, ids, lambda held: select(held.c.holder, held.c.leaf)
            )
            rows = await self._elements.elements(
                connection, {leaf for _, leaf in pairs}, self._sqlite
            )
        found: dict[int, list[ElementRow]] = defaultdict(list)
        for holder, leaf in sorted(map(tuple, pairs)):
            if leaf in rows:
                found[holder].append(rows[leaf])
        return found

    async def ends_below(
        self, entity: str, path: Sequence[HasElement], ids: Sequence[int]
    ) -> tuple[Sequence[tuple[int, int, int, int]], dict[int, ElementRow]]:
        """The least and the greatest id of these elements, and how many there are, behind the id of
        what holds them; and these elements.
        """

        def statement(held: FromClause) -> Select[Any]:
            leaf = held.c.leaf
            ends = select(held.c.holder, func.min(leaf), func.max(leaf), func.count(leaf))
            return ends.group_by(held.c.holder)

        async with self.database.read() as connection:
            found = await self._held_below(connection, entity, path, ids, statement)
            wanted = {id for _, least, greatest, _ in found for id in (least, greatest)}
            rows = await self._elements.elements(connection, wanted, self._sqlite)
        return found, rows

    async def _held_below(
        self,
        connection: AsyncConnection,
        entity: str,
        path: Sequence[HasElement],
        ids: Sequence[int],
        statement: Callable[[FromClause], Select[Any]],
    ) -> list[Any]:
        definitions = await self._elements.current_definitions(connection)
        # The definitions are those that are seen; which texts are shown makes no difference.
        held = holders_of_any(definitions, path, entity, "of_column")
        some = held.where(among(self._sqlite, held.selected_columns.holder, ids)).cte("held")
        found = await connection.execute(statement(some), execution_options={"visible": None})
        return await all_rows(found, _ID_MEMORY)

    async def kinds_at(self, path: Sequence[HasElement]) -> tuple[list[DefinitionRow], bool]:
        """The definitions of elements at the end of a path, and whether one has several values;
        whoever is limited is told of what images that are seen have.
        """
        async with self.database.read() as connection:
            definitions = await self._elements.current_definitions(connection)
            found = named(definitions, path[-1])
            if self.database.groups is None:
                ids = [definition.id for definition in found]
                return found, bool(ids) and await self._have_several(connection, ids)
            held = holders_of_any(definitions, path, "series", "of_kind").cte("held")
            statement = (
                select(DATA_ELEMENT.definition_id, func.max(DATA_ELEMENT.n_values))
                .select_from(join_in_order(held, DATA_ELEMENT.id, held.c.leaf))
                .group_by(DATA_ELEMENT.definition_id)
            )
            most = dict(map(tuple, await connection.execute(statement)))
        return [definitions[id] for id in most], max(most.values(), default=0) > 1

    async def _have_several(self, connection: AsyncConnection, ids: Sequence[int]) -> bool:
        """Whether an element of these definitions has more than one value."""
        value = DATA_ELEMENT_VALUE
        is_text = and_(value.text.is_not(None), value.number.is_(None))
        for is_indexed in (value.number.is_not(None), is_text):
            statement = select(value.element_id).where(
                value.definition_id.in_(ids), value.index > 0, is_indexed
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
