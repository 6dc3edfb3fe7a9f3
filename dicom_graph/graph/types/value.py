"""DataElementValue: one type for each VR (PS3.5 6.2)."""

import base64
import datetime as dt
from collections.abc import Callable
from hashlib import sha256
from typing import Annotated, Any

import strawberry

from dicom_graph.dicom.names import NameComponents, split_name
from dicom_graph.dicom.values import BYTES_VRS, parse_datetime
from dicom_graph.graph.computed import computed
from dicom_graph.graph.scalars import BigInt
from dicom_graph.store.read.elements import ElementRow, ValueRow

_field = strawberry.field


@strawberry.interface(description="One value of a data element.")
class DataElementValue:
    index: int = _field(description="Its place among the element's values, from 0.")
    raw: str | None = _field(
        description="As in the file: of a text VR its characters without padding, of a number its "
        "decimal digits, of bytes base64 (null beyond 64 KiB)."
    )
    warnings: list[str] = _field(description="Why there is no typed value, or what is odd.")

    @computed("The beginning of `raw`, with … where it goes on.")
    def raw_peek(
        self,
        size: Annotated[int, strawberry.argument(description="At most so many characters.")] = 100,
    ) -> str | None:
        size = max(size, 0)
        if self.raw is None or len(self.raw) <= size:
            return self.raw
        return self.raw[:size] + "…"


@strawberry.type
class _TextValue(DataElementValue):
    value: str | None = _field(description="The text.")


@strawberry.type
class _FloatValue(DataElementValue):
    value: float | None = _field(description="The number; null where it cannot be read.")


@strawberry.type
class _IntValue(DataElementValue):
    value: int | None = _field(description="The integer; null where it cannot be read.")


@strawberry.type
class _BigIntValue(DataElementValue):
    value: BigInt | None = _field(description="The integer; null where it cannot be read.")


@strawberry.type
class _DateValue(DataElementValue):
    value: dt.date | None = _field(description="The date; null where it cannot be read.")


@strawberry.type
class _TimeValue(DataElementValue):
    value: dt.time | None = _field(description="The time; null where it cannot be read.")


@strawberry.type
class _DateTimeValue(DataElementValue):
    value: dt.datetime | None = _field(
        description="The moment, with offset where the file gives one; null where it cannot be "
        "read."
    )


@strawberry.type(description="One group of a person name: its five components.")
class PersonNameGroup:
    family: str | None = _field(description="Family name complex.")
    given: str | None = _field(description="Given name complex.")
    middle: str | None = _field(description="Middle name.")
    prefix: str | None = _field(description="Name prefix.")
    suffix: str | None = _field(description="Name suffix.")


@strawberry.type(description="A person name in up to three scripts (PS3.5 6.2.1).")
class PersonName:
    alphabetic: PersonNameGroup = _field(description="In single-byte characters.")
    ideographic: PersonNameGroup = _field(description="In ideograms, such as kanji or hanja.")
    phonetic: PersonNameGroup = _field(description="As it is spoken, such as kana or hangul.")


@strawberry.type
class _NameValue(DataElementValue):
    value: PersonName | None = _field(description="The name by groups and components.")


@strawberry.type
class _BytesValue(DataElementValue):
    value: str | None = _field(description="The bytes in base64; null beyond 64 KiB.")
    length: BigInt = _field(description="How many bytes the file holds.")
    digest: str | None = _field(
        description="SHA-256 of the bytes, hexadecimal; null beyond 64 KiB."
    )


Typed = Callable[[ValueRow], Any]
_KINDS: dict[str, tuple[str, str, type[DataElementValue]]] = {
    "AE": ("ApplicationEntity", "Application entity title", _TextValue),
    "AS": ("AgeString", "Age in years: nY is n, nM n/12, nW n/52.1429, nD n/365.2422", _FloatValue),
    "AT": ("AttributeTag", "A tag, as (gggg,eeee)", _TextValue),
    "CS": ("CodeString", "Code, as in the file", _TextValue),
    "DA": ("Date", "Date", _DateValue),
    "DS": ("DecimalString", "Decimal number written as text", _FloatValue),
    "DT": ("DateTime", "Date and time", _DateTimeValue),
    "FD": ("FloatingPointDouble", "Floating point number, 64 bits", _FloatValue),
    "FL": ("FloatingPointSingle", "Floating point number, 32 bits", _FloatValue),
    "IS": ("IntegerString", "Integer written as text, 32 bits", _IntValue),
    "LO": ("LongString", "Text of up to 64 characters", _TextValue),
    "LT": ("LongText", "Text of up to 10,240 characters", _TextValue),
    "OB": ("OtherByte", "Bytes", _BytesValue),
    "OD": ("OtherDouble", "Bytes of 64-bit floating point numbers", _BytesValue),
    "OF": ("OtherFloat", "Bytes of 32-bit floating point numbers", _BytesValue),
    "OL": ("OtherLong", "Bytes of 32-bit words", _BytesValue),
    "OV": ("OtherVeryLong", "Bytes of 64-bit words", _BytesValue),
    "OW": ("OtherWord", "Bytes of 16-bit words", _BytesValue),
    "PN": ("PersonName", "Name of a person", _NameValue),
    "SH": ("ShortString", "Text of up to 16 characters", _TextValue),
    "SL": ("SignedLong", "Signed integer, 32 bits", _IntValue),
    "SS": ("SignedShort", "Signed integer, 16 bits", _IntValue),
    "ST": ("ShortText", "Text of up to 1,024 characters", _TextValue),
    "SV": ("SignedVeryLong", "Signed integer, 64 bits", _BigIntValue),
    "TM": ("Time", "Time of day", _TimeValue),
    "UC": ("UnlimitedCharacters", "Text of any length", _TextValue),
    "UI": ("UniqueIdentifier", "UID", _TextValue),
    "UL": ("UnsignedLong", "Unsigned integer, 32 bits", _BigIntValue),
    "UN": ("Unknown", "Bytes of an unknown VR", _BytesValue),
    "UR": ("UniversalResource", "URI or URL", _TextValue),
    "US": ("UnsignedShort", "Unsigned integer, 16 bits", _IntValue),
    "UT": ("UnlimitedText", "Text of any length", _TextValue),
    "UV": ("UnsignedVeryLong", "Unsigned integer, 64 bits", _BigIntValue),
}


def _make_type(vr: str, name: str, description: str, base: type[DataElementValue]) -> Any:
    made = type(f"{name}Value", (base,), {"__module__": __name__})
    return strawberry.type(made, description=f"{vr}: {description[0].lower()}{description[1:]}.")


VALUE_TYPES: dict[str, Any] = {vr: _make_type(vr, *kind) for vr, kind in _KINDS.items()}
"""The type of the values of each VR."""


def make_values(row: ElementRow) -> list[DataElementValue]:
    """The values of an element, typed by its VR."""
    vr = row.definition.vr
    if vr in BYTES_VRS or vr not in VALUE_TYPES:
        return [_bytes_value(row)] if row.vm else []
    typed = _TYPED.get(_KINDS[vr][2], _text)
    return [
        VALUE_TYPES[vr](
            index=value.position,
            raw=_raw(value),
            warnings=[value.warning] if value.warning else [],
            value=typed(value),
        )
        for value in row.values
    ]


def plain_value(row: ElementRow) -> Any:
    """The value of an element as JSON: a scalar for one, a list for several, None for none."""
    vr = row.definition.vr
    if vr in BYTES_VRS:
        return _base64(row.raw) if row.vm else None
    plain = _PLAIN.get(vr, _text)
    values = [plain(value) for value in row.values]
    return values[0] if len(values) == 1 else values or None


def _text(value: ValueRow) -> str | None:
    return value.text


def _number(value: ValueRow) -> float | None:
    return value.number if value.warning is None else None


def _integer(value: ValueRow) -> int | None:
    if value.warning is not None or value.number is None:
        return None
    # Beyond 53 bits the text is the exact number.
    return int(value.text) if value.text and abs(value.number) >= 2**53 else int(value.number)


def _safe_integer(value: ValueRow) -> int | str | None:
    number = _integer(value)
    return str(number) if number is not None and abs(number) > 2**53 else number


def _tidy_number(value: ValueRow) -> float | int | None:
    number = _number(value)
    return int(number) if number is not None and number.is_integer() else number


def _moment(value: ValueRow) -> dt.datetime | None:
    return parse_datetime(value.text) if value.datetime is not None and value.text else None


def _name(value: ValueRow) -> PersonName | None:
    if value.text is None:
        return None
    return PersonName(*map(_name_group, split_name(value.text)))


def _name_group(parts: NameComponents) -> PersonNameGroup:
    return PersonNameGroup(**parts._asdict())


def _iso(moment: dt.date | dt.time | None) -> str | None:
    return moment.isoformat() if moment is not None else None


def _raw(value: ValueRow) -> str | None:
    if value.text is not None or value.number is None:
        return value.text
    number = value.number
    return str(int(number)) if number.is_integer() else repr(number)


def _base64(raw: bytes | None) -> str | None:
    return base64.b64encode(raw).decode() if raw is not None else None


def _bytes_value(row: ElementRow) -> DataElementValue:
    made: DataElementValue = VALUE_TYPES.get(row.definition.vr, VALUE_TYPES["UN"])(
        index=0,
        raw=_base64(row.raw),
        warnings=[row.warning] if row.warning else [],
        value=_base64(row.raw),
        length=BigInt(row.length),
        digest=sha256(row.raw).hexdigest() if row.raw is not None else None,
    )
    return made


_TYPED: dict[type[DataElementValue], Typed] = {
    _FloatValue: _number,
    _IntValue: _integer,
    _BigIntValue: _integer,
    _DateValue: lambda value: value.date,
    _TimeValue: lambda value: value.time,
    _DateTimeValue: _moment,
    _NameValue: _name,
}
_PLAIN: dict[str, Typed] = {
    "AS": _number,
    "DA": lambda value: _iso(value.date),
    "DS": _tidy_number,
    "DT": lambda value: _iso(_moment(value)),
    "FD": _number,
    "FL": _number,
    "TM": lambda value: _iso(value.time),
} | dict.fromkeys(("IS", "SL", "SS", "SV", "UL", "US", "UV"), _safe_integer)
