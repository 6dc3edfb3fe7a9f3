"""Zip archives of images, made while they are sent: no more than a chunk of a file in memory.

What is in an archive follows from the database's rows. Names come from UIDs, made safe for any
file system; they are unique, as a SOPInstanceUID is. Files are stored, not compressed: most of a
file is pixels, which hardly shrink.
"""

import asyncio
import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Sequence,
)
from contextlib import aclosing
from functools import partial
from typing import Any, BinaryIO

from zipstream import ZIP_STORED, ZipStream

from dicom_graph.dicom.default_path import default_path
from dicom_graph.dicom.errors import FileGoneError
from dicom_graph.dicom.files.stored_file import StoredFile
from dicom_graph.imaging.checker import FileChecker, StoredImage
from dicom_graph.imaging.files import find, images_of_series, pages
from dicom_graph.store.read import Condition, Order, PageRequest, Parent, Store
from dicom_graph.store.read.client_errors import answered
from dicom_graph.store.read.relations import DEFAULT_ORDERS

MISSING = "MISSING.txt"
"""The entry that names the images whose files could not be read, where there are any."""
GONE = "the file is gone or has changed since it was imported"
OF_ANOTHER = "its header names another patient: it is in the archive of its series"
_CHUNK = 1 << 20
_PAGE = 200
Entry = BinaryIO | StoredFile
"""What an entry is read from."""
Chunks = Generator[bytes, None, None]
Folder = tuple[str | None, str | None, str]
_ORDER = Order("date"), Order("number"), Order("id")


async def series_of(
    store: Store, entity: str, uid: str, patient_uid: str | None = None
) -> AsyncIterator[Sequence[Any]]:
    """The rows of the series of a series, study or patient, some hundred at a time.

    With `patient_uid` those of a study that are of this patient.
    """
    row = await find(store, entity, uid)
    patient = None if patient_uid is None else (await find(store, "patient", patient_uid)).id
    if entity == "series":
        yield [row]
        return
    async for rows in pages(store, f"{entity}.series", Parent(row.id, patient), _ORDER):
        yield rows


async def matching_series(store: Store, wanted: Condition | None) -> AsyncIterator[Sequence[Any]]:
    """The rows of all series for which a condition holds, some hundred at a time."""
    after = None
    while True:
        request = PageRequest(DEFAULT_ORDERS["series"], first=_PAGE, after=after)
        page = await answered(store.page("series", request, wanted))
        if page.rows:
            yield page.rows
        if not page.has_next:
            return
        after = request.cursor(page.rows[-1])


async def zip_series(
    checker: FileChecker,
    store: Store,
    series: AsyncIterator[Sequence[Any]],
    progress: Callable[[int], None] | None = None,
    opened: Callable[[StoredImage], Awaitable[Entry | str]] | None = None,
    *,
    is_of_patient: bool = False,
) -> AsyncGenerator[bytes, None]:
    """The bytes of a zip of all images of series (rows); `progress` is told of each image.

    A file that is gone or has changed is no error: the entry `MISSING.txt` lists its image.
    `opened` gives what goes into the archive for an image, or why nothing does; else its file does.
    `is_of_patient`: the archive is one patient's: images whose headers name another are left out.
    """
    archive = _Archive()
    opened = opened or partial(_file, checker, store)
    done = 0
    async for rows in series:
        for row in rows:
            folder = await _folder(store, row)
            async for images in images_of_series(checker, store, row.id):
                for image in images:
                    names_other = image.names not in (None, row.patient_id)
                    is_anothers = is_of_patient and names_other
                    given = OF_ANOTHER if is_anothers else await opened(image)
                    added = archive.add(default_path(*folder, image.uid), given)
                    async with aclosing(_in_thread(added)) as chunks:
                        async for chunk in chunks:
                            yield chunk
                    done += 1
                    if progress is not None:
                        progress(done)
    async for chunk in _in_thread(archive.end()):
        yield chunk


async def _folder(store: Store, series: Any) -> Folder:
    """The UIDs of a series' patient, study and itself."""
    patient = study = None
    if series.patient_id is not None:
        patient = (await store.by_ids("patient", [series.patient_id])).get(series.patient_id)
    if series.study_id is not None:
        study = (await store.by_ids("study", [series.study_id])).get(series.study_id)
    return patient.uid if patient else None, study.uid if study else None, series.uid


async def _in_thread(chunks: Chunks) -> AsyncGenerator[bytes, None]:
    """The same chunks, read off the event loop; whatever ends this closes what they come from."""
    step: asyncio.Future[bytes | None] | None = None
    try:
        while True:
            step = asyncio.ensure_future(asyncio.to_thread(next, chunks, None))
            chunk = await asyncio.shield(step)
            if chunk is None:
                return
            yield chunk
    finally:
        if step is None or step.done():
            chunks.close()
        else:
            step.add_done_callback(lambda _: chunks.close())


class _Archive:
    def __init__(self) -> None:
        self._zip = ZipStream(compress_type=ZIP_STORED)
        self._missing: list[str] = []

    def add(self, name: str, opened: Entry | str) -> Chunks:
        """The bytes of an entry; none where it is told why there is no file."""
        if isinstance(opened, str):
            self._missing.append(f"{name}: {opened}")
            return
        with opened as file:
            self._zip.add(self._content(file, name), name)
            yield from self._zip.file()

    def end(self) -> Chunks:
        """The bytes after the last image."""
        if self._missing:
            self._zip.add("\n".join([*self._missing, ""]), MISSING)
        yield from self._zip.finalize()

    def _content(self, file: Entry, name: str) -> Chunks:
        expected = file.size if isinstance(file, StoredFile) else os.fstat(file.fileno()).st_size
        try:
            while chunk := file.read(_CHUNK):
                expected -= len(chunk)
                yield chunk
        except (OSError, FileGoneError):
            expected = -1
        if expected:
            self._missing.append(f"{name}: incomplete, the file could not be read to its end")


async def _file(checker: FileChecker, store: Store, image: StoredImage) -> Entry | str:
    found = await checker.opened(store, image)
    return found[1] if found is not None else GONE
