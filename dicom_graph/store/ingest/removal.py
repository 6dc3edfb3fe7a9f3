"""Deleting images, with their headers and file rows. Elements stay: others may hold them."""

from collections.abc import Sequence

from sqlalchemy import Connection, delete

from dicom_graph.store.ingest.images import drop_headers
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.files import File


def delete_images(connection: Connection, image_ids: Sequence[int]) -> None:
    """Delete some images; their series stays, with its shared sets."""
    sqlite = is_sqlite(connection)
    drop_headers(connection, list(image_ids))
    for column in (File.image_id, Image.id):
        table = column.class_
        connection.execute(delete(table).where(among(sqlite, column.expression, image_ids)))
