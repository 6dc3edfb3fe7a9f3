"""Whether a value is what its VR allows (PS3.5 6.2), so that nothing else lies in it.

Numbers are often written with more characters than the standard allows, and name nobody: so the
limits of DS and IS are wider than theirs.
"""

import re
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary


class TextRule(NamedTuple):
    """At most so many characters; `only`: all of these, as between the brackets of a regular
    expression, else none that is a control character.
    """

    longest: int
    only: str | None = None


TEXT_RULES = {
    "AS": TextRule(4, "0-9DWMY"),
    "CS": TextRule(16, "A-Z0-9_ "),
    "DS": TextRule(32, "0-9+.eE-"),
    "IS": TextRule(24, "0-9+.eE-"),
    "LO": TextRule(64),
    "SH": TextRule(16),
}
"""Of the VRs of text that are shown at all without identities."""
CONTROLS = "\x01-\x1f\x7f-\x9f"
"""Characters that are in no such text, as between brackets; NUL is escaped where it is kept."""
_PATTERNS = {
    vr: re.compile(f"[{rule.only}]*" if rule.only else f"[^\x00{CONTROLS}]*")
    for vr, rule in TEXT_RULES.items()
}


def is_plausible(vr: str, text: str) -> bool:
    """Whether a text can be a value of a VR; true of the VRs that have no rule."""
    rule = TEXT_RULES.get(vr)
    return rule is None or (len(text) <= rule.longest and _PATTERNS[vr].fullmatch(text) is not None)


def most_values(tag: int) -> int | None:
    """The largest multiplicity of an element of PS3.6; None for any."""
    entry = DicomDictionary.get(tag)
    if entry is None or entry[0] == "SQ":
        return None
    largest = entry[1].replace(" or ", "-").rpartition("-")[2]
    return int(largest) if largest.isdigit() else None
