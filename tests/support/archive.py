"""Databases that hold an archive, which many tests read and none changes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from dicom_graph.importing.foreground import run_import
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest
from dicom_graph.store.migrate import upgrade
from tests.support.postgres import postgres_database

DATABASES = ("sqlite", "postgresql")


@contextmanager
def filled_database(
    request: pytest.FixtureRequest,
    folder: Path,
    fill: Callable[[Path], object],
    *,
    may_fail: bool = False,
) -> Iterator[str]:
    """A database of the kind `request.param` with the files that `fill(folder)` makes.

    For fixtures that many tests of a module read and none changes. `may_fail`: some files.
    """
    if request.param == "sqlite":
        server = nullcontext(f"sqlite:///{folder / 'database.sqlite3'}")
    else:
        server = postgres_database(request.getfixturevalue("postgres_url"))
    with server as url:
        database = Database(url)
        upgrade(database)
        fill(folder / "files")
        paths = (str(folder / "files"),)
        report = run_import(database, JobRequest(paths, Mode.FULL, origin=JobOrigin.PYTHON))
        assert may_fail or not report.failures
        database.close_writer()
        yield url
