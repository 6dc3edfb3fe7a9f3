"""Siemens CSA headers that the tests make, and what nibabel reads in any."""

import re
import struct
import warnings
from collections.abc import Sequence
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore", UserWarning)
    from nibabel.nicom.ascconv import parse_ascconv
    from nibabel.nicom.csareader import read as nibabel_read

NUMERIC_VRS = {"IS", "SL", "SS", "UL", "US", "DS", "FD", "FL"}


def by_nibabel(raw: bytes) -> dict[str, dict[str, Any]]:
    """The tags of a header as nibabel reads it, put the way of `parse_csa`."""
    return {
        name: {"vr": tag["vr"], "vm": tag["vm"], "value": _value(name, tag)}
        for name, tag in nibabel_read(raw)["tags"].items()
    }


def _value(name: str, tag: dict[str, Any]) -> Any:
    """The value of a tag as nibabel read it, put the way of `parse_csa`."""
    items = [item.decode() if isinstance(item, bytes) else item for item in tag["items"]]
    if name in ("MrPhoenixProtocol", "MrProtocol") and items:
        return protocol_by_nibabel(items[0])
    if tag["vr"] not in NUMERIC_VRS:
        items = [item.rstrip(" ") for item in items]
        while tag["vm"] == 0 and items and not items[-1]:
            items.pop()
    if tag["vm"] == 1:
        return items[0] if items else None
    return items


def protocol_by_nibabel(text: str) -> Any:
    """The ASCCONV part of a protocol."""
    # nibabel fails on assignments to __attribute__.
    section = text[text.index("### ASCCONV BEGIN") :]
    section = re.sub(r"\n[^\n=]*__attribute__[^\n]*", "", section)
    return parse_ascconv(section, '""' if '""' in section else '"')[0]


def csa(
    tags: Sequence[tuple[str, str, int, Sequence[str]]],
    csa_type: int = 2,
    n_tags: int | None = None,
) -> bytes:
    """A CSA header of (name, VR, VM, items) by the layout in nibabel's documentation."""
    excess = len(tags[0][3]) if csa_type == 1 and tags else 0
    raw = b"SV10\4\3\2\1" if csa_type == 2 else b""
    raw += struct.pack("<2I", len(tags) if n_tags is None else n_tags, 77)
    for name, vr, vm, items in tags:
        raw += struct.pack("<64s i 4s 3i", name.encode(), vm, vr.encode(), 0, len(items), 77)
        for item in items:
            text = item.encode("latin-1") + b"\0" if item else b""
            # Type 1 has its length first, type 2 second; the other is filled with nonsense.
            lengths = (len(text) + excess, -9) if csa_type == 1 else (-9, len(text))
            raw += struct.pack("<4i", *lengths, 77, 0) + text + b"\xee" * (-len(text) % 4)
    return raw
