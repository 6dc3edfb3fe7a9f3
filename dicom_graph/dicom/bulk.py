"""Values too large for the database, from the file that holds them."""

from collections.abc import Iterable
from hashlib import sha256
from typing import BinaryIO

from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset

from dicom_graph.dicom.errors import UnreadableFileError
from dicom_graph.dicom.through_pydicom import quiet_pydicom, read_with_pydicom


def read_bulk_value(file: BinaryIO, tag: int, digest: bytes) -> bytes:
    """The bytes of the element at `tag`, at any depth, whose SHA-256 is `digest`; of an open file.

    Raises UnreadableFileError where the file no longer holds it, and OSError.
    """
    with quiet_pydicom():
        found = _find(read_with_pydicom(file, force=True), tag, digest)
    if found is None:
        raise UnreadableFileError("the file has changed: it no longer holds this value")
    return found


def _find(data_set: Dataset, tag: int, digest: bytes) -> bytes | None:
    # As read: of the other elements, some may be such that pydicom cannot decode them.
    for source in [data_set.get_item(key) for key in data_set.keys()]:  # noqa: SIM118
        value = source.value
        if source.tag == tag and isinstance(value, bytes) and sha256(value).digest() == digest:
            return value
        for item in _items(data_set, source):
            if (found := _find(item, tag, digest)) is not None:
                return found
    return None


def _items(data_set: Dataset, source: RawDataElement | DataElement) -> Iterable[Dataset]:
    if source.VR not in ("SQ", "UN", None):
        return ()
    try:
        element = data_set[source.tag]
    except Exception:
        return ()
    return element.value if element.VR == "SQ" else ()
