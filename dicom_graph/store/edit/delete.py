"""Deleting an entity with all below it, however much that is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, case, delete, select

from dicom_graph.store.edit.deleted_subjects import note_entity
from dicom_graph.store.edit.files import images_of, series_of
from dicom_graph.store.edit.update import entity_exists
from dicom_graph.store.generation import count_deletion, write_alone
from dicom_graph.store.ingest.files import decides
from dicom_graph.store.ingest.missing_images import has_header
from dicom_graph.store.postings import delete_postings
from dicom_graph.store.sql.bulk_statements import make_temporary_ids
from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.id_list import unpack_ids
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.tables.entities import DESCRIBED_TABLES, Image, Series, Study
from dicom_graph.store.tables.files import Directory, File
from dicom_graph.store.tables.headers import ElementSet, ElementSetMember, Header, HeaderElement

_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many studies, series and images were deleted."""

    studies: int = 0
    series: int = 0
    images: int = 0


class DeletedFile(NamedTuple):
    """A file of an image that is deleted: folder, name, size, modification time in ns; where it
    lay without links; the digest of the image's header and its own stamp (see `File`).

    `is_own`: whether the image was read from it, or from one of the same header and size.
    """

    directory: str
    name: str
    size: int
    mtime_ns: int
    link: str | None
    real_path: str | None
    digest: bytes | None
    stamp: bytes | None
    is_own: bool


class Deletion:
    """The deletion of one entity, inside the caller's transaction; importers wait for its end.

    With a patient go the series, and each study in which no series is left. With a study go its
    series, with a series its images; a patient or study that is left empty stays.
    """

    def __init__(self, connection: Connection, entity: str, id: int) -> None:
        write_alone(connection)
        self._connection = connection
        self._entity = entity
        self._table = DESCRIBED_TABLES[entity]
        self._id = id
        self.exists = entity_exists(connection, entity, id)
        note_entity(connection, entity, id)
        images = select(Image.id).where(images_of(entity, id))
        self._images = make_temporary_ids(connection, "doomed_image", images)

    def files(self) -> Iterator[DeletedFile]:
        """The files of the images."""
        is_noted = Image.header_digest.is_not(None)
        own = case((is_noted, has_header()), else_=decides())
        for chunk in self._chunks():
            statement = (
                select(
                    Directory.path, File.name, File.size, File.mtime_ns, File.link,
                    Directory.real_path, Image.header_digest, case((is_noted, File.stamp)), own,
                )
                .join(File, File.directory_id == Directory.id)
                .join(Image, Image.id == File.image_id)
                .where(self._among(File.image_id, chunk))
            )  # fmt: skip
            for row in self._connection.execute(statement):
                yield DeletedFile(*row)

    def run(self) -> Deleted:
        """Delete the rows; the elements stay until they are pruned."""
        for chunk in self._chunks():
            self._release_elements(chunk)
        doomed = select(self._images.c.id)
        self._connection.execute(delete(Header).where(Header.image_id.in_(doomed)))
        self._connection.execute(delete(File).where(File.image_id.in_(doomed)))
        images = self._connection.execute(delete(Image).where(Image.id.in_(doomed))).rowcount
        self._images.drop(self._connection)
        series, studies = (0, 0) if self._entity == "image" else self._delete_series()
        if self._entity in ("patient", "study"):
            self._connection.execute(delete(self._table).where(self._table.c.id == self._id))
        count_deletion(self._connection)
        return Deleted(studies + (self._entity == "study"), series, images)

    def _release_elements(self, image_ids: list[int]) -> None:
        statement = select(Header.id, Header.own).where(self._among(Header.image_id, image_ids))
        headers = self._connection.execute(statement.order_by(Header.id)).all()
        held = [(id, unpack_ids(own)) for id, own in headers]
        delete_postings(self._connection, HeaderElement, held)

    def _delete_series(self) -> tuple[int, int]:
        """Returns how many series, and studies of a patient that have none any more."""
        mine = series_of(self._entity, self._id)
        held = select(Series.study_id).where(mine, Series.study_id.is_not(None)).distinct()
        studies = [id for id in self._connection.execute(held).scalars() if id is not None]
        delete_sets(self._connection, ElementSet.series_id.in_(select(Series.id).where(mine)))
        series = self._connection.execute(delete(Series).where(mine)).rowcount
        if self._entity != "patient":
            return series, 0
        empty = ~select(Series.id).where(Series.study_id == Study.id).exists()
        deleted = delete(Study).where(self._among(Study.id, studies), empty)
        return series, self._connection.execute(deleted).rowcount

    def _chunks(self) -> Iterator[list[int]]:
        id = self._images.c.id
        last = 0
        while True:
            statement = select(id).where(id > last).order_by(id).limit(_CHUNK)
            chunk = list(self._connection.execute(statement).scalars())
            if not chunk:
                return
            yield chunk
            last = chunk[-1]

    def _among(self, column: Any, ids: list[int]) -> ColumnElement[bool]:
        return among(is_sqlite(self._connection), column.expression, ids)


def delete_sets(connection: Connection, condition: ColumnElement[bool]) -> int:
    """Delete the shared sets that fulfil the condition; returns how many."""
    total = last = 0
    while True:
        statement = select(ElementSet.id, ElementSet.members).where(condition)
        statement = statement.where(ElementSet.id > last).order_by(ElementSet.id).limit(_CHUNK)
        sets = connection.execute(statement).all()
        if not sets:
            return total
        held = [(id, unpack_ids(members)) for id, members in sets]
        delete_postings(connection, ElementSetMember, held)
        ids = [id for id, _ in sets]
        doomed = among(is_sqlite(connection), ElementSet.id.expression, ids)
        connection.execute(delete(ElementSet).where(doomed))
        total += len(ids)
        last = ids[-1]
