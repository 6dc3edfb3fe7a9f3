"""The array of an image: its frames as stored, or as what their values mean.

All functions take a path and return plain data, so that they can run in another process: a decoder
written in C may crash on hostile bytes. Ask `decoded_bytes` first where memory is bounded; it needs
the header alone.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.common import PhotometricInterpretation

from dicom_graph.dicom.errors import FrameRangeError
from dicom_graph.dicom.functional_groups import FUNCTIONAL_GROUP_TAGS, FunctionalGroups
from dicom_graph.dicom.parsing.through_pydicom import quiet_pydicom
from dicom_graph.dicom.pixels.frame_format import FrameFormat, read_format
from dicom_graph.dicom.pixels.image_file import ImageFile, open_image
from dicom_graph.dicom.pixels.modality_lut import (
    IDENTITY,
    MODALITY_TAGS,
    Transform,
    apply_transform,
    frame_transform,
    value_dtype,
)
from dicom_graph.dicom.pixels.padding import PADDING_TAGS, Padding, padding_after, stored_padding
from dicom_graph.dicom.pixels.palette import PALETTE_TAGS, Palette, read_palette
from dicom_graph.dicom.pixels.voi import VOI_TAGS, Voi, Window, frame_vois

Array = NDArray[Any]
Path = str | os.PathLike[str]

_PRESENTATION_LUT_SHAPE = 0x20500020
PIXEL_TAGS = (
    frozenset(range(0x00280002, 0x00280012))
    | frozenset({0x00280030, 0x00280034, 0x00280100, 0x00280101, 0x00280102, 0x00280103})
    | frozenset({0x00181164, 0x00186011, 0x7FE00001, 0x7FE00002})
    | frozenset({_PRESENTATION_LUT_SHAPE})
    | PADDING_TAGS
    | PALETTE_TAGS
    | MODALITY_TAGS
    | VOI_TAGS
    | FUNCTIONAL_GROUP_TAGS
)
"""The elements that decide what the array is, and how it is shown."""


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """What `read_pixels` would give, told from the header alone.

    `dtype` and `samples` are those of the array; `stored_dtype`, `bits_stored` and
    `photometric_interpretation` those of the file. `value_bits`: of a stored value, or of a colour
    of the palette where it was looked up. `windows`: those of the first frame that was asked for.
    """

    frames: int
    rows: int
    columns: int
    samples: int
    dtype: str
    stored_dtype: str
    bits_stored: int
    value_bits: int
    photometric_interpretation: str
    transfer_syntax_uid: str
    transfer_syntax_name: str
    windows: tuple[Window, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames, rows, columns), or (frames, rows, columns, samples) for colour."""
        shape = (self.frames, self.rows, self.columns)
        return shape if self.samples == 1 else (*shape, self.samples)

    @property
    def nbytes(self) -> int:
        """The size of the array."""
        pixels = self.frames * self.rows * self.columns * self.samples
        return pixels * np.dtype(self.dtype).itemsize


@dataclass(frozen=True, slots=True, eq=False)
class ImagePixels:
    """The frames of an image, or one of them.

    `array`: (frames, rows, columns), or (frames, rows, columns, samples) for colour.
    `photometric_interpretation` (0028,0004) is the array's: RGB where YBR or a palette was
    converted. `vois`: for each frame what the header offers to show it by, empty for stored values.
    `paddings`: for each frame the values that are padding. `is_inverted`: whether high values are
    to be black. `aspect`: the height of a pixel by its width. `bits_stored`: of the file;
    `value_bits`: of the array, which differ where a palette was looked up.
    """

    array: Array
    photometric_interpretation: str
    bits_stored: int
    value_bits: int
    vois: tuple[tuple[Voi, ...], ...]
    paddings: tuple[Padding | None, ...]
    is_inverted: bool
    aspect: float
    first_frame: int = 0


def describe_pixels(
    path: Path, frame: int | None = None, *, rescaled: bool = True
) -> PixelDescription:
    """What `read_pixels` with the same arguments would give. Nothing is decoded.

    Raises PixelError, also where there is no decoder for the transfer syntax.
    """
    with quiet_pydicom(), open_image(path, PIXEL_TAGS) as image:
        image.require_pixels()
        return PixelLayout(image, rescaled=rescaled).description(frame)


def decoded_bytes(path: Path, frame: int | None = None, *, rescaled: bool = True) -> int:
    """About how much memory `read_pixels` with the same arguments takes at its peak, in bytes.

    That is the array, and what decoding one frame needs beside it. The header is believed: a
    corrupt or hostile file may make a decoder take more. Raises PixelError.
    """
    description = describe_pixels(path, frame, rescaled=rescaled)
    one_frame = description.rows * description.columns * description.samples
    # The encoded frame, the decoded one, its copy without unused bits, float64 while rescaling.
    working = 3 * np.dtype(description.stored_dtype).itemsize + 8
    return description.nbytes + one_frame * working


def read_pixels(path: Path, frame: int | None = None, *, rescaled: bool = True) -> ImagePixels:
    """The array of an image, all its frames or the one counted from 0, which is decoded alone.

    Rescaled (the default) are the values that the file means: slope and intercept (of each frame,
    where frames have their own) or the Modality LUT applied, palette colours looked up. Whole
    numbers stay so, in the narrowest integer for all that the bits stored could become; else
    float32, or float64 for more than 16 bits. `rescaled=False` gives the stored values: what
    pydicom's `pixel_array` gives. Always: YBR is RGB, the samples of a pixel lie together, bits
    that are not stored (overlays among them) are cleared, and samples taken from where HighBit says
    that they lie, which pydicom leaves alone; MONOCHROME1 is not inverted.

    Raises FileGoneError, NoPixelDataError, UnsupportedSyntaxError, FrameRangeError and
    CorruptPixelsError.
    """
    with quiet_pydicom(), open_image(path, PIXEL_TAGS) as image:
        image.require_pixels()
        layout = PixelLayout(image, rescaled=rescaled)
        description = layout.description(frame)
        array = np.empty(description.shape, description.dtype)
        numbers = range(layout.n_frames) if frame is None else (frame,)
        photometric = {""}
        for index, (decoded, decoded_as) in enumerate(layout.frames(numbers)):
            array[index] = decoded
            photometric = {decoded_as}
        return ImagePixels(
            array,
            photometric.pop(),
            description.bits_stored,
            description.value_bits,
            tuple(layout.vois(number) for number in numbers),
            tuple(layout.padding(number) for number in numbers),
            layout.is_inverted,
            layout.aspect(),
            numbers[0],
        )


def iter_frames(path: Path, *, rescaled: bool = True) -> Iterator[Array]:
    """The frames one after the other, each (rows, columns[, samples]), of one type.

    Raises what `read_pixels` raises.
    """
    with open_image(path, PIXEL_TAGS) as image:
        image.require_pixels()
        with quiet_pydicom():
            layout = PixelLayout(image, rescaled=rescaled)
        for decoded, _ in layout.frames(range(layout.n_frames)):
            yield decoded


class PixelLayout:
    """What the header of an open image says of its frames. Raises CorruptPixelsError."""

    def __init__(self, image: ImageFile, *, rescaled: bool) -> None:
        self._image = image
        self._header = image.header
        self._rescaled = rescaled
        self._groups = FunctionalGroups(image.header)
        self._format = read_format(image.header, image.keyword)
        self.n_frames = self._format.frames
        self._rows, self._columns = self._format.rows, self._format.columns
        self._samples, self._photometric = self._format.samples, self._format.photometric
        self._stored, self._bits = self._format.dtype, self._format.stored
        is_palette = self._photometric == PhotometricInterpretation.PALETTE_COLOR
        self._has_palette = is_palette and self._samples == 1
        self._palette = self._read_palette() if rescaled and self._has_palette else None
        is_grey = self._samples == 1 and not self._has_palette
        self._transforms = self._read_transforms() if rescaled and is_grey else (IDENTITY,)
        self._dtype = value_dtype(self._stored, self._bits, self._transforms)
        self._padding = stored_padding(image.header, self._format) if is_grey else None

    @property
    def format(self) -> FrameFormat:
        """How the frames lie in the file."""
        return self._format

    def description(self, frame: int | None) -> PixelDescription:
        """Of all frames, or of one. Raises FrameRangeError."""
        if frame is not None and not 0 <= frame < self.n_frames:
            raise FrameRangeError(
                f"no frame {frame}: the image has {self.n_frames}, counted from 0"
            )
        samples, dtype, value_bits = self._samples, self._dtype, self._bits
        if self._palette is not None:
            samples, dtype, value_bits = 3, self._palette.dtype, self._palette.bits
        return PixelDescription(
            frames=self.n_frames if frame is None else 1,
            rows=self._rows,
            columns=self._columns,
            samples=samples,
            dtype=dtype.name,
            stored_dtype=self._stored.name,
            bits_stored=self._bits,
            value_bits=value_bits,
            photometric_interpretation=self._photometric,
            transfer_syntax_uid=str(self._image.syntax),
            transfer_syntax_name=self._image.title,
            windows=tuple(voi for voi in self.vois(frame or 0) if isinstance(voi, Window)),
        )

    def frames(self, numbers: Iterable[int]) -> Iterator[tuple[Array, str]]:
        """Each frame decoded, with its photometric interpretation. Raises PixelError."""
        for number in numbers:
            stored, photometric = self._image.frame(number, self._format)
            if self._palette is not None:
                yield self._palette(stored), "RGB"
            else:
                yield apply_transform(stored, self.transform(number), self._dtype), photometric

    def transform(self, frame: int) -> Transform:
        """From stored values to what they mean."""
        return self._transforms[min(frame, len(self._transforms) - 1)]

    def padding(self, frame: int) -> Padding | None:
        """The values of the array that are padding, for a frame."""
        if self._padding is None:
            return None
        return padding_after(self._padding, self.transform(frame), self._format, self._dtype)

    @property
    def is_inverted(self) -> bool:
        """Whether the highest values are to be black.

        PresentationLUTShape (2050,0020) says what the values are, and is believed before
        MONOCHROME1, which the standard wants with INVERSE (PS3.3 C.8.11.1, C.11.6); so does dcmtk.
        """
        shape = str(self._header.get("PresentationLUTShape") or "").strip()
        if self._samples != 1 or self._has_palette or shape == "IDENTITY":
            return False
        return shape == "INVERSE" or self._photometric == PhotometricInterpretation.MONOCHROME1

    def vois(self, frame: int) -> tuple[Voi, ...]:
        """What the header offers to show a frame by."""
        if not self._rescaled or self._samples != 1 or self._has_palette:
            return ()
        return frame_vois(self._header, self._groups, frame)

    def aspect(self) -> float:
        """The height of a pixel by its width, from whichever element tells it first."""
        measured = self._groups.value(0, "PixelMeasuresSequence", "PixelSpacing")
        words = ("PixelSpacing", "ImagerPixelSpacing", "PixelAspectRatio")
        for value in (measured, *(self._header.get(word) for word in words)):
            try:
                height, width = (float(number) for number in value)
            except (TypeError, ValueError):
                continue
            if 0.01 < height / width < 100 if width > 0 else False:
                return height / width
        return 1.0

    def _read_palette(self) -> Palette:
        is_little = self._header.original_encoding[1] is not False
        is_signed = self._format.is_signed
        return read_palette(self._header, is_signed=is_signed, is_little_endian=is_little)

    def _read_transforms(self) -> tuple[Transform, ...]:
        """One for each frame with groups of its own, and one for all others."""
        differ = self._groups.differs("PixelValueTransformationSequence")
        frames = range(self._groups.n_frames + 1 if differ else 1)
        return tuple(frame_transform(self._header, self._groups, number) for number in frames)
