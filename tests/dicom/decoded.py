"""Digests of the arrays of all test files, to be held against those of other decoders.

    python -m tests.dicom.decoded write FILE
    python -m tests.dicom.decoded compare FILE
    python -m tests.dicom.decoded truth

`decoded_before.txt` was written by the checkout 301782e, whose decoders were pylibjpeg with
pylibjpeg-libjpeg (GPL), -openjpeg and -rle, and pyjpegls. `compare` prints what differs, and how
many files of each transfer syntax are the same. Both run in older checkouts too. `truth` holds the
stored values of the same files against those of pydicom and its decoders, and of JPEG with 12 bits
against dcmtk's.
"""

import argparse
import hashlib
import os
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.uid import JPEGExtended12Bit

from dicom_graph.dicom.errors import PixelError
from dicom_graph.dicom.pixels.arrays import describe_pixels, read_pixels
from dicom_graph.dicom.pixels.image_file import syntax_of
from tests.support.data import file_bytes, nibabel_dicom_files, pydicom_files, shared_files
from tests.support.dcmtk import decompressed

BEFORE = Path(__file__).with_name("decoded_before.txt")


def files() -> Iterator[tuple[str, Path]]:
    """All test files by a name that is the same on every machine."""
    for source, paths in (
        ("pydicom", pydicom_files()), ("nibabel", nibabel_dicom_files()), ("shared", shared_files())
    ):  # fmt: skip
        if not paths:
            continue
        root = os.path.commonpath(paths)
        for path in paths:
            yield f"{source}/{path.relative_to(root)}", path


def digest(path: Path) -> str | None:
    """Of the stored values of all frames, their type, shape and colour space; None without any."""
    with tempfile.TemporaryDirectory() as folder:
        if path.suffix == ".gz":
            plain = Path(folder) / path.stem
            plain.write_bytes(file_bytes(path))
            path = plain
        try:
            pixels = read_pixels(path, rescaled=False)
        except PixelError:
            return None
    array = np.ascontiguousarray(pixels.array)
    head = f"{array.dtype.str} {array.shape} {pixels.photometric_interpretation} "
    return hashlib.sha256(head.encode() + array.tobytes()).hexdigest()[:16]


def read(path: Path = BEFORE) -> dict[str, str]:
    """The digests of a file by the names."""
    lines = path.read_text().splitlines()
    return {name: found for found, _, name in (line.partition(" ") for line in lines)}


def truth(path: Path) -> str:
    """How the stored values of a file compare with pydicom's."""
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "plain.dcm"
        plain.write_bytes(file_bytes(path))
        try:
            ours: object = read_pixels(plain, rescaled=False).array
        except PixelError as error:
            ours = error
        try:
            data_set = dcmread(plain, force=True)
            is_dcmtk = syntax_of(data_set) == JPEGExtended12Bit
            expected = (decompressed(plain) if is_dcmtk else data_set).pixel_array
        except Exception:
            return "no array of either" if isinstance(ours, PixelError) else "ours alone"
    if isinstance(ours, PixelError):
        return "pydicom's alone"
    assert isinstance(ours, np.ndarray)
    if ours.size != expected.size or ours.dtype != expected.dtype.newbyteorder("="):
        return "another shape or type"
    return "same" if np.array_equal(ours.ravel(), expected.ravel()) else "other values"


def compare_with_pydicom() -> None:
    """Print what differs from pydicom's arrays, and how many files do not."""
    counts: Counter[str] = Counter()
    for name, path in files():
        relation = truth(path)
        counts[relation] += 1
        if relation not in ("same", "no array of either"):
            print(f"{relation}: {name}")
    for relation, count in counts.most_common():
        print(f"{count:5} {relation}")


def main() -> None:
    """Write digests, or compare them."""
    parser = argparse.ArgumentParser(prog="python -m tests.dicom.decoded")
    parser.add_argument("action", choices=["write", "compare", "truth"])
    parser.add_argument("file", type=Path, nargs="?", default=BEFORE)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.action == "truth":
        compare_with_pydicom()
        return
    found = {name: digest(path) for name, path in files()}
    if given.action == "write":
        lines = [f"{value} {name}\n" for name, value in sorted(found.items()) if value]
        given.file.write_text("".join(lines))
        return
    before, paths = read(given.file), dict(files())
    counts: Counter[tuple[str, str]] = Counter()
    for name in sorted(before.keys() | {name for name, value in found.items() if value}):
        if name not in paths:
            continue
        relation = "new" if name not in before else "same"
        if name in before and found.get(name) != before[name]:
            relation = "lost" if found.get(name) is None else "other values"
        if relation != "same":
            print(f"{relation}: {name}")
        try:
            counts[describe_pixels(paths[name]).transfer_syntax_name, relation] += 1
        except PixelError:
            counts["(gzipped)", relation] += 1
    for (syntax, relation), count in sorted(counts.items()):
        print(f"{count:5} {relation:12} {syntax}")


if __name__ == "__main__":
    main()
