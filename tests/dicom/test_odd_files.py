"""Files that break rules in ways that are met. Right is what was put in, or what DCMTK says.

The rules: PS3.10 7.1 (group 0002), PS3.5 6.2.2 and CP-246 (UN), 7.1.2 (VRs), 7.5 (sequences).
"""

import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from dicom_graph.dicom.elements.contents import Element
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.errors import UnreadableFileError
from dicom_graph.dicom.files.reading import Instance, read_instance
from dicom_graph.dicom.pixels.arrays import read_pixels
from tests.dicom.raw_files import (
    BIG,
    EXPLICIT,
    IMPLICIT,
    SYNTAXES,
    UNDEFINED,
    Encoding,
    meta,
    write,
)

needs_dcmtk = pytest.mark.skipif(shutil.which("dcmdump") is None, reason="no DCMTK")


def read(path: Path) -> Instance:
    return read_instance(str(path), Interner())


def find(instance: Instance, tag: int) -> Element:
    """The element of a tag."""
    return next(element for element in instance.elements if element.tag == tag)


def tags(instance: Instance) -> list[int]:
    return [element.tag for element in instance.elements]


def stored_pixels(path: Path) -> list[int]:
    """The values of the pixels as the file has them."""
    return [int(value) for value in read_pixels(path, rescaled=False).array.ravel()]


def stray(encoding: Encoding, syntax: str) -> bytes:
    """A transfer syntax where none should be, as this encoding writes it."""
    return encoding.element(0x00020010, "UI", syntax.encode() + b"\0" * (len(syntax) % 2))


@pytest.mark.parametrize("length", [0, -10, 400, None], ids=["right", "short", "long", "none"])
@pytest.mark.parametrize("is_inside", [True, False], ids=["encoded as the data set", "explicit"])
@pytest.mark.parametrize("name", SYNTAXES)
def test_a_second_group_0002_changes_nothing(
    tmp_path: Path, name: str, is_inside: bool, length: int | None
) -> None:
    encoding = Encoding(SYNTAXES[name])
    other = ImplicitVRLittleEndian if name != "implicit" else ExplicitVRLittleEndian
    data_set = encoding.identity() + encoding.grey_pixels()
    head = meta(encoding.syntax, length=length)
    if is_inside:
        data_set = stray(encoding, other) + data_set
    else:
        head += stray(EXPLICIT, other)
    path = write(tmp_path / "file.dcm", encoding.syntax, data_set, head=head)
    instance = read(path)
    assert instance.transfer_syntax_uid == encoding.syntax
    assert find(instance, 0x00280004).text == "MONOCHROME2"
    assert all(tag >> 16 != 2 for tag in tags(instance))
    assert len(instance.warnings) == 1
    assert stored_pixels(path) == [1, 2, 3, 4]


def test_a_second_transfer_syntax_inside_the_length_changes_nothing_either(tmp_path: Path) -> None:
    head = meta(ExplicitVRLittleEndian)
    again = stray(EXPLICIT, ExplicitVRBigEndian)
    head = head[:140] + struct.pack("<L", len(head) - 144 + len(again)) + head[144:] + again
    data_set = EXPLICIT.identity() + EXPLICIT.grey_pixels()
    path = write(tmp_path / "file.dcm", "", data_set, head=head)
    assert read(path).transfer_syntax_uid == ExplicitVRLittleEndian
    assert stored_pixels(path) == [1, 2, 3, 4]


def test_compressed_pixels_are_those_of_the_first_syntax(tmp_path: Path) -> None:
    source = Path(str(get_testdata_file("J2K_pixelrep_mismatch.dcm")))
    raw = source.read_bytes()
    start = raw.index(b"\x08\x00\x05\x00CS") if b"\x08\x00\x05\x00CS" in raw[:1000] else None
    start = start or raw.index(b"\x08\x00\x08\x00CS")
    path = tmp_path / "file.dcm"
    path.write_bytes(raw[:start] + stray(EXPLICIT, ImplicitVRLittleEndian) + raw[start:])
    assert read(path).transfer_syntax_uid == JPEG2000Lossless
    assert stored_pixels(path) == stored_pixels(source)


def references(encoding: Encoding) -> bytes:
    """The elements of an item of ReferencedImageSequence."""
    first = encoding.element(0x00081150, "UI", b"1.2.3\0")
    return first + encoding.element(0x00081155, "UI", b"1.2.3.4\0")


def with_sequence(encoding: Encoding, sequence: bytes, tag: int = 0x00081140) -> bytes:
    """A data set with a sequence in it, and an element after it."""
    creator = encoding.element(0x00090010, "LO", b"ACME") if tag >> 16 == 9 else b""
    after = encoding.element(0x00100020, "LO", b"after ")
    return encoding.identity() + creator + sequence + after


@pytest.mark.parametrize(
    "inner", [IMPLICIT, EXPLICIT, BIG], ids=["as it should", "explicit", "big"]
)
@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("encoding", [EXPLICIT, BIG], ids=["little", "big"])
@pytest.mark.parametrize("tag", [0x00081140, 0x00091001], ids=["standard", "private"])
def test_an_unknown_value_of_undefined_length_is_a_sequence(
    tmp_path: Path, encoding: Encoding, inner: Encoding, undefined: bool, tag: int
) -> None:
    items = inner.item(references(inner), undefined=undefined) * 2
    unknown = encoding.head(tag, "UN", UNDEFINED) + items + inner.sequence_end
    plain = encoding.item(references(encoding)) * 2
    known = encoding.element(tag, "SQ", plain)
    syntax = encoding.syntax
    ours = read(write(tmp_path / "un.dcm", syntax, with_sequence(encoding, unknown, tag)))
    truth = read(write(tmp_path / "sq.dcm", syntax, with_sequence(encoding, known, tag)))
    assert find(ours, tag).digest == find(truth, tag).digest
    assert find(ours, tag).vm == 2
    assert find(ours, 0x00100020).text == "after"


def test_unknown_sequences_in_one_another_in_a_big_endian_file(tmp_path: Path) -> None:
    inside = IMPLICIT.head(0x00081140, "UN", UNDEFINED) + IMPLICIT.item(references(IMPLICIT))
    inside += IMPLICIT.sequence_end + IMPLICIT.element(0x00280010, "US", IMPLICIT.words(258))
    outside = BIG.head(0x00081115, "UN", UNDEFINED) + IMPLICIT.item(inside, undefined=True)
    outside += IMPLICIT.sequence_end
    data_set = with_sequence(BIG, outside) + BIG.grey_pixels()
    path = write(tmp_path / "file.dcm", ExplicitVRBigEndian, data_set)
    ((first, rows),) = find(read(path), 0x00081115).items or ()
    assert (rows.tag, rows.values[0].number) == (0x00280010, 258)
    ((_, instance),) = first.items or ()
    assert instance.text == "1.2.3.4"
    assert stored_pixels(path) == [1, 2, 3, 4]


def test_an_unknown_value_in_a_big_endian_file_is_little_endian(tmp_path: Path) -> None:
    # PS3.5 6.2.2: it came by implicit VR, and these are little endian; DCMTK shows 258 as well.
    data_set = BIG.identity() + BIG.element(0x00280010, "UN", b"\x02\x01")
    path = write(tmp_path / "file.dcm", ExplicitVRBigEndian, data_set)
    assert find(read(path), 0x00280010).values[0].number == 258


def layouts(vr: bytes) -> dict[str, bytes]:
    """An element (0028,0120), PixelPaddingValue, 258, whose VR is this."""
    tag = struct.pack("<HH", 0x0028, 0x0120)
    return {
        "two bytes": tag + vr + struct.pack("<H", 2) + b"\x02\x01",
        "four bytes": tag + vr + struct.pack("<HL", 0, 2) + b"\x02\x01",
    }


@pytest.mark.parametrize("vr", [b"  ", b"??", b"\0\0", b"us", b"uS", b"ZZ", b"QX", b"1A", b"\xffS"])
@pytest.mark.parametrize("layout", ["two bytes", "four bytes"])
@pytest.mark.parametrize("place", ["last", "between", "first", "item", "first of an item"])
def test_an_element_of_unknown_vr_is_told_and_the_file_is_read(
    tmp_path: Path, vr: bytes, layout: str, place: str
) -> None:
    odd = layouts(vr)[layout]
    after = EXPLICIT.element(0x00280301, "CS", b"NO")
    data_set = EXPLICIT.identity()
    if place == "last":
        data_set += odd
    elif place == "between":
        data_set += odd + after
    elif place == "first":
        # Out of order, as it must be to come first.
        data_set = odd + EXPLICIT.element(0x00280301, "CS", b"NO") + EXPLICIT.identity()
    else:
        before = (
            b"" if place == "first of an item" else EXPLICIT.element(0x00081150, "UI", b"1.2\0")
        )
        item = EXPLICIT.item(before + odd + after, undefined=True)
        data_set += EXPLICIT.head(0x00081140, "SQ", UNDEFINED) + item + EXPLICIT.sequence_end
        data_set += EXPLICIT.element(0x00100020, "LO", b"after ")
    instance = read(write(tmp_path / "file.dcm", ExplicitVRLittleEndian, data_set))
    assert find(instance, 0x00080060).text == "OT"
    elements = instance.elements
    if "item" in place:
        (elements,) = find(instance, 0x00081140).items or ()
        assert find(instance, 0x00100020).text == "after"
    element = next(element for element in elements if element.tag == 0x00280120)
    assert element.values[0].number == 258
    assert "no VR" in (element.warning or "")
    if place != "last":
        assert next(each for each in elements if each.tag == 0x00280301).text == "NO"


def test_an_unknown_vr_of_an_unknown_tag_is_bytes(tmp_path: Path) -> None:
    odd = struct.pack("<HH", 0x0029, 0x1001) + b"??" + struct.pack("<H", 4) + b"\1\2\3\4"
    data_set = EXPLICIT.identity() + EXPLICIT.element(0x00290010, "LO", b"ACME") + odd
    element = find(read(write(tmp_path / "f.dcm", ExplicitVRLittleEndian, data_set)), 0x00291001)
    assert (element.definition.vr, element.length) == ("UN", 4)
    assert element.warning == "the standard has no VR '??': read as UN"


def test_an_element_without_a_vr_among_others_is_told(tmp_path: Path) -> None:
    odd = IMPLICIT.element(0x00181030, "LO", b"protocol")
    data_set = EXPLICIT.identity() + odd + EXPLICIT.element(0x00200011, "IS", b"7 ")
    instance = read(write(tmp_path / "f.dcm", ExplicitVRLittleEndian, data_set))
    element = find(instance, 0x00181030)
    assert (element.text, element.definition.vr) == ("protocol", "LO")
    assert "has no VR" in (element.warning or "")
    assert find(instance, 0x00200011).text == "7"


def test_a_whole_data_set_without_vrs_needs_no_warning(tmp_path: Path) -> None:
    # The transfer syntax says otherwise; so does DCMTK's dump, with one line about it.
    data_set = IMPLICIT.identity() + IMPLICIT.grey_pixels()
    path = write(tmp_path / "f.dcm", ExplicitVRLittleEndian, data_set)
    instance = read(path)
    assert find(instance, 0x00280004).text == "MONOCHROME2"
    assert not any(element.has_warnings for element in instance.elements)
    assert stored_pixels(path) == [1, 2, 3, 4]


def test_equal_bytes_of_a_known_and_an_unknown_vr_are_two_elements(tmp_path: Path) -> None:
    known = layouts(b"US")["two bytes"]
    odd = layouts(b"us")["two bytes"]
    first, second = (
        find(
            read(write(tmp_path / name, ExplicitVRLittleEndian, EXPLICIT.identity() + element)),
            0x00280120,
        )
        for name, element in (("known.dcm", known), ("odd.dcm", odd))
    )
    assert first.digest != second.digest
    assert (first.warning, second.warning is None) == (None, False)


@pytest.mark.parametrize("count", [1, 2, 7, 8, 9, 128, 4095, 70_000])
@pytest.mark.parametrize("name", SYNTAXES)
def test_zeros_after_the_last_element_are_ignored_and_told(
    tmp_path: Path, name: str, count: int
) -> None:
    # vtk-dicom ignores them, DCMTK shows all elements before it complains.
    encoding = Encoding(SYNTAXES[name])
    data_set = encoding.identity() + encoding.element(0x00100020, "LO", b"last")
    plain = read(write(tmp_path / "plain.dcm", encoding.syntax, data_set))
    filled = read(write(tmp_path / "filled.dcm", encoding.syntax, data_set + bytes(count)))
    assert [e.digest for e in filled.elements] == [e.digest for e in plain.elements]
    (warning,) = filled.warnings
    assert f"{count} zero bytes" in warning
    assert not plain.warnings


@pytest.mark.parametrize("count", [4, 8, 24])
def test_zeros_at_the_end_of_an_item_are_ignored_and_told(tmp_path: Path, count: int) -> None:
    item = EXPLICIT.item(references(EXPLICIT) + bytes(count))
    data_set = with_sequence(EXPLICIT, EXPLICIT.element(0x00081140, "SQ", item))
    instance = read(write(tmp_path / "file.dcm", ExplicitVRLittleEndian, data_set))
    ((_, uid),) = find(instance, 0x00081140).items or ()
    assert uid.text == "1.2.3.4"
    assert f"{count} zero bytes" in instance.warnings[0]


@pytest.mark.parametrize("rest", [b"\0\0\0\0\0\0\0\x01\0\0", b"\x28\0\x10\0US", b"\0\0\0\x01"])
def test_other_bytes_after_the_last_element_are_an_error(tmp_path: Path, rest: bytes) -> None:
    data_set = EXPLICIT.identity() + EXPLICIT.element(0x00100020, "LO", b"last")
    path = write(tmp_path / "file.dcm", ExplicitVRLittleEndian, data_set + rest)
    with pytest.raises(UnreadableFileError, match="the file ends at byte"):
        read(path)


@pytest.mark.parametrize("vr", ["implicit", "SQ", "UN"])
@pytest.mark.parametrize("text", [b"no sequence at all", b"x ", b"1234567 "])
def test_text_in_the_place_of_a_sequence_is_told(tmp_path: Path, vr: str, text: bytes) -> None:
    # DCMTK refuses such a file, and pydicom raises where the element is asked for. Here the file
    # is read: a value of defined length that begins with no item can be nothing else.
    encoding = IMPLICIT if vr == "implicit" else EXPLICIT
    odd = encoding.element(0x00081140, vr if vr != "implicit" else "SQ", text)
    instance = read(write(tmp_path / "f.dcm", encoding.syntax, with_sequence(encoding, odd)))
    element = find(instance, 0x00081140)
    assert (element.definition.vr, element.text) == ("UN", text.decode().rstrip())
    assert "has no items" in (element.warning or "")
    assert find(instance, 0x00100020).text == "after"


def test_text_with_its_own_vr_in_the_tag_of_a_sequence_is_that_text(tmp_path: Path) -> None:
    odd = EXPLICIT.element(0x00081140, "LO", b"no sequence ")
    instance = read(write(tmp_path / "f.dcm", EXPLICIT.syntax, with_sequence(EXPLICIT, odd)))
    element = find(instance, 0x00081140)
    assert (element.definition.vr, element.text, element.warning) == ("LO", "no sequence", None)


def test_a_sequence_that_begins_right_and_breaks_is_an_error(tmp_path: Path) -> None:
    odd = EXPLICIT.element(0x00081140, "SQ", EXPLICIT.item(references(EXPLICIT)) + b"no item.")
    path = write(tmp_path / "f.dcm", EXPLICIT.syntax, with_sequence(EXPLICIT, odd))
    with pytest.raises(UnreadableFileError, match="ReferencedImageSequence: no item begins"):
        read(path)


@needs_dcmtk
def test_bytes_without_a_vr_have_that_of_dcmtk(tmp_path: Path) -> None:
    wanted = (0x50003000, 0x50023000, 0x501E3000, 0x54001010, 0x60003000, 0x60203000)
    data_set = IMPLICIT.identity() + IMPLICIT.element(0x00280103, "US", b"\0\0")
    for tag in wanted:
        data_set += IMPLICIT.element(tag, "", b"\1\0\2\0")
    path = write(tmp_path / "file.dcm", ImplicitVRLittleEndian, data_set)
    said = subprocess.run(["dcmdump", "-q", str(path)], capture_output=True, check=True, text=True)
    theirs = dict(re.findall(r"\(([0-9a-f]{4},[0-9a-f]{4})\) ([A-Za-z]{2})", said.stdout))
    instance = read(path)
    for tag in wanted:
        vr = theirs[f"{tag >> 16:04x},{tag & 0xFFFF:04x}"]
        # Where DCMTK leaves it open, it writes OW (PS3.5 A.1).
        assert find(instance, tag).definition.vr == ("OW" if vr == "ox" else vr)


@pytest.mark.parametrize("n_before", [0, 1])
@pytest.mark.parametrize("is_last", [False, True])
@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("OB", b"\1\2\3\4"), ("UN", b"\1\2\3\4"), ("UT", b"abcd"), ("OW", bytes(300)), ("SQ", b""),
        ("LO", b"abcd"), ("DS", b"1.50"), ("US", b"\5\0"), ("LT", b"x" * 70_000),
    ],
)  # fmt: skip
def test_a_length_of_16_bits_where_32_are_right_and_the_other_way_round(
    tmp_path: Path, vr: str, value: bytes, is_last: bool, n_before: int
) -> None:
    """PS3.5 7.1.2, mixed up by writers; DCMTK and pydicom refuse them. In an item too."""
    rows, tag = EXPLICIT.element(0x00280010, "US", b"\5\0"), EXPLICIT.tag(0x00189998)
    is_long = vr in ("OB", "UN", "UT", "OW", "SQ")
    length = struct.pack("<H" if is_long else "<2xL", len(value))
    odd = tag + vr.encode() + length + value
    content = EXPLICIT.element(0x00180050, "DS", b"1 ") * n_before + odd + rows * (not is_last)
    sequence = EXPLICIT.element(0x00081140, "SQ", EXPLICIT.item(content))
    path = write(tmp_path / "f.dcm", EXPLICIT.syntax, EXPLICIT.identity() + sequence + content)
    instance = read(path)
    (inner,) = find(instance, 0x00081140).items or ()
    for elements in (instance.elements, inner):
        by_tag = {element.tag: element for element in elements}
        found = by_tag[0x00189998]
        assert (found.definition.vr, found.length) == (vr, len(value))
        assert found.warning is not None
        assert found.warning.endswith(
            f"bits, and its VR one of {32 if is_long else 16}: read as {vr}"
        )
        assert (0x00280010 in by_tag) is not is_last


@needs_dcmtk
@pytest.mark.parametrize("encoding", [IMPLICIT, EXPLICIT])
def test_the_length_of_a_private_group_is_a_number(tmp_path: Path, encoding: Encoding) -> None:
    """PS3.5 7.2 knows (gggg,0000) of all groups, here without a VR, or unknown, and in an item."""
    vr = "" if encoding is IMPLICIT else "UN"
    group = encoding.element(0x00090000, vr, b"\x0c\0\0\0") + encoding.element(
        0x00090010, "LO", b"ACME"
    )
    sequence = encoding.element(0x00081140, "SQ", encoding.item(group))
    path = write(tmp_path / "f.dcm", encoding.syntax, encoding.identity() + sequence + group)
    said = subprocess.run(["dcmdump", "-q", str(path)], capture_output=True, check=True, text=True)
    assert len(re.findall(r"\(0009,0000\) U[LN] .*12|\(0009,0000\) UN 0c", said.stdout)) == 2
    instance = read(path)
    ((inner, _),) = find(instance, 0x00081140).items or ()
    for element in (find(instance, 0x00090000), inner):
        assert element.definition[1:] == ("", "UL", "", "Group Length")
        assert element.values[0].number == 12


@pytest.mark.parametrize(("signed", "vr", "number"), [(0, "US", 65535), (1, "SS", -1)])
def test_a_number_without_a_vr_is_signed_as_pixels_are(
    tmp_path: Path, signed: int, vr: str, number: int
) -> None:
    data_set = IMPLICIT.identity()
    item = IMPLICIT.item(IMPLICIT.element(0x00280106, "", b"\xff\xff"))
    data_set += IMPLICIT.element(0x00081140, "SQ", item)
    data_set += IMPLICIT.element(0x00280103, "US", IMPLICIT.words(signed))
    data_set += IMPLICIT.element(0x00280106, "", b"\xff\xff")
    instance = read(write(tmp_path / "file.dcm", ImplicitVRLittleEndian, data_set))
    ((inner,),) = find(instance, 0x00081140).items or ()
    for element in (find(instance, 0x00280106), inner):
        assert (element.definition.vr, element.values[0].number) == (vr, number)


def test_delimiters_of_nothing_are_ignored_and_told(tmp_path: Path) -> None:
    end = EXPLICIT.tag(0xFFFEE00D) + bytes(4)
    items = EXPLICIT.item(references(EXPLICIT)) + end + EXPLICIT.item(references(EXPLICIT))
    sequence = EXPLICIT.head(0x00081140, "SQ", UNDEFINED) + items + EXPLICIT.sequence_end
    data_set = with_sequence(EXPLICIT, sequence + end + EXPLICIT.sequence_end)
    instance = read(write(tmp_path / "file.dcm", ExplicitVRLittleEndian, data_set))
    assert find(instance, 0x00081140).vm == 2
    assert find(instance, 0x00100020).text == "after"
    assert [warning.partition(": ")[2] for warning in instance.warnings] == [
        "the end of no item: ignored", "the end of no item: ignored",
        "the end of no sequence: ignored",
    ]  # fmt: skip


@pytest.mark.parametrize("name", SYNTAXES)
def test_of_an_element_that_is_there_twice_the_last_counts_which_is_told(
    tmp_path: Path, name: str
) -> None:
    # An element occurs once at most (PS3.5 7.1). pydicom takes the last, DCMTK the first.
    encoding = Encoding(SYNTAXES[name])

    def twice(tag: int, vr: str, *values: bytes) -> bytes:
        return b"".join(encoding.element(tag, vr, value) for value in values)

    item = encoding.item(twice(0x00081155, "UI", b"1.2.3\0", b"1.2.4\0"))
    data_set = encoding.identity() + encoding.element(0x00081140, "SQ", item)
    data_set += twice(0x00100020, "LO", b"first ", b"second") + twice(
        0x00200013, "IS", b"1 ", b"1 "
    )
    path = write(tmp_path / "file.dcm", encoding.syntax, data_set)
    instance, truth = read(path), dcmread(path)
    assert find(instance, 0x00100020).text == truth.PatientID == "second"
    (((uid,),)) = find(instance, 0x00081140).items or ()
    assert uid.text == truth.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.4"
    assert [warning.partition(": ")[2] for warning in instance.warnings] == [
        f"{element} is there twice: the last one counts"
        for element in (
            "(0008,1155) ReferencedSOPInstanceUID", "(0010,0020) PatientID",
            "(0020,0013) InstanceNumber",
        )
    ]  # fmt: skip


@pytest.mark.parametrize("level", range(10))
@pytest.mark.parametrize("bits", range(9, 16))
def test_a_deflated_data_set_with_the_header_of_zlib(tmp_path: Path, level: int, bits: int) -> None:
    # DCMTK reads it with --bitstream-zlib. Raw streams are none, whatever they begin with.
    data_set = EXPLICIT.identity() + EXPLICIT.grey_pixels()
    syntax = DeflatedExplicitVRLittleEndian
    digests = set()
    for sign in (1, -1):
        packer = zlib.compressobj(level, wbits=sign * bits)
        path = tmp_path / f"{sign}.dcm"
        path.write_bytes(meta(syntax) + packer.compress(data_set) + packer.flush())
        instance = read(path)
        digests.add(tuple(element.digest for element in instance.elements))
        assert ["zlib" in warning for warning in instance.warnings] == [True] * (sign == 1)
        assert stored_pixels(path) == [1, 2, 3, 4]
    assert len(digests) == 1


@pytest.mark.parametrize("is_after_preamble", [True, False])
@pytest.mark.parametrize("name", ["implicit", "explicit", "big endian"])
def test_file_meta_information_that_is_big_endian(
    tmp_path: Path, name: str, is_after_preamble: bool
) -> None:
    # It is little endian by PS3.10 7.1; DCMTK and GDCM read it all the same.
    encoding = Encoding(SYNTAXES[name])
    syntax = encoding.syntax.encode() + b"\0" * (len(encoding.syntax) % 2)
    group = BIG.element(0x00020001, "OB", b"\0\1") + BIG.element(0x00020010, "UI", syntax)
    group = BIG.element(0x00020000, "UL", struct.pack(">L", len(group))) + group
    data_set = encoding.identity() + encoding.grey_pixels()
    head = (bytes(128) + b"DICM") * is_after_preamble + group
    path = write(tmp_path / "file.dcm", encoding.syntax, data_set, head=head)
    instance = read(path)
    plain = read(write(tmp_path / "plain.dcm", encoding.syntax, data_set))
    assert instance.transfer_syntax_uid == encoding.syntax
    assert tags(instance) == tags(plain)
    assert [element.digest for element in instance.elements] == [
        element.digest for element in plain.elements
    ]
    assert "big endian" in instance.warnings[0]
    assert stored_pixels(path) == [1, 2, 3, 4]


def test_an_empty_data_set_is_no_image(tmp_path: Path) -> None:
    path = write(tmp_path / "file.dcm", ExplicitVRLittleEndian, b"")
    with pytest.raises(UnreadableFileError, match="no SOPInstanceUID"):
        read(path)
