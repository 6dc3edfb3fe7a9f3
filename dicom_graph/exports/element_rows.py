"""The elements of images as the rows of a long table: one row for each value of each element.

What is stored once is looked at once: an element is made into rows when a group of images first
has it, whatever their number, and each image says by numbers which of these rows it has.
"""

import datetime as dt
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.exports.columns import Column
from dicom_graph.store.read import Condition, PageRequest, Store
from dicom_graph.store.read.client_errors import answered
from dicom_graph.store.read.elements import ElementRow
from dicom_graph.store.read.header_comparison import step_name
from dicom_graph.store.read.plain_values import raw_text
from dicom_graph.store.read.relations import DEFAULT_ORDERS
from dicom_graph.store.sql.id_list import unpack_each, unpack_ids

Numbers = NDArray[np.int64]
_PAGE = 1_000
_FIRST_GROUP, _ROWS_AT_ONCE = 16, 250_000
_IMAGE_COLUMNS = frozenset({"id", "uid", "series_id", "number"})

IMAGE_COLUMNS = (
    Column("SOPInstanceUID", notes={"description": "the image whose header it is in"}),
    Column("SeriesInstanceUID", notes={"description": "the series of the image"}),
)
VALUE_COLUMNS = (
    Column("path", notes={"description": "where it is: keywords or tags, with item indexes"}),
    Column("tag", notes={"description": "(gggg,eeee) as in the file"}),
    Column("keyword", notes={"description": "null for what PS3.6 does not name"}),
    Column("privateCreator", notes={"description": "null for a standard element"}),
    Column("vr", notes={"description": "value representation"}),
    Column("length", "integer", notes={"description": "bytes of the element in the file"}),
    Column("index", "integer", notes={"description": "which value, from 0; null: it has none"}),
    Column("text", notes={"description": "the value as in the file, a binary number in digits"}),
    Column("number", "number", notes={"description": "the number of a value; AS in years"}),
    Column("date", "date", notes={"description": "the date of a DA"}),
    Column("time", "time", notes={"description": "the time of a TM"}),
    Column("datetime", "datetime", notes={"description": "of a DT; UTC where an offset is known"}),
)


class ValueCells(NamedTuple):
    """A row, but for its image; in the order of `VALUE_COLUMNS`. `place` is their `index`."""

    path: str
    tag: str
    keyword: str | None
    private_creator: str | None
    vr: str
    length: int
    place: int | None = None
    text: str | None = None
    number: float | None = None
    date: dt.date | None = None
    time: dt.time | None = None
    datetime: dt.datetime | None = None


@dataclass(slots=True)
class ElementBatch:
    """The rows of some images: `images[image]` beside `cells[cell]`, for each pair of numbers."""

    images: list[tuple[str, str | None]]
    cells: list[ValueCells]
    image: Numbers
    cell: Numbers


async def element_batches(
    store: Store, wanted: Condition | None, elements: Condition | None
) -> AsyncGenerator[ElementBatch, None]:
    """The elements of all images that fulfil a condition, in the images' default order and by tag.

    `elements`: what the elements fulfil themselves, at any depth. At least one batch. Raises
    BadInput.
    """
    after, size, series = None, _FIRST_GROUP, dict[int, str]()
    while True:
        request = PageRequest(DEFAULT_ORDERS["image"], first=min(size, _PAGE), after=after)
        page = await answered(store.page("image", request, wanted, _IMAGE_COLUMNS))
        ids = {row.series_id for row in page.rows} - {None}
        if not ids <= series.keys():
            series = {id: row.uid for id, row in (await store.by_ids("series", list(ids))).items()}
        headers = await store.headers_of_images([row.id for row in page.rows])
        held = [(row, headers[row.id]) for row in page.rows if row.id in headers]
        batch = await _batch(store, [header for _, header in held], elements)
        batch.images = [(row.uid, series.get(row.series_id)) for row, _ in held]
        yield batch
        if not page.has_next:
            return
        after = request.cursor(page.rows[-1])
        size = _next_size(min(size, _PAGE), len(batch.cell))


def _next_size(size: int, n_rows: int) -> int:
    """How many images come next, so that their rows fit into memory however many each has."""
    if not n_rows:
        return size * 4
    return max(1, min(size * 4, size * _ROWS_AT_ONCE // n_rows))


async def _batch(store: Store, headers: Sequence[Any], wanted: Condition | None) -> ElementBatch:
    sets = await store.members_of_sets({header.shared_set_id for header in headers})
    own, n_own = unpack_each([header.own for header in headers])
    shared = {id: np.array(members, np.int64) for id, members in sets.items()}
    ids = np.unique(np.concatenate([own, *shared.values()])) if headers else own
    contents = await _Contents.of(store, ids.tolist(), wanted)
    cells, ranks, starts, counts = contents.cells(ids.tolist())
    parts = {id: ranks[np.searchsorted(ids, members)] for id, members in shared.items()}
    of_own = np.split(ranks[np.searchsorted(ids, own)], np.cumsum(n_own)[:-1])
    image, rank = _in_order([
        np.concatenate((parts[header.shared_set_id], mine))
        for header, mine in zip(headers, of_own, strict=False)
    ])  # fmt: skip
    n = counts[rank]
    first = np.cumsum(n) - n
    cell = np.arange(n.sum()) - np.repeat(first - starts[rank], n)
    return ElementBatch([], cells, np.repeat(image, n), cell)


def _in_order(ranks: Sequence[Numbers]) -> tuple[Numbers, Numbers]:
    """The image and the rank of each of their elements, sorted."""
    if not ranks:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    image = np.repeat(np.arange(len(ranks)), [len(each) for each in ranks])
    rank = np.concatenate(ranks)
    width = int(rank.max(initial=0)) + 1
    key = image * width + rank
    key.sort()
    return np.divmod(key, width)


class _Contents:
    """Elements with all that is nested in them, and which of them are wanted."""

    def __init__(self) -> None:
        self._elements: dict[int, ElementRow] = {}
        self._items: Mapping[int, Sequence[Any]] = {}
        self._wanted: set[int] | None = None

    @classmethod
    async def of(cls, store: Store, ids: Sequence[int], wanted: Condition | None) -> "_Contents":
        """Those of these elements that are seen, a level after the other. Raises BadInput."""
        contents = cls()
        items: dict[int, Sequence[Any]] = {}
        if wanted is not None:
            contents._wanted = set()
        level = list(ids)
        while level:
            sequences = await contents._add(store, level, wanted)
            found = await store.items(sequences) if sequences else {}
            items |= found
            held = {id for rows in found.values() for row in rows for id in unpack_ids(row.own)}
            level = sorted(held - contents._elements.keys())
        contents._items = items
        return contents

    async def _add(self, store: Store, ids: Sequence[int], wanted: Condition | None) -> list[int]:
        """Read elements; returns which are sequences."""
        if wanted is None or self._wanted is None:
            found = await store.held_elements(ids)
        else:
            matching = await answered(store.elements_that(ids, wanted))
            self._wanted |= matching
            definitions = await store.definitions_of_elements(ids)
            sequences = {id for id, definition in definitions.items() if definition.vr == "SQ"}
            found = await store.held_elements(matching | sequences)
        self._elements |= found
        return sorted(id for id, row in found.items() if row.definition.vr == "SQ")

    def cells(self, ids: Sequence[int]) -> tuple[list[ValueCells], Numbers, Numbers, Numbers]:
        """The rows of elements, one behind the other in the order of tags; the rank of each id in
        that order; where the rows of each rank start, and how many there are.
        """
        order = sorted(range(len(ids)), key=lambda place: self._key(ids[place]))
        ranks = np.empty(len(ids), np.int64)
        ranks[order] = np.arange(len(ids))
        cells: list[ValueCells] = []
        starts = np.empty(len(ids) + 1, np.int64)
        for rank, place in enumerate(order):
            starts[rank] = len(cells)
            element = self._elements.get(ids[place])
            if element is not None:
                cells.extend(self._of_element(element, ""))
        starts[len(ids)] = len(cells)
        return cells, ranks, starts[:-1], np.diff(starts)

    def _key(self, id: int) -> tuple[int, int]:
        element = self._elements.get(id)
        return (-1 if element is None else element.tag, id)

    def _of_element(self, element: ElementRow, above: str) -> Iterator[ValueCells]:
        definition, tag = element.definition, format_tag(element.tag)
        path = above + step_name(element)
        keyword, creator = definition.keyword or None, definition.private_creator or None
        head = (path, tag, keyword, creator, definition.vr, element.length)
        if self._wanted is None or element.id in self._wanted:
            if not element.values:
                yield ValueCells(*head)
            for value in element.values:
                is_number = value.warning is None and definition.vr != "AT"
                number = value.number if is_number else None
                rest = (number, value.date, value.time, value.datetime)
                yield ValueCells(*head, value.position, raw_text(value), *rest)
        for index, item in enumerate(self._items.get(element.id, ())):
            held = [self._elements.get(id) for id in unpack_ids(item.own)]
            nested = [each for each in held if each is not None]
            for each in sorted(nested, key=lambda each: (each.tag, each.id)):
                yield from self._of_element(each, f"{path}[{index}].")
