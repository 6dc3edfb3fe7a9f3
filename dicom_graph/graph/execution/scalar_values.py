"""Values of scalar fields: how they are read off an object, and made into what an answer has."""

import datetime as dt
import json
from collections.abc import Callable, Mapping
from math import isfinite
from types import NoneType
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLLeafType,
    GraphQLOutputType,
    Undefined,
    is_enum_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from strawberry.execution import optimized_is_awaitable
from strawberry.schema.schema_converter import GraphQLCoreConverter

Complete = Callable[[Any], Any]


_MOMENTS: Mapping[str, type] = {"Date": dt.date, "Time": dt.time, "DateTime": dt.datetime}
"""What scalars are made of that write every one of these as a text."""


class Unfit(Exception):
    """Something that only graphql-core's own way can answer."""


def reader(field: GraphQLField) -> Callable[[Any], Any] | None:
    """What reads a field of scalars off an object; None where it is more than an attribute, or a
    method that needs nothing else and does not wait.
    """
    defined = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
    complete = completer(field.type)
    if defined is None or complete is None or defined.extensions or defined.permission_classes:
        return None
    resolver = defined.base_resolver
    if resolver is None:
        attribute: str = defined.python_name
        return lambda source: complete(getattr(source, attribute))
    if resolver.arguments or resolver.info_parameter is not None or resolver.is_async:
        return None
    method = resolver.wrapped_func
    return lambda source: complete(method(source))


def completed_column(output: GraphQLOutputType, complete: Complete, values: list[Any]) -> list[Any]:
    """The outputs of the values of many objects, by the `complete` of their type. Raises what that
    does.
    """
    kinds = set(map(type, values))
    named = output.of_type if is_non_null_type(output) else output
    if NoneType in kinds:
        if named is not output:
            raise Unfit
        kinds.discard(NoneType)
    if not kinds:
        return values
    if len(kinds) == 1 and is_leaf_type(named):
        return _of_one_kind(named, complete, values, kinds.pop())
    return list(map(complete, values))


def _of_one_kind(
    named: GraphQLLeafType, complete: Complete, values: list[Any], kind: type
) -> list[Any]:
    """The outputs of values that all are of one class, but for those that are None."""
    if kind is str and named.name in ("String", "ID"):
        return values
    numbers = [value for value in values if value is not None]
    if kind is int and named.name == "Int" and -(2**31) <= min(numbers) <= max(numbers) < 2**31:
        return values
    if kind is float and named.name == "Float" and all(map(isfinite, numbers)):
        return values
    if kind is _MOMENTS.get(named.name):
        coerce = named.coerce_output_value
        return [None if value is None else coerce(value) for value in values]
    if is_enum_type(named):
        known = {value: complete(value) for value in set(values)}
        return list(map(known.__getitem__, values))
    return list(map(complete, values))


def size_of_column(values: list[Any]) -> int:
    """About the bytes of many values in JSON."""
    kinds = set(map(type, values)) - {NoneType}
    if kinds <= {int, float, bool}:
        return 8 * len(values)
    if kinds == {str}:
        text = "".join([value for value in values if value is not None])
        if text.isascii():
            return len(text) + 4 * len(values)
    return sum(map(size_of, values))


def size_of(value: Any) -> int:
    """About the bytes of a value in JSON."""
    if type(value) is str:
        # Written out where not all is ASCII: each other character becomes 6 bytes, or 12.
        return len(value) + 2 if value.isascii() else len(json.dumps(value))
    if isinstance(value, list | dict):
        return len(json.dumps(value, default=str))
    return 8


def completer(output: GraphQLOutputType) -> Complete | None:
    """What turns a value of a scalar type, or a list of such, into its output; may raise."""
    if is_leaf_type(output):
        return _coercing(output)
    if not is_non_null_type(output) and not is_list_type(output):
        return None
    inner = completer(output.of_type)
    if inner is None:
        return None
    return _refusing_none(inner) if is_non_null_type(output) else _each(inner)


def _coercing(output: GraphQLLeafType) -> Complete:
    coerce = output.coerce_output_value
    is_text = output.name in ("String", "ID")

    def complete(value: Any) -> Any:
        if value is None or (is_text and value.__class__ is str):
            return value
        if isinstance(value, Exception) or optimized_is_awaitable(value):
            raise Unfit
        coerced = coerce(value)
        if coerced is None or coerced is Undefined:
            raise Unfit
        return coerced

    return complete


def _refusing_none(inner: Complete) -> Complete:
    def complete(value: Any) -> Any:
        completed = inner(value)
        if completed is None:
            raise Unfit
        return completed

    return complete


def _each(inner: Complete) -> Complete:
    def complete(values: Any) -> Any:
        if values is None:
            return None
        if not isinstance(values, list | tuple):
            raise Unfit
        return [inner(value) for value in values]

    return complete
