"""Elements made again from what is stored of them, as this version reads them."""

import re
import struct
from ast import literal_eval
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian

from dicom_graph.dicom.dictionary import Definition
from dicom_graph.dicom.elements.byte_order import in_little_endian
from dicom_graph.dicom.elements.contents import MAX_RAW, Element, make_element
from dicom_graph.dicom.elements.packing import unpack
from dicom_graph.dicom.elements.revisions import (
    AMBIGUOUS_TAGS,
    CHARACTER_SET,
    PRIVATE_GROUP_LENGTHS,
    TIMEZONE_OFFSET,
)
from dicom_graph.dicom.elements.time_zone import TimeZones, offset_of
from dicom_graph.dicom.elements.values import BYTES_VRS, NUMBER_FORMATS, Value
from dicom_graph.dicom.parsing.element_head import unknown_vr
from dicom_graph.dicom.parsing.raw_data_set import RawDataSet, RawElement

_PIXEL_REPRESENTATION = 0x00280103
_LUT_DESCRIPTOR = 0x00283002
CONTEXT_TAGS = frozenset({CHARACTER_SET, TIMEZONE_OFFSET, _PIXEL_REPRESENTATION, _LUT_DESCRIPTOR})
"""The elements that decide what others mean."""
_UNKNOWN_VR = re.compile(r"unknown VR (b?'.*'): read as UN", re.DOTALL)
_AT = re.compile(r"\(([0-9A-F]{4}),([0-9A-F]{4})\)")


@dataclass(frozen=True, slots=True)
class StoredElement:
    """What a database holds of an element; of a sequence, with the ids of the items' elements."""

    id: int
    tag: int
    definition: Definition
    vm: int
    length: int
    packed: bytes | None
    sha256: bytes | None
    has_warnings: bool
    warning: str | None
    values: tuple[Value, ...] = ()
    items: tuple[tuple[int, ...], ...] | None = None

    @property
    def problem(self) -> str | None:
        """What was wrong with its encoding."""
        end = f": read as {self.definition.vr}"
        return self.warning.removesuffix(end) if (self.warning or "").endswith(end) else None  # type: ignore[union-attr]

    def raw(self) -> bytes | None:
        """Its bytes in the order of those that are packed; None where only its file has them."""
        if self.packed is not None:
            return unpack(self.packed, self.length)
        if not self.length:
            return b""
        raw = self._raw_of_values()
        if raw is None or (self.sha256 is not None and sha256(raw).digest() != self.sha256):
            return None
        return raw

    def _raw_of_values(self) -> bytes | None:
        vr = self.definition.vr
        if len(self.values) != self.vm or vr in BYTES_VRS:
            return None
        if vr in NUMBER_FORMATS:
            numbers = [_exact(vr, value) for value in self.values]
            return struct.pack(f"<{len(numbers)}{NUMBER_FORMATS[vr]}", *numbers)
        if vr == "AT":
            parts = [_AT.fullmatch(value.text or "") for value in self.values]
            words = [int(group, 16) for part in parts if part for group in part.groups()]
            return struct.pack(f"<{len(words)}H", *words)
        raw = "\\".join(value.text or "" for value in self.values).encode()
        return raw.ljust(self.length, b"\0" if vr == "UI" else b" ")


def digests_in_utc(stored: StoredElement) -> list[bytes]:
    """The digests that an element of VR DT would have in the zones +0000 and -0000; none where it
    is in another one, or none of its values depends on it.
    """
    raw = stored.raw()
    if raw is None:
        return []
    definition = stored.definition
    problem, limit = stored.problem, max(stored.length, MAX_RAW)
    made = make_element(stored.tag, definition.private_creator, "DT", raw, [], True, limit, problem)
    if not made.has_local_time or made.values != stored.values:
        return []
    zones = TimeZones()
    return [zones.of_element(made, offset).digest for offset in ("+0000", "-0000")]


def _exact(vr: str, value: Value) -> float | int:
    if NUMBER_FORMATS[vr] in "df":
        return value.number if value.number is not None else float(value.text or "nan")
    return int(value.text) if value.text else int(value.number or 0)


class DataSetContext:
    """What decides the meaning of the bytes in a data set: its elements, and those around it."""

    def __init__(self, syntax: str | None, around: "DataSetContext | None" = None) -> None:
        self._syntax = syntax
        self._data_set: RawDataSet = RawDataSet(
            syntax == ImplicitVRLittleEndian, True, around._data_set if around else None
        )
        self._offset: str | None = around._offset if around else None

    def inside(self) -> "DataSetContext":
        """The context of an item of a sequence."""
        return DataSetContext(self._syntax, self)

    def learn(self, stored: StoredElement) -> None:
        """Take one of the `CONTEXT_TAGS`, before anything is read."""
        tag, raw = stored.tag, stored.raw() or b""
        self._data_set.elements[tag] = RawElement(tag, stored.definition.vr, len(raw), 0, True, raw)
        if tag == TIMEZONE_OFFSET:
            element = make_element(tag, "", stored.definition.vr, raw, self.encodings, True)
            self._offset = offset_of(element) or self._offset

    @property
    def encodings(self) -> list[str]:
        """The codecs of its character set."""
        return self._data_set.encodings

    @cached_property
    def key(self) -> tuple[object, ...]:
        """Equal where equal bytes mean the same; once all is learnt."""
        lut = self._data_set.elements.get(_LUT_DESCRIPTOR)
        return (
            self._syntax, self._offset, self._data_set.pixel_representation,
            lut.raw[:2] if lut is not None else None, *self.encodings,
        )  # fmt: skip

    def read(self, stored: StoredElement, max_raw: int, zones: TimeZones) -> tuple[Element, ...]:
        """An element that is no sequence, as it is read today.

        None where its bytes are not stored. Where it cannot be told whether an older version stored
        them in big endian order there are two, the second of which is of bytes in that order.
        """
        raw = stored.raw()
        if raw is None:
            return ()
        vr, problem = self._vr(stored, raw)
        readings = [raw]
        if self._syntax == ExplicitVRBigEndian and stored.packed is not None:
            swapped = in_little_endian(vr, raw)
            readings += [swapped] if swapped != raw else []
        limit = max(max_raw, stored.length if stored.packed is not None else 0)
        creator = stored.definition.private_creator
        made = [
            make_element(stored.tag, creator, vr, each, self.encodings, True, limit, problem)
            for each in readings
        ]
        offset = self._offset
        return tuple(zones.of_element(each, offset) if offset else each for each in made)

    def _vr(self, stored: StoredElement, raw: bytes) -> tuple[str, str | None]:
        vr, problem = stored.definition.vr, stored.problem
        unknown = _UNKNOWN_VR.fullmatch(stored.warning or "")
        if unknown is not None:
            code = literal_eval(unknown[1])
            meant, problem = unknown_vr(code if isinstance(code, bytes) else code.encode("latin-1"))
            element = RawElement(stored.tag, meant, len(raw), 0, True, raw)
            return self._data_set.vr_of(element), problem
        if vr == "UN" and stored.tag in PRIVATE_GROUP_LENGTHS:
            return self._data_set.vr_of(RawElement(stored.tag, vr, len(raw), 0, True, raw)), problem
        if self._syntax == ImplicitVRLittleEndian and stored.tag in AMBIGUOUS_TAGS:
            return self._data_set.vr_of(RawElement(stored.tag, None, len(raw), 0, True, raw)), None
        return vr, problem
