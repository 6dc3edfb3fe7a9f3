"""JPEG (ISO 10918-1) and JPEG-LS (ISO 14495-1): the frame header among the marker segments.

All segments up to the end of the image are looked at: a second frame header, or a number of lines
told after the first scan, is what a decoder would follow. Thumbnails lie within application
segments, which are passed over.
"""

import re
import struct
from dataclasses import replace

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels.codestream.description import Bytes, Codestream, Coding

_SOI, _EOI, _SOS, _DNL, _DHP, _LSE, _SOF_LS = 0xD8, 0xD9, 0xDA, 0xDC, 0xDE, 0xF8, 0xF7
_NO_SOF = {0xC4, 0xC8, 0xCC}
"""DHT, JPG and DAC lie among the codes of frame headers."""
_ALONE = {0x01, *range(0xD0, 0xD8), _SOI}
"""Markers without a length: TEM, RST0 to RST7, SOI."""
_APP = range(0xE0, 0xF0)
_OVERSIZE = 4
_OF_PICTURE = {
    *(code for code in range(0xC0, 0xD0) if code != 0xC8), 0xDB, _DNL, 0xDD, _SOS, _SOF_LS, _LSE,
}  # fmt: skip
"""Frame headers, DHT, DAC, DQT, DNL, DRI, SOS, LSE: what a decoder needs."""
_PRESETS = b"\x01"
"""Of LSE: the parameters of the coding. Others are tables, of any bytes."""
_JFIF = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
_ADOBE = re.compile(rb"Adobe\0[de]\0{4}[\0-\x02]", re.DOTALL)
_HP_COLOURS = re.compile(rb"mrfx[\0-\x05]", re.DOTALL)
_SPIFF, _SPIFF_END = b"SPIFF\0", b"\0\0\0\x01\xff\xd8"
_SPIFF_LENGTH, _NO_RESOLUTION = 30, struct.pack(">BII", 0, 1, 1)
_MAX_MARKERS = 10_000
_PROGRESSIVE = {2, 6, 10, 14}
_ALL_COEFFICIENTS = (1 << 64) - 1
_NEXT_MARKER = {
    # In a scan FF 00 is a byte of data, and so is FF before any byte below 80 in JPEG-LS.
    Coding.JPEG: re.compile(rb"\xff+[^\x00\xff\xd0-\xd7]"),
    Coding.JPEG_LS: re.compile(rb"\xff+[\x80-\xcf\xd8-\xfe]"),
}


def read_jpeg(frame: bytes) -> Codestream:
    """The frame header of a JPEG or JPEG-LS stream. Raises CorruptPixelsError."""
    source = Bytes(frame)
    if source.take(2) != b"\xff\xd8":
        raise CorruptPixelsError("the compressed frame is no JPEG stream")
    found: Codestream | None = None
    lines: int | None = None
    is_jfif, has_end = False, True
    coded: dict[int, int] = {}
    scans: list[tuple[int, int]] = []
    n_markers = 0
    while (marker := _marker(source)) != _EOI:
        n_markers += 1
        if n_markers > _MAX_MARKERS:
            raise CorruptPixelsError(f"the JPEG stream has over {_MAX_MARKERS} segments")
        if marker in _ALONE:
            continue
        length = source.number(2)
        segment = Bytes(source.take(length - 2))
        if marker == _DHP or (marker == _LSE and segment.number(1) == _OVERSIZE):
            raise CorruptPixelsError("the JPEG stream tells its size in a way that DICOM does not")
        if marker == _SOF_LS or (0xC0 <= marker <= 0xCF and marker not in _NO_SOF):
            if found is not None:
                raise CorruptPixelsError("the JPEG stream has more than one frame header")
            found = _frame_header(marker, segment)
        elif marker in _APP and found is None:
            is_jfif = is_jfif or segment.starts_with(b"JFIF")
        elif marker == _DNL:
            lines = segment.number(2)
        elif marker == _SOS:
            if found is None:
                raise CorruptPixelsError("the JPEG stream has a scan before its frame header")
            for id, coefficients in _coefficients(segment, found.process):
                coded[id] = coded.get(id, 0) | coefficients
            begin = source.position
            has_end = _pass_scan(source, frame, found.coding)
            scans.append((begin, source.position if has_end else len(frame)))
            if not has_end:
                break
    checked = _checked(found, lines)
    if any(coded.get(id) != _ALL_COEFFICIENTS for id in checked.component_ids):
        raise CorruptPixelsError("the JPEG stream is cut short: scans are missing")
    return replace(checked, is_jfif=is_jfif, has_end=has_end, scans=tuple(scans))


def _coefficients(scan_header: Bytes, process: int) -> list[tuple[int, int]]:
    """The components of a scan, each with a bit for each coefficient of a block that it makes
    exact: of a progressive stream those of its band, in its last step (ISO 10918-1 G.1.1.1).
    """
    ids = [scan_header.take(2)[0] for _ in range(scan_header.number(1))]
    first, last, steps = (scan_header.number(1) for _ in range(3))
    exact = _ALL_COEFFICIENTS
    if process in _PROGRESSIVE:
        exact = 0 if steps & 0xF else (1 << last + 1) - (1 << first)
    return [(id, exact) for id in ids]


def _marker(source: Bytes) -> int:
    code = source.number(1)
    if code != 0xFF:
        raise CorruptPixelsError("the JPEG stream has bytes between its segments")
    while code == 0xFF:
        code = source.number(1)
    return code


def _pass_scan(source: Bytes, frame: bytes, coding: Coding) -> bool:
    """To the marker after the data of a scan; False where there is none."""
    found = _NEXT_MARKER[coding].search(frame, source.position)
    if found is None:
        return False
    source.position = found.start()
    return True


def _frame_header(marker: int, segment: Bytes) -> Codestream:
    precision, rows, columns, samples = (segment.number(size) for size in (1, 2, 2, 1))
    components = [segment.take(3) for _ in range(samples)]
    is_ls = marker == _SOF_LS
    return Codestream(
        Coding.JPEG_LS if is_ls else Coding.JPEG,
        rows,
        columns,
        samples,
        precision,
        process=0 if is_ls else marker - 0xC0,
        component_ids=tuple(component[0] for component in components),
    )


def _checked(found: Codestream | None, lines: int | None) -> Codestream:
    if found is None:
        raise CorruptPixelsError("the JPEG stream has no frame header")
    if lines is not None and lines != found.rows:
        raise CorruptPixelsError(
            f"the JPEG stream tells {found.rows} lines first and {lines} lines later"
        )
    return found


def bare_jpeg(frame: bytes, coding: Coding) -> bytes:
    """A JPEG or JPEG-LS stream without comments, thumbnails, metadata and what is behind its end.

    Of application segments those stay, without any text, that tell a decoder what colours mean.
    The stream is one that `read_jpeg` reads. Raises CorruptPixelsError.
    """
    source = Bytes(frame, 2)
    parts = [b"\xff\xd8"]
    while (marker := _marker(source)) != _EOI:
        if marker in _ALONE:
            continue
        content = source.take(source.number(2) - 2)
        if marker in _APP:
            parts.append(_of_colours(marker, content))
        elif marker == _LSE and content[:1] != _PRESETS:
            raise CorruptPixelsError("the JPEG-LS stream has mapping tables")
        elif marker in _OF_PICTURE:
            parts.append(_segment(marker, content))
        if marker != _SOS:
            continue
        begin = source.position
        if not _pass_scan(source, frame, coding):
            parts.append(frame[begin:])
            break
        parts.append(frame[begin : source.position])
    return b"".join((*parts, b"\xff\xd9"))


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _of_colours(marker: int, content: bytes) -> bytes:
    """What is kept of an application segment; often nothing."""
    kept = b""
    if marker == _APP[0] and content.startswith(b"JFIF\0"):
        kept = _JFIF
    elif marker == _APP[14] and content.startswith(b"Adobe") and len(content) == 12:
        kept = content if _ADOBE.fullmatch(content) else b"Adobe\0d\0\0\0\0" + content[11:]
    elif marker == _APP[8] and content.startswith(_SPIFF) and len(content) == _SPIFF_LENGTH:
        kept = content[:-9] + _NO_RESOLUTION
    elif marker == _APP[8] and (content == _SPIFF_END or _HP_COLOURS.fullmatch(content)):
        kept = content
    return _segment(marker, kept) if kept else b""
