"""Which file of an image is still the one that its stored header came from.

A path may hold another file by now, and a file that claims the same SOPInstanceUID may be another
patient's. What an import noted tells most of them apart without a look into them; the headers of
the others are read again, in a decoding process.
"""

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple

from dicom_graph.dicom.bounded_cache import BoundedCache
from dicom_graph.dicom.errors import FileGoneError
from dicom_graph.dicom.files.regular_file import resolved_roots
from dicom_graph.dicom.files.stored_file import FileState, FileVersion, StoredFile, open_stored_file
from dicom_graph.imaging.headers import HeaderOnDisk
from dicom_graph.imaging.unpacking import UnpackedFiles
from dicom_graph.store.read import Store

_AT_ONCE = 100
_REMEMBERED = 10_000
ReadHeaders = Callable[[Sequence[FileState]], Awaitable[list[HeaderOnDisk | None]]]


class StoredImage(NamedTuple):
    """An image by its UID and its key, and those files that may be given for it.

    `names`: the key of the patient that its header names, where that contradicts its series.
    """

    uid: str
    files: Sequence[FileState]
    id: int
    names: int | None = None


class ChosenFile(NamedTuple):
    """A file that is the one, and the moment at which that was so."""

    file: FileState
    moment: FileVersion


class FileChecker:
    """Looks at files. `roots`: where they may lie; `read`: reads headers, elsewhere."""

    def __init__(self, roots: Iterable[str | os.PathLike[str]], read: ReadHeaders) -> None:
        self.roots = resolved_roots(roots)
        self._read = read
        self._checked: BoundedCache[tuple[int, FileState, FileVersion], ChosenFile] = BoundedCache(
            _REMEMBERED
        )
        self._unpacked = UnpackedFiles()

    async def chosen(self, store: Store, images: Sequence[StoredImage]) -> list[FileState | None]:
        """A file of each image, None where there is none. Raises ImagingError, TimeoutError."""
        chosen = await self._choose(store, images)
        return [None if one is None else one.file for one in chosen]

    async def opened(self, store: Store, image: StoredImage) -> tuple[FileState, StoredFile] | None:
        """A file of an image, to be closed by the caller. Raises ImagingError, TimeoutError."""
        (chosen,) = await self._choose(store, [image])
        if chosen is None:
            return None
        opened = await asyncio.to_thread(_open, chosen)
        if opened is None:
            return None
        if opened.is_packed():
            try:
                await self._unpacked.unpack(opened)
            except BaseException as error:
                opened.close()
                if isinstance(error, FileGoneError):
                    return None
                raise
        return chosen.file, opened

    async def _choose(self, store: Store, images: Sequence[StoredImage]) -> list[ChosenFile | None]:
        seen = await asyncio.to_thread(lambda: [_look_at(image) for image in images])
        chosen: list[ChosenFile | None] = []
        doubtful: list[tuple[int, ChosenFile]] = []
        for index, (image, (sure, others)) in enumerate(zip(images, seen, strict=True)):
            known = (self._checked.get((image.id, *other)) for other in others)
            chosen.append(sure or next(filter(None, known), None))
            if chosen[-1] is None:
                doubtful += [(index, other) for other in others]
        for start in range(0, len(doubtful), _AT_ONCE):
            part = doubtful[start : start + _AT_ONCE]
            headers = await self._read([other.file for _, other in part])
            for (index, other), header in zip(part, headers, strict=True):
                if chosen[index] is None and header is not None:
                    chosen[index] = await self._checked_by(store, images[index], other, header)
        return chosen

    async def _checked_by(
        self, store: Store, image: StoredImage, other: ChosenFile, header: HeaderOnDisk
    ) -> ChosenFile | None:
        if header.content is not None:
            is_same = await asyncio.to_thread(store.is_as_stored, image.id, *header.content)
        else:
            is_same = header.digest == other.file.digest
        if not is_same:
            return None
        file = other.file._replace(digest=header.digest, stamp=header.moment.stamp)
        found = ChosenFile(file, header.moment)
        self._checked[(image.id, other.file, header.moment)] = found
        return found


def _look_at(image: StoredImage) -> tuple[ChosenFile | None, list[ChosenFile]]:
    """The first file that surely is the one, and before it those that may be."""
    others: list[ChosenFile] = []
    for file in image.files:
        try:
            opened, is_same = open_stored_file(file)
        except FileGoneError:
            continue
        opened.close()
        seen = ChosenFile(file, opened.moment)
        if is_same:
            return seen, others
        others.append(seen)
    return None, others


def _open(chosen: ChosenFile) -> StoredFile | None:
    try:
        opened, _ = open_stored_file(chosen.file)
    except FileGoneError:
        return None
    if opened.moment == chosen.moment:
        return opened
    opened.close()
    return None
