"""Files that gzip compresses as a whole: imported, drawn, given as DICOM."""

import asyncio
import errno
import gzip
import io
import os
import tempfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
from pydicom import dcmread

from dicom_graph.dicom.elements.interning import Interner
from dicom_graph.dicom.errors import FileGoneError, NotDicomError, UnreadableFileError
from dicom_graph.dicom.files import gzipped, stored_file
from dicom_graph.dicom.files.gzipped import inflated, most_inflated
from dicom_graph.dicom.files.reading import read_instance
from dicom_graph.dicom.files.stored_file import StoredFile
from dicom_graph.dicom.parsing.byte_source import MAX_INFLATED
from dicom_graph.imaging import unpacking
from dicom_graph.imaging.unpacking import UnpackedFiles
from tests.support.served_archive import Archive, served
from tests.support.slices import make_image, make_slices

GREY = np.arange(12, dtype=np.uint16).reshape(3, 4)


def make(folder: Path) -> dict[str, Path]:
    """Images, and a volume of three slices, all in gzip files; the originals beside the tree."""
    plain = Path(tempfile.mkdtemp())
    names = ("grey", "parts", "full")
    files = {name: make_image(plain / f"{name}.dcm", GREY, PatientID="P") for name in names}
    slices = make_slices(plain / "volume", [0.0, 2.0, 4.0], size=(4, 6))
    files |= {f"slice{at}": path for at, path in enumerate(slices)}
    folder.mkdir(exist_ok=True)
    for name, path in files.items():
        (folder / f"{name}.dcm.gz").write_bytes(gzip.compress(path.read_bytes()))
    return files


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    with served(tmp_path_factory.mktemp("gzipped"), make=make) as made:
        yield made


def test_downloads_give_the_dicom_file(archive: Archive) -> None:
    uid, original = archive.uid("grey"), archive.files["grey"].read_bytes()
    whole = archive.get(f"/images/{uid}.dcm")
    assert (whole.status_code, whole.content) == (200, original)
    part = archive.get(f"/images/{uid}.dcm", headers={"Range": "bytes=128-131"})
    assert (part.status_code, part.content) == (206, b"DICM")
    assert part.headers["Content-Range"] == f"bytes 128-131/{len(original)}"
    content = archive.get(f"/series/{archive.series('slice0')}.zip").content
    with zipfile.ZipFile(io.BytesIO(content)) as zipped:
        given = sorted(zipped.read(name) for name in zipped.namelist())
    assert given == sorted(archive.files[f"slice{at}"].read_bytes() for at in range(3))


def test_many_ranges_unpack_a_file_once(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked: list[None] = []
    make = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: unpacked.append(None) or make())
    uid, original = archive.uid("parts"), archive.files["parts"].read_bytes()

    def part(start: int) -> bytes:
        headers = {"Range": f"bytes={start}-{start + 40}"}
        return archive.get(f"/images/{uid}.dcm", headers=headers).content

    starts = range(0, 320, 8)
    with ThreadPoolExecutor(8) as pool:
        parts = list(pool.map(part, starts))
    assert parts == [original[start : start + 41] for start in starts]
    assert len(unpacked) == 1


async def test_what_is_unpacked_is_gone_soon_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "_KEPT_SECONDS", 0.05)
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(b"content" * 1000))
    os.utime(path, ns=(0, 0))
    await asyncio.sleep(0.1)
    files, before = UnpackedFiles(), set(os.listdir("/proc/self/fd"))
    opened = [StoredFile(path.open("rb")) for _ in range(3)]
    await asyncio.gather(*map(files.unpack, opened))
    assert opened[0].read(7) == b"content"
    assert opened[1].read() == opened[2].read() == b"content" * 1000
    assert opened[0].read() == b"content" * 999
    opened[1].close()
    opened[2].close()
    await asyncio.sleep(0.2)
    assert len(set(os.listdir("/proc/self/fd")) - before) <= 2
    # Who still reads it has it.
    opened[0].seek(0)
    assert opened[0].read() == b"content" * 1000
    opened[0].close()
    assert set(os.listdir("/proc/self/fd")) <= before
    path.write_bytes(gzip.compress(b"cut off")[:-4])
    with pytest.raises(FileGoneError), StoredFile(path.open("rb")) as broken:
        await files.unpack(broken)


def test_pixels_and_volumes_are_read(archive: Archive) -> None:
    array = np.load(io.BytesIO(archive.get(f"/images/{archive.uid('grey')}.npy").content))
    assert np.array_equal(array[0], dcmread(archive.files["grey"]).pixel_array)
    series = archive.series("slice0")
    answer = archive.get(f"/series/{series}/volume.npy")
    assert answer.status_code == 200, answer.text
    volume = np.load(io.BytesIO(answer.content))
    assert volume.shape[:3] in ((6, 4, 3), (4, 6, 3))


def read(folder: Path, content: bytes) -> object:
    path = folder / "file"
    path.write_bytes(content)
    return read_instance(str(path), Interner())


def test_what_is_no_dicom_in_a_gzip_file(tmp_path: Path) -> None:
    for content in (b"", b"text" * 100, gzip.compress(b"nested"), b"n+1\0" * 100):
        with pytest.raises(NotDicomError):
            read(tmp_path, gzip.compress(content))


def test_damaged_gzip_files_fail_with_a_reason(tmp_path: Path) -> None:
    original = make_image(tmp_path / "grey.dcm", GREY).read_bytes()
    packed = gzip.compress(original)
    for damaged in (packed[:-20], packed[:300] + b"\xff" * 20 + packed[320:]):
        with pytest.raises(UnreadableFileError, match="gzip"):
            read(tmp_path, damaged)


@contextmanager
def packed(folder: Path, content: bytes) -> Iterator[BinaryIO]:
    path = folder / "packed"
    path.write_bytes(content)
    with path.open("rb") as file:
        yield file


def test_members_follow_each_other_and_padding_is_passed_over(tmp_path: Path) -> None:
    original = make_image(tmp_path / "grey.dcm", GREY).read_bytes()
    members = gzip.compress(original[:200]) + gzip.compress(original[200:])
    for behind in (b"", bytes(512), b"else"):
        with packed(tmp_path, members + behind) as file, inflated(file) as content:
            assert content.read() == original


def test_a_bomb_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(bytes(1 << 24))
    with packed(tmp_path, bomb) as file, pytest.raises(UnreadableFileError, match="than 1 MiB"):
        inflated(file, max_bytes=1 << 20)
    assert most_inflated(1 << 20) == 256 << 20
    assert most_inflated(2 << 20) == 400 << 20
    assert most_inflated(1 << 40) == MAX_INFLATED
    monkeypatch.setattr(gzipped, "_PLAUSIBLE", 1 << 20)
    with packed(tmp_path, bomb) as file, pytest.raises(UnreadableFileError, match="than 3 MiB"):
        inflated(file)


def test_many_members_take_no_time_each(tmp_path: Path) -> None:
    original = make_image(tmp_path / "grey.dcm", GREY).read_bytes()
    members = gzip.compress(b"") * 20_000 + gzip.compress(original)
    with packed(tmp_path, members) as file, _Copies(file) as counted, inflated(counted) as content:
        assert content.read() == original
    # zlib copies what lies behind a member, each time.
    assert counted.longest * 20_000 < 1 << 28


class _Copies(io.BufferedReader):
    """A file that knows how much was read of it at a time."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(io.FileIO(os.dup(file.fileno())))
        self.longest = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.longest = max(self.longest, len(found))
        return found


def test_what_a_client_has_is_not_unpacked_again(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"/images/{archive.uid('grey')}.dcm"
    tag = archive.get(address).headers["ETag"]
    monkeypatch.setattr(stored_file, "inflated", _full_disk)
    for given in (tag, "*", f'"other", W/{tag}'):
        assert archive.get(address, headers={"If-None-Match": given}).status_code == 304
    full = archive.get(f"/images/{archive.uid('full')}.dcm", headers={"If-None-Match": '"other"'})
    assert (full.status_code, full.json()["errors"][0]["code"]) == (507, "NO_SPACE")


def _full_disk(file: BinaryIO) -> BinaryIO:
    raise OSError(errno.ENOSPC, "No space left on device")
