"""Imports that a server runs, one after the other: one that cannot begin holds up no other."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from dicom_graph.importing.background import JobRunner
from dicom_graph.importing.options import ImportOptions
from dicom_graph.importing.work_folder import WORK_FOLDER
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode
from dicom_graph.store.jobs.jobs import JobOrigin, JobRequest, JobStatus, Storage
from dicom_graph.store.tables.imports import ImportJob
from tests.support.make import make_file
from tests.support.waiting import until

IN_THE_WAY: dict[str, Callable[[Path], object]] = {
    "a file": lambda root: (root / WORK_FOLDER).touch(),
    "a pipe": lambda root: os.mkfifo(root / WORK_FOLDER),
    "a link to nothing": lambda root: (root / WORK_FOLDER).symlink_to("nothing"),
    "a link to itself": lambda root: (root / WORK_FOLDER).symlink_to(WORK_FOLDER),
    "a pipe below": lambda root: ((root / WORK_FOLDER).mkdir(),
                                  os.mkfifo(root / WORK_FOLDER / "copying")),
    "nothing is there": lambda root: root.rmdir(),
}  # fmt: skip


@contextmanager
def running(database: Database, folder: Path) -> Iterator[JobRunner]:
    options = ImportOptions(storage_root=folder / "root", processes=1)
    runner = JobRunner(database, roots=(folder,), options=options)
    runner.start()
    try:
        yield runner
    finally:
        runner.stop()


def end_of(database: Database, runner: JobRunner, path: Path, storage: Storage) -> tuple[str, str]:
    """The status that an import ended with, and its error."""
    request = JobRequest((str(path),), Mode.MINIMAL, origin=JobOrigin.API, storage=storage)
    job_id = runner.submit(request)
    columns = select(ImportJob.status, ImportJob.error).where(ImportJob.id == job_id)
    ended = []

    def has_ended() -> bool:
        with database.read_sync() as connection:
            status, error = connection.execute(columns).one()
        ended[:] = status, error or ""
        return JobStatus(status).is_final

    until(has_ended)
    return ended[0], ended[1]


@pytest.mark.parametrize("name", IN_THE_WAY)
@pytest.mark.parametrize("database_kind", ["sqlite"])
def test_what_is_in_the_way_of_the_work_folder(
    database: Database, tmp_path: Path, name: str
) -> None:
    (tmp_path / "root").mkdir()
    image = make_file(tmp_path / "a.dcm")
    IN_THE_WAY[name](tmp_path / "root")
    with running(database, tmp_path) as runner:
        for storage in (Storage.COPY, Storage.MOVE):
            status, error = end_of(database, runner, image, storage)
            assert status == JobStatus.FAILED
            assert error.startswith(f"the storage root {tmp_path / 'root'}")
        completed = JobStatus.COMPLETED, ""
        assert end_of(database, runner, image, Storage.IN_PLACE) == completed
    assert image.exists()
    assert (tmp_path / "root").exists() == (name != "nothing is there")


def test_an_import_that_cannot_begin_fails_and_the_next_has_its_turn(
    database: Database, tmp_path: Path
) -> None:
    """Here a copy without a storage root, which nobody can ask for any more."""
    image = make_file(tmp_path / "a.dcm")
    (tmp_path / "root").mkdir()
    with running(database, tmp_path) as runner:
        runner._options = ImportOptions(processes=1)
        status, error = end_of(database, runner, image, Storage.COPY)
        assert status == JobStatus.FAILED
        assert error.startswith("there is no storage root")
        completed = JobStatus.COMPLETED, ""
        assert end_of(database, runner, image, Storage.IN_PLACE) == completed
