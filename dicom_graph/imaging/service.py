"""What can be made of image files, decoded in other processes and within limits."""

import os
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress

from dicom_graph.dicom.files.stored_file import FileState
from dicom_graph.dicom.pixels.arrays import PixelDescription
from dicom_graph.dicom.pixels.voi import Window
from dicom_graph.dicom.volume.acquisition import Acquisition
from dicom_graph.dicom.volume.pictures import PreviewAxis
from dicom_graph.dicom.volume.stored_header import StoredHeader
from dicom_graph.error_codes import ErrorCode
from dicom_graph.imaging import worker
from dicom_graph.imaging.bulk_data import write_bulk_value
from dicom_graph.imaging.checker import FileChecker
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.headers import read_headers
from dicom_graph.imaging.instance import read_elements
from dicom_graph.imaging.pool import DecodePool
from dicom_graph.imaging.worker import DescribedVolume, PixelStatistics, VolumeSummary
from dicom_graph.store.read import Store
from dicom_graph.store.read.elements import ElementNode

Files = Sequence[FileState]
_NO_ROOM = "the server has no room for temporary files, or cannot write them"


class Imaging:
    """All methods raise ImagingError, and TimeoutError once the time of a request is up.

    `max_decodes`: calls at a time, the others wait; `max_decoded_bytes`: of one answer;
    `decode_timeout`: seconds for one answer, without the waiting. `roots`: inside which files may
    lie, beside where they lay when they were imported. `files` looks at them.
    """

    def __init__(
        self,
        *,
        max_decodes: int = os.cpu_count() or 1,
        max_decoded_bytes: int = 2048 << 20,
        decode_timeout: float = 120.0,
        roots: Iterable[str | os.PathLike[str]] = (),
    ) -> None:
        self._max_bytes = max_decoded_bytes
        self._pool = DecodePool(max_decodes, decode_timeout, max_decoded_bytes)
        self.files = FileChecker(roots, lambda files: self._pool.run(read_headers, files))

    def close(self) -> None:
        """End all decoding."""
        self._pool.close()

    async def describe(self, file: FileState) -> PixelDescription:
        """What the header says of the pixels; nothing is decoded."""
        return await self._pool.run(worker.describe_image, file)

    async def instance(self, store: Store, file: FileState) -> list[ElementNode]:
        """All elements of a file, as far as `store` shows them."""
        return await self._pool.run(read_elements, file)

    async def bulk_data(self, store: Store, file: FileState, tag: int, sha256: bytes) -> str:
        """The path of a temporary file of a value's bytes, found by tag and digest at any depth;
        the caller deletes it.
        """
        return await spooled(
            lambda target: self._pool.run(write_bulk_value, file, target, tag, sha256)
        )

    async def statistics(self, file: FileState) -> PixelStatistics:
        """Of all pixels of an image."""
        return await self._pool.run(worker.image_statistics, file, self._max_bytes)

    async def png(
        self, file: FileState, frame: int = 1, window: Window | None = None, size: int | None = None
    ) -> bytes:
        """A frame, counted from 1, as PNG."""
        return await self._pool.run(worker.image_png, file, frame, window, size, self._max_bytes)

    async def npy(self, file: FileState, *, stored: bool = False) -> str:
        """The path of a temporary `.npy` of all frames; the caller deletes it."""
        return await spooled(
            lambda target: self._pool.run(
                worker.write_image_npy, file, target, stored, self._max_bytes
            )
        )

    async def volumes(self, files: Files) -> list[VolumeSummary]:
        """The volumes of a series, the main one first; only headers are read."""
        return await self._pool.run(worker.summarise_volumes, files)

    async def volumes_of_headers(self, headers: Sequence[StoredHeader]) -> list[VolumeSummary]:
        """The same of headers of the index; no file is opened."""
        return await self._pool.run(worker.summarise_headers, headers)

    async def described_volumes(self, files: Files) -> list[DescribedVolume]:
        """The volumes of a series, and how they were acquired; only headers are read."""
        return await self._pool.run(worker.describe_volumes, files)

    async def acquisitions(self, files: Files) -> list[Acquisition]:
        """How each volume of a series was acquired; only headers are read."""
        return await self._pool.run(worker.read_acquisitions, files)

    async def acquisition(self, files: Files, *, stack: int | None = None) -> Acquisition:
        """How a volume was acquired; `stack` may be left out where the series makes one."""
        return await self._pool.run(worker.volume_acquisition, files, stack)

    async def volume(
        self, files: Files, *, is_nifti: bool, stack: int | None = None, stored: bool = False
    ) -> str:
        """The path of a temporary `.nii.gz` or `.npy` of a volume; the caller deletes it.

        `stored`: of the values as they are stored. `stack` may be left out where the series makes
        one volume.
        """
        return await spooled(
            lambda target: self._pool.run(
                worker.write_volume, files, stack, target, is_nifti, stored, self._max_bytes
            )
        )

    async def preview(
        self,
        files: Files,
        axis: PreviewAxis = PreviewAxis.K,
        index: int | None = None,
        *,
        stack: int = 0,
        volume: int = 0,
        window: Window | None = None,
        size: int | None = None,
    ) -> bytes:
        """A picture across a volume as PNG, by default of the middle slice; indexes from 0."""
        return await self._pool.run(
            worker.volume_preview, files, stack, axis, index, volume, window, size, self._max_bytes
        )

    async def sheet(
        self,
        files: Files,
        *,
        n_tiles: int = 25,
        stack: int = 0,
        volume: int = 0,
        window: Window | None = None,
        size: int = 1024,
    ) -> bytes:
        """Up to `n_tiles` slices of a volume on one sheet, as PNG."""
        return await self._pool.run(
            worker.volume_sheet, files, stack, n_tiles, volume, window, size, self._max_bytes
        )


async def spooled(write: Callable[[str], Awaitable[None]]) -> str:
    """A temporary file that was written, for its reader alone to delete.

    On disk, not in memory or on the wire at once: so an error is known before an answer begins.
    """
    path = None
    try:
        handle, path = tempfile.mkstemp(prefix="dicom-graph-")
        os.close(handle)
        await write(path)
    except BaseException as error:
        if path is not None:
            with suppress(OSError):
                os.unlink(path)
        if isinstance(error, OSError):
            raise ImagingError(_NO_ROOM, ErrorCode.NO_SPACE) from error
        raise
    return path
