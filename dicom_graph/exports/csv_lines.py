"""Cells and lines of CSV (RFC 4180)."""

import csv
import io
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from dicom_graph.exports.batches import batches
from dicom_graph.exports.cells import element_text
from dicom_graph.exports.columns import Column
from dicom_graph.exports.prefetch import prefetched
from dicom_graph.store.read import Condition, Store
from dicom_graph.store.read.elements import ElementRow

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The last are as wide as an ideograph: spreadsheets of East Asia take them for the first."""


async def entity_csv(
    store: Store, entity: str, wanted: Condition | None, columns: Sequence[Column]
) -> AsyncGenerator[str, None]:
    """Lines of CSV, the names of the columns first, some thousand rows at a time.

    Several values are separated by a backslash. What a spreadsheet would take for a formula begins
    with an apostrophe. Raises BadInput.
    """
    yield line([column.name for column in columns])
    async for batch in prefetched(batches(store, entity, wanted, columns)):
        cells = [[text_of(cell) for cell in batch.cells(column)] for column in columns]
        yield lines(zip(*cells, strict=True))


def text_of(cell: Any) -> str:
    """A value as a cell has it."""
    if cell is None:
        return ""
    if isinstance(cell, ElementRow):
        return element_text(cell)
    if isinstance(cell, list | tuple):
        return "\\".join(map(text_of, cell))
    if isinstance(cell, float):
        return f"{cell:.15g}"
    return str(cell)


def line(cells: Sequence[str]) -> str:
    """One line."""
    return lines([cells])


def lines(rows: Any) -> str:
    """Lines, harmless in a spreadsheet."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([_guarded(cell) for cell in cells] for cells in rows)
    return buffer.getvalue()


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell
