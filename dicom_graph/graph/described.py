"""Types and inputs whose fields are told by the description of an entity."""

from collections.abc import Callable
from typing import Any, TypeVar

import strawberry
from strawberry import UNSET

from dicom_graph.dicom.entities import Description
from dicom_graph.graph.dicom_directive import dicom_directives
from dicom_graph.graph.enums.choices import ENUMS
from dicom_graph.graph.inputs.clauses import input_class
from dicom_graph.store.tables.entities import ROW_ATTRIBUTES

T = TypeVar("T")


def described_by(described: Description) -> Callable[[type[T]], type[T]]:
    """For a type that inherits the class of an entity's fields: they get their descriptions, and
    stand in the order of these behind the id.
    """
    attributes = {a.name: a for a in (*described.attributes, *ROW_ATTRIBUTES)}
    places = {name: place for place, name in enumerate(("id", *described.by_name))}

    def decorate(cls: type[T]) -> type[T]:
        definition: Any = cls.__strawberry_definition__  # type: ignore[attr-defined]
        for field in definition.fields:
            if field.python_name in attributes:
                field.description = attributes[field.python_name].description
                field.directives = dicom_directives(attributes[field.python_name])
        definition.fields.sort(key=lambda field: places.get(field.python_name, len(places)))
        return cls

    return decorate


def update_input(described: Description, description: str) -> Callable[[type[T]], type[T]]:
    """Makes a class the input of an update: what can be edited comes after its own fields."""

    def decorate(cls: type[T]) -> type[T]:
        own = cls.__annotations__.items()
        members: dict[str, Any] = {name: (hint, cls.__dict__[name]) for name, hint in own}
        for attribute in described.editable:
            kind = ENUMS[attribute.choices] if attribute.choices is not None else attribute.type
            field = strawberry.field(
                default=UNSET,
                description=attribute.description,
                directives=dicom_directives(attribute),
            )
            members[attribute.name] = (kind | None, field)
        return input_class(cls, members, description)

    return decorate


def plain_fields(described: Description) -> tuple[str, ...]:
    """The fields of a type that are as in the row: all but the codes that the schema knows."""
    attributes = (*described.attributes, *ROW_ATTRIBUTES)
    return tuple(attribute.name for attribute in attributes if attribute.choices is None)
