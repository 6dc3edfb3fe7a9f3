"""How long the export of many series takes, beside dcm2niix in the same minute.

    python -m benchmarks.export [--series 100] [--slices 30] [--size 256]

Makes series of single slices with the noise of real images, imports them, and has dcm2niix and
`dicom-graph export` write them as compressed NIfTI with sidecars: dcm2niix at the level of gzip
that it has by default, whose files are as large as those of `dicom-graph` within some percent, and
at its fastest, whose files are larger. Each runs as often as the others. Prints the best times.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import dcm2niix
import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

_COMMAND = [sys.executable, "-c", "from dicom_graph.cli import main; main()"]
_REPEATS = 3


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(prog="benchmarks.export", description=__doc__.split("\n")[0])
    parser.add_argument("--series", type=int, default=100)
    parser.add_argument("--slices", type=int, default=30)
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="dicom-graph-") as name:
        folder = Path(name)
        uids = make_archive(folder / "files", options.series, options.slices, options.size)
        database = f"sqlite:///{folder}/database.sqlite3"
        run([*_COMMAND, "import", str(folder / "files"), "--database", database])
        measure(folder, database, uids)


def make_archive(folder: Path, n_series: int, n_slices: int, size: int) -> list[str]:
    """Series of an axial head-like object in noise; returns their UIDs."""
    chance = np.random.default_rng(1)
    rows, columns = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    head = 800 * (rows**2 + 1.3 * columns**2 < 0.6) * (1 + 0.3 * np.cos(9 * rows * columns))
    images = [
        np.abs(head + chance.normal(0, 25, (size, size))).astype(np.uint16) for _ in range(16)
    ]
    uids = []
    for number in range(n_series):
        uid = generate_uid()
        uids.append(uid)
        (folder / f"{number:04}").mkdir(parents=True)
        for index in range(n_slices):
            image = images[(number + index) % len(images)]
            path = folder / f"{number:04}" / f"{index:04}.dcm"
            write_slice(path, uid, number + 1, index, image)
    return uids


def write_slice(path: Path, series_uid: str, number: int, index: int, image: np.ndarray) -> None:
    """A slice as an MR image of explicit VR."""
    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = MRImageStorage, generate_uid()
    made.SeriesInstanceUID, made.StudyInstanceUID = series_uid, "1.2.840.99999.1"
    made.PatientID, made.Modality, made.Manufacturer = "benchmark", "MR", "SIEMENS"
    made.StudyDate, made.SeriesNumber, made.InstanceNumber = "20200102", number, index + 1
    made.ImageType, made.SliceThickness = ["ORIGINAL", "PRIMARY", "M"], 3.0
    made.ScanningSequence, made.EchoTime, made.RepetitionTime = "GR", 3.0, 2300.0
    made.ImagePositionPatient = [-100.0, -100.0, 3.0 * index]
    made.ImageOrientationPatient, made.PixelSpacing = [1.0, 0, 0, 0, 1.0, 0], [1.0, 1.0]
    made.Rows, made.Columns = image.shape
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, 12, 11
    made.SamplesPerPixel, made.PixelRepresentation = 1, 0
    made.PhotometricInterpretation, made.PixelData = "MONOCHROME2", image.tobytes()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = MRImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.save_as(path, enforce_file_format=True)


def measure(folder: Path, database: str, uids: list[str]) -> None:
    """Print the times of both; what one wrote is removed before the next begins."""
    theirs = [dcm2niix.bin, "-z", "i", "-f", "%s", "-o", str(folder / "out")]
    fastest = [*theirs, "-1", str(folder / "files")]
    theirs.append(str(folder / "files"))
    ours = [*_COMMAND, "export", *uids, "--database", database, "--name", "{seriesNumber}"]
    ours += ["--to", str(folder / "out")]
    best: dict[str, float] = {}
    sizes: dict[str, int] = {}
    for _ in range(_REPEATS):
        for name, command in (
            ("dcm2niix", theirs),
            ("dcm2niix -1", fastest),
            ("dicom-graph export", ours),
        ):
            (folder / "out").mkdir()
            start = time.perf_counter()
            run(command)
            best[name] = min(best.get(name, 1e9), time.perf_counter() - start)
            written = list((folder / "out").glob("*.nii.gz"))
            assert len(written) == len(uids)
            sizes[name] = sum(path.stat().st_size for path in written)
            shutil.rmtree(folder / "out")
    for name, seconds in best.items():
        print(f"{name:20} {seconds:6.2f} s, {sizes[name] / 2**20:,.0f} MB")
    ours_best = best["dicom-graph export"]
    print(
        f"{len(uids)} series on {os.cpu_count()} processors: {ours_best / best['dcm2niix']:.2f} of "
        f"dcm2niix's time, {ours_best / best['dcm2niix -1']:.2f} of that at its fastest"
    )


def run(command: list[str]) -> None:
    """Run a command, which must succeed, as users do: with bytecode that is kept."""
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    quiet = subprocess.DEVNULL
    subprocess.run(command, check=True, stdout=quiet, stderr=quiet, env=kept)


if __name__ == "__main__":
    main()
