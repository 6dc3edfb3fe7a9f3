"""SQLite's file is the one that this process opened first, or none.

A connection outlives its file: after the file was deleted or replaced, it would read what is no
longer there and write what nobody will read. And what a server remembers by ids would be of another
database. So whoever puts another file in its place restarts the server.
"""

import os
from contextlib import suppress
from typing import Any

from dicom_graph.store.private_files import open_new
from dicom_graph.store.sql.unavailable import GONE, DatabaseUnavailable


class SameFile:
    """Listens to the connections of one database. What it raises reaches the caller that asks for
    one.
    """

    def __init__(self, path: str | None) -> None:
        self._path = path or ""
        self._known: tuple[int, int, bool] | None = None

    def before_connect(self, *_: Any) -> None:
        """A connection is about to be opened: the first one makes the file where none is.

        SQLite would make it as the umask says, and gives its log the mode of its file. Raises
        DatabaseUnavailable.
        """
        self._require()
        if self._known is None:
            # What stands in the way SQLite tells better.
            with suppress(OSError):
                os.close(open_new(self._path))

    def on_connect(self, _connection: Any, _record: Any) -> None:
        """A connection was opened, and so the file exists."""
        if self._known is None:
            self._known = self._identity()

    def on_checkout(self, _connection: Any, _record: Any, _proxy: Any) -> None:
        """A connection is about to be used. Raises DatabaseUnavailable."""
        self._require()

    def _require(self) -> None:
        # Emptied, it still is the same file; SQLite would take it for a new one.
        if self._known is not None and self._identity() != self._known:
            raise DatabaseUnavailable(GONE)

    def _identity(self) -> tuple[int, int, bool] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return (status.st_dev, status.st_ino, status.st_size > 0)
