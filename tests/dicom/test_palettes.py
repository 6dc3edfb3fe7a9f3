"""Palettes: arrays against the tables themselves, pictures against dcmtk's."""

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.pixels import apply_color_lut
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels.arrays import describe_pixels, read_pixels
from dicom_graph.dicom.pixels.rendering import render_image
from dicom_graph.dicom.volume import read_geometries, read_volume
from dicom_graph.dicom.volume.pictures import preview, sheet
from tests.dicom.test_rendering import opened
from tests.support import dcmtk
from tests.support.slices import make_image

COLOURS = ("Red", "Green", "Blue")
Tables = Sequence[Sequence[int]]


def words(numbers: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(numbers)}H", *(int(each) for each in numbers))


def packed(numbers: Sequence[int]) -> bytes:
    return bytes(numbers) + bytes(len(numbers) % 2)


def make_palette(
    path: Path, indexes: Any, descriptor: Sequence[int], data: Sequence[bytes],
    syntax: str = ExplicitVRLittleEndian, *, is_segmented: bool = False, vr: str = "",
    **elements: Any,
) -> Path:  # fmt: skip
    """An image of palette colours; `data`: of red, green and blue, little endian words."""
    is_big = syntax == ExplicitVRBigEndian
    indexes = np.asarray(indexes)
    written = indexes.byteswap() if is_big else indexes
    make_image(path, written, syntax, PhotometricInterpretation="PALETTE COLOR", **elements)
    data_set = pydicom.dcmread(path)
    prefix = "Segmented" if is_segmented else ""
    for colour, table in zip(COLOURS, data, strict=True):
        keyword = f"{colour}PaletteColorLookupTableDescriptor"
        setattr(data_set, keyword, list(descriptor))
        data_set[keyword].VR = vr or ("SS" if min(descriptor) < 0 else "US")
        raw = np.frombuffer(table, "<u2").astype(">u2").tobytes() if is_big else table
        setattr(data_set, f"{prefix}{colour}PaletteColorLookupTableData", raw)
    data_set.save_as(path)
    return path


def looked_up(indexes: Any, tables: Tables, first: int = 0) -> np.ndarray:
    """By the words of PS3.3 C.7.6.3.1.5: below the first entry the first, beyond the last it."""
    places = [
        [min(max(int(each) - first, 0), len(tables[0]) - 1) for each in row] for row in indexes
    ]
    return np.array([[[table[place] for table in tables] for place in row] for row in places])


def check(path: Path, expected: np.ndarray, bits: int, *, by_dcmtk: bool = True) -> None:
    """The array, the picture, and what a series gives."""
    array = read_pixels(path).array[0]
    np.testing.assert_array_equal(array, expected)
    described = describe_pixels(path)
    assert described.shape == (1, *expected.shape)
    assert described.dtype == array.dtype.name == ("uint8" if bits <= 8 else "uint16")
    shown = expected >> (bits - 8)
    pictures = [opened(render_image(path))]
    geometry = read_geometries([path])[0]
    pictures += [opened(preview(geometry)), opened(sheet(geometry, size=expected.shape[1]))]
    for picture in pictures:
        np.testing.assert_array_equal(np.asarray(picture), shown)
    if by_dcmtk:
        np.testing.assert_array_equal(dcmtk.picture(path), shown)
    volume = read_volume(geometry).array
    np.testing.assert_array_equal(volume[:, :, 0].swapaxes(0, 1), expected)


RNG = np.random.default_rng(7)
WIDE = [RNG.integers(0, 65_536, 4096).tolist() for _ in COLOURS]
SHORT = [[0, 1000, 20_000, 65_535], [65_535, 0, 256, 128], [1, 2, 3, 40_000]]
BYTES = [[0, 10, 200, 255, 7], [255, 0, 25, 128, 8], [1, 2, 3, 4, 9]]
ANY_BYTE = np.arange(256, dtype=np.uint8).reshape(16, 16)


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_indexes_of_12_bits(tmp_path: Path, syntax: str) -> None:
    indexes = RNG.integers(0, 4096, (8, 9)).astype(np.uint16)
    path = make_palette(
        tmp_path / "a.dcm", indexes, (4096, 0, 16), [words(table) for table in WIDE], syntax,
        BitsStored=12, HighBit=11,
    )  # fmt: skip
    check(path, looked_up(indexes, WIDE), 16)


def test_indexes_of_16_bits_and_a_table_of_all(tmp_path: Path) -> None:
    """A length of 0 means 65,536."""
    indexes = RNG.integers(0, 65_536, (8, 9)).astype(np.uint16)
    tables = [RNG.permutation(65_536).tolist() for _ in COLOURS]
    path = make_palette(tmp_path / "a.dcm", indexes, (0, 0, 16), [words(table) for table in tables])
    check(path, looked_up(indexes, tables), 16)


@pytest.mark.parametrize("first", [0, 2, 200])
@pytest.mark.parametrize("bits", [16, 12, 10])
def test_a_table_shorter_than_the_indexes(tmp_path: Path, first: int, bits: int) -> None:
    tables = [[each >> (16 - bits) for each in table] for table in SHORT]
    path = make_palette(
        tmp_path / "a.dcm", ANY_BYTE, (4, first, bits), [words(table) for table in tables]
    )
    check(path, looked_up(ANY_BYTE, tables, first), bits)


@pytest.mark.parametrize("vr", ["SS", "US"])
@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_the_first_index_is_negative(tmp_path: Path, dtype: type, vr: str) -> None:
    """Also where the descriptor says US, and so 65,534 for -2."""
    indexes = np.array([[-128, -3, -2, -1], [0, 1, 2, 127]], dtype)
    first = -2 if vr == "SS" else 65_534
    path = make_palette(
        tmp_path / "a.dcm", indexes, (4, first, 16), [words(table) for table in SHORT], vr=vr
    )
    check(path, looked_up(indexes, SHORT, -2), 16)


@pytest.mark.parametrize("bits", [8, 16])
def test_entries_of_8_bits_two_to_a_word(tmp_path: Path, bits: int) -> None:
    """An odd number of them, and also where the descriptor wrongly says 16: there are no 16."""
    path = make_palette(
        tmp_path / "a.dcm", ANY_BYTE, (5, 0, bits), [packed(table) for table in BYTES]
    )
    check(path, looked_up(ANY_BYTE, BYTES), 8, by_dcmtk=bits == 8)


def test_entries_of_8_bits_two_to_a_big_endian_word(tmp_path: Path) -> None:
    path = make_palette(
        tmp_path / "a.dcm", ANY_BYTE.astype(np.uint16), (5, 0, 8),
        [packed(table) for table in BYTES], ExplicitVRBigEndian,
    )  # fmt: skip
    check(path, looked_up(ANY_BYTE, BYTES), 8)


def test_entries_of_8_bits_one_to_a_word(tmp_path: Path) -> None:
    path = make_palette(tmp_path / "a.dcm", ANY_BYTE, (5, 0, 8), [words(table) for table in BYTES])
    check(path, looked_up(ANY_BYTE, BYTES), 8)


def test_indexes_high_in_their_cells(tmp_path: Path) -> None:
    indexes = RNG.integers(0, 4096, (8, 9)).astype(np.uint16)
    path = make_palette(
        tmp_path / "a.dcm", indexes << 4, (4096, 0, 16), [words(table) for table in WIDE],
        BitsStored=12, HighBit=15,
    )  # fmt: skip
    check(path, looked_up(indexes, WIDE), 16)


@pytest.mark.parametrize("name", ["spring", "summer", "fall", "winter"])
def test_the_segmented_palettes_of_the_standard(tmp_path: Path, name: str) -> None:
    """PS3.6 B.1, as pydicom has them and expands them; entries of 8 bits."""
    palette = pydicom.dcmread(Path(pydicom.__file__).parent / "data" / "palettes" / f"{name}.dcm")
    data = [getattr(palette, f"Segmented{colour}PaletteColorLookupTableData") for colour in COLOURS]
    descriptor = palette.RedPaletteColorLookupTableDescriptor
    path = make_palette(tmp_path / "a.dcm", ANY_BYTE, descriptor, data, is_segmented=True)
    expected = apply_color_lut(ANY_BYTE, pydicom.dcmread(path))
    np.testing.assert_array_equal(read_pixels(path).array[0], expected)


def test_segments_of_every_kind(tmp_path: Path) -> None:
    """By PS3.3 C.7.9.2: two values, a line of three, and both once more."""
    red = [0, 2, 10, 20, 1, 3, 50, 2, 2, 0, 0]
    green = [0, 2, 100, 200, 1, 3, 50, 2, 1, 8, 0]
    blue = [0, 10, *range(10)]
    expected = [
        [10, 20, 30, 40, 50, 10, 20, 30, 40, 50],
        [100, 200, 150, 100, 50, 50, 50, 50, 50, 50],
        list(range(10)),
    ]
    indexes = np.arange(12, dtype=np.uint8).reshape(3, 4)
    path = make_palette(
        tmp_path / "a.dcm", indexes, (10, 0, 16), [words(each) for each in (red, green, blue)],
        is_segmented=True,
    )  # fmt: skip
    np.testing.assert_array_equal(read_pixels(path).array[0], looked_up(indexes, expected))


@pytest.mark.parametrize(
    "segments",
    [
        [1, 3, 50],
        [2, 1, 0, 0],
        [0, 1, 5, 2, 1, 6, 0],
        [0, 1, 5, 2, 1, 500, 0],
        [0, 1, 5, 7, 1, 1],
        [0, 1, 5, 0, 0, 0, 0, 0],
        [0, 1, 5, 2, 65_535, 14, 0, 0, 0, 1, 2, 3],
    ],
    ids=["line-first", "indirect-first", "indirect-to-itself", "beyond", "kind", "empty", "loop"],
)
def test_segments_that_make_no_palette(tmp_path: Path, segments: list[int]) -> None:
    path = make_palette(
        tmp_path / "a.dcm", ANY_BYTE, (0, 0, 16), [words(segments)] * 3, is_segmented=True
    )
    for ask in (read_pixels, describe_pixels, render_image):
        with pytest.raises(CorruptPixelsError, match="palette"):
            ask(path)


def test_segments_expand_to_the_entries_and_no_more(tmp_path: Path) -> None:
    """Each of 1,000 segments repeats all before it 65,535 times."""
    bomb = [0, 1, 5] + [2, 65_535, 0, 0] * 1000
    path = make_palette(tmp_path / "a.dcm", ANY_BYTE, (256, 0, 16), [words(bomb)] * 3,
                        is_segmented=True)  # fmt: skip
    with pytest.raises(CorruptPixelsError, match="palette"):
        read_pixels(path)
    repeated = [0, 1, 5] + [2, 1, 0, 0] * 1000
    path = make_palette(tmp_path / "a.dcm", ANY_BYTE, (256, 0, 16), [words(repeated)] * 3,
                        is_segmented=True)  # fmt: skip
    assert (read_pixels(path).array == 5).all()


@pytest.mark.parametrize("descriptor", [(4, 0, 0), (4, 0, 17), (4, 0), (4, 0, 300)])
def test_descriptors_that_make_no_palette(tmp_path: Path, descriptor: tuple[int, ...]) -> None:
    path = make_palette(tmp_path / "a.dcm", ANY_BYTE, descriptor, [words(each) for each in SHORT])
    with pytest.raises(CorruptPixelsError, match="palette"):
        read_pixels(path)


def test_a_palette_that_is_missing(tmp_path: Path) -> None:
    path = make_image(tmp_path / "a.dcm", ANY_BYTE, PhotometricInterpretation="PALETTE COLOR")
    with pytest.raises(CorruptPixelsError, match="palette has no descriptor"):
        read_pixels(path)
    np.testing.assert_array_equal(read_pixels(path, rescaled=False).array[0], ANY_BYTE)
    make_palette(path, ANY_BYTE, (4, 0, 16), [b"", b"", b""])
    with pytest.raises(CorruptPixelsError, match="no table of red"):
        read_pixels(path)
