"""Benchmarks say in one line what is missing of the files that they are given, or wrong."""

import argparse
from pathlib import Path

import pydicom
import pytest
from pydicom.data import get_testdata_file

from benchmarks.archive import read_templates
from benchmarks.data_folder import add_data_folder, data_folder
from benchmarks.tree import multiply

NO_PREAMBLE = "no DICOM file with a preamble"
ENCODING = "not in Explicit VR Little Endian"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        (None, NO_PREAMBLE),
        ("no_meta.dcm", NO_PREAMBLE),
        ("MR_small_implicit.dcm", ENCODING),
        ("MR_small_bigendian.dcm", ENCODING),
        ("image_dfl.dcm", ENCODING),
        ("DICOMDIR", "no SeriesInstanceUID"),
    ],
)
def test_a_file_that_cannot_be_multiplied_is_named(
    tmp_path: Path, name: str | None, reason: str
) -> None:
    content = b"a text" if name is None else Path(str(get_testdata_file(name))).read_bytes()
    (tmp_path / "x.dcm").write_bytes(content)
    with pytest.raises(SystemExit, match=reason) as ended:
        multiply(tmp_path, tmp_path / "made", 1)
    assert str(tmp_path / "x.dcm") in str(ended.value)
    assert "\n" not in str(ended.value)


def test_a_file_that_is_cut_short_is_named(tmp_path: Path) -> None:
    content = Path(str(get_testdata_file("MR_small.dcm"))).read_bytes()
    (tmp_path / "x.dcm").write_bytes(content[:700])
    for read in (read_templates, lambda folder: multiply(folder, tmp_path / "made", 1)):
        with pytest.raises(SystemExit, match="cannot be multiplied"):
            read(tmp_path)


def test_good_files_are_multiplied(tmp_path: Path) -> None:
    content = Path(str(get_testdata_file("MR_small.dcm"))).read_bytes()
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "x.dcm").write_bytes(content)
    multiply(tmp_path / "files", tmp_path / "made", 2)
    made = [pydicom.dcmread(path) for path in sorted((tmp_path / "made").rglob("*.dcm"))]
    assert len({data_set.SOPInstanceUID for data_set in made}) == 2


@pytest.mark.parametrize("words", [[], ["/nowhere"], ["--data", "/nowhere"]])
def test_a_folder_that_is_missing_is_told(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    parser = argparse.ArgumentParser()
    add_data_folder(parser)
    with pytest.raises(SystemExit):
        data_folder(parser, parser.parse_args(words))
    assert "--data" in capsys.readouterr().err.splitlines()[-1]
