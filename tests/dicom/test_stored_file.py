"""Whether a file still is the one that was imported: by its stamp, or its header's digest."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from dicom_graph.dicom.elements.contents import header_digest
from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.errors import FileGoneError
from dicom_graph.dicom.files.reading import read_instance
from dicom_graph.dicom.files.stored_file import (
    FileState,
    FileVersion,
    StoredFile,
    open_stored_file,
    opened_source,
)
from tests.support.make import make_data_set, make_file, save

UIDS = {"SOPInstanceUID": "1.2.3", "StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.2"}


def settled(path: Path) -> FileVersion:
    """The file as it is, once the next change would get another time."""
    with path.open("rb") as file:
        FileVersion.of(file.fileno()).settle()
        return FileVersion.of(file.fileno())


def digest(path: Path) -> bytes:
    return header_digest(read_instance(str(path), Interner()).elements)


def noted(path: Path, **others: Any) -> FileState:
    """The file as an import would note it."""
    version = settled(path)
    state = FileState(
        str(path), version.size, version.modified_ns, digest(path), version.stamp,
        roots=(os.path.realpath(path.parent),),
    )  # fmt: skip
    return state._replace(**others)


def content(state: FileState) -> bytes:
    with opened_source(state) as file:
        return file.read()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return make_file(tmp_path / "root" / "1.dcm", **UIDS)


def test_a_file_of_this_moment_has_no_stamp_and_a_settled_one_has_always_the_same(
    path: Path,
) -> None:
    os.chmod(path, 0o640)
    with path.open("rb") as file:
        assert FileVersion.of(file.fileno()).stamp is None
    first, second = settled(path), settled(path)
    assert first == second
    assert first.stamp == second.stamp is not None


@pytest.mark.parametrize("change", ["chmod", "rewritten", "replaced", "hard link", "times"])
def test_a_stamp_ends_with_any_change_though_size_and_time_are_set_back(
    path: Path, change: str
) -> None:
    before = settled(path)
    raw = path.read_bytes()
    if change == "chmod":
        path.chmod(0o604)
    elif change == "rewritten":
        path.write_bytes(raw)
    elif change == "replaced":
        shutil.copy2(path, path.with_suffix(".new")).replace(path)
    elif change == "hard link":
        os.link(path, path.with_suffix(".second"))
    os.utime(path, ns=(before.modified_ns, before.modified_ns))
    after = settled(path)
    assert (after.size, after.modified_ns) == (before.size, before.modified_ns)
    assert after.stamp != before.stamp
    # It is the same header: it is read again, and given.
    state = noted(path, stamp=before.stamp)
    opened, is_sure = open_stored_file(state)
    opened.close()
    assert not is_sure
    assert content(state) == raw


@pytest.mark.parametrize("elements", [{"PatientID": "patient-2"}, {"EchoTime": 3.5}])
def test_another_header_of_the_same_size_and_time_is_not_given(
    path: Path, elements: dict[str, Any]
) -> None:
    state = noted(path)
    make_file(path, **UIDS, **elements)
    os.utime(path, ns=(state.modified_ns, state.modified_ns))
    assert path.stat().st_size == state.size
    with pytest.raises(FileGoneError, match="gone or has changed"):
        content(state)


@pytest.mark.parametrize("how", ["longer", "later", "gone", "outside"])
def test_another_size_or_time_or_place_is_refused_without_a_look_inside(
    path: Path, how: str
) -> None:
    state = noted(path)
    if how == "longer":
        with path.open("ab") as file:
            file.write(b"\0")
        os.utime(path, ns=(state.modified_ns, state.modified_ns))
    elif how == "later":
        os.utime(path, ns=(1, state.modified_ns + 1))
    elif how == "gone":
        path.unlink()
    else:
        elsewhere = path.rename(path.parent.parent / "1.dcm")
        path.symlink_to(elsewhere)
    with pytest.raises(FileGoneError, match="gone or has changed"):
        open_stored_file(state)


def test_a_file_that_lay_outside_the_roots_is_opened_there_and_nowhere_else(path: Path) -> None:
    outside = path.rename(path.parent.parent / "1.dcm")
    path.symlink_to(outside)
    state = noted(path, place=str(outside))
    assert content(state) == outside.read_bytes()
    other = shutil.copy2(outside, outside.with_name("2.dcm"))
    path.unlink()
    path.symlink_to(other)
    with pytest.raises(FileGoneError):
        content(state)


def test_no_byte_is_read_after_a_change(path: Path) -> None:
    settled(path)
    with StoredFile(path.open("rb")) as stored:
        assert stored.read(132).endswith(b"DICM")
        with path.open("r+b") as file:
            file.write(b"x" * 200)
        os.utime(path, ns=(stored.moment.modified_ns, stored.moment.modified_ns))
        with pytest.raises(FileGoneError, match="changed while it was read"):
            stored.read(10)


def test_the_digest_is_of_the_header_alone_and_of_all_of_it(tmp_path: Path) -> None:
    """Equal for a copy and for other pixels; another for any element, also nested or private."""
    plain = make_data_set(**UIDS, BitsAllocated=8, SamplesPerPixel=1)
    plain.PixelData = bytes(4)
    item = make_data_set(**UIDS)
    plain.ReferencedSeriesSequence = [item]
    plain.private_block(0x0019, "SOMEBODY", create=True).add_new(1, "LO", "a")
    first = digest(save(plain, tmp_path / "a.dcm"))
    changed = dcmread(tmp_path / "a.dcm")
    changed.PixelData = b"abcd"
    assert digest(save(changed, tmp_path / "b.dcm")) == first
    seen = {first}
    for number, change in enumerate(
        (
            lambda d: setattr(d, "PatientName", "Other^Name"),
            lambda d: setattr(d.ReferencedSeriesSequence[0], "PatientName", "Other^Name"),
            lambda d: d[0x00191001].__setattr__("value", "b"),
            lambda d: delattr(d, "EchoTime"),
            lambda d: setattr(d, "PatientComments", ""),
        )
    ):
        changed = dcmread(tmp_path / "a.dcm")
        change(changed)
        seen.add(digest(save(changed, tmp_path / f"c{number}.dcm")))
    assert len(seen) == 6
