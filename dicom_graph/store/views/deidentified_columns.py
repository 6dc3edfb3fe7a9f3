"""How the de-identified view shows a column: as it is, in part, as something else, or as NULL."""

import datetime as dt
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    Integer,
    String,
    Table,
    and_,
    case,
    cast,
    func,
    literal,
    null,
    or_,
    select,
    true,
)

from dicom_graph.dicom.confidentiality.profile import is_kept, registered_uids
from dicom_graph.dicom.dictionary import dictionary_vr, keyword_tag
from dicom_graph.dicom.elements.plausible import TEXT_RULES, TextRule
from dicom_graph.dicom.entities import Attribute, Description
from dicom_graph.store.plausible import are_plausible, is_plausible
from dicom_graph.store.sql.json_arrays import array_items
from dicom_graph.store.sql.many_values import among, texts_among
from dicom_graph.store.sql.types import Text
from dicom_graph.store.tables.base import TEXT_KEY_LENGTH
from dicom_graph.store.views.visible_definitions import (
    FIELD_TAGS,
    FieldDefinitions,
    VisibleDefinitions,
)

_NO_MOMENT = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_KEY = (1, TEXT_KEY_LENGTH)
_OF_CODES = (TEXT_RULES["CS"],)
Tables = Callable[[str], Table]
"""The tables themselves, by name."""


class DeidentifiedTable:
    """One table, as a user who sees no identities gets it: what its columns and rows become."""

    def __init__(self, visible: VisibleDefinitions, table: Table, tables: Tables) -> None:
        self.visible = visible
        self.table = table
        self.tables = tables

    def among(self, column: ColumnElement[Any], ids: Sequence[int]) -> ColumnElement[bool]:
        """Whether a column is one of the ids."""
        return among(self.visible.sqlite, column, ids)

    def is_registered(self, column: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether a column is a UID of the standard's registry."""
        return texts_among(self.visible.sqlite, column, registered_uids())


Show = Callable[[DeidentifiedTable, ColumnElement[Any]], ColumnElement[Any]]


def as_it_is(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return column


def up_to(most: float, shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """What is greater is all one number, which the reader leaves out: see `MOST_SHOWN`."""
    return case((column > most, literal(most + 1, column.type)), else_=column)


def row_id(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """In the place of a UID, which the reader makes a pseudonym of: see `read.deidentified`."""
    return cast(shown.table.c.id, Text)


def no_moment(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    """Where there must be one: an import may come soon after the examination."""
    return literal(_NO_MOMENT, column.type)


def registered(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((shown.is_registered(column), column))


def of_bytes(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((shown.among(shown.table.c.definition_id, shown.visible.binary), column))


def never(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return literal(False, column.type)


def as_keyword(keyword: str) -> Show:
    """A column with what the element of a keyword says: the profile decides.

    It is not shown where it is no such value, or where only elements have it that are withheld.
    """
    if not is_kept(keyword):
        return nothing
    tag = keyword_tag(keyword) or 0
    FIELD_TAGS.add(tag)
    rule = TEXT_RULES.get(dictionary_vr(tag))

    def show(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
        sqlite, field = shown.visible.sqlite, shown.visible.fields[tag]
        is_list = isinstance(column.type, JSON)
        is_text = isinstance(column.type, String) or (is_list and rule in _OF_CODES)
        conditions: list[ColumnElement[bool]] = []
        if rule is not None and is_text:
            check = are_plausible if is_list else is_plausible
            conditions.append(check(sqlite, column, rule))
        if field.is_doubtful:
            is_shown = partial(_is_shown, shown, field, rule, is_text)
            conditions.append(
                ~array_items(sqlite, column, lambda item: ~is_shown(item), number=not is_text)
                if is_list
                else is_shown(column)
            )
        return case((and_(*conditions), column)) if conditions else column

    return show


def _is_shown(
    shown: DeidentifiedTable,
    field: FieldDefinitions,
    rule: TextRule | None,
    is_text: bool,
    wanted: ColumnElement[Any],
) -> ColumnElement[bool]:
    """Whether an element that is seen has a field's value, or none that is withheld."""

    def has(ids: Sequence[int], seen: bool | None) -> ColumnElement[bool]:
        """Whether an element of these definitions has it; `seen`: one that is, or is not, seen."""
        value = shown.tables("data_element_value").alias()
        conditions = [shown.among(value.c.definition_id, ids), *_same(value, is_text, wanted)]
        if seen is not None:
            element = shown.tables("data_element").alias()
            of_value = select(element.c.id).where(element.c.id == value.c.element_id)
            readable = of_value.where(~element.c.has_warnings).correlate_except(element).exists()
            fit = is_plausible(shown.visible.sqlite, value.c.text, rule) if rule else true()
            is_seen = and_(readable, or_(value.c.text.is_(None), fit))
            conditions.append(is_seen if seen else ~is_seen)
        return select(value.c.element_id).where(*conditions).correlate_except(value).exists()

    hidden = [
        has(ids, seen) for ids, seen in ((field.withheld, None), (field.doubtful, False)) if ids
    ]
    return or_(~or_(*hidden), has(field.kept, True))


def _same(value: Any, is_text: bool, wanted: ColumnElement[Any]) -> list[ColumnElement[bool]]:
    """That a value is the same, so said that an index finds it."""
    if not is_text:
        return [value.c.number == wanted]
    start = [literal(number, Integer(), literal_execute=True) for number in _KEY]
    starts = [func.substr(text, *start) for text in (value.c.text, wanted)]
    is_indexed = [value.c.text.is_not(None), value.c.number.is_(None)]
    return [starts[0] == starts[1], value.c.text == wanted, *is_indexed]


def nothing(shown: DeidentifiedTable, column: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(null(), column.type)


_ENTITY: dict[str, Show] = {
    "id": as_it_is, "uid": row_id, "created": no_moment, "modified": no_moment,
    "edited": nothing,
}  # fmt: skip


def entity_columns(described: Description) -> dict[str, Show]:
    """The columns of an entity that its description has, and those of all entities."""
    return {attribute.name: _of_attribute(attribute) for attribute in described.columns} | _ENTITY


def _of_attribute(attribute: Attribute) -> Show:
    """A column with what its description says; without a word of it, what its keyword does."""
    if attribute.shown_up_to is not None:
        return partial(up_to, attribute.shown_up_to)
    if attribute.shown is not None:
        return as_it_is if attribute.shown else nothing
    if attribute.keyword is None or attribute.derived:
        return nothing
    return as_keyword(attribute.keyword)
