"""Headers as an index holds them, for volumes: enough to tell their geometry without their files.

An element is plain data, so that many headers can go to another process; what they share goes
once.
"""

from typing import NamedTuple, TypeAlias, Union

from pydicom.charset import convert_encodings, default_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID

_CHARACTER_SET = 0x00080005

Element: TypeAlias = Union["StoredBytes", "StoredItems"]
Elements: TypeAlias = tuple[Element, ...]


class StoredBytes(NamedTuple):
    """An element with its bytes, which are little endian."""

    tag: int
    vr: str
    raw: bytes


class StoredItems(NamedTuple):
    """A sequence."""

    tag: int
    items: tuple[Elements, ...]


class StoredHeader(NamedTuple):
    """A header, and the transfer syntax and the bytes of its file.

    `uid`: of the image, which tells it from others.
    """

    uid: str
    elements: Elements
    syntax: str
    size: int


def data_set_of(header: StoredHeader) -> Dataset:
    """The header as pydicom has that of a file."""
    made = _data_set(header.elements, [default_encoding])
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = UID(header.syntax)
    return made


def _data_set(elements: Elements, encodings: list[str]) -> Dataset:
    for element in elements:
        if element.tag == _CHARACTER_SET and isinstance(element, StoredBytes):
            names = element.raw.decode("latin-1").split("\\")
            encodings = list(convert_encodings([name.strip(" \0") for name in names]))
    made: dict[BaseTag, RawDataElement | DataElement] = {}
    for element in sorted(elements, key=lambda each: each.tag):
        tag = BaseTag(element.tag)
        if isinstance(element, StoredBytes):
            length = len(element.raw)
            made[tag] = RawDataElement(tag, element.vr, length, element.raw, 0, False, True)
        else:
            items = [_data_set(item, encodings) for item in element.items]
            made[tag] = DataElement(tag, "SQ", Sequence(items))
    found = Dataset(made, parent_encoding=encodings)
    found.set_original_encoding(False, True, encodings)
    return found
