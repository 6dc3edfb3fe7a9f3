"""Files that ask for far more than they hold are refused before a decoder sees them."""

from pathlib import Path

import pytest

from dicom_graph.dicom.errors import CorruptPixelsError
from dicom_graph.dicom.pixels.arrays import read_pixels
from dicom_graph.error_codes import ErrorCode
from dicom_graph.imaging.errors import ImagingError
from dicom_graph.imaging.worker import image_png, image_statistics, write_image_npy
from tests.dicom.hostile import AGREES, DIFFERS

MAX_BYTES = 512 << 20


@pytest.mark.parametrize("name", DIFFERS)
def test_a_frame_that_is_not_what_the_header_says(tmp_path: Path, name: str) -> None:
    path = DIFFERS[name](tmp_path / "a.dcm")
    with pytest.raises(CorruptPixelsError, match="frame 0 cannot be decoded as"):
        read_pixels(path)


@pytest.mark.parametrize("name", AGREES)
def test_a_size_that_the_file_does_not_hold(tmp_path: Path, name: str) -> None:
    path = str(AGREES[name](tmp_path / "a.dcm"))
    for ask in (
        lambda: image_png(path, 1, None, None, MAX_BYTES),
        lambda: image_statistics(path, MAX_BYTES),
        lambda: write_image_npy(path, str(tmp_path / "a.npy"), False, MAX_BYTES),
    ):
        with pytest.raises((CorruptPixelsError, ImagingError)) as caught:
            ask()
        if isinstance(caught.value, ImagingError):
            assert caught.value.problem is ErrorCode.TOO_LARGE
