"""The values that an edit sets, checked as the descriptions of the fields say."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from enum import Enum
from typing import Any

from strawberry import UNSET

from dicom_graph.dicom.entities import Description
from dicom_graph.dicom.entities.checks import BadValue
from dicom_graph.graph.inputs.field_names import camel_case
from dicom_graph.graph.mutations.payload import UserError
from dicom_graph.store.ingest.edited import NAME_PARTS


def given_fields(input: Any, *, but: Collection[str]) -> dict[str, Any]:
    """Returns the values of the fields that a client gave, null too, without those of `but`."""
    return {
        field.name: value
        for field in fields(input)
        if field.name not in but and (value := getattr(input, field.name)) is not UNSET
    }


def check_fields(
    described: Description, given: Mapping[str, Any]
) -> tuple[dict[str, Any], list[UserError]]:
    """The columns to set, and what is wrong with them; null is right for all."""
    checks = {attribute.name: attribute.edit for attribute in described.editable}
    values: dict[str, Any] = {}
    errors = []
    for name, value in given.items():
        check = checks[name]
        plain = value.value if isinstance(value, Enum) else value
        try:
            values[name] = check(plain) if check is not None and plain is not None else None
        except BadValue as error:
            errors.append(bad_value(camel_case(name), error))
    return values, errors


def bad_name(given: Mapping[str, Any], error: BadValue) -> UserError:
    """What is wrong with a name as a whole, told of the first of its parts that was given."""
    return bad_value(camel_case(next(name for name in given if name in NAME_PARTS)), error)


def bad_value(field: str, error: BadValue) -> UserError:
    """What is wrong with a field of the input."""
    return UserError.about(field, f"`{field}` {error}", error.code)
