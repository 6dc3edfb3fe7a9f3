"""The files of an entity."""

import os
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, select

from dicom_graph.store.ingest.files import decides
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.many_values import texts_among
from dicom_graph.store.tables.entities import Image, Series
from dicom_graph.store.tables.files import Directory, File


class EntityFile(NamedTuple):
    """A file of an image that belongs to an entity; `decides`: the image is as this file says."""

    path: str
    image_id: int
    decides: bool


def images_of(entity: str, id: int) -> ColumnElement[bool]:
    """Which images belong to a patient, study or series, or are the image itself."""
    if entity == "image":
        return Image.id == id
    return Image.series_id.in_(select(Series.id).where(series_of(entity, id)))


def series_of(entity: str, id: int) -> ColumnElement[bool]:
    """Which series belong to a patient or study, or are the series itself."""
    columns = {"patient": Series.patient_id, "study": Series.study_id, "series": Series.id}
    return columns[entity] == id


def files_of_entity(connection: Connection, entity: str, id: int) -> list[EntityFile]:
    """The files of an entity's images: those that decide first, each folder's together.

    Not those that a sync found gone.
    """
    deciding = decides().label("decides")
    statement = (
        select(Directory.path, File.name, File.image_id, deciding)
        .join(File, File.directory_id == Directory.id)
        .join(Image, Image.id == File.image_id)
        .where(images_of(entity, id), File.missing_since.is_(None))
        .order_by(deciding.desc(), Directory.path, File.name)
    )
    return [
        EntityFile(os.path.join(directory, name), image_id, decides)
        for directory, name, image_id, decides in connection.execute(statement)
    ]


def deciding_image(connection: Connection, entity: str, id: int) -> int | None:
    """The image from which the entity takes its fields: the first that is not missing."""
    statement = select(Image.id).where(images_of(entity, id))
    if entity != "image":
        statement = statement.where(Image.missing_since.is_(None))
    found: int | None = connection.execute(statement.order_by(Image.id).limit(1)).scalar()
    return found


def claimed_files(connection: Connection, directory: str, names: Sequence[str]) -> frozenset[str]:
    """Those of a folder's files that the database lists."""
    among = texts_among(is_sqlite(connection), File.name.expression, names)
    statement = (
        select(File.name)
        .join(Directory, Directory.id == File.directory_id)
        .where(Directory.path == directory, among)
    )
    return frozenset(connection.execute(statement).scalars())
