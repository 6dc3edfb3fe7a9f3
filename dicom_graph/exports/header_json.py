"""A header in the DICOM JSON Model (PS3.18 F.2)."""

import base64
from collections.abc import Sequence
from typing import Any

from dicom_graph.dicom.values import BYTES_VRS
from dicom_graph.store.read.elements import ElementNode, ElementRow, ValueRow
from dicom_graph.store.read.plain_values import exact_integer, raw_text

_INTEGER_VRS = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
_FLOAT_VRS = frozenset({"DS", "FD", "FL"})


def dicom_json(tree: Sequence[ElementNode]) -> dict[str, Any]:
    """The data set by tag, without group lengths (PS3.18 F.2.2). Bytes that the database does not
    keep are left out.
    """
    return {f"{node.element.tag:08X}": _element(node) for node in tree if node.element.tag & 0xFFFF}


def _element(node: ElementNode) -> dict[str, Any]:
    row = node.element
    vr = row.definition.vr
    result: dict[str, Any] = {"vr": vr}
    if vr == "SQ":
        result["Value"] = [dicom_json(item) for item in node.items or ()]
    elif vr in BYTES_VRS:
        if row.raw is not None:
            result["InlineBinary"] = base64.b64encode(row.raw).decode()
    elif row.values:
        result["Value"] = [_value(row, value) for value in row.values]
    return result


def _value(row: ElementRow, value: ValueRow) -> Any:
    """The value in JSON; null for an empty one among others (PS3.18 F.2.5)."""
    vr = row.definition.vr
    if vr == "PN":
        return _name(value.text) if value.text else None
    if vr == "AT":
        return value.text[1:5] + value.text[6:10] if value.text else None
    if vr in _INTEGER_VRS:
        if value.number is not None and abs(value.number) < 2**53:
            return int(value.number)
        number = exact_integer(value)
        return number if number is not None else raw_text(value) or None
    if vr in _FLOAT_VRS:
        if value.number is not None:
            return value.number
        # JSON has no number for it; as a text it is told, and no reader takes it for one.
        return "NaN" if vr != "DS" and value.text == "nan" else value.text or None
    return value.text or None


def _name(text: str) -> dict[str, str] | None:
    """The component groups of a name that there are (PS3.18 F.2.2, F.2.5)."""
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), text.split("="), strict=False)
    return {name: group for name, group in groups if group} or None
