"""The walk over data sets of any encoding gives what pydicom gives, and the same of each."""

import os
import random
import struct
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import cache
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from dicom_graph.dicom.elements.contents import Element, Item
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.errors import UnreadableFileError
from dicom_graph.dicom.files.reading import read_instance
from dicom_graph.dicom.parsing.data_set_walk import DataSetWalk
from dicom_graph.dicom.parsing.file_data_set import open_data_set
from dicom_graph.dicom.parsing.raw_interning import intern, walk_for
from dicom_graph.dicom.parsing.through_pydicom import read_header
from tests.dicom.by_pydicom import intern_data_set, read_with_pydicom
from tests.dicom.raw_files import SYNTAXES
from tests.dicom.test_explicit import Content, content, mutated
from tests.support.data import (
    file_bytes,
    needs_shared,
    nibabel_dicom_files,
    pydicom_files,
    shared_files,
)
from tests.support.make import make_data_set, save

NOT_THE_SAME = {"DICOMDIR-nooffset"}
"""Its items reach beyond their sequence, which pydicom does not mind."""

TWICE = {"winter.dcm"}
"""Its SOPInstanceUID is there twice, which we tell."""


def by_walk(path: Path) -> tuple[Item | str, DataSetWalk]:
    """The elements by the walk, or why there are none."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        opened = open_data_set(descriptor)
        walk = walk_for(opened.source, Interner())
        try:
            return intern(walk.read(*opened.encoding), Interner()), walk
        except UnreadableFileError as error:
            return str(error), walk
    finally:
        os.close(descriptor)


def by_pydicom(path: Path) -> Content | str:
    try:
        data_set = read_with_pydicom(str(path), force=True)
        return content(intern_data_set(data_set, Interner()))
    except UnreadableFileError as error:
        return str(error)


def compare(files: Iterable[Path], folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    copy = folder / "copy"
    for path in files:
        copy.write_bytes(file_bytes(path))
        ours, walk = by_walk(copy)
        theirs = by_pydicom(copy)
        if isinstance(ours, str) or isinstance(theirs, str):
            assert isinstance(ours, str) == isinstance(theirs, str) or path.name in NOT_THE_SAME
            counts["refused by both"] += 1
        else:
            notes = ["(0008,0018)"] if path.name in TWICE else []
            assert content(ours) == theirs, path
            assert [note.split()[3] for note in walk.notes] == notes, path
            counts["the same"] += 1
    print(counts)
    return counts


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_equals_pydicom_on_all_files_of_the_wheels(tmp_path: Path) -> None:
    counts = compare([*pydicom_files(), *nibabel_dicom_files()], tmp_path)
    assert counts["the same"] > 150


@needs_shared
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_it_equals_pydicom_on_the_shared_files(tmp_path: Path) -> None:
    paths = [path for path in shared_files() if not {"nih", "reference"} & set(path.parts)]
    counts = compare([path for path in paths if path.suffix in ("", ".dcm", ".IMA")], tmp_path)
    assert counts["the same"] > 80


@cache
def small_files() -> tuple[tuple[str, bytes], ...]:
    """Small headers, each in three encodings."""
    return tuple(_small_files())


def _small_files() -> Iterator[tuple[str, bytes]]:
    for path in pydicom_files():
        try:
            data_set = pydicom.dcmread(path, force=True, stop_before_pixels=True)
        except Exception:
            continue
        for syntax in (ImplicitVRLittleEndian, ExplicitVRBigEndian, ExplicitVRLittleEndian):
            data_set.file_meta = FileMetaDataset()
            data_set.file_meta.TransferSyntaxUID = syntax
            data_set.file_meta.MediaStorageSOPClassUID = "1.2"
            data_set.file_meta.MediaStorageSOPInstanceUID = "1.2"
            made = BytesIO()
            try:
                pydicom.dcmwrite(
                    made, data_set, enforce_file_format=True, overwrite=True,
                    implicit_vr=syntax == ImplicitVRLittleEndian,
                    little_endian=syntax != ExplicitVRBigEndian,
                )  # fmt: skip
            except Exception:
                continue
            if 400 < len(made.getvalue()) < 20_000:
                yield path.name, made.getvalue()


def has_problem(elements: Iterable[Element]) -> bool:
    """Whether an element is encoded in a way that pydicom guesses at otherwise."""
    return any(
        (element.warning or "").partition(":")[0].startswith(("the standard has no VR", "it "))
        or any(has_problem(item) for item in element.items or ())
        for element in elements
    )


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("seed", range(3))
def test_it_equals_pydicom_on_mutated_files(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    path = tmp_path / "file"
    counts: Counter[str] = Counter()
    for _ in range(250):
        name, raw = chance.choice(small_files())
        path.write_bytes(mutated(raw, 300, chance))
        ours, walk = by_walk(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = by_pydicom(path)
        if isinstance(ours, str) or isinstance(theirs, str):
            counts["refused"] += 1
        elif walk.notes or has_problem(ours):
            counts["guessed"] += 1
        else:
            assert content(ours) == theirs, (name, path.read_bytes().hex())
            counts["the same"] += 1
    print(counts)
    assert counts["the same"] > 50


@pytest.mark.parametrize("seed", range(2))
def test_a_part_of_a_header_is_as_in_the_whole(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    path = tmp_path / "file.dcm"
    n_equal = 0
    for source in chance.sample([f for f in pydicom_files() if f.stat().st_size > 1000], 60):
        raw = source.read_bytes()
        for made in (raw, mutated(raw, 300, chance)):
            path.write_bytes(made)
            with path.open("rb") as file:
                try:
                    whole = read_header(file)
                except UnreadableFileError:
                    continue
                end = file.tell()
                tags = frozenset(map(int, chance.sample(list(whole.keys()), len(whole) // 4)))
                part = read_header(file, tags)
                wanted = {tag: whole._dict[tag] for tag in whole._dict if tag in tags}
                assert {tag: part._dict[tag] for tag in wanted} == wanted, source
                assert file.tell() == end
                n_equal += 1
    assert n_equal > 80


WORDS = {"OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}
"""The bytes of a word."""


def words_of_all_kinds() -> Dataset:
    """A data set with values of every VR that has an order of bytes, nested too."""
    data_set = make_data_set(SOPInstanceUID="1.2.3", StudyInstanceUID="1.2", SeriesInstanceUID="1")
    item = Dataset()
    item.FrameIncrementPointer = [0x00181063, 0x00200013]
    item.add_new(0x00720069, "OW", struct.pack("<3H", 1, 2, 0xFEDC))
    for each in (data_set, item):
        each.add_new(0x00189073, "FD", [1.5, -2.25])
        each.add_new(0x0018605A, "FL", [0.5])
        each.add_new(0x00660016, "OF", struct.pack("<2f", 1, 2))
        each.add_new(0x00660023, "OW", struct.pack("<3H", 1, 2, 3))
        each.add_new(0x00660129, "OL", struct.pack("<2L", 1, 0xFEDCBA98))
        each.add_new(0x00720082, "SV", [-(2**40)])
        each.add_new(0x00720083, "UV", [2**60])
        each.add_new(0x00720073, "OD", struct.pack("<d", 3.5))
        each.add_new(0x00720081, "OV", struct.pack("<Q", 2**40))
        each.add_new(0x00720065, "OB", b"abc\0")
        each.add_new(0x0072007C, "SL", [-70_000, 70_000])
        each.add_new(0x00720078, "UL", [4_000_000_000])
        each.add_new(0x0072007E, "SS", [-2])
    data_set.ReferencedImageSequence = [item]
    return data_set


@pytest.mark.parametrize("syntax", SYNTAXES.values(), ids=SYNTAXES)
def test_equal_values_are_equal_elements_in_each_encoding(syntax: str, tmp_path: Path) -> None:
    data_set = words_of_all_kinds()
    first = read_instance(str(save(data_set, tmp_path / "explicit.dcm")), Interner())
    if syntax == ExplicitVRBigEndian:
        # What pydicom holds as bytes it writes as they are.
        for element in (*data_set, *data_set.ReferencedImageSequence[0]):
            if element.VR in WORDS:
                raw, size = element.value, WORDS[element.VR]
                element.value = b"".join(raw[i : i + size][::-1] for i in range(0, len(raw), size))
    other = read_instance(str(save(data_set, tmp_path / "other.dcm", syntax)), Interner())
    assert content(other.elements) == content(first.elements)
    assert not any(element.has_warnings for element in other.elements)
