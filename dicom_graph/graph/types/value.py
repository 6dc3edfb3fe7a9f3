"""DataElementValue: one type for each VR (PS3.5 6.2), and one for Siemens CSA headers."""

import base64
import datetime as dt
from html import escape
from struct import iter_unpack
from typing import Annotated, Any

import strawberry

from dicom_graph.graph.bulk_data import load_bytes
from dicom_graph.graph.computed import computed
from dicom_graph.graph.context import Info
from dicom_graph.graph.node import Node
from dicom_graph.graph.scalars import JSON, BigInt, LocalDateTime
from dicom_graph.graph.types.display import display_element, display_value
from dicom_graph.store.global_ids import value_id
from dicom_graph.store.read.elements import ElementRow, ValueRow

_field = strawberry.field


def _id_of(root: strawberry.Parent[Any]) -> strawberry.ID:
    return strawberry.ID(value_id(root.row.id, root.index))


@strawberry.interface(description="One value of a data element.")
class DataElementValue(Node):
    id: strawberry.ID = _field(
        resolver=_id_of,
        description="Identifies the value by its element and index; opaque. Ask `node(id:)` with "
        "it.",
    )
    index: int = _field(description="Its place among the element's values, from 0.")
    raw: str | None = _field(
        description="As in the file: of a text VR its characters without padding, of a number its "
        "decimal digits, of bytes, and of bytes that are no whole numbers, base64 (null beyond 64 "
        "KiB)."
    )
    warnings: list[str] = _field(description="Why there is no typed value, or what is odd.")
    row: strawberry.Private[ElementRow]
    value_row: strawberry.Private[ValueRow | None] = None

    @classmethod
    def from_row(cls, row: Any) -> "DataElementValue":
        """Returns it as it is: the loader of values has made one."""
        value: DataElementValue = row
        return value

    @computed("The value as people read it, as `display`, as an element of HTML; text is escaped.")
    def html(self) -> str:
        return f'<span class="dicom-value">{escape(self.display() or "")}</span>'

    @computed(
        "The value as people read it, of any VR: a name with the family name first, a date in ISO "
        "8601, an age in words, what a code or a UID means where that is known, how many bytes. As "
        "in the file where it cannot be read; at most 200 characters."
    )
    def display(self) -> str | None:
        value = self.value_row
        return display_element(self.row) if value is None else display_value(self.row, value)

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
class TextKind(DataElementValue):
    value: str | None = _field(description="The text.")


@strawberry.type
class FloatKind(DataElementValue):
    value: float | None = _field(description="The number; null where it cannot be read.")


@strawberry.type
class IntKind(DataElementValue):
    value: int | None = _field(description="The integer; null where it cannot be read.")


@strawberry.type
class BigIntKind(DataElementValue):
    value: BigInt | None = _field(description="The integer; null where it cannot be read.")


@strawberry.type
class DateKind(DataElementValue):
    value: dt.date | None = _field(description="The date; null where it cannot be read.")


@strawberry.type
class TimeKind(DataElementValue):
    value: dt.time | None = _field(description="The time; null where it cannot be read.")


@strawberry.type
class DateTimeKind(DataElementValue):
    value: LocalDateTime | None = _field(
        description="Date and time as written, without the offset; null where it cannot be read."
    )
    instant: dt.datetime | None = _field(
        description="Which instant that is, with the offset of the value, else of "
        "TimezoneOffsetFromUTC (0008,0201); null where neither says it."
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
class NameKind(DataElementValue):
    value: PersonName | None = _field(description="The name by groups and components.")


@strawberry.type
class CodeKind(DataElementValue):
    value: str | None = _field(description="The code.")
    meaning: str | None = _field(
        description="What the code means, of Modality, PatientPosition, PatientSex, "
        "ScanningSequence and SequenceVariant; null for other elements and unknown codes."
    )


@strawberry.type
class BytesKind(DataElementValue):
    value: str | None = _field(description="The bytes in base64; null beyond 64 KiB: see `bytes`.")
    length: BigInt = _field(description="How many bytes the file holds.")
    digest: str | None = _field(description="SHA-256 of the bytes, hexadecimal.")

    @computed(
        "The bytes in base64 whatever their number; more than 64 KiB are read from a file that "
        "holds them."
    )
    async def bytes(
        self,
        info: Info,
        limit: Annotated[
            int, strawberry.argument(description="The most bytes to give; an error beyond.")
        ] = 16_777_216,
    ) -> str:
        return base64.b64encode(await load_bytes(info, self.row, limit)).decode()


@strawberry.type
class UnknownKind(BytesKind):
    text: str | None = _field(
        description="The bytes as text, where they are nothing but printable ASCII."
    )


@strawberry.type
class WordsKind(BytesKind):
    @computed("The bytes as unsigned 16-bit integers, read as little endian; null beyond 64 KiB.")
    def words(self) -> list[int] | None:
        raw = self.row.raw
        return [word for (word,) in iter_unpack("<H", raw[: len(raw) // 2 * 2])] if raw else None


@strawberry.type(description="A Siemens CSA header: private bytes that hold names and values.")
class CsaHeaderValue(DataElementValue):
    value: JSON | None = _field(
        description="`{name: {vr, vm, value}}`; the value of MrPhoenixProtocol and MrProtocol is "
        "their ASCCONV text as nested JSON. Null where it cannot be parsed: see `warnings`."
    )
    length: BigInt = _field(description="How many bytes the file holds.")


_KINDS: dict[str, tuple[str, str, type[DataElementValue]]] = {
    "AE": ("ApplicationEntity", "Application entity title", TextKind),
    "AS": ("AgeString", "Age in years: nY is n, nM n/12, nW n/52.1429, nD n/365.2422", FloatKind),
    "AT": ("AttributeTag", "A tag, as (gggg,eeee)", TextKind),
    "CS": ("CodeString", "Code, as in the file", CodeKind),
    "DA": ("Date", "Date", DateKind),
    "DS": ("DecimalString", "Decimal number written as text", FloatKind),
    "DT": ("DateTime", "Date and time", DateTimeKind),
    "FD": ("FloatingPointDouble", "Floating point number, 64 bits", FloatKind),
    "FL": ("FloatingPointSingle", "Floating point number, 32 bits", FloatKind),
    "IS": ("IntegerString", "Integer written as text, 32 bits", IntKind),
    "LO": ("LongString", "Text of up to 64 characters", TextKind),
    "LT": ("LongText", "Text of up to 10,240 characters", TextKind),
    "OB": ("OtherByte", "Bytes", BytesKind),
    "OD": ("OtherDouble", "Bytes of 64-bit floating point numbers", BytesKind),
    "OF": ("OtherFloat", "Bytes of 32-bit floating point numbers", BytesKind),
    "OL": ("OtherLong", "Bytes of 32-bit words", BytesKind),
    "OV": ("OtherVeryLong", "Bytes of 64-bit words", BytesKind),
    "OW": ("OtherWord", "Bytes of 16-bit words", WordsKind),
    "PN": ("PersonName", "Name of a person", NameKind),
    "SH": ("ShortString", "Text of up to 16 characters", TextKind),
    "SL": ("SignedLong", "Signed integer, 32 bits", IntKind),
    "SS": ("SignedShort", "Signed integer, 16 bits", IntKind),
    "ST": ("ShortText", "Text of up to 1,024 characters", TextKind),
    "SV": ("SignedVeryLong", "Signed integer, 64 bits", BigIntKind),
    "TM": ("Time", "Time of day", TimeKind),
    "UC": ("UnlimitedCharacters", "Text of any length", TextKind),
    "UI": ("UniqueIdentifier", "UID", TextKind),
    "UL": ("UnsignedLong", "Unsigned integer, 32 bits", BigIntKind),
    "UN": ("Unknown", "Bytes of an unknown VR", UnknownKind),
    "UR": ("UniversalResource", "URI or URL", TextKind),
    "US": ("UnsignedShort", "Unsigned integer, 16 bits", IntKind),
    "UT": ("UnlimitedText", "Text of any length", TextKind),
    "UV": ("UnsignedVeryLong", "Unsigned integer, 64 bits", BigIntKind),
}


def _make_type(vr: str, name: str, description: str, base: type[DataElementValue]) -> Any:
    made = type(f"{name}Value", (base,), {"__module__": __name__})
    return strawberry.type(made, description=f"{vr}: {description[0].lower()}{description[1:]}.")


VALUE_TYPES: dict[str, Any] = {vr: _make_type(vr, *kind) for vr, kind in _KINDS.items()}
"""The type of the values of each VR."""


def value_kind(vr: str) -> type[DataElementValue]:
    """What the type of a VR's values derives from."""
    return _KINDS[vr][2]
