"""A value of an element as text, as a whole number or as a moment."""

import datetime as dt

from dicom_graph.dicom.elements.values import parse_datetime
from dicom_graph.store.read.elements import ValueRow


def raw_text(value: ValueRow) -> str | None:
    """The characters of a value, or the decimal digits of a binary number."""
    if value.text is not None or value.number is None:
        return value.text
    return str(tidy(value.number))


def exact_integer(value: ValueRow) -> int | None:
    """The integer of a value; None where it cannot be read."""
    if value.warning is not None or value.number is None:
        return None
    # Beyond 53 bits the text is the exact number.
    return int(value.text) if value.text and abs(value.number) >= 2**53 else int(value.number)


def tidy(number: float) -> float | int:
    """A whole number as an integer, unless it has more digits than a double tells."""
    return int(number) if number.is_integer() and abs(number) < 2**53 else number


def moment_of(value: ValueRow) -> dt.datetime | None:
    """The moment of a DT, with the offset that the header says; None where it cannot be read."""
    if value.datetime is None or not value.text:
        return None
    moment = parse_datetime(value.text)
    # What is stored is UTC. Where that is another time, the header says the offset elsewhere.
    offset = moment.replace(tzinfo=None) - value.datetime.replace(tzinfo=None)
    if moment.tzinfo is None and (offset or value.datetime.tzinfo is not None):
        return moment.replace(tzinfo=dt.timezone(offset))
    return moment
