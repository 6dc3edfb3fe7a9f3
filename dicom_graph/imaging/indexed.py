"""The headers of a series from the index, as far as they tell the geometry of its volumes.

What the index does not hold of them (headers that were imported without private elements, or not
at all; values that are too long; how float pixels are stored), only their files can tell: then
there are none.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, ParametricMapStorage

from dicom_graph.dicom.elements.values import Value
from dicom_graph.dicom.mode import Mode
from dicom_graph.dicom.parsing.rereading import StoredElement
from dicom_graph.dicom.pixels.image_file import is_native
from dicom_graph.dicom.volume.planes import HEADER_TAGS
from dicom_graph.dicom.volume.stored_header import (
    Element,
    Elements,
    StoredBytes,
    StoredHeader,
    StoredItems,
)
from dicom_graph.imaging.files import pages
from dicom_graph.store.read import Order, Parent, Store
from dicom_graph.store.read.elements import ElementNode, ElementQuery, ElementRow

_QUERY = ElementQuery(tags=HEADER_TAGS | {0x00080005})
_META_BYTES = 1024
"""What a file has at most before its header, about."""


class _TooLittle(Exception):
    """The index does not hold what is needed."""


async def indexed_headers(store: Store, series_id: int) -> list[StoredHeader] | None:
    """The headers of all images of a series, in their order; None where files have to be read."""
    found: list[StoredHeader] = []
    order = Order("number"), Order("id")
    try:
        async for images in pages(store, "series.images", Parent(series_id), order):
            headers = await store.headers_of_images([image.id for image in images])
            if len(headers) < len(images):
                return None
            of_images = [headers[image.id] for image in images]
            if any(header.mode != Mode.FULL for header in of_images):
                return None
            trees = await store.trees(of_images, _QUERY)
            element_of = _Elements()
            found += [
                _header(image, tree, element_of) for image, tree in zip(images, trees, strict=True)
            ]
    except _TooLittle:
        return None
    return found


def _header(
    image: Any, tree: Sequence[ElementNode], element_of: Callable[[ElementNode], Element]
) -> StoredHeader:
    """Raises _TooLittle."""
    syntax = image.transfer_syntax_uid
    if (
        not syntax
        or image.file_size is None
        or syntax == DeflatedExplicitVRLittleEndian
        or image.sop_class_uid == ParametricMapStorage
    ):
        raise _TooLittle
    header = StoredHeader(image.uid, tuple(map(element_of, tree)), str(syntax), image.file_size)
    _require_room(header)
    return header


def _require_room(header: StoredHeader) -> None:
    """The file is large enough for pixels beside the header. Raises _TooLittle."""
    numbers = {
        each.tag: int.from_bytes(each.raw[:2], "little")
        for each in header.elements
        if isinstance(each, StoredBytes) and each.vr == "US" and each.raw
    }
    cells = numbers.get(0x00280010, 0) * numbers.get(0x00280011, 0)
    bits = cells * numbers.get(0x00280100, 0)
    if not bits:
        raise _TooLittle
    needed = bits // 8 if is_native(UID(header.syntax)) else _META_BYTES
    if header.size < needed + sum(_size(each) for each in header.elements):
        raise _TooLittle


def _size(element: Element) -> int:
    if isinstance(element, StoredBytes):
        return 8 + len(element.raw)
    return 8 + sum(_size(inner) for item in element.items for inner in item)


class _Elements:
    """Makes elements, each once: equal ones of many headers are one, and are sent once."""

    def __init__(self) -> None:
        self._known: dict[int, Element] = {}

    def __call__(self, node: ElementNode) -> Element:
        """Raises _TooLittle where the bytes are not stored."""
        row = node.element
        known = self._known.get(row.id)
        if known is None:
            known = self._known[row.id] = self._make(row, node)
        return known

    def _make(self, row: ElementRow, node: ElementNode) -> Element:
        if node.items is not None:
            return StoredItems(row.tag, tuple(map(self._item, node.items)))
        raw = _raw(row)
        if raw is None:
            raise _TooLittle
        return StoredBytes(row.tag, row.definition.vr, raw)

    def _item(self, nodes: Iterable[ElementNode]) -> Elements:
        return tuple(map(self, nodes))


def _raw(row: ElementRow) -> bytes | None:
    if row.raw is not None:
        return row.raw
    values = tuple(
        Value(each.text, each.number, each.date, each.time, each.datetime, each.warning)
        for each in row.values
    )
    definition: Any = row.definition
    return StoredElement(
        row.id, row.tag, definition, row.vm, row.length, None, row.sha256,
        row.has_warnings, row.warning, values,
    ).raw()  # fmt: skip
