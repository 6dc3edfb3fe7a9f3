"""The rows of a table of entities, read some thousand at a time."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from dicom_graph.exports.cells import different
from dicom_graph.exports.columns import RELATED, Column
from dicom_graph.store.global_ids import global_id
from dicom_graph.store.read import Condition, ElementQuery, PageRequest, Parent, Store
from dicom_graph.store.read.client_errors import answered
from dicom_graph.store.read.conditions import HasElement
from dicom_graph.store.read.csa_store import CsaValues
from dicom_graph.store.read.element_path import Step
from dicom_graph.store.read.elements import ElementRow
from dicom_graph.store.read.relations import DEFAULT_ORDERS
from dicom_graph.store.views.deidentified import is_withheld

_PAGE = 5000
_PAGE_OF_EACH = 500
"""Where a column has all that images of a row have, which may be many."""
_PAGE_OF_COMMON = 20_000
"""Where a column has what all images of a row have: all of it is looked through for each page."""
_FIRST_PAGE = 200
_KEYS = {"study": "study_id", "patient": "patient_id", "series": "series_id"}
_TYPES = {"patient": "Patient", "study": "Study", "series": "Series", "image": "Image"}


@dataclass(slots=True)
class Batch:
    """Rows of an entity, with what their columns need beside them.

    `related`: rows of what they belong to, by entity and id. `counts`: by relation and id.
    `elements`: by the name of a column and the id of the row; `of_images`: the different ones that
    the images of a row have; `csa`: the values of each of these, or of an image alone, at a path of
    CSA headers. `is_deidentified`: whether it is of the de-identified view, in which
    some fields have a value that stands for none.
    """

    entity: str
    rows: Sequence[Any]
    related: dict[str, Mapping[int, Any]] = field(default_factory=dict)
    counts: dict[str, Mapping[int, int]] = field(default_factory=dict)
    elements: dict[str, Mapping[int, ElementRow]] = field(default_factory=dict)
    of_images: dict[str, Mapping[int, Sequence[ElementRow]]] = field(default_factory=dict)
    csa: dict[str, Mapping[int, Sequence[CsaValues]]] = field(default_factory=dict)
    is_deidentified: bool = False

    def cells(self, column: Column) -> list[Any]:
        """The values of a column: of an element its ElementRow, or those of its images; of a CSA
        path its values, or a list of those of its images; None where there is none.
        """
        rows = self.rows
        if column.csa:
            told = [self.csa[column.csa].get(row.id, ()) for row in rows]
            if column.is_each:
                return [each or None for each in told]
            return [each[0] if len(each) == 1 else None for each in told]
        if column.is_each:
            of_images = self.of_images[column.name]
            return [of_images.get(row.id) for row in rows]
        if column.steps:
            elements = self.elements[column.name]
            return [elements.get(row.id) for row in rows]
        if column.relation:
            counts = self.counts[column.relation]
            return [counts[row.id] for row in rows]
        if column.attribute is None:
            return [str(global_id(_TYPES[self.entity], row.id)) for row in rows]
        name = column.attribute.name
        if self.is_deidentified and is_withheld(column.entity, name):
            return [None] * len(rows)
        owners = rows if column.entity == self.entity else self.owners(column.entity)
        cells = [None if owner is None else getattr(owner, name) for owner in owners]
        choices = column.attribute.choices
        if choices is not None:
            return [None if cell is None else choices(cell).name for cell in cells]
        return cells

    def owners(self, entity: str) -> list[Any]:
        """What each row belongs to, of a kind."""
        found, key = self.related[entity], _KEYS[entity]
        if self.entity == "image" and entity != "series":
            return [
                None if series is None else found.get(getattr(series, key))
                for series in self.owners("series")
            ]
        return [found.get(getattr(row, key)) for row in self.rows]


async def batches(
    store: Store, entity: str, wanted: Condition | None, columns: Sequence[Column]
) -> AsyncGenerator[Batch, None]:
    """All rows of an entity that fulfil a condition, in its default order; at least one batch.

    Raises BadInput.
    """
    related, shown = _needed(entity, columns), _shown(entity, columns)
    page_size = _page_size(entity, columns)
    after, size = None, page_size if page_size == _PAGE_OF_COMMON else _FIRST_PAGE
    while True:
        request = PageRequest(DEFAULT_ORDERS[entity], first=size, after=after)
        page = await answered(store.page(entity, request, wanted, shown))
        batch = Batch(entity, page.rows, is_deidentified=store.is_deidentified)
        await _add_related(store, batch, related, columns)
        await _add_counts(store, batch, columns)
        await _add_elements(store, batch, columns)
        await _add_csa(store, batch, columns)
        yield batch
        if not page.has_next:
            return
        after, size = request.cursor(page.rows[-1]), page_size


def _page_size(entity: str, columns: Sequence[Column]) -> int:
    if any(column.is_each or (column.csa and entity != "image") for column in columns):
        return _PAGE_OF_EACH
    has_common = entity != "image" and any(column.steps for column in columns)
    return _PAGE_OF_COMMON if has_common else _PAGE


def _needed(entity: str, columns: Iterable[Column]) -> list[str]:
    """The entities that columns are of, with those on the way to them."""
    named = {column.entity for column in columns} - {entity, ""}
    if entity == "image" and named:
        named.add("series")
    return [each for each in RELATED[entity] if each in named]


def _shown(entity: str, columns: Iterable[Column]) -> frozenset[str]:
    """The columns of the entity's own table that are read."""
    own = {c.attribute.name for c in columns if c.entity == entity and c.attribute is not None}
    return frozenset({"id", *_KEYS.values(), *own})


async def _add_related(
    store: Store, batch: Batch, related: Sequence[str], columns: Sequence[Column]
) -> None:
    for entity in related:
        key = _KEYS[entity]
        holders = batch.rows
        if batch.entity == "image" and entity != "series":
            holders = list(batch.related["series"].values())
        ids = {getattr(row, key) for row in holders} - {None}
        shown = _shown(entity, columns)
        batch.related[entity] = await store.by_ids(entity, sorted(ids), shown) if ids else {}


async def _add_counts(store: Store, batch: Batch, columns: Sequence[Column]) -> None:
    for relation in {column.relation for column in columns} - {""}:
        parents = [Parent(row.id) for row in batch.rows]
        counts = await store.counts_of(relation, parents)
        batch.counts[relation] = {parent.id: count for parent, count in counts.items()}


async def _add_elements(store: Store, batch: Batch, columns: Sequence[Column]) -> None:
    """Those of an image's own header, or of the images of what has some."""
    named = {column.name: column for column in columns if column.steps}
    if not named:
        return
    ids = [row.id for row in batch.rows]
    if batch.entity == "image":
        headers = await store.headers_of_images(ids)
        queries = list(dict.fromkeys(column.steps[0].query for column in named.values()))
        first = await _first_of(store, headers, queries)
        for name, column in named.items():
            found = first[queries.index(column.steps[0].query)]
            batch.elements[name] = await _below(store, found, column.steps)
        return
    for name, column in named.items():
        path = [step.condition for step in column.steps]
        if column.is_each:
            every = await store.elements_below(batch.entity, path, ids)
            batch.of_images[name] = {id: different(rows) for id, rows in every.items()}
        else:
            batch.elements[name] = await _common(store, batch.entity, path, ids)


async def _add_csa(store: Store, batch: Batch, columns: Sequence[Column]) -> None:
    paths = sorted({column.csa for column in columns} - {""})
    if not paths:
        return
    ids = [row.id for row in batch.rows]
    if batch.entity != "image":
        batch.csa.update(await store.csa_of_owners(batch.entity, paths, ids))
        return
    for path, values in (await store.csa_of_images(paths, ids)).items():
        batch.csa[path] = {id: [each] for id, each in values.items()}


async def _common(
    store: Store, entity: str, path: Sequence[HasElement], ids: Sequence[int]
) -> dict[int, ElementRow]:
    """The element at a path that all images of a row have which have one with a value."""
    ends, rows = await store.ends_below(entity, path, ids)
    # What many have is looked at once.
    pairs = {(least, greatest) for _, least, greatest, _ in ends}
    told = {pair: different(rows[id] for id in sorted({*pair}) if id in rows) for pair in pairs}
    found: dict[int, ElementRow] = {}
    unsure = []
    for holder, least, greatest, n in ends:
        some = told[least, greatest]
        if n > 2 and len(some) < 2:
            unsure.append(holder)
        elif len(some) == 1:
            found[holder] = some[0]
    if unsure:
        every = await store.elements_below(entity, path, unsure)
        of_holders = {holder: different(several) for holder, several in every.items()}
        found |= {holder: some[0] for holder, some in of_holders.items() if len(some) == 1}
    return found


async def _first_of(
    store: Store, headers: Mapping[int, Any], queries: Sequence[ElementQuery]
) -> list[dict[int, ElementRow]]:
    """Of each query the first element in the order of tags, by the key of the header."""
    rows = await store.elements_of_each(list(headers.values()), queries)
    return [dict(_held(headers, elements)) for elements in rows]


def _held(
    headers: Mapping[int, Any], elements: Sequence[ElementRow | None]
) -> Iterable[tuple[int, ElementRow]]:
    return (
        (key, element)
        for key, element in zip(headers, elements, strict=True)
        if element is not None
    )


async def _below(
    store: Store, found: dict[int, ElementRow], steps: Sequence[Step]
) -> dict[int, ElementRow]:
    """The element at the end of a path that begins with these, by the same keys.

    What is equal is stored once, and so is looked into once.
    """
    for step, next_step in pairwise(steps):
        ids = sorted({element.id for element in found.values()})
        items = await store.items(ids) if ids else {}
        place = step.item or 0
        headers = {id: items[id][place] for id in ids if len(items.get(id, ())) > place}
        (below,) = await _first_of(store, headers, [next_step.query])
        found = {key: below[each.id] for key, each in found.items() if each.id in below}
    return found
