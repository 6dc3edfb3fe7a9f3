"""The folder of DICOM files that a benchmark takes, as its argument or as `--data`."""

import argparse
from pathlib import Path

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
"""Where the machine on which this is developed has real files."""
DATA = SHARED / "nih" / "dicom"


def add_data_folder(parser: argparse.ArgumentParser, default: Path | None = None) -> None:
    """`FOLDER` and `--data FOLDER`: the same."""
    parser.add_argument("folder", type=Path, nargs="?", metavar="FOLDER", help="DICOM files")
    parser.add_argument("--data", type=Path, default=default, metavar="FOLDER", help="the same")


def data_folder(parser: argparse.ArgumentParser, options: argparse.Namespace) -> Path:
    """Returns the folder. Ends the program, in one line, where none is given or there is none."""
    given: Path | None = getattr(options, "folder", None) or options.data
    if given is None:
        parser.error("give a folder of DICOM files: FOLDER, or --data FOLDER")
    if not given.is_dir():
        parser.error(f"{given} is not a folder: give one of DICOM files as --data")
    return given
