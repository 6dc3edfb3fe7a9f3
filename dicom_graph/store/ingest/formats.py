"""The formats of images, each stored once."""

from collections.abc import Iterable

from sqlalchemy import Connection, Table, select

from dicom_graph.store.formats import FORMAT_FIELDS
from dicom_graph.store.ingest.batch import ReadFile
from dicom_graph.store.sql.bulk_statements import allocate_ids, insert_new
from dicom_graph.store.tables.entities import ImageFormat

_FORMAT: Table = ImageFormat.__table__  # type: ignore[assignment]
Format = tuple[str, str]
"""SOP class and transfer syntax, empty where a file does not say."""


def format_of(file: ReadFile) -> Format:
    """The format of a file."""
    return file.entities.image.sop_class_uid or "", file.transfer_syntax_uid or ""


class FormatWriter:
    """The ids of formats; its memory is right only while its transactions commit."""

    def __init__(self) -> None:
        self._ids: dict[Format, int] = {}

    def forget(self) -> None:
        """After a rollback: nothing remembered is sure to be in the database."""
        self._ids.clear()

    def write(self, connection: Connection, files: Iterable[ReadFile]) -> dict[Format, int]:
        """The ids of the formats of files; missing ones are inserted."""
        wanted = set(map(format_of, files))
        if not wanted <= self._ids.keys():
            self._load(connection)
            new = sorted(wanted - self._ids.keys())
            ids = allocate_ids(connection, _FORMAT, len(new))
            rows = [(id, *format) for id, format in zip(ids, new, strict=True)]
            insert_new(connection, _FORMAT, ("id", *FORMAT_FIELDS), rows, *FORMAT_FIELDS)
            self._load(connection)
        return self._ids

    def _load(self, connection: Connection) -> None:
        columns = (_FORMAT.c.id, *(_FORMAT.c[name] for name in FORMAT_FIELDS))
        for id, *format in connection.execute(select(*columns)):
            self._ids[format[0], format[1]] = id
