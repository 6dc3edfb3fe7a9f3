"""JPEG 2000 and HTJ2K (ISO 15444-1 Annex A, 15444-15): the SIZ segment, and what costs memory.

Boxes of a JP2 file (Annex I), which DICOM does not want but some files have, are passed over: a
decoder is given the codestream alone, so what they say of sizes and palettes cannot matter.
"""

import struct
from collections.abc import Iterator, Sequence

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels.codestream.description import Bytes, Codestream, Coding

_SOC, _SIZ, _COD, _COC = 0xFF4F, 0xFF51, 0xFF52, 0xFF53
_TLM = 0xFF55
_OF_PICTURE = frozenset(
    {_SIZ, _COD, _COC, _TLM, 0xFF50, 0xFF59, 0xFF5C, 0xFF5D, 0xFF5E, 0xFF5F, 0xFF60, 0xFF61}
)
"""CAP, CPF, QCD, QCC, RGN, POC, PPM, PPT beside the named: what a decoder needs."""
_TLM_ENTRIES = 10_000
_FIRST_MARKER = 0xFF00
_SOT, _SOD, _EOC = 0xFF90, 0xFF93, 0xFFD9
_JP2 = b"\x00\x00\x00\x0cjP  "
_HIGH_THROUGHPUT = 1 << 14
_MAX_TILES = 65_535
_MAX_LEVELS = 32
_BOX_HEADER, _MAX_BOXES = 8, 1_000
_MAX_MARKERS = 1 << 18
# What OpenJPEG allocates, in bytes, rounded up.
_TILE, _TILE_COMPONENT, _PRECINCT, _CODE_BLOCK = 9_000, 1_200, 600, 200


def is_jpeg_2000(frame: bytes) -> bool:
    """Whether it begins like a codestream, or like a JP2 file."""
    return frame.startswith((b"\xff\x4f\xff\x51", _JP2))


def read_jpeg_2000(frame: bytes) -> Codestream:
    """The main header of a JPEG 2000 codestream. Raises CorruptPixelsError."""
    start, end, claimed = _codestream_place(frame)
    source = Bytes(frame, start, end)
    if (source.number(2), source.number(2)) != (_SOC, _SIZ):
        raise CorruptPixelsError("the compressed frame is no JPEG 2000 codestream")
    segment = _segment(source)
    capabilities = segment.number(2)
    width, height, left, top, tile_width, tile_height, tile_left, tile_top = (
        segment.number(4) for _ in range(8)
    )
    samples = segment.number(2)
    components = [tuple(segment.number(1) for _ in range(3)) for _ in range(samples)]
    if not (samples and tile_width and tile_height and left < width and top < height):
        raise CorruptPixelsError("the JPEG 2000 codestream has no size")
    if any(part[1:] != (1, 1) for part in components):
        raise CorruptPixelsError("the JPEG 2000 codestream has components of several sizes")
    if tile_left > left or tile_top > top:
        raise CorruptPixelsError("the JPEG 2000 codestream has tiles outside of its image")
    rows, columns = height - top, width - left
    if claimed not in (None, (rows, columns, samples)):
        raise CorruptPixelsError(
            f"the JP2 header tells {claimed} rows, columns and components, "
            f"its codestream {(rows, columns, samples)}"
        )
    n_tiles = -(-(width - tile_left) // tile_width) * -(-(height - tile_top) // tile_height)
    if n_tiles > _MAX_TILES:
        raise CorruptPixelsError(f"the JPEG 2000 codestream has {n_tiles} tiles")
    tile = min(tile_width, columns), min(tile_height, rows)
    tiles: set[int] = set()
    styles = _coding_styles(source, tiles)
    coding = max((_cost(each, tile, samples) for each in styles), default=0)
    if tiles and len(tiles) < n_tiles:
        # OpenJPEG would leave the others black.
        raise CorruptPixelsError(f"the JPEG 2000 codestream has {len(tiles)} of {n_tiles} tiles")
    return Codestream(
        Coding.JPEG_2000,
        rows,
        columns,
        samples,
        max((part[0] & 0x7F) + 1 for part in components),
        is_signed=any(part[0] & 0x80 for part in components),
        has_high_throughput=bool(capabilities & _HIGH_THROUGHPUT),
        start=start,
        end=end,
        overhead_bytes=n_tiles * (_TILE + _TILE_COMPONENT * samples) + coding,
    )


def bare_jpeg_2000(frame: bytes) -> bytes:
    """A JPEG 2000 codestream without boxes around it, comments, and what is behind its end.

    The stream is one that `read_jpeg_2000` reads. Raises CorruptPixelsError.
    """
    start, end, _ = _codestream_place(frame)
    source = Bytes(frame, start + 2, end)
    head = _kept_segments(source, until=_SOT)
    tiles = []
    lengths = []
    while source.position + 12 <= source.end and source.number(2) == _SOT:
        begin = source.position - 2
        sot = source.take(10)
        length = int.from_bytes(sot[4:8], "big")
        kept = _kept_segments(source, until=_SOD)
        source.take(2)
        if length == 0:
            # In packets no two bytes are above FF8F.
            found = frame.find(b"\xff\xd9", source.position, source.end)
            tile_end = source.end if found < 0 else found
        else:
            tile_end = begin + length
        packets = source.take(tile_end - source.position)
        header = b"".join(segment for marker, segment in kept if marker != _TLM)
        told = 14 + len(header) + len(packets)
        lengths.append((sot[2:4], told))
        tiles.append(b"\xff\x90" + sot[:4] + struct.pack(">I", told) + sot[8:] + header)
        tiles.append(b"\xff\x93" + packets)
    main = [segment for marker, segment in head if marker != _TLM]
    if len(main) < len(head):
        main += _tile_lengths(lengths)
    return b"".join((b"\xff\x4f", *main, *tiles, b"\xff\xd9"))


def _tile_lengths(lengths: Sequence[tuple[bytes, int]]) -> Iterator[bytes]:
    """TLM: the number and the length of each tile-part, which HTJ2K RPCL wants."""
    for number, start in enumerate(range(0, len(lengths), _TLM_ENTRIES)):
        part = lengths[start : start + _TLM_ENTRIES]
        entries = b"".join(tile + struct.pack(">I", length) for tile, length in part)
        yield struct.pack(">HHBB", _TLM, 4 + len(entries), number, 0x60) + entries


def _kept_segments(source: Bytes, *, until: int) -> list[tuple[int, bytes]]:
    """The segments of a header that are of the picture, up to a marker, which is not taken."""
    kept: list[tuple[int, bytes]] = []
    while not source.starts_with(until.to_bytes(2, "big")):
        marker, length = source.number(2), source.number(2)
        content = source.take(length - 2)
        if marker in _OF_PICTURE:
            kept.append((marker, struct.pack(">HH", marker, length) + content))
    return kept


def _codestream_place(frame: bytes) -> tuple[int, int, tuple[int, int, int] | None]:
    """Where the codestream lies, and (rows, columns, components) as a JP2 header tells them."""
    if not frame.startswith(_JP2):
        return 0, len(frame), None
    claimed = None
    for kind, start, end in _boxes(frame, 0, len(frame)):
        if kind == b"jp2h":
            for inner, inner_start, inner_end in _boxes(frame, start, end):
                if inner == b"ihdr":
                    header = Bytes(frame, inner_start, inner_end)
                    claimed = header.number(4), header.number(4), header.number(2)
                elif inner in (b"pclr", b"cmap"):
                    raise CorruptPixelsError("the JP2 file has a palette of its own")
        elif kind == b"jp2c":
            return start, end, claimed
    raise CorruptPixelsError("the JP2 file has no codestream")


def _boxes(frame: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The type of each box, and where its content begins and ends."""
    for _ in range(_MAX_BOXES):
        if end - start < _BOX_HEADER:
            return
        source = Bytes(frame, start, end)
        length, kind = source.number(4), source.take(4)
        if length == 1:
            length = source.number(8)
        elif length == 0:
            length = end - start
        if not source.position - start <= length <= end - start:
            raise CorruptPixelsError("a box of the JP2 file does not lie within it")
        yield kind, source.position, start + length
        start += length
    raise CorruptPixelsError(f"the JP2 file has over {_MAX_BOXES} boxes")


def _segment(source: Bytes) -> Bytes:
    return Bytes(source.take(source.number(2) - 2))


def _coding_styles(source: Bytes, tiles: set[int]) -> Iterator[tuple[int, bytes]]:
    """The number of layers, and the parameters, of each COD and COC of all headers.

    Adds the numbers of the tiles that there are to `tiles`.
    """
    layers = 1
    tile_end = source.end
    n_markers = 0
    while source.position + 2 <= source.end:
        n_markers += 1
        if n_markers > _MAX_MARKERS:
            raise CorruptPixelsError(f"the JPEG 2000 codestream has over {_MAX_MARKERS} segments")
        begin = source.position
        marker = source.number(2)
        if marker == _EOC or marker < _FIRST_MARKER:
            return
        if marker == _SOD:
            source.position = tile_end
            continue
        segment = _segment(source)
        if marker == _SOT:
            tiles.add(segment.number(2))
            length = segment.number(4)
            tile_end = begin + length if length else source.end
            if length and length < 14:
                raise CorruptPixelsError(
                    "a tile of the JPEG 2000 codestream has no room for itself"
                )
        elif marker == _COD:
            has_precincts = segment.number(1) & 1
            segment.take(1)
            layers = max(layers, segment.number(2))
            segment.take(1)
            yield layers, _parameters(segment, has_precincts)
        elif marker == _COC:
            # The component's number has one byte or two; only a stream that is wrong has 257.
            segment.take(1)
            has_precincts = segment.number(1) & 1
            yield layers, _parameters(segment, has_precincts)


def _parameters(segment: Bytes, has_precincts: int) -> bytes:
    """Levels, code block width and height, then the precinct sizes of each resolution, if told."""
    levels, width, height = (segment.number(1) for _ in range(3))
    if levels > _MAX_LEVELS:
        raise CorruptPixelsError(f"the JPEG 2000 codestream has {levels} decomposition levels")
    segment.take(2)
    sizes = segment.take(levels + 1) if has_precincts else b"\xff" * (levels + 1)
    return bytes((levels, width & 0xF, height & 0xF)) + sizes


def _cost(style: tuple[int, bytes], tile: tuple[int, int], samples: int) -> int:
    """The bytes that the packets, precincts and code blocks of the largest tile need."""
    layers, (levels, block_width, block_height, *precincts) = style
    most = total = blocks = 0
    for resolution, size in enumerate(precincts):
        width, height = (-(-side >> (levels - resolution)) or 1 for side in tile)
        across, down = size & 0xF, size >> 4
        count = ((width >> across) + 2) * ((height >> down) + 2)
        most, total = max(most, count), total + count
        block = min(block_width + 2, across), min(block_height + 2, down)
        blocks += ((width >> block[0]) + 2) * ((height >> block[1]) + 2)
    packets = (layers + 1) * (levels + 1) * samples * most * 2
    return packets + samples * (total * _PRECINCT + max(blocks, total) * _CODE_BLOCK)
