"""Series as the rows of a CSV file, with any element of their headers as a column."""

import csv
import io
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

from dicom_graph.dicom.entities import SERIES, STUDY
from dicom_graph.dicom.values import BYTES_VRS
from dicom_graph.store.global_ids import global_id
from dicom_graph.store.read import Condition, PageRequest, Parent, Store
from dicom_graph.store.read.answered import answered
from dicom_graph.store.read.element_path import Step, parse_path
from dicom_graph.store.read.elements import ElementRow
from dicom_graph.store.read.plain_values import raw_text
from dicom_graph.store.read.relations import DEFAULT_ORDERS

COLUMNS = (
    "ID", "SeriesInstanceUID", "EchoTime", "RepetitionTime", "InversionTime", "PixelSpacing",
    "SliceThickness", "StudyDescription", "SequenceName", "PulseSequenceName", "StudyTime",
    "StudyDate", "Manufacturer", "ScanningSequence", "SequenceVariant",
)  # fmt: skip
"""The columns of every table; ID is the series' global id, the others are keywords."""
_OF_SERIES, _OF_STUDY = (
    {a.keyword: a.name for a in described.attributes} for described in (SERIES, STUDY)
)
_PAGE = 200
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def named_columns(names: Sequence[str]) -> list[tuple[str, list[Step]]]:
    """Elements as columns: each a keyword, a tag or a path into sequences; one that is there
    already, in every table or by an earlier name, is none of its own. Raises BadInput.
    """
    parsed = [(name, parse_path(name)) for name in dict.fromkeys(names)]
    return [(name, steps) for name, steps in parsed if name not in COLUMNS]


async def series_csv(
    store: Store, wanted: Condition | None, columns: Sequence[tuple[str, list[Step]]]
) -> AsyncGenerator[str, None]:
    """Lines of CSV (RFC 4180), the names of the columns first, some hundred series at a time.

    An element is that of the series' first image by number. Several values are separated by a
    backslash. What a spreadsheet would take for a formula begins with an apostrophe. Raises
    BadInput.
    """
    yield _line([*COLUMNS, *(name for name, _ in columns)])
    after = None
    while True:
        request = PageRequest(DEFAULT_ORDERS["series"], first=_PAGE, after=after)
        page = await answered(store.page("series", request, wanted))
        cells = await _rows(store, page.rows, columns)
        yield "".join(map(_line, cells))
        if not page.has_next:
            return
        after = request.cursor(page.rows[-1])


async def _rows(
    store: Store, series: Sequence[Any], columns: Sequence[tuple[str, list[Step]]]
) -> Iterator[list[str]]:
    study_ids = sorted({row.study_id for row in series if row.study_id is not None})
    studies = await store.by_ids("study", study_ids)
    headers = await _sample_headers(store, [row.id for row in series]) if columns else {}
    found = [await _values(store, headers, steps) for _, steps in columns]
    return (
        [
            *_fields(row, studies.get(row.study_id)),
            *(values.get(row.id, "") for values in found),
        ]
        for row in series
    )


def _fields(row: Any, study: Any) -> Iterator[str]:
    for name in COLUMNS:
        if name == "ID":
            yield str(global_id("Series", row.id))
        elif name in _OF_SERIES:
            yield _text(getattr(row, _OF_SERIES[name]))
        else:
            yield _text(getattr(study, _OF_STUDY[name])) if study is not None else ""


async def _sample_headers(store: Store, series_ids: Sequence[int]) -> dict[int, Any]:
    """The header of each series' first image."""
    request = PageRequest(DEFAULT_ORDERS["image"], first=1)
    parents = [Parent(id) for id in series_ids]
    pages = await store.pages_of("series.images", parents, request)
    images = {parent.id: page.rows[0].id for parent, page in pages.items() if page.rows}
    headers = await store.headers_of_images(list(images.values()))
    return {id: headers[image] for id, image in images.items() if image in headers}


async def _values(store: Store, headers: dict[int, Any], steps: Sequence[Step]) -> dict[int, str]:
    """The text of the element at the end of a path, by series."""
    for place, step in enumerate(steps):
        keys = list(headers)
        rows = await store.elements_of([headers[key] for key in keys], step.query)
        elements = {key: row[0] for key, row in zip(keys, rows, strict=True) if row}
        if place == len(steps) - 1:
            return {key: _element_text(element) for key, element in elements.items()}
        items = await store.items(sorted({element.id for element in elements.values()}))
        index = step.item or 0
        headers = {
            key: items[element.id][index]
            for key, element in elements.items()
            if len(items.get(element.id, ())) > index
        }
    return {}


def _element_text(row: ElementRow) -> str:
    if row.definition.vr == "SQ":
        return f"{row.vm} item{'' if row.vm == 1 else 's'}"
    if row.definition.vr in BYTES_VRS and not row.values:
        return f"{row.length} bytes" if row.length else ""
    return "\\".join(raw_text(value) or "" for value in row.values)


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return "\\".join(map(_text, value))
    if isinstance(value, float):
        return f"{value:.15g}"
    return str(value)


def _line(cells: Sequence[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([_guarded(cell) for cell in cells])
    return buffer.getvalue()


def _guarded(cell: str) -> str:
    return f"'{cell}" if cell.startswith(_FORMULA) and not _NUMBER.fullmatch(cell) else cell
