"""Where the test files are. Nothing is ever downloaded."""

import gzip
import io
import os
import warnings
from collections import Counter
from collections.abc import Iterable
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import MRImageStorage, generate_uid

_DEFAULT = Path(__file__).resolve().parents[3] / "shared" / "data"


def _shared() -> Path | None:
    path = Path(os.environ.get("DICOM_GRAPH_TEST_DATA", _DEFAULT))
    return path if path.is_dir() else None


SHARED = _shared()

needs_shared = pytest.mark.skipif(
    SHARED is None,
    reason=f"no test data at $DICOM_GRAPH_TEST_DATA or {_DEFAULT}",
)


def _package(name: str) -> Path:
    # Without an import, as that of nibabel.nicom warns.
    spec = find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


NIBABEL_DATA = _package("nibabel") / "nicom" / "tests" / "data"


def _files(root: Path) -> tuple[Path, ...]:
    return tuple(sorted(path for path in root.rglob("*") if path.is_file()))


@cache
def shared_files() -> tuple[Path, ...]:
    """All files of the shared data, DICOM or not; none where it is absent."""
    return _files(SHARED) if SHARED else ()


@cache
def nibabel_dicom_files() -> tuple[Path, ...]:
    """The DICOM files in nibabel's wheel; some are gzipped."""
    return tuple(path for path in _files(NIBABEL_DATA) if ".dcm" in path.name)


@cache
def pydicom_files() -> tuple[Path, ...]:
    """The DICOM files in pydicom's wheel, malformed ones and DICOMDIRs among them."""
    return tuple(
        path
        for path in _files(_package("pydicom") / "data")
        if path.suffix in ("", ".dcm") and path.name != "README"
    )


def file_bytes(path: Path) -> bytes:
    """The bytes of a file, gzipped or not."""
    raw = path.read_bytes()
    return gzip.decompress(raw) if path.suffix == ".gz" else raw


def read_header(path: Path) -> pydicom.Dataset:
    """The header of a file, gzipped or not, as pydicom reads it."""
    return pydicom.dcmread(io.BytesIO(file_bytes(path)), stop_before_pixels=True)


def sampled(paths: Iterable[Path], folder: str, size: int) -> list[Path]:
    """The paths, but of the folders below `folder` no more than `size` files each."""
    taken: Counter[Path] = Counter()
    kept = []
    for path in paths:
        taken[path.parent] += 1
        if folder not in path.parts or taken[path.parent] <= size:
            kept.append(path)
    return kept


def is_image(path: Path) -> bool:
    """Whether pydicom reads it as a data set that is an image's, not a directory's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            header = pydicom.dcmread(
                io.BytesIO(file_bytes(path)), stop_before_pixels=True, force=True
            )
        except Exception:
            return False
    is_directory = "DirectoryRecordSequence" in header or path.name.startswith("DICOMDIR")
    return not is_directory and ("SOPClassUID" in header or path in pydicom_files())


def distinct_copies(paths: Iterable[Path], folder: Path) -> list[Path]:
    """Copies of images, unzipped, in which no two are of one SOPInstanceUID, and none lacks it.

    All else is byte for byte as in the original, but for those that lacked it: pydicom wrote them.
    """
    copies = []
    seen = set()
    for number, path in enumerate(filter(is_image, paths)):
        copy = folder / f"{number:04}" / path.name.removesuffix(".gz")
        copy.parent.mkdir(parents=True)
        raw = file_bytes(path)
        header = pydicom.dcmread(io.BytesIO(raw), force=True)
        uid = header.get("SOPInstanceUID")
        if uid is None:
            header.SOPInstanceUID = generate_uid()
            header.SOPClassUID = header.get("SOPClassUID", MRImageStorage)
            header.save_as(copy)
        elif uid in seen:
            copy.write_bytes(raw.replace(uid.encode(), f"{uid[:-4]}{number:04}".encode()))
        else:
            copy.write_bytes(raw)
        seen.add(uid)
        copies.append(copy)
    return copies
