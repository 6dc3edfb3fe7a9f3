"""Volumes whose geometry the index tells: as their files do, and when these are gone."""

import os
import shutil
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

from dicom_graph.imaging.indexed import indexed_headers
from dicom_graph.imaging.worker import summarise_headers, summarise_volumes
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.read import Store
from tests.support.data import shared_files
from tests.support.graph import Graph

VOLUMES = "{ series { nodes { uid volumes { shape } } } }"
KINDS = (
    "/enhanced/", "/philips_enhanced/fmri/001/", "/compressed_jpegls/", "/ct-3slice/",
    "siemens_vr.dcm", "/liver.dcm", "/23x38x3/", "rsfmri_mime", "mosaic",
)  # fmt: skip


@pytest.fixture(scope="module")
def series(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Path]]]:
    """A folder of real series of many kinds, and its files by series, in their order."""
    folder = tmp_path_factory.mktemp("series")
    found: dict[str, list[tuple[int, Path]]] = defaultdict(list)
    for at, path in enumerate(shared_files()):
        if not any(kind in str(path) for kind in KINDS) or path.stat().st_size > 3_000_000:
            continue
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        if "Rows" in header:
            copy = Path(shutil.copy(path, folder / f"{at}.dcm"))
            number = int(header.get("InstanceNumber") or 0)
            found[str(header.SeriesInstanceUID)].append((number, copy))
    return folder, {uid: [path for _, path in sorted(each)] for uid, each in found.items()}


async def test_volumes_without_their_files(
    database: Database,
    import_files: Callable[..., Any],
    series: tuple[Path, dict[str, list[Path]]],
    tmp_path: Path,
) -> None:
    folder, files = series
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    import_files(moved)
    os.rename(moved, tmp_path / "away")
    store = Store(database)
    assert len(files) > 5
    for uid, paths in files.items():
        row = (await store.by_uids("series", [uid]))[uid]
        headers = await indexed_headers(store, row.id)
        assert headers is not None
        assert summarise_headers(headers) == summarise_volumes(paths)  # type: ignore[arg-type]


async def test_what_the_index_does_not_hold_the_files_tell(
    database: Database,
    import_files: Callable[..., Any],
    series: tuple[Path, dict[str, list[Path]]],
    tmp_path: Path,
) -> None:
    (whole,), (without_private,), *_ = [paths for paths in series[1].values() if len(paths) == 1]
    import_files(whole)
    import_files(shutil.copy(without_private, tmp_path), mode=Mode.NORMAL)
    os.unlink(tmp_path / without_private.name)
    found = await Graph(database, Store(database)).execute(VOLUMES)
    (error,) = found.errors
    assert error.extensions["code"] == "FILE_GONE"
    assert [each["volumes"] is None for each in found.data["series"]["nodes"]].count(True) == 1
