"""Which rows of the tables of elements the de-identified view has."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, and_, false, or_, select, true

from dicom_graph.store.plausible import is_plausible
from dicom_graph.store.views.deidentified_columns import DeidentifiedTable


def rows_of(shown: DeidentifiedTable) -> ColumnElement[bool]:
    """Which rows the view has of a table of which it has some."""
    return _ROWS.get(shown.table.name, _all_rows)(shown)


def _all_rows(shown: DeidentifiedTable) -> ColumnElement[bool]:
    return true()


def _definitions(shown: DeidentifiedTable) -> ColumnElement[bool]:
    return shown.among(shown.table.c.id, shown.visible.definitions)


def _elements(shown: DeidentifiedTable) -> ColumnElement[bool]:
    """Those that could be read, and are what their VR and multiplicity allow: nobody knows what
    lies in the others. A sequence may hold some.
    """
    columns, visible = shown.table.c, shown.visible
    value = shown.tables("data_element_value").alias("of_element")
    unfit = [
        and_(
            shown.among(value.c.definition_id, ids),
            ~is_plausible(visible.sqlite, value.c.text, rule),
        )
        for rule, ids in visible.rules.items()
    ]
    is_fit = ~(
        select(value.c.element_id)
        .where(value.c.element_id == columns.id, or_(false(), *unfit))
        .correlate(shown.table)
        .exists()
    )
    readable = or_(
        and_(_is_readable(shown, columns), is_fit),
        shown.among(columns.definition_id, visible.sequences),
    )
    return and_(shown.among(columns.definition_id, visible.definitions), readable)


def _is_readable(shown: DeidentifiedTable, element: Any) -> ColumnElement[bool]:
    """Of an element's columns: that it has no warning, and no more values than it may have."""
    too_many = [
        and_(shown.among(element.definition_id, ids), element.vm > most)
        for most, ids in shown.visible.counts.items()
    ]
    return and_(~element.has_warnings, ~or_(false(), *too_many))


def _values(shown: DeidentifiedTable) -> ColumnElement[bool]:
    columns, visible = shown.table.c, shown.visible
    element = shown.tables("data_element").alias("of_value")
    readable = select(element.c.id).where(
        element.c.id == columns.element_id, _is_readable(shown, element.c)
    )
    unfit = [
        and_(
            shown.among(columns.definition_id, ids),
            ~is_plausible(visible.sqlite, columns.text, rule),
        )
        for rule, ids in visible.rules.items()
    ]
    registered = shown.is_registered(columns.text)
    return and_(
        or_(
            and_(
                shown.among(columns.definition_id, visible.kept),
                or_(columns.text.is_(None), ~or_(false(), *unfit)),
            ),
            and_(shown.among(columns.definition_id, visible.replaced), registered),
        ),
        readable.correlate(shown.table).exists(),
    )


def _headers(shown: DeidentifiedTable) -> ColumnElement[bool]:
    """Those of images, and the items of sequences that are seen."""
    columns = shown.table.c
    element = shown.tables("data_element").alias("of_item")
    sequence = select(element.c.id).where(
        element.c.id == columns.element_id,
        shown.among(element.c.definition_id, shown.visible.sequences),
    )
    return or_(columns.element_id.is_(None), sequence.correlate(shown.table).exists())


_ROWS: dict[str, Callable[[DeidentifiedTable], ColumnElement[bool]]] = {
    "data_element_definition": _definitions,
    "data_element": _elements,
    "data_element_value": _values,
    "header": _headers,
}
