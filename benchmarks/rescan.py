"""How fast a tree that was imported already is recognised.

    python -m benchmarks.rescan [--files 50000] [--per-folder 100] [--repeat 3] [--postgres]

Makes a tree of small MR files in a temporary folder, imports it into an empty database (SQLite, or
a private PostgreSQL), and then measures, each the best of the rounds:

- import: the same import again. No file has changed, none is opened.
- sync: the same, and the database is asked which of its files are gone.

Files are in the page cache by then. The figures are files per second, from the start of the job
until its report is written.
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from benchmarks.ingest import private_postgres
from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade

_ROOT_UID = "1.2.826.0.1.3680043.8.498"
_SERIES_UID, _IMAGE_UID = f"{_ROOT_UID}.1.1000000000", f"{_ROOT_UID}.2.1000000000"


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser("python -m benchmarks.rescan", description="Rescan speed.")
    parser.add_argument("--files", type=int, default=50_000, metavar="N")
    parser.add_argument("--per-folder", type=int, default=100, metavar="N")
    parser.add_argument("--repeat", type=int, default=3, metavar="N", help="rounds (3)")
    parser.add_argument("--postgres", action="store_true", help="start a private PostgreSQL")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="dicom-graph-benchmark-") as folder:
        tree = Path(folder) / "tree"
        make_tree(tree, options.files, options.per_folder)
        with _database(Path(folder), options.postgres) as database:
            upgrade(database)
            first = seconds(database, tree, created=options.files)
            print(f"first import {options.files / first:>10,.0f} files/s")
            for name, sync in (("import again", False), ("sync", True)):
                best = min(
                    seconds(database, tree, sync=sync, existing=options.files)
                    for _ in range(options.repeat)
                )
                print(f"{name:<12} {options.files / best:>10,.0f} files/s")
            database.close_writer()


def make_tree(folder: Path, files: int, per_folder: int) -> None:
    """Small images, `per_folder` in each series."""
    template = _template(folder.parent / "template.dcm")
    for number in range(files):
        series = folder / f"{number // per_folder // 100:05}" / f"{number // per_folder:06}"
        if number % per_folder == 0:
            series.mkdir(parents=True)
        of_series = f"{_ROOT_UID}.1.{10**9 + number // per_folder}".encode()
        of_image = f"{_ROOT_UID}.2.{10**9 + number}".encode()
        content = template.replace(_SERIES_UID.encode(), of_series)
        (series / f"{number:07}.dcm").write_bytes(content.replace(_IMAGE_UID.encode(), of_image))


def _template(path: Path) -> bytes:
    data_set = Dataset()
    data_set.SOPClassUID = MRImageStorage
    data_set.SOPInstanceUID, data_set.SeriesInstanceUID = _IMAGE_UID, _SERIES_UID
    data_set.StudyInstanceUID, data_set.PatientID = f"{_ROOT_UID}.3", "benchmark"
    data_set.Modality, data_set.EchoTime, data_set.Rows, data_set.Columns = "MR", 2.5, 2, 2
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data_set.file_meta.MediaStorageSOPClassUID = MRImageStorage
    data_set.file_meta.MediaStorageSOPInstanceUID = _IMAGE_UID
    data_set.save_as(path, enforce_file_format=True)
    content = path.read_bytes()
    path.unlink()
    return content


def seconds(database: Database, tree: Path, *, sync: bool = False, **expected: int) -> float:
    """How long a job takes; it must count what is expected."""
    request = JobRequest((str(tree),), Mode.FULL, origin=JobOrigin.PYTHON, sync=sync)
    start = time.perf_counter()
    report = run_import(database, request)
    elapsed = time.perf_counter() - start
    for name, count in expected.items():
        assert getattr(report.counts, name) == count, report.counts
    return elapsed


@contextmanager
def _database(folder: Path, postgres: bool) -> Iterator[Database]:
    if postgres:
        with private_postgres(str(folder / "postgres")) as url:
            yield Database(url)
    else:
        yield Database(f"sqlite:///{folder}/database.sqlite3")


if __name__ == "__main__":
    main()
