"""Which fields of an entity its filter has, each with what conditions: what groups are made by."""

from dataclasses import fields
from enum import Enum
from functools import cache
from typing import Any, NamedTuple, get_args

from dicom_graph.graph.inputs.audit import AuditEntryFilter
from dicom_graph.graph.inputs.clauses import COLUMN
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

_FILTERS: dict[str, Any] = {
    "patient": PatientFilter, "study": StudyFilter, "series": SeriesFilter, "image": ImageFilter,
    "data_element": ElementFilter, "data_element_definition": DataElementDefinitionFilter,
    "import_job": ImportJobFilter, "audit_entry": AuditEntryFilter,
}  # fmt: skip
_BY_NAME = {
    "data_element": ("vm", "has_warnings"),
    "data_element_definition": ("keyword", "private_creator", "vr", "name"),
}
"""Fields of filters whose meaning stands elsewhere: they have their columns' names."""


class FilterField(NamedTuple):
    """A field of a filter, as clients write it, and the conditions that it takes, or `bool`."""

    name: str
    conditions: Any

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


@cache
def filter_fields(entity: str) -> dict[str, FilterField]:
    """By column, or count such as `n_images`; none of an entity whose lists take no filter."""
    found = {}
    for field in fields(_FILTERS[entity]) if entity in _FILTERS else ():
        column = field.metadata.get(COLUMN)
        if field.name in _BY_NAME.get(entity, ()):
            column = field.name
        if column is not None:
            conditions, *_ = get_args(_FILTERS[entity].__annotations__[field.name])
            found[column] = FilterField(camel_case(field.name), conditions)
    return found
