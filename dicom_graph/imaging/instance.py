"""All elements of a file, also those that the database does not hold: private ones in mode normal,
all in mode minimal.
"""

import os

from dicom_graph.dicom.elements.contents import Item
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.elements.packing import unpack
from dicom_graph.dicom.elements.time_zone import in_utc
from dicom_graph.dicom.errors import DicomError, FileGoneError
from dicom_graph.dicom.files.reading import read_instance
from dicom_graph.dicom.files.stored_file import opened_source
from dicom_graph.store.read.elements import DefinitionRow, ElementNode, ElementRow, ValueRow

_NO_ID = 0
"""Of what is no row of the database."""


def read_elements(path: str | os.PathLike[str]) -> list[ElementNode]:
    """The header of a file, as the rows of a stored one would be. Raises FileGoneError."""
    with opened_source(path) as file:
        try:
            return _nodes(read_instance(b"", Interner(), file.fileno()).elements)
        except DicomError as error:
            raise FileGoneError("the file is gone or has changed since it was imported") from error


def _nodes(elements: Item) -> list[ElementNode]:
    made = []
    for element in elements:
        definition = DefinitionRow(_NO_ID, *element.definition)
        values = (ValueRow(index, *value) for index, value in enumerate(in_utc(element)))
        raw = unpack(element.packed, element.length) if element.packed is not None else None
        row = ElementRow(
            _NO_ID, definition, element.tag, element.vm, element.length, raw, element.sha256,
            element.has_warnings, element.warning, tuple(values),
        )  # fmt: skip
        items = None if element.items is None else [_nodes(item) for item in element.items]
        made.append(ElementNode(row, items))
    return made
