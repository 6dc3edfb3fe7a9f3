"""Filters on what headers hold: any element, standard or private, at any depth."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Annotated, Any

import strawberry

from dicom_graph.errors import BadInput
from dicom_graph.graph.inputs.operators import (
    DateFilter,
    DateTimeFilter,
    FloatFilter,
    IntFilter,
    StringFilter,
    TimeFilter,
    checked_text,
    tests_of,
)
from dicom_graph.store.read.conditions import (
    And,
    Condition,
    Field,
    HasCsa,
    HasElement,
    Not,
    Or,
    Test,
)
from dicom_graph.store.read.csa import checked_path
from dicom_graph.store.read.element_path import Step, checked_keyword, checked_tag, parse_path

_VALUE_COLUMNS = ("text", "number", "date", "time", "datetime")
_Header = Annotated["HeaderFilter", strawberry.lazy("dicom_graph.graph.inputs.elements")]


def _by(description: str, name: str | None = None) -> Any:
    return strawberry.field(default=None, description=description, name=name)


@strawberry.input(
    description="Headers that hold an element. It is named by keyword, tag or path, or not at "
    "all; one and the same value must pass all conditions on values."
)
class ElementFilter:
    keyword: str | None = _by("A standard keyword, such as EchoTime.")
    tag: str | None = _by(
        "A tag: (0018,0081) or 00180081; of a private element in that block only, (0019,109C), or "
        "in any, (0019,xx9C)."
    )
    path: str | None = _by(
        "Keywords or tags into sequences: PixelMeasuresSequence.SliceThickness; any item unless "
        "an index says which, PixelMeasuresSequence[0].SliceThickness."
    )
    private_creator: str | None = _by("Who defines the private element: GEMS_ACQU_01.")
    vr: str | None = _by("The value representation: two letters.")
    text: StringFilter | None = _by("Conditions on the text of a value.")
    number: FloatFilter | None = _by("Conditions on the number of a value; AS in years.")
    date: DateFilter | None = _by("Conditions on the date of a value (DA).")
    time: TimeFilter | None = _by("Conditions on the time of a value (TM).")
    datetime: DateTimeFilter | None = _by("Conditions on the moment of a value (DT).")
    index: int | None = _by("Of these conditions on values: on the value at this place, from 0.")
    exists: bool | None = _by("With false: headers that hold no such element.")
    vm: IntFilter | None = _by("Conditions on the multiplicity; of a sequence, its items.")
    has_warnings: bool | None = _by("Whether something in it could not be read.")
    item: _Header | None = _by(
        "An item of the sequence fulfils this: conditions on one and the same item."
    )
    anywhere: bool | None = _by("At any depth of the header, not only at its top level.")


@strawberry.input(
    description="Headers with something at a path in their Siemens CSA headers, as "
    "`header.csaHeader(path:)` gives it; one and the same value must pass all conditions on "
    "values. CSA headers are private elements: only images imported in mode `full` have them."
)
class CsaFilter:
    path: str = strawberry.field(
        description="A tag and what is below it: B_value, MosaicRefAcqTimes[0], "
        "MrPhoenixProtocol.sSliceArray.lSize. Of a list, conditions are on any of its values."
    )
    text: StringFilter | None = _by("Conditions on a text.")
    number: FloatFilter | None = _by("Conditions on a number.")
    exists: bool | None = _by("With false: headers that have no such value.")


@strawberry.input(description="Which headers; all conditions must hold.")
class HeaderFilter:
    and_: list[_Header] | None = _by("All of these hold.", "and")
    or_: list[_Header] | None = _by("At least one of these holds.", "or")
    not_: _Header | None = _by("This does not hold.", "not")
    element: ElementFilter | None = _by("Holds such an element.")
    elements: list[ElementFilter] | None = _by("Holds all of these elements.")
    csa: list[CsaFilter] | None = _by("Its Siemens CSA headers have all of these: one or a list.")


@strawberry.input(description="Which definitions; all conditions must hold.")
class DataElementDefinitionFilter:
    keyword: StringFilter | None = _by("By keyword; a private element has none.")
    tag: str | None = _by("A tag: (0018,0081), or (0019,xx9C); the block is no part of it.")
    private_creator: StringFilter | None = _by("By private creator; empty for a standard one.")
    vr: StringFilter | None = _by("By value representation.")
    name: StringFilter | None = _by("By name.")
    private: bool | None = _by("Only private elements, or only standard ones.")


_Value = Annotated["DataElementValueFilter", strawberry.lazy("dicom_graph.graph.inputs.elements")]


@strawberry.input(description="Which values of elements; all conditions must hold.")
class DataElementValueFilter:
    and_: list[_Value] | None = _by("All of these hold.", "and")
    or_: list[_Value] | None = _by("At least one of these holds.", "or")
    not_: _Value | None = _by("This does not hold.", "not")
    keyword: str | None = _by("Of elements with this keyword, such as EchoTime.")
    tag: str | None = _by("Of elements with this tag: (0018,0081), (0019,109C) or (0019,xx9C).")
    private_creator: str | None = _by("Of private elements of this creator: GEMS_ACQU_01.")
    vr: str | None = _by("Of this value representation: two letters.")
    text: StringFilter | None = _by("By the text.")
    number: FloatFilter | None = _by("By the number; AS in years.")
    date: DateFilter | None = _by("By the date (DA).")
    time: TimeFilter | None = _by("By the time (TM).")
    datetime: DateTimeFilter | None = _by("By the moment (DT).")
    index: IntFilter | None = _by("By the place among the element's values, from 0.")
    has_warnings: bool | None = _by("Whether it could not be read.")


def value_condition(given: DataElementValueFilter) -> Condition:
    """The condition of a filter on values. Raises BadInput."""
    parts: list[Condition] = [value_condition(part) for part in given.and_ or ()]
    if given.or_ is not None:
        parts.append(Or(tuple(map(value_condition, given.or_))))
    if given.not_ is not None:
        parts.append(Not(value_condition(given.not_)))
    if given.keyword is not None and given.tag is not None:
        raise BadInput("an element is named by `keyword` or `tag`: one of them")
    creator = given.private_creator
    parts.append(
        HasElement(
            keyword=checked_keyword(given.keyword) if given.keyword is not None else None,
            tag=checked_tag(given.tag) if given.tag is not None else None,
            private_creator=checked_text(creator) if creator is not None else None,
            vr=given.vr,
            values=_value_tests(given, (*_VALUE_COLUMNS, "index")),
            has_warnings=given.has_warnings,
        )
    )
    return And(tuple(parts))


def definition_condition(given: DataElementDefinitionFilter) -> Condition:
    """The condition of a definition's filter. Raises BadInput."""
    parts: list[Condition] = [
        Field(name, test)
        for name in ("keyword", "private_creator", "vr", "name")
        if (tests := getattr(given, name)) is not None
        for test in tests_of(tests)
    ]
    if given.tag is not None:
        parts.append(has_tag(checked_tag(given.tag)))
    if given.private is not None:
        parts.append(Field("is_private", Test("eq", given.private)))
    return And(tuple(parts))


def has_tag(tag: int) -> Condition:
    """The definition is that of a tag; of a private one the block is no part."""
    private = Field("private_creator", Test("ne", ""))
    any_block = And((Field("tag", Test("eq", tag & 0xFFFF00FF)), private))
    return Or((Field("tag", Test("eq", tag)), any_block))


def element_condition(given: ElementFilter) -> Condition:
    """The condition of a filter on elements themselves. Raises BadInput."""
    if given.path is not None or given.anywhere is not None or given.exists is not None:
        raise BadInput("`path`, `anywhere` and `exists` are about headers, not about elements")
    return _element_condition(given)


def header_condition(given: HeaderFilter) -> Condition:
    """The condition of a header's filter. Raises BadInput."""
    parts: list[Condition] = [header_condition(part) for part in given.and_ or ()]
    if given.or_ is not None:
        parts.append(Or(tuple(map(header_condition, given.or_))))
    if given.not_ is not None:
        parts.append(Not(header_condition(given.not_)))
    wanted = [given.element] if given.element is not None else []
    parts += map(_element_condition, [*wanted, *(given.elements or ())])
    parts += map(_csa_condition, given.csa or ())
    return And(tuple(parts))


def _csa_condition(given: CsaFilter) -> Condition:
    condition = HasCsa(checked_path(given.path), _value_tests(given, ("text", "number")))
    return Not(condition) if given.exists is False else condition


def _element_condition(given: ElementFilter) -> Condition:
    if sum(name is not None for name in (given.keyword, given.tag, given.path)) > 1:
        raise BadInput("an element is named by `keyword`, `tag` or `path`: one of them")
    steps = parse_path(given.path) if given.path is not None else [_named(given)]
    condition = replace(_element(given), keyword=steps[-1].keyword, tag=steps[-1].tag)
    for step in reversed(steps[:-1]):
        condition = HasElement(keyword=step.keyword, tag=step.tag, item=condition, index=step.item)
    condition = replace(condition, anywhere=bool(given.anywhere))
    return Not(condition) if given.exists is False else condition


def _named(given: ElementFilter) -> Step:
    keyword = checked_keyword(given.keyword) if given.keyword is not None else None
    return Step(keyword, checked_tag(given.tag) if given.tag is not None else None, None)


def _element(given: ElementFilter) -> HasElement:
    """What is asked of the element itself, whatever its name."""
    values = _value_tests(given, _VALUE_COLUMNS)
    if given.index is not None:
        if not values:
            raise BadInput("`index` says of which value: give a condition on it")
        values = (*values, ("index", Test("eq", given.index)))
    if given.item is not None and (values or given.vm or given.has_warnings is not None):
        raise BadInput("`item` goes with the name of a sequence alone")
    creator = given.private_creator
    return HasElement(
        private_creator=checked_text(creator) if creator is not None else None,
        vr=given.vr,
        values=values,
        vm=tuple(tests_of(given.vm)) if given.vm is not None else (),
        has_warnings=given.has_warnings,
        item=header_condition(given.item) if given.item is not None else None,
    )


def _value_tests(given: Any, columns: Iterable[str]) -> tuple[tuple[str, Test], ...]:
    return tuple(
        (column, _of_column(column, test))
        for column in columns
        if (tests := getattr(given, column)) is not None
        for test in tests_of(tests)
    )


def _of_column(column: str, test: Test) -> Test:
    """Moments of elements are kept without an offset, in UTC."""
    if column != "datetime" or test.operator == "is_null":
        return test
    naive = (
        tuple(value.replace(tzinfo=None) for value in test.value)
        if isinstance(test.value, tuple)
        else test.value.replace(tzinfo=None)
    )
    return Test(test.operator, naive)
