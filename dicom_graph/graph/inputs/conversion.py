"""Inputs made of what a client sent, quickly.

Strawberry looks at each input object for all the fields that its type has, and works out their
names and types anew: of 250 filters of images, which have 50 fields each, that takes 0.1 s.
"""

from collections.abc import Callable, Mapping
from dataclasses import MISSING
from functools import cached_property
from typing import Any

from graphql import GraphQLInputObjectType, GraphQLSchema
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types import has_object_definition
from strawberry.types.arguments import InputContext
from strawberry.types.base import (
    StrawberryList,
    StrawberryObjectDefinition,
    StrawberryOptional,
    StrawberryType,
)
from strawberry.types.lazy_type import LazyType

NameOf = Callable[[Any], str]
Convert = Callable[[Any, InputContext], Any]


def convert_quickly(schema: GraphQLSchema, name_of: NameOf) -> None:
    """Make the inputs of a schema so. `name_of`: the name in it of a Strawberry field."""
    for named in schema.type_map.values():
        if isinstance(named, GraphQLInputObjectType):
            definition = named.extensions[GraphQLCoreConverter.DEFINITION_BACKREF]
            definition.from_input = _Maker(definition, name_of)


class _Maker:
    """Makes objects of one input type."""

    def __init__(self, definition: StrawberryObjectDefinition, name_of: NameOf) -> None:
        self._definition = definition
        self._name_of = name_of

    @cached_property
    def _members(self) -> dict[str, tuple[str, Convert]]:
        """By their names in the schema, the fields' names in Python and what converts a value."""
        return {
            self._name_of(field): (
                field.python_name,
                _converter(field.resolve_type(type_definition=self._definition)),
            )
            for field in self._definition.fields
        }

    @cached_property
    def _absent(self) -> dict[str, None]:
        """What is None where it is not given."""
        return {
            field.python_name: None
            for field in self._definition.fields
            if field.default_value is MISSING and field.default_factory is MISSING
        }

    def __call__(self, type_: type, given: Mapping[str, Any], context: InputContext) -> Any:
        values: dict[str, Any] = dict(self._absent)
        for name, value in given.items():
            python_name, convert = self._members[name]
            values[python_name] = convert(value, context)
        return type_(**values)


def _converter(type_: Any) -> Convert:
    """What Strawberry's `convert_argument` does with values of a type."""
    if isinstance(type_, LazyType):
        return _converter(type_.resolve_type())
    if isinstance(type_, StrawberryList):
        inner = _converter(type_.of_type)
        return lambda values, context: (
            None if values is None else [inner(value, context) for value in values]
        )
    if type(type_) is StrawberryOptional:
        inner = _converter(type_.of_type)
        return lambda value, context: None if value is None else inner(value, context)
    if has_object_definition(type_):
        make = type_.__strawberry_definition__.from_input
        return lambda value, context: make(type_, value, context)  # type: ignore[misc]
    if isinstance(type_, StrawberryType):
        return lambda value, context: context.convert(value, type_)
    return lambda value, context: value  # graphql-core has made it of a scalar.
