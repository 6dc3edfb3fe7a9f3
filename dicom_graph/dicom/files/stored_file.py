"""A file as it was imported, and opening it only where it still is that one.

A path may hold another file by now, of another patient even, and lead out of the import roots. So
what is opened is compared with what the import noted: size and modification time, and that it is
the same file on the same device, not changed since, by its `stamp`. Where only the stamp differs (a
remount, a restore, a change of permissions), the header is read again and must have the digest of
the one that was imported.
"""

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from struct import Struct
from typing import BinaryIO, NamedTuple

from dicom_graph.dicom.elements.contents import header_digest
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.errors import DicomError, FileGoneError, NoRoomError
from dicom_graph.dicom.files.gzipped import MAGIC, inflated, is_gzipped
from dicom_graph.dicom.files.reading import Instance, read_instance
from dicom_graph.dicom.files.regular_file import open_place, open_regular_file

_STAMP_SIZE = 8
_STAMP = Struct("<QQq").pack
_MASK = (1 << 64) - 1
_FINE_NS, _COARSE_NS = 50_000_000, 2_100_000_000
"""No file system's clock is coarser than that, where it tells fractions of seconds, and else."""
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_GONE = "the file is gone or has changed since it was imported"
_local = threading.local()


class FileState(NamedTuple):
    """A file as it was when it was imported: size in bytes, modification time in ns.

    `digest`: of its header (`header_digest`). `stamp`: see `FileVersion.stamp`; None where it is
    not known. `place`: its path without links at that time, where it was another one. By now it may
    lie there, or inside one of the `roots`, but nowhere else.
    """

    path: str
    size: int
    modified_ns: int
    digest: bytes | None = None
    stamp: bytes | None = None
    place: str | None = None
    roots: tuple[str, ...] = ()

    def __fspath__(self) -> str:
        return self.path

    def __repr__(self) -> str:
        """What decides its content; not what each import notes anew."""
        digest = None if self.digest is None else self.digest.hex()
        return f"FileState({self.path!r}, {self.size}, {self.modified_ns}, {digest})"


class FileVersion(NamedTuple):
    """Which file it is, and in which state: another one after each change."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, descriptor: int) -> "FileVersion":
        """That of an open file."""
        status = os.fstat(descriptor)
        return cls(
            status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        )

    @property
    def stamp(self) -> bytes | None:
        """What tells a file from others, and from itself once anything of it has changed: 8 bytes
        of its device, its inode and the time of its last change, which no program can set.

        None where that is so near that the next change may get the same time.
        """
        if not self.inode or not 0 <= self._settled_at() < time.time_ns():
            return None
        packed = _STAMP(self.device & _MASK, self.inode & _MASK, self.changed_ns)
        return blake2b(packed, digest_size=_STAMP_SIZE).digest()

    def _settled_at(self) -> int:
        grain = _FINE_NS if self.changed_ns % 1_000_000_000 else _COARSE_NS
        return self.changed_ns + grain

    def settle(self) -> None:
        """Wait until the next change of the file would get another time: two seconds at most."""
        time.sleep(min(max(0, self._settled_at() - time.time_ns()), _COARSE_NS) / 1e9)


class StoredFile:
    """A file that is open to be sent. Reading it fails once it is changed: no byte is of the new
    content. `content` is what is read; `moment`: the file as it was when it was opened.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.content = file
        self.moment = FileVersion.of(file.fileno())
        self._file = file

    def __enter__(self) -> "StoredFile":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def is_packed(self) -> bool:
        """Whether it is a gzip file that is not unpacked yet."""
        return self.content is self._file and is_gzipped(os.pread(self.fileno(), len(MAGIC), 0))

    def unpack(self) -> None:
        """Of a gzip file, what it holds is read from here on. Raises FileGoneError, NoRoomError."""
        if self.is_packed():
            self.read_from(self.unpacked())

    def unpacked(self) -> BinaryIO:
        """Returns what a gzip file holds. Raises FileGoneError, NoRoomError."""
        try:
            return inflated(self._file)
        except (DicomError, OSError) as error:
            if isinstance(error, OSError) and error.errno in _DISK_FULL:
                raise NoRoomError("the server has no room to unpack the file") from error
            raise FileGoneError(_GONE) from error

    def read_from(self, content: BinaryIO) -> None:
        """Read what it holds, unpacked, from here on. Raises FileGoneError where it has changed."""
        self.content = content
        require_unchanged(self._file, self.moment)

    @property
    def size(self) -> int:
        """Of what is read, in bytes."""
        return os.fstat(self.content.fileno()).st_size

    def fileno(self) -> int:
        """The descriptor of the file itself."""
        return self._file.fileno()

    def read(self, size: int = -1) -> bytes:
        """Bytes. Raises FileGoneError, OSError."""
        content = self.content.read(size)
        require_unchanged(self._file, self.moment)
        return content

    def seek(self, position: int) -> int:
        """Go to a position from the start."""
        return self.content.seek(position)

    def close(self) -> None:
        """Close it."""
        self.content.close()
        self._file.close()


def open_stored_file(file: FileState) -> tuple[StoredFile, bool]:
    """The file, open, and whether it surely is the one; else its header is to be read.

    Raises FileGoneError where it is not there, outside the roots, or not of that size and time.
    """
    try:
        descriptor = open_place(file.path, (*file.roots, file.place or file.path)).descriptor
    except OSError as error:
        raise FileGoneError(_GONE) from error
    opened = StoredFile(open(descriptor, "rb"))  # noqa: SIM115
    moment = opened.moment
    if (moment.size, moment.modified_ns) != (file.size, file.modified_ns):
        opened.close()
        raise FileGoneError(_GONE)
    return opened, file.stamp is not None and moment.stamp == file.stamp


def reread_header(opened: StoredFile) -> Instance:
    """The header of an open file, which nobody changed meanwhile. Raises FileGoneError."""
    opened.moment.settle()
    if not hasattr(_local, "interner"):
        _local.interner = Interner()
    try:
        instance = read_instance(b"", _local.interner, opened.fileno())
    except (DicomError, OSError) as error:
        raise FileGoneError(_GONE) from error
    require_unchanged(opened, opened.moment)
    return instance


def require_unchanged(file: BinaryIO | StoredFile, moment: FileVersion) -> None:
    """Raises FileGoneError where an open file is no longer as it was at a moment."""
    if FileVersion.of(file.fileno()) != moment:
        raise FileGoneError("the file changed while it was read")


@contextmanager
def opened_source(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to read: of a `FileState`, only the one that was imported, unchanged until the end.

    Raises FileGoneError.
    """
    if not isinstance(path, FileState):
        try:
            file = open_regular_file(path)
        except OSError as error:
            raise FileGoneError(f"the file cannot be opened: {error.strerror}") from error
        with file:
            if not is_gzipped(os.pread(file.fileno(), len(MAGIC), 0)):
                yield file
                return
            with inflated(file) as content:
                yield content
        return
    opened, is_same = open_stored_file(path)
    with opened:
        if not is_same and header_digest(reread_header(opened).elements) != path.digest:
            raise FileGoneError(_GONE)
        opened.unpack()
        opened.seek(0)
        yield opened.content
        require_unchanged(opened, opened.moment)
