"""Elements by their values, worded so that the partial indexes of `data_element_value` serve.

A value has a number (and maybe a text), or a text and maybe a date, time or moment, or neither:
then its element has a warning. The conditions say so, arm by arm, as planners do not know.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, literal_column, select, union_all

from dicom_graph.dicom.elements.values import NUMBER_VRS, number_of_text
from dicom_graph.store.read.compare import compare, passes_null
from dicom_graph.store.read.conditions import Test
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.text_prefixes import as_range, of_beginning
from dicom_graph.store.tables.columns import DATA_ELEMENT, DATA_ELEMENT_VALUE

ValueTests = Sequence[tuple[str, Test]]

_VRS = {
    "number": NUMBER_VRS,
    "date": frozenset({"DA"}),
    "time": frozenset({"TM"}),
    "datetime": frozenset({"DT"}),
}
_NUMBER_TEXT_VRS = frozenset({"AS", "AT", "DS", "IS", "SV", "UV"})
"""VRs whose values have both a number and a text."""
IS_WARNED: ColumnElement[bool] = literal_column("data_element.has_warnings")
"""As the partial index has it; a typed column would be compared with 1 on SQLite."""


def elements_by_values(
    sqlite: bool, definitions: Sequence[DefinitionRow], tests: ValueTests
) -> Select[Any]:
    """The ids, as `(id)`, of elements of which one and the same value passes all tests.

    An element may come more than once. Raises FilterError.
    """
    passed = [
        compare(sqlite, _column(name), part) for name, test in tests for part in _asked(name, test)
    ]
    strict = {name for name, test in tests if not passes_null(test)}
    typed = [name for name in _VRS if name in strict]
    if typed:
        possible = [d for d in definitions if all(d.vr in _VRS[name] for name in typed)]
        return select(_ID).where(_of(possible), *passed)
    if "text" in strict:
        return _by_text(definitions, tests, passed)
    return _united(
        [
            select(_ID).where(_of(definitions), *arm, *passed)
            for arm in (_WITH_NUMBER, _WITH_TEXT, _with_neither(definitions))
        ]
    )


def elements_of_definitions(definitions: Sequence[DefinitionRow]) -> Select[Any]:
    """The ids, as `(id)`, of all elements of the definitions, with values or without."""
    ids = [definition.id for definition in definitions]
    element = DATA_ELEMENT
    return _united(
        [
            select(_ID).where(_of(definitions), *_WITH_NUMBER),
            select(_ID).where(_of(definitions), *_WITH_TEXT),
            select(element.id.label("id")).where(element.definition_id.in_(ids), IS_WARNED),
            select(element.id.label("id")).where(
                element.definition_id.in_(ids), element.n_values == 0
            ),
        ]
    )


_ID = DATA_ELEMENT_VALUE.element_id.label("id")
_NUMBER, _TEXT = DATA_ELEMENT_VALUE.number, DATA_ELEMENT_VALUE.text
_WITH_NUMBER = [_NUMBER.is_not(None)]
_WITH_TEXT = [_TEXT.is_not(None), _NUMBER.is_(None)]


def _with_neither(definitions: Sequence[DefinitionRow]) -> list[ColumnElement[bool]]:
    ids = [definition.id for definition in definitions]
    warned = select(DATA_ELEMENT.id).where(DATA_ELEMENT.definition_id.in_(ids), IS_WARNED)
    return [_TEXT.is_(None), _NUMBER.is_(None), DATA_ELEMENT_VALUE.element_id.in_(warned)]


def _by_text(
    definitions: Sequence[DefinitionRow], tests: ValueTests, passed: list[ColumnElement[bool]]
) -> Select[Any]:
    """Texts in their own index; those of numbers by the number that an equal text has."""
    texts = [test for name, test in tests if name == "text"]
    of_text = [part for test in texts for part in of_beginning(_TEXT, test)]
    arms = [select(_ID).where(_of(definitions), *_WITH_TEXT, *of_text, *passed)]
    by_vr: dict[str, list[DefinitionRow]] = defaultdict(list)
    for definition in definitions:
        if definition.vr in _NUMBER_TEXT_VRS:
            by_vr[definition.vr].append(definition)
    for vr, of_vr in sorted(by_vr.items()):
        numbers = [part for test in texts for part in _numbers(vr, test)]
        arms.append(select(_ID).where(_of(of_vr), *_WITH_NUMBER, *numbers, *passed))
    return _united(arms)


def _numbers(vr: str, test: Test) -> list[ColumnElement[bool]]:
    """What equality with a text says of the number beside it."""
    if test.operator not in ("eq", "in"):
        return []
    texts = test.value if test.operator == "in" else (test.value,)
    numbers = [number_of_text(vr, text) for text in texts]
    return [_NUMBER.in_([number for number in numbers if number is not None])]


def _united(arms: Sequence[Select[Any]]) -> Select[Any]:
    if len(arms) == 1:
        return arms[0]
    return select(union_all(*arms).subquery().c.id)


def _of(definitions: Iterable[DefinitionRow]) -> ColumnElement[bool]:
    return DATA_ELEMENT_VALUE.definition_id.in_([definition.id for definition in definitions])


def _column(name: str) -> ColumnElement[Any]:
    return DATA_ELEMENT_VALUE[name]


def _asked(name: str, test: Test) -> tuple[Test, ...]:
    return as_range(test) if name == "text" else (test,)
