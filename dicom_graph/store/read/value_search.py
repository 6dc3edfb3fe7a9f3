"""Distinct values of elements whose texts hold all words of a search."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, FromClause, Select, func, literal, select, union

from dicom_graph.store.read.compare import compare
from dicom_graph.store.read.conditions import Test
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.text_prefixes import of_beginning
from dicom_graph.store.tables.base import TEXT_KEY_LENGTH
from dicom_graph.store.tables.columns import DATA_ELEMENT_VALUE

WHOLE_TEXT_VRS = frozenset({"AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UN", "UR", "UT"})
"""VRs whose values a search looks into; UN where the bytes are printable ASCII."""
BEGINNING_VRS = frozenset({"DA", "DT", "TM", "UI"})
"""VRs of whose values a search of one word looks at the beginning."""
_MOST_LOOKED_AT = 100_000


class FoundValue(NamedTuple):
    """A text that occurs under a definition, and the first element that has it."""

    definition_id: int
    text: str
    element_id: int


def values_statement(
    sqlite: bool,
    definitions: Iterable[DefinitionRow],
    words: Sequence[str],
    limit: int,
    is_seen: Any = None,
) -> Select[Any]:
    """Returns the statement of the found values, the shortest texts first: a text that is nothing
    but the word comes before those that only contain it.

    `is_seen(column)`: the condition that an element of these ids is seen; None where all are.
    """
    by_vr: Mapping[bool, list[int]] = {True: [], False: []}
    for definition in definitions:
        if definition.vr in WHOLE_TEXT_VRS | BEGINNING_VRS:
            by_vr[definition.vr in WHOLE_TEXT_VRS].append(definition.id)
    value = DATA_ELEMENT_VALUE
    contains = [compare(sqlite, value.text, Test("word", word)) for word in words]
    arms = [(by_vr[True], contains)]
    if len(words) == 1:
        begins = Test("starts_with", words[0])
        of_start = [*of_beginning(value.text, begins), compare(sqlite, value.text, begins)]
        arms.append((by_vr[False], of_start))
    # Not one condition with OR, for which an index of beginnings does not serve.
    found = union(*(_of_arm(ids, conditions) for ids, conditions in arms)).subquery()
    texts = (
        select(found)
        .order_by(func.length(found.c.text), found.c.text, found.c.definition_id)
        .limit(_MOST_LOOKED_AT)
        .subquery()
    )
    return _with_elements(texts, limit, is_seen)


def _of_arm(ids: Sequence[int], conditions: Sequence[ColumnElement[bool]]) -> Select[Any]:
    value = DATA_ELEMENT_VALUE
    where = (*_is_text(value), value.definition_id.in_(ids), *conditions)
    return select(value.definition_id, value.text).where(*where)


def _with_elements(texts: FromClause, limit: int, is_seen: Any) -> Select[Any]:
    """The texts with the first element that has each, and is seen."""
    other = DATA_ELEMENT_VALUE.element_id.table.alias("same_text")
    start = [literal(n) for n in (1, TEXT_KEY_LENGTH)]
    same = [
        other.c.definition_id == texts.c.definition_id,
        func.substr(other.c.text, *start) == func.substr(texts.c.text, *start),
        other.c.text == texts.c.text,
        *_is_text(other.c),
    ]
    seen = [is_seen(other.c.element_id)] if is_seen is not None else []
    first = (
        select(func.min(other.c.element_id)).where(*same, *seen).correlate(texts).scalar_subquery()
    )
    found = select(texts.c.definition_id, texts.c.text, first.label("element_id"))
    order = (func.length(texts.c.text), texts.c.text, texts.c.definition_id)
    if seen:
        found = found.where(
            select(other.c.element_id).where(*same, *seen).correlate(texts).exists()
        )
    return found.order_by(*order).limit(limit)


def _is_text(value: Any) -> list[ColumnElement[bool]]:
    """As the index of texts has it."""
    return [value.text.is_not(None), value.number.is_(None)]
