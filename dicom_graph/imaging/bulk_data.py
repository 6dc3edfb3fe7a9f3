"""Large values, which only the files have."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

from dicom_graph.dicom.bulk_data import read_bulk_value
from dicom_graph.dicom.errors import DicomError
from dicom_graph.imaging.checker import FileChecker
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
