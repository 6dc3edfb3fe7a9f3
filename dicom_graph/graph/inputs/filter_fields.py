"""Which fields of an entity its filter has, each with what conditions: what groups are made by."""

from dataclasses import fields
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, get_args

from dicom_graph.graph.inputs.audit import AuditEntryFilter
from dicom_graph.graph.inputs.clauses import COLUMN, HOLDS, RELATED
from dicom_graph.graph.inputs.elements import DataElementDefinitionFilter, ElementFilter
from dicom_graph.graph.inputs.entities import (
    ImageFilter,
    ImportJobFilter,
    PatientFilter,
    SeriesFilter,
    StudyFilter,
)
from dicom_graph.graph.inputs.field_names import camel_case
from dicom_graph.graph.inputs.operators import (
    DateTimeFilter,
    FloatListFilter,
    IntFilter,
    StringListFilter,
)
from dicom_graph.store.read.conditions import Condition, Field, Test

_FILTERS: dict[str, Any] = {
    "patient": PatientFilter, "study": StudyFilter, "series": SeriesFilter, "image": ImageFilter,
    "data_element": ElementFilter, "data_element_definition": DataElementDefinitionFilter,
    "import_job": ImportJobFilter, "audit_entry": AuditEntryFilter,
}  # fmt: skip
_BY_NAME = {
    "data_element": ("vm", "vr", "has_warnings"),
    "data_element_definition": ("keyword", "private_creator", "vr", "name"),
}
"""Fields of filters whose meaning stands elsewhere: they have their columns' names."""
_COLUMNS = {
    "import_job": {
        "created_at": "created", "created": "images_created", "updated": "images_updated",
        "existing": "images_existing",
    },
    "audit_entry": {"created_at": "created"},
}  # fmt: skip
"""Where a type calls a field otherwise than its column is called."""
_PRIVATE = Field("is_private", Test("eq", True))


class FilterField(NamedTuple):
    """A field of a filter, as clients write it, and the conditions that it takes; or `bool`, or
    `str` of what has to be the same.

    `holds`: of a `bool`, the condition that it tells of, where that is no column. `related`: the
    conditions are the filter of this entity, of which there is one at most. `description`: what
    the filter says.
    """

    name: str
    conditions: Any
    description: str
    holds: Condition | None = None
    related: str | None = None

    @property
    def is_list(self) -> bool:
        """Whether the conditions are on a list."""
        return self.conditions in (StringListFilter, FloatListFilter)

    @property
    def is_text_list(self) -> bool:
        """Whether they are on a list of texts."""
        return self.conditions is StringListFilter

    @property
    def is_integer(self) -> bool:
        """Whether they are on a whole number."""
        return self.conditions is IntFilter

    @property
    def is_moment(self) -> bool:
        """Whether they are on a date with a time."""
        return self.conditions is DateTimeFilter

    @property
    def choices(self) -> type[Enum] | None:
        """The values that there are, where these are few."""
        operators = getattr(self.conditions, "__annotations__", {})
        found = [a for a in get_args(operators.get("eq")) if isinstance(a, type)]
        return next((a for a in found if issubclass(a, Enum)), None)


def column_of_field(entity: str, name: str) -> str:
    """The column, or count, of a field of a type, both as echo_time."""
    return _COLUMNS.get(entity, {}).get(name, name)


def field_of_column(entity: str, column: str) -> str:
    """The reverse."""
    names = {column: name for name, column in _COLUMNS.get(entity, {}).items()}
    return names.get(column, column)


@cache
def filter_fields(entity: str) -> dict[str, FilterField]:
    """By column, count such as `n_images`, or entity; none where lists take no filter."""
    found: dict[str, FilterField] = {}
    for field in fields(_FILTERS[entity]) if entity in _FILTERS else ():
        column = field.metadata.get(COLUMN)
        if field.name in _BY_NAME.get(entity, ()):
            column = field.name
        holds, related = field.metadata.get(HOLDS), field.metadata.get(RELATED)
        name = column or related or (field.name if holds is not None else None)
        if name is not None:
            conditions, *_ = get_args(_FILTERS[entity].__annotations__[field.name])
            found[name] = FilterField(
                camel_case(field.name),
                conditions,
                getattr(field, "description", None) or "",
                holds,
                related,
            )
    if entity == "data_element_definition":
        found["is_private"] = FilterField("private", bool, "Whether it is private.", _PRIVATE)
    return found
