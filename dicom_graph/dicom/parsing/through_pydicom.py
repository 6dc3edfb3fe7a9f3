"""Data sets for pydicom: as it reads them, but in bounded memory, and of more files."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from pydicom import config
from pydicom.charset import default_encoding
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID

from dicom_graph.dicom.parsing.byte_source import INFLATED_LIMIT
from dicom_graph.dicom.parsing.data_set_walk import Chunks, DataSetWalk
from dicom_graph.dicom.parsing.file_data_set import FileDataSet, open_data_set
from dicom_graph.dicom.parsing.raw_data_set import UNDEFINED, RawDataSet, RawElement

LONGEST_OF_HEADER = 16 << 20
"""Longer values are left out of a header: look-up tables have some 100 kB."""
_CHARACTER_SET = 0x00080005


@contextmanager
def quiet_pydicom() -> Iterator[list[warnings.WarningMessage]]:
    """pydicom's warnings go into a list: they quote values, which are patient data."""
    with warnings.catch_warnings(record=True) as caught, config.disable_value_validation():
        warnings.simplefilter("always")
        yield caught


def read_header(file: BinaryIO, tags: frozenset[int] | None = None) -> Dataset:
    """The data set of an open file up to its pixel data, where the file is left.

    `tags`: of the top level only these. Values of more than `LONGEST_OF_HEADER` bytes are left
    out. Of a deflated file the place means nothing. Raises UnreadableFileError.
    """
    opened = open_data_set(file.fileno())
    wanted = tags | {_CHARACTER_SET} if tags is not None else None
    walk = DataSetWalk(opened.source, longest=LONGEST_OF_HEADER, takes=_leave_out, wanted=wanted)
    header = _of_file(walk, opened)
    if not opened.meta.is_deflated:
        file.seek(opened.source.position)
    return header


def read_whole(file: BinaryIO) -> Dataset:
    """The data set of an open file, with its pixel data and what follows them, in memory.

    Raises UnreadableFileError, also where it inflates to more than `INFLATED_LIMIT`.
    """
    opened = open_data_set(file.fileno(), INFLATED_LIMIT)
    walk = DataSetWalk(opened.source, longest=UNDEFINED, takes=_leave_out, has_pixels=True)
    return _of_file(walk, opened)


def _leave_out(data_set: RawDataSet, element: RawElement, chunks: Chunks) -> None:
    return None


def _of_file(walk: DataSetWalk, opened: FileDataSet) -> Dataset:
    made = _as_pydicom(walk.read(*opened.encoding))
    made.file_meta = FileMetaDataset()
    if opened.meta.syntax:
        made.file_meta.TransferSyntaxUID = UID(opened.meta.syntax)
    return made


def _as_pydicom(data_set: RawDataSet) -> Dataset:
    encodings = [
        default_encoding if codec.startswith("?") else codec for codec in data_set.encodings
    ]
    elements: dict[BaseTag, RawDataElement | DataElement] = {}
    for element in data_set.in_order():
        tag = BaseTag(element.tag)
        if element.items is not None:
            inside = (item for item in element.items if isinstance(item, RawDataSet))
            items = Sequence([_as_pydicom(item) for item in inside])
            is_undefined = element.length == UNDEFINED
            elements[tag] = DataElement(tag, "SQ", items, is_undefined_length=is_undefined)
        else:
            vr = element.vr
            if element.problem is not None:
                vr = data_set.vr_of(element)
            elements[tag] = RawDataElement(
                tag, vr, element.length, element.raw, element.start, vr is None, element.is_little
            )
    made = Dataset(elements, parent_encoding=encodings)
    made.set_original_encoding(data_set.is_implicit, data_set.is_little, encodings)
    if data_set.parent is not None and not data_set.is_encoded_as(data_set.parent):
        _decode(made)
    return made


def _decode(made: Dataset) -> None:
    """pydicom writes bytes as they were, which would be wrong among others in another order."""
    for tag in list(made.keys()):
        try:
            made[tag].value  # noqa: B018
        except Exception:
            # It raises what it likes for what it cannot decode.
            del made._dict[tag]
