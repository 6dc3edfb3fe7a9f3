"""What gzip files hold, unpacked once for all that read it at the same time or soon after.

A player asks for a file in many ranges: each would unpack all of it.
"""

import asyncio
import io
import os
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from typing import BinaryIO

from dicom_graph.dicom.errors import FileGoneError, PixelError
from dicom_graph.dicom.files.stored_file import FileVersion, StoredFile
from dicom_graph.imaging.errors import imaging_error

_KEPT_SECONDS = 10.0
_KEPT_BYTES = 256 << 20
# Each writes all that its file holds to the disk, and takes a processor meanwhile.
_UNPACKERS = ThreadPoolExecutor(2, thread_name_prefix="dicom-graph-unpacking")


class UnpackedFiles:
    """What is unpacked at the moment; those of up to 256 MiB in all also for ten seconds after."""

    def __init__(self) -> None:
        self._by_version: dict[FileVersion, asyncio.Task[_Content]] = {}
        self._n_kept_bytes = 0

    async def unpack(self, opened: StoredFile) -> None:
        """Of a gzip file, what it holds is read from here on.

        Raises FileGoneError where it has changed, ImagingError where it cannot be unpacked.
        """
        version = opened.moment
        while True:
            task = self._by_version.get(version)
            if task is None:
                task = asyncio.create_task(self._unpacked(_copy(opened)))
                # A file that was changed just now may be changed again without a sign of it.
                if version.stamp is not None:
                    self._by_version[version] = task
                task.add_done_callback(lambda done: self._keep(version, done))
            content = await asyncio.shield(task)
            if content.hold():
                opened.read_from(_Reader(content))
                return
            self._forget(version, task)

    async def _unpacked(self, file: StoredFile) -> "_Content":
        loop = asyncio.get_running_loop()
        try:
            unpacked = await loop.run_in_executor(_UNPACKERS, _unpack, file)
        finally:
            await asyncio.to_thread(file.close)
        return _Content(unpacked)

    def _keep(self, version: FileVersion, task: "asyncio.Task[_Content]") -> None:
        if task.cancelled() or task.exception() is not None:
            self._forget(version, task)
            return
        content = task.result()
        is_kept = self._n_kept_bytes + content.size <= _KEPT_BYTES
        self._n_kept_bytes += content.size * is_kept
        seconds = _KEPT_SECONDS if is_kept else 0.0
        asyncio.get_running_loop().call_later(seconds, self._drop, version, task, is_kept)

    def _drop(self, version: FileVersion, task: "asyncio.Task[_Content]", is_kept: bool) -> None:
        content = task.result()
        self._n_kept_bytes -= content.size * is_kept
        self._forget(version, task)
        content.release()

    def _forget(self, version: FileVersion, task: "asyncio.Task[_Content]") -> None:
        if self._by_version.get(version) is task:
            del self._by_version[version]


def _copy(opened: StoredFile) -> StoredFile:
    """The same file, for as long as it takes to unpack it."""
    return StoredFile(open(os.dup(opened.fileno()), "rb"))


def _unpack(file: StoredFile) -> BinaryIO:
    try:
        return file.unpacked()
    except FileGoneError:
        raise
    except PixelError as error:
        raise imaging_error(error) from error


class _Content:
    """A file without a name, closed when nobody holds it any more; who made it holds it first."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._lock = Lock()
        self._n_holders = 1
        self.size = os.fstat(file.fileno()).st_size

    def fileno(self) -> int:
        return self._file.fileno()

    def hold(self) -> bool:
        """Whether it is still there, and is held from now on."""
        with self._lock:
            self._n_holders += self._n_holders > 0
            return self._n_holders > 0

    def release(self) -> None:
        """It is held by one less."""
        with self._lock:
            self._n_holders -= 1
            if not self._n_holders:
                self._file.close()


class _Reader(io.BufferedReader):
    """Reads a content that others read too, from a place of its own."""

    def __init__(self, content: _Content) -> None:
        super().__init__(_RawReader(content))


class _RawReader(io.RawIOBase):
    def __init__(self, content: _Content) -> None:
        self._content = content
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._content.fileno()

    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        count = os.preadv(self._content.fileno(), [buffer], self._position)
        self._position += count
        return count

    def seek(self, position: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._content.size}
        self._position = start[whence] + position
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if not self.closed:
            self._content.release()
        super().close()
