"""What the database knows of the folders that a walk finds, asked for many folders at a time."""

import time
from collections.abc import Iterable, Iterator, Mapping

from dicom_graph.importing.listing import Folder
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest import KnownFile, known_files

_MAX_FILES = 2000
_MAX_FOLDERS = 500
_MAX_SECONDS = 1.0

Known = Mapping[str, KnownFile]


def with_known_files(
    database: Database, folders: Iterable[Folder]
) -> Iterator[tuple[Folder, Known]]:
    """Each folder with its known files, by name; in the order of the folders."""
    waiting: list[Folder] = []
    n_files = 0
    since = time.monotonic()
    for folder in folders:
        waiting.append(folder)
        n_files += len(folder.files)
        is_late = time.monotonic() - since > _MAX_SECONDS
        if n_files >= _MAX_FILES or len(waiting) >= _MAX_FOLDERS or is_late:
            yield from _look_up(database, waiting)
            waiting, n_files, since = [], 0, time.monotonic()
    yield from _look_up(database, waiting)


def _look_up(database: Database, folders: list[Folder]) -> Iterator[tuple[Folder, Known]]:
    paths = {folder.path for folder in folders if folder.files}
    known: Mapping[str, Known] = {}
    if paths:
        with database.read_sync() as connection:
            known = known_files(connection, paths)
    for folder in folders:
        yield folder, known.get(folder.path, {})
