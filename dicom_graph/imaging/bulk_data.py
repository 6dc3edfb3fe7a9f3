"""Large values, which only the files have."""

import asyncio
import os
from collections.abc import Sequence
from contextlib import aclosing

from dicom_graph.dicom.errors import DicomError, UnreadableFileError
from dicom_graph.dicom.files.bulk_data import bulk_value, read_bulk_value
from dicom_graph.dicom.files.stored_file import opened_source
from dicom_graph.error_codes import ErrorCode
from dicom_graph.imaging.checker import FileChecker
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.files import opened_of_images
from dicom_graph.store.read import Store


async def read_from_images(
    checker: FileChecker, store: Store, image_ids: Sequence[int], tag: int, sha256: bytes
) -> bytes | None:
    """The bytes of the element with this digest, from a file of any of the images.

    None where none has it any more. Raises TimeoutError.
    """
    async with aclosing(opened_of_images(checker, store, image_ids)) as files:
        async for opened in files:
            try:
                return await asyncio.to_thread(read_bulk_value, opened.content, tag, sha256)
            except (DicomError, OSError):
                continue
    return None


def write_bulk_value(path: str | os.PathLike[str], target: str, tag: int, sha256: bytes) -> None:
    """Write the bytes of the element of a file with this digest, in pieces.

    Raises FileGoneError, and ImagingError where the file has no such element.
    """
    with opened_source(path) as file, open(target, "wb") as written:
        try:
            for chunk in bulk_value(file, tag, sha256):
                written.write(chunk)
        except UnreadableFileError:
            raise ImagingError("the image has no such value", ErrorCode.NOT_FOUND) from None
