"""Large values, from any of the files that were imported with them."""

from collections.abc import Iterable

from dicom_graph.dicom.bulk import read_bulk_value
from dicom_graph.dicom.errors import DicomError


def read_from_files(paths: Iterable[str], tag: int, sha256: bytes) -> bytes | None:
    """The bytes of the element with this digest; None where no file holds it any more."""
    for path in paths:
        try:
            return read_bulk_value(path, tag, sha256)
        except (DicomError, OSError):
            continue
    return None
