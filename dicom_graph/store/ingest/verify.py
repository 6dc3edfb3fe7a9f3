"""Telling files that were only read again from those whose content is another."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, Table, select

from dicom_graph.store.dialect import is_sqlite, texts_among
from dicom_graph.store.formats import columns_of
from dicom_graph.store.ingest.batch import ReadFile
from dicom_graph.store.ingest.duplicates import (
    ANOTHER_FILE,
    find_images,
    header_contents,
    is_other,
)
from dicom_graph.store.ingest.entities import Place
from dicom_graph.store.ingest.images import disagreements
from dicom_graph.store.tables import Image

_IMAGE: Table = Image.__table__  # type: ignore[assignment]


def verified(
    connection: Connection,
    files: Sequence[ReadFile],
    places: Sequence[Place],
    element_ids: dict[bytes, int],
) -> list[ReadFile]:
    """The files, `changed` only where they say otherwise than what is stored of their image.

    Of an image without a header (minimal mode) its own fields are compared.
    """
    uids = sorted({file.entities.image.uid for file in files if file.changed})
    known = find_images(connection, uids)
    contents = header_contents(connection, [image.id for image in known.values()])
    rows = _fields(connection, uids)

    def is_same(file: ReadFile, place: Place) -> bool:
        image = known.get(file.entities.image.uid)
        if image is None or image.series_id != (place.series.id if place.series else None):
            return False
        if not _has_fields(rows[file.entities.image.uid], file):
            return False
        warnings = [w for w in image.warnings if not w.startswith(ANOTHER_FILE)]
        if file.mode == image.mode and warnings != [*file.warnings, *disagreements(file, place)]:
            return False
        content = contents.get(image.id)
        return content is None or not is_other(file, image.mode, content, element_ids)

    return [
        replace(file, changed=False) if file.changed and is_same(file, place) else file
        for file, place in zip(files, places, strict=True)
    ]


def _has_fields(row: dict[str, Any], file: ReadFile) -> bool:
    """Whether an image's row says the same, but for what was edited."""
    fields = asdict(file.entities.image) | {"transfer_syntax_uid": file.transfer_syntax_uid}
    edited = row["edited"] or ()
    return all(row[name] == value for name, value in fields.items() if name not in edited)


def _fields(connection: Connection, uids: list[str]) -> dict[str, dict[str, Any]]:
    chosen = texts_among(is_sqlite(connection), _IMAGE.c.uid, uids)
    rows = connection.execute(select(*columns_of(_IMAGE)).where(chosen)).mappings()
    return {str(row["uid"]): dict(row) for row in rows}
