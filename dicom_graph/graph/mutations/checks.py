"""What an edited field may be: what DICOM allows there, and both databases hold."""

import datetime as dt
import math
import re
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from dicom_graph.graph.inputs.names import camel_case
from dicom_graph.graph.mutations.payload import UserError

_MAX_TEXT = 1024
_MAX_NAME_PART = 64
_MAX_CODES = 16
_CODE = re.compile(r"[A-Z0-9_](?:[A-Z0-9_ ]{0,14}[A-Z0-9_])?")
_SEXES = ("M", "F", "O")

Check = Callable[[Any], Any]


class BadValue(ValueError):
    """A value that the field cannot have; `code` says it to a program."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


def check_fields(entity: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[UserError]]:
    """The columns to set, and what is wrong with them; null is right for all."""
    values: dict[str, Any] = {}
    errors = []
    for name, value in given.items():
        try:
            values[name] = None if value is None else EDITABLE[entity][name](value)
        except BadValue as error:
            field = camel_case(name)
            message = f"`{field}` {error}"
            errors.append(UserError(message=message, field=field, code=error.code))
    return values, errors


def _text(value: str) -> str:
    return _checked_text(value, _MAX_TEXT)


def _name_part(value: str) -> str:
    if any(mark in value for mark in "^=\\"):
        raise BadValue("must not hold ^, = or a backslash: they separate names", "BAD_TEXT")
    return _checked_text(value, _MAX_NAME_PART)


def _checked_text(value: str, longest: int) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise BadValue("holds a control character or half a surrogate pair", "BAD_TEXT")
    text = value.strip()
    if not text:
        raise BadValue("is empty: give null to remove it", "BAD_TEXT")
    if len(text) > longest:
        raise BadValue(f"has {len(text)} characters; at most {longest} fit", "TOO_LONG")
    return text


def _code(value: str) -> str:
    if not _CODE.fullmatch(value):
        raise BadValue(
            "must be a code: 1 to 16 capitals, digits, underscores and inner spaces", "BAD_CODE"
        )
    return value


def _codes(value: list[str]) -> list[str]:
    if not 1 <= len(value) <= _MAX_CODES:
        raise BadValue(f"must have 1 to {_MAX_CODES} codes, or be null", "BAD_LENGTH")
    return [_code(code) for code in value]


def _sex(value: str) -> str:
    if value not in _SEXES:
        raise BadValue("must be M, F or O", "BAD_CODE")
    return value


def _number(value: float) -> float:
    if not math.isfinite(value):
        raise BadValue("must be a finite number", "BAD_NUMBER")
    return float(value)


def _not_negative(value: Any) -> Any:
    if _number(value) < 0:
        raise BadValue("must not be negative", "BAD_NUMBER")
    return value


def _spacing(value: list[float]) -> list[float]:
    if len(value) != 2:
        raise BadValue("must have two numbers: between rows, then between columns", "BAD_LENGTH")
    if any(_number(length) <= 0 for length in value):
        raise BadValue("must be greater than 0", "BAD_NUMBER")
    return [float(length) for length in value]


def _time(value: dt.time) -> dt.time:
    if value.tzinfo is not None:
        raise BadValue("must have no time zone: it is local time", "BAD_TIME")
    return value


def _any(value: Any) -> Any:
    return value


def _enum(value: Any) -> Any:
    return value.value


_STUDY: dict[str, Check] = {"description": _text, "date": _any, "time": _time}
EDITABLE: dict[str, dict[str, Check]] = {
    "patient": {
        "name_prefix": _name_part,
        "given_name": _name_part,
        "middle_name": _name_part,
        "family_name": _name_part,
        "name_suffix": _name_part,
        "sex": _sex,
        "date_of_birth": _any,
    },
    "study": _STUDY,
    "series": {
        **_STUDY,
        "number": _any,
        "modality": _code,
        "body_part_examined": _code,
        "patient_position": _code,
        "protocol_name": _text,
        "manufacturer": _text,
        "manufacturer_model_name": _text,
        "device_serial_number": _text,
        "institution_name": _text,
        "operators_name": _text,
        "magnetic_field_strength": _not_negative,
        "echo_time": _not_negative,
        "echo_train_length": _not_negative,
        "inversion_time": _not_negative,
        "repetition_time": _not_negative,
        "flip_angle": _number,
        "slice_thickness": _not_negative,
        "pixel_spacing": _spacing,
        "scanning_sequence": _codes,
        "sequence_variant": _codes,
        "sequence_name": _text,
        "pulse_sequence_name": _text,
        "mr_acquisition_type": _code,
        "sequence_type": _enum,
    },
    "image": {"number": _any, "date": _any, "time": _time},
}
"""The columns of each entity that can be edited, with what checks them."""
