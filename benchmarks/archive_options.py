"""Options of the benchmarks that ask databases of either kind with a generated archive."""

import argparse
from pathlib import Path

from benchmarks.data_folder import DATA, data_folder


def add_archive_options(parser: argparse.ArgumentParser) -> None:
    """Which databases, whether they are kept, and what is multiplied."""
    both = ["sqlite", "postgresql"]
    parser.add_argument("--databases", nargs="+", choices=both, default=both, metavar="KIND")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="databases to keep, and reuse")
    parser.add_argument("--data", type=Path, default=DATA, help="the headers to multiply")


def checked_options(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The arguments; ends the program where there is nothing to multiply."""
    options = parser.parse_args()
    options.data = data_folder(parser, options)
    if options.keep is not None:
        options.keep = options.keep.resolve()
        options.keep.mkdir(parents=True, exist_ok=True)
    return options
