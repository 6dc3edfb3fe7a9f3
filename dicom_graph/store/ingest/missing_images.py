"""Which images are missing: those of which no file is left, as far as imports have seen.

A file that claims the same SOPInstanceUID and says otherwise is none of the image's: it is never
given for it.
"""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, and_, or_, select, update

from dicom_graph.store.sql.connections import is_sqlite
from dicom_graph.store.sql.many_values import among
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.entities import Image
from dicom_graph.store.tables.files import File


def has_header() -> ColumnElement[bool]:
    """Whether a file has the header and the size of the one that its image's header came from.

    Where that was not noted, it may have.
    """
    same_header = or_(File.digest.is_(None), File.digest == Image.header_digest)
    is_same = and_(same_header, File.size == Image.file_size)
    return or_(Image.header_digest.is_(None), is_same)


def clear_marks(connection: Connection, image_ids: Collection[int]) -> None:
    """Those of these images that have a file again are no longer missing."""
    marked = _locked(connection, image_ids, and_(Image.missing_since.is_not(None), _has_file()))
    _set(connection, marked, None)


def mark_images(connection: Connection, image_ids: Collection[int]) -> int:
    """Mark those images as missing that have no file any more; returns how many were not yet."""
    unmarked = _locked(connection, image_ids, and_(Image.missing_since.is_(None), ~_has_file()))
    _set(connection, unmarked, utc_now())
    return len(unmarked)


def _has_file() -> ColumnElement[bool]:
    present = select(File.image_id).where(
        File.image_id == Image.id, File.missing_since.is_(None), has_header()
    )
    return present.correlate(Image).exists()


def _locked(
    connection: Connection, image_ids: Collection[int], condition: ColumnElement[bool]
) -> list[int]:
    """The images that fulfil a condition, locked in one order, so that writers never deadlock."""
    if not image_ids:
        return []
    chosen = among(is_sqlite(connection), Image.id.expression, sorted(image_ids))
    statement = select(Image.id).where(chosen, condition).order_by(Image.uid).with_for_update()
    return list(connection.execute(statement).scalars())


def _set(connection: Connection, image_ids: list[int], moment: object) -> None:
    if image_ids:
        chosen = among(is_sqlite(connection), Image.id.expression, image_ids)
        connection.execute(update(Image).where(chosen).values(missing_since=moment))
