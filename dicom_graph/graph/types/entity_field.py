"""What is known of an entity's fields: for tables and forms that nobody writes by hand."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import fields
from enum import Enum
from typing import Any, get_args

import strawberry

from dicom_graph.dicom.dictionary import format_tag
from dicom_graph.dicom.entities import Attribute
from dicom_graph.graph.inputs.field_names import camel_case
from dicom_graph.graph.inputs.groups import FieldName
from dicom_graph.graph.inputs.operators import IntFilter, filter_of
from dicom_graph.graph.registry import ENTITIES, Entity
from dicom_graph.graph.scalars import LocalDateTime
from dicom_graph.store.read.fields import counted_fields
from dicom_graph.store.tables.entities import ROW_ATTRIBUTES

_field = strawberry.field


@strawberry.enum(description="The kinds of objects that an archive is made of.")
class EntityType(Enum):
    PATIENT = strawberry.enum_value("patient", description="Patients.")
    STUDY = strawberry.enum_value("study", description="Studies.")
    SERIES = strawberry.enum_value("series", description="Series.")
    IMAGE = strawberry.enum_value("image", description="Images.")


@strawberry.enum(description="What kind of value a field has.")
class FieldType(Enum):
    STRING = strawberry.enum_value("STRING", description="A text.")
    INT = strawberry.enum_value("INT", description="A whole number.")
    FLOAT = strawberry.enum_value("FLOAT", description="A number.")
    DATE = strawberry.enum_value("DATE", description="A date, as 2020-12-31.")
    TIME = strawberry.enum_value("TIME", description="A time of day, as 12:30:00.")
    DATE_TIME = strawberry.enum_value("DATE_TIME", description="An instant, with its offset.")
    LOCAL_DATE_TIME = strawberry.enum_value(
        "LOCAL_DATE_TIME", description="Date and time, without an offset."
    )
    ENUM = strawberry.enum_value("ENUM", description="One of the field's `choices`.")
    STRING_LIST = strawberry.enum_value("STRING_LIST", description="A list of texts.")
    FLOAT_LIST = strawberry.enum_value("FLOAT_LIST", description="A list of numbers.")


_TYPES = {
    str: FieldType.STRING,
    int: FieldType.INT,
    float: FieldType.FLOAT,
    dt.date: FieldType.DATE,
    dt.time: FieldType.TIME,
    dt.datetime: FieldType.DATE_TIME,
    list[str]: FieldType.STRING_LIST,
    list[float]: FieldType.FLOAT_LIST,
    LocalDateTime: FieldType.LOCAL_DATE_TIME,
}
_MORE = {
    "patient": (
        Attribute(
            about="date and time of the latest study; midnight where it has no time",
            name="latest_study_time", type=LocalDateTime, group="Patient",
        ),
    ),
    "image": (
        Attribute(
            about="when the last of its files was found gone, UTC; null while one is there",
            name="missing_since", type=dt.datetime, group="Database",
        ),
    ),
}  # fmt: skip
"""Fields of a type that neither its description nor its rows have, by entity."""


_OPERATORS = {
    "eq": "Is the same; of a list, in the same order.", "ne": "Is another, or missing.",
    "in": "Is one of several.", "ieq": "Is the same text, in either case.",
    "iin": "Is one of several texts, in either case.", "contains": "Contains a text.",
    "icontains": "Contains a text, in either case.", "startsWith": "Begins with a text.",
    "istartsWith": "Begins with a text, in either case.", "endsWith": "Ends with a text.",
    "regex": "Matches a regular expression.", "gt": "Is greater, or later.",
    "gte": "Is not less, or not earlier.", "lt": "Is less, or earlier.",
    "lte": "Is not greater, or not later.", "between": "Lies between two, both included.",
    "exactly": "A list that holds these and no others, as a set.",
    "containsAll": "A list that holds all of these.",
    "containsAny": "A list that holds at least one of these.",
    "any": "A list of numbers, at least one of which fulfils conditions.",
    "length": "A list of so many.", "isNull": "Is missing, or is there.",
}  # fmt: skip
_NAMES: Any = Enum(  # type: ignore[misc]
    "FilterOperator",
    {name: strawberry.enum_value(name, description=about) for name, about in _OPERATORS.items()},
    module=__name__,
)
FilterOperator: Any = strawberry.enum(
    _NAMES, description="An operator of a filter, spelled as it is there."
)


@strawberry.type(description="A field of patients, studies, series or images.")
class EntityField:
    field: FieldName = _field(
        description="The field, as groups, facets, statistics and orders name it: ECHO_TIME."
    )
    name: str = _field(
        description="The same as a property of its type, its filter and its update: echoTime."
    )
    label: str = _field(description="What people call it: Echo Time.")
    description: str = _field(description="What it is, in a sentence.")
    type: FieldType = _field(description="What kind of value it has.")
    unit: str | None = _field(description="The unit of its numbers, a code of UCUM such as ms.")
    group: str = _field(
        description="The heading that it belongs under: a module of PS3.3, Counts or Database."
    )
    keyword: str | None = _field(description="The keyword of the element that it is, if it is one.")
    tag: str | None = _field(description="The tag of that element: (0018,0081).")
    choices: list[str] | None = _field(description="The values that there are, of an enum.")
    operators: list[FilterOperator] = _field(
        description="The operators that its filter takes, such as gte; none without one."
    )
    sortable: bool = _field(description="Whether lists can be sorted by it.")
    filterable: bool = _field(description="Whether lists can be filtered by it.")
    editable: bool = _field(description="Whether an update can set it.")
    nullable: bool = _field(description="Whether it may be missing.")


def fields_of(entity: EntityType) -> list[EntityField]:
    """The fields of an entity, in the order of the schema."""
    return list(_fields_of(ENTITIES[str(entity.value)]))


def _fields_of(entity: Entity) -> Iterator[EntityField]:
    assert entity.described is not None
    hint = entity.order.__annotations__["field"]
    sortable = {member.value for member in (*get_args(hint), hint)[0]}
    filterable = {field.name for field in fields(entity.filter)}
    attributes = (
        *entity.described.attributes, *ROW_ATTRIBUTES, *_counts(entity.name),
        *_MORE.get(entity.name, ()),
    )  # fmt: skip
    for attribute in attributes:
        yield _field_of(attribute, attribute.name in sortable, attribute.name in filterable)


def _counts(entity: str) -> Iterator[Attribute]:
    """The counts of lists, as if they were attributes."""
    for name in ("n_patients", "n_studies", "n_series", "n_images"):
        if name in counted_fields(entity):
            what = name.removeprefix("n_")
            yield Attribute(
                about=f"number of {what}", name=name, type=int, group="Counts", optional=False
            )


def _field_of(attribute: Attribute, is_sortable: bool, is_filterable: bool) -> EntityField:
    choices = attribute.choices
    names: list[str] = []
    if is_filterable:
        conditions: Any = IntFilter if attribute.group == "Counts" else filter_of(attribute)
        names = [field.name for field in fields(conditions)]
    return EntityField(
        field=FieldName(attribute.name),
        name=camel_case(attribute.name),
        label=attribute.label,
        description=attribute.description,
        type=FieldType.ENUM if choices is not None else _TYPES[attribute.type],
        unit=attribute.unit,
        group=attribute.group,
        keyword=attribute.keyword,
        tag=format_tag(attribute.tag) if attribute.tag is not None else None,
        choices=[member.name for member in choices] if choices is not None else None,
        operators=[FilterOperator(camel_case(name.rstrip("_"))) for name in names],
        sortable=is_sortable,
        filterable=is_filterable,
        editable=attribute.edit is not None,
        nullable=attribute.optional and attribute not in ROW_ATTRIBUTES,
    )
