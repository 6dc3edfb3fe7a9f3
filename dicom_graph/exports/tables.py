"""Tables out: patients, studies, series, images and elements, as CSV, Parquet or Arrow."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Any

from dicom_graph.errors import BadInput
from dicom_graph.exports import arrow
from dicom_graph.exports.batches import batches
from dicom_graph.exports.columns import ENTITIES, entity_columns, typed
from dicom_graph.exports.csv_lines import entity_csv, line, lines, text_of
from dicom_graph.exports.element_rows import (
    IMAGE_COLUMNS,
    VALUE_COLUMNS,
    ElementBatch,
    element_batches,
)
from dicom_graph.exports.prefetch import prefetched
from dicom_graph.store.read import Condition, Store
from dicom_graph.store.read.client_errors import answered
from dicom_graph.store.read.no_majority import tie_warnings

TABLES = (*ENTITIES, "elements")
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.file",
}
"""The forms of tables, by the endings of their names."""
Chunks = AsyncGenerator[bytes, None]


@dataclass(frozen=True, slots=True)
class TableRequest:
    """Which table, and in which form, one of `MEDIA_TYPES`.

    `wanted`: what its entities fulfil, of `elements` their images. `columns`: beyond those of every
    such table. `elements`: of the table of elements, what they fulfil themselves.
    """

    table: str
    form: str
    wanted: Condition | None = None
    columns: Sequence[str] = ()
    elements: Condition | None = None

    @property
    def entity(self) -> str:
        """What `wanted` is about."""
        return ENTITIES.get(self.table, "image")

    @property
    def names_counts(self) -> bool:
        """Whether a column counts. Raises BadInput for a column that there is not."""
        return self.table in ENTITIES and any(
            column.relation for column in entity_columns(self.entity, self.columns)
        )


async def table(store: Store, request: TableRequest) -> Chunks:
    """The bytes of a table, in pieces; what is wrong with it is told by the first two.

    Raises BadInput, and ArrowMissing where pyarrow is needed and is not there.
    """
    if request.form != "csv":
        arrow.require_arrow()
    if request.table == "elements":
        if request.columns:
            raise BadInput("the table of elements has its own columns")
        make = _elements_csv if request.form == "csv" else _elements_arrow
    else:
        make = _entities_csv if request.form == "csv" else _entities_arrow
    async with store.for_sweep() as sweeping, aclosing(make(sweeping, request)) as chunks:
        async for chunk in chunks:
            yield chunk


async def _entities_csv(store: Store, request: TableRequest) -> Chunks:
    columns = entity_columns(request.entity, request.columns)
    async for text in entity_csv(store, request.entity, request.wanted, columns):
        yield text.encode()


async def _entities_arrow(store: Store, request: TableRequest) -> Chunks:
    columns = await typed(store, entity_columns(request.entity, request.columns))
    about = await _about(store, request)
    file = arrow.ArrowFile(columns, about, parquet=request.form == "parquet")
    async for batch in prefetched(batches(store, request.entity, request.wanted, columns)):
        yield await _written(file, partial(arrow.entity_arrays, batch, columns))
    yield await asyncio.to_thread(file.finish)


async def _elements_arrow(store: Store, request: TableRequest) -> Chunks:
    parquet = request.form == "parquet"
    columns = (*IMAGE_COLUMNS, *VALUE_COLUMNS)
    file = arrow.ArrowFile(columns, await _about(store, request), parquet=parquet)
    async for batch in prefetched(element_batches(store, request.wanted, request.elements)):
        yield await _written(file, partial(arrow.element_arrays, batch, parquet=parquet))
    yield await asyncio.to_thread(file.finish)


async def _written(file: arrow.ArrowFile, arrays: Callable[[], Sequence[Any]]) -> bytes:
    """What a file has to send after some more rows; made in a thread, others have their turn."""
    return await asyncio.to_thread(lambda: file.write(arrays()))


async def _elements_csv(store: Store, request: TableRequest) -> Chunks:
    yield line([column.name for column in (*IMAGE_COLUMNS, *VALUE_COLUMNS)]).encode()
    async for batch in prefetched(element_batches(store, request.wanted, request.elements)):
        yield await asyncio.to_thread(_element_lines, batch)


def _element_lines(batch: ElementBatch) -> bytes:
    """Each line is made of two parts that are made once for many lines."""
    heads = [lines([[text_of(uid) for uid in image]])[:-2] for image in batch.images]
    rests = [lines([[text_of(cell) for cell in cells]]) for cells in batch.cells]
    pairs = zip(batch.image.tolist(), batch.cell.tolist(), strict=True)
    return "".join([f"{heads[image]},{rests[cell]}" for image, cell in pairs]).encode()


async def _about(store: Store, request: TableRequest) -> dict[str, str]:
    """What a file says of its table, beside its columns. Raises BadInput."""
    about = {"dicom_graph.table": request.table}
    warnings = await table_warnings(store, request)
    if warnings:
        about["warnings"] = json.dumps(warnings, ensure_ascii=False)
    return about


async def table_warnings(store: Store, request: TableRequest) -> list[str]:
    """What is to be said of a table's condition: of groups without a majority. Raises BadInput."""
    return await answered(tie_warnings(store, request.entity, request.wanted))
