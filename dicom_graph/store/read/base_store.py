"""What all questions to a database need, and entities by their ids."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import copy
from typing import Any, Self

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Row,
    select,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.store.audit_subjects import note, noted
from dicom_graph.store.engine import Database
from dicom_graph.store.formats import Columns, columns_of
from dicom_graph.store.read.conditions import Condition, uses_elements
from dicom_graph.store.read.elements import (
    DefinitionRow,
    ElementCache,
)
from dicom_graph.store.read.filters import Filters
from dicom_graph.store.read.frequent_conditions import MANY_IMAGES, find_common
from dicom_graph.store.read.groups import filters_of
from dicom_graph.store.read.holders import ElementMatcher
from dicom_graph.store.read.job_feed import JobFeed
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.read.rows import ROW_MEMORY, all_rows
from dicom_graph.store.read.written_elements import WrittenElements
from dicom_graph.store.sql.many_values import among, ids_parameter, texts_among
from dicom_graph.store.tables.accounts import Secret
from dicom_graph.store.views.narrowing import WHOLE, Groups, visibility_conditions

_SORTING_AT_ONCE = 2
_SWEEP_BYTES = 24 << 20


class BaseStore:
    """The read side of one database: what the questions have in common."""

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
        self.deidentified: BaseStore | None = None
        self._note = note
        self.many_images = many_images
        self._sqlite = database.is_sqlite
        self._elements = ElementCache(element_cache_bytes)
        self.written = WrittenElements(element_cache_bytes // 4)
        self._sorting = asyncio.Semaphore(_SORTING_AT_ONCE)
        self._entity_tag_key: list[bytes] = []
        self.jobs = JobFeed(lambda ids: self.by_ids("import_job", ids))

    def limited_to(self, groups: Groups) -> Self:
        """The same store, and the same memory, for users who see only what these groups are
        granted.
        """
        limited = copy(self)
        limited.database = self.database.limited_to(groups)
        return limited

    @asynccontextmanager
    async def for_sweep(self) -> AsyncIterator[Self]:
        """The same store for reading all of it once, without pushing out what others need again."""
        sweeping = copy(self)
        sweeping._elements = self._elements.like(_SWEEP_BYTES)
        async with self.database.for_sweep() as sweeping.database:
            yield sweeping

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

    async def by_ids(
        self, entity: str, ids: Sequence[int], columns: Columns = None
    ) -> dict[int, Row[Any]]:
        """Entities by id, with these columns."""
        table = ENTITY_TABLES[entity]
        needed = noted(entity, columns)
        rows = await self.database.rows(
            ("by_ids", entity, needed),
            lambda: select(*columns_of(table, only=needed)).where(
                among(self._sqlite, table.c.id, ids, "ids")
            ),
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

    async def _filters(self, connection: AsyncConnection, wanted: Condition | None) -> Filters:
        """What makes the condition into SQL; it needs the definitions only for elements."""
        if not uses_elements(wanted):
            return filters_of(self._sqlite, {})
        definitions = await self._elements.current_definitions(connection)
        matcher = ElementMatcher(self._sqlite, definitions)
        common = await find_common(connection, matcher, wanted, self.many_images)
        return filters_of(self._sqlite, definitions, common)

    def _where(
        self, filters: Filters, entity: str, table: FromClause, wanted: Condition | None
    ) -> list[ColumnElement[bool]]:
        """What narrows a list: the condition, and what may be seen at all."""
        seen = visibility_conditions(entity, table) if self.database.is_narrowed else []
        return seen if wanted is None else [*seen, filters.where(entity, table, wanted)]

    def _is_searched(self, definition: DefinitionRow) -> bool:
        """Whether a search looks into the values of a definition."""
        return True
