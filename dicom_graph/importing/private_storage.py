"""Files and folders that were stored when others could still read them: now only the owner can."""

import logging
import os
import threading
from pathlib import Path

from sqlalchemy import select

from dicom_graph.dicom.default_path import default_path
from dicom_graph.importing.work_folder import WORK_FOLDER
from dicom_graph.store.engine import Database
from dicom_graph.store.ingest.missing_files import directories_below
from dicom_graph.store.private_files import restrict_to_owner
from dicom_graph.store.sql.driver_errors import DRIVER_ERRORS, describe_error
from dicom_graph.store.sql.unavailable import DatabaseUnavailable
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.files import File

log = logging.getLogger(__name__)
_FOLDERS = 200
_LEVELS = 3
"""Of folders between a storage root and a file: its patient's, its study's and its series'."""


class StoragePermissionsRepair:
    """A thread that looks once at all that is stored below a root.

    What lies there under another name than an import that stores gives is not ours: it stays as it
    is, as does the root itself, which whoever made it may share.
    """

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = os.path.realpath(root)
        self._stop = threading.Event()
        self._repaired: set[str] = set()
        self._n_files = 0
        self._n_folders = 0
        self._thread = threading.Thread(target=self._work, name="mender", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, seconds: float = 2.0) -> None:
        """End soon; waits so long at most."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(seconds)

    def _work(self) -> None:
        try:
            self.run()
        except (*DRIVER_ERRORS, DatabaseUnavailable) as error:
            log.warning("not all stored files were looked at: %s", describe_error(error))

    def run(self) -> None:
        """Look at everything; a line in the log says what others could read."""
        work = os.path.join(self._root, WORK_FOLDER)
        for folder in (work, *(os.path.join(work, name) for name in ("copying", "uploads"))):
            self._n_folders += restrict_to_owner(folder)
        after = ""
        while not self._stop.is_set():
            with self._database.read_sync() as connection:
                folders = directories_below(connection, self._root, after, _FOLDERS)
            if not folders:
                break
            self._look_at(dict(folders))
            after = folders[-1][1]
        if self._n_files or self._n_folders:
            log.warning(
                "others could read %s stored files and %s folders of the storage root: now only "
                "the owner can",
                self._n_files,
                self._n_folders,
            )

    def _look_at(self, folders: dict[int, str]) -> None:
        inside = {id: path for id, path in folders.items() if self._is_in_place(path)}
        statement = (
            select(File.directory_id, File.name, Image.uid)
            .join(Image, Image.id == File.image_id)
            .where(File.directory_id.in_(sorted(inside)))
        )
        with self._database.read_sync() as connection:
            rows = connection.execute(statement).all()
        for id, name, uid in rows:
            if self._stop.is_set():
                return
            if name == os.path.basename(default_path(None, None, None, uid)):
                self._n_files += restrict_to_owner(os.path.join(inside[id], name))
                self._repair_folders(inside[id])

    def _is_in_place(self, folder: str) -> bool:
        relative = os.path.relpath(folder, self._root)
        return not relative.startswith(os.pardir) and relative.count(os.sep) == _LEVELS - 1

    def _repair_folders(self, folder: str) -> None:
        while folder != self._root and folder not in self._repaired:
            self._repaired.add(folder)
            self._n_folders += restrict_to_owner(folder)
            folder = os.path.dirname(folder)
