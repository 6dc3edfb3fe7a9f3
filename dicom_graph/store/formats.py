"""The SOP class and the transfer syntax of an image: few pairs in a whole archive, stored once.

To whoever reads images they are columns like the others: `column_of` and `columns_of` give them,
and each image has a format, if only an empty one.
"""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, FromClause, func, select

from dicom_graph.dicom.entities.image import FORMAT_TABLE, IMAGE
from dicom_graph.store.sql.types import Text
from dicom_graph.store.tables.entities import ImageFormat

Columns = frozenset[str] | None
"""The columns of an entity that are wanted, by name; None for all."""
FORMAT_FIELDS = tuple(each.name for each in IMAGE.attributes if each.table == FORMAT_TABLE)


def column_of(table: FromClause, name: str) -> ColumnElement[Any]:
    """A column of an entity's table, or what stands for it in the format of an image."""
    if name not in FORMAT_FIELDS or "format_id" not in table.c:
        return table.c[name]
    formats = ImageFormat.__table__.alias()
    of_image = select(_text(formats, name)).where(formats.c.id == table.c.format_id)
    return of_image.correlate(table).scalar_subquery()


def in_format(
    table: FromClause, name: str, is_wanted: Callable[[ColumnElement[Any]], ColumnElement[bool]]
) -> ColumnElement[bool]:
    """Whether images have a format whose column fulfils a condition, which few are asked for."""
    formats = ImageFormat.__table__.alias()
    return table.c.format_id.in_(select(formats.c.id).where(is_wanted(_text(formats, name))))


def _text(formats: FromClause, name: str) -> ColumnElement[Any]:
    return func.nullif(formats.c[name], "", type_=Text)


def columns_of(
    table: FromClause, of: FromClause | None = None, only: Columns = None
) -> list[ColumnElement[Any]]:
    """The columns of an entity's table, with those of the format of an image.

    `of`: the table itself, where `table` is a part of it that may have other columns beside.
    """
    names = [column.name for column in (table if of is None else of).c]
    formats = FORMAT_FIELDS if "format_id" in names else ()
    return [table.c[name] for name in names if only is None or name in only] + [
        column_of(table, name).label(name) for name in formats if only is None or name in only
    ]
