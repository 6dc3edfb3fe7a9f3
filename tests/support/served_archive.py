"""A server over a small archive of images of many kinds, good and bad."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGBaseline8Bit, generate_uid

from dicom_graph.importing.foreground import run_import
from dicom_graph.settings import Settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from tests.support.make import make_file
from tests.support.server import Server, running_server
from tests.support.slices import make_image, make_slices

Make = Callable[[Path], dict[str, Path]]
ODD_PATIENT = "../a/b c?#%ü;&+"


@dataclass
class Archive:
    """The files by name, and a server that lists them."""

    folder: Path
    files: dict[str, Path]
    server: Server

    def uid(self, name: str, keyword: str = "SOPInstanceUID") -> str:
        """A UID of a file."""
        return str(dcmread(self.files[name], stop_before_pixels=True)[keyword].value)

    def series(self, name: str) -> str:
        """The SeriesInstanceUID of a file."""
        return self.uid(name, "SeriesInstanceUID")

    def get(self, address: str, **options: Any) -> httpx.Response:
        """The answer to a GET."""
        return httpx.get(f"{self.server.url}{address}", timeout=60, **options)


def make_archive(folder: Path) -> dict[str, Path]:
    """Files by name; the slices of the volume are slice0 to slice4."""
    generator = np.random.default_rng(1)
    grey = generator.integers(0, 4000, (12, 10)).astype(np.uint16)
    frames = generator.integers(0, 255, (3, 8, 6)).astype(np.uint8)
    odd = {"PatientID": ODD_PATIENT, "SpecificCharacterSet": "ISO_IR 192"}
    files = {
        "grey": make_image(folder / "grey.dcm", grey, WindowCenter=2000, WindowWidth=1000),
        "frames": make_image(folder / "frames.dcm", frames, **odd),
        "colour": make_image(folder / "colour.dcm", np.moveaxis(frames, 0, -1).copy()),
        "report": make_file(folder / "report.dcm", Rows=None, Columns=None, Modality="SR"),
        "corrupt": make_image(folder / "corrupt.dcm", grey[:, :8].astype(np.uint8)),
    }
    spoil(files["corrupt"])
    shared = {"StudyInstanceUID": generate_uid(), "EchoTime": -2.5, "SeriesDescription": "=1+1"}
    slices = make_slices(
        folder / "volume", [4.0, 0.0, 2.0, 6.0, 8.0], size=(4, 6), Manufacturer="=cmd()", **shared
    )
    files |= {f"slice{number}": path for number, path in enumerate(slices)}
    mixed = {"SeriesInstanceUID": generate_uid()}
    for name, size in (("small", (2, 3)), ("large", (4, 5))):
        (files[name],) = make_slices(folder / name, [1.0], size=size, **mixed)
    return files


def spoil(path: Path) -> None:
    """Make the pixels a stream of JPEG that is none."""
    data_set = dcmread(path)
    data_set.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    data_set.PixelData = encapsulate([b"\xff\xd8" + bytes(range(200))])
    data_set["PixelData"].VR = "OB"
    data_set.save_as(path)


@contextmanager
def served(folder: Path, *, make: Make = make_archive, **settings: Any) -> Iterator[Archive]:
    """The archive that `make` makes, imported, and a server over it."""
    files = make(folder / "files")
    given = Settings(
        database_url=f"sqlite:///{folder / 'database.sqlite3'}",
        import_roots=[folder],
        _env_file=None,
        **settings,
    )
    database = Database(given.database_url)
    upgrade(database)
    request = JobRequest((str(folder / "files"),), Mode.FULL, origin=JobOrigin.PYTHON)
    report = run_import(database, request)
    assert not report.failures
    database.close_writer()
    with running_server(given) as server:
        yield Archive(folder, files, server)
