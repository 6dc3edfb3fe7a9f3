"""From what the database lists to files that are there, and are those that were imported."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Any

from dicom_graph.dicom.files.stored_file import FileState, StoredFile
from dicom_graph.error_codes import ErrorCode
from dicom_graph.imaging.checker import FileChecker, StoredImage
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.store.read import Order, PageRequest, Parent, Store

_BATCH = 500


async def find(store: Store, entity: str, uid: str) -> Any:
    """The row of an entity. Raises ImagingError where there is none."""
    # PostgreSQL's text refuses NUL; nothing that is stored has it.
    rows = {} if "\0" in uid else await store.by_uids(entity, [uid])
    if uid not in rows:
        raise ImagingError(f"no {entity} has the UID {uid[:100]!r}", ErrorCode.NOT_FOUND)
    return rows[uid]


async def image_file(checker: FileChecker, store: Store, uid: str) -> FileState:
    """The file of an image. Raises ImagingError where none is left as it was."""
    row = await find(store, "image", uid)
    return await file_of(checker, store, row.id)


async def file_of(checker: FileChecker, store: Store, image_id: int) -> FileState:
    """The file of an image by its key. Raises ImagingError where none is left as it was."""
    (file,) = await checker.chosen(store, [await _image(checker, store, "", image_id)])
    if file is None:
        raise _gone()
    return file


async def opened_image(
    checker: FileChecker, store: Store, uid: str
) -> tuple[FileState, StoredFile]:
    """The file of an image, open: for the caller to close. Raises ImagingError."""
    row = await find(store, "image", uid)
    found = await checker.opened(store, await _image(checker, store, uid, row.id))
    if found is None:
        raise _gone()
    return found


async def opened_of_images(
    checker: FileChecker, store: Store, image_ids: Sequence[int]
) -> AsyncGenerator[StoredFile, None]:
    """A file of each image that has one, open until the next is asked for. Raises ImagingError."""
    for image_id in image_ids:
        found = await checker.opened(store, await _image(checker, store, "", image_id))
        if found is not None:
            with found[1] as opened:
                yield opened


async def _image(checker: FileChecker, store: Store, uid: str, image_id: int) -> StoredImage:
    rows = (await store.files_to_read([image_id])).get(image_id, ())
    return StoredImage(uid, [_state(row, checker.roots) for row in rows], image_id)


def _gone() -> ImagingError:
    return ImagingError(
        "the file of the image is gone or has changed since it was imported: import or sync again",
        ErrorCode.FILE_GONE,
    )


async def series_files(checker: FileChecker, store: Store, series_id: int) -> tuple[FileState, ...]:
    """One file of each image of a series. Raises ImagingError where an image has none left."""
    found: list[FileState] = []
    n_gone = 0
    async for images in images_of_series(checker, store, series_id):
        for file in await checker.chosen(store, images):
            if file is None:
                n_gone += 1
            else:
                found.append(file)
    if n_gone:
        raise ImagingError(
            f"the files of {n_gone} of {n_gone + len(found)} images are gone or have changed since "
            "they were imported: import or sync again",
            ErrorCode.FILE_GONE,
        )
    return tuple(found)


async def images_of_series(
    checker: FileChecker, store: Store, series_id: int
) -> AsyncIterator[list[StoredImage]]:
    """The images of a series with their files, some hundred at a time."""
    order = Order("number"), Order("id")
    async for rows in pages(store, "series.images", Parent(series_id), order):
        files = await store.files_to_read([row.id for row in rows])
        yield [
            StoredImage(
                row.uid,
                [_state(f, checker.roots) for f in files.get(row.id, ())],
                row.id,
                row.header_patient_id,
            )
            for row in rows
        ]


async def middle_image(store: Store, series_id: int) -> Any | None:
    """The row of the image in the middle of a series, by number; None where it has none."""
    relation, parent = "series.images", Parent(series_id)
    count = (await store.counts_of(relation, [parent])).get(parent, 0)
    request = PageRequest((Order("number"), Order("id")), first=1, offset=max(0, count - 1) // 2)
    rows = (await store.pages_of(relation, [parent], request))[parent].rows
    return rows[0] if rows else None


async def pages(
    store: Store, relation: str, parent: Parent, order: tuple[Order, ...]
) -> AsyncIterator[Sequence[Any]]:
    """The rows of a parent's list, some hundred at a time."""
    after = None
    while True:
        request = PageRequest(order, first=_BATCH, after=after)
        page = (await store.pages_of(relation, [parent], request))[parent]
        if page.rows:
            yield page.rows
        if not page.has_next:
            return
        after = request.cursor(page.rows[-1])


def _state(row: Any, roots: tuple[str, ...]) -> FileState:
    place = row.link
    if place is None and row.real_path is not None:
        place = os.path.join(row.real_path, row.name)
    path = os.path.join(row.directory, row.name)
    return FileState(path, row.size, row.mtime_ns, row.digest, row.stamp, place, roots)
