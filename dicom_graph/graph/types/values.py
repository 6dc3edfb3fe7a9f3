"""From the rows of an element to its values: typed, and as plain JSON."""

import base64
import datetime as dt
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from dicom_graph.dicom.code_meanings import display_name
from dicom_graph.dicom.elements.person_names import NameComponents, split_name
from dicom_graph.dicom.elements.values import BYTES_VRS, NUMBER_FORMATS
from dicom_graph.graph import csa
from dicom_graph.graph.scalars import BigInt
from dicom_graph.graph.types.value import (
    VALUE_TYPES,
    BigIntKind,
    CodeKind,
    CsaHeaderValue,
    DataElementValue,
    DateKind,
    DateTimeKind,
    FloatKind,
    IntKind,
    NameKind,
    PersonName,
    PersonNameGroup,
    TimeKind,
    UnknownKind,
    value_kind,
)
from dicom_graph.store.read.elements import ElementRow, ValueRow
from dicom_graph.store.read.plain_values import exact_integer, moment_of, raw_text, tidy

Typed = Callable[[ValueRow], Any]


def make_values(row: ElementRow) -> list[DataElementValue]:
    """The values of an element, typed by its VR. A CSA header is parsed: see `graph.csa`."""
    vr = row.definition.vr
    if vr == "SQ":
        return []
    if csa.is_csa_header(row):
        return [_csa_value(row)]
    if vr in BYTES_VRS:
        return [_bytes_value(row)] if row.vm else []
    kind = value_kind(vr)
    typed = _TYPED.get(kind, _text)
    made = VALUE_TYPES[vr]
    result: list[DataElementValue] = []
    for value in row.values:
        fields = {"value": typed(value), "row": row, "value_row": value}
        if kind is CodeKind:
            fields["meaning"] = display_name(row.definition.keyword, value.text)
        if kind is DateTimeKind:
            moment = moment_of(value)
            fields["instant"] = moment if moment is not None and moment.tzinfo else None
        warnings = [value.warning] if value.warning else []
        raw = raw_text(value)
        if raw is None and (vr in NUMBER_FORMATS or vr == "AT"):
            raw = _base64(row.raw)
        result.append(made(index=value.position, raw=raw, warnings=warnings, **fields))
    return result


def plain_value(row: ElementRow) -> Any:
    """The value of an element as JSON: a scalar for one, a list for several, None for none."""
    vr = row.definition.vr
    if csa.is_csa_header(row):
        return csa.parsed(row)[0]
    if vr in BYTES_VRS:
        return _base64(row.raw) if row.vm else None
    plain = _PLAIN.get(vr, _text)
    values = [plain(value) for value in row.values]
    return values[0] if len(values) == 1 else values or None


def _text(value: ValueRow) -> str | None:
    return value.text


def _number(value: ValueRow) -> float | None:
    return value.number if value.warning is None else None


def _safe_integer(value: ValueRow) -> int | str | None:
    number = exact_integer(value)
    return str(number) if number is not None and abs(number) > 2**53 else number


def _tidy_number(value: ValueRow) -> float | int | None:
    number = _number(value)
    return tidy(number) if number is not None else None


def _name(value: ValueRow) -> PersonName | None:
    if value.text is None:
        return None
    alphabetic, ideographic, phonetic = map(_name_group, split_name(value.text))
    return PersonName(alphabetic=alphabetic, ideographic=ideographic, phonetic=phonetic)


def _name_group(parts: NameComponents) -> PersonNameGroup:
    return PersonNameGroup(**parts._asdict())


def _iso(moment: dt.date | dt.time | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _base64(raw: bytes | None) -> str | None:
    return base64.b64encode(raw).decode() if raw is not None else None


def _bytes_value(row: ElementRow) -> DataElementValue:
    digest = sha256(row.raw).digest() if row.raw is not None else row.sha256
    vr = row.definition.vr
    fields: dict[str, Any] = {
        "index": 0,
        "raw": _base64(row.raw),
        "warnings": row.warnings,
        "row": row,
        "value": _base64(row.raw),
        "length": BigInt(row.length),
        "digest": digest.hex() if digest is not None else None,
    }
    if value_kind(vr) is UnknownKind:
        fields["text"] = row.values[0].text if row.values else None
    made: DataElementValue = VALUE_TYPES[vr](**fields)
    return made


def _csa_value(row: ElementRow) -> DataElementValue:
    parsed, warning = csa.parsed(row)
    return CsaHeaderValue(
        index=0,
        row=row,
        raw=_base64(row.raw),
        warnings=row.warnings + ([warning] if warning else []),
        value=parsed,
        length=BigInt(row.length),
    )


_TYPED: dict[type[DataElementValue], Typed] = {
    FloatKind: _number,
    IntKind: exact_integer,
    BigIntKind: exact_integer,
    DateKind: lambda value: value.date,
    TimeKind: lambda value: value.time,
    DateTimeKind: moment_of,
    NameKind: _name,
}
_PLAIN: dict[str, Typed] = {
    "AS": _number,
    "DA": lambda value: _iso(value.date),
    "DS": _tidy_number,
    "DT": lambda value: _iso(moment_of(value)),
    "FD": _number,
    "FL": _number,
    "TM": lambda value: _iso(value.time),
} | dict.fromkeys(("IS", "SL", "SS", "SV", "UL", "US", "UV"), _safe_integer)
