"""Which images are missing: those of which no file is left, as far as imports have seen."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, Connection, select, update

from dicom_graph.store.sql.dialect import among, is_sqlite
from dicom_graph.store.sql.types import utc_now
from dicom_graph.store.tables.archive import File, Image


def clear_marks(connection: Connection, image_ids: Collection[int]) -> None:
    """These images have a file again."""
    marked = _locked(connection, image_ids, Image.missing_since.is_not(None))
    _set(connection, marked, None)


def mark_images(connection: Connection, image_ids: Collection[int]) -> int:
    """Mark those images as missing that have no file any more; gives how many were not yet."""
    present = select(File.image_id).where(File.image_id == Image.id, File.missing_since.is_(None))
    unmarked = _locked(
        connection, image_ids, Image.missing_since.is_(None) & ~present.correlate(Image).exists()
    )
    _set(connection, unmarked, utc_now())
    return len(unmarked)


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
