"""Filters that compare: fields with fields, and an object with most of its group."""

from typing import Any, Literal

import strawberry

from dicom_graph.dicom.entities import DESCRIBED
from dicom_graph.errors import BadInput
from dicom_graph.graph.inputs.groups import FieldName, GroupBy, group_key
from dicom_graph.store.read.conditions import And, Condition, DiffersFromMajority, FieldPair
from dicom_graph.store.read.fields import counted_fields
from dicom_graph.store.tables.entities import ROW_ATTRIBUTES

_by = strawberry.field
_OPERATORS: tuple[Literal["eq", "ne", "gt", "gte", "lt", "lte"], ...] = (
    "eq", "ne", "gt", "gte", "lt", "lte",
)  # fmt: skip
_MAX_KEYS = 5
_LISTS = (list[str], list[float])


@strawberry.input(
    description="A field beside other fields of the same object; all that is given must hold. "
    "Where either is missing nothing holds."
)
class FieldComparison:
    field: FieldName = _by(description="The field.")
    eq: FieldName | None = _by(default=None, description="Is the same as this one.")
    ne: FieldName | None = _by(default=None, description="Is another than this one.")
    gt: FieldName | None = _by(default=None, description="Is greater than this one, or later.")
    gte: FieldName | None = _by(default=None, description="Is not less than this one.")
    lt: FieldName | None = _by(default=None, description="Is less than this one, or earlier.")
    lte: FieldName | None = _by(default=None, description="Is not greater than this one.")

    def condition(self, entity: str) -> Condition:
        """What it means for objects of an entity. Raises BadInput."""
        kind = _kind(entity, self.field)
        parts: list[Condition] = []
        for operator in _OPERATORS:
            other = getattr(self, operator)
            if other is None:
                continue
            if _kind(entity, other) != kind:
                message = f"{self.field.name} and {other.name} cannot be compared: {kind}, "
                raise BadInput(f"{message}{_kind(entity, other)}")
            parts.append(FieldPair(self.field.value, operator, other.value))
        if not parts:
            raise BadInput(f"say what {self.field.name} is compared with: `eq`, `ne`, `gt`, …")
        return And(tuple(parts))


def _kind(entity: str, field: Any) -> str:
    """What the values of a field are. Raises BadInput for what cannot be compared."""
    if field.value in counted_fields(entity):
        return "a number"
    known = {a.name: a for a in (*DESCRIBED[entity].attributes, *ROW_ATTRIBUTES)}
    attribute = known.get(field.value)
    if attribute is None or attribute.type in _LISTS or attribute.name == "uid":
        raise BadInput(f"{field.name} is no field of these objects that can be compared")
    if attribute.choices is not None:
        return f"a {attribute.choices.__name__}"
    names = {str: "a text", int: "a number", float: "a number"}
    return names.get(attribute.type, f"a {attribute.type.__name__}")


@strawberry.input(
    description="Objects that are not as most of their group: of all that have the same `within`, "
    "those that have another `of` than the most frequent one. What is missing counts as a value. "
    "Where several are as frequent as each other there is no majority, and nobody differs: "
    "`hasNoMajority` finds these, and `warnings` of the list tells of them."
)
class MajorityFilter:
    within: list[GroupBy] = _by(
        description="What the members of a group share: up to 5 keys; without, all are one group."
    )
    of: list[GroupBy] = _by(description="What is compared, together: 1 to 5 keys.")

    def condition(self, entity: str) -> DiffersFromMajority:
        """What it means for objects of an entity. Raises BadInput."""
        if len(self.within) > _MAX_KEYS or not 1 <= len(self.of) <= _MAX_KEYS:
            raise BadInput(f"`within` takes up to {_MAX_KEYS} keys, `of` 1 to {_MAX_KEYS}")
        within, of = (
            tuple(group_key(entity, each) for each in keys) for keys in (self.within, self.of)
        )
        return DiffersFromMajority(within, of)
