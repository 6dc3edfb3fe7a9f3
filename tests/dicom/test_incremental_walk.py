"""A header walked after others that it is like gives what it gives alone."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydicom.dataset import Dataset

from dicom_graph.dicom.elements.contents import Changes, Element, Item
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.entities import EntityReader
from dicom_graph.dicom.errors import DicomError
from dicom_graph.dicom.files.reading import Instance, read_instance
from dicom_graph.dicom.mode import Mode
from dicom_graph.importing.content import Content, ContentReader
from tests.support.data import needs_shared, pydicom_files, shared_files
from tests.support.make import make_data_set, save

_KEYWORDS = (
    "AccessionNumber", "InstitutionName", "StationName", "SeriesDescription", "OperatorsName",
    "PatientComments", "BodyPartExamined", "ProtocolName", "StudyID", "ImageComments",
)  # fmt: skip


def content(elements: Item) -> list[tuple[int, bytes]]:
    return [(element.tag, element.digest) for element in elements]


def random_data_set(random: Random) -> Dataset:
    """Headers that share most elements; some lack one, or mean something else by the same bytes."""
    elements: dict[str, Any] = {
        keyword: random.choice(["same", "same", "same", "Größe", "", "another value"])
        for keyword in _KEYWORDS
        if random.random() < 0.9
    }
    if random.random() < 0.3:
        elements["StudyDate"] = random.choice(["20200102", "20210304", "x"])
    data_set = make_data_set(
        SpecificCharacterSet=random.choice(["ISO_IR 100"] * 20 + ["ISO_IR 192", None]),
        StudyInstanceUID="1.2.3",
        SeriesInstanceUID=random.choice(["1.2.3.4"] * 5 + ["1.2.3.5"]),
        InstanceNumber=random.randrange(5),
        SOPInstanceUID=f"1.2.3.4.{random.randrange(3)}",
        **elements,
    )
    for group in (0x0019, 0x0029):
        for creator in ("ONE", random.choice(["TWO"] * 15 + ["THREE", ""])):
            if creator:
                block = data_set.private_block(group, creator, create=True)
                block.add_new(1, "LO", "Größe")
                block.add_new(2, "OB", random.choice([b"ab", b"ab", b"abcd" * 2000]))
    if random.random() < 0.9:
        item = make_data_set(SOPInstanceUID=random.choice(["1.2", "1.3"]), ImageComments="Größe")
        del item.SOPClassUID, item.StudyInstanceUID, item.SeriesInstanceUID
        data_set.ReferencedImageSequence = [item] * random.randrange(3)
        data_set["ReferencedImageSequence"].is_undefined_length = random.random() < 0.5
    return data_set


@pytest.fixture(scope="module")
def random_files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("random")
    random = Random(5)
    return [save(random_data_set(random), folder / f"{number}.dcm") for number in range(300)]


def read(path: Path, interner: Interner) -> Instance | None:
    try:
        return read_instance(str(path), interner)
    except (DicomError, OSError):
        return None


def instances(files: list[Path]) -> Iterator[tuple[Path, Instance, Instance]]:
    """Each file, as read after those before it, and as read alone."""
    interner = Interner()
    for path in files:
        together, alone = read(path, interner), read(path, Interner())
        assert (together is None) == (alone is None), path
        if together is not None and alone is not None:
            yield path, together, alone


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_random_headers_are_read_as_if_each_were_the_first(random_files: list[Path]) -> None:
    known = 0
    entities = EntityReader()
    for path, together, alone in instances(random_files):
        assert content(together.elements) == content(alone.elements), path
        assert entities.read(together.elements, together.changes) == EntityReader().read(
            alone.elements
        )
        known += together.changes is not None
    assert known > 50


@needs_shared
def test_real_headers_are_read_as_if_each_were_the_first() -> None:
    files = [*pydicom_files(), *(path for path in shared_files() if ".nii" not in path.name)]
    files = Random(3).sample(files, 150) + files[-60:]
    entities = EntityReader()
    for path, together, alone in instances(files):
        assert content(together.elements) == content(alone.elements), path
        assert entities.read(together.elements, together.changes) == EntityReader().read(
            alone.elements
        )


def apply(changes: Changes) -> list[Element]:
    kept = set(changes.since) - set(changes.went)
    return sorted([*kept, *changes.came], key=lambda element: element.tag)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("mode", Mode)
def test_changes_lead_from_one_content_to_the_next(random_files: list[Path], mode: Mode) -> None:
    reader = ContentReader(mode, 65_536)
    last: Item = ()
    known = 0
    for path in random_files:
        read_one = reader.read(str(path))
        alone = ContentReader(mode, 65_536).read(str(path))
        assert isinstance(read_one, Content)
        assert isinstance(alone, Content)
        assert content(read_one.elements) == content(alone.elements)
        assert (read_one.entities, read_one.warnings) == (alone.entities, alone.warnings)
        if read_one.changes is not None:
            known += 1
            assert read_one.changes.since is last
            assert apply(read_one.changes) == list(read_one.elements)
        last = read_one.elements
    assert known > 0 or mode is Mode.MINIMAL
