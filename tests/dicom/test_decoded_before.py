"""The arrays of all test files are those of the decoders that were used before."""

import pytest
from pydicom.uid import JPEGBaseline8Bit, JPEGExtended12Bit

from dicom_graph.dicom.pixels.arrays import describe_pixels
from tests.dicom.decoded import digest, files, read

LOSSY_JPEG = {JPEGBaseline8Bit, JPEGExtended12Bit}
"""What these decode to may differ by rounding (ISO 10918-2), and does, by 1 in a component, so by
up to 3 where YBR became RGB. Other tests hold them against gdcm and dcmtk, which agree with
libjpeg-turbo to the last bit."""
FOLDERS = ("pydicom", "nibabel", "shared/derived", "shared/enhanced", "shared/siemens",
           "shared/varied", "shared/nih")  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("folder", FOLDERS)
def test_the_arrays_of_all_files_are_what_they_were(folder: str) -> None:
    before = read()
    paths = {name: path for name, path in files() if name.startswith(folder) and name in before}
    if not paths:
        pytest.skip(f"no files of {folder}")
    different = [
        name
        for name, path in paths.items()
        if digest(path) != before[name]
        and describe_pixels(path).transfer_syntax_uid not in LOSSY_JPEG
    ]
    assert not different
