"""A data set as it was read: elements with their bytes, and what decides what these mean."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR, private_dictionary_VR
from pydicom.valuerep import AMBIGUOUS_VR

from dicom_graph.dicom.dictionary import (
    is_group_length,
    is_private,
    is_private_creator,
    private_block,
)
from dicom_graph.dicom.elements.character_sets import resolve_character_set
from dicom_graph.dicom.elements.values import ALL_VRS, parse_values

UNDEFINED = 0xFFFFFFFF
_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = 0x00280103
_LUT_DESCRIPTOR = 0x00283002
_CURVE_DATA = 0x50003000
_REPEATING = 0xFF00FFFF
LONGEST_KNOWN_UN = 0xFFFF


@dataclass(slots=True)
class RawElement:
    """One element. `vr`: as the file has it, None where it has none. `start`: of its value.

    `problem`: what is wrong with how it is encoded. `items`: of a sequence, as data
    sets, or as what became of them. `taken`: what became of a value that is too long to be held.
    """

    tag: int
    vr: str | None
    length: int
    start: int
    is_little: bool
    raw: bytes = b""
    problem: str | None = None
    items: list[object] | None = None
    taken: object = None


@dataclass(slots=True)
class RawDataSet:
    """The elements by their tags; `parent` is the data set whose sequence's item it is."""

    is_implicit: bool
    is_little: bool
    parent: "RawDataSet | None" = None
    elements: dict[int, RawElement] = field(default_factory=dict)
    _creators: dict[int, tuple[RawElement, str]] | None = None

    def is_encoded_as(self, other: "RawDataSet") -> bool:
        """Whether VRs and the order of bytes are as in another data set."""
        return (self.is_implicit, self.is_little) == (other.is_implicit, other.is_little)

    def in_order(self) -> Iterator[RawElement]:
        """The elements in the order of their tags."""
        for tag in sorted(self.elements):
            yield self.elements[tag]

    @property
    def encodings(self) -> list[str]:
        """The codecs of its character set, or of that of the data set around it (PS3.5 7.5.3)."""
        element = self.elements.get(_CHARACTER_SET)
        if element is not None:
            parsed = parse_values("CS", element.raw, [default_encoding], True)
            return resolve_character_set([value.text or "" for value in parsed.values])[0]
        return self.parent.encodings if self.parent is not None else [default_encoding]

    @property
    def pixel_representation(self) -> int | None:
        """PixelRepresentation (0028,0103), here or in a data set around it."""
        found = self._first_word(_PIXEL_REPRESENTATION)
        if found is None and self.parent is not None:
            return self.parent.pixel_representation
        return found

    def creator_of(self, tag: int) -> str:
        """The private creator of an element; empty for a standard one, and where there is none."""
        if not is_private(tag) or is_private_creator(tag) or tag & 0xFFFF < 0x1000:
            return ""
        block = private_block(tag)
        element = self.elements.get(block)
        if element is None:
            return ""
        if self._creators is None:
            self._creators = {}
        known, creator = self._creators.get(block, (None, ""))
        if known is not element:
            # It is a text of VR LO, whatever the file says.
            vr = element.vr if element.vr in ("LO", "SH") else "LO"
            parsed = parse_values(vr, element.raw, self.encodings, element.is_little)
            creator = parsed.values[0].text or "" if parsed.vm == 1 else ""
            self._creators[block] = element, creator
        return creator

    def vr_of(self, element: RawElement) -> str:
        """The VR of an element that is no sequence: the file's, or that of the data dictionary."""
        vr = element.vr
        if vr is not None and vr != "UN":
            return vr
        known = self.known_vr(element.tag)
        if vr == "UN" and not is_private(element.tag) and element.length >= LONGEST_KNOWN_UN:
            # More than could be told in the 16 bits of most VRs (PS3.5 6.2.2).
            return "UN"
        if known is None or known == "SQ":
            return "UN"
        return self._unambiguous(element.tag, known) if known in AMBIGUOUS_VR else known

    def known_vr(self, tag: int) -> str | None:
        """The VR that the data dictionary has for a tag; None where it does not know it."""
        if not is_private(tag) or is_group_length(tag):
            return _standard_vr(tag)
        if is_private_creator(tag):
            return "LO"
        return _private_vr(tag, self.creator_of(tag))

    def _unambiguous(self, tag: int, vr: str) -> str:
        """One of two VRs, by other elements (PS3.5 A.1, PS3.3 C.11.1.1.1)."""
        if vr == "US or SS":
            return "SS" if self.pixel_representation else "US"
        if vr == "US or OW":
            return "US" if self._first_word(_LUT_DESCRIPTOR) == 1 else "OW"
        # Curves are the exception, as DCMTK has it too; the standard's of 2004 was the last.
        return "OB" if tag & _REPEATING == _CURVE_DATA else "OW"

    def _first_word(self, tag: int) -> int | None:
        element = self.elements.get(tag)
        if element is None or len(element.raw) < 2:
            return None
        return int.from_bytes(element.raw[:2], "little" if element.is_little else "big")


@lru_cache(maxsize=65_536)
def _standard_vr(tag: int) -> str | None:
    try:
        vr = str(dictionary_VR(tag))
    except KeyError:
        return "UL" if is_group_length(tag) else None
    return vr if vr in ALL_VRS or vr in AMBIGUOUS_VR else None


@lru_cache(maxsize=65_536)
def _private_vr(tag: int, creator: str) -> str | None:
    if not creator:
        return None
    try:
        vr = str(private_dictionary_VR(tag, creator))
    except KeyError:
        return None
    return vr if vr in ALL_VRS or vr in AMBIGUOUS_VR else None
