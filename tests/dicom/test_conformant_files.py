"""Files that keep to PS3.5 in ways that are seldom met, and what a file itself is warned of.

Right is what was put in, or what pydicom reads.
"""

import struct
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from dicom_graph.dicom.elements.contents import Element
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.files.reading import Instance, read_instance
from dicom_graph.dicom.pixels.arrays import read_pixels
from tests.dicom.raw_files import BIG, EXPLICIT, IMPLICIT, SYNTAXES, UNDEFINED, Encoding, write
from tests.support.make import make_data_set, put_raw, save


def read(path: Path) -> Instance:
    return read_instance(str(path), Interner())


def find(instance: Instance, tag: int) -> Element:
    """The element of a tag."""
    return next(element for element in instance.elements if element.tag == tag)


def numbers(element: Element) -> list[int]:
    """Its numbers, also those with more digits than a double has."""
    return [int(value.text or value.number or 0) for value in element.values]


def texts(instance: Instance, tag: int) -> list[str | None]:
    return [value.text for value in find(instance, tag).values]


@pytest.mark.parametrize("name", SYNTAXES)
def test_64_bit_integers_tags_and_deep_sequences(tmp_path: Path, name: str) -> None:
    encoding = Encoding(SYNTAXES[name])
    nested = encoding.element(0x00081155, "UI", b"1.2.3\0")
    for depth in range(20):
        items = encoding.item(b"") + encoding.item(nested, undefined=bool(depth % 2))
        if depth % 3:
            nested = encoding.element(0x00081140, "SQ", items)
        else:
            head = encoding.head(0x00081140, "SQ", UNDEFINED)
            nested = head + items + encoding.sequence_end
    content = encoding.identity() + encoding.element(0x00081120, "SQ", b"") + nested
    content += encoding.element(0x00280009, "AT", encoding.words(0x18, 0x1063, 0x20, 0xAB))
    whole = struct.pack(f"{encoding.order}2Q", 2**64 - 1, 2**53 + 1)
    signed = struct.pack(f"{encoding.order}2q", -(2**63), -1)
    content += encoding.element(0x00720082, "SV", signed)
    content += encoding.element(0x00720083, "UV", whole)
    path = write(tmp_path / "file.dcm", encoding.syntax, content)
    instance = read(path)
    assert instance.warnings == ()
    assert texts(instance, 0x00280009) == ["(0018,1063)", "(0020,00AB)"]
    assert numbers(find(instance, 0x00720082)) == [-(2**63), -1]
    assert numbers(find(instance, 0x00720083)) == [2**64 - 1, 2**53 + 1]
    assert find(instance, 0x00081120).items == ()
    truth = dcmread(path)
    element, expected = find(instance, 0x00081140), truth[0x00081140]
    for _ in range(19):
        assert element.items is not None
        assert [len(item) for item in element.items] == [len(item) for item in expected.value]
        (element,), expected = element.items[1], expected.value[1][0x00081140]
    assert element.items is not None
    assert element.items[1][0].text == expected.value[1].ReferencedSOPInstanceUID == "1.2.3"


@pytest.mark.parametrize("encoding", [EXPLICIT, BIG], ids=["explicit", "big endian"])
def test_unknown_elements_of_undefined_length_are_implicit_little_endian(
    tmp_path: Path, encoding: Encoding
) -> None:
    """PS3.5 6.2.2 note 2 and CP-246, with a sequence inside that is implicit too."""
    inner = IMPLICIT.element(0x00080100, "SH", b"code")
    items = IMPLICIT.item(IMPLICIT.element(0x00081140, "SQ", IMPLICIT.item(inner)))
    content = encoding.identity() + encoding.element(0x00090010, "LO", b"ACME")
    content += encoding.head(0x00091001, "UN", UNDEFINED) + items + IMPLICIT.sequence_end
    content += encoding.element(0x00100020, "LO", b"after ")
    instance = read(write(tmp_path / "file.dcm", encoding.syntax, content))
    assert instance.warnings == ()
    element = find(instance, 0x00091001)
    assert element.items is not None
    ((sequence,),) = element.items
    assert sequence.items is not None
    ((code,),) = sequence.items
    assert (code.tag, code.text) == (0x00080100, "code")
    assert find(instance, 0x00100020).text == "after"


@pytest.mark.parametrize(
    ("charset", "tag", "vr", "raw", "expected"),
    [
        ("GB18030", 0x00100010, "PN", "Wang^XiaoDong=王^小东".encode("gb18030"),
         ["Wang^XiaoDong=王^小东"]),
        # The second byte of this letter is a backslash, and is no delimiter (PS3.5 6.1.2.3).
        ("GBK", 0x00081090, "LO", "俓A\\B".encode("gbk"), ["俓A", "B"]),
        # Each group, and each component, begins in the first character set (6.1.2.5.3).
        ("\\ISO 2022 IR 87", 0x00100010, "PN",
         b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
         ["Yamada^Tarou=山田^太郎=やまだ^たろう"]),
        ("\\ISO 2022 IR 149", 0x00100010, "PN",
         b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
         ["Hong^Gildong=洪^吉洞=홍^길동"]),
    ],
)  # fmt: skip
def test_character_sets_of_several_bytes(
    tmp_path: Path, charset: str, tag: int, vr: str, raw: bytes, expected: list[str]
) -> None:
    content = EXPLICIT.element(0x00080005, "CS", charset.encode() + b" " * (len(charset) % 2))
    content += EXPLICIT.identity() + EXPLICIT.element(tag, vr, raw + b" " * (len(raw) % 2))
    instance = read(write(tmp_path / "file.dcm", EXPLICIT.syntax, content))
    assert texts(instance, tag) == expected
    assert not find(instance, tag).has_warnings


def test_moments_with_offsets_of_their_own(tmp_path: Path) -> None:
    """PS3.5 6.2 DT: each value may have another offset; plain arithmetic tells UTC."""
    header = make_data_set()
    put_raw(header, 0x0008002A, "DT", b"20200102101112+0200\\20200102101112.5-1130\\2020 ")
    instance = read(save(header, tmp_path / "file.dcm"))
    moments = [str(value.datetime) for value in find(instance, 0x0008002A).values]
    assert moments[:2] == ["2020-01-02 08:11:12", "2020-01-02 21:41:12.500000"]
    assert moments[2] == "2020-01-01 00:00:00"


def test_five_frames_of_nine_bits(tmp_path: Path) -> None:
    """Frames follow each other without a gap (PS3.5 8.1.1): 45 bits in 6 bytes."""
    bits = np.random.default_rng(2).integers(0, 2, 45).astype(np.uint8)
    header = make_data_set(
        Rows=3, Columns=3, NumberOfFrames=5, SamplesPerPixel=1, BitsAllocated=1, BitsStored=1,
        HighBit=0, PixelRepresentation=0, PhotometricInterpretation="MONOCHROME2",
    )  # fmt: skip
    header.PixelData = np.packbits(bits, bitorder="little").tobytes()
    header["PixelData"].VR = "OB"
    array = read_pixels(save(header, tmp_path / "file.dcm")).array
    np.testing.assert_array_equal(array, bits.reshape(5, 3, 3))


@pytest.mark.parametrize("name", SYNTAXES)
def test_ends_of_nothing_and_zeros_are_told(tmp_path: Path, name: str) -> None:
    """Delimiters belong to items and sequences of undefined length (PS3.5 7.5)."""
    encoding = Encoding(SYNTAXES[name])
    item_end = encoding.tag(0xFFFEE00D) + bytes(4)
    content = encoding.identity() + item_end + encoding.sequence_end
    content += encoding.element(0x00100020, "LO", b"after ") + bytes(16)
    instance = read(write(tmp_path / "file.dcm", encoding.syntax, content))
    assert find(instance, 0x00100020).text == "after"
    told = [warning.partition(": ")[2] for warning in instance.warnings]
    assert told == [
        "the end of no item: ignored",
        "the end of no sequence: ignored",
        "16 zero bytes that are no element: ignored",
    ]
