"""What the schema asks of the database. Every method opens its own short connection."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Row, func, select

from dicom_graph.store.dialect import among, first_of_each, parent_table, texts_among
from dicom_graph.store.engine import Database
from dicom_graph.store.idlist import unpack_ids
from dicom_graph.store.read.elements import DefinitionRow, ElementCache, ElementRow
from dicom_graph.store.read.pages import Page, PageRequest, make_page, order_by, page_statement
from dicom_graph.store.read.relations import ENTITY_TABLES, RELATIONS, Parent
from dicom_graph.store.tables import Directory, ElementSet, File, Header, ImportFailure


class ElementQuery(NamedTuple):
    """Which elements of a header; None means any. Tags have the block, or 00 for any block."""

    keywords: frozenset[str] | None = None
    tags: frozenset[int] | None = None
    private_creator: str | None = None
    private: bool | None = None

    def matches(self, definition: DefinitionRow, tag: int) -> bool:
        """Whether an element of this definition at this tag is asked for."""
        if self.keywords is not None and definition.keyword not in self.keywords:
            return False
        if self.tags is not None and not {tag, definition.tag} & self.tags:
            return False
        if self.private_creator is not None and definition.private_creator != self.private_creator:
            return False
        return self.private is None or self.private == bool(tag >> 16 & 1)


class Store:
    """The read side of one database."""

    def __init__(self, database: Database, *, element_cache_size: int = 100_000) -> None:
        self.database = database
        self._sqlite = database.is_sqlite
        self._elements = ElementCache(element_cache_size)

    async def page(self, entity: str, request: PageRequest) -> Page:
        """One page of all entities of a kind. Raises CursorError."""
        table = ENTITY_TABLES[entity]
        statement = page_statement(select(table), table, request)
        async with self.database.read() as connection:
            return make_page((await connection.execute(statement)).all(), request)

    async def count(self, entity: str) -> int:
        """The number of entities of a kind."""
        statement = select(func.count()).select_from(ENTITY_TABLES[entity])
        async with self.database.read() as connection:
            return int((await connection.execute(statement)).scalar_one())

    async def pages_of(
        self, relation: str, parents: Sequence[Parent], request: PageRequest
    ) -> dict[Parent, Page]:
        """The same page of each parent's list, in one statement. Raises CursorError."""
        child_name, condition = RELATIONS[relation]
        keys = parent_table(self._sqlite, parents)
        joined, child = first_of_each(
            self._sqlite,
            keys,
            ENTITY_TABLES[child_name],
            lambda table: page_statement(
                select(table).where(condition(table, keys)), table, request
            ),
        )
        statement = (
            select(keys.c.id.label("parent_id"), keys.c.patient_id.label("parent_patient_id"))
            .add_columns(*child.c)
            .select_from(joined)
            .order_by(*order_by(child, request))
        )
        rows: dict[Parent, list[Row[Any]]] = defaultdict(list)
        async with self.database.read() as connection:
            for row in await connection.execute(statement):
                rows[Parent(row[0], row[1])].append(row)
        return {parent: make_page(rows.get(parent, ()), request) for parent in parents}

    async def counts_of(self, relation: str, parents: Sequence[Parent]) -> dict[Parent, int]:
        """The lengths of the parents' lists."""
        child_name, condition = RELATIONS[relation]
        keys = parent_table(self._sqlite, parents)
        child = ENTITY_TABLES[child_name]
        count = select(func.count()).select_from(child).where(condition(child, keys))
        statement = select(keys.c.id, keys.c.patient_id, count.correlate(keys).scalar_subquery())
        async with self.database.read() as connection:
            rows = await connection.execute(statement)
            return {Parent(id, patient_id): total for id, patient_id, total in rows}

    async def by_ids(self, entity: str, ids: Sequence[int]) -> dict[int, Row[Any]]:
        """Entities by id."""
        table = ENTITY_TABLES[entity]
        statement = select(table).where(among(self._sqlite, table.c.id, ids))
        async with self.database.read() as connection:
            return {row.id: row for row in await connection.execute(statement)}

    async def by_uids(self, entity: str, uids: Sequence[str]) -> dict[str, Row[Any]]:
        """Entities by uid."""
        table = ENTITY_TABLES[entity]
        statement = select(table).where(texts_among(self._sqlite, table.c.uid, uids))
        async with self.database.read() as connection:
            return {row.uid: row for row in await connection.execute(statement)}

    async def headers(self, ids: Sequence[int]) -> dict[int, Row[Any]]:
        """Headers by id."""
        return await self._headers(Header.id.expression, ids, "id")

    async def headers_of_images(self, image_ids: Sequence[int]) -> dict[int, Row[Any]]:
        """Headers by the image; an image imported in minimal mode has none."""
        return await self._headers(Header.image_id.expression, image_ids, "image_id")

    async def _headers(self, column: Any, ids: Sequence[int], key: str) -> dict[int, Row[Any]]:
        statement = select(Header.__table__).where(among(self._sqlite, column, ids))
        async with self.database.read() as connection:
            return {row._mapping[key]: row for row in await connection.execute(statement)}

    async def items(self, element_ids: Sequence[int]) -> dict[int, list[Row[Any]]]:
        """The items of sequence elements, in order."""
        statement = (
            select(Header.__table__)
            .where(among(self._sqlite, Header.element_id.expression, element_ids))
            .order_by(Header.element_id, Header.index)
        )
        found: dict[int, list[Row[Any]]] = defaultdict(list)
        async with self.database.read() as connection:
            for row in await connection.execute(statement):
                found[row.element_id].append(row)
        return found

    async def elements_of(
        self, headers: Sequence[Row[Any]], query: ElementQuery
    ) -> list[list[ElementRow]]:
        """The elements of each header that the query asks for, in the order of their tags."""
        async with self.database.read() as connection:
            set_ids = sorted({h.shared_set_id for h in headers if h.shared_set_id is not None})
            shared: dict[int | None, list[int]] = {None: []}
            if set_ids:
                statement = select(ElementSet.id, ElementSet.members).where(
                    among(self._sqlite, ElementSet.id.expression, set_ids)
                )
                for id, members in await connection.execute(statement):
                    shared[id] = unpack_ids(members)
            contents = [[*shared[h.shared_set_id], *unpack_ids(h.own)] for h in headers]
            everything = {id for content in contents for id in content}
            placed = await self._elements.placed(connection, everything, self._sqlite)
            definitions = self._elements.known_definitions
            chosen = {
                id: place
                for id, place in placed.items()
                if query.matches(definitions[place.definition_id], place.tag)
            }
            rows = await self._elements.elements(connection, chosen, self._sqlite)
        return [
            [rows[place.id] for place in sorted(chosen[id] for id in content if id in chosen)]
            for content in contents
        ]

    async def elements(self, ids: Sequence[int]) -> dict[int, ElementRow]:
        """Elements by id."""
        async with self.database.read() as connection:
            return await self._elements.elements(connection, ids, self._sqlite)

    async def definitions(self) -> dict[int, DefinitionRow]:
        """All definitions by id."""
        async with self.database.read() as connection:
            return await self._elements.definitions(connection)

    async def files(self, image_ids: Sequence[int]) -> dict[int, list[Any]]:
        """The files of images, in the order of their paths."""
        statement = (
            select(File.image_id, Directory.path.label("directory"), File.name, File.size)
            .join(Directory, Directory.id == File.directory_id)
            .where(among(self._sqlite, File.image_id.expression, image_ids))
            .order_by(Directory.path, File.name)
        )
        found: dict[int, list[Any]] = defaultdict(list)
        async with self.database.read() as connection:
            for row in await connection.execute(statement):
                found[row.image_id].append(row)
        return found

    async def failures(self, job_ids: Sequence[int]) -> dict[int, list[Any]]:
        """The failures of import jobs, in the order of their appearance."""
        statement = (
            select(ImportFailure.job_id, ImportFailure.path, ImportFailure.message)
            .where(among(self._sqlite, ImportFailure.job_id.expression, job_ids))
            .order_by(ImportFailure.id)
        )
        found: dict[int, list[Any]] = defaultdict(list)
        async with self.database.read() as connection:
            for row in await connection.execute(statement):
                found[row.job_id].append(row)
        return found
