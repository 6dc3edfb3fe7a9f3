"""Texts of headers in what is said of pixels and volumes without identities: codes, or nothing."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dicom_graph.dicom.files.stored_file import FileState, FileVersion
from dicom_graph.imaging.deidentified import DeidentifiedImaging
from dicom_graph.imaging.service import Imaging
from tests.support.slices import make_image


@pytest.fixture
def imaging() -> Iterator[DeidentifiedImaging]:
    whole = Imaging(max_decodes=1)
    yield DeidentifiedImaging(whole)
    whole.close()


def stored(path: Path, **elements: Any) -> FileState:
    array = np.arange(12, dtype=np.uint8).reshape(3, 4)
    placed = {"ImageOrientationPatient": [1, 0, 0, 0, 1, 0], "ImagePositionPatient": [0, 0, 0],
              "PixelSpacing": [1, 1]}  # fmt: skip
    status = os.stat(make_image(path, array, **(placed | elements)))
    return FileState(str(path), status.st_size, status.st_mtime_ns, b"", _stamp(path))


def _stamp(path: Path) -> bytes:
    with path.open("rb") as file:
        FileVersion.of(file.fileno()).settle()
        stamp = FileVersion.of(file.fileno()).stamp
    assert stamp is not None
    return stamp


@pytest.mark.parametrize(
    ("kind", "label"),
    [
        (["ORIGINAL", "PRIMARY", "M"], "ORIGINAL\\PRIMARY\\M, TE 2.5 ms"),
        (["ORIGINAL", "FOR ZAPHOD BEEBLEBROX"], "TE 2.5 ms"),
        (["ORIGINAL", "zaphod"], "TE 2.5 ms"),
        (["zaphod, TE 9 ms"], "TE 2.5 ms"),
        (["ZAPHOD\nBEEBLEBROX"], "TE 2.5 ms"),
        (None, "TE 2.5 ms"),
    ],
)
async def test_the_kind_of_a_volume_is_made_of_codes(
    tmp_path: Path, imaging: DeidentifiedImaging, kind: Any, label: str
) -> None:
    file = stored(tmp_path / "1.dcm", ImageType=kind)
    (volume,) = await imaging.volumes([file])
    assert volume.label == label


async def test_a_photometric_interpretation_is_a_code(
    tmp_path: Path, imaging: DeidentifiedImaging
) -> None:
    odd = stored(tmp_path / "1.dcm", PhotometricInterpretation="MONOCHROME2 OF ZAPHOD")
    assert (await imaging.describe(odd)).photometric_interpretation == ""
    plain = stored(tmp_path / "2.dcm")
    assert (await imaging.describe(plain)).photometric_interpretation == "MONOCHROME2"
