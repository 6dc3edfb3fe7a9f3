"""An open image file: its header up to the pixel data, and its frames, decoded one at a time.

pydicom 3 decodes (with pylibjpeg, pyjpegls and Pillow beneath it), and one frame of many is read
and decoded alone. What is done here is what its `pixel_array(path, index=…)` leaves: a file without
preamble or TransferSyntaxUID is read as well; many frames need one look at the header; a stream of
frames without an offset table is searched once, not once for each frame; and errors are ours.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Literal

from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import parse_basic_offsets, parse_fragments
from pydicom.pixels import as_pixel_options, get_decoder
from pydicom.pixels.decoders.base import Decoder
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
from dicom_graph.dicom.through_pydicom import quiet_pydicom, read_header, read_whole

Array = NDArray[Any]
_PIXEL_KEYWORDS = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
_MAX_MESSAGE = 300
_IMAGE_PIXEL_GROUP = 0x0028


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
        self._offsets: tuple[list[int], list[int]] | None = None
        self._inflated: Dataset | None = None
        self._find_pixels()

    @property
    def syntax_name(self) -> str:
        """The transfer syntax as people know it, and its UID."""
        name = self.syntax.name
        return self.syntax if name == self.syntax else f"{name} ({self.syntax})"

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

    def decoder(self) -> Decoder:
        """pydicom's decoder. Raises NoPixelDataError and UnsupportedSyntaxError."""
        if not self.has_pixels:
            raise NoPixelDataError("the image has no pixel data")
        try:
            decoder = get_decoder(self.syntax)
        except NotImplementedError:
            raise UnsupportedSyntaxError(
                f"no decoder for the transfer syntax {self.syntax_name}"
            ) from None
        if not decoder.is_available:
            raise UnsupportedSyntaxError(
                f"no decoder is installed for the transfer syntax {self.syntax_name}"
            )
        return decoder

    def frame(self, index: int, *, number_of_frames: int) -> tuple[Array, str]:
        """One frame, (rows, columns[, samples]), and its photometric interpretation once decoded.

        Values are as stored, but YBR colours are RGB, samples of a pixel lie together, and bits
        that are not stored are cleared. Raises PixelError.
        """
        decoder = self.decoder()
        if not 0 <= index < number_of_frames:
            raise FrameRangeError(
                f"no frame {index}: the image has {number_of_frames}, counted from 0"
            )
        with quiet_pydicom():
            try:
                options = self._options(decoder, number_of_frames)
                array, properties = decoder.as_array(self._source(), index=index, **options)
            except Exception as error:
                # Decoders raise what they like for bytes that they cannot decode.
                raise CorruptPixelsError(
                    f"frame {index} cannot be decoded as {self.syntax_name}: {_one_line(error)}"
                ) from error
        return array, str(properties["photometric_interpretation"])

    def _source(self) -> Dataset | BinaryIO:
        if self._inflated is not None:
            return self._inflated
        self._file.seek(self._value_start)
        return self._file

    def _options(self, decoder: Decoder, number_of_frames: int) -> dict[str, Any]:
        options = as_pixel_options(self.header, number_of_frames=number_of_frames)
        options["transfer_syntax_uid"] = self.syntax
        options["pixel_keyword"] = self._keyword
        if self._vr:
            options["pixel_vr"] = self._vr
        if decoder.is_encapsulated and number_of_frames > 1 and "extended_offsets" not in options:
            offsets = self._frame_offsets(number_of_frames)
            if offsets[0]:
                options["extended_offsets"] = offsets
        return options

    def _frame_offsets(self, number_of_frames: int) -> tuple[list[int], list[int]]:
        """Where each frame lies after the offset table, where each is one fragment, else empty."""
        if self._offsets is None:
            self._offsets = ([], [])
            self._file.seek(self._value_start)
            try:
                known = parse_basic_offsets(self._file)
                first = self._file.tell()
                n_fragments, starts = ([], []) if known else parse_fragments(self._file)
            except Exception:
                # It is for the decoder to say what is wrong.
                return self._offsets
            if not known and n_fragments == number_of_frames:
                self._offsets = (
                    [start - first for start in starts],
                    [self._fragment_length(start) for start in starts],
                )
        return self._offsets

    def _fragment_length(self, start: int) -> int:
        self._file.seek(start + 4)
        return int.from_bytes(self._file.read(4), "little")

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
        self._inflated = read_whole(self._file)
        found = [word for word in _PIXEL_KEYWORDS.values() if word in self._inflated]
        self._keyword = found[0] if found else ""


@contextmanager
def open_image(
    path: str | os.PathLike[str], tags: frozenset[int] | None = None
) -> Iterator[ImageFile]:
    """Open a file and read its header (of its top level only the elements in `tags`, if given).

    Raises FileGoneError, and CorruptPixelsError where it is not DICOM.
    """
    with blamed_on(path):
        try:
            file = open(path, "rb")  # noqa: SIM115
        except OSError as error:
            raise FileGoneError(f"the file cannot be opened: {error.strerror}") from error
        with file:
            try:
                with quiet_pydicom():
                    image = ImageFile(os.fspath(path), file, _read_header(file, tags))
            except MemoryError as error:
                raise CorruptPixelsError("an element claims more bytes than memory has") from error
            yield image


@contextmanager
def blamed_on(path: str | os.PathLike[str]) -> Iterator[None]:
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
