"""Values as people read them, whatever their VR: one text each."""

import datetime as dt
from itertools import islice

from pydicom.uid import UID_dictionary

from dicom_graph.dicom.code_meanings import display_name
from dicom_graph.dicom.elements.person_names import split_name
from dicom_graph.dicom.elements.values import BYTES_VRS
from dicom_graph.graph import csa
from dicom_graph.store.read.elements import ElementRow, ValueRow
from dicom_graph.store.read.plain_values import exact_integer, moment_of, raw_text, tidy

_LONGEST = 200
"""Characters."""
_MOST_VALUES = 20
_AGES = {"D": "day", "W": "week", "M": "month", "Y": "year"}
_INTEGERS = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
_NUMBERS = frozenset({"DS", "FD", "FL"})


def display_element(row: ElementRow) -> str | None:
    """All values of an element in one text; None where it has none."""
    if not row.vm:
        return None
    vr = row.definition.vr
    if vr == "SQ":
        return _counted(row.vm, "item")
    if csa.is_csa_header(row):
        return f"Siemens CSA header, {_counted(row.length, 'byte')}"
    if vr in BYTES_VRS:
        return display_bytes(row)
    values = list(islice(row.values, _MOST_VALUES))
    texts = [display_value(row, value) or "" for value in values]
    if len(row.values) > len(values):
        texts.append(f"… ({len(row.values):,} values)")
    return _cut("\\".join(texts)) or None


def display_value(row: ElementRow, value: ValueRow) -> str | None:
    """One value; as in the file where it cannot be read, None where it is empty."""
    vr = row.definition.vr
    raw = raw_text(value)
    if value.warning is not None:
        return _cut(raw)
    if vr == "PN":
        return _cut(_name(value.text))
    if vr == "AS":
        return _age(value.text)
    if vr in _INTEGERS:
        integer = exact_integer(value)
        return str(integer) if integer is not None else raw
    if vr in _NUMBERS and value.number is not None:
        return str(tidy(value.number))
    if vr == "DA" and value.date is not None:
        return value.date.isoformat()
    if vr == "TM" and value.time is not None:
        return value.time.isoformat()
    if vr == "DT":
        return _moment(value) or raw
    if vr == "CS":
        return display_name(row.definition.keyword, value.text) or value.text
    if vr == "UI":
        return _uid(value.text)
    return _cut(raw)


def display_bytes(row: ElementRow) -> str:
    """Text that bytes of an unknown VR are, else their number."""
    if row.definition.vr == "UN" and row.values and row.values[0].text:
        return _cut(row.values[0].text) or ""
    return _counted(row.length, "byte")


def _cut(text: str | None) -> str | None:
    if text is None or len(text) <= _LONGEST:
        return text or None
    return text[: _LONGEST - 1] + "…"


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _name(text: str | None) -> str | None:
    """Yamada, Tarou (山田, 太郎): the family name first, as lists are sorted."""
    groups = []
    for group in split_name(text or ""):
        given = " ".join(filter(None, (group.prefix, group.given, group.middle)))
        parts = (group.family, given, group.suffix)
        groups.append(", ".join(filter(None, parts)))
    first, *others = filter(None, groups) if any(groups) else [""]
    return f"{first} ({', '.join(others)})" if others else first or None


def _age(text: str | None) -> str | None:
    """45 years, of 045Y."""
    if not text or not (text.isascii() and text[:-1].isdecimal()) or text[-1] not in _AGES:
        return text
    return _counted(int(text[:-1]), _AGES[text[-1]])


def _moment(value: ValueRow) -> str | None:
    moment = moment_of(value)
    return moment.isoformat(" ") if isinstance(moment, dt.datetime) else None


def _uid(text: str | None) -> str | None:
    """The name of a UID that PS3.6 registers, else the UID."""
    known = UID_dictionary.get(text or "")
    return known[0] if known is not None and known[0] else text or None
