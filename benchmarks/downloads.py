"""How much memory a server takes for a large zip.

    python -m benchmarks.downloads [--megabytes 2048]

Makes a series of files of 20 MB, sparse so that they take no room on disk, imports them, serves
them, and downloads the series as a zip, dropping the bytes as they come. Prints the peak memory of
the server (VmHWM, so Linux only) before the download, once it has sent a small zip, and after it.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

_FILE_MEGABYTES = 20
_COMMAND = [sys.executable, "-c", "from dicom_graph.cli import main; main()"]


def main(arguments: list[str] | None = None) -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.downloads", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--megabytes", type=int, default=2048)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="dicom-graph-") as name:
        folder = Path(name)
        large = make_series(folder / "files", max(1, options.megabytes // _FILE_MEGABYTES))
        small = make_series(folder / "files", 1)
        database = f"sqlite:///{folder}/database.sqlite3"
        imported = [*_COMMAND, "import", str(folder / "files"), "--database", database]
        subprocess.run(imported, check=True, stdout=subprocess.DEVNULL)
        measure(database, small, large)


def measure(database: str, small: str, large: str) -> None:
    """Print the peak memory of a server before and after it sent the large series."""
    served = [*_COMMAND, "serve", "--port", "0", "--database", database]
    server = subprocess.Popen(served, stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        found = (re.search(r"(http://\S+)/graphql", line) for line in server.stderr)
        address = next(match[1] for match in found if match)
        download(f"{address}/series/{small}.zip")
        before = peak_megabytes(server.pid)
        start = time.perf_counter()
        n_bytes = download(f"{address}/series/{large}.zip")
        seconds = time.perf_counter() - start
        after = peak_megabytes(server.pid)
    finally:
        server.terminate()
        server.wait()
    print(f"zip of {n_bytes / 2**20:,.0f} MB: {n_bytes / 2**20 / seconds:,.0f} MB/s")
    print(f"peak memory of the server: {before:.1f} MB before, {after:.1f} MB after")


def make_series(folder: Path, n_files: int) -> str:
    """The UID of a new series of sparse files."""
    folder.mkdir(exist_ok=True)
    series = generate_uid()
    for number in range(1, n_files + 1):
        data_set = Dataset()
        data_set.file_meta = FileMetaDataset()
        data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data_set.SOPClassUID = MRImageStorage
        data_set.SOPInstanceUID = generate_uid()
        data_set.StudyInstanceUID = data_set.SeriesInstanceUID = series
        data_set.PatientID = "benchmark"
        data_set.InstanceNumber = number
        data_set.Rows = data_set.Columns = 64
        data_set.BitsAllocated = 16
        data_set.PixelData = bytes(2 * 64 * 64)
        data_set["PixelData"].VR = "OW"
        path = folder / f"{data_set.SOPInstanceUID}.dcm"
        data_set.save_as(path, enforce_file_format=True)
        os.truncate(path, _FILE_MEGABYTES << 20)
    return str(series)


def download(address: str) -> int:
    """How many bytes came."""
    with httpx.stream("GET", address, timeout=600) as answer:
        answer.raise_for_status()
        return sum(len(chunk) for chunk in answer.iter_raw())


def peak_megabytes(process: int) -> float:
    """The most memory that a process has held so far."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024


if __name__ == "__main__":
    main()
