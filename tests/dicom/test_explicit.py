"""The fast walk gives what pydicom gives, or leaves the file to pydicom."""

import io
import random
import warnings
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pydicom
import pytest
from pydicom.filereader import _read_file_meta_info, read_preamble
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
)

from dicom_graph.dicom.elements.contents import Element, Item
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.errors import UnreadableFileError
from dicom_graph.dicom.parsing.explicit import LargeValue, NeedMore, NeedsPydicom
from dicom_graph.dicom.parsing.incremental_walk import walk
from tests.dicom.by_pydicom import intern_data_set, read_with_pydicom
from tests.support.data import (
    SHARED,
    file_bytes,
    needs_shared,
    nibabel_dicom_files,
    pydicom_files,
    shared_files,
)
from tests.support.make import make_data_set, save
from tests.support.samples import mostly_slow

NOT_EXPLICIT_LITTLE = {
    ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian,
}  # fmt: skip
Content = list[tuple[int, bytes]]


def content(elements: Iterable[Element]) -> Content:
    """What is compared: the digest covers tag, creator, VR, bytes, character set and items."""
    return [(element.tag, element.digest) for element in elements]


def data_set_start(raw: bytes) -> int | None:
    """Where pydicom finds the data set of an explicit little endian file; None in any other."""
    file = io.BytesIO(raw)
    try:
        read_preamble(file, force=False)
    except pydicom.errors.InvalidDicomError:
        return None
    syntax = _read_file_meta_info(file).get("TransferSyntaxUID")
    is_taken = syntax and syntax not in NOT_EXPLICIT_LITTLE and not syntax.is_private
    return file.tell() if is_taken else None


def by_walk(raw: bytes, interner: Interner) -> Item | None:
    """The elements by the fast walk; None where it leaves the file to pydicom."""
    start = data_set_start(raw)
    if start is None:
        return None
    try:
        return walk(raw, start, interner, at_end=True)
    except (LargeValue, NeedsPydicom, NeedMore):
        return None


def by_pydicom(raw: bytes) -> Content | str:
    """The elements by pydicom, or why there are none."""
    try:
        data_set = read_with_pydicom(io.BytesIO(raw), force=False)  # type: ignore[arg-type]
        return content(intern_data_set(data_set, Interner()))
    except UnreadableFileError as error:
        return str(error)


def count_elements(elements: Iterable[Element]) -> int:
    """Elements at all depths."""
    return sum(
        1 + sum(count_elements(item) for item in element.items or ()) for element in elements
    )


def compare(files: Iterable[Path]) -> tuple[int, int, int]:
    """How many files there are, how many the walk took, and the elements in those."""
    interner = Interner()
    n_files = n_taken = n_elements = 0
    for path in files:
        n_files += 1
        raw = file_bytes(path)
        walked = by_walk(raw, interner)
        if walked is not None:
            assert content(walked) == by_pydicom(raw), path
            n_taken += 1
            n_elements += count_elements(walked)
    print(f"{n_files} files, the fast walk took {n_taken}, {n_elements} elements are the same")
    return n_files, n_taken, n_elements


def test_the_walk_equals_pydicom_on_the_files_of_the_wheels() -> None:
    n_files, n_taken, _ = compare([*pydicom_files(), *nibabel_dicom_files()])
    # The rest is implicit, big endian, deflated, headerless, or malformed.
    assert n_taken > n_files / 3


@pytest.mark.slow
@needs_shared
def test_the_walk_equals_pydicom_on_the_shared_files() -> None:
    paths = [path for path in shared_files() if ".nii" not in path.name and "nih" not in path.parts]
    _, n_taken, _ = compare(paths)
    assert n_taken > 50


@pytest.mark.slow
@needs_shared
def test_the_walk_equals_pydicom_on_a_long_series() -> None:
    assert SHARED is not None
    # Each header differs little from the one before it: the interner is at work.
    _, n_taken, n_elements = compare(sorted((SHARED / "nih" / "dicom").rglob("*.dcm"))[:200])
    assert (n_taken, n_elements > 50_000) == (200, True)


@cache
def small_files() -> tuple[tuple[str, bytes, int], ...]:
    """Name, bytes up to a little behind the header, and where the data set starts."""
    found = []
    for path in (*pydicom_files(), *nibabel_dicom_files()):
        raw = file_bytes(path)
        start = data_set_start(raw)
        if start is not None and by_walk(raw, Interner()):
            file = io.BytesIO(raw)
            pydicom.dcmread(file, stop_before_pixels=True)
            if file.tell() < 20_000:
                found.append((path.name, raw[: file.tell() + 40], start))
    return tuple(found)


# What makes a difference to how the bytes are read: delimiters, lengths, VRs, character sets.
TOKENS = (
    b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0", b"\xfe\xff\0\xe0\xff\xff\xff\xff",
    b"\xfe\xff\0\xe0\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\0", b"SQ\0\0\xff\xff\xff\xff",
    b"UN\0\0\xff\xff\xff\xff", b"OB\0\0", b"UN", b"\x08\0\x05\0CS\x0a\0ISO_IR 192",
    b"\x08\0\x05\0CS\x0e\0ISO 2022 IR 87", b"\x09\0\x10\0LO\x04\0ABCD",
    b"\x09\0\x01\x10UN\0\0\4\0\0\0abcd", b"\xe0\x7f\x10\0OW\0\0", b"\\", b"\x1b$B", b"\0",
)  # fmt: skip


def mutated(raw: bytes, start: int, chance: random.Random) -> bytes:
    """The file with up to three changes in its data set."""
    made = bytearray(raw)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(start, len(raw) - 40)
        kind = chance.randrange(5)
        if kind == 0:
            made[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            made[at] = chance.randrange(256)
        elif kind == 2:
            del made[at : at + chance.randrange(1, 9)]
        else:
            token = chance.choice(TOKENS)
            made[at : at + len(token) * (kind - 3)] = token
    return bytes(made)


@pytest.mark.parametrize("seed", mostly_slow(range(4), 4))
def test_the_walk_equals_pydicom_on_mutated_files(seed: int) -> None:
    chance = random.Random(seed)
    interner = Interner()
    n_answered = 0
    for _ in range(400):
        name, raw, start = chance.choice(small_files())
        changed = mutated(raw, start, chance)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            walked = by_walk(changed, interner)
            if walked is None:
                continue
            n_answered += 1
            assert content(walked) == by_pydicom(changed), (name, changed.hex())
    print(f"the fast walk answered for {n_answered} of 400 mutated files")
    assert n_answered > 40


def changed_file(tmp_path: Path, old: bytes, new: bytes) -> bytes:
    """A file with a sequence, a private block and a character set, in which `old` is `new`."""
    inner = pydicom.Dataset()
    inner.CodeValue = "code"
    inner.is_undefined_length_sequence_item = True
    data_set = make_data_set(SpecificCharacterSet="ISO_IR 100", PatientName="Fran\xe7ois")
    data_set.ProcedureCodeSequence = [inner]
    data_set["ProcedureCodeSequence"].is_undefined_length = True
    data_set.private_block(0x0019, "A CREATOR", create=True).add_new(0x9C, "LO", "private")
    raw = save(data_set, tmp_path / "file.dcm").read_bytes()
    assert old in raw
    return raw.replace(old, new, 1)


def test_the_walk_takes_what_the_next_test_changes(tmp_path: Path) -> None:
    raw = changed_file(tmp_path, b"A CREATOR", b"A CREATOR")
    walked = by_walk(raw, Interner())
    assert walked is not None
    assert content(walked) == by_pydicom(raw)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(b"A CREATOR", b"A\0CREATOR", id="a NUL inside a private creator"),
        pytest.param(b"A CREATOR", b"A\\CREATOR", id="a private creator of two values"),
        pytest.param(b"A CREATOR ", b"          ", id="a private creator of blanks"),
        pytest.param(b"\x10\0LO", b"\x10\0UN", id="a private creator of VR UN"),
        pytest.param(b"ISO_IR 100", b"ISO IR 100", id="a misspelled character set"),
        pytest.param(b"ISO_IR 100", b"ISO_IR 999", id="an unknown character set"),
        pytest.param(b"\5\0CS", b"\5\0LO", id="a character set of another VR"),
        pytest.param(b"ISO_IR 100", b"ISO_IR\x00100", id="a NUL in the character set"),
        pytest.param(
            b"\xfe\xff\x0d\xe0\0\0", b"\xfe\xff\x0d\xe0UN", id="an item delimiter that has a VR"
        ),
        pytest.param(
            b"\xfe\xff\x0d\xe0\0\0", b"\xfe\xff\x0d\xe0LO", id="an item delimiter with a length"
        ),
        pytest.param(b"\xfe\xff\0\xe0", b"\xfe\xff\1\xe0", id="an item with another tag"),
        pytest.param(b"\x08\0\x60\0CS", b"\x08\0\x10\0CS", id="tags out of order"),
        pytest.param(b"\x08\0\x60\0CS", b"\x08\0\x60\0\0\0", id="an element of implicit VR"),
        pytest.param(b"\x08\0\x60\0CS", b"\x08\0\x60\0ZZ", id="an unknown VR"),
    ],
)
def test_what_is_odd_is_read_as_pydicom_reads_it(tmp_path: Path, old: bytes, new: bytes) -> None:
    raw = changed_file(tmp_path, old, new)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        walked = by_walk(raw, Interner())
        if walked is not None:
            assert content(walked) == by_pydicom(raw)


def test_equal_bytes_under_another_character_set_are_another_element(tmp_path: Path) -> None:
    latin = changed_file(tmp_path, b"Fran\xe7ois", b"Fran\xe7ois")
    greek = changed_file(tmp_path, b"ISO_IR 100", b"ISO_IR 126")
    interner = Interner()
    names = [name_of(by_walk(raw, interner)) for raw in (latin, greek)]
    assert names == ["François", "Franηois"]


def name_of(elements: Item | None) -> str | None:
    """The text of PatientName."""
    return next(element.text for element in elements or () if element.tag == 0x00100010)


def test_every_cut_of_a_file_is_seen(tmp_path: Path) -> None:
    raw = changed_file(tmp_path, b"A CREATOR", b"A CREATOR")
    start = data_set_start(raw)
    assert start is not None
    whole = walk(raw, start, Interner(), at_end=True)
    cuts = [_walk_prefix(raw[:end], start) for end in range(start, len(raw))]
    # At the end of the file, a cut between two top level elements cannot be told from its end.
    assert all(content(cut) == content(whole)[: len(cut)] for cut in cuts if cut is not None)
    assert sum(cut is not None for cut in cuts) == len(whole)


def _walk_prefix(raw: bytes, start: int) -> Item | None:
    try:
        return walk(raw, start, Interner(), at_end=True)
    except NeedMore:
        return None


def test_a_buffer_that_ends_between_two_elements_is_not_the_end_of_the_file(
    tmp_path: Path,
) -> None:
    raw = save(make_data_set(), tmp_path / "file.dcm").read_bytes()
    start = data_set_start(raw)
    assert start is not None
    with pytest.raises(NeedMore):
        walk(raw, start, Interner(), at_end=False)
