"""Pictures of frames: 8 bits of grey or RGB, as PNG.

Grey values go through the modality transform, then the window or VOI LUT, then the inversion that
MONOCHROME1 (PS3.3 C.7.6.3.1.2) or PresentationLUTShape asks for. Pixels that are not square are
made so.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dicom_graph.dicom.errors import FrameRangeError, RenderingError
from dicom_graph.dicom.pixels.arrays import ImagePixels, Path, read_pixels
from dicom_graph.dicom.pixels.voi import Voi, Window, WindowFunction, apply_voi, default_window

MAX_SIDE = 8192
"""The longest side that a picture may have, in pixels."""
_WHOLE_BYTE = Window(127.5, 255.0, WindowFunction.LINEAR_EXACT)
_LARGEST_TABLE = 65_536


def render_image(
    path: Path, frame: int = 0, *, window: Voi | None = None, size: int | None = None
) -> bytes:
    """A frame of a file as PNG; see `render`. Raises PixelError."""
    return render(read_pixels(path, frame), frame, window=window, size=size)


def render(
    pixels: ImagePixels, frame: int = 0, *, window: Voi | None = None, size: int | None = None
) -> bytes:
    """A frame, by its number in the image, as PNG.

    `window` is used instead of what the header offers: its first VOI LUT, else its first window.
    Where there is neither, 8-bit images are shown as they are and all others from their 1st to
    their 99th percentile, padding left out. Colour is shown as it is. `size` is the longer side of
    the picture in pixels; without it no pixel is lost.

    Raises FrameRangeError, and RenderingError for a size that is not in 1 to `MAX_SIDE`.
    """
    index = frame - pixels.first_frame
    if not 0 <= index < len(pixels.array):
        raise FrameRangeError(f"frame {frame} is not among those that were read")
    values = pixels.array[index]
    if values.ndim == 3:
        return encode_png(fit(colours_to_8_bits(values, pixels.value_bits), pixels.aspect, size))
    if window is None:
        window = _own_window(pixels, index)
    grey = grey_to_8_bits(values, window)
    if pixels.is_inverted:
        grey = 255 - grey
    return encode_png(fit(grey, pixels.aspect, size))


def grey_to_8_bits(values: NDArray[Any], voi: Voi) -> NDArray[np.uint8]:
    """The values in a window (or through a VOI LUT) as 0 to 255; what is not a number is 0."""
    if values.dtype.kind in "iu" and values.size:
        low, high = int(values.min()), int(values.max())
        if high - low < min(values.size, _LARGEST_TABLE):
            table = _to_bytes(apply_voi(np.arange(low, high + 1), voi))
            return np.asarray(table[values.astype(np.intp) - low])
    return _to_bytes(apply_voi(values, voi))


def colours_to_8_bits(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """(rows, columns, 3) of 8 bits, from samples (or colours of a palette) of `bits` bits.

    Of more than 8 bits the highest 8 are taken, as dcmtk does it: palettes hold 8 bits in the
    high byte, and get those back.
    """
    colours = values[..., :3]
    if bits >= 8:
        return np.asarray((colours >> (bits - 8)).clip(0, 255), np.uint8)
    return _to_bytes(colours / ((1 << bits) - 1))


def fit(picture: NDArray[np.uint8], aspect: float, size: int | None) -> Image.Image:
    """The picture with square pixels, its longer side `size` if given.

    `aspect` is the height of a pixel by its width. Without a size the coarser direction is
    enlarged, so that nothing is lost. Raises RenderingError beyond `MAX_SIDE`.
    """
    if size is not None and not 1 <= size <= MAX_SIDE:
        raise RenderingError(f"the size must be 1 to {MAX_SIDE} pixels, not {size}")
    rows, columns = picture.shape[:2]
    height, width = (
        (rows * aspect, float(columns)) if aspect >= 1 else (float(rows), columns / aspect)
    )
    longest = max(height, width)
    scale = (size or min(longest, MAX_SIDE)) / longest
    target = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(np.ascontiguousarray(picture))
    return image if target == image.size else image.resize(target, Image.Resampling.LANCZOS)


def encode_png(image: Image.Image) -> bytes:
    """The bytes of a PNG file."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def _own_window(pixels: ImagePixels, index: int) -> Voi:
    if pixels.vois[index]:
        return pixels.vois[index][0]
    values = pixels.array[index]
    is_byte = values.dtype == np.uint8 and pixels.bits_stored == 8
    padding = pixels.paddings[index]
    return _WHOLE_BYTE if is_byte else default_window(values, [padding] if padding else ())


def _to_bytes(shares: NDArray[np.float64]) -> NDArray[np.uint8]:
    return np.asarray(np.floor(np.nan_to_num(shares) * 255.0 + 0.5), np.uint8)
