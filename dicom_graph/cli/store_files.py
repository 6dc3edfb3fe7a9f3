"""The command `store-files`: what `storeFiles` of the API does, in this process."""

import sys
import threading
from enum import Enum
from typing import Annotated

import typer

from dicom_graph.cli.console import (
    DatabaseUrl,
    as_json,
    as_text,
    exit_status,
    fail,
    open_database,
    progress_bar,
    start,
    stop_on_signal,
)
from dicom_graph.importing.entities import EntityError, request_storing
from dicom_graph.importing.foreground import run_requested
from dicom_graph.importing.options import ImportOptions
from dicom_graph.store.edit.update import entity_named
from dicom_graph.store.jobs.jobs import JobOrigin, Storage


class EntityName(Enum):
    """Whose files."""

    PATIENT = "patient"
    STUDY = "study"
    SERIES = "series"
    IMAGE = "image"


class KeptName(Enum):
    """Where the originals are afterwards."""

    COPY = "copy"
    MOVE = "move"


def store_files(
    uid: Annotated[
        str,
        typer.Argument(help="Its UID; the PatientID of a patient.", show_default=False),
    ],
    storage: Annotated[
        KeptName,
        typer.Option(
            help="copy: the originals stay; move: each goes once its copy is whole and the "
            "database knows it.",
            show_default=False,
        ),
    ],
    of: Annotated[EntityName, typer.Option(help="What the UID names.")] = EntityName.SERIES,
    in_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    database_url: DatabaseUrl = None,
) -> None:
    """Copy or move files that were imported in place to their default paths in the storage root.

    Those that lie there already stay. Exit status as of `import`.
    """
    settings = start(database_url)
    database = open_database(settings)
    kept = Storage[storage.name]
    with database.read_sync() as connection:
        found = entity_named(connection, of.value, uid)
    if found is None:
        fail(f"there is no {of.value} {uid} in {database.safe_url}")
    try:
        job_id = request_storing(
            database, of.value, found, kept, settings.storage_root, JobOrigin.CLI
        )
    except EntityError as error:
        fail(str(error))
    stop = threading.Event()
    with progress_bar() as show:
        stop_on_signal(stop)
        options = ImportOptions.of(settings)
        report = run_requested(database, job_id, options, stop=stop, progress=show)
    print(as_json(report) if in_json else as_text(report))  # noqa: T201
    sys.exit(exit_status(report))
