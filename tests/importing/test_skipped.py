"""What an import says of files that are no DICOM images."""

import gzip
import io
import shutil
import tarfile
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image
from pydicom.data import get_testdata_file

from dicom_graph.dicom.files.other_files import what_it_is
from dicom_graph.importing.foreground import read_report
from dicom_graph.store.engine import Database
from tests.importing.test_import import Import
from tests.support.graph import Graph


def _zip() -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("a.txt", "text")
    return made.getvalue()


def _tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("a"))
    return made.getvalue()


def _picture(kind: str) -> bytes:
    made = io.BytesIO()
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(made, kind)
    return made.getvalue()


def _nifti() -> bytes:
    return nibabel.Nifti1Image(np.zeros((2, 2, 2), np.uint8), np.eye(4)).to_bytes()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an empty file"), (_zip(), "a zip archive: unpack it"),
        (_tar(), "a tar archive: unpack it"), (_picture("PNG"), "a PNG picture"),
        (_picture("JPEG"), "a JPEG picture"), (_picture("TIFF"), "a TIFF picture"),
        (gzip.compress(b"", mtime=0), "a gzip file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:12", "a pointer of Git LFS"),
        (b"/annex/objects/MD5E-s12--34.dcm\n", "a pointer of git-annex"),
        (_nifti(), "a NIfTI file"), (b"hello\n", "a text file"),
        ("größer €".encode() * 100, "a text file"), (bytes(range(256)) * 4, "not a DICOM file"),
    ],
)  # fmt: skip
def test_a_file_is_told_by_its_content(content: bytes, words: str) -> None:
    assert what_it_is(content).startswith(words)


def test_a_link_without_its_file_says_what_to_do(import_files: Import, tmp_path: Path) -> None:
    """As a data set of DataLad is before its files were fetched."""
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "a.dcm").symlink_to("../.git/annex/objects/x/MD5E-s12--34.dcm")
    (folder / "b.dcm").symlink_to("gone.dcm")
    first, second = sorted(import_files(folder).failures, key=lambda failure: failure.path)
    assert "`git annex get`" in first.message
    assert second.message == "a link that leads to no file"


async def test_each_skipped_file_is_listed_with_its_reason(
    import_files: Import, tmp_path: Path, database: Database, graph: Graph
) -> None:
    folder = tmp_path / "tree"
    folder.mkdir()
    shutil.copy(str(get_testdata_file("DICOMDIR")), folder / "DICOMDIR")
    (folder / "a.zip").write_bytes(_zip())
    (folder / "b.nii.gz").write_bytes(gzip.compress(_nifti()))
    (folder / "empty.dcm").touch()
    report = import_files(folder)
    assert (report.counts.skipped, report.failures) == (4, [])
    expected = {
        "DICOMDIR": "a DICOMDIR, which only lists other files",
        "a.zip": "a zip archive: unpack it",
        "b.nii.gz": "a gzip file, in which is a NIfTI file",
        "empty.dcm": "an empty file",
    }
    told = {Path(skip.path).name: skip.message for skip in report.skips}
    assert {name: told[name][: len(text)] for name, text in expected.items()} == expected
    assert read_report(database, report.job_id).skips == report.skips
    data = await graph(
        "{ importJobs { nodes { skipped failures { path } skippedFiles { path reason } } } }"
    )
    (job,) = data["importJobs"]["nodes"]
    assert (job["skipped"], job["failures"]) == (4, [])
    assert {Path(each["path"]).name: each["reason"] for each in job["skippedFiles"]} == told
