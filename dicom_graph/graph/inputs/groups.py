"""What groups are made by: fields, elements, buckets."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import Enum
from typing import Any

import strawberry

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.errors import BadInput
from dicom_graph.graph.inputs.filter_fields import (
    column_of_field,
    field_of_column,
    filter_fields,
)
from dicom_graph.graph.inputs.operators import IntFilter, checked_text, tests_of
from dicom_graph.graph.inputs.orders import OrderDirection
from dicom_graph.store.read.conditions import HasElement
from dicom_graph.store.read.csa import checked_path
from dicom_graph.store.read.element_path import checked_keyword, parse_path
from dicom_graph.store.read.fields import counted_fields, listed_fields, measurable_fields
from dicom_graph.store.read.group_requests import GroupKey, GroupRequest
from dicom_graph.store.tables.entities import ROW_ATTRIBUTES

_by = strawberry.field
_PLURALS = {
    "study": "studies", "series": "series", "import_job": "imports",
    "audit_entry": "lines of the audit log", "data_element": "elements",
    "data_element_definition": "definitions",
}  # fmt: skip
"""What objects of an entity are called, where it is not its name with an s."""
_UNFILTERED = {
    "found": "number of files found", "existing": "number of files whose image was there already",
    "updated": "number of images whose header was renewed", "moved": "number of files that moved",
    "skipped": "number of files that are no DICOM images", "status": "the HTTP status",
    "pruned_before": "the moment before which lines were deleted",
    "length": "the length of its bytes", "tag": "the tag, as a number",
}  # fmt: skip
"""What fields of others are that no filter has."""
_OTHERS = ("import_job", "audit_entry", "data_element", "data_element_definition")
_NO_GROUPS = {
    "data_element_value": "values are elements of images: group these, by `images { groups }`",
    "header": "headers are those of images: group these, by `images { groups }`",
    "protocol": "protocols are few, and have no filter that would select those of a group",
}
"""Lists that have no groups."""
_INSTEAD = {
    ("patient", "LATEST_STUDY_TIME"): "group their studies by DATE",
    ("data_element", "KEYWORD"): "list the definitions, each with `elements { totalCount }`",
    ("data_element", "TAG"): "list the definitions, each with `elements { totalCount }`",
}
"""What to do where lists cannot be grouped by a field that they have."""
_MAX_KEYS, _MAX_BINS, _MAX_GROUPS = 5, 1000, 10_000


def _field_names() -> dict[str, str]:
    """The fields of all entities by their names in the enum, with what they are in each."""
    found: dict[str, dict[str, list[str]]] = {}

    def tell(name: str, about: str, entity: str) -> None:
        entities = found.setdefault(name, {}).setdefault(about, [])
        plural = _PLURALS.get(entity, f"{entity}s")
        if plural not in entities:
            entities.append(plural)

    for entity, described in DESCRIBED.items():
        for attribute in (*described.attributes, *ROW_ATTRIBUTES):
            tell(attribute.name, attribute.phrase, entity)
        for name in sorted(counted_fields(entity)):
            tell(name, f"number of {name.removeprefix('n_')}", entity)
    tell("latest_study_time", "date and time of the latest study", "patient")
    for entity in DESCRIBED:
        for name, field in filter_fields(entity).items():
            if field.related is not None:
                tell(name, f"its {name}, by `uid`", entity)
            elif name not in found or field.holds is not None:
                tell(name, _phrase(field.description), entity)
    for entity in _OTHERS:
        known = filter_fields(entity)
        for column in sorted(measurable_fields(entity) | known.keys()):
            name = field_of_column(entity, column)
            about = _phrase(known[column].description) if column in known else _UNFILTERED[name]
            tell(name, about, entity)
    return {name: _sentence(about) for name, about in found.items()}


def _phrase(description: str) -> str:
    """What a field is, from what its filter says: "By the route."."""
    text = description.removeprefix("By ").partition(";")[0].rstrip(".")
    return text[:1].lower() + text[1:]


def _sentence(about: Mapping[str, Sequence[str]]) -> str:
    parts = [f"of {', '.join(entities)}: {what}" for what, entities in about.items()]
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."


_MEMBERS: Any = {
    name.upper(): strawberry.enum_value(name, description=about)
    for name, about in _field_names().items()
}
_NAMES: Any = Enum("FieldName", _MEMBERS, module=__name__)  # type: ignore[misc]
FieldName: Any = strawberry.enum(_NAMES, description="The fields of objects; not all have each.")


@strawberry.enum(description="A part of a date or a time; weeks begin on Monday (ISO 8601).")
class DatePart(Enum):
    YEAR = strawberry.enum_value("YEAR", description="Of dates and moments.")
    QUARTER = strawberry.enum_value("QUARTER", description="Of dates and moments.")
    MONTH = strawberry.enum_value("MONTH", description="Of dates and moments.")
    WEEK = strawberry.enum_value("WEEK", description="Of dates and moments.")
    DAY = strawberry.enum_value("DAY", description="Of dates and moments.")
    HOUR = strawberry.enum_value("HOUR", description="Of times of day, and of moments in UTC.")


@strawberry.input(
    description="An element of the headers, by `keyword` or by `path`. Of a patient, study or "
    "series it is what the headers of its images hold."
)
class ElementKey:
    keyword: str | None = _by(default=None, description="A standard keyword, such as EchoTime.")
    path: str | None = _by(
        default=None,
        description="A path into sequences, or a tag: (0019,109C), with any block (0019,xx9C).",
    )
    private_creator: str | None = _by(
        default=None, description="With the tag of a private element: its creator."
    )


@strawberry.input(description="What to group by: a field, an element, or a value of CSA headers.")
class GroupBy:
    field: FieldName | None = _by(
        default=None, description="A field of the objects that their filter has."
    )
    element: ElementKey | None = _by(default=None, description="An element of their headers.")
    csa: str | None = _by(
        default=None,
        description="A path in their Siemens CSA headers, as filters take it: B_value, "
        "MrPhoenixProtocol.sSliceArray.lSize. Of a list, a group for each member.",
    )
    each: bool = _by(
        default=False,
        description="Of a list, or an element of several values: a group for each member, with all "
        "that have it; else for each whole list.",
    )
    width: float | None = _by(
        default=None, description="Numbers in buckets of this width, one of which begins at 0."
    )
    bins: int | None = _by(
        default=None,
        description="Numbers in so many buckets of the same width, from the least to the greatest; "
        "up to 1,000.",
    )
    part: DatePart | None = _by(default=None, description="Dates and times by a part of theirs.")


@strawberry.enum(description="What groups can be sorted by.")
class GroupOrderField(Enum):
    COUNT = strawberry.enum_value("count", description="How many objects they have.")
    KEY = strawberry.enum_value("key", description="Their keys, the first first; null first.")


@strawberry.input(description="One thing to sort groups by, and the direction.")
class GroupOrder:
    field: GroupOrderField = _by(description="What to sort by.")
    direction: OrderDirection = _by(default=OrderDirection.ASC, description="In which direction.")


@strawberry.input(description="Which groups; all conditions must hold.")
class GroupHaving:
    count: IntFilter | None = _by(default=None, description="By how many objects they have.")


def group_key(entity: str, given: GroupBy) -> GroupKey:
    """What a list of an entity is grouped by. Raises BadInput."""
    if sum(each is not None for each in (given.field, given.element, given.csa)) != 1:
        raise BadInput("a group's key is a `field`, an `element` or a `csa` path: give one of them")
    if sum(each is not None for each in (given.width, given.bins, given.part)) > 1:
        raise BadInput("`width`, `bins` and `part` exclude each other")
    if given.width is not None and not (math.isfinite(given.width) and given.width > 0):
        raise BadInput("`width` must be greater than 0")
    if given.bins is not None and not 1 <= given.bins <= _MAX_BINS:
        raise BadInput(f"`bins` is {given.bins}; it must be from 1 to {_MAX_BINS}")
    part: Any = given.part.value if given.part is not None else None
    return replace(
        _named(entity, given), each=given.each, width=given.width, bins=given.bins, part=part
    )


def _named(entity: str, given: GroupBy) -> GroupKey:
    if given.csa is not None:
        if entity not in DESCRIBED:
            raise BadInput("these objects have no headers, so no CSA headers")
        if given.part is not None:
            raise BadInput("`part` is of dates and times, and CSA headers have texts and numbers")
        return GroupKey(csa=checked_path(given.csa))
    if given.field is not None and given.element is None:
        column = column_of_field(entity, given.field.value)
        if column not in filter_fields(entity):
            raise BadInput(_cannot_group(entity, given.field.name))
        return GroupKey(name=column, holds=filter_fields(entity)[column].holds)
    return value_key(entity, None, given.element)


def _cannot_group(entity: str, name: str) -> str:
    hint = _INSTEAD.get((entity, name), "keys are what the list can be filtered by")
    return f"{name} is no field that these objects can be grouped by: {hint}"


def value_key(entity: str, field: Any, element: ElementKey | None) -> GroupKey:
    """A field or an element of the objects of an entity. Raises BadInput."""
    if (field is None) == (element is None):
        raise BadInput("give `field` or `element`, one of them")
    if element is not None:
        if entity not in DESCRIBED:
            raise BadInput("these objects have no headers, so no elements")
        return GroupKey(path=element_names(element), each=True)
    column = column_of_field(entity, field.value)
    if column not in listed_fields(entity) | counted_fields(entity):
        raise BadInput(f"{field.name} is no field of these objects")
    return GroupKey(name=column)


def element_names(given: ElementKey) -> tuple[HasElement, ...]:
    """The names on the way to an element. Raises BadInput."""
    creator = checked_text(given.private_creator) if given.private_creator is not None else None
    if (given.keyword is None) == (given.path is None):
        raise BadInput("an element is named by `keyword` or `path`: one of them")
    if given.keyword is not None:
        return (HasElement(keyword=checked_keyword(given.keyword), private_creator=creator),)
    *steps, last = parse_path(given.path or "")
    names = [HasElement(keyword=s.keyword, tag=s.tag, index=s.item) for s in steps]
    return (*names, HasElement(keyword=last.keyword, tag=last.tag, private_creator=creator))


def group_request(
    entity: str,
    by: list[GroupBy],
    having: GroupHaving | None,
    order_by: list[GroupOrder] | None,
    first: int,
    offset: int,
    has_distinct: bool,
) -> GroupRequest:
    """The request for a page of groups. Raises BadInput."""
    if entity in _NO_GROUPS:
        raise BadInput(_NO_GROUPS[entity])
    if not 1 <= len(by) <= _MAX_KEYS:
        raise BadInput(f"`by` has {len(by)} keys; it must have 1 to {_MAX_KEYS}")
    if not 0 <= first <= _MAX_GROUPS:
        raise BadInput(f"`first` is {first}; it must be from 0 to {_MAX_GROUPS}")
    tests = tests_of(having.count) if having is not None and having.count is not None else []
    order = tuple(
        (str(each.field.value), each.direction is OrderDirection.DESC) for each in order_by or ()
    )
    keys = tuple(group_key(entity, each) for each in by)
    return GroupRequest(
        keys, tuple(tests), order or (("count", True),), first, offset, has_distinct
    )
