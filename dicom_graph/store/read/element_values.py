"""Which elements have which values, and which images or series hold which elements."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    case,
    cast,
    func,
    literal,
    select,
    union_all,
)
from sqlalchemy.sql.selectable import CTE

from dicom_graph.dicom.dictionary import dictionary_vr, is_private, keyword_tag
from dicom_graph.dicom.elements.values import NUMBER_VRS
from dicom_graph.store.postings import postings
from dicom_graph.store.read.conditions import HasElement
from dicom_graph.store.read.elements import DefinitionRow
from dicom_graph.store.read.holders import in_block, is_wanted
from dicom_graph.store.read.relations import ENTITY_TABLES
from dicom_graph.store.sql.driver_errors import FilterError
from dicom_graph.store.sql.many_values import join_in_order
from dicom_graph.store.sql.types import Id, Text
from dicom_graph.store.tables.columns import (
    DATA_ELEMENT,
    DATA_ELEMENT_VALUE,
    ELEMENT_SET,
    HEADER,
    IMAGE,
    SERIES,
)
from dicom_graph.store.tables.headers import ElementSetMember, HeaderElement

MOST_VALUES = 100
"""An element of more values is not one key as a whole: its filter would have as many conditions."""
TOO_MANY = "false"
"""In the place of so long a list, as JSON."""
_COLUMNS = {"DA": "date", "TM": "time", "DT": "datetime"}
_NUMBERS = NUMBER_VRS - {"AT"}
Definitions = Mapping[int, DefinitionRow]


def named(definitions: Definitions, name: HasElement) -> list[DefinitionRow]:
    """The definitions that a name is of."""
    return [definition for definition in definitions.values() if is_wanted(name, definition)]


def value_column(
    definitions: Definitions, name: HasElement, *, is_number: bool = False
) -> ColumnElement[Any]:
    """The column that has the values of an element; what nothing is known of has texts, or where
    `is_number` says so, numbers. Raises FilterError for a sequence.
    """
    vrs = {definition.vr for definition in named(definitions, name)} or _vrs_of_standard(name)
    if "SQ" in vrs:
        raise FilterError("a sequence has no values: name an element inside it")
    if len(vrs) == 1 and vrs <= _COLUMNS.keys():
        return DATA_ELEMENT_VALUE[_COLUMNS[vrs.pop()]]
    is_number = is_number if not vrs else vrs <= _NUMBERS
    return DATA_ELEMENT_VALUE.number if is_number else DATA_ELEMENT_VALUE.text


def _vrs_of_standard(name: HasElement) -> set[str]:
    """The VR in PS3.6 of an element that no header has."""
    tag = keyword_tag(name.keyword) if name.keyword is not None else name.tag
    if tag is None or is_private(tag):
        return set()
    return {dictionary_vr(tag)} - {"UN"}


def is_held_once(definitions: Definitions, path: Sequence[HasElement]) -> bool:
    """Whether a header of an image has such an element once at most: a standard one, of one tag."""
    leaves = named(definitions, path[-1])
    is_standard = not any(leaf.private_creator for leaf in leaves)
    return len(path) == 1 and is_standard and len({leaf.tag for leaf in leaves}) <= 1


def single_values(definitions: Definitions, name: HasElement, column: Any) -> Select[Any]:
    """Elements and each of their values that are there: `leaf`, `value`, and `sort`, the same."""
    of_element = DATA_ELEMENT_VALUE.element_id
    found = select(of_element.label("leaf"), column.label("value"), column.label("sort"))
    arms = [found.where(*arm) for arm in _arms(definitions, name, column)]
    return (arms[0] if len(arms) == 1 else select(union_all(*arms).subquery())).distinct()


def _elements(definitions: Definitions, name: HasElement, column: Any) -> Any:
    """The ids of elements of a name that have values in a column."""
    of_element = DATA_ELEMENT_VALUE.element_id
    arms = [select(of_element).where(*arm) for arm in _arms(definitions, name, column)]
    return arms[0] if len(arms) == 1 else union_all(*arms)


def _arms(
    definitions: Definitions, name: HasElement, column: Any
) -> list[list[ColumnElement[bool]]]:
    """That a value of an element of a name lies in a column, so said that its index serves."""
    leaves = named(definitions, name)
    block = in_block(name)
    element = select(DATA_ELEMENT.id).where(
        DATA_ELEMENT.id == DATA_ELEMENT_VALUE.element_id, *block
    )
    is_of_name = DATA_ELEMENT_VALUE.definition_id.in_([leaf.id for leaf in leaves])
    conditions = [is_of_name, column.is_not(None), *([element.exists()] if block else [])]
    if column.key != "text":
        return [conditions]
    number = DATA_ELEMENT_VALUE.number
    arms = [[*conditions, number.is_(None)]]
    if any(leaf.vr in NUMBER_VRS for leaf in leaves):
        arms.append([*conditions, number.is_not(None)])
    return arms


def whole_values(
    sqlite: bool, definitions: Definitions, name: HasElement, column: Any
) -> Select[Any]:
    """Elements and all of their values as a JSON array: `leaf`, `value`, and `sort`, the first.

    Elements without a value that is there are not among them.
    """
    of_element = DATA_ELEMENT_VALUE.element_id
    window: dict[str, Any] = {
        "partition_by": of_element, "order_by": DATA_ELEMENT_VALUE.index, "rows": (None, None),
    }  # fmt: skip
    rows = (
        select(
            of_element.label("leaf"),
            DATA_ELEMENT_VALUE.index.label("index"),
            _array(sqlite, column, window).label("value"),
            func.count(column).over(**window).label("n_there"),
            func.count().over(**window).label("n"),
            column.label("sort"),
        )
        .where(of_element.in_(_elements(definitions, name, column)))
        .subquery()
    )
    is_short = rows.c.n <= MOST_VALUES
    value = case((is_short, rows.c.value), else_=literal(TOO_MANY, Text))
    return select(rows.c.leaf, value.label("value"), rows.c.sort).where(
        rows.c.index == 0, rows.c.n_there > 0
    )


def _array(sqlite: bool, column: Any, window: dict[str, Any]) -> ColumnElement[Any]:
    """The values of a window as a JSON array in which each number is told exactly."""
    if not sqlite:
        # One zero has a sign, and is the same number.
        values = column + 0.0 if column.key == "number" else column
        return cast(func.json_agg(values).over(**window), Text)
    if column.key != "number":
        return cast(func.json_group_array(column).over(**window), Text)
    # SQLite's JSON has 15 digits of a number.
    exact = case((column.is_not(None), func.printf("%!.17g", column)), else_="null")
    joined = func.group_concat(exact, ",").over(**window)
    return literal("[", Text) + joined + literal("]", Text)


def elements_of_images(
    definitions: Definitions, name: HasElement, column: Any, label: str
) -> tuple[Subquery, Subquery]:
    """Which shared sets, and which headers beyond them, hold elements of a name that have values in
    a column: each `leaf` and `holder`.
    """
    leaves = _elements(definitions, name, column)
    found = []
    for model, of in ((ElementSetMember, "sets"), (HeaderElement, "headers")):
        held = postings(model)
        # SQLite makes an index of what it joins with, if it knows its type.
        holder = cast(held.holder_id, Id).label("holder")
        statement = select(held.element_id.label("leaf"), holder).select_from(held.source)
        statement = statement.where(held.element_id.in_(leaves))
        found.append(statement.subquery(f"{label}_{of}"))
    return found[0], found[1]


def holders_of_path(
    definitions: Definitions, path: Sequence[HasElement], column: Any, *, images: bool, label: str
) -> FromClause:
    """Which images (or series) hold which elements that have values in a column, through the
    sequences of the path.

    Returns `(leaf, holder)`: the id of an image, or of a series.
    """
    leaves = _elements(definitions, path[-1], column).subquery()
    found = _at_top(definitions, path, leaves.c.element_id)
    return holders_of(found, images=images, label=label)


def holders_of_any(
    definitions: Definitions, path: Sequence[HasElement], entity: str, label: str
) -> Select[Any]:
    """The same of all elements, also those without values: `leaf`, and `holder`, the id of a
    series, a study or a patient.
    """
    leaves = [leaf.id for leaf in named(definitions, path[-1])]
    value, element, block = DATA_ELEMENT_VALUE, DATA_ELEMENT, in_block(path[-1])
    is_text = value.text.is_not(None) & value.number.is_(None)
    has_value = [value.number.is_not(None), is_text] + [
        column.is_not(None) for column in (value.date, value.time, value.datetime)
    ]
    of_block = [select(element.id).where(element.id == value.element_id, *block).exists()]
    arms: list[Select[Any]] = [
        select(value.element_id).where(
            value.definition_id.in_(leaves), is_indexed, *(of_block if block else [])
        )
        for is_indexed in has_value
    ]
    without = element.definition_id.in_(leaves), element.n_values == 0
    arms.append(select(element.id.label("element_id")).where(*without, *block))
    ids = union_all(*arms).subquery(f"{label}_elements")
    found = _at_top(definitions, path, ids.c.element_id)
    holders = holders_of(found, images=False, label=label)
    joined, owner = owners_of(entity, holders)
    told = select(holders.c.leaf.label("leaf"), owner.label("holder")).select_from(joined)
    return told.where(owner.is_not(None)).distinct()


def _at_top(definitions: Definitions, path: Sequence[HasElement], leaf: ColumnElement[Any]) -> CTE:
    """From elements at the end of a path (`leaf`) up to those of its first step (`at`)."""
    found = select(leaf.label("leaf"), leaf.label("at")).distinct().cte()
    for step in reversed(path[:-1]):
        items = postings(HeaderElement).up_to(HEADER.id, found.c.at)
        ids = [definition.id for definition in named(definitions, step)]
        above = (
            select(found.c.leaf, HEADER.element_id.label("at"))
            .select_from(join_in_order(items, DATA_ELEMENT.id, HEADER.element_id))
            .where(DATA_ELEMENT.definition_id.in_(ids), *in_block(step))
        )
        if step.index is not None:
            above = above.where(HEADER.index == step.index)
        found = above.distinct().cte()
    return found


def holders_of(found: CTE, *, images: bool, label: str) -> FromClause:
    """The same for elements `at` the top level of headers."""
    held, member = postings(HeaderElement), postings(ElementSetMember)
    headers = held.up_to(HEADER.id, found.c.at)
    if images:
        own = select(found.c.leaf, HEADER.image_id.label("holder")).select_from(headers)
        shared = select(found.c.leaf, HEADER.image_id.label("holder")).select_from(
            member.up_to(HEADER.shared_set_id, found.c.at)
        )
    else:
        of_images = join_in_order(headers, IMAGE.id, HEADER.image_id)
        own = select(found.c.leaf, IMAGE.series_id.label("holder")).select_from(of_images)
        # A set is of one series: no need to look at all headers that use it, one is enough.
        in_use = select(HEADER.id).where(HEADER.shared_set_id == ELEMENT_SET.id).exists()
        shared = (
            select(found.c.leaf, ELEMENT_SET.series_id.label("holder"))
            .select_from(member.up_to(ELEMENT_SET.id, found.c.at))
            .where(in_use)
        )
    return union_all(own.where(HEADER.image_id.is_not(None)), shared).subquery(f"{label}_holders")


def owners_of(entity: str, holders: FromClause) -> tuple[FromClause, ColumnElement[Any]]:
    """The join from holders (series; of images, images) to an entity, and its id in it."""
    if entity not in ("study", "patient"):
        return holders, holders.c.holder
    joined = holders.join(ENTITY_TABLES["series"], SERIES.id == holders.c.holder)
    return joined, SERIES.study_id if entity == "study" else SERIES.patient_id
