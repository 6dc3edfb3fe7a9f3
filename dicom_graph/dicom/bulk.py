"""Values too large for the database, from the file that holds them."""

from hashlib import sha256

from pydicom.dataset import Dataset

from dicom_graph.dicom.errors import UnreadableFileError
from dicom_graph.dicom.through_pydicom import read_with_pydicom


def read_bulk_value(path: str, tag: int, digest: bytes) -> bytes:
    """The bytes of the element at `tag`, at any depth, whose SHA-256 is `digest`.

    Raises UnreadableFileError where the file no longer holds it, and OSError.
    """
    found = _find(read_with_pydicom(path, force=True), tag, digest)
    if found is None:
        raise UnreadableFileError("the file has changed: it no longer holds this value")
    return found


def _find(data_set: Dataset, tag: int, digest: bytes) -> bytes | None:
    for element in data_set:
        if element.tag == tag and isinstance(element.value, bytes):
            if sha256(element.value).digest() == digest:
                return element.value
        elif element.VR == "SQ":
            for item in element.value:
                if (found := _find(item, tag, digest)) is not None:
                    return found
    return None
