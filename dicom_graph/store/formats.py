"""The SOP class and the transfer syntax of an image: few pairs in a whole archive, stored once.

To whoever reads images they are columns like the others: `column_of` and `columns_of` give them.
"""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, func, select

from dicom_graph.store.tables import ImageFormat
from dicom_graph.store.types import Text

FORMAT_FIELDS = ("sop_class_uid", "transfer_syntax_uid")


def column_of(table: FromClause, name: str) -> ColumnElement[Any]:
    """A column of an entity's table, or what stands for it in the format of an image."""
    if name not in FORMAT_FIELDS or "format_id" not in table.c:
        return table.c[name]
    formats = ImageFormat.__table__.alias()
    text = func.nullif(formats.c[name], "", type_=Text)
    of_image = select(text).where(formats.c.id == table.c.format_id).correlate(table)
    return of_image.scalar_subquery()


def columns_of(table: FromClause, of: FromClause | None = None) -> list[ColumnElement[Any]]:
    """The columns of an entity's table, with those of the format of an image.

    `of`: the table itself, where `table` is a part of it that may have other columns beside.
    """
    names = [column.name for column in (table if of is None else of).c]
    formats = FORMAT_FIELDS if "format_id" in names else ()
    return [table.c[name] for name in names] + [
        column_of(table, name).label(name) for name in formats
    ]
