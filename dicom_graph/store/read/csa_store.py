"""What images have at paths of their Siemens CSA headers, whole: a list in its order."""

from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Select, cast, null, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from dicom_graph.dicom.csa.header import CSA_IMAGE_HEADER, CSA_SERIES_HEADER, csa_header_kind
from dicom_graph.store.read.containing_images import images_with
from dicom_graph.store.read.header_store import HeaderStore
from dicom_graph.store.read.held_ids import NO_ID, HeldIds
from dicom_graph.store.read.rows import all_rows
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.sql.types import Text
from dicom_graph.store.tables.columns import (
    CSA_NUMBER,
    CSA_PART_ELEMENT,
    CSA_PATH,
    CSA_TEXT,
    IMAGE,
    SERIES,
)

CsaValues = tuple[float | str | None, ...]
"""What is at a path: a value, or those of a list, with None where one is missing."""
_XA_GROUPS = "SharedFunctionalGroupsSequence"
"""Stands for the protocol of software XA in it."""
_MEMORY = 100
_SERIES_AT_ONCE, _IMAGES_AT_ONCE = 50, 5_000


class CsaKind(NamedTuple):
    """What images that are seen have at a path."""

    has_numbers: bool
    has_texts: bool
    has_lists: bool


@dataclass(slots=True)
class _Place:
    """What an element has at a path: a value, the values of a list, or something without any."""

    value: float | str | None = None
    listed: dict[int, float | str] = field(default_factory=dict)

    @property
    def values(self) -> CsaValues:
        if self.listed:
            return tuple(self.listed.get(n) for n in range(max(self.listed) + 1))
        return () if self.value is None else (self.value,)


class CsaStore(HeaderStore):
    """Questions about the values in CSA headers."""

    async def csa_kind(self, path: str) -> CsaKind:
        """What images that are seen have at a path."""
        listed = CSA_PATH.list_path == path
        at = (CSA_PATH.path == path) | listed
        numbers = select(CSA_NUMBER.holder_id).join(
            CSA_PATH.id.table, CSA_PATH.id == CSA_NUMBER.path_id
        )
        texts = (
            select(CSA_TEXT.holder_id)
            .join(CSA_PATH.id.table, CSA_PATH.id == CSA_TEXT.path_id)
            .where(CSA_TEXT.text.is_not(None))
        )
        async with self.database.read() as connection:
            return CsaKind(
                await self._is_there(connection, numbers.where(at)),
                await self._is_there(connection, texts.where(at)),
                await self._is_there(connection, numbers.where(listed), texts.where(listed)),
            )

    async def _is_there(self, connection: AsyncConnection, *holders: Select[Any]) -> bool:
        """Whether an image that is seen has one of these CSA headers, or parts of such."""
        held = (union_all(*holders) if len(holders) > 1 else holders[0]).cte()
        parts = select(CSA_PART_ELEMENT.element_id).where(
            CSA_PART_ELEMENT.part_id.in_(select(-held.c.holder_id).where(held.c.holder_id < 0))
        )
        own = select(held.c.holder_id).where(held.c.holder_id > 0)
        found: Any = union_all(own, parts)
        if self.database.groups is not None:
            found = images_with(select(found.cte().c.holder_id))
        return (await connection.execute(select(found.subquery()).limit(1))).first() is not None

    async def csa_of_images(
        self, paths: Sequence[str], image_ids: Sequence[int]
    ) -> dict[str, dict[int, CsaValues]]:
        """By path and image what it has there; what the image's header has hides the series'."""
        headers = await self.headers_of_images(image_ids)
        async with self.database.read() as connection:
            definitions = await self._elements.current_definitions(connection)
            kinds = {id: kind for id, d in definitions.items() if (kind := _kind(d)) is not None}
            sets = await self._packed_sets(connection, {h.shared_set_id for h in headers.values()})
            held = HeldIds(list(headers.values()), sets)
            placed = await self._elements.placed_of(
                connection, held.ids.tolist(), sorted(kinds), self._sqlite
            )
            found = await self._places(connection, paths, sorted(placed))
        ordered = [place.id for place in sorted(placed.values())]
        told: dict[str, dict[int, CsaValues]] = {}
        for path, places in found.items():
            first = []
            for kind in (CSA_IMAGE_HEADER, CSA_SERIES_HEADER):
                of_kind = [id for id in ordered if kinds[placed[id].definition_id] == kind]
                first.append(held.first_of([id for id in of_kind if id in places]))
            values = {id: place.values for id, place in places.items()}
            chosen = (
                image if image != NO_ID else series for image, series in zip(*first, strict=True)
            )
            told[path] = {
                image_id: values[id]
                for image_id, id in zip(headers, chosen, strict=True)
                if id != NO_ID and values[id]
            }
        return told

    async def csa_of_owners(
        self, entity: str, paths: Sequence[str], ids: Sequence[int]
    ) -> dict[str, dict[int, list[CsaValues]]]:
        """By path and series, study or patient the different values that its images have there."""
        found: dict[str, dict[int, dict[CsaValues, None]]] = {
            path: defaultdict(dict) for path in paths
        }
        async for owners in self._images_of(entity, ids):
            told = await self.csa_of_images(paths, list(owners))
            for path, values in told.items():
                for image_id, each in values.items():
                    found[path][owners[image_id]][each] = None
        return {
            path: {id: sorted(values, key=_sort_key) for id, values in by_owner.items()}
            for path, by_owner in found.items()
        }

    async def _images_of(self, entity: str, ids: Sequence[int]) -> AsyncIterator[dict[int, int]]:
        """The owners of images by the ids of these, some thousand at a time."""
        column = {"series": SERIES.id, "study": SERIES.study_id, "patient": SERIES.patient_id}[
            entity
        ]
        statement = select(SERIES.id, column).where(among(self._sqlite, column, ids))
        async with self.database.read() as connection:
            owners = dict(map(tuple, await all_rows(await connection.execute(statement), _MEMORY)))
        series_ids = list(owners)
        for start in range(0, len(series_ids), _SERIES_AT_ONCE):
            some = series_ids[start : start + _SERIES_AT_ONCE]
            images = select(IMAGE.id, IMAGE.series_id).where(
                among(self._sqlite, IMAGE.series_id, some)
            )
            async with self.database.read() as connection:
                rows = await all_rows(await connection.execute(images), _MEMORY)
            for first in range(0, len(rows), _IMAGES_AT_ONCE):
                yield {id: owners[series] for id, series in rows[first : first + _IMAGES_AT_ONCE]}

    async def _places(
        self, connection: AsyncConnection, paths: Sequence[str], elements: Sequence[int]
    ) -> dict[str, dict[int, _Place]]:
        """What elements have at paths, by path and element."""
        found: dict[str, dict[int, _Place]] = {path: defaultdict(_Place) for path in paths}
        named = (CSA_PATH.path.in_(paths), CSA_PATH.list_path.in_(paths))
        known = await connection.execute(
            union_all(
                *(select(CSA_PATH.id, CSA_PATH.path, CSA_PATH.list_path).where(n) for n in named)
            )
        )
        at = {id: (path, list_path) for id, path, list_path in known}
        statement = self._values(list(at), elements)
        for path_id, element, number, text in await all_rows(
            await connection.execute(statement), _MEMORY
        ):
            path, list_path = at[path_id]
            value = text if number is None else number
            if path in found:
                found[path][element].value = value
            if list_path in found and value is not None:
                found[list_path][element].listed[int(path[len(list_path) + 1 : -1])] = value
        return found

    def _values(self, path_ids: Sequence[int], elements: Sequence[int]) -> Select[Any]:
        """Rows of a path's id, an element, a number and a text."""
        parts = CSA_PART_ELEMENT
        arms: list[Select[Any]] = []
        no_text, no_number = cast(null(), Text), cast(null(), CSA_NUMBER.number.type)
        for table, values in (
            (CSA_NUMBER, (CSA_NUMBER.number.label("number"), no_text.label("text"))),
            (CSA_TEXT, (no_number.label("number"), CSA_TEXT.text.label("text"))),
        ):
            is_at = table.path_id.in_(path_ids)
            own = among(self._sqlite, table.holder_id, elements)
            arms.append(
                select(table.path_id, table.holder_id.label("element"), *values).where(is_at, own)
            )
            of_part = select(table.path_id, parts.element_id.label("element"), *values)
            arms.append(
                of_part.join(parts.part_id.table, parts.part_id == -table.holder_id).where(
                    is_at, table.holder_id < 0, among(self._sqlite, parts.element_id, elements)
                )
            )
        return select(union_all(*arms).subquery())


def _kind(definition: Any) -> int | None:
    if definition.keyword == _XA_GROUPS:
        return CSA_SERIES_HEADER
    return csa_header_kind(definition.tag, definition.private_creator)


def _sort_key(values: CsaValues) -> list[tuple[bool, float, str]]:
    """Numbers before texts."""
    return [(True, 0.0, v) if isinstance(v, str) else (False, v or 0.0, "") for v in values]
