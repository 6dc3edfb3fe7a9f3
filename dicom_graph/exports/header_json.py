"""A header in the DICOM JSON Model (PS3.18 F.2)."""

import base64
from collections.abc import Sequence
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from dicom_graph.dicom.elements.values import BYTES_VRS
from dicom_graph.store.read.elements import ElementNode, ElementRow, ValueRow
from dicom_graph.store.read.plain_values import exact_integer, raw_text
from dicom_graph.telemetry.request import ROOT_PATH

_INTEGER_VRS = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
_FLOAT_VRS = frozenset({"DS", "FD", "FL"})
_GROUPS_OF_NAMES = ("Alphabetic", "Ideographic", "Phonetic")


def dicom_json(tree: Sequence[ElementNode], image_uid: str | None = None) -> dict[str, Any]:
    """The data set by tag, without group lengths.

    `image_uid`: of the image that has it, below whose address lie the values that are not inline:
    those that the database does not keep. Without it they are left out.
    """
    return {
        f"{node.element.tag:08X}": _element(node, image_uid)
        for node in tree
        if node.element.tag & 0xFFFF
    }


def has_bulk_data(tree: Sequence[ElementNode]) -> bool:
    """Whether a value at any depth is not inline."""
    return any(
        _is_bulk_data(node.element) or any(map(has_bulk_data, node.items or ())) for node in tree
    )


def _element(node: ElementNode, image_uid: str | None) -> dict[str, Any]:
    """An object of `vr` and at most one more; an empty element has `vr` alone (F.2.5)."""
    row = node.element
    vr = row.definition.vr
    result: dict[str, Any] = {"vr": vr}
    if vr == "SQ":
        if node.items:
            result["Value"] = [dicom_json(item, image_uid) for item in node.items]
    elif _is_bulk_data(row):
        if image_uid is not None:
            result["BulkDataURI"] = _bulk_data_uri(image_uid, row)
    elif vr in BYTES_VRS:
        if row.raw:
            result["InlineBinary"] = base64.b64encode(row.raw).decode()
    elif row.values:
        result["Value"] = [_value(row, value) for value in row.values]
    return result


def _is_bulk_data(row: ElementRow) -> bool:
    """Whether the database has not all of a value."""
    if row.definition.vr in BYTES_VRS:
        return row.raw is None and row.sha256 is not None
    return len(row.values) < row.vm and (row.raw is not None or row.sha256 is not None)


def _bulk_data_uri(image_uid: str, row: ElementRow) -> str:
    """The address of a value of an image: its tag and the SHA-256 of its bytes."""
    digest = row.sha256 or sha256(row.raw or b"").digest()
    image = f"{ROOT_PATH.get()}/images/{quote(image_uid, safe='')}"
    return f"{image}/bulkdata/{row.tag:08X}-{digest.hex()}"


def _value(row: ElementRow, value: ValueRow) -> Any:
    """The value in JSON; null for an empty one among others (PS3.18 F.2.5),
    a string for a number that JSON has none for."""
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
    """The groups of a name that it has; None where it has none (F.2.2)."""
    named = zip(_GROUPS_OF_NAMES, text.split("="), strict=False)
    return {name: group for name, group in named if group} or None
