"""What a header says of the sequence that made it, wherever a vendor writes it.

A question to the facts is answered by the names of the elements that say so, or by None.
"""

import re
from dataclasses import dataclass, field
from functools import cached_property

from dicom_graph.dicom.csa.header import CSA_CREATOR, XA_CREATOR, XA_GROUP, XA_PROTOCOL
from dicom_graph.dicom.dictionary import keyword_tag
from dicom_graph.dicom.elements.contents import Element, Item, private_element
from dicom_graph.dicom.elements.packing import unpack
from dicom_graph.dicom.frame_elements import PER_FRAME, SHARED, Elements
from dicom_graph.dicom.xa_protocol import xa_protocol

Evidence = tuple[str, ...]
"""Keywords of elements; of a private one its tag and vendor, never a text of the file."""

_PRIVATE_NAMES = {
    (0x0019009C, "GEMS_ACQU_01"): "(0019,xx9C) of GE",
    (0x0019009E, "GEMS_ACQU_01"): "(0019,xx9E) of GE",
    (0x20010020, "Philips Imaging DD 001"): "(2001,xx20) of Philips",
}
"""Where vendors keep the name of the pulse sequence."""
_GE_COMPONENT = (0x0043002F, "GEMS_PARM_01")
_GE_B_VALUES = (0x00430039, "GEMS_PARM_01")
_CSA_SERIES_HEADER = (0x00290020, CSA_CREATOR)
_XA_PROTOCOL = (XA_GROUP << 16 | XA_PROTOCOL, XA_CREATOR)
_SEQUENCE_FILE = re.compile(rb'tSequenceFileName\s*=\s*"+([^"\r\n]{1,200})"')
_INVERSION_TIME = re.compile(rb"alTI\[([01])\]\s*=\s*(\d{1,10})")
_ENHANCED_CODES = {
    ("EchoPulseSequence", "GRADIENT"): "GR",
    ("EchoPulseSequence", "SPIN"): "SE",
    ("EchoPlanarPulseSequence", "YES"): "EP",
    ("InversionRecovery", "YES"): "IR",
}
"""Attributes of the MR Pulse Sequence module (C.8.13.4) that say what codes of others say."""
_OF_FRAMES = ("FrameType", "AcquisitionContrast", "ComplexImageComponent")
_MOST_FRAMES = 64
"""Frames are alike: so many tell enough."""
GE_COMPONENTS = ("MAGNITUDE", "PHASE", "REAL", "IMAGINARY")


def evidence_of_all(*said: Evidence | None) -> Evidence | None:
    """The evidence of several answers together; None where one of them is None."""
    found: dict[str, None] = {}
    for each in said:
        if each is None:
            return None
        found |= dict.fromkeys(each)
    return tuple(found)


def evidence_of_any(*said: Evidence | None) -> Evidence | None:
    """The first answer there is."""
    return next((each for each in said if each is not None), None)


@dataclass
class Facts:
    """Of one header. `numbers`: the fields of its series, by their keywords; times in ms."""

    by_tag: Elements
    numbers: dict[str, float | None] = field(default_factory=dict)

    def code(self, keyword: str) -> str | None:
        """The first value of an element of the header itself."""
        element = self._element(keyword)
        return (element.text or None) if element is not None else None

    def has(self, keyword: str) -> Evidence | None:
        """The header has a value of the element."""
        element = self._element(keyword)
        return (keyword,) if element is not None and element.vm else None

    def says(self, keyword: str, *codes: str) -> Evidence | None:
        """One of the element's values is one of these."""
        element = self._element(keyword)
        texts = element.texts if element is not None else ()
        return (keyword,) if set(codes) & set(texts) else None

    def image_type(self, *codes: str) -> Evidence | None:
        """ImageType, or FrameType of a frame, has one of these values, or one that begins so
        before an underscore (Philips: M_SE).
        """
        for keyword in ("ImageType", "FrameType"):
            texts = self.codes_of_frames(keyword)
            if set(codes) & (texts | {text.split("_")[0] for text in texts}):
                return (keyword,)
        return None

    def contrast(self, *codes: str) -> Evidence | None:
        """AcquisitionContrast (0008,9209), of the header or all its frames, is one of these."""
        texts = self.codes_of_frames("AcquisitionContrast") - {"UNKNOWN", "MIXED"}
        return ("AcquisitionContrast",) if texts and texts <= set(codes) else None

    def sequence(self, pattern: str) -> Evidence | None:
        """The name of the pulse sequence has this in it, in either case."""
        for name, text in self._sequences.items():
            if re.search(pattern, text, re.IGNORECASE):
                return (name,)
        return None

    def named(self, pattern: str) -> Evidence | None:
        """The description of the series, or the name of its protocol, has this in it."""
        for keyword in ("SeriesDescription", "ProtocolName"):
            text = self.code(keyword)
            if text and re.search(pattern, text, re.IGNORECASE):
                return (keyword,)
        return None

    def scanning(self, *codes: str) -> Evidence | None:
        """The scanning sequence has all these codes: SE, IR, GR, EP (C.8.3.1.1.1)."""
        own = self._element("ScanningSequence")
        if own is not None and own.vm:
            return ("ScanningSequence",) if set(codes) <= set(own.texts) else None
        found = {
            code: keyword
            for (keyword, text), code in _ENHANCED_CODES.items()
            if self.code(keyword) == text
        }
        return tuple(found[code] for code in codes) if set(codes) <= found.keys() else None

    def not_scanning(self, code: str) -> Evidence | None:
        """It is known what the scanning sequence is, and it has not this code."""
        known = evidence_of_any(self.has("ScanningSequence"), self.has("EchoPulseSequence"))
        return known if known is not None and self.scanning(code) is None else None

    def number(
        self, keyword: str, *, least: float | None = None, below: float | None = None
    ) -> Evidence | None:
        """A field of the series is at least so much, and below so much."""
        value = self.numbers.get(keyword)
        if value is None or (least is not None and value < least):
            return None
        return None if below is not None and value >= below else (keyword,)

    @cached_property
    def diffusion(self) -> Evidence | None:
        """The images are weighted by diffusion, or were taken among such."""
        if self.has("DiffusionBValue") and (self.numbers.get("DiffusionBValue") or 0) > 0:
            return ("DiffusionBValue",)
        if any(_find(item, "MRDiffusionSequence") for item in self._frames):
            return evidence_of_any(self.contrast("DIFFUSION"), self.image_type("DIFFUSION"))
        ge = self._private(*_GE_B_VALUES)
        if ge is not None and ge.values and (ge.values[0].number or 0) % 1_000_000_000 > 0:
            return ("(0043,xx39) of GE",)
        return None

    @cached_property
    def ge_component(self) -> str | None:
        """GE's code of the part of the complex image, as DICOM names it."""
        element = self._private(*_GE_COMPONENT)
        number = _first_number(element)
        return GE_COMPONENTS[int(number)] if number in (0.0, 1.0, 2.0, 3.0) else None

    @cached_property
    def two_inversion_times(self) -> Evidence | None:
        """A Siemens protocol has two inversion times, as MP2RAGE needs them."""
        name, protocol = self._siemens_protocol
        return (name,) if len(dict(_INVERSION_TIME.findall(protocol))) == 2 else None

    @cached_property
    def time_points(self) -> int:
        """How often everything was imaged, as far as the header tells; 1 where it does not."""
        counts = [_first_number(self._element("NumberOfTemporalPositions"))]
        per_frame = self.by_tag.get(PER_FRAME)
        for frame in (per_frame.items or ()) if per_frame is not None else ():
            content = _find(frame, "FrameContentSequence")
            for item in (content.items or ()) if content is not None else ():
                counts.append(_first_number(_find(item, "TemporalPositionIndex")))
        return int(max((count for count in counts if count is not None), default=1))

    @cached_property
    def _sequences(self) -> dict[str, str]:
        """The names of the pulse sequence, by where they stand."""
        found = {k: self.code(k) for k in ("SequenceName", "PulseSequenceName")}
        found |= {
            name: element.text
            for (tag, creator), name in _PRIVATE_NAMES.items()
            if (element := self._private(tag, creator)) is not None
        }
        name, protocol = self._siemens_protocol
        file = _SEQUENCE_FILE.search(protocol)
        if file is not None:
            found[name] = file[1].decode("latin-1")
        return {name: text for name, text in found.items() if text}

    @cached_property
    def _siemens_protocol(self) -> tuple[str, bytes]:
        """Where it stands, and the bytes that hold it: a CSA series header, or those of XA."""
        csa = self._private(*_CSA_SERIES_HEADER)
        element = csa or xa_protocol(self.by_tag.get(SHARED)) or self._private(*_XA_PROTOCOL)
        if element is None or element.packed is None:
            return "", b""
        name = "(0029,xx20) of Siemens" if csa else "(0021,xx19) of Siemens"
        return name, unpack(element.packed, element.length)

    @cached_property
    def _frames(self) -> list[Item]:
        """The shared functional groups, and those of the first frames."""
        found: list[Item] = []
        for tag in (SHARED, PER_FRAME):
            element = self.by_tag.get(tag)
            if element is not None:
                found += (element.items or ())[:_MOST_FRAMES]
        return found

    def codes_of_frames(self, keyword: str) -> set[str]:
        """All values of an element of the header, and of its frames for those of `_OF_FRAMES`."""
        element = self._element(keyword)
        found = set(element.texts) if element is not None else set()
        if keyword in _OF_FRAMES:
            for frame in self._frames:
                for group in ("MRImageFrameTypeSequence", "MRSpectroscopyFrameTypeSequence"):
                    sequence = _find(frame, group)
                    for item in (sequence.items or ()) if sequence is not None else ():
                        inner = _find(item, keyword)
                        found |= set(inner.texts) if inner is not None else set()
        return found

    def _element(self, keyword: str) -> Element | None:
        tag = keyword_tag(keyword)
        return self.by_tag.get(tag) if tag is not None else None

    def _private(self, tag: int, creator: str) -> Element | None:
        return private_element(self.by_tag.values(), creator, tag)


def _first_number(element: Element | None) -> float | None:
    return element.values[0].number if element is not None and element.values else None


def _find(item: Item, keyword: str) -> Element | None:
    tag = keyword_tag(keyword)
    return next((element for element in item if element.tag == tag), None)
