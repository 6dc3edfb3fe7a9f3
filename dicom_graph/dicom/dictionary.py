"""What the data dictionaries say of a tag (PS3.6, and pydicom's private dictionary)."""

import re
from functools import cache, lru_cache
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom.datadict import (
    dictionary_description,
    dictionary_keyword,
    private_dictionary_description,
    tag_for_keyword,
)

_TAG = re.compile(r"^\(?\s*([0-9a-f]{4})\s*,?\s*([0-9a-fx]{2}[0-9a-f]{2})\s*\)?$", re.IGNORECASE)

PIXEL_DATA_TAGS = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Float, Double Float and (integer) Pixel Data: never read, never an element."""


_UNKNOWN_PRIVATE = "Unknown private element"
ANY_BLOCK = 1 << 32
"""Added to a private tag that is looked for in whichever block: (0019,xx9C)."""


class Definition(NamedTuple):
    """What an element is: its tag, private creator and VR, with keyword and name.

    `tag` of a private element carries 00 in place of its block, `(0019,xx9C)` being 0x0019009C,
    so that it is the same wherever the block was reserved (PS3.5 7.8.1).
    """

    tag: int
    private_creator: str
    vr: str
    keyword: str
    name: str


def is_private(tag: int) -> bool:
    """Whether the tag's group is odd (PS3.5 7.8)."""
    return bool(tag >> 16 & 1)


def is_private_creator(tag: int) -> bool:
    """Whether the tag reserves a block of private elements: (gggg,0010-00FF), gggg odd."""
    return is_private(tag) and 0x10 <= tag & 0xFFFF <= 0xFF


def is_group_length(tag: int) -> bool:
    """Whether the tag is (gggg,0000), of which private groups have one too (PS3.5 7.2)."""
    return tag & 0xFFFF == 0


def private_block(tag: int) -> int:
    """The tag of the private creator element that reserves this private element's block."""
    return (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)


def format_tag(tag: int, *, any_block: bool = False) -> str:
    """`(0010,0020)`; with `any_block` the block of a private element is written `xx`."""
    if any_block:
        return f"({tag >> 16:04X},xx{tag & 0xFF:02X})"
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def parse_tag(text: str) -> int:
    """Read `(0010,0020)`, `0010,0020`, `00100020`; a private block may be `xx` (`ANY_BLOCK`).

    Raises ValueError for anything else.
    """
    match = _TAG.match(text.strip())
    if match is None or ("x" in match[2].lower() and match[2][:2].lower() != "xx"):
        raise ValueError(f"{text!r} is not a tag; write it as (0010,0020) or 00100020")
    tag = int(match[1], 16) << 16 | int(match[2].lower().replace("x", "0"), 16)
    if "x" not in match[2].lower():
        return tag
    if not is_private(tag):
        raise ValueError(f"{text!r} is not a tag: only private ones, of odd groups, have a block")
    return tag | ANY_BLOCK


def dictionary_vr(tag: int) -> str:
    """The VR of a tag of PS3.6, the first where it has several; UN of any other tag."""
    entry = DicomDictionary.get(tag)
    return entry[0].partition(" or ")[0] if entry is not None else "UN"


def dictionary_vm(tag: int) -> str:
    """The value multiplicity of a tag of PS3.6, such as `1` or `1-n`; empty for any other tag."""
    entry = DicomDictionary.get(tag)
    return entry[1] if entry is not None else ""


def keyword_tag(keyword: str) -> int | None:
    """The tag of a standard keyword such as `EchoTime`, or None where there is none."""
    return tag_for_keyword(keyword)


@cache
def keywords() -> dict[str, None]:
    """All standard keywords (PS3.6), also those that several tags share, such as OverlayRows."""
    entries = (*DicomDictionary.values(), *RepeatersDictionary.values())
    return dict.fromkeys(entry[4] for entry in entries if entry[4])


@lru_cache(maxsize=65_536)
def definition(tag: int, private_creator: str, vr: str) -> Definition:
    """The definition of an element as it lies in a file."""
    if not is_private(tag):
        return Definition(tag, "", vr, *_standard_names(tag))
    if is_private_creator(tag):
        return Definition(tag, "", vr, "", "Private Creator")
    if is_group_length(tag):
        return Definition(tag, "", vr, "", "Group Length")
    if not private_creator:
        return Definition(tag, "", vr, "", "Private element without a creator")
    any_block = tag & 0xFFFF00FF
    return Definition(any_block, private_creator, vr, "", _private_name(tag, private_creator))


def element_label(tag: int, creator: str) -> str:
    """An element for a message: tag and keyword, or name."""
    known = definition(tag, creator, "")
    return f"{format_tag(tag)} {known.keyword or known.name}"


def _standard_names(tag: int) -> tuple[str, str]:
    try:
        return dictionary_keyword(tag), dictionary_description(tag)
    except KeyError:
        return "", "Group Length" if is_group_length(tag) else "Unknown element"


def _private_name(tag: int, private_creator: str) -> str:
    try:
        return private_dictionary_description(tag, private_creator) or _UNKNOWN_PRIVATE
    except KeyError:
        return _UNKNOWN_PRIVATE
