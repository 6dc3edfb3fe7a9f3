"""A header as a flat list, and as HTML."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import NamedTuple

from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.dicom.elements.values import BYTES_VRS
from dicom_graph.store.read.elements import ElementNode, ElementRow
from dicom_graph.store.read.header_comparison import step_name
from dicom_graph.store.read.plain_values import raw_text

_PEEK = 100


class TableRow(NamedTuple):
    """One element; `path` leads to it, `depth` counts the sequences around it."""

    element: ElementRow
    path: str
    depth: int
    value: str


def table_rows(tree: Sequence[ElementNode], path: str = "", depth: int = 0) -> Iterator[TableRow]:
    """All elements, each sequence followed by those of its items."""
    for node in tree:
        row = node.element
        here = path + step_name(row)
        yield TableRow(row, here, depth, value_text(row))
        for index, item in enumerate(node.items or ()):
            yield from table_rows(item, f"{here}[{index}].", depth + 1)


def value_text(row: ElementRow) -> str:
    """The values in one short text."""
    if row.definition.vr == "SQ":
        return f"{row.vm} item{'' if row.vm == 1 else 's'}"
    if row.definition.vr in BYTES_VRS and not row.values:
        return f"{row.length} bytes" if row.length else ""
    text = "\\".join(raw_text(value) or "" for value in row.values[:_PEEK])
    return text if len(text) <= _PEEK else text[:_PEEK] + "…"


def header_html(tree: Sequence[ElementNode]) -> str:
    """A table of the elements, items as tables inside it; all text is escaped."""
    rows = "".join(map(_html_row, tree))
    head = "<tr><th>Tag</th><th>Name</th><th>VR</th><th>Value</th></tr>"
    return f'<table class="dicom-header"><thead>{head}</thead><tbody>{rows}</tbody></table>'


def _html_row(node: ElementNode) -> str:
    row = node.element
    cells = (format_tag(row.tag), row.definition.name, row.definition.vr, value_text(row))
    tag, name, vr, value = map(escape, cells)
    items = "".join(header_html(item) for item in node.items or ())
    return f"<tr><td>{tag}</td><td>{name}</td><td>{vr}</td><td>{value}{items}</td></tr>"
