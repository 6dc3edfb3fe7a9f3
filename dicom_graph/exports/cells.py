"""What a cell of a table says of an element."""

from collections.abc import Iterable

from dicom_graph.dicom.elements.values import BYTES_VRS
from dicom_graph.store.read.csa_store import CsaValues
from dicom_graph.store.read.elements import ElementRow, ValueRow
from dicom_graph.store.read.plain_values import raw_text

Told = tuple[tuple[bool, float, str], ...]


def csa_text(values: CsaValues) -> str:
    """The values at a path of CSA headers."""
    return "\\".join(map(plain_text, values))


def plain_text(value: float | str | None) -> str:
    """One of them; none is an empty text."""
    return f"{value:.15g}" if isinstance(value, float) else value or ""


def element_text(row: ElementRow) -> str:
    """The values of an element as in the file; of a sequence and of bytes how much there is."""
    if row.definition.vr == "SQ":
        return f"{row.vm} item{'' if row.vm == 1 else 's'}"
    if row.definition.vr in BYTES_VRS and not row.values:
        return f"{row.length} bytes" if row.length else ""
    return "\\".join(raw_text(value) or "" for value in row.values)


def different(rows: Iterable[ElementRow]) -> list[ElementRow]:
    """Of elements that say the same one, in the order of what they say; none that says nothing."""
    told = {_value_or_text(row): row for row in rows if element_text(row)}
    return [told[each] for each in sorted(told)]


def _value_or_text(row: ElementRow) -> Told:
    """What an element says: numbers, however they are written, and texts."""
    if not row.values:
        return ((True, 0.0, element_text(row)),)
    return tuple(map(_of_value, row.values))


def _of_value(value: ValueRow) -> tuple[bool, float, str]:
    if value.number is not None and value.warning is None:
        # Integers beyond 2**53 have a text that tells them apart.
        text = raw_text(value) or "" if abs(value.number) >= 2**53 else ""
        return False, value.number, text
    return True, 0.0, raw_text(value) or ""
