"""Filters of one field: the operators that its type allows. All that are given must hold."""

import datetime as dt
from dataclasses import fields
from enum import Enum
from typing import Any, cast

import strawberry

from dicom_graph.dicom import mr, sequence_type
from dicom_graph.dicom.entities import Attribute
from dicom_graph.errors import BadInput
from dicom_graph.graph.enums.audit import AuditAction, AuditOutcome
from dicom_graph.graph.enums.confidence import Confidence
from dicom_graph.graph.enums.imports import ImportOrigin, ImportStatus
from dicom_graph.graph.enums.sequence_type import SequenceType
from dicom_graph.store.read.conditions import Operator, Test
from dicom_graph.store.storable import UnstorableText, check_text

_MAX_LIST = 10_000


def _op(description: str, name: str | None = None) -> Any:
    return strawberry.field(default=None, description=description, name=name)


@strawberry.input(description="Conditions on a text; case matters unless the name begins with i.")
class StringFilter:
    eq: str | None = _op("Is this text.")
    ne: str | None = _op("Is another text, or missing.")
    in_: list[str] | None = _op("Is one of these.", "in")
    ieq: str | None = _op("Is this text, in either case.")
    iin: list[str] | None = _op("Is one of these, in either case.")
    contains: str | None = _op("Contains this.")
    icontains: str | None = _op("Contains this, in either case.")
    starts_with: str | None = _op("Begins with this.")
    istarts_with: str | None = _op("Begins with this, in either case.")
    ends_with: str | None = _op("Ends with this.")
    regex: str | None = _op(
        "Matches this regular expression of RE2, anywhere in the text: a dot is any character, "
        "classes such as \\d are of ASCII, flags as (?i) stand at its beginning; there are no back "
        "references and no looking around."
    )
    is_null: bool | None = _op("Is missing, or is there.")


@strawberry.input(description="Conditions on an integer.")
class IntFilter:
    eq: int | None = _op("Is this number.")
    ne: int | None = _op("Is another number, or missing.")
    in_: list[int] | None = _op("Is one of these.", "in")
    gt: int | None = _op("Is greater.")
    gte: int | None = _op("Is greater or equal.")
    lt: int | None = _op("Is less.")
    lte: int | None = _op("Is less or equal.")
    between: list[int] | None = _op("Lies between two numbers, both included.")
    is_null: bool | None = _op("Is missing, or is there.")


@strawberry.input(description="Conditions on a number.")
class FloatFilter:
    eq: float | None = _op("Is this number.")
    ne: float | None = _op("Is another number, or missing.")
    in_: list[float] | None = _op("Is one of these.", "in")
    gt: float | None = _op("Is greater.")
    gte: float | None = _op("Is greater or equal.")
    lt: float | None = _op("Is less.")
    lte: float | None = _op("Is less or equal.")
    between: list[float] | None = _op("Lies between two numbers, both included.")
    is_null: bool | None = _op("Is missing, or is there.")


@strawberry.input(description="Conditions on a date.")
class DateFilter:
    eq: dt.date | None = _op("Is this date.")
    ne: dt.date | None = _op("Is another date, or missing.")
    in_: list[dt.date] | None = _op("Is one of these.", "in")
    gt: dt.date | None = _op("Is later.")
    gte: dt.date | None = _op("Is this date or later.")
    lt: dt.date | None = _op("Is earlier.")
    lte: dt.date | None = _op("Is this date or earlier.")
    between: list[dt.date] | None = _op("Lies between two dates, both included.")
    is_null: bool | None = _op("Is missing, or is there.")


@strawberry.input(description="Conditions on a time of day.")
class TimeFilter:
    eq: dt.time | None = _op("Is this time.")
    ne: dt.time | None = _op("Is another time, or missing.")
    in_: list[dt.time] | None = _op("Is one of these.", "in")
    gt: dt.time | None = _op("Is later.")
    gte: dt.time | None = _op("Is this time or later.")
    lt: dt.time | None = _op("Is earlier.")
    lte: dt.time | None = _op("Is this time or earlier.")
    between: list[dt.time] | None = _op("Lies between two times, both included.")
    is_null: bool | None = _op("Is missing, or is there.")


@strawberry.input(description="Conditions on a moment; without an offset it is taken as UTC.")
class DateTimeFilter:
    eq: dt.datetime | None = _op("Is this moment.")
    ne: dt.datetime | None = _op("Is another moment, or missing.")
    in_: list[dt.datetime] | None = _op("Is one of these.", "in")
    gt: dt.datetime | None = _op("Is later.")
    gte: dt.datetime | None = _op("Is this moment or later.")
    lt: dt.datetime | None = _op("Is earlier.")
    lte: dt.datetime | None = _op("Is this moment or earlier.")
    between: list[dt.datetime] | None = _op("Lies between two moments, both included.")
    is_null: bool | None = _op("Is missing, or is there.")


@strawberry.input(description="Conditions on a sequence type; a missing one is unknown.")
class SequenceTypeFilter:
    eq: SequenceType | None = _op("Is this type.")
    in_: list[SequenceType] | None = _op("Is one of these.", "in")
    is_null: bool | None = _op("Is unknown, or is known.")


@strawberry.input(description="Conditions on how surely something is so; null for what is not.")
class ConfidenceFilter:
    eq: Confidence | None = _op("Is this.")
    in_: list[Confidence] | None = _op("Is one of these.", "in")
    is_null: bool | None = _op("Is missing, or is there.")


@strawberry.input(description="Conditions on where an import is in its life.")
class ImportStatusFilter:
    eq: ImportStatus | None = _op("Is this.")
    in_: list[ImportStatus] | None = _op("Is one of these.", "in")


@strawberry.input(description="Conditions on who asked for an import.")
class ImportOriginFilter:
    eq: ImportOrigin | None = _op("Is this.")
    in_: list[ImportOrigin] | None = _op("Is one of these.", "in")


@strawberry.input(description="Conditions on what was done.")
class AuditActionFilter:
    eq: AuditAction | None = _op("Is this.")
    in_: list[AuditAction] | None = _op("Is one of these.", "in")


@strawberry.input(description="Conditions on how something ended.")
class AuditOutcomeFilter:
    eq: AuditOutcome | None = _op("Is this.")
    in_: list[AuditOutcome] | None = _op("Is one of these.", "in")


@strawberry.input(description="Conditions on a list of texts.")
class StringListFilter:
    eq: list[str] | None = _op("Is this list, in this order.")
    exactly: list[str] | None = _op("Holds these and no others, as a set.")
    contains_all: list[str] | None = _op("Holds all of these.")
    contains_any: list[str] | None = _op("Holds at least one of these.")
    length: IntFilter | None = _op("How many there are.")
    is_null: bool | None = _op("Is missing, or is there.")


@strawberry.input(description="Conditions on a list of numbers.")
class FloatListFilter:
    eq: list[float] | None = _op("Is this list, in this order.")
    any: FloatFilter | None = _op("At least one of the numbers fulfils these conditions.")
    length: IntFilter | None = _op("How many there are.")
    is_null: bool | None = _op("Is missing, or is there.")


_FILTERS: dict[Any, Any] = {
    str: StringFilter,
    int: IntFilter,
    float: FloatFilter,
    dt.date: DateFilter,
    dt.time: TimeFilter,
    dt.datetime: DateTimeFilter,
    list[str]: StringListFilter,
    list[float]: FloatListFilter,
    sequence_type.SequenceType: SequenceTypeFilter,
    mr.Confidence: ConfidenceFilter,
}


def filter_of(attribute: Attribute) -> Any:
    """The conditions that there are on an attribute, by its choices or by its type."""
    return _FILTERS[attribute.choices or attribute.type]


def tests_of(given: Any) -> list[Test]:
    """The tests of a field's filter. Raises BadInput for a value that cannot be right."""
    tests = []
    for field in fields(given):
        value = getattr(given, field.name)
        if value is None:
            continue
        operator = cast(Operator, field.name.rstrip("_"))
        if operator == "any":
            tests.append(Test(operator, tuple(tests_of(value))))
        elif isinstance(value, IntFilter | FloatFilter):
            tests += [Test(operator, test) for test in tests_of(value)]
        else:
            tests.append(Test(operator, _checked(operator, value)))
    return tests


def _checked(operator: Operator, value: Any) -> Any:
    if isinstance(value, list):
        if operator == "between" and len(value) != 2:
            raise BadInput(f"`between` takes two values, not {len(value)}")
        if len(value) > _MAX_LIST:
            raise BadInput(f"a list of {len(value)} values; at most {_MAX_LIST} can be asked for")
        return tuple(map(_plain, value))
    return _plain(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, str):
        return checked_text(value)
    if isinstance(value, dt.datetime):
        return _in_utc(value)
    if isinstance(value, dt.time) and value.tzinfo is not None:
        raise BadInput("a DICOM time of day has no offset")
    return value


def _in_utc(moment: dt.datetime) -> dt.datetime:
    try:
        return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    except OverflowError:
        raise BadInput(f"{moment.isoformat()} is before year 1 or after 9999 in UTC") from None


def checked_text(text: str) -> str:
    """The text, if a database can hold it. Raises BadInput."""
    try:
        return check_text(text)
    except UnstorableText as error:
        raise BadInput(str(error)) from None
