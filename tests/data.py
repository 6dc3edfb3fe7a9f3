"""Where the test files are. Nothing is ever downloaded."""

import gzip
import io
import os
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pydicom
import pytest

_DEFAULT = Path(__file__).resolve().parents[2] / "shared" / "data"


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
