"""From what the database lists to files that are there, and are those that were imported."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, NamedTuple

from dicom_graph.error_codes import ErrorCode
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.work import FileState
from dicom_graph.store.read import Order, PageRequest, Parent, Store

_BATCH = 500


class StoredImage(NamedTuple):
    """An image and all files that the database lists of it."""

    uid: str
    files: Sequence[FileState]

    def present(self) -> FileState | None:
        """The first file that is as it was when it was imported, None where there is none."""
        return _first_unchanged(self.files)


async def find(store: Store, entity: str, uid: str) -> Any:
    """The row of an entity. Raises ImagingError where there is none."""
    # PostgreSQL's text refuses NUL; nothing that is stored has it.
    rows = {} if "\0" in uid else await store.by_uids(entity, [uid])
    if uid not in rows:
        raise ImagingError(f"no {entity} has the UID {uid[:100]!r}", ErrorCode.NOT_FOUND)
    return rows[uid]


async def image_file(store: Store, uid: str) -> FileState:
    """The file of an image. Raises ImagingError."""
    row = await find(store, "image", uid)
    return await file_of(store, row.id)


async def file_of(store: Store, image_id: int) -> FileState:
    """The file of an image by its key. Raises ImagingError where none is left as it was."""
    files = (await store.files_to_read([image_id])).get(image_id, ())
    found = await asyncio.to_thread(_first_unchanged, [_state(file) for file in files])
    if found is None:
        raise ImagingError(
            "the file of the image is gone or has changed since it was imported: import or sync "
            "again",
            ErrorCode.FILE_GONE,
        )
    return found


async def series_files(store: Store, series_id: int) -> tuple[FileState, ...]:
    """One file of each image of a series. Raises ImagingError where an image has none left."""
    found: list[FileState] = []
    n_gone = 0
    async for images in images_of_series(store, series_id):
        for file in await asyncio.to_thread(lambda each: [i.present() for i in each], images):
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


async def images_of_series(store: Store, series_id: int) -> AsyncIterator[list[StoredImage]]:
    """The images of a series with their files, some hundred at a time."""
    order = Order("number"), Order("id")
    async for rows in pages(store, "series.images", Parent(series_id), order):
        yield await _with_files(store, rows)


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


def is_unchanged(file: FileState) -> bool:
    """Whether the path still has the file that was imported from it."""
    try:
        status = os.stat(file.path)
    except (OSError, ValueError):
        return False
    return (status.st_size, status.st_mtime_ns) == (file.size, file.modified_ns)


def _first_unchanged(files: Iterable[FileState]) -> FileState | None:
    return next(filter(is_unchanged, files), None)


def _state(row: Any) -> FileState:
    return FileState(os.path.join(row.directory, row.name), row.size, row.mtime_ns)


async def _with_files(store: Store, images: Iterable[Any]) -> list[StoredImage]:
    rows = list(images)
    files = await store.files_to_read([row.id for row in rows])
    return [StoredImage(row.uid, [_state(file) for file in files.get(row.id, ())]) for row in rows]
