"""An open image file: its header up to the pixel data, and its frames, decoded one at a time.

pydicom reads the header. Its `pixel_array(path, index=…)` would decode too, but believes more than
is safe: tables of offsets, lengths, the sizes that a codestream asks for. So a frame is found here
(`encapsulation`), held against the header and decoded (`decoding`, `native`), one of many alone,
also in a file without preamble or TransferSyntaxUID; and errors are ours.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal

from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_graph.dicom.errors import (
    CorruptPixelsError,
    FileGoneError,
    FrameRangeError,
    NoPixelDataError,
    PixelError,
    UnsupportedSyntaxError,
)
from dicom_graph.dicom.files.stored_file import opened_source
from dicom_graph.dicom.parsing.file_meta import GE_BIG_PIXELS
from dicom_graph.dicom.parsing.through_pydicom import quiet_pydicom, read_header, read_whole
from dicom_graph.dicom.pixels.decoding import (
    NEW_SYNTAXES,
    bare_frame_of,
    can_decode,
    decode_frame,
    to_rgb,
)
from dicom_graph.dicom.pixels.encapsulation import EncapsulatedFrames
from dicom_graph.dicom.pixels.frame_format import FrameFormat
from dicom_graph.dicom.pixels.native import native_values, swapped_pairs

Array = NDArray[Any]
_PIXEL_KEYWORDS = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
_MAX_MESSAGE = 300
_IMAGE_PIXEL_GROUP = 0x0028
_UNDEFINED = 0xFFFFFFFF
_NATIVE = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    GE_BIG_PIXELS,
)
_BIG_PIXELS = (ExplicitVRBigEndian, GE_BIG_PIXELS)
_NAMES = NEW_SYNTAXES | {GE_BIG_PIXELS: "Implicit VR Little Endian with big endian pixels of GE"}


class ImageFile:
    """A DICOM file that is open. Made by `open_image`."""

    def __init__(self, path: str, file: BinaryIO, header: Dataset) -> None:
        self.path = path
        self.header = header
        self.syntax = syntax_of(header)
        self._file = file
        self._keyword = ""
        self._vr: str | None = None
        self._length = 0
        self._value_start = 0
        self._encapsulated: EncapsulatedFrames | None = None
        self._inflated: bytes | None = None
        self._find_pixels()

    @property
    def syntax_name(self) -> str:
        """The transfer syntax as people know it, and its UID."""
        return self.syntax if self.title == self.syntax else f"{self.title} ({self.syntax})"

    @property
    def title(self) -> str:
        """The name of the transfer syntax; its UID where it has none."""
        return _NAMES.get(self.syntax, self.syntax.name)

    @property
    def has_big_pixels(self) -> bool:
        """Whether native pixel data is big endian."""
        return self.syntax in _BIG_PIXELS

    @property
    def has_pixels(self) -> bool:
        """Whether there is an element of pixel data."""
        return bool(self._keyword)

    @property
    def keyword(self) -> str:
        """PixelData, FloatPixelData or DoubleFloatPixelData; empty where there is none."""
        return self._keyword

    @property
    def value_start(self) -> int | None:
        """Where the pixel data's value begins in the file; None where it is deflated."""
        return None if self._inflated is not None else self._value_start

    @property
    def value_length(self) -> int:
        """The length of the pixel data's value, in bytes; 0xFFFFFFFF where it is encapsulated."""
        return self._length

    def status(self) -> os.stat_result:
        """Of the file that was opened, even where the path has since become another's."""
        return os.fstat(self._file.fileno())

    @property
    def is_native(self) -> bool:
        """Whether the transfer syntax has pixel data as it is, and not in fragments."""
        return is_native(self.syntax)

    def require_pixels(self) -> None:
        """Raises NoPixelDataError, UnsupportedSyntaxError, and CorruptPixelsError where pixel data
        is encapsulated though its transfer syntax is native, or the other way round.
        """
        if not self.has_pixels:
            raise NoPixelDataError("the image has no pixel data")
        if not self.is_native and not can_decode(self.syntax):
            raise UnsupportedSyntaxError(f"no decoder for the transfer syntax {self.syntax_name}")
        is_encapsulated = self._length == _UNDEFINED
        if is_encapsulated and self.is_native:
            raise CorruptPixelsError(
                "the pixel data has an undefined length, as compressed frames have, but the "
                f"transfer syntax {self.syntax_name} has none: one of the two is wrong"
            )
        if not is_encapsulated and not self.is_native:
            raise CorruptPixelsError(
                f"the pixel data has a length of {self._length} bytes, as uncompressed frames "
                f"have, but the transfer syntax {self.syntax_name} wants fragments: one of the two "
                "is wrong"
            )

    def frame(self, index: int, layout: FrameFormat) -> tuple[Array, str]:
        """One frame, (rows, columns[, samples]), and its photometric interpretation once decoded.

        Values are as stored, but YBR colours are RGB, samples of a pixel lie together, and bits
        that are not stored are cleared. Raises PixelError.
        """
        self.require_pixels()
        if not 0 <= index < layout.frames:
            raise FrameRangeError(f"no frame {index}: the image has {layout.frames}, from 0")
        with quiet_pydicom():
            try:
                if self.is_native:
                    return self._native_frame(index, layout)
                data = self._frames(layout.frames).frame(index)
                return decode_frame(data, self.syntax, layout)
            except UnsupportedSyntaxError:
                raise
            except MemoryError:
                raise
            except Exception as error:
                # Decoders raise what they like for bytes that they cannot decode.
                raise CorruptPixelsError(
                    f"frame {index} cannot be decoded as {self.syntax_name}: {_one_line(error)}"
                ) from error

    def bare_frames(self, layout: FrameFormat) -> Iterator[bytes]:
        """The encapsulated frames, with their samples and nothing beside them.

        Raises PixelError where one cannot be read so, or holds something beside its samples.
        """
        self.require_pixels()
        for index in range(layout.frames):
            data = self._frames(layout.frames).frame(index)
            yield bare_frame_of(data, self.syntax, layout)

    def native_layout(self, layout: FrameFormat) -> FrameFormat:
        """The layout of frames that are not compressed.

        Some say YBR_FULL_422 of colours that have all their samples, which their length shows.
        """
        full = layout.with_all_samples()
        is_full = layout.native_bits < full.native_bits
        if is_full and self._length * 8 >= full.native_bits * layout.frames:
            return full
        return layout

    def _native_frame(self, index: int, layout: FrameFormat) -> tuple[Array, str]:
        layout = self.native_layout(layout)
        start = index * layout.native_bits
        data = self._value(start // 8, -(-(start + layout.native_bits) // 8))
        # UN is little endian whatever the file is (PS3.5 6.2.2).
        is_little = not self.has_big_pixels or self._vr == "UN"
        cells = native_values(data, layout, first_bit=start % 8, is_little_endian=is_little)
        return to_rgb(layout.samples_of(cells), layout.photometric)

    def _frames(self, n_frames: int) -> EncapsulatedFrames:
        if self._encapsulated is None:
            tables = (
                self.header.get("ExtendedOffsetTable"),
                self.header.get("ExtendedOffsetTableLengths"),
            )
            extended = tables if all(isinstance(each, bytes) for each in tables) else None
            start = self._value_start
            self._encapsulated = EncapsulatedFrames(self._file, start, n_frames, extended)
        return self._encapsulated

    def _value(self, start: int, end: int) -> bytes:
        """Bytes of the pixel data's value: as many as it has, if that is less."""
        # Without a VR it is OW (PS3.5 A.1).
        is_swapped = self._vr in ("OW", None) and self.has_big_pixels
        if is_swapped and int(self.header.get("BitsAllocated") or 0) <= 8:
            first = start // 2 * 2
            pairs = self._read(first, min(end + end % 2, self._length // 2 * 2))
            return swapped_pairs(pairs)[start - first : end - first]
        return self._read(start, min(end, self._length))

    def _read(self, start: int, end: int) -> bytes:
        if self._inflated is not None:
            return self._inflated[start:end]
        self._file.seek(self._value_start + start)
        return self._file.read(max(end - start, 0))

    def _find_pixels(self) -> None:
        if self.syntax == DeflatedExplicitVRLittleEndian:
            self._inflate()
            return
        is_implicit, is_little = self.header.original_encoding
        order: Literal["little", "big"] = "little" if is_little else "big"
        start = self._file.read(12)
        if len(start) < 8:
            return
        group, number = (int.from_bytes(start[i : i + 2], order) for i in (0, 2))
        self._keyword = _PIXEL_KEYWORDS.get(group << 16 | number, "")
        # Some files are implicit though their transfer syntax says otherwise.
        if is_implicit or not start[4:6].isalpha():
            length = start[4:8]
            self._file.seek(8 - len(start), os.SEEK_CUR)
        else:
            self._vr = start[4:6].decode("latin-1")
            length = start[8:12]
        self._length = int.from_bytes(length, order)
        self._value_start = self._file.tell()

    def _inflate(self) -> None:
        inflated = read_whole(self._file)
        found = [word for word in _PIXEL_KEYWORDS.values() if word in inflated]
        if not found:
            return
        element = inflated[found[0]]
        self._keyword, self._vr = found[0], element.VR
        self._inflated = element.value or b""
        self._length = _UNDEFINED if element.is_undefined_length else len(self._inflated)


class HeaderOfImage(ImageFile):
    """An image of which there is the header alone: of its pixels is known what this says."""

    def __init__(self, header: Dataset) -> None:
        self.path = ""
        self.header = header
        self.syntax = syntax_of(header)
        self._keyword = "PixelData"
        self._length = 0 if self.is_native else _UNDEFINED
        _drop_unreadable(header)


@contextmanager
def open_image(
    path: str | os.PathLike[str], tags: frozenset[int] | None = None
) -> Iterator[ImageFile]:
    """Open a file and read its header (of its top level only the elements in `tags`, if given).

    Of a `FileState` only the file that was imported, as everywhere where pixels are read. Raises
    FileGoneError, and CorruptPixelsError where it is not DICOM.
    """
    with as_pixel_errors_of(path), opened_source(path) as file:
        try:
            with quiet_pydicom():
                image = ImageFile(os.fspath(path), file, _read_header(file, tags))
        except MemoryError as error:
            raise CorruptPixelsError("an element claims more bytes than memory has") from error
        yield image


@contextmanager
def as_pixel_errors_of(path: str | os.PathLike[str]) -> Iterator[None]:
    """What goes wrong inside is a PixelError with this path.

    pydicom decodes on access, and raises what it likes for what it cannot: CorruptPixelsError.
    """
    try:
        yield
    except MemoryError:
        raise
    except Exception as error:
        found = _as_pixel_error(error)
        found.path = found.path or os.fspath(path)
        if found is error:
            raise
        raise found from error


def _as_pixel_error(error: Exception) -> PixelError:
    if isinstance(error, PixelError):
        return error
    if isinstance(error, OSError) and error.errno is not None:
        return FileGoneError(f"the file cannot be read: {error.strerror}")
    return CorruptPixelsError(f"the header cannot be read: {_one_line(error)}")


def _read_header(file: BinaryIO, tags: frozenset[int] | None) -> Dataset:
    header = read_header(file, tags)
    _drop_unreadable(header)
    return header


def _drop_unreadable(header: Dataset) -> None:
    """Take away what pydicom cannot decode, but for what decides how pixels are read.

    Letters where numbers should be are met in many a file, and are no reason to show no picture.
    """
    for tag in list(header.keys()):
        if tag >> 16 == _IMAGE_PIXEL_GROUP:
            continue
        try:
            header[tag].value  # noqa: B018
        except Exception:
            del header._dict[tag]


def is_native(syntax: UID) -> bool:
    """Whether a transfer syntax has pixel data as it is, and not in fragments."""
    return syntax in _NATIVE


def syntax_of(header: Dataset) -> UID:
    """The transfer syntax; where the file does not say, that of the header as it was read."""
    syntax = header.file_meta.get("TransferSyntaxUID") if "file_meta" in header.__dict__ else None
    if syntax:
        return UID(str(syntax))
    is_implicit, is_little = header.original_encoding
    if is_implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRLittleEndian if is_little else ExplicitVRBigEndian


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:_MAX_MESSAGE] or type(error).__name__
