"""The import as a Python call."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Literal, TypeVar

from sqlalchemy import Select, select, tuple_

from dicom_graph.importing.foreground import Report, run_import
from dicom_graph.importing.options import ImportOptions
from dicom_graph.importing.storage import paths_to_store
from dicom_graph.settings import load_settings
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import Mode, Outcome
from dicom_graph.store.jobs.jobs import JobCounts, JobOrigin, JobRequest, Storage
from dicom_graph.store.migrate import require_current, upgrade
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.files import File

Choice = TypeVar("Choice", bound=Enum)
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class ImportReport(Report):
    """How an import went: `status`, `counts`, `failures` and `skips` (path and message each), and
    `error`.
    """

    database_url: str

    def created_images(self) -> Iterator[str]:
        """The SOPInstanceUIDs of the images that were new, a page at a time from the database.

        Those whose file a later import has read again are not among them any more.
        """
        database = Database(self.database_url)
        last = (-1, "")
        try:
            while True:
                with database.read_sync() as connection:
                    rows = connection.execute(self._page_after(last)).all()
                yield from [row.uid for row in rows]
                if len(rows) < _PAGE:
                    return
                last = (rows[-1].directory_id, rows[-1].name)
        finally:
            database.close_writer()

    def _page_after(self, last: tuple[int, str]) -> Select[int, str, str]:
        return (
            select(File.directory_id, File.name, Image.uid)
            .join(Image, Image.id == File.image_id)
            .where(File.import_job_id == self.job_id, File.outcome == Outcome.CREATED)
            .where(tuple_(File.directory_id, File.name) > last)
            .order_by(File.directory_id, File.name)
            .limit(_PAGE)
        )


def import_path(
    path: str | os.PathLike[str],
    *,
    mode: Literal["minimal", "normal", "full"] | None = None,
    storage: Literal["in_place", "copy", "move"] | None = None,
    pattern: str | None = None,
    stop_on_error: bool = False,
    persistent: bool | None = None,
    progress: Callable[[JobCounts], None] | None = None,
    database: str | None = None,
) -> ImportReport:
    """Import a DICOM file, or a folder with all below it, in this process.

    `progress` is called with the counts so far after each batch. `stop_on_error` ends the import at
    the first file that fails (`persistent=False` is its older name). `database` is a URL; without
    it, for `mode` and `storage` that are not given, and for all else, the settings hold
    (environment variables that start with DICOM_GRAPH_).

    Raises ValueError for an unknown mode or storage, FileNotFoundError, SettingsError,
    DatabaseError, and StorageError where files cannot be kept. A bad file is a failure in the
    report.
    """
    settings = load_settings(database_url=database)
    kept = _named(Storage, storage or settings.import_storage.replace("-", "_"), "storage")
    stops = stop_on_error or persistent is False
    how = _named(Mode, mode or settings.import_mode, "mode")
    if not os.path.exists(path):
        raise FileNotFoundError(f"{os.fspath(path)} does not exist")
    paths = paths_to_store(kept, [os.fspath(path)], settings.storage_root)
    opened = Database(settings.database_url)
    try:
        (upgrade if opened.is_sqlite else require_current)(opened)
        request = JobRequest(paths, how, pattern, stops, JobOrigin.PYTHON, storage=kept)
        report = run_import(opened, request, ImportOptions.of(settings), progress=progress)
    finally:
        opened.close_writer()
    return ImportReport(
        report.job_id, report.status, report.counts, report.failures, report.error,
        report.skips, settings.database_url,
    )  # fmt: skip


def _named(choices: type[Choice], name: str, what: str) -> Choice:
    try:
        return choices[name.upper()]
    except (KeyError, AttributeError):
        known = ", ".join(choice.name.lower() for choice in choices)
        raise ValueError(f"{what} must be one of {known}, not {name!r}") from None
