"""Telling files that were only read again from those whose content is another."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Table, select

from dicom_graph.store.dialect import is_sqlite, texts_among
from dicom_graph.store.ingest.batch import Mode, ReadFile
from dicom_graph.store.ingest.duplicates import find_images, header_contents, is_other
from dicom_graph.store.tables import Image

_IMAGE: Table = Image.__table__  # type: ignore[assignment]


def verified(
    connection: Connection, files: Sequence[ReadFile], element_ids: dict[bytes, int]
) -> list[ReadFile]:
    """The files, `changed` only where they say otherwise than what is stored of their image.

    Of an image without a header (minimal mode) its own fields are compared.
    """
    uids = sorted({file.entities.image.uid for file in files if file.changed})
    known = find_images(connection, uids)
    contents = header_contents(connection, [image.id for image in known.values()])
    rows = _fields(connection, uids)

    def is_same(file: ReadFile) -> bool:
        uid = file.entities.image.uid
        if uid not in known:
            return False
        row, fields = rows[uid], asdict(file.entities.image)
        fields["transfer_syntax_uid"] = file.transfer_syntax_uid
        edited = row["edited"] or ()
        if any(row[name] != value for name, value in fields.items() if name not in edited):
            return False
        image = known[uid]
        content = contents.get(image.id)
        if content is None or file.mode is Mode.MINIMAL:
            return True
        return not is_other(file, image.mode, content, element_ids)

    return [
        replace(file, changed=False) if file.changed and is_same(file) else file for file in files
    ]


def _fields(connection: Connection, uids: list[str]) -> dict[str, dict[str, Any]]:
    chosen = texts_among(is_sqlite(connection), _IMAGE.c.uid, uids)
    rows = connection.execute(select(_IMAGE).where(chosen)).mappings()
    return {str(row["uid"]): dict(row) for row in rows}
