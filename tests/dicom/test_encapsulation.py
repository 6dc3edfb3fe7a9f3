"""Which fragments are a frame's, with tables of offsets that are right, absent, or lie."""

import struct
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from pydicom.encaps import encapsulate, encapsulate_extended

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels import encapsulation
from dicom_graph.dicom.pixels.arrays import iter_frames, read_pixels
from tests.dicom.encoded import J2K_LOSSLESS, RLE, j2k, jpeg, make_compressed, rle_frame

FRAMES = np.random.default_rng(1).integers(0, 256, (5, 16, 20)).astype(np.uint8)
STREAMS = [j2k(frame) for frame in FRAMES]
LOSSLESS_JPEG = "1.2.840.10008.1.2.4.70"


def item(content: bytes) -> bytes:
    return b"\xfe\xff\x00\xe0" + struct.pack("<I", len(content)) + content


def value(fragments: Sequence[bytes], table: Sequence[int] = ()) -> bytes:
    """Encapsulated pixel data with any offset table."""
    return item(struct.pack(f"<{len(table)}I", *table)) + b"".join(map(item, fragments))


def even(content: bytes) -> bytes:
    return content + bytes(len(content) % 2)


def starts(fragments: Sequence[bytes]) -> list[int]:
    """Where fragments begin, as an offset table counts."""
    return [0, *np.cumsum([len(each) + 8 for each in fragments]).tolist()][:-1]


PLAIN = [even(stream) for stream in STREAMS]
RIGHT = starts(PLAIN)


def make(path: Path, raw: bytes, **elements: object) -> Path:
    options = {"NumberOfFrames": len(FRAMES)} | elements
    return make_compressed(
        path, STREAMS, FRAMES[0], J2K_LOSSLESS, value=raw + b"\xfe\xff\xdd\xe0\0\0\0\0", **options
    )


def extended(offsets: Sequence[int], lengths: Sequence[int]) -> dict[str, bytes]:
    return {
        "ExtendedOffsetTable": struct.pack(f"<{len(offsets)}Q", *offsets),
        "ExtendedOffsetTableLengths": struct.pack(f"<{len(lengths)}Q", *lengths),
    }


LENGTHS = [len(stream) for stream in PLAIN]
TABLES = {
    "none": [],
    "right": RIGHT,
    "zeros": [0] * 5,
    "swapped": [RIGHT[0], RIGHT[2], RIGHT[1], RIGHT[3], RIGHT[4]],
    "shifted": [offset + 8 for offset in RIGHT],
    "between": [offset + 2 * (index > 0) for index, offset in enumerate(RIGHT)],
    "beyond": [*RIGHT[:4], 0xFFFFFFF0],
    "too-few": RIGHT[:3],
    "too-many": [*RIGHT, RIGHT[-1] + 10],
}


@pytest.mark.parametrize("few", [encapsulation._FEW, 0], ids=["all-checked", "each-checked"])
@pytest.mark.parametrize("table", TABLES)
def test_whatever_the_table_says_a_fragment_each_is_a_frame_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, few: int
) -> None:
    """Also of more frames than all of whose fragments are looked at."""
    monkeypatch.setattr(encapsulation, "_FEW", few)
    path = make(tmp_path / "a.dcm", value(PLAIN, TABLES[table]))
    np.testing.assert_array_equal(read_pixels(path).array, FRAMES)
    np.testing.assert_array_equal(read_pixels(path, 4).array[0], FRAMES[4])


EXTENDED = {
    "right": (RIGHT, LENGTHS),
    "zeros": ([0] * 5, LENGTHS),
    "one-frame-again": ([RIGHT[0], *RIGHT[:4]], LENGTHS),
    "beyond-the-file": ([*RIGHT[:4], 1 << 63], LENGTHS),
    "in-the-header": ([(1 << 64) - 300, *RIGHT[1:]], LENGTHS),
    "long": (RIGHT, [1 << 40] * 5),
    "empty": (RIGHT, [0] * 5),
    "too-few": (RIGHT[:2], LENGTHS[:2]),
    "lengths-missing": (RIGHT, LENGTHS[:1]),
}


@pytest.mark.parametrize("few", [encapsulation._FEW, 0], ids=["all-checked", "each-checked"])
@pytest.mark.parametrize("table", EXTENDED)
def test_an_extended_table_that_lies_leads_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, table: str, few: int
) -> None:
    monkeypatch.setattr(encapsulation, "_FEW", few)
    path = make(tmp_path / "a.dcm", value(PLAIN), **extended(*EXTENDED[table]))
    np.testing.assert_array_equal(read_pixels(path).array, FRAMES)


def test_what_pydicom_encapsulates(tmp_path: Path) -> None:
    for options in ({}, {"fragments_per_frame": 3}, {"has_bot": False}):
        path = make(tmp_path / "a.dcm", encapsulate(STREAMS, **options))
        np.testing.assert_array_equal(read_pixels(path).array, FRAMES)
    raw, offsets, lengths = encapsulate_extended(STREAMS)
    path = make(
        tmp_path / "a.dcm", raw, ExtendedOffsetTable=offsets, ExtendedOffsetTableLengths=lengths
    )
    np.testing.assert_array_equal(read_pixels(path).array, FRAMES)


def cut(stream: bytes, pieces: int) -> list[bytes]:
    size = -(-len(stream) // pieces // 2) * 2
    return [even(stream[start : start + size]) for start in range(0, len(stream), size)]


@pytest.mark.parametrize("has_table", [False, True])
def test_frames_of_different_numbers_of_fragments(tmp_path: Path, has_table: bool) -> None:
    """Without a table a frame begins where a fragment begins a stream."""
    pieces = [cut(stream, index + 1) for index, stream in enumerate(STREAMS)]
    fragments = [piece for frame in pieces for piece in frame]
    firsts = np.cumsum([0, *map(len, pieces)])[:-1]
    table = [starts(fragments)[first] for first in firsts] if has_table else []
    path = make(tmp_path / "a.dcm", value(fragments, table))
    np.testing.assert_array_equal(read_pixels(path).array, FRAMES)
    for index, frame in enumerate(iter_frames(path)):
        np.testing.assert_array_equal(frame, FRAMES[index])


@pytest.mark.parametrize("table", [[0, 20, 40, 60, 80], [0, 4, 8, 12, 16]])
def test_a_table_that_does_not_lead_to_the_fragments_is_an_error(
    tmp_path: Path, table: list[int]
) -> None:
    fragments = [piece for stream in STREAMS for piece in cut(stream, 2)]
    path = make(tmp_path / "a.dcm", value(fragments, table))
    with pytest.raises(CorruptPixelsError, match="offset table does not lead to the fragments"):
        read_pixels(path)


@pytest.mark.parametrize("n_frames", [6, 1000, 2**31 - 1])
def test_fewer_frames_than_told(tmp_path: Path, n_frames: int) -> None:
    path = make(tmp_path / "a.dcm", value(PLAIN), NumberOfFrames=n_frames)
    for frame in (0, 5, n_frames - 1):
        with pytest.raises(
            CorruptPixelsError, match=f"says {n_frames} frames, the pixel data has 5 fragments"
        ):
            read_pixels(path, frame)


@pytest.mark.parametrize("n_frames", [2, 3, 4])
def test_more_frames_than_told_are_not_guessed_at(tmp_path: Path, n_frames: int) -> None:
    path = make(tmp_path / "a.dcm", value(PLAIN), NumberOfFrames=n_frames)
    with pytest.raises(CorruptPixelsError, match=f"says {n_frames} frames: which of the 5"):
        read_pixels(path, 0)


def test_of_one_frame_all_fragments_are_joined(tmp_path: Path) -> None:
    fragments = cut(STREAMS[0], 4)
    for table in ([], [0], starts(fragments)):
        path = make(tmp_path / "a.dcm", value(fragments, table), NumberOfFrames=1)
        np.testing.assert_array_equal(read_pixels(path).array[0], FRAMES[0])


def test_rle_of_one_fragment_a_frame(tmp_path: Path) -> None:
    frames = [rle_frame(frame) for frame in FRAMES]
    path = make_compressed(tmp_path / "a.dcm", frames, FRAMES[0], RLE, has_table=False)
    np.testing.assert_array_equal(read_pixels(path).array, FRAMES)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xd8\xff\xe0" * 10,
        item(b"") + b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + PLAIN[0],
        item(b"") + b"\x10\x00\x10\x00\x04\x00\x00\x00NAME",
        item(b""),
        item(b"") + item(b""),
        b"\xfe\xff\x00\xe0\xff\xff\xff\x7f" + PLAIN[0],
    ],
    ids=["nothing", "no-items", "undefined", "another-element", "no-fragment", "empty", "table"],
)
def test_what_are_no_fragments(tmp_path: Path, raw: bytes) -> None:
    path = make(tmp_path / "a.dcm", value(PLAIN), NumberOfFrames=1)
    # pydicom writes no such file.
    head, element, _ = path.read_bytes().partition(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff")
    path.write_bytes(head + element + raw)
    with pytest.raises(CorruptPixelsError, match="frame 0 cannot be decoded as JPEG 2000"):
        read_pixels(path)


def test_a_file_that_ends_in_a_fragment(tmp_path: Path) -> None:
    """The frames that are there are read, the others are an error."""
    path = make(tmp_path / "a.dcm", value(PLAIN, RIGHT))
    whole = path.read_bytes()
    for left in (8 + len(PLAIN[4]) // 2, 8 + 20):
        path.write_bytes(whole[:-left])
        np.testing.assert_array_equal(read_pixels(path, 3).array[0], FRAMES[3])
        with pytest.raises(CorruptPixelsError, match="within frame 4"):
            read_pixels(path, 4)


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0x40000000])
def test_a_length_of_a_fragment_that_lies_takes_no_memory(tmp_path: Path, length: int) -> None:
    head = b"\xfe\xff\x00\xe0" + struct.pack("<I", length)
    path = make(tmp_path / "a.dcm", value([]) + head + STREAMS[0], NumberOfFrames=1)
    tracemalloc.start()
    try:
        with pytest.raises(CorruptPixelsError, match="ends early"):
            read_pixels(path)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


def test_jpeg_frames_without_a_table(tmp_path: Path) -> None:
    frames = [jpeg(frame, predictor=1) for frame in FRAMES]
    pieces = [piece for frame in frames for piece in cut(frame, 2)]
    raw = value(pieces) + b"\xfe\xff\xdd\xe0\0\0\0\0"
    path = make_compressed(tmp_path / "a.dcm", frames, FRAMES[0], LOSSLESS_JPEG, value=raw)
    np.testing.assert_array_equal(read_pixels(path).array, FRAMES)
