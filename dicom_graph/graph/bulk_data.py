"""Bytes of an element, from the database or from a file that holds it."""

import os

from dicom_graph.error_codes import ErrorCode
from dicom_graph.errors import BadInput
from dicom_graph.graph.context import Info
from dicom_graph.imaging.bulk_data import read_from_images
from dicom_graph.store.answer_budget import current_budget
from dicom_graph.store.read.elements import ElementRow

_MAX_IMAGES = 10


async def load_bytes(info: Info, row: ElementRow, limit: int) -> bytes:
    """The bytes of an element. Raises BadInput beyond the limit, or where the file is gone."""
    if row.length > limit:
        raise BadInput(f"the value has {row.length} bytes, more than the limit of {limit}")
    most = info.context.services.limits.answer_bytes
    in_base64 = row.length * 4 // 3
    if in_base64 > most:
        raise BadInput(
            f"in base64 the value has {in_base64:,} bytes, and an answer at most {most:,} "
            "(DICOM_GRAPH_MAX_ANSWER_BYTES)",
            ErrorCode.MAX_ANSWER_BYTES,
        )
    if row.raw is not None:
        return row.raw
    if info.context.store.is_deidentified:
        raise BadInput(
            "more than 64 KiB of an element are not shown without identities", ErrorCode.WITHHELD
        )
    store, checker = info.context.store, info.context.imaging.files
    images = await store.images_of_element(row.id, limit=_MAX_IMAGES)
    # Before it is read: its bytes, and their base64.
    await current_budget().hold_and_share(row.length * 7 // 3)
    found = await read_from_images(checker, store, images, row.tag, row.sha256 or b"")
    if found is not None:
        return found
    # As they may be shown.
    files = await store.files(images)
    paths = [os.path.join(file.directory, file.name) for id in images for file in files.get(id, ())]
    named = " and ".join(paths[:2]) or "every file that held this value"
    raise BadInput(f"{named} is gone or has changed: import it again", ErrorCode.FILE_GONE)
