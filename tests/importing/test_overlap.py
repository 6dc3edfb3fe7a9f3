"""Two processes that import overlapping trees at the same moment."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dicom_graph.importing.run import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs import JobRequest
from dicom_graph.store.migrate import upgrade
from tests.contents import assert_consistent, contents
from tests.make import make_series

pytestmark = pytest.mark.slow

_COMMAND = "from dicom_graph.cli import main; main()"
_IMAGES = 60


def start_import(url: str, root: Path, storage: str, *paths: Path) -> subprocess.Popen[str]:
    environment = os.environ | {
        "DICOM_GRAPH_DATABASE_URL": url, "DICOM_GRAPH_STORAGE_ROOT": str(root),
        "DICOM_GRAPH_BATCH_SIZE": "5",
    }  # fmt: skip
    arguments = [*map(str, paths), "--mode", "full", "--storage", storage, "--json"]
    return subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "import", *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


@pytest.mark.parametrize("storage", ["in-place", "copy"])
def test_overlapping_imports_at_once(
    database: Database, database_url: str, tmp_path: Path, storage: str
) -> None:
    (tmp_path / "root").mkdir()
    folders = {name: tmp_path / "tree" / name for name in ("mine", "both", "yours")}
    for name, folder in folders.items():
        make_series(folder, _IMAGES, PatientID=name)
    both = folders["both"]
    processes = [
        start_import(database_url, tmp_path / "root", storage, both, folders[name])
        for name in ("mine", "yours")
    ]
    outputs = [process.communicate(timeout=120) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    reports: list[dict[str, Any]] = [json.loads(output) for output, _ in outputs]
    assert [report["found"] for report in reports] == [2 * _IMAGES] * 2
    assert sum(report["created"] for report in reports) == 3 * _IMAGES
    assert sum(report["existing"] for report in reports) == _IMAGES
    assert_consistent(database)
    found = contents(database)
    files = {os.path.join(*key) for key in found["files"]}
    if storage == "copy":
        assert files == set(map(str, (tmp_path / "root").rglob("*.dcm")))
    else:
        assert files == set(map(str, (tmp_path / "tree").rglob("*.dcm")))
    one_by_one = Database(f"sqlite:///{tmp_path}/one-by-one.sqlite3")
    upgrade(one_by_one)
    run_import(one_by_one, JobRequest((str(tmp_path / "tree"),), Mode.FULL))
    for part, expected in contents(one_by_one).items():
        assert part == "files" or found[part] == expected, part
    one_by_one.close_writer()
