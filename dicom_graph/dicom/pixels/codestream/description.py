"""The description of a codestream, and a reader of its bytes."""

from dataclasses import dataclass
from enum import StrEnum

from dicom_graph.dicom.errors import CorruptPixelsError


class Coding(StrEnum):
    """How a frame is compressed."""

    JPEG = "JPEG"
    JPEG_LS = "JPEG-LS"
    JPEG_2000 = "JPEG 2000"
    JPEG_XL = "JPEG XL"
    RLE = "RLE"


@dataclass(frozen=True, slots=True)
class Codestream:
    """What a compressed frame says of itself.

    `precision`: the bits of a sample, the most of all components. `rows` and `columns` are None
    for RLE, which does not tell them. `process`: of JPEG the number of its SOF marker (0 baseline,
    1 extended, 2 progressive, 3 lossless), else 0. `has_high_throughput`: HTJ2K (ISO 15444-15).
    `start` and `end`: where the codestream lies in the frame, without any file format around it.
    `scans`: where the data of each scan of JPEG and JPEG-LS begin and end.
    `overhead_bytes`: what a decoder allocates beside the samples, by tiles, layers and precincts.
    `has_end`: False for a JPEG stream without its end marker, which may be cut short.
    `component_ids`: of JPEG, as they may tell the colours; `is_jfif`: whether it says that it is
    JFIF, which means YBR. `segments`: where those of RLE begin and end.
    """

    coding: Coding
    rows: int | None
    columns: int | None
    samples: int
    precision: int
    is_signed: bool = False
    process: int = 0
    has_high_throughput: bool = False
    start: int = 0
    end: int | None = None
    overhead_bytes: int = 0
    has_end: bool = True
    component_ids: tuple[int, ...] = ()
    is_jfif: bool = False
    segments: tuple[tuple[int, int], ...] = ()
    scans: tuple[tuple[int, int], ...] = ()


class Bytes:
    """Big endian numbers of a codestream, in order. Raises CorruptPixelsError at the end."""

    def __init__(self, data: bytes, position: int = 0, end: int | None = None) -> None:
        self._data = data
        self.position = position
        self.end = len(data) if end is None else min(end, len(data))

    def starts_with(self, prefix: bytes) -> bool:
        """Whether the next bytes are these; none is taken."""
        return self._data.startswith(prefix, self.position, self.end)

    def number(self, n_bytes: int) -> int:
        """The next number of so many bytes."""
        return int.from_bytes(self.take(n_bytes), "big")

    def take(self, n_bytes: int) -> bytes:
        """The next bytes."""
        start, self.position = self.position, self.position + n_bytes
        if n_bytes < 0 or self.position > self.end:
            raise CorruptPixelsError("the compressed frame ends within its header")
        return self._data[start : self.position]
