"""Fields of a filter, each with what it means: the conditions that its value becomes.

A filter is an input class whose fields were made here; `condition_of` reads it. So what a field
means stands beside its name, and nothing else has to know it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Annotated, Any, ForwardRef, TypeVar

import strawberry

from dicom_graph.dicom.entities import Description
from dicom_graph.errors import BadInput
from dicom_graph.graph.dicom_directive import dicom_directives
from dicom_graph.graph.inputs.operators import filter_of, tests_of
from dicom_graph.store.global_ids import split_global_id
from dicom_graph.store.read.conditions import (
    And,
    Condition,
    Count,
    Field,
    Not,
    Or,
    Related,
    Some,
    Test,
    every,
)
from dicom_graph.store.tables.entities import ROW_ATTRIBUTES

T = TypeVar("T")
Clause = Callable[[Any], Sequence[Condition]]
"""From the value of a field to conditions that must all hold. Raises BadInput."""
_CLAUSE = "clause"
COLUMN = "column"
"""In the metadata of a field: the column, or the count, that its conditions are on."""
HOLDS = "holds"
"""In the metadata of a truth value: the condition that it tells of."""
RELATED = "related"
"""In the metadata of conditions on one other object: its entity."""


@strawberry.input(description="Conditions on a global id.")
class IdFilter:
    eq: strawberry.ID | None = strawberry.field(default=None, description="Is this id.")
    in_: list[strawberry.ID] | None = strawberry.field(
        default=None, description="Is one of these.", name="in"
    )


def condition_of(given: Any) -> Condition | None:
    """The condition of a filter; None where nothing is asked. Raises BadInput."""
    parts: list[Condition] = []
    for field in fields(given):
        value = getattr(given, field.name)
        if value is not None:
            parts += field.metadata[_CLAUSE](value)
    return And(tuple(parts)) if parts else None


def required(given: Any) -> Condition:
    """The same; what always holds where nothing is asked."""
    return condition_of(given) or And(())


def where(
    description: str,
    clause: Clause,
    name: str | None = None,
    column: str | None = None,
    directives: Sequence[object] = (),
    **metadata: Any,
) -> Any:
    """A field of a filter, and what it means; `metadata`: `holds` or `related`."""
    return strawberry.field(
        default=None, description=description, name=name,
        metadata={_CLAUSE: clause, COLUMN: column, **metadata}, directives=directives,
    )  # fmt: skip


def by_column(description: str, column: str, directives: Sequence[object] = ()) -> Any:
    """Conditions on a column, or what it is (of a truth value)."""

    def clause(value: Any) -> Sequence[Condition]:
        tests = [Test("eq", value)] if isinstance(value, bool) else tests_of(value)
        return [Field(column, test) for test in tests]

    return where(description, clause, column=column, directives=directives)


def if_true(description: str, condition: Condition) -> Any:
    """Whether a condition holds."""
    return where(
        description, lambda value: [condition if value else Not(condition)], holds=condition
    )


def by_count(description: str, relation: str) -> Any:
    """Conditions on the length of a list."""

    def clause(value: Any) -> Sequence[Condition]:
        return [Count(relation, test) for test in tests_of(value)]

    return where(description, clause, column=f"n_{relation.partition('.')[2]}")


def by_list(description: str, relation: str) -> Any:
    """What some, none or every one of a list fulfils."""

    def clause(value: Any) -> Sequence[Condition]:
        parts: list[Condition] = []
        if value.some is not None:
            parts.append(Some(relation, required(value.some)))
        if value.none is not None:
            parts.append(Not(Some(relation, required(value.none))))
        if value.every is not None:
            parts.append(every(relation, required(value.every)))
        return parts

    return where(description, clause)


def by_some(description: str, relation: str) -> Any:
    """What some one of a list fulfils."""
    return where(description, lambda value: [Some(relation, required(value))])


def by_every(description: str, relation: str) -> Any:
    """What every one of a list fulfils."""
    return where(description, lambda value: [every(relation, required(value))])


def by_related(description: str, entity: str) -> Any:
    """What the one entity that a column leads to fulfils."""
    return where(
        description,
        lambda value: [Related(f"{entity}_id", entity, required(value))],
        related=entity,
    )


def by_id(type_name: str) -> Any:
    """Conditions on the global id of a type."""

    def key(id: str) -> int:
        found, number = split_global_id(id)
        if found != type_name:
            raise BadInput(f"{id!r} is the id of a {found}, not of a {type_name}")
        return number

    def clause(value: IdFilter) -> Sequence[Condition]:
        parts: list[Condition] = []
        if value.eq is not None:
            parts.append(Field("id", Test("eq", key(value.eq))))
        if value.in_ is not None:
            parts.append(Field("id", Test("in", tuple(map(key, value.in_)))))
        return parts

    return where("By global id.", clause)


def filter_input(
    description: str, *, type_name: str | None = None, described: Description | None = None
) -> Callable[[type[T]], type[T]]:
    """Makes a class the filter of a type: its own fields come after the logic, the id, and those
    of the entity's description.
    """

    def decorate(cls: type[T]) -> type[T]:
        members = _logic(cls)
        if type_name is not None:
            members["id"] = (IdFilter | None, by_id(type_name))
        if described is not None:
            members |= _described(described) | _comparing(described.name)
        own = {name: (hint, cls.__dict__[name]) for name, hint in cls.__annotations__.items()}
        return input_class(cls, {**members, **own}, description)

    return decorate


_COMPARISONS = "dicom_graph.graph.inputs.comparisons"


def _comparing(entity: str) -> dict[str, tuple[Any, Any]]:
    """Fields beside fields, and objects beside most of their group; these inputs, made of the
    filters' fields, know themselves what they mean.
    """
    pair: Any = Annotated[ForwardRef("FieldComparison"), strawberry.lazy(_COMPARISONS)]
    majority: Any = Annotated[ForwardRef("MajorityFilter"), strawberry.lazy(_COMPARISONS)]
    return {
        "fields": (
            list[pair] | None,
            where(
                "Fields compared with other fields of the same object.",
                lambda value: [each.condition(entity) for each in value],
            ),
        ),
        "differs_from_majority": (
            majority | None,
            where("It is not as most of its group.", lambda value: [value.condition(entity)]),
        ),
        "has_no_majority": (
            majority | None,
            where(
                "Its group has no majority: several are as frequent.",
                lambda value: [replace(value.condition(entity), is_tied=True)],
            ),
        ),
    }


def _logic(cls: type[Any]) -> dict[str, tuple[Any, Any]]:
    """What every filter can be put together with."""
    this: Any = Annotated[ForwardRef(cls.__name__), strawberry.lazy(cls.__module__)]
    both = where("All of these hold.", lambda given: [*map(required, given)], "and")
    either = where(
        "At least one of these holds.", lambda given: [Or(tuple(map(required, given)))], "or"
    )
    neither = where("This does not hold.", lambda given: [Not(required(given))], "not")
    return {
        "and_": (list[this] | None, both),
        "or_": (list[this] | None, either),
        "not_": (this | None, neither),
    }


def _described(described: Description) -> dict[str, tuple[Any, Any]]:
    """A field for each attribute, and for what a database adds."""
    members = {
        attribute.name: (
            filter_of(attribute) | None,
            by_column(
                f"By {attribute.phrase}.", attribute.name, directives=dicom_directives(attribute)
            ),
        )
        for attribute in (*described.attributes, *ROW_ATTRIBUTES)
    }
    is_edited = if_true(
        "Whether a person has set one of its fields.", Field("edited", Test("is_null", False))
    )
    return {**members, "edited": (bool | None, is_edited)}


def input_class(cls: type[T], members: Mapping[str, tuple[Any, Any]], description: str) -> type[T]:
    """The class as an input type with these members: their types and their fields."""
    cls.__annotations__ = {name: hint for name, (hint, _) in members.items()}
    for name, (_, field) in members.items():
        setattr(cls, name, field)
    return strawberry.input(cls, description=description)
