"""From a file to its header: known by content, read to the pixel data and no further."""

import io
import random
import zlib
from hashlib import sha256
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
)

from dicom_graph.dicom.elements.contents import Element, Item, make_element
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.errors import NotDicomError, UnreadableFileError
from dicom_graph.dicom.files import reading
from dicom_graph.dicom.files.reading import Instance, read_instance
from tests.support.data import file_bytes, nibabel_dicom_files, pydicom_files, shared_files
from tests.support.make import make_data_set, make_file, save

SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
}
PIXELS = bytes(range(8))
PIXEL_DATA = 0x7FE00010


def read(path: Path) -> Instance:
    return read_instance(str(path), Interner())


def find(elements: Item, keyword: str) -> Element:
    """The element of a keyword."""
    return next(element for element in elements if element.definition.keyword == keyword)


def tags(elements: Item) -> list[int]:
    return [element.tag for element in elements]


def with_pixels(**elements: object) -> Dataset:
    """A data set with pixel data of 2 by 2 words, and an icon that has pixel data too."""
    data_set = make_data_set(
        BitsAllocated=16, BitsStored=16, HighBit=15, PixelRepresentation=0, SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2", **elements,
    )  # fmt: skip
    icon = Dataset()
    icon.Rows = icon.Columns = 2
    icon.add_new(PIXEL_DATA, "OW", PIXELS)
    data_set.IconImageSequence = [icon]
    data_set.add_new(PIXEL_DATA, "OW", PIXELS)
    return data_set


def headerless(path: Path, data_set: Dataset, *, implicit: bool) -> Path:
    """A file of the bare data set: no preamble, no file meta information."""
    data_set.save_as(path, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    assert path.read_bytes()[128:132] != b"DICM"
    return path


@pytest.mark.parametrize("name", ["image.dcm", "IM0001", "report.txt", "photo.jpg", "ä ö.IMA"])
def test_a_file_is_known_by_its_content(tmp_path: Path, name: str) -> None:
    instance = read(make_file(tmp_path / name, EchoTime=2.5))
    assert find(instance.elements, "EchoTime").texts == ("2.5",)
    assert instance.transfer_syntax_uid == ExplicitVRLittleEndian


@pytest.mark.parametrize("implicit", [True, False])
def test_a_data_set_without_a_preamble_is_read(tmp_path: Path, implicit: bool) -> None:
    data_set = make_data_set(EchoTime=2.5)
    instance = read(headerless(tmp_path / "file", data_set, implicit=implicit))
    assert tags(instance.elements) == sorted(data_set.keys())
    assert instance.transfer_syntax_uid is None


def dicomdir() -> bytes:
    (path,) = [path for path in pydicom_files() if path.name == "DICOMDIR-implicit"]
    return path.read_bytes()


def text_that_force_reads() -> bytes:
    # "\x08\x00…" is a tag of group 0008 to any reader that does not look further.
    return b"\x08\x00\x05\x00" + b"notes of a radiologist, line by line\n" * 40


OTHER_CONTENT = {
    "nothing": b"",
    "a byte": b"\x08",
    "text": b"# Notes\n\nRead me first.\n" * 20,
    "text after the bytes of a tag": text_that_force_reads(),
    "zeros": bytes(4096),
    "noise": random.Random(1).randbytes(4096),
    "noise after the bytes of a tag": b"\x08\x00\x08\x00" + random.Random(2).randbytes(4096),
    "a PNG image": b"\x89PNG\r\n\x1a\n" + bytes(200),
    "a gzip file": zlib.compress(bytes(400)),
    "a NIfTI file": b"\x5c\x01\x00\x00" + bytes(344),
    "a DICOMDIR": dicomdir(),
}


@pytest.mark.parametrize("content", OTHER_CONTENT.values(), ids=OTHER_CONTENT)
def test_other_content_is_not_dicom_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(content)
    with pytest.raises(NotDicomError):
        read(path)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_pydicom_itself_takes_a_text_file_when_forced() -> None:
    # Why `force` alone cannot tell.
    data_set = pydicom.dcmread(io.BytesIO(text_that_force_reads()), force=True)
    assert isinstance(data_set, Dataset)


def test_every_dicomdir_of_the_wheel_is_skipped() -> None:
    directories = [path for path in pydicom_files() if path.name.startswith("DICOMDIR")]
    assert len(directories) == 8
    for path in directories:
        with pytest.raises(NotDicomError, match="DICOMDIR"):
            read(path)


@pytest.mark.parametrize("uid", [None, ""])
@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_an_image_without_identity_fails_and_says_so(
    tmp_path: Path, syntax: str, uid: str | None
) -> None:
    data_set = make_data_set(SOPInstanceUID=uid)
    path = tmp_path / "file.dcm"
    save(make_data_set(), path)
    data_set.file_meta = pydicom.dcmread(path).file_meta
    data_set.file_meta.TransferSyntaxUID = syntax
    data_set.save_as(path, enforce_file_format=False)
    with pytest.raises(UnreadableFileError, match=r"no SOPInstanceUID \(0008,0018\)"):
        read(path)


def test_a_file_that_is_not_there_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nothing.dcm")


def cut(source: Path, size: int) -> Path:
    """A copy of a file that ends after `size` bytes."""
    path = source.with_name("cut.dcm")
    path.write_bytes(source.read_bytes()[:size])
    return path


def position_of(path: Path, keyword: str) -> int:
    """Where the value of an element begins, by pydicom."""
    return int(pydicom.dcmread(path).get_item(keyword).value_tell)


@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "StudyDescription", "ImageType", "Rows"])
def test_a_cut_inside_a_value_names_the_element_and_the_offset(
    tmp_path: Path, syntax: str, keyword: str
) -> None:
    source = save(with_pixels(), tmp_path / "file.dcm", SYNTAXES[syntax])
    size = position_of(source, keyword) + 1
    with pytest.raises(UnreadableFileError) as caught:
        read(cut(source, size))
    assert keyword in str(caught.value)
    assert str(size) in str(caught.value)


def outcome(path: Path) -> list[int] | str:
    """The tags of a file, or why it cannot be read."""
    try:
        return tags(read(path).elements)
    except UnreadableFileError as error:
        return str(error)


def test_a_cut_anywhere_in_the_header_is_told_in_one_line_without_a_value(tmp_path: Path) -> None:
    source = save(with_pixels(PatientName="Secret^Name"), tmp_path / "file.dcm")
    whole = tags(read(source).elements)
    end = position_of(source, "PixelData") - 12
    outcomes = [outcome(cut(source, size)) for size in range(132, end)]
    messages = [found for found in outcomes if isinstance(found, str)]
    assert not any("Secret" in message or "\n" in message for message in messages)
    # A cut between two elements cannot be told from an end; pydicom forgives 7 bytes after it.
    assert len(messages) >= len(outcomes) - 8 * len(whole)
    assert all(found == whole[: len(found)] for found in outcomes if isinstance(found, list))


@pytest.mark.parametrize("syntax", ["explicit", "implicit", "big endian"])
@pytest.mark.parametrize("kept", [0, 1, 7])
def test_a_file_cut_inside_its_pixel_data_has_its_whole_header(
    tmp_path: Path, syntax: str, kept: int
) -> None:
    source = save(with_pixels(), tmp_path / "file.dcm", SYNTAXES[syntax])
    whole = read(source)
    instance = read(cut(source, position_of(source, "PixelData") + kept))
    assert tags(instance.elements) == tags(whole.elements)


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_pixel_data_is_no_element_at_any_depth(tmp_path: Path, syntax: str) -> None:
    elements = read(save(with_pixels(), tmp_path / "file.dcm", syntax)).elements
    (icon,) = find(elements, "IconImageSequence").items or ()
    assert tags(icon) == [0x00280010, 0x00280011]
    assert PIXEL_DATA not in tags(elements)


@pytest.mark.parametrize(("tag", "vr"), [(0x7FE00008, "OF"), (0x7FE00009, "OD")])
def test_floating_point_pixel_data_is_no_element(tmp_path: Path, tag: int, vr: str) -> None:
    data_set = make_data_set()
    data_set.add_new(tag, vr, bytes(16))
    assert tag not in tags(read(save(data_set, tmp_path / "file.dcm")).elements)


def test_compressed_pixel_data_is_no_element(tmp_path: Path) -> None:
    data_set = make_data_set()
    data_set.PixelData = encapsulate([b"\xff\xd8jpeg\xff\xd9"])
    data_set["PixelData"].is_undefined_length = True
    elements = read(save(data_set, tmp_path / "file.dcm", JPEGBaseline8Bit)).elements
    assert PIXEL_DATA not in tags(elements)
    assert find(elements, "Modality").texts == ("MR",)


def test_pixel_data_is_never_read_from_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(make_data_set(), tmp_path / "file.dcm")
    with path.open("ab") as file:
        file.write(b"\xe0\x7f\x10\x00OW\x00\x00" + (1 << 30).to_bytes(4, "little"))
        # A hole: a file of 1 GiB that takes no room.
        file.truncate(1 << 30)
    read_sizes = []
    pread = reading.os.pread
    monkeypatch.setattr(
        reading.os, "pread", lambda *rest: read_sizes.append(rest[1]) or pread(*rest)
    )
    assert find(read(path).elements, "Modality").texts == ("MR",)
    assert sum(read_sizes) == 0


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_every_transfer_syntax_gives_the_same_values(tmp_path: Path, syntax: str) -> None:
    data_set = with_pixels(SOPInstanceUID="1.2.3", Rows=258, EchoTime=2.5)
    elements = read(save(data_set, tmp_path / "file.dcm", syntax)).elements
    assert find(elements, "Rows").values[0].number == 258
    assert find(elements, "EchoTime").values[0].number == 2.5
    assert find(elements, "ImageType").texts == ("ORIGINAL", "PRIMARY", "M")
    assert find(elements, "Rows").definition.vr == "US"


def test_a_header_beyond_the_first_read_is_read_whole(tmp_path: Path) -> None:
    data_set = make_data_set()
    block = data_set.private_block(0x0019, "A CREATOR", create=True)
    # Over 64 KiB, and in steps that put the ends of reads at many places of an element.
    for number in range(200):
        block.add_new(number, "OB", bytes([number]) * (1000 + number))
    data_set.RequestedProcedureDescription = "after them"
    path = save(data_set, tmp_path / "file.dcm")
    assert path.stat().st_size > 3 * 65_536
    elements = read(path).elements
    assert tags(elements) == sorted(data_set.keys())
    assert find(elements, "RequestedProcedureDescription").texts == ("after them",)
    lengths = [element.length for element in elements if element.definition.vr == "OB"]
    assert lengths == [1000 + number + number % 2 for number in range(200)]


@pytest.mark.parametrize("extra", range(-14, 4))
def test_an_end_of_file_near_the_first_read_loses_nothing(tmp_path: Path, extra: int) -> None:
    data_set = make_data_set()
    data_set.add_new(0x00204000, "LT", "")
    size = save(data_set, tmp_path / "file.dcm").stat().st_size
    data_set.add_new(0x00420011, "OB", bytes(65_536 - size - 12 + extra * 2))
    path = save(data_set, tmp_path / "file.dcm")
    assert path.stat().st_size == 65_536 + extra * 2
    assert tags(read(path).elements) == sorted(data_set.keys())


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_private_elements_have_their_creator(tmp_path: Path, syntax: str) -> None:
    data_set = make_data_set()
    for name in ("FIRST", "GEMS_ACQU_01"):
        data_set.private_block(0x0019, name, create=True).add_new(0x9C, "LO", f"of {name}")
    elements = read(save(data_set, tmp_path / "file.dcm", syntax)).elements
    found = {
        element.tag: (element.definition.tag, element.definition.private_creator)
        for element in elements
        if element.tag >> 16 == 0x0019
    }
    assert found == {
        0x00190010: (0x00190010, ""),
        0x00190011: (0x00190011, ""),
        0x0019109C: (0x0019009C, "FIRST"),
        0x0019119C: (0x0019009C, "GEMS_ACQU_01"),
    }


def test_a_private_element_without_a_creator_is_kept(tmp_path: Path) -> None:
    data_set = make_data_set()
    data_set.add_new(0x0019109C, "LO", "nobody's")
    elements = read(save(data_set, tmp_path / "file.dcm")).elements
    (element,) = [element for element in elements if element.tag == 0x0019109C]
    assert (element.definition.private_creator, element.texts) == ("", ("nobody's",))


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
@pytest.mark.parametrize("undefined", [True, False])
def test_sequences_of_either_length_give_the_same_items(
    tmp_path: Path, undefined: bool, syntax: str
) -> None:
    data_set = make_data_set()
    data_set.ProcedureCodeSequence = [_item("one", undefined), Dataset(), _item("two", undefined)]
    data_set["ProcedureCodeSequence"].is_undefined_length = undefined
    elements = read(save(data_set, tmp_path / "file.dcm", syntax)).elements
    sequence = find(elements, "ProcedureCodeSequence")
    items = sequence.items or ()
    assert sequence.vm == 3
    assert [[element.texts for element in item] for item in items] == [
        [("one",), ("meaning",)],
        [],
        [("two",), ("meaning",)],
    ]


def _item(code: str, undefined: bool) -> Dataset:
    item = Dataset()
    item.CodeValue = code
    item.CodeMeaning = "meaning"
    item.is_undefined_length_sequence_item = undefined
    return item


def has_identity(path: Path) -> bool:
    """Whether pydicom finds a SOPClassUID and a SOPInstanceUID."""
    try:
        data_set = pydicom.dcmread(
            io.BytesIO(file_bytes(path)), stop_before_pixels=True, force=True
        )
        return bool(data_set.get("SOPClassUID") and data_set.get("SOPInstanceUID"))
    except Exception:
        return False


# pydicom reads the beginning of a sequence that the file cuts short, and does not say so.
NOT_READ = {"rtplan_truncated.dcm": "BeamSequence"}


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_file_that_pydicom_reads_is_read(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    interner = Interner()
    n_read, failed = 0, {}
    for path in (*pydicom_files(), *nibabel_dicom_files(), *shared_files()):
        if not has_identity(path):
            continue
        copy.write_bytes(file_bytes(path))
        try:
            read_instance(str(copy), interner)
            n_read += 1
        except (NotDicomError, UnreadableFileError) as error:
            failed[path.name] = str(error)
    print(f"{n_read} files were read")
    assert failed.keys() == NOT_READ.keys()
    assert all(reason in failed[name] for name, reason in NOT_READ.items())
    assert n_read > 150


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_value_of_many_bytes_is_hashed_and_the_rest_is_read(tmp_path: Path, syntax: str) -> None:
    content = bytes(range(256)) * 40_000
    data_set = make_data_set()
    data_set.add_new(0x56000020, "OF", content)
    data_set.private_block(0x7FD1, "ACME", create=True).add_new(0x01, "LO", "after")
    elements = read(save(data_set, tmp_path / "large.dcm", syntax)).elements
    large = next(element for element in elements if element.tag == 0x56000020)
    assert large.sha256 == sha256(content).digest()
    assert (large.length, large.packed) == (len(content), None)
    assert elements[-1].definition.private_creator == "ACME"
    assert large.digest == make_element(0x56000020, "", "OF", content, ["iso8859"], True).digest


@pytest.mark.parametrize("missing", range(1, 8))
def test_a_file_that_ends_inside_the_header_of_an_element_fails(
    tmp_path: Path, missing: int
) -> None:
    path = save(make_data_set(Rows=None, Columns=None), tmp_path / "cut.dcm")
    path.write_bytes(path.read_bytes() + b"\x28\x00\x10\x00US\x02\x00"[:missing])
    with pytest.raises(UnreadableFileError, match="ends at byte"):
        read_instance(str(path), Interner())
